//! What a task has put into its directory, and what it left of the disk.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What all files and directories below one take.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// On the disk.
    pub bytes: u64,
    /// Of the largest file.
    pub largest: u64,
    pub entries: usize,
}

/// Why a directory was not looked through.
#[derive(Debug)]
pub enum Unseen {
    /// It was left off there.
    More(Holdings),
    /// Part of it cannot be listed: its path is too long for the system, or the task forbade it.
    Hidden(io::Error),
}

impl Holdings {
    /// Looks at as much as `is_enough` allows; a task may make a million entries.
    pub fn of(work: &Path, is_enough: impl Fn(&Self) -> bool) -> Result<Self, Unseen> {
        let mut found = Self::default();
        let mut open: Vec<PathBuf> = vec![work.to_path_buf()];
        while let Some(directory) = open.pop() {
            let entries = match std::fs::read_dir(&directory) {
                Ok(entries) => entries,
                // It has gone meanwhile, or a file took its place.
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(Unseen::Hidden(error)),
            };
            for entry in entries {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) if is_gone(&error) => break,
                    Err(error) => return Err(Unseen::Hidden(error)),
                };
                found.entries += 1;
                let data = match entry.metadata() {
                    Ok(data) => data,
                    Err(error) if is_gone(&error) => continue,
                    Err(error) => return Err(Unseen::Hidden(error)),
                };
                if data.is_dir() {
                    open.push(entry.path());
                }
                let taken = data.blocks().saturating_mul(512);
                found.bytes = found.bytes.saturating_add(taken);
                found.largest = found.largest.max(taken);
                if is_enough(&found) {
                    return Err(Unseen::More(found));
                }
            }
        }
        Ok(found)
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether so little is left on the disk that who filled it is to end: before those who wrote little, and these before the
/// node has no room to finish. A disk is full of bytes (`limit`) or of files, of which the limit is one for each
/// [`BYTES_OF_A_FILE`].
pub fn is_disk_full(work: &Path, limit: u64) -> bool {
    let Ok(disk) = rustix::fs::statvfs(work) else { return false };
    let bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
    // Some file systems make room for files as they go, and tell no number.
    let files = if disk.f_files == 0 { u64::MAX } else { disk.f_favail };
    is_full(work, limit, bytes, files)
}

const BYTES_OF_A_FILE: u64 = 16 << 10;

fn is_full(work: &Path, limit: u64, bytes: u64, files: u64) -> bool {
    let files_limit = limit / BYTES_OF_A_FILE;
    bytes < limit / 16
        || files < files_limit / 16
        || bytes < limit && holds_more_than(work, limit / 4, usize::MAX)
        || files < files_limit
            && holds_more_than(work, u64::MAX, usize::try_from(files_limit / 4).unwrap_or(usize::MAX))
}

/// Who hides behind very many entries is ended with those who wrote little, who hides what it has with those who filled
/// the disk.
fn holds_more_than(work: &Path, bytes: u64, entries: usize) -> bool {
    const MOST_ENTRIES: usize = 10_000;
    let is_more = |found: &Holdings| found.bytes > bytes || found.entries > entries;
    match Holdings::of(work, |found| is_more(found) || found.entries > MOST_ENTRIES) {
        Ok(found) | Err(Unseen::More(found)) => is_more(&found),
        Err(Unseen::Hidden(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const MIB: u64 = 1 << 20;

    fn four_files() -> tempfile::TempDir {
        let work = tempfile::tempdir().unwrap();
        let deep = work.path().join("a/b/c");
        fs::create_dir_all(&deep).unwrap();
        for at in 0..4 {
            fs::write(deep.join(at.to_string()), vec![1; 100 << 10]).unwrap();
        }
        work
    }

    /// Directories inside one another, until no path that begins at the root reaches the last.
    pub fn deep_tree(work: &Path) -> usize {
        let name = "d".repeat(200);
        let mut directory = fs::File::open(work).unwrap();
        for depth in 0.. {
            if depth * name.len() > 6_000 {
                return depth;
            }
            rustix::fs::mkdirat(&directory, &name, rustix::fs::Mode::RWXU).unwrap();
            let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::RDONLY;
            directory = rustix::fs::openat(&directory, &name, flags, rustix::fs::Mode::empty()).unwrap().into();
        }
        unreachable!("it was deep enough");
    }

    #[test]
    fn what_a_directory_holds_is_the_sum_of_all_below() {
        let work = four_files();
        let found = Holdings::of(work.path(), |_| false).unwrap();
        assert_eq!(found.entries, 7);
        assert!((400 << 10..MIB).contains(&found.bytes), "{found:?}");
        assert!((100 << 10..200 << 10).contains(&found.largest), "{found:?}");
        assert!(holds_more_than(work.path(), 300 << 10, usize::MAX));
        assert!(!holds_more_than(work.path(), 10 << 20, usize::MAX));
        assert!(holds_more_than(work.path(), u64::MAX, 6));
        assert!(!holds_more_than(work.path(), u64::MAX, 7));
        assert!(!holds_more_than(&work.path().join("gone"), 0, 0));
    }

    #[test]
    fn what_cannot_be_looked_through_is_not_taken_for_empty() {
        let work = tempfile::tempdir().unwrap();
        deep_tree(work.path());
        assert!(matches!(Holdings::of(work.path(), |_| false), Err(Unseen::Hidden(_))));
        assert!(holds_more_than(work.path(), u64::MAX, usize::MAX));
        super::super::directory::remove(work.path()).unwrap();
        assert!(!work.path().exists());
    }

    #[test]
    fn a_disk_is_full_of_bytes_or_of_files() {
        let work = four_files();
        let is_full = |limit: u64, bytes, files| is_full(work.path(), limit, bytes, files);
        assert!(!is_full(MIB, MIB, 64), "as much is left as is to be");
        assert!(is_full(MIB, MIB / 2, 64), "it holds 400 KiB");
        assert!(!is_full(16 * MIB, 8 * MIB, 1024), "it holds little");
        assert!(is_full(16 * MIB, MIB - 1, 1024), "nobody goes on");
        assert!(is_full(MIB / 4, MIB, 15), "of sixteen, it holds seven");
        assert!(!is_full(MIB, MIB, 63), "of sixty-four, it holds seven");
        assert!(is_full(MIB, MIB, 3), "nobody goes on");
        assert!(!is_full(0, 0, 0), "no limit");
    }
}
