//! Executors that are killed and schedulers that are restarted in mid-query, over a server that throttles, fails and
//! grows meanwhile: right rows or an error, and the next query returns. `RUNS=50 cargo test --test it kills --
//! --nocapture`

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use actionlog::testing::Fault;
use actionlog_ballista::Options;
use actionlog_ballista::datafusion::arrow::array::{AsArray, RecordBatch, types::Int64Type};

use crate::processes::Cluster;
use crate::support::{Asked, Fake, KNOWN, unverified};

/// The longest time that a query may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What is lost in mid-query.
const LOSSES: [&str; 3] = ["an executor", "the scheduler", "an executor and the scheduler"];

/// How many records there are at first. A page has a hundred.
const RECORDS: usize = 8_000;

/// Waits until the server has got as many requests more.
async fn requests(fake: &Fake, more: usize) {
    let before = fake.requests().len();
    while fake.requests().len() < before + more {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Refuses, fails and closes connections for one request of twelve.
fn fail(fake: &Fake) {
    let later = Fault::StatusWith { status: 429, headers: vec![("retry-after".into(), "0".into())], body: "{}".into() };
    for (fault, seed) in [(later, 7), (Fault::Status(500), 8), (Fault::Status(503), 9), (Fault::Reset, 10)] {
        fake.server.fail_randomly(fault, 0.02, seed);
    }
}

/// Adds a record at every seventh request.
fn grow(fake: &Fake) {
    let mut number = 0;
    fake.server.before_each(move |server| {
        number += 1;
        if number % 7 == 0 {
            server.integration().add_sample_logs(1);
        }
    });
}

/// Checks that these are the keys that were there before, each once, and of the others only those that came meanwhile.
fn check(rows: &[RecordBatch], before: &BTreeSet<String>, asked: &Asked, fake: &Fake) {
    let mut found = BTreeSet::new();
    for batch in rows {
        let counts = batch.column(1).as_primitive::<Int64Type>();
        for (key, count) in batch.column(0).as_string::<i32>().iter().flatten().zip(counts.values()) {
            assert!(found.insert(key.to_owned()) && *count == 1, "{key} came more than once");
        }
    }
    assert!(found.is_superset(before), "{:?} are missing", before.difference(&found));
    assert!(found.is_subset(&fake.keys()), "{:?} don't exist", found.difference(&fake.keys()));
    assert_eq!(asked.last().rows, found.len() as u64);
}

/// Asks until there is a result: of a log at rest, and by a cluster that has lost something.
async fn recover(cluster: &Cluster, fake: &Fake, sql: &str) {
    let (asked, start) = (cluster.ask(fake, Options::default()), Instant::now());
    loop {
        match tokio::time::timeout(LIMIT, asked.rows(sql)).await.expect("the next query neither returns nor fails") {
            Ok(rows) => return check(&rows, &fake.keys(), &asked, fake),
            Err(error) => assert!(start.elapsed() < LIMIT, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_returns_right_rows_or_an_error_whatever_is_lost_meanwhile() {
    let runs = std::env::var("RUNS").ok().and_then(|it| it.parse().ok()).unwrap_or(LOSSES.len());
    let fake = Fake::start(RECORDS).await;
    fail(&fake);
    let (mut results, mut in_time) = (BTreeMap::new(), 0);
    for run in 0..runs {
        let (loss, grows) = (LOSSES[run % LOSSES.len()], run % 2 == 1);
        let sql = [
            "SELECT key, 1 FROM integration_logs",
            "SELECT key, COUNT(*) FROM integration_logs WHERE log = 'integration' GROUP BY key",
        ][run / 2 % 2];
        let mut cluster = Cluster::start(2, 2, &fake.variables(&KNOWN));
        cluster.ready().await;
        let before = fake.keys();
        fake.server.latency(Duration::from_millis(50));
        if grows {
            grow(&fake);
        }
        let asked = cluster.ask(&fake, if grows { unverified() } else { Options::default() });
        let mut query = std::pin::pin!(tokio::time::timeout(LIMIT, asked.rows(sql)));
        let start = Instant::now();
        // From the first requests up to the last one.
        let result = tokio::select! {
            result = &mut query => {
                println!("run {run}: nothing was lost before the query had returned");
                result
            }
            () = requests(&fake, 3 + 11 * run % (RECORDS / 100)) => {
                if loss != LOSSES[1] {
                    cluster.executors[run / 3 % 2].kill();
                }
                if loss != LOSSES[0] {
                    cluster.restart_scheduler();
                }
                in_time += 1;
                query.await
            }
        };
        let took = start.elapsed().as_secs_f64();
        fake.server.latency(Duration::ZERO).before_each(|_| ());
        let Ok(result) = result else {
            panic!("run {run} ({loss}): the query neither returns nor fails: {}", cluster.scheduler.log());
        };
        let (right, failed) = results.entry(loss).or_insert((0, 0));
        match result {
            Ok(rows) => {
                check(&rows, &before, &asked, &fake);
                *right += 1;
                println!("run {run}: {loss}, grows: {grows}: right rows after {took:.1} s");
            }
            Err(error) => {
                let is_explained = error.to_string().contains("ask again");
                assert!(is_explained || loss == LOSSES[0], "run {run}: {error}");
                *failed += 1;
                println!("run {run}: {loss}, grows: {grows}: after {took:.1} s: {error}");
                recover(&cluster, &fake, sql).await;
            }
        }
    }
    for (loss, (right, failed)) in &results {
        println!("{loss}: {right} times right rows, {failed} times an error, no wrong rows");
    }
    println!("{in_time} of {runs} were lost while the query ran");
    assert!(results[LOSSES[0]].0 > 0 && in_time * 10 >= runs * 9, "{results:?}, {in_time} of {runs}");
}
