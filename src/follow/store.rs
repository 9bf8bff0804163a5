//! Where checkpoints are stored between two runs.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::atomic_file::{beside, replace};
use crate::follow::checkpoint::Checkpoint;

/// Stores the checkpoint of one follower.
///
/// Implement it for your database. [`save`](Self::save) must compare and set: it replaces the version that its caller
/// knows, and fails with [`StoreError::Conflict`] if there is another one. So two followers on one checkpoint are an
/// error, and don't overwrite each other.
///
/// ```
/// use actionlog::async_trait::async_trait;
/// use actionlog::follow::{Checkpoint, CheckpointStore, StoreError, Version};
/// use std::sync::Mutex;
///
/// /// One row of a table.
/// #[derive(Default)]
/// struct Row(Mutex<Option<(String, u64)>>);
///
/// #[async_trait]
/// impl CheckpointStore for Row {
///     async fn load(&self) -> Result<Option<(Checkpoint, Version)>, StoreError> {
///         let row = self.0.lock().unwrap().clone();
///         row.map(|(text, version)| Ok((text.parse().map_err(StoreError::other)?, Version::new(version)))).transpose()
///     }
///
///     async fn save(&self, checkpoint: &Checkpoint, expected: Option<Version>) -> Result<Version, StoreError> {
///         // UPDATE .. SET checkpoint = $1, version = version + 1 WHERE version = $2
///         let mut row = self.0.lock().unwrap();
///         if row.as_ref().map(|it| Version::new(it.1)) != expected {
///             return Err(StoreError::Conflict);
///         }
///         let version = expected.map_or(1, |it| it.number() + 1);
///         *row = Some((checkpoint.to_string(), version));
///         Ok(Version::new(version))
///     }
/// }
/// # fn main() {}
/// ```
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// Returns the stored checkpoint and its version. `None` if there is none yet.
    async fn load(&self) -> Result<Option<(Checkpoint, Version)>, StoreError>;

    /// Replaces the checkpoint of the version `expected`, or stores the first one if that is `None`. Returns the new
    /// version.
    async fn save(&self, checkpoint: &Checkpoint, expected: Option<Version>) -> Result<Version, StoreError>;
}

/// The version of a stored checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(u64);

impl Version {
    /// A version with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The version of what is saved over this one.
    fn next_to(expected: Option<Self>) -> Self {
        Self(expected.map_or(1, |it| it.0.wrapping_add(1)))
    }
}

/// Why a checkpoint can't be loaded or saved.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The stored checkpoint isn't the expected version: another follower has saved one. Nothing was stored.
    Conflict,
    /// Another process, or another store of this one, has the file open.
    Locked(PathBuf),
    /// The file isn't a checkpoint of this crate, or it was changed.
    Corrupt(PathBuf, Arc<dyn std::error::Error + Send + Sync>),
    /// The file can't be read or written. What was stored before is still there.
    Io(PathBuf, Arc<io::Error>),
    /// The error of a custom store.
    Other(Arc<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The error of a custom store.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(Arc::from(error.into()))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str(
                "the stored checkpoint isn't the expected one: it was removed, or another follower saves to the same \
                 store; run one only, or give each its own",
            ),
            Self::Locked(path) => {
                write!(f, "{} is in use by another follower: run one only, or give each its own file", path.display())
            }
            Self::Corrupt(path, _) => write!(
                f,
                "{} isn't a checkpoint that this crate wrote: remove it to start without one, or restore it",
                path.display()
            ),
            Self::Io(path, _) => write!(f, "the checkpoint {} can't be read or written", path.display()),
            Self::Other(_) => f.write_str("the checkpoint can't be loaded or saved"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Conflict | Self::Locked(_) => None,
            Self::Corrupt(_, error) | Self::Other(error) => Some(&**error),
            Self::Io(_, error) => Some(&**error),
        }
    }
}

/// Keeps a checkpoint in memory, for tests, and for followers that start from scratch with each run. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryCheckpoints {
    stored: Arc<Mutex<Option<(Checkpoint, Version)>>>,
}

impl MemoryCheckpoints {
    /// A store without a checkpoint.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl CheckpointStore for MemoryCheckpoints {
    async fn load(&self) -> Result<Option<(Checkpoint, Version)>, StoreError> {
        Ok(self.stored.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn save(&self, checkpoint: &Checkpoint, expected: Option<Version>) -> Result<Version, StoreError> {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.as_ref().map(|it| it.1) != expected {
            return Err(StoreError::Conflict);
        }
        let version = Version::next_to(expected);
        *stored = Some((checkpoint.clone(), version));
        Ok(version)
    }
}

/// Keeps a checkpoint in a file.
///
/// Each save writes a temporary file beside it, syncs that to the disk, renames it, and syncs the folder: a crash at
/// any moment leaves the old checkpoint or the new one, whole. A file beside it, with `.lock` behind its name, is
/// locked as long as the store is open, so that two processes can't use one checkpoint. Clones share the lock. The file
/// stays; the lock ends with the process, also with one that is killed.
///
/// Keep it in a folder where only you can write. A save needs the right to create files there, and room for a second
/// checkpoint.
///
/// ```no_run
/// # async fn example(client: actionlog::UnleashClient) -> Result<(), Box<dyn std::error::Error>> {
/// use actionlog::follow::FileCheckpoints;
///
/// let store = FileCheckpoints::open("unleash.checkpoint")?;
/// let follow = client.action_set_events().list(("default", 7)).follow();
/// follow.run(&store, async |batch| Ok::<_, std::io::Error>(println!("{} changes", batch.changes.len()))).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FileCheckpoints {
    inner: Arc<Opened>,
}

#[derive(Debug)]
struct Opened {
    path: PathBuf,
    /// Locked until it is closed. Held while the checkpoint is read or replaced.
    lock: Mutex<File>,
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: Version,
    checkpoint: Checkpoint,
}

impl FileCheckpoints {
    /// Opens the store. The file needn't exist; its folder must.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] if another store has it open, and [`StoreError::Io`] if the lock file can't be created.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let failed = |error| StoreError::Io(path.clone(), Arc::new(error));
        let lock = beside(&path, ".lock").map_err(failed)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(lock).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(path)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        Ok(Self { inner: Arc::new(Opened { path, lock: Mutex::new(lock) }) })
    }

    /// The path of the checkpoint.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Runs a function on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Opened) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        let path = self.inner.path.clone();
        let gone = |error| StoreError::Io(path, Arc::new(io::Error::other(error)));
        tokio::task::spawn_blocking(move || run(&inner)).await.map_err(gone)?
    }
}

#[async_trait]
impl CheckpointStore for FileCheckpoints {
    async fn load(&self) -> Result<Option<(Checkpoint, Version)>, StoreError> {
        self.blocking(|it| {
            let _held = it.lock.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(it.read()?.map(|it| (it.checkpoint, it.version)))
        })
        .await
    }

    async fn save(&self, checkpoint: &Checkpoint, expected: Option<Version>) -> Result<Version, StoreError> {
        let checkpoint = checkpoint.clone();
        self.blocking(move |it| {
            let _held = it.lock.lock().unwrap_or_else(PoisonError::into_inner);
            if it.read()?.map(|it| it.version) != expected {
                return Err(StoreError::Conflict);
            }
            let version = Version::next_to(expected);
            let text = serde_json::to_vec(&Stored { version, checkpoint }).map_err(StoreError::other)?;
            replace(&it.path, &text).map_err(|error| StoreError::Io(it.path.clone(), Arc::new(error)))?;
            Ok(version)
        })
        .await
    }
}

impl Opened {
    fn read(&self) -> Result<Option<Stored>, StoreError> {
        match fs::read(&self.path) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(stored) => Ok(Some(stored)),
                Err(error) => Err(StoreError::Corrupt(self.path.clone(), Arc::new(error))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Io(self.path.clone(), Arc::new(error))),
        }
    }
}
