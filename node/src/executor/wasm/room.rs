//! What a program has put into its directory, looked at while it runs: inside this process no `RLIMIT_FSIZE` can hold it.

use crate::executor::guard::holdings::{Holdings, Unseen, is_disk_full};
use crate::executor::outcome::Failure;
use crate::executor::run::Limits;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub struct Room {
    work: PathBuf,
    limits: Limits,
    /// With the task's own inputs.
    most: u64,
    next: Instant,
}

/// Between two looks; a program that writes as fast as disks do has written a few hundred megabytes by then.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Of the time that goes into looking, at most one part in so many.
const SHARE: u32 = 20;
/// Files and directories of one task.
const MOST_ENTRIES: usize = 100_000;

impl Room {
    pub fn new(work: &Path, limits: Limits) -> Self {
        let given = measure(work).map_or(0, |found| found.bytes);
        let most = limits.total_file_bytes.saturating_add(given);
        Self { work: work.to_owned(), limits, most, next: Instant::now() + LOOK_EVERY }
    }

    /// Now and then, whenever it is called.
    pub fn look(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        if begun < self.next {
            return Ok(());
        }
        let found = measure(&self.work)?;
        if found.largest > self.limits.file_bytes {
            return Err(Failure::FileTooLarge { limit: self.limits.file_bytes });
        }
        if found.bytes > self.most {
            return Err(Failure::FilesTooLarge { bytes: found.bytes, limit: self.limits.total_file_bytes });
        }
        if is_disk_full(&self.work, self.limits.free_bytes) {
            return Err(Failure::DiskFull { limit: self.limits.free_bytes });
        }
        let ended = Instant::now();
        self.next = ended + LOOK_EVERY.max((ended - begun) * SHARE);
        Ok(())
    }
}

fn measure(work: &Path) -> Result<Holdings, Failure> {
    Holdings::of(work, |found| found.entries > MOST_ENTRIES).map_err(|unseen| match unseen {
        Unseen::More(found) => Failure::TooManyFiles { count: found.entries, limit: MOST_ENTRIES },
        Unseen::Hidden(error) if error.raw_os_error() == Some(libc::ENAMETOOLONG) => Failure::TreeTooDeep,
        Unseen::Hidden(error) => {
            Failure::Prepare { what: "directory, to be measured".into(), error: error.to_string() }
        }
    })
}
