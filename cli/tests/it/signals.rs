//! SIGINT and SIGTERM, in each phase of each command.
#![cfg(unix)]

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use actionlog::testing::Fault;

use crate::support::{Bench, Running, sha256, wait_until};

#[test]
fn a_signal_ends_an_export_behind_its_batch_and_it_resumes() {
    for signal in ["INT", "TERM"] {
        for ending in ["ndjson", "csv", "parquet", "sqlite"] {
            let bench = Bench::slow(300);
            bench.run(&format!("export integration --to whole.{ending}")).ends(0);
            let line = format!("export integration --to logs.{ending}");
            let mut run = Running::start(bench.tool(&line));
            wait_until("some pages are read", || bench.fake.requests().len() > 45);
            run.signal(signal);
            assert_eq!(run.end(), Some(4), "{signal} {ending}");
            assert!(!bench.path(&format!("logs.{ending}")).exists());
            bench.fake.latency(Duration::ZERO);
            bench.run(&format!("{line} --resume")).ends(0);
            if matches!(ending, "ndjson" | "csv") {
                let [whole, resumed] = ["whole", "logs"].map(|it| sha256(&bench.path(&format!("{it}.{ending}"))));
                assert_eq!(whole, resumed, "{signal} {ending}");
            }
            assert_eq!(bench.manifest(&format!("logs.{ending}"))["files"][0]["records"], 300, "{signal} {ending}");
        }
    }
}

#[test]
fn a_signal_ends_the_second_scan_and_a_resumed_run_verifies_all() {
    let bench = Bench::in_small_pages(300);
    // The first scan takes about 34 requests.
    bench.fails_from(45, Fault::Hang);
    let mut run = Running::start(bench.tool("export unleash --to events.ndjson --verify"));
    wait_until("the second scan hangs", || bench.fake.requests().len() >= 45);
    std::thread::sleep(Duration::from_millis(200));
    run.signal("INT");
    assert_eq!(run.end(), Some(4));
    bench.fake.clear_faults();
    bench.run("export unleash --to events.ndjson --verify --resume").ends(0);
    assert_eq!(bench.lines("events.ndjson").len(), 300);
}

/// How long a command may take to end.
const SOON: Duration = Duration::from_secs(5);

#[track_caller]
fn ends_soon(run: &mut Running, signal: &str, code: i32, what: &str) {
    let began = Instant::now();
    run.signal(signal);
    assert_eq!(run.end(), Some(code), "{what}: {signal}");
    assert!(began.elapsed() < SOON, "{what}: {signal}: {:?}", began.elapsed());
}

#[test]
fn one_signal_ends_each_command_wherever_it_waits() {
    let unavailable = Fault::StatusWith {
        status: 503,
        headers: vec![("retry-after".to_owned(), "10".to_owned())],
        body: "{}".to_owned(),
    };
    for (line, request, fault, code, left) in [
        ("check", 1, Fault::Hang, 4, &[][..]),
        ("check unleash", 1, unavailable.clone(), 4, &[]),
        // Before the first record, and between two attempts: nothing is left. Behind it, something is.
        ("export integration --to a.ndjson", 1, Fault::Hang, 4, &[]),
        ("export integration --to a.sqlite", 1, unavailable.clone(), 4, &[]),
        ("export integration --to a.ndjson", 5, Fault::Hang, 4, &["a.ndjson.part"]),
        ("export integration --to a.parquet", 5, unavailable.clone(), 4, &["a.parquet.part"]),
        ("timeline", 2, Fault::Hang, 4, &[]),
        ("timeline integration", 2, unavailable.clone(), 4, &[]),
        ("timeline --follow", 2, Fault::Hang, 0, &[]),
        // A mirror that is stopped is as it should be, unless it was to be read once.
        (
            "follow integration --to m.ndjson",
            4,
            Fault::Hang,
            0,
            &["m.ndjson", "m.ndjson.checkpoint.json", "m.ndjson.lock"],
        ),
        ("follow integration --to m.sqlite", 4, unavailable.clone(), 0, &["m.sqlite", "m.sqlite.lock"]),
        ("follow integration --to m.sqlite --once", 4, Fault::Hang, 4, &["m.sqlite", "m.sqlite.lock"]),
    ] {
        for signal in ["INT", "TERM"] {
            let bench = Bench::in_small_pages(200);
            bench.fails_from(request, fault.clone());
            let mut run = Running::start(bench.tool(line));
            wait_until(line, || bench.fake.requests().len() >= request);
            std::thread::sleep(Duration::from_millis(150));
            ends_soon(&mut run, signal, code, line);
            assert_eq!(bench.files(), left, "{line}");
        }
    }
    let bench = Bench::new(3);
    for signal in ["INT", "TERM"] {
        let mut run = Running::start(bench.tool("fake --port 0 --write-env env"));
        wait_until("it serves", || bench.path("env").exists());
        ends_soon(&mut run, signal, 0, "fake");
        std::fs::remove_file(bench.path("env")).unwrap();
    }
}

/// A pipe that has a new line at all times, until this is called.
fn endless(bench: &Bench, name: &str, line: &str) -> impl FnOnce() + use<> {
    let path = bench.path(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // Whatever part of it a reader takes at once, it ends with a line.
    let line = format!("{line:<127}\n");
    let ended = Arc::new(AtomicBool::new(false));
    let is_ended = Arc::clone(&ended);
    let writer = std::thread::spawn(move || {
        // Open for reading too, so that it goes on when the tool opens it again.
        let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        while !is_ended.load(Relaxed) {
            file.write_all(line.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    move || {
        ended.store(true, Relaxed);
        writer.join().unwrap();
    }
}

const ROW: &str = r#"{"log":"integration","key":"a","outcome":"failed","timestamp":"2026-03-01T00:00:00Z"}"#;
const CHANGE: &str = r#"{"change":"new","log":"integration","key":"a","outcome":"failed"}"#;

#[test]
fn a_signal_ends_a_report_while_it_reads_and_leaves_no_page() {
    for signal in ["INT", "TERM"] {
        // An export, and a journal, which is read twice.
        for line in [ROW, CHANGE] {
            let bench = Bench::new(0);
            let ended = endless(&bench, "logs.ndjson", line);
            let mut run = Running::start(bench.tool("report logs.ndjson --html page.html"));
            std::thread::sleep(Duration::from_millis(400));
            ends_soon(&mut run, signal, 4, line);
            ended();
            assert_eq!(bench.files(), ["logs.ndjson"]);
        }
        // And while it compares the file with its manifest.
        let bench = Bench::new(5);
        bench.run("export integration --to logs.csv").ends(0);
        let ended = endless(&bench, "endless", "x");
        let manifest = std::fs::read_to_string(bench.path("logs.csv.manifest.json")).unwrap();
        let manifest = manifest.replace(r#""path": "logs.csv""#, r#""path": "endless""#);
        std::fs::write(bench.path("logs.csv.manifest.json"), manifest).unwrap();
        let mut run = Running::start(bench.tool("report logs.csv --html page.html"));
        std::thread::sleep(Duration::from_millis(400));
        ends_soon(&mut run, signal, 4, "the manifest");
        ended();
        assert!(!bench.path("page.html").exists());
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let bench = Bench::new(0);
    // Nobody writes into this pipe, so it can't even be opened.
    assert!(Command::new("mkfifo").arg(bench.path("logs.ndjson")).status().unwrap().success());
    let mut run = Running::start(bench.tool("report logs.ndjson"));
    std::thread::sleep(Duration::from_millis(400));
    run.signal("INT");
    std::thread::sleep(Duration::from_millis(100));
    assert!(run.0.try_wait().unwrap().is_none());
    run.signal("TERM");
    assert_eq!(run.end(), Some(130));
}
