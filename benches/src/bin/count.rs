//! Reads one page in one way so many times: what `instructions` counts.

use std::env;

fn main() {
    let args: Vec<_> = env::args().skip(1).collect();
    let [api, way, times] = &args[..] else { panic!("usage: count API WAY TIMES") };
    let case = actionlog_benches::cases().into_iter().find(|it| it.api == api).expect("an API");
    let (_, read) = case.ways.iter().find(|it| it.0 == way).expect("a way to read");
    for _ in 0..times.parse().expect("a number") {
        assert!(read(&case.body) >= 50);
    }
    if times == "0" {
        let records = read(&case.body);
        println!("{api}: {records} records of {} bytes", case.body.len() / records);
    }
}
