//! The program `actionlog-sql`, as a user runs it.

use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{Fake, KNOWN};

pub(crate) async fn run(fake: &Fake, more: &[(&str, &str)], args: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_actionlog-sql"))
        .args(args)
        .env_clear()
        .envs(fake.variables(more))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().await.unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(!stdout.contains("s3cr3t") && !stderr.contains("s3cr3t"), "{stdout}{stderr}");
    (status.code().unwrap(), stdout, stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_status_says_whether_the_rows_are_all() {
    let fake = Fake::start(150).await;
    let count = "SELECT COUNT(*) AS n FROM arklow_records";
    let (status, rows, notes) = run(&fake, &KNOWN, &["-c", count, "--format", "csv"], "").await;
    assert_eq!((status, rows.as_str()), (0, "n\n150\n"), "{notes}");
    assert!(notes.starts_with("arklow_records: complete: as many records as the total counts; 150 records by "));

    let (status, rows, notes) = run(&fake, &[], &["-c", count], "").await;
    assert_eq!((status, rows.as_str()), (4, ""), "{notes}");
    assert!(notes.contains("error: ") && notes.contains("not proved complete"), "{notes}");
    let (status, rows, _) = run(&fake, &[], &["-c", count, "--allow-unverified", "--format", "ndjson"], "").await;
    assert_eq!((status, rows.as_str()), (3, "{\"n\":150}\n"));
    let (status, rows, _) = run(&fake, &[], &["-c", count, "--verify"], "").await;
    assert!(status == 0 && rows.contains("| 150 |"), "{rows}");

    let (status, _, notes) = run(&fake, &[], &["-c", "SELECT * FROM nothing"], "").await;
    assert!(status == 1 && notes.contains("nothing"), "{notes}");
    assert_eq!(run(&fake, &[], &["--no-such-option"], "").await.0, 2);
    let (status, _, notes) = run(&fake, &[], &["--profile", "eu", "-c", count], "").await;
    assert!(status == 1 && notes.contains("set EU_ARKLOW_ORG_ID and EU_ARKLOW_API_KEY"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_needs_more_memory_than_it_may_fails_and_says_so() {
    let fake = Fake::start(2_000).await;
    let raw = ["--format", "csv", "-c", "SELECT COUNT(DISTINCT raw) AS n FROM integration_logs", "--memory"];
    let with = |memory| [&raw[..], &[memory]].concat();
    let (status, rows, notes) = run(&fake, &KNOWN, &with("1"), "").await;
    assert_eq!((status, rows.as_str()), (1, ""), "{notes}");
    assert!(notes.contains("rows of integration_logs until they are proved"), "{notes}");
    let (status, rows, notes) = run(&fake, &KNOWN, &with("256"), "").await;
    assert_eq!((status, rows.as_str()), (0, "n\n2000\n"), "{notes}");
    // What isn't asked for takes none.
    let count = ["--format", "csv", "-c", "SELECT COUNT(*) AS n FROM integration_logs", "--memory", "1"];
    let (status, rows, notes) = run(&fake, &KNOWN, &count, "").await;
    assert_eq!((status, rows.as_str()), (0, "n\n2000\n"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_at_which_reading_stops_is_asked_for_by_name() {
    let fake = Fake::start(1_000).await;
    let sql = "SELECT COUNT(*) AS n FROM integration_logs \
               WHERE created_at >= (SELECT MAX(created_at) FROM integration_logs)";
    // A time that isn't known when the log is cut bounds nothing.
    let (status, rows, notes) = run(&fake, &KNOWN, &["--push-times", "--format", "csv", "-c", sql], "").await;
    assert_eq!((status, rows.as_str()), (0, "n\n1\n"), "{notes}");
    let logs: Vec<actionlog::integration::ActionLog> = fake.server.integration().log().records().unwrap();
    let time = logs[9].created_at.unwrap().to_rfc3339();
    let sql = format!("SELECT COUNT(*) AS n FROM integration_logs WHERE created_at >= '{time}'");
    let before = fake.requests().len();
    let (status, rows, notes) = run(&fake, &KNOWN, &["--push-times", "--format", "csv", "-c", &sql], "").await;
    assert_eq!((status, rows.as_str()), (3, "n\n10\n"), "{notes}");
    assert!(fake.requests().len() - before <= 4, "{}", fake.requests().len() - before);
    assert!(notes.starts_with("integration_logs: unverified: the scan stopped at records older than"), "{notes}");
    assert_eq!(run(&fake, &KNOWN, &["--push-times", "--verify", "-c", &sql], "").await.0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_come_from_the_input_and_parquet_is_written_and_read_back() {
    let fake = Fake::start(300).await;
    let folder = std::env::temp_dir().join(format!("actionlog-sql-{}", std::process::id()));
    let path = folder.join("logs.parquet").display().to_string();
    let input = format!(
        "COPY (SELECT * FROM integration_logs) TO '{path}' STORED AS PARQUET;
         CREATE EXTERNAL TABLE copied STORED AS PARQUET LOCATION '{path}';
         SELECT COUNT(*) AS n, COUNT(DISTINCT key) AS keys, COUNT(raw) AS raws FROM copied;
         SELECT verdict, rows FROM actionlog_coverage"
    );
    let (status, rows, notes) = run(&fake, &KNOWN, &["--format", "csv"], &input).await;
    drop(std::fs::remove_dir_all(folder));
    assert_eq!(status, 0, "{notes}");
    assert!(rows.ends_with("n,keys,raws\n300,300,300\nverdict,rows\ncomplete,300\n"), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_fails_leaves_no_file_and_keeps_the_one_before() {
    let fake = Fake::start(300).await;
    let folder = std::env::temp_dir().join(format!("actionlog-sql-failed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("keys.csv");
    // The total of the integration logs is known to be one, that of Arklow isn't: its rows are refused, behind others.
    let both = "SELECT key FROM integration_logs UNION ALL SELECT key FROM arklow_records";
    let copy = |query: &str| format!("COPY ({query}) TO '{}'", path.display());
    let one = [("INTEGRATION_LOGS_TOTAL_SCOPE", "listing"), ("INTEGRATION_LOGS_ORDER", "stable")];
    let files = || std::fs::read_dir(&folder).unwrap().count();
    let (status, _, notes) = run(&fake, &one, &["-c", &copy(both)], "").await;
    assert_eq!((status, files()), (4, 0), "{notes}");
    let (status, _, notes) = run(&fake, &one, &["-c", &copy("SELECT key FROM integration_logs")], "").await;
    let lines = || std::fs::read_to_string(&path).unwrap().lines().count();
    assert_eq!((status, files(), lines()), (0, 1, 301), "{notes}");
    let (status, _, notes) = run(&fake, &one, &["-c", &copy(both)], "").await;
    assert_eq!((status, files(), lines()), (4, 1, 301), "{notes}");
    let (status, _, notes) = run(&fake, &one, &["--allow-unverified", "-c", &copy(both)], "").await;
    assert_eq!((status, files(), lines()), (3, 1, 601), "{notes}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Without executors, a query waits for one.
#[cfg(feature = "cluster")]
#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_waits_says_so_and_ends_after_its_time() {
    let fake = Fake::start(10).await;
    let mut cluster = crate::processes::Cluster::without_executors();
    while tokio::net::TcpStream::connect(("127.0.0.1", cluster.port)).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let url = cluster.url();
    let ask = ["--scheduler", &url, "--format", "csv", "-c", "SELECT COUNT(*) AS n FROM integration_logs"];
    let (status, rows, notes) =
        run(&fake, &KNOWN, &[&ask[..], &["--timeout", "3", "--progress", "1"]].concat(), "").await;
    assert_eq!((status, rows.as_str()), (1, ""), "{notes}");
    assert!(notes.contains("still running after 1 s") && notes.contains("not completed within 3 s"), "{notes}");
    // One that comes is found.
    cluster.add_executor("--tasks 2", &fake.variables(&KNOWN));
    let (status, rows, notes) = run(&fake, &KNOWN, &[&ask[..], &["--timeout", "60"]].concat(), "").await;
    assert_eq!((status, rows.as_str()), (0, "n\n10\n"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_engines_read_what_is_copied() {
    // A Python that has duckdb and pyarrow: .ci/ballista installs them where pip can.
    let Ok(python) = std::env::var("ENGINES") else { return };
    let fake = Fake::start(700).await;
    read_back(&python, &fake, &["--verify"], "one").await;
}

/// Over a cluster: what executors have read is copied by the process that asks.
#[cfg(feature = "cluster")]
#[tokio::test(flavor = "multi_thread")]
async fn other_engines_read_what_is_copied_of_two_executors() {
    let Ok(python) = std::env::var("ENGINES") else { return };
    let fake = Fake::start(700).await;
    let cluster = crate::processes::Cluster::start(2, 2, &fake.variables(&KNOWN));
    cluster.ready().await;
    read_back(&python, &fake, &["--verify", "--scheduler", &cluster.url()], "two").await;
}

/// Copies all logs to Parquet, and has other engines compare them with the server's pages.
async fn read_back(python: &str, fake: &Fake, args: &[&str], name: &str) {
    let folder = std::env::temp_dir().join(format!("actionlog-engines-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let copies = ["arklow_records", "integration_logs", "unleash_events('default', 7)"].map(|table| {
        let name = table.split('_').next().unwrap();
        format!("COPY (SELECT * FROM {table}) TO '{}/{name}.parquet' STORED AS PARQUET;", folder.display())
    });
    let (status, _, notes) = run(fake, &KNOWN, args, &copies.concat()).await;
    assert_eq!(status, 0, "{notes}");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engines.py");
    let read = Command::new(python).arg(script).arg(fake.url()).arg(&folder).output().await.unwrap();
    drop(std::fs::remove_dir_all(folder));
    let (out, error) = (String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
    assert!(read.status.success() && out.lines().count() == 6, "{out}{error}");
    println!("{out}");
}
