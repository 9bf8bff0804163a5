//! The mirror, stopped by Ctrl-C in each phase: it ends behind a whole batch, with status 0, and goes on when it is
//! started again.

#![cfg(unix)]

mod support;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use actionlog::testing::{FakeServer, Fault};
use actionlog_mirror::{Database, demo};

const POLL: Duration = Duration::from_millis(200);

fn start(url: &str, path: &Path) -> Child {
    support::start(url, path, POLL, Stdio::piped)
}

/// Waits for so many requests, sends SIGINT, and returns what the process wrote.
async fn interrupt(fake: &FakeServer, child: Child, requests: usize, phase: &str) -> Output {
    let begin = Instant::now();
    while fake.requests().len() < requests {
        assert!(begin.elapsed() < Duration::from_secs(60), "{phase}: {} requests", fake.requests().len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success(), "{phase}");
    let begin = Instant::now();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10), "{phase}: it took {:?}", begin.elapsed());
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{phase}: {output:?}");
    assert_eq!(text.matches("stopped behind a whole batch").count(), 3, "{phase}: {text}");
    output
}

/// The copy holds what a checkpoint covers: another run goes on from there until it is the same as the server.
async fn goes_on(fake: &FakeServer, url: &str, path: &Path, phase: &str) {
    let mut child = start(url, path);
    support::wait_until_same(fake, path, Duration::from_millis(200), phase).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let database = Database::open(path).unwrap();
    for (name, _) in demo::logs(fake) {
        assert_eq!(database.repeats(name).unwrap(), 0, "{phase}: {name} was delivered again behind a whole batch");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_is_interrupted_in_any_phase_stops_behind_a_whole_batch_and_goes_on() {
    // The phase, how slow the server is, whether it fails, and behind how many requests the signal comes.
    let phases: [(&str, u64, bool, usize); 6] = [
        ("before the first response", 60_000, false, 3),
        ("in the first scan", 50, false, 8),
        ("in the first scan, with errors", 20, true, 9),
        ("while it catches up", 0, false, 40),
        ("between two polls", 0, false, 70),
        ("behind errors", 0, true, 60),
    ];
    let folder = support::folder("interrupted");
    for (index, (phase, latency, fails, requests)) in phases.into_iter().enumerate() {
        let fake = FakeServer::new();
        demo::fill(&fake, 400);
        fake.latency(Duration::from_millis(latency));
        let hook = fake.clone();
        let mut turn = 0;
        let mut grow = move || {
            turn += 1;
            // The log grows and changes until it is to be at rest between two polls.
            if phase.contains("catches up") || (phase.contains("errors") && turn < 20) {
                demo::tick(&hook, turn);
            }
        };
        fake.before_each(move |server| {
            grow();
            if fails {
                server.fail_next(Fault::Status(503));
            }
        });
        let server = fake.listen().await.unwrap();
        let path = folder.join(format!("{index}.sqlite"));
        let child = start(&server.url(), &path);
        let output = interrupt(&fake, child, requests, phase).await;
        println!("{phase}: {} lines", String::from_utf8_lossy(&output.stdout).lines().count());
        fake.before_each(|_| {});
        fake.latency(Duration::ZERO);
        goes_on(&fake, &server.url(), &path, phase).await;
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
