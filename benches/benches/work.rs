//! How much processor time a record costs the client when nothing else takes time: one request after the other, from a
//! server that responds at once. The kernel's part is counted.
//!
//! With arguments (`API plain|ours TIMES`) it only reads so many times, for a profiler.

use std::env;
use std::time::Duration;

use actionlog_benches::reading::{Api, Reader, Server, Way, runtime};

const RECORDS: u64 = 10_000;
const ROUNDS: usize = 9;

fn main() {
    stay();
    let server = Server::start(env!("CARGO_BIN_EXE_server"), RECORDS, Duration::ZERO);
    let runtime = runtime();
    // Cargo adds an argument.
    let args: Vec<_> = env::args().skip(1).filter(|it| it != "--bench").collect();
    if let [api, way, times] = &args[..] {
        let way = if way == "plain" { Way::Plain } else { Way::Ours(Some(1)) };
        let reader = Reader::new(Api::of(api), way, server.url());
        for _ in 0..times.parse().expect("a number") {
            assert_eq!(runtime.block_on(reader.read()), RECORDS);
        }
        return;
    }
    println!("| API | plain loop | this crate | ratio | at most |\n|---|--:|--:|--:|--:|");
    for (api, most) in Api::ALL.into_iter().zip([0.50, 0.40, 0.52]) {
        let readers = [Way::Plain, Way::Ours(Some(1))].map(|way| Reader::new(api, way, server.url()));
        let mut times = [const { Vec::new() }; 2];
        // In turns, so that what else the machine does falls on both. The first round only warms up.
        for round in 0..=ROUNDS {
            for (reader, times) in readers.iter().zip(&mut times) {
                let began = processor_time();
                assert_eq!(runtime.block_on(reader.read()), RECORDS);
                if round > 0 {
                    times.push(processor_time() - began);
                }
            }
        }
        let [plain, ours] = &times;
        // Of each round, as the processor's speed changes; of these the median.
        let mut ratios: Vec<_> = ours.iter().zip(plain).map(|(ours, plain)| ours.div_duration_f64(*plain)).collect();
        ratios.sort_by(f64::total_cmp);
        let ratio = ratios[ROUNDS / 2];
        // What others do to the caches only adds to it.
        let [plain, ours] = times.map(|it| it.iter().min().unwrap().as_secs_f64() * 1e6 / RECORDS as f64);
        println!("| {} | {plain:.1} µs | {ours:.1} µs | {ratio:.3} | {most:.2} |", api.name());
    }
}

/// Keeps this process and the server, its child, on the one processor: waking another costs more than a page does, and
/// never twice the same.
fn stay() {
    // SAFETY: the set is plain data for which zeros are no processors, and the pointer is to a value that lives through
    // the call.
    let done = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(libc::sched_getcpu() as usize, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    };
    assert_eq!(done, 0);
}

/// Of this process so far, all threads, in the kernel too.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a value that lives through the call.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(done, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
