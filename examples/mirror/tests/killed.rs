//! The mirror, killed fifty times while the logs grow, change and fail: in the end, the copy is the same as the server,
//! and each kill made it repeat a batch at most, also in its first scan.

mod support;

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actionlog::testing::{FakeServer, Fault};
use actionlog_mirror::{Database, demo};

const KILLS: u64 = 50;

/// The most changes in a batch of each log: a page of the default size.
const BATCHES: [(&str, u64); 3] = [("unleash", 50), ("arklow", 50), ("integration", 100)];

const POLL: Duration = Duration::from_millis(50);

fn start(url: &str, path: &Path) -> Child {
    support::start(url, path, POLL, Stdio::null)
}

/// How many records of each log were delivered again so far.
fn repeats(path: &Path) -> [u64; 3] {
    let database = Database::open(path).unwrap();
    BATCHES.map(|(name, _)| database.repeats(name).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_is_killed_fifty_times_ends_up_with_the_servers_records_in_their_last_state() {
    kill_often("killed", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_is_killed_fifty_times_from_its_first_scan_on_ends_up_the_same() {
    kill_often("killed-first", false).await;
}

/// `has_read`: it has read the logs for the first time before it is killed.
async fn kill_often(name: &str, has_read: bool) {
    let fake = FakeServer::new();
    demo::fill(&fake, 200);
    let server = fake.listen().await.unwrap();
    let folder = support::folder(name);
    let path = folder.join("mirror.sqlite");
    if has_read {
        run_until_same(&fake, &server.url(), &path, "at first").await;
    }

    // Each log grows by 50 records a second; as many change, and some responses fail.
    let is_growing = Arc::new(AtomicBool::new(true));
    let (growing, world) = (Arc::clone(&is_growing), fake.clone());
    let grower = std::thread::spawn(move || {
        let mut turn = 0;
        while growing.load(Ordering::Relaxed) {
            turn += 1;
            demo::tick(&world, turn);
            if turn % 10 == 0 {
                world.fail_next([Fault::Status(503), Fault::Reset, Fault::EmptyOnce][turn / 10 % 3].clone());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        turn
    });
    let mut before = [0; 3];
    for kill in 1..=KILLS {
        let mut child = start(&server.url(), &path);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(30..700))).await;
        // SIGKILL: it can't clean up.
        child.kill().unwrap();
        child.wait().unwrap();
        before = check_repeats(&path, before, kill);
    }
    is_growing.store(false, Ordering::Relaxed);
    let grown = grower.join().unwrap();

    run_until_same(&fake, &server.url(), &path, "at the end").await;
    let repeats = check_repeats(&path, before, KILLS + 1);
    println!("{} records, {grown} ticks, {repeats:?} repeats in {KILLS} kills", fake.integration().log().len());
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Runs the mirror until its copy is the same as the server.
async fn run_until_same(fake: &FakeServer, url: &str, path: &Path, phase: &str) {
    let mut child = start(url, path);
    support::wait_until_same(fake, path, Duration::from_millis(500), phase).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

/// How many records of each log were delivered again. Since the run before, these are a batch at most.
fn check_repeats(path: &Path, before: [u64; 3], run: u64) -> [u64; 3] {
    let now = repeats(path);
    for ((name, batch), (now, before)) in BATCHES.iter().zip(now.iter().zip(before)) {
        assert!(now - before <= *batch, "{name}: {} repeats in run {run}", now - before);
    }
    now
}
