//! The directory itself: its lock and the version of its layout.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{IdentityError, durable};

/// The layout that this build reads and writes.
const FORMAT: u32 = 1;
/// A format file is one short line.
const FORMAT_LIMIT: usize = 64;
/// What may be in a directory that meshd has not used yet: its configuration, and its lock after a crash.
const BEFORE_FORMAT: [&str; 3] = ["meshd.toml", "lock", ".format.new"];

/// A data directory that no other process has. Released when dropped, or by the system when the process dies.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Takes `path` for this process, and makes it where it is not there.
    pub fn lock(path: &Path) -> Result<Self, IdentityError> {
        make(path)?;
        let fresh = check_format(path)?.is_none();
        let lock = lock_file(path)?;
        if fresh && check_format(path)?.is_none() {
            durable::create(path, "format", format!("{FORMAT}\n").as_bytes(), durable::PLAIN)?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `name` within.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Makes the directory and those above it that are not there, closed to others, and the entry of each durable.
fn make(path: &Path) -> Result<(), IdentityError> {
    if path.is_dir() {
        return Ok(());
    }
    let changed = parents_of_missing(path);
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(IdentityError::io("make", path))?;
    changed.into_iter().try_for_each(durable::sync_dir)
}

/// The directories that get an entry when `path` is made, the lowest first. Were one not synced, all below it would be
/// gone with the power.
fn parents_of_missing(path: &Path) -> Vec<&Path> {
    let missing = path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.is_dir());
    missing
        .filter_map(|path| match path.parent()? {
            // Of a relative path of one part: it is made where this process stands.
            parent if parent.as_os_str().is_empty() => Some(Path::new(".")),
            parent => Some(parent),
        })
        .collect()
}

/// The directory's format, `None` if meshd has not used it yet. Writes nothing.
pub(super) fn check_format(path: &Path) -> Result<Option<u32>, IdentityError> {
    match durable::read(&path.join("format"), FORMAT_LIMIT)? {
        Some(bytes) => {
            let found = String::from_utf8_lossy(&bytes).trim().to_owned();
            if found.parse() == Ok(FORMAT) {
                return Ok(Some(FORMAT));
            }
            Err(IdentityError::Format { path: path.to_owned(), found, known: FORMAT })
        }
        None => {
            for entry in std::fs::read_dir(path).map_err(IdentityError::io("list", path))? {
                let name = entry.map_err(IdentityError::io("list", path))?.file_name();
                if !BEFORE_FORMAT.iter().any(|known| name == *known) {
                    return Err(IdentityError::NotOurs { path: path.to_owned() });
                }
            }
            Ok(None)
        }
    }
}

/// The lock is the system's, not the file's presence, so that a process killed with -9 leaves nothing to clean up.
fn lock_file(path: &Path) -> Result<File, IdentityError> {
    let name = path.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(durable::PLAIN)
        .open(&name)
        .map_err(IdentityError::io("open", &name))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Who holds it is only for the message; a holder that is just starting has not written it yet.
            let pid = match (&file).take(20).read_to_string(&mut text) {
                Ok(_) => text.trim().parse().ok(),
                Err(_) => None,
            };
            return Err(IdentityError::Locked { path: path.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(IdentityError::io("lock", &name)(error)),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
    match written {
        Ok(()) => Ok(file),
        // On a full disk the lock holds all the same, only namelessly.
        Err(error) if error.kind() == ErrorKind::StorageFull => Ok(file),
        Err(error) => Err(IdentityError::io("write", &name)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/data");
        let held = DataDir::lock(&path).unwrap();
        // The lock belongs to the open file, so a second opening stands for a second process.
        let error = DataDir::lock(&path).unwrap_err();
        assert!(matches!(error, IdentityError::Locked { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
        drop(held);
        DataDir::lock(&path).unwrap();
    }

    #[test]
    fn every_directory_that_gets_an_entry_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path();
        let parents = |path: &Path| parents_of_missing(path).into_iter().map(Path::to_owned).collect::<Vec<_>>();
        assert_eq!(parents(&here.join("a")), [here]);
        assert_eq!(parents(&here.join("a/b/c")), [here.join("a/b"), here.join("a"), here.to_owned()]);
        assert_eq!(parents(here), [] as [PathBuf; 0]);
        // As it is written after `--data-dir`.
        let relative = format!("not-there-{:016x}", rand::random::<u64>());
        assert_eq!(parents(Path::new(&relative)), [Path::new(".")]);
        assert_eq!(parents(&Path::new(&relative).join("b")), [Path::new(&relative), Path::new(".")]);
    }

    #[test]
    fn an_unknown_format_stops_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("format"), "7\n").unwrap();
        let error = DataDir::lock(dir.path()).unwrap_err().to_string();
        assert!(error.contains("format 7") && error.contains("format 1"), "{error}");
        assert_eq!(std::fs::read(dir.path().join("format")).unwrap(), b"7\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn somebody_elses_directory_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("thesis.tex"), "").unwrap();
        assert!(matches!(DataDir::lock(dir.path()), Err(IdentityError::NotOurs { .. })));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_configuration_may_be_there_first() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("meshd.toml"), "").unwrap();
        drop(DataDir::lock(dir.path()).unwrap());
        drop(DataDir::lock(dir.path()).unwrap());
    }
}
