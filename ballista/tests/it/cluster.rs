//! Many processes return what one does.

use actionlog_ballista::Options;

use crate::processes::{Cluster, Process};
use crate::program::run;
use crate::support::{Fake, KNOWN, unverified, verified};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_reads_one_part_or_several() {
    let fake = Fake::start(2_000).await;
    let cluster = Cluster::start(2, 2, &fake.variables(&KNOWN));
    cluster.ready().await;
    let sql = "SELECT outcome, COUNT(*), COUNT(DISTINCT key), MIN(timestamp) FROM integration_logs \
               GROUP BY outcome ORDER BY outcome";
    let expected = fake.session(verified(), &KNOWN).text(sql).await;
    // Four tasks have one part each, or up to three. (A part is a number of whole pages.)
    for (wanted, parts) in [(1, 1), (4, 4), (16, 11)] {
        let mut options = verified();
        (options.parts, options.parts_at_once) = (Some(wanted), 4);
        let many = cluster.ask(&fake, options);
        assert_eq!(many.text(sql).await, expected, "{wanted}");
        let last = many.last();
        assert_eq!((last.parts, last.rows, last.verdict.as_str()), (parts, 2_000, "complete"), "{wanted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_executors_return_what_one_process_does() {
    let fake = Fake::start(2_000).await;
    let cluster = Cluster::start(2, 2, &fake.variables(&KNOWN));
    cluster.ready().await;
    let (one, many) = (fake.session(verified(), &KNOWN), cluster.ask(&fake, verified()));
    for sql in [
        "SELECT COUNT(*) FROM arklow_records",
        "SELECT COUNT(DISTINCT key) FROM integration_logs",
        "SELECT COUNT(*) FROM unleash_events('default', 7)",
        "SELECT outcome, COUNT(*), MIN(timestamp) FROM integration_logs GROUP BY outcome ORDER BY outcome",
        "SELECT COUNT(*), COUNT(a.raw) FROM integration_logs a JOIN arklow_records b \
         ON date_trunc('minute', a.timestamp) = date_trunc('minute', b.timestamp)",
        "SELECT key FROM integration_logs ORDER BY key LIMIT 5",
        "SELECT COUNT(*) FROM arklow_records WHERE variant = 'no such variant'",
    ] {
        assert_eq!(many.text(sql).await, one.text(sql).await, "{sql}");
        assert_eq!((many.last().verdict.as_str(), many.last().rows), ("complete", one.last().rows), "{sql}");
    }
    // A time at which the reading stops.
    let mut options = Options::default();
    options.push_times = true;
    let bounded = cluster.ask(&fake, options);
    let sql = "SELECT COUNT(*) FROM integration_logs WHERE created_at >= TIMESTAMP 'NEWEST' - INTERVAL '1 hour'";
    let sql = sql.replace("NEWEST", &fake.newest().naive_utc().to_string());
    let (expected, before) = (one.number(&sql).await, fake.requests().len());
    assert!(bounded.number(&sql).await == expected && expected > 1, "{expected}");
    assert_eq!(bounded.last().detail, "unverified: the scan stopped at records older than `since`");
    assert!(fake.requests().len() - before <= 4, "{}", fake.requests().len() - before);
    // What is copied is written here.
    let path = std::env::temp_dir().join(format!("actionlog-copied-{}.parquet", std::process::id()));
    let copy = format!("COPY (SELECT key FROM arklow_records) TO '{}' STORED AS PARQUET", path.display());
    many.rows(&copy).await.unwrap();
    one.session.register_parquet("copied", path.display().to_string(), Default::default()).await.unwrap();
    assert_eq!(one.number("SELECT COUNT(DISTINCT key) FROM copied").await, 2_000);
    std::fs::remove_file(path).unwrap();
    // So does the program.
    let scheduler = cluster.url();
    let sql = "SELECT COUNT(*) AS n FROM integration_logs";
    let args = ["--scheduler", scheduler.as_str(), "--format", "csv", "-c", sql];
    let (status, rows, notes) = run(&fake, &KNOWN, &args, "").await;
    assert_eq!((status, rows.as_str()), (0, "n\n2000\n"), "{notes}");
    assert!(notes.contains("integration_logs: complete: "), "{notes}");
    // Both executors read; and of the credentials that they have, nobody writes.
    let logs = [&cluster.scheduler, &cluster.executors[0], &cluster.executors[1]].map(Process::log);
    assert!(logs.iter().all(|it| !it.is_empty() && !it.contains("s3cr3t")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_proved_is_an_error_on_many_machines_too() {
    let fake = Fake::start(400).await;
    let cluster = Cluster::start(1, 2, &fake.variables(&[]));
    cluster.ready().await;
    // The executors don't know that records stay in their order, and the session does.
    let error = cluster.ask(&fake, Options::default()).error("SELECT COUNT(*) FROM arklow_records").await;
    assert!(error.contains("not proved complete: arklow_records is unverified"), "{error}");
    let asked = cluster.ask(&fake, unverified());
    assert_eq!(asked.number("SELECT COUNT(*) FROM arklow_records").await, 400);
    assert_eq!(asked.last().verdict, "unverified");
    // A server that refuses.
    fake.server.arklow().accept_key("another key");
    let error = asked.error("SELECT COUNT(*) FROM arklow_records").await;
    assert!(error.contains("401") && !error.contains("s3cr3t"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_needs_more_memory_than_it_may_fails_the_query_and_says_so() {
    let fake = Fake::start(2_000).await;
    let mut cluster = Cluster::without_executors();
    cluster.add_executor("--tasks 2 --memory 1", &fake.variables(&KNOWN));
    cluster.ready().await;
    let asked = cluster.ask(&fake, Options::default());
    let error = asked.error("SELECT COUNT(DISTINCT raw) FROM integration_logs").await;
    assert!(error.contains("rows of integration_logs until they are proved"), "{error}");
    // It goes on with what it can.
    assert_eq!(asked.number("SELECT COUNT(*) FROM integration_logs").await, 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_cannot_be_reached_is_an_error_that_says_where_it_should_be() {
    let fake = Fake::start(100).await;
    let mut cluster = Cluster::without_executors();
    cluster.scheduler.kill();
    let error = cluster.ask(&fake, Options::default()).error("SELECT COUNT(*) FROM integration_logs").await;
    assert!(error.contains(&cluster.url()) && error.contains("ask again"), "{error}");
}
