//! How long it takes to read 5,000 records from a server that takes 50 ms for each response.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actionlog_benches::reading::{Api, Reader, Server, Way};
use criterion::{Criterion, SamplingMode};

const RECORDS: u64 = 5_000;
const LATENCY: Duration = Duration::from_millis(50);

/// What is read, by whom, and how much of the plain loop's time it may take.
const CASES: [(Api, Way, &str, Option<f64>); 11] = [
    (Api::Arklow, Way::Plain, "plain loop", None),
    (Api::Arklow, Way::Ours(None), "default", Some(0.30)),
    (Api::Arklow, Way::Ours(Some(16)), "16 in flight", Some(0.12)),
    (Api::Integration, Way::Plain, "plain loop", None),
    (Api::Integration, Way::Ours(Some(1)), "one at a time", None),
    (Api::Integration, Way::Ours(None), "default", Some(0.30)),
    (Api::Integration, Way::Ours(Some(16)), "16 in flight", Some(0.12)),
    (Api::Integration, Way::InFixedOrder(16), "16 in flight, stable order", Some(0.12)),
    (Api::Unleash, Way::Plain, "plain loop", None),
    (Api::Unleash, Way::Ours(None), "default", Some(0.30)),
    (Api::Unleash, Way::Ours(Some(16)), "16 in flight", Some(0.12)),
];

fn main() {
    let server = Server::start(env!("CARGO_BIN_EXE_server"), RECORDS, LATENCY);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut criterion = Criterion::default().configure_from_args();
    let mut all: HashMap<_, Vec<Duration>> = HashMap::new();
    for api in Api::ALL {
        let mut group = criterion.benchmark_group(format!("{} of 50 ms", api.name()));
        // The least that criterion takes: each scan lasts seconds.
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        group.warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(1));
        for (_, way, name, _) in CASES.into_iter().filter(|it| it.0 == api) {
            let reader = Reader::new(api, way, server.url());
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|times| {
                    let mut sum = Duration::ZERO;
                    for _ in 0..times {
                        let began = Instant::now();
                        assert_eq!(runtime.block_on(reader.read()), RECORDS);
                        let took = began.elapsed();
                        all.entry((api.name(), name)).or_default().push(took);
                        sum += took;
                    }
                    sum
                });
            });
        }
        group.finish();
    }
    criterion.final_summary();

    let median = |api: Api, name| {
        let mut times = all.get(&(api.name(), name))?.clone();
        times.sort();
        Some(times[times.len() / 2])
    };
    println!("| API | mode | median | ratio to the plain loop | at most |\n|---|---|--:|--:|--:|");
    for (api, _, name, most) in CASES {
        let (Some(time), Some(plain)) = (median(api, name), median(api, "plain loop")) else { continue };
        let ratio = time.as_secs_f64() / plain.as_secs_f64();
        let most = most.map_or(String::new(), |it| format!("{it:.2}"));
        println!("| {} | {name} | {:.2} s | {ratio:.3} | {most} |", api.name(), time.as_secs_f64());
    }
}
