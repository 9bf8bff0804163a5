//! How long it takes to read a page.

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

criterion_group!(benches, decode);
criterion_main!(benches);
