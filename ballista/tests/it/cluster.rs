//! Many processes: a scheduler, executors, and a session that asks.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actionlog::testing::Fault;
use actionlog_ballista::datafusion::error::Result;
use actionlog_ballista::{Options, cluster};

use crate::program::run;
use crate::support::{Asked, Fake, KNOWN, number, unverified, verified, watched};

/// A process that is killed when it is dropped, and what it wrote to its standard error.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(program: &str, args: &[String], variables: &[(String, String)]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = std::env::temp_dir().join(format!("actionlog-ballista-{}-{number}", std::process::id()));
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .env("ACTIONLOG_LOG", "debug")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_file(&self.log));
    }
}

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) struct Cluster {
    port: u16,
    scheduler: Process,
    executors: Vec<Process>,
}

impl Cluster {
    /// Starts a scheduler, which has no credentials, and executors, which do.
    pub(crate) fn start(executors: usize, tasks: usize, variables: &[(String, String)]) -> Self {
        let port = port();
        let scheduler = Self::scheduler(port);
        let executors = (0..executors).map(|_| {
            let args = format!(
                "--scheduler-port {port} --port {} --grpc-port {} --tasks {tasks} --heartbeat 1",
                self::port(),
                self::port()
            );
            let args: Vec<_> = args.split(' ').map(str::to_owned).collect();
            Process::start(env!("CARGO_BIN_EXE_actionlog-executor"), &args, variables)
        });
        Self { port, scheduler, executors: executors.collect() }
    }

    fn scheduler(port: u16) -> Process {
        let args =
            ["--listen".to_owned(), format!("127.0.0.1:{port}"), "--executor-timeout".to_owned(), "6".to_owned()];
        Process::start(env!("CARGO_BIN_EXE_actionlog-scheduler"), &args, &[])
    }

    /// Waits until the executors are registered.
    pub(crate) async fn ready(&self) {
        let start = Instant::now();
        let count = |it: &Process| it.log().contains("registered") || it.log().contains("Executor registration");
        while !self.executors.iter().all(count) {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", self.executors[0].log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn ask(&self, fake: &Fake, options: Options) -> Asked {
        let logs = fake.session(options, &KNOWN).logs;
        let session = cluster::session(format!("http://127.0.0.1:{}", self.port), &logs).unwrap();
        Asked { session, logs }
    }
}

const COUNTS: &str = "SELECT COUNT(*) * 1000000 + COUNT(DISTINCT key) FROM integration_logs";
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until the server has got as many requests more, or doesn't get any.
async fn requests(fake: &Fake, more: usize) {
    let (before, start) = (fake.requests().len(), Instant::now());
    while fake.requests().len() < before + more && start.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(5)).await;
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
    // What is copied is written here.
    let path = std::env::temp_dir().join(format!("actionlog-copied-{}.parquet", std::process::id()));
    let copy = format!("COPY (SELECT key FROM arklow_records) TO '{}' STORED AS PARQUET", path.display());
    many.rows(&copy).await.unwrap();
    one.session.register_parquet("copied", path.display().to_string(), Default::default()).await.unwrap();
    assert_eq!(one.number("SELECT COUNT(DISTINCT key) FROM copied").await, 2_000);
    std::fs::remove_file(path).unwrap();
    // So does the program.
    let scheduler = format!("http://127.0.0.1:{}", cluster.port);
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
async fn an_executor_that_is_killed_in_mid_query_loses_and_repeats_no_row() {
    let runs = std::env::var("KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(1);
    let fake = Fake::start(4_000).await;
    let later = Fault::StatusWith { status: 429, headers: vec![("retry-after".into(), "0".into())], body: "{}".into() };
    fake.server.fail_randomly(later, 0.05, 7);
    let mut results = (0, 0);
    for run in 0..runs {
        // Every other run, records come meanwhile.
        let grows = run % 2 == 1;
        let mut cluster = Cluster::start(2, 2, &fake.variables(&KNOWN));
        cluster.ready().await;
        let before = fake.keys().len() as i64;
        fake.server.latency(Duration::from_millis(50));
        let asked = cluster.ask(&fake, if grows { unverified() } else { Options::default() });
        let changed = async {
            requests(&fake, 6 + 4 * run % 36).await;
            cluster.executors[1].kill();
            fake.server.integration().add_sample_logs(if grows { 7 } else { 0 });
        };
        let (result, ()) = tokio::join!(tokio::time::timeout(LIMIT, asked.rows(COUNTS)), changed);
        fake.server.latency(Duration::ZERO);
        let Ok(result) = result else {
            panic!("the query neither returns nor fails: {}", cluster.scheduler.log());
        };
        match result {
            Ok(rows) => {
                let (all, distinct) = (number(&rows) / 1_000_000, number(&rows) % 1_000_000);
                assert_eq!((all, distinct), (distinct, asked.last().rows as i64), "run {run}");
                assert!(all >= before && (grows || all == before), "run {run}: {all} of {before}");
                results.0 += 1;
            }
            Err(error) => {
                println!("run {run}: {error}");
                results.1 += 1;
            }
        }
    }
    println!("{} right results, {} errors, no wrong result", results.0, results.1);
    assert!(results.0 > 0, "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_restarted_fails_its_queries_and_takes_new_ones() {
    let fake = Fake::start(2_000).await;
    let mut cluster = Cluster::start(1, 2, &fake.variables(&KNOWN));
    cluster.ready().await;
    fake.server.latency(Duration::from_millis(50));
    let asked = cluster.ask(&fake, Options::default());
    let sql = "SELECT COUNT(*) FROM integration_logs";
    let restarted = async {
        requests(&fake, 5).await;
        cluster.scheduler.kill();
        cluster.scheduler = Cluster::scheduler(cluster.port);
    };
    let (result, ()): (std::result::Result<Result<_>, _>, ()) =
        tokio::join!(tokio::time::timeout(LIMIT, asked.rows(sql)), restarted);
    result.expect("the query waits for a scheduler that has forgotten it").unwrap_err();
    fake.server.latency(Duration::ZERO);
    // The executor finds the new scheduler by its heartbeat.
    let start = Instant::now();
    let count = loop {
        match tokio::time::timeout(LIMIT, asked.rows(sql)).await.expect("no executor") {
            Ok(rows) => break number(&rows),
            Err(error) => assert!(start.elapsed() < LIMIT, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert_eq!(count, 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_executors_together_keep_to_the_number_of_parts_at_once() {
    let fake = Fake::start(3_000).await;
    fake.server.latency(Duration::from_millis(30));
    let (url, most) = watched(fake.url()).await;
    let mut known = KNOWN.to_vec();
    known.push(("INTEGRATION_LOGS_URL", &url));
    // Both could read four at once.
    let cluster = Cluster::start(2, 4, &fake.variables(&known));
    cluster.ready().await;
    for at_once in [1, 3] {
        most.store(0, Ordering::SeqCst);
        let mut options = Options::default();
        options.parts_at_once = at_once;
        let logs = fake.session(options, &known).logs;
        let session = cluster::session(format!("http://127.0.0.1:{}", cluster.port), &logs).unwrap();
        let asked = Asked { session, logs };
        assert_eq!(asked.number("SELECT COUNT(*) FROM integration_logs").await, 3_000);
        let most = most.load(Ordering::SeqCst);
        assert!(most <= at_once && (at_once == 1 || most > 1), "{most} in flight, of {at_once}");
    }
}
