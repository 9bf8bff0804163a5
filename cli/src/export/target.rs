//! Where an export goes: a folder beside the final name while it is under way, and the renames at its end.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// The final name of an export, and the folder in which it is made.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    work: PathBuf,
    /// Held until the end, so that two runs don't write the same export.
    _lock: File,
}

/// What to do with what is there already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Existing {
    /// Replace it.
    pub force: bool,
    /// Continue an earlier run, if there is one.
    pub resume: bool,
}

/// One rename at the end of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The file's or folder's name in the work folder.
    pub from: String,
    /// Its name beside the final one.
    pub to: String,
}

impl Target {
    /// Checks the target, and locks its work folder, which it creates. Returns it and whether an earlier run is to be
    /// continued.
    ///
    /// # Errors
    ///
    /// If the target's folder isn't there, if something is in its place and isn't to be replaced, or if another run
    /// has it.
    pub fn open(path: &Path, existing: Existing) -> Result<(Self, bool), Failure> {
        let name = path.file_name().ok_or_else(|| Failure::Usage(format!("{} is no file name", path.display())))?;
        let folder = folder_of(path);
        if !folder.is_dir() {
            let why = if folder.exists() { "is no folder" } else { "isn't there: create it first" };
            return Err(Failure::Error(format!("the folder {} {why}", folder.display())));
        }
        if path.is_dir() && !manifest_of(path).exists() {
            return Err(Failure::Error(format!(
                "{} is a folder, and none that an export made: choose another name",
                path.display()
            )));
        }
        let mut part = name.to_owned();
        part.push(".part");
        let work = folder.join(part);
        let lock = lock(&work)?;
        let has_state = work.join(STATE).exists();
        let is_there = path.symlink_metadata().is_ok();
        // A run that was killed between its last renames is to finish them, whatever is there.
        if is_there && !existing.force && !(existing.resume && has_state) {
            if !has_state {
                let _ = fs::remove_dir_all(&work);
            }
            let hint = if existing.resume { " There is no unfinished run beside it." } else { "" };
            return Err(Failure::Error(format!("{} is there already: --force replaces it.{hint}", path.display())));
        }
        if has_state && !existing.resume && !existing.force {
            return Err(Failure::Error(format!(
                "an earlier run stopped before its end and left {}: --resume continues it, --force starts over",
                work.display()
            )));
        }
        let target = Self { path: path.to_owned(), work, _lock: lock };
        let resumed = has_state && existing.resume;
        if !resumed {
            target.clear()?;
        }
        Ok((target, resumed))
    }

    /// Returns the final name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file in the work folder.
    #[must_use]
    pub fn work(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// Returns the final file name with something behind it.
    #[must_use]
    pub fn named(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.path.file_name().unwrap_or_default().to_string_lossy())
    }

    /// Removes the work folder: there is nothing to continue.
    pub fn discard(self) {
        // If it can't be removed, the next run uses it.
        let _ = fs::remove_dir_all(&self.work);
    }

    /// Removes what an earlier run left, except for the lock.
    fn clear(&self) -> Result<(), Failure> {
        let failed = |error| Failure::file("clear", &self.work, error);
        for entry in fs::read_dir(&self.work).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.file_name().is_some_and(|it| it == LOCK) {
                continue;
            }
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|error| Failure::file("remove", &path, error))?;
        }
        Ok(())
    }

    /// Makes the renames that put the export in its place, and removes the work folder. Renames that were made by an
    /// earlier run are skipped.
    ///
    /// # Errors
    ///
    /// If a rename fails. The next run makes it again.
    pub fn commit(self, moves: &[Move], stale: &[String]) -> Result<(), Failure> {
        let folder = folder_of(&self.path);
        for Move { from, to } in moves {
            let (from, to) = (self.work.join(from), folder.join(to));
            if from.symlink_metadata().is_err() {
                continue;
            }
            // A folder can't be renamed over something, and nothing over a folder.
            if to.is_dir() || (from.is_dir() && to.exists()) {
                let old = self.work.join("replaced");
                let _ = fs::remove_dir_all(&old).or_else(|_| fs::remove_file(&old));
                fs::rename(&to, &old).map_err(|error| Failure::file("replace", &to, error))?;
            }
            fs::rename(&from, &to).map_err(|error| Failure::file("write", &to, error))?;
        }
        for name in stale {
            let _ = fs::remove_file(folder.join(name));
        }
        sync_folder(&folder);
        fs::remove_dir_all(&self.work).map_err(|error| Failure::file("remove", &self.work, error))?;
        sync_folder(&folder);
        Ok(())
    }
}

fn manifest_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".manifest.json");
    name.into()
}

/// The name of the state of a run in its work folder.
pub const STATE: &str = "state.json";

const LOCK: &str = "lock";

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes the entries of a folder durable, where the system can.
pub fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Creates the work folder, and locks it.
fn lock(work: &Path) -> Result<File, Failure> {
    let failed = |error: io::Error| Failure::file("create", work, error);
    if !work.join(LOCK).exists() && fs::read_dir(work).is_ok_and(|mut it| it.next().is_some()) {
        return Err(Failure::Error(format!(
            "{} is there, and none that an export left: move it, or choose another name",
            work.display()
        )));
    }
    // Another run may finish and remove the folder between any two of these steps.
    for _ in 0..10 {
        fs::create_dir_all(work).map_err(failed)?;
        let path = work.join(LOCK);
        let file = match OpenOptions::new().create(true).append(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file.map_err(failed)?,
        };
        match file.try_lock() {
            Ok(()) if is_same(&file, &path) => return Ok(file),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::Error(format!("another run is writing {}: wait for its end", work.display())));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    Err(Failure::Error(format!("another run keeps removing {}", work.display())))
}

/// Returns whether an open file is still the one of this name.
#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(open), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

#[cfg(not(unix))]
fn is_same(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Writes a file whole or not at all: beside its name, synced, renamed.
///
/// # Errors
///
/// If it can't be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".actionlog-");
    // As any other file that this user creates; a temporary file is for its owner alone.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let write = || -> io::Result<()> {
        let mut file = builder.tempfile_in(&folder)?;
        io::Write::write_all(&mut file, bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| Failure::file("write", path, error))?;
    sync_folder(&folder);
    Ok(())
}
