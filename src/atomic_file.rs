//! Files that are replaced as a whole: a crash at any moment leaves the old content or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Replaces the file: writes a temporary file beside it, syncs that to the disk, renames it, and syncs the folder.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = beside(path, ".tmp")?;
    let written = write(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The rest of a failed attempt is of no use to anybody.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    // The rename is on the disk once the folder is. (Windows syncs no folders.)
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// The path of a file with this behind its name.
pub(crate) fn beside(path: &Path, ending: &str) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or_else(|| io::Error::other("the path doesn't name a file"))?.to_owned();
    name.push(ending);
    Ok(path.with_file_name(name))
}
