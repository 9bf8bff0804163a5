//! Locks that keep two runs away from one target: `follow` has one beside its file, which stays there, and `export` one
//! in its work folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// What stands behind the name of a file in the name of `follow`'s lock.
const FOLLOWED: &str = ".lock";

/// Returns the path with something behind its file name.
#[must_use]
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Locks a file that is followed into. The lock is another file, as SQLite has locks on the database itself.
///
/// # Errors
///
/// If another process follows into it, or the lock can't be created.
pub fn follow(path: &Path) -> Result<File, Failure> {
    let lock = beside(path, FOLLOWED);
    let file = OpenOptions::new().create(true).append(true).open(&lock);
    locked(file.map_err(|error| Failure::file("create", &lock, error))?, path)
}

/// Keeps `follow` away from a file, if it ever was there.
///
/// # Errors
///
/// If a process follows into the file.
pub fn held_if_there(path: &Path) -> Result<Option<File>, Failure> {
    match OpenOptions::new().append(true).open(beside(path, FOLLOWED)) {
        Ok(file) => locked(file, path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file("open", &beside(path, FOLLOWED), error)),
    }
}

fn locked(file: File, path: &Path) -> Result<File, Failure> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::Error(format!("another process follows into {}: stop it first", path.display())))
        }
        Err(TryLockError::Error(error)) => Err(Failure::file("lock", path, error)),
    }
}

/// Returns whether a process has locked this file.
///
/// # Errors
///
/// If that can't be found out.
pub fn is_held(lock: &Path) -> Result<bool, Failure> {
    let file = match File::open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Failure::file("open", lock, error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(Failure::file("lock", lock, error)),
    }
}
