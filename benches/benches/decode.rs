//! How long it takes to read a page.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn decode(criterion: &mut Criterion) {
    for case in actionlog_benches::cases() {
        let mut group = criterion.benchmark_group(case.api);
        group.throughput(Throughput::Bytes(case.body.len() as u64));
        for (name, read) in &case.ways {
            group.bench_function(*name, |bencher| bencher.iter(|| read(&case.body)));
        }
        group.finish();
    }
}

/// Beside scans that take seconds each, these needn't be long.
fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2))
}

criterion_group!(name = benches; config = short(); targets = decode);
criterion_main!(benches);
