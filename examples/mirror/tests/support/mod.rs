//! What the tests of the program share: they start it, and compare its copy with the server.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actionlog::testing::FakeServer;
use actionlog_mirror::{Database, demo};

/// A folder of this process, for the files of a test.
pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("actionlog-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A mirror of the server into this file, which polls as often. `output` is where its standard output and error go.
pub fn start(url: &str, path: &Path, poll: Duration, output: fn() -> Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_actionlog-mirror"))
        .arg(path)
        .env("UNLEASH_URL", url)
        .env("UNLEASH_TOKEN", "user:any")
        .env("ARKLOW_API_KEY", "any")
        .env("ARKLOW_ORG_ID", "4711")
        .env("ARKLOW_BASE_URL", url)
        .env("INTEGRATION_LOGS_URL", url)
        .env("INTEGRATION_LOGS_AUTHORIZATION", "any")
        .env("MIRROR_POLL_MS", poll.as_millis().to_string())
        .stdout(output())
        .stderr(output())
        .spawn()
        .unwrap()
}

/// Waits until the copy is the same as the server, for a minute at most.
pub async fn wait_until_same(fake: &FakeServer, path: &Path, every: Duration, phase: &str) {
    let begin = Instant::now();
    loop {
        tokio::time::sleep(every).await;
        let database = Database::open(path).unwrap();
        let differing: Vec<_> = demo::logs(fake)
            .into_iter()
            .map(|(name, log)| (name, demo::differing(&database, name, &log).unwrap()))
            .filter(|it| !it.1.is_empty())
            .collect();
        if differing.is_empty() {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{phase}: {differing:.200?} differ");
    }
}
