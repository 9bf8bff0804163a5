//! Two mirrors on one file: the second to save gets an error, and nothing of its batch is written.

mod support;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use actionlog::follow::{Batch, StartFrom};
use actionlog::page::Raw;
use actionlog::testing::FakeServer;
use actionlog::unleash::ActionSetEvent;
use actionlog::{LogRecord, UnleashClient};
use actionlog_mirror::{Database, Rival, demo};

/// What a follower of the fake server delivers first.
async fn batch(fake: &FakeServer, start: StartFrom) -> Batch<Raw<ActionSetEvent>> {
    let client = UnleashClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
    let listing = client.build().unwrap().action_set_events().list(("default", 1)).with_raw();
    listing.follow().start_from(start).next().await.unwrap().unwrap()
}

fn id(record: &ActionSetEvent) -> String {
    record.key().to_string()
}

#[tokio::test]
async fn of_two_that_go_on_from_one_checkpoint_the_second_writes_nothing_of_its_batch() {
    let folder = support::folder("rivals");
    let path = folder.join("mirror.sqlite");
    let (mut one, mut other) = (Database::open(&path).unwrap(), Database::open(&path).unwrap());
    let fake = FakeServer::new();
    fake.unleash().add_sample_events("default", 1, 10);
    let first = batch(&fake, StartFrom::Beginning).await;

    // Both begin without a checkpoint.
    let version = one.apply("unleash", &first, id, None).unwrap();
    fake.unleash().add_sample_events("default", 1, 1);
    let mut later = batch(&fake, StartFrom::Beginning).await;
    let error = other.apply("unleash", &later, id, None).unwrap_err();
    assert!(error.is::<Rival>(), "{error}");
    assert_eq!(one.records("unleash").unwrap().len(), 10);

    // Both go on from the same one.
    let (stored, known) = other.checkpoint("unleash").unwrap().unwrap();
    assert_eq!((&stored, known), (&first.checkpoint, version));
    let next = batch(&fake, StartFrom::Checkpoint(stored)).await;
    assert_eq!(next.changes.len(), 1);
    later.changes.clear();
    let version = other.apply("unleash", &later, id, Some(known)).unwrap();
    let error = one.apply("unleash", &next, id, Some(known)).unwrap_err();
    assert!(error.is::<Rival>(), "{error}");
    assert_eq!(other.records("unleash").unwrap().len(), 10);
    assert_eq!(one.checkpoint("unleash").unwrap(), Some((later.checkpoint, version)));

    // The other logs of the file have their own.
    one.apply("another", &next, id, None).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Waits until one of two mirrors has ended. Returns it, and then the other one.
async fn first_to_end(mut one: Child, mut other: Child) -> (Child, Child) {
    let begin = Instant::now();
    loop {
        if one.try_wait().unwrap().is_some() {
            return (one, other);
        }
        if other.try_wait().unwrap().is_some() {
            return (other, one);
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "both run");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn start(url: &str, path: &Path) -> Child {
    support::start(url, path, Duration::from_millis(50), Stdio::piped)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_on_one_file_one_fails_and_says_why_and_one_that_is_started_again_goes_on() {
    let folder = support::folder("rival-processes");
    let path = folder.join("mirror.sqlite");
    let fake = FakeServer::new();
    demo::fill(&fake, 200);
    let server = fake.listen().await.unwrap();

    let (failed, mut other) = first_to_end(start(&server.url(), &path), start(&server.url(), &path)).await;
    let output = failed.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("another mirror writes to the same file") && text.contains("start again"), "{text}");
    // It may have failed, too: by another of the three logs.
    other.kill().unwrap();
    other.wait().unwrap();

    demo::tick(&fake, 1);
    let mut again = start(&server.url(), &path);
    support::wait_until_same(&fake, &path, Duration::from_millis(50), "started again").await;
    again.kill().unwrap();
    again.wait().unwrap();
    let database = Database::open(&path).unwrap();
    for (name, _) in demo::logs(&fake) {
        assert_eq!(database.repeats(name).unwrap(), 0, "{name}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
