//! Checkpoints and stores: what is refused, what is kept, and what a caller sees.

use actionlog::follow::{
    Checkpoint, CheckpointStore, FileCheckpoints, GapReason, MemoryCheckpoints, RunError, StartFrom, StoreError,
    Version,
};
use actionlog::testing::FakeServer;
use actionlog::{ErrorKind, UnleashClient};

use crate::follow::{event, events, fake_with_events, short, unleash};

/// A folder for one test, removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("actionlog-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.join("events.checkpoint")
    }

    /// A store in the file, what is stored there, and its version.
    async fn store(&self) -> (FileCheckpoints, Checkpoint, Version) {
        let store = FileCheckpoints::open(self.file()).unwrap();
        let one = checkpoint(&fake_with_events(10)).await;
        let version = store.save(&one, None).await.unwrap();
        (store, one, version)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

async fn checkpoint(server: &FakeServer) -> Checkpoint {
    let mut follow = events(server);
    loop {
        let batch = follow.next().await.unwrap().unwrap();
        if batch.progress.caught_up {
            return batch.checkpoint;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_another_listing_is_refused_before_anything_is_sent() {
    let server = fake_with_events(10);
    let checkpoint = checkpoint(&server).await;
    let before = server.requests().len();
    let others = [
        (unleash(&server).action_set_events().list(("default", 2)), "the path"),
        (
            UnleashClient::builder("http://localhost/base")
                .api_key("any")
                .http_client(server.http_client())
                .build()
                .unwrap()
                .action_set_events()
                .list(("default", 1)),
            "the server",
        ),
    ];
    for (listing, expected) in others {
        let mut follow = listing.follow().start_from(StartFrom::Checkpoint(checkpoint.clone()));
        let error = follow.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.to_string().contains("another listing") && error.to_string().contains(expected), "{error}");
        assert!(follow.next().await.is_none());
    }
    assert_eq!(server.requests().len(), before);
    // Where the log has moved, the caller says so.
    let moved = checkpoint.rebase("http://localhost/base").unwrap();
    let client = UnleashClient::builder("http://localhost/base").api_key("any").http_client(server.http_client());
    let listing = client.build().unwrap().action_set_events().list(("default", 1));
    let batch = listing.follow().start_from(StartFrom::Checkpoint(moved)).next().await.unwrap();
    assert!(batch.is_err_and(|it| it.kind() != ErrorKind::InvalidRequest), "the fake has no such path");
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_a_renamed_host_is_rebased_and_the_follower_goes_on_from_it() {
    let server = fake_with_events(10);
    let checkpoint = checkpoint(&server).await;
    server.unleash().add_raw("default", 1, event(11, "success"));
    let moved = checkpoint.clone().rebase("https://renamed.example/").unwrap();
    let follow = |server: &FakeServer| {
        let client = crate::support::builder("https://renamed.example").http_client(server.http_client());
        let listing = client.build().unwrap().action_set_events().list(("default", 1));
        listing.follow().start_from(StartFrom::Checkpoint(moved.clone()))
    };
    let batch = follow(&server).next().await.unwrap().unwrap();
    assert_eq!((batch.changes.len(), batch.progress.gap), (1, None));

    // That the other host has the same records can't be checked: with others, there is a gap, and all of them come.
    let other = FakeServer::new();
    for id in 500..512 {
        other.unleash().add_raw("default", 1, event(id, "success"));
    }
    let mut follow = follow(&other);
    let (mut delivered, mut gap) = (0, None);
    while delivered < 12 {
        let batch = follow.next().await.unwrap().unwrap();
        delivered += batch.changes.len();
        gap = gap.or(batch.progress.gap.map(|it| it.reason));
    }
    assert_eq!((delivered, gap), (12, Some(GapReason::AnchorsGone)));

    for wrong in ["", "renamed.example", "ftp://renamed.example", "https://user:hunter2@renamed.example"] {
        let error = checkpoint.clone().rebase(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{wrong}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_another_version_or_one_that_was_changed_is_refused() {
    let server = fake_with_events(10);
    let text = checkpoint(&server).await.to_string();
    assert_eq!(text.parse::<Checkpoint>().unwrap().to_string(), text);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();

    let mut other = value.clone();
    other["version"] = 7.into();
    other["state"] = serde_json::json!([1, 2]);
    let other: Checkpoint = serde_json::from_value(other).unwrap();
    let error = events(&server).start_from(StartFrom::Checkpoint(other.clone())).next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("version 7"), "{error}");
    assert!(serde_json::to_string(&other).unwrap_err().to_string().contains("version 7"));

    for change in [
        |it: &mut serde_json::Value| it["state"]["scans"] = 3.into(),
        |it: &mut serde_json::Value| it["state"]["head"]["keys"][0] = "n99".into(),
        |it: &mut serde_json::Value| it["check"] = "0000000000000000".into(),
        |it: &mut serde_json::Value| drop(it.as_object_mut().unwrap().remove("state")),
    ] {
        let mut value = value.clone();
        change(&mut value);
        let error = serde_json::from_value::<Checkpoint>(value.clone()).unwrap_err();
        assert!(error.to_string().contains("corrupt"), "{error}");
        let error = value.to_string().parse::<Checkpoint>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    }
    // A database may reorder the keys and change the blanks.
    let reordered = serde_json::to_string_pretty(&value).unwrap();
    assert_eq!(reordered.parse::<Checkpoint>().unwrap().to_string(), text);
}

#[tokio::test(start_paused = true)]
async fn the_second_of_two_followers_on_one_checkpoint_gets_an_error() {
    let server = fake_with_events(10);
    let one = checkpoint(&server).await;
    let store = MemoryCheckpoints::new();
    let first = store.save(&one, None).await.unwrap();
    assert!(matches!(store.save(&one, None).await, Err(StoreError::Conflict)));
    let second = store.save(&one, Some(first)).await.unwrap();
    assert!(matches!(store.save(&one, Some(first)).await, Err(StoreError::Conflict)));
    assert_eq!(store.load().await.unwrap(), Some((one.clone(), second)));

    // In a loop: the other one saves between two batches.
    let (rival, mut batches) = (store.clone(), 0);
    let result = events(&server)
        .start_from(StartFrom::Beginning)
        .run(&store, |_| {
            batches += 1;
            let (rival, one, server) = (rival.clone(), one.clone(), server.clone());
            async move {
                let version = rival.load().await?.map(|it| it.1);
                rival.save(&one, version).await?;
                server.unleash().add_raw("default", 1, event(20 + i64::from(batches), "success"));
                Ok::<_, StoreError>(())
            }
        })
        .await;
    assert!(matches!(result, Err(RunError::Store(StoreError::Conflict))), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_store_is_locked_while_it_is_open() {
    let folder = Folder::new("locked");
    let store = FileCheckpoints::open(folder.file()).unwrap();
    let error = FileCheckpoints::open(folder.file()).unwrap_err();
    assert!(matches!(error, StoreError::Locked(_)), "{error:?}");
    assert!(error.to_string().contains("another follower"), "{error}");
    let clone = store.clone();
    drop(store);
    assert!(FileCheckpoints::open(folder.file()).is_err(), "a clone has it open");
    drop(clone);
    FileCheckpoints::open(folder.file()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_store_compares_and_sets_and_holds_the_old_or_the_new_checkpoint() {
    let folder = Folder::new("file");
    let server = fake_with_events(10);
    let one = checkpoint(&server).await;
    server.unleash().add_raw("default", 1, event(11, "success"));
    let other = checkpoint(&server).await;
    let store = FileCheckpoints::open(folder.file()).unwrap();
    assert_eq!(store.load().await.unwrap(), None);
    let first = store.save(&one, None).await.unwrap();
    assert!(matches!(store.save(&other, None).await, Err(StoreError::Conflict)));
    assert!(matches!(store.save(&other, Some(Version::new(9))).await, Err(StoreError::Conflict)));
    assert_eq!(store.load().await.unwrap(), Some((one.clone(), first)));
    let second = store.save(&other, Some(first)).await.unwrap();
    assert_eq!(store.load().await.unwrap(), Some((other.clone(), second)));
    // What a killed process leaves behind is in nobody's way.
    std::fs::write(folder.0.join("events.checkpoint.tmp"), "half").unwrap();
    drop(store);
    let store = FileCheckpoints::open(folder.file()).unwrap();
    assert_eq!(store.load().await.unwrap(), Some((other, second)));
    store.save(&one, Some(second)).await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_disk_that_is_full_is_an_error_and_the_old_checkpoint_stays() {
    let folder = Folder::new("full");
    let (store, one, first) = folder.store().await;
    // Every write to it fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", folder.0.join("events.checkpoint.tmp")).unwrap();
    let error = store.save(&one, Some(first)).await.unwrap_err();
    let StoreError::Io(_, source) = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{source:?}");
    assert_eq!(store.load().await.unwrap(), Some((one.clone(), first)));
    // Once there is room, it goes on.
    store.save(&one, Some(first)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_no_temporary_file_can_be_written_the_old_checkpoint_stays() {
    let folder = Folder::new("no-temporary");
    let (store, one, first) = folder.store().await;
    let in_its_place = folder.0.join("events.checkpoint.tmp");
    std::fs::create_dir(&in_its_place).unwrap();
    let error = store.save(&one, Some(first)).await.unwrap_err();
    assert!(matches!(error, StoreError::Io(..)), "{error:?}");
    assert_eq!(store.load().await.unwrap(), Some((one.clone(), first)));
    std::fs::remove_dir(&in_its_place).unwrap();
    store.save(&one, Some(first)).await.unwrap();
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn in_a_folder_that_is_read_only_the_old_checkpoint_stays() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new("read-only");
    let (store, one, first) = folder.store().await;
    let allow = |mode| std::fs::set_permissions(&folder.0, std::fs::Permissions::from_mode(mode)).unwrap();
    allow(0o555);
    // To root, no folder is read-only.
    if std::fs::write(folder.0.join("any"), "").is_err() {
        let error = store.save(&one, Some(first)).await.unwrap_err();
        let StoreError::Io(_, source) = &error else { panic!("{error:?}") };
        assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied, "{source:?}");
        assert!(FileCheckpoints::open(folder.0.join("other.checkpoint")).is_err());
    }
    assert_eq!(store.load().await.unwrap(), Some((one.clone(), first)));
    allow(0o755);
    store.save(&one, Some(first)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_no_checkpoint_is_an_error_that_says_what_to_do() {
    let folder = Folder::new("torn");
    let (store, one, _) = folder.store().await;
    drop(store);
    let text = std::fs::read(folder.file()).unwrap();
    for torn in [&text[..text.len() / 2], b"", b"null"] {
        std::fs::write(folder.file(), torn).unwrap();
        let store = FileCheckpoints::open(folder.file()).unwrap();
        let error = store.load().await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(..)), "{error:?}");
        assert!(error.to_string().contains("remove it"), "{error}");
        assert!(store.save(&one, None).await.is_err(), "it isn't overwritten");
    }
    assert!(FileCheckpoints::open(folder.0.join("missing/events.checkpoint")).is_err());
}

/// A store that fails to save.
struct Broken;

#[async_trait::async_trait]
impl CheckpointStore for Broken {
    async fn load(&self) -> Result<Option<(Checkpoint, Version)>, StoreError> {
        Ok(None)
    }

    async fn save(&self, _: &Checkpoint, _: Option<Version>) -> Result<Version, StoreError> {
        Err(StoreError::other("the database is away"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_or_a_handler_that_fails_ends_the_loop_and_the_batch_comes_again() {
    let server = fake_with_events(70);
    let mut seen = Vec::new();
    let result = events(&server)
        .run(&Broken, |batch| {
            seen.push(batch.changes.len());
            async { Ok::<_, std::io::Error>(()) }
        })
        .await;
    let error = result.unwrap_err();
    assert!(matches!(error, RunError::Store(StoreError::Other(_))), "{error:?}");
    assert_eq!(seen, [50]);

    let store = MemoryCheckpoints::new();
    let mut turn = 0;
    let mut all: Vec<String> = Vec::new();
    while turn < 3 {
        let result = events(&server)
            .run(&store, |batch| {
                turn += 1;
                all.extend(batch.changes.iter().map(short));
                // The second batch fails once.
                let failed = turn == 2;
                let done = turn > 2 && batch.progress.caught_up;
                async move { if failed || done { Err(std::io::Error::other("no")) } else { Ok(()) } }
            })
            .await;
        assert!(matches!(result, Err(RunError::Handler(_))), "{result:?}");
    }
    let second: Vec<_> = (1..=20).rev().map(|it| format!("+{it}")).collect();
    let first: Vec<_> = (21..=70).rev().map(|it| format!("+{it}")).collect();
    assert_eq!(all, [first, second.clone(), second].concat());
}

#[tokio::test(start_paused = true)]
async fn a_file_with_the_last_version_there_is_or_one_that_was_removed_is_no_panic() {
    let folder = Folder::new("versions");
    let (store, one, version) = folder.store().await;
    let text = std::fs::read_to_string(folder.file()).unwrap();
    let last = text.replacen(&format!("\"version\":{}", version.number()), &format!("\"version\":{}", u64::MAX), 1);
    std::fs::write(folder.file(), last).unwrap();
    let (_, version) = store.load().await.unwrap().unwrap();
    assert_eq!(version.number(), u64::MAX);
    let next = store.save(&one, Some(version)).await.unwrap();
    assert!(matches!(store.save(&one, Some(version)).await, Err(StoreError::Conflict)));
    std::fs::remove_file(folder.file()).unwrap();
    let error = store.save(&one, Some(next)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict) && error.to_string().contains("it was removed"), "{error}");
    store.save(&one, None).await.unwrap();
}
