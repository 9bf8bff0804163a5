//! The mirror, killed fifty times while the logs grow, change and fail: in the end, the copy is the same as the server,
//! and each kill made it repeat a batch at most.

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
    let fake = FakeServer::new();
    demo::fill(&fake, 200);
    let server = fake.listen().await.unwrap();
    let folder = std::env::temp_dir().join(format!("actionlog-killed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("mirror.sqlite");

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
        let now = repeats(&path);
        for ((name, batch), (now, before)) in BATCHES.iter().zip(now.iter().zip(before)) {
            assert!(now - before <= *batch, "{name}: {} repeats since kill {kill}", now - before);
        }
        before = now;
    }
    is_growing.store(false, Ordering::Relaxed);
    let grown = grower.join().unwrap();

    let mut child = start(&server.url(), &path);
    support::wait_until_same(&fake, &path, Duration::from_millis(500), "at the end").await;
    child.kill().unwrap();
    child.wait().unwrap();
    let database = Database::open(&path).unwrap();
    for (index, (name, log)) in demo::logs(&fake).into_iter().enumerate() {
        let repeats = database.repeats(name).unwrap();
        println!("{name}: {} records, {grown} ticks, {repeats} repeats in {KILLS} kills", log.len());
        let batch = BATCHES.iter().find(|it| it.0 == name).unwrap().1;
        assert!(repeats - before[index] <= batch, "{name}: {} repeats since the last kill", repeats - before[index]);
    }
    drop(database);
    std::fs::remove_dir_all(&folder).unwrap();
}
