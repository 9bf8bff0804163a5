//! The mirror, killed fifty times while the logs grow, change and fail: in the end, the copy is the same as the server.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actionlog::testing::{FakeServer, Fault};
use actionlog_mirror::{Database, demo};

const KILLS: u64 = 50;

fn start(url: &str, path: &std::path::Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_actionlog-mirror"))
        .arg(path)
        .env("UNLEASH_URL", url)
        .env("UNLEASH_TOKEN", "user:any")
        .env("ARKLOW_API_KEY", "any")
        .env("ARKLOW_ORG_ID", "4711")
        .env("ARKLOW_BASE_URL", url)
        .env("INTEGRATION_LOGS_URL", url)
        .env("INTEGRATION_LOGS_AUTHORIZATION", "any")
        .env("MIRROR_POLL_MS", "50")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
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

    for _ in 0..KILLS {
        let mut child = start(&server.url(), &path);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(30..700))).await;
        // SIGKILL: it can't clean up.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    is_growing.store(false, Ordering::Relaxed);
    let grown = grower.join().unwrap();

    let mut child = start(&server.url(), &path);
    let begin = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let database = Database::open(&path).unwrap();
        let differing: Vec<_> = demo::logs(&fake)
            .into_iter()
            .map(|(name, log)| (name, demo::differing(&database, name, &log).unwrap()))
            .filter(|it| !it.1.is_empty())
            .collect();
        if differing.is_empty() {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{differing:.200?} differ");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let database = Database::open(&path).unwrap();
    for (name, log) in demo::logs(&fake) {
        let repeats = database.repeats(name).unwrap();
        println!("{name}: {} records, {grown} ticks, {repeats} repeats in {KILLS} kills", log.len());
        assert!(repeats <= KILLS * 100, "{name}: {repeats} repeats");
    }
    drop(database);
    std::fs::remove_dir_all(&folder).unwrap();
}
