//! How much memory the client holds at most while it reads listings record by record, in a separate process, which
//! counts what it allocates: a long one once, and a short one so often that it's as many records.
//!
//! Both request as many pages by the same client: how much the HTTP stack has in its buffers depends on what the socket
//! delivers at once, and the largest of 10,000 responses is larger than that of 100.

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use std::{env, str};

use actionlog_benches::reading::{Api, Reader, Server, Way, runtime};

const FEW: u64 = 10_000;
const MANY: u64 = 1_000_000;

/// Memory that is the same for both, nearly.
const SAME: f64 = 1.05;

/// The system's allocator, with the bytes counted that are allocated now, and the most that ever were.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn more(bytes: usize) {
    PEAK.fetch_max(LIVE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: all is done by the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    /// Counts both while one is copied to the other, if it is.
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        more(size);
        let moved = unsafe { System.realloc(at, layout, size) };
        LIVE.fetch_sub(layout.size(), Relaxed);
        moved
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    // Cargo adds an argument.
    let args: Vec<_> = env::args().skip(1).filter(|it| it != "--bench").collect();
    if let [api, way, records, times, url] = &args[..] {
        let way = match way.as_str() {
            "plain" => Way::Plain,
            "one" => Way::Ours(Some(1)),
            _ => Way::Ours(None),
        };
        let [records, times] = [records, times].map(|it| it.parse().expect("a number"));
        let reader = Reader::new(Api::of(api), way, url);
        runtime().block_on(async {
            for _ in 0..times {
                assert_eq!(reader.read().await, records);
            }
        });
        println!("{}", PEAK.load(Relaxed));
        return;
    }
    println!(
        "| API | in flight | 10,000, 100 times | 1,000,000 | ratio | at most | 10,000 once | plain loop |\n|---|---|--:|--:|--:|--:|--:|--:|"
    );
    for api in Api::ALL {
        let plain = peak(api, "plain", FEW, 1);
        for way in ["one", "default"] {
            let [few, many] = [peak(api, way, FEW, MANY / FEW), peak(api, way, MANY, 1)];
            let ratio = many / few;
            let once = peak(api, way, FEW, 1);
            let [few, many, once, plain] = [few, many, once, plain].map(|bytes| (bytes / 1024.0).round());
            let name = api.name();
            println!("| {name} | {way} | {few} KiB | {many} KiB | {ratio:.3} | {SAME} | {once} KiB | {plain} KiB |");
        }
    }
}

/// The most bytes that were held at once.
fn peak(api: Api, way: &str, records: u64, times: u64) -> f64 {
    let server = Server::start(env!("CARGO_BIN_EXE_server"), records, Duration::ZERO);
    let [records, times] = [records, times].map(|it| it.to_string());
    let args = [api.name(), way, &records, &times, server.url()];
    let output = Command::new(env::current_exe().unwrap()).args(args).output().expect("the scan can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    str::from_utf8(&output.stdout).unwrap().trim().parse().expect("a number of bytes")
}
