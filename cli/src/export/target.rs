//! Where an export goes: a folder beside the final name while it is under way, and the renames at its end.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::lock;

/// The final name of an export, and the folder in which it is made.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    work: PathBuf,
    /// Held until the end, so that two runs don't write the same export, and nobody follows into it.
    _locks: (File, Option<File>),
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

/// The end of an export: what takes its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moves {
    /// The renames. The last one is that of the export itself.
    pub moves: Vec<Move>,
    /// Files that belong to what is replaced, and would be taken for files of the export: removed before the renames.
    pub foreign: Vec<String>,
    /// Files of an earlier export of this name that this one hasn't: removed after the renames.
    pub stale: Vec<String>,
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
        let name = checked_name(path)?;
        let folder = folder_of(path);
        if !folder.is_dir() {
            let why = if folder.exists() { "is no folder" } else { "isn't there: create it first" };
            return Err(Failure::Error(format!("the folder {} {why}", folder.display())));
        }
        replaceable(path)?;
        let work = folder.join(format!("{name}.part"));
        let lock = lock(&work)?;
        // Only then, as `follow` looks for this lock behind its own.
        let followed = lock::held_if_there(path)?;
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
        let target = Self { path: path.to_owned(), work, _locks: (lock, followed) };
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

    /// Returns whether something is under the final name.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.path.symlink_metadata().is_ok()
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
    /// If a rename fails, or if something is in the place and may not be replaced. The next run makes it again.
    pub fn commit(self, end: &Moves, may_replace: bool) -> Result<(), Failure> {
        let folder = folder_of(&self.path);
        let is_left = end.moves.last().is_some_and(|it| self.work.join(&it.from).symlink_metadata().is_ok());
        if is_left && self.is_there() && !may_replace {
            return Err(Failure::Error(format!(
                "{} is there now, and wasn't when the export began: --resume --force replaces it",
                self.path.display()
            )));
        }
        if is_left {
            remove_all(&folder, &end.foreign)?;
        }
        for Move { from, to } in &end.moves {
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
        remove_all(&folder, &end.stale)?;
        sync_folder(&folder);
        fs::remove_dir_all(&self.work).map_err(|error| Failure::file("remove", &self.work, error))?;
        sync_folder(&folder);
        Ok(())
    }
}

/// Returns the file name, if all files of an export can be named by it.
fn checked_name(path: &Path) -> Result<&str, Failure> {
    let unusable = |why: &str| Failure::Usage(format!("{} {why}", path.display()));
    let name = path.file_name().ok_or_else(|| unusable("is no file name"))?;
    // The manifest is JSON, and names it.
    let name = name.to_str().ok_or_else(|| unusable("isn't Unicode: choose another name"))?;
    if name == "-" {
        return Err(unusable("isn't the standard output here, as an export is a file: `timeline --json` writes there"));
    }
    // It would fail at the end of the export.
    let longest = lock::beside(path, LONGEST_SUFFIX).symlink_metadata();
    match longest.err().map(|it| it.kind()) {
        Some(io::ErrorKind::InvalidFilename) => {
            Err(unusable(&format!("is too long a name: {name}{LONGEST_SUFFIX} is to be beside it")))
        }
        _ => Ok(name),
    }
}

/// The longest of what is behind the name of a file of an export.
const LONGEST_SUFFIX: &str = ".invalid.ndjson";

/// Refuses what an export never replaces: a folder of something else, and a device.
fn replaceable(path: &Path) -> Result<(), Failure> {
    let Ok(found) = fs::metadata(path) else { return Ok(()) };
    let why = if found.is_dir() && !lock::beside(path, ".manifest.json").exists() {
        "is a folder, and none that an export made: choose another name"
    } else if is_device(path) {
        "is no regular file: an export is written beside its name, and renamed"
    } else {
        return Ok(());
    };
    Err(Failure::Error(format!("{} {why}", path.display())))
}

/// Returns whether a device or a pipe is there, such as `/dev/stdout`: a rename would replace it.
#[must_use]
pub fn is_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir())
}

/// Removes those of the files that are there.
fn remove_all(folder: &Path, names: &[String]) -> Result<(), Failure> {
    for path in names.iter().map(|it| folder.join(it)) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::file("remove", &path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The name of the state of a run in its work folder.
pub const STATE: &str = "state.json";

const LOCK: &str = "lock";

/// Returns whether an export to this path is under way.
///
/// # Errors
///
/// If its lock can't be read.
pub fn is_under_way(path: &Path) -> Result<bool, Failure> {
    lock::is_held(&lock::beside(path, ".part").join(LOCK))
}

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

/// Writes a file whole or not at all: beside its name, synced, renamed. A device or a pipe is written to as it is.
///
/// # Errors
///
/// If it can't be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: &io::Error| Failure::file("write", path, plain(error));
    if is_device(path) {
        return fs::write(path, bytes).map_err(|error| failed(&error));
    }
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
        io::Write::write_all(file.as_file_mut(), bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| failed(&error))?;
    sync_folder(&folder);
    Ok(())
}

/// Returns an error without the path of the temporary file, which says nothing to the user.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" at path ").map_or(text.as_str(), |it| it.0).to_owned()
}
