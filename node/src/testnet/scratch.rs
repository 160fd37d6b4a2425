use std::path::{Path, PathBuf};

use super::TestnetError;

/// A directory of this process, removed when this is dropped unless it is kept.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    kept: bool,
}

impl Scratch {
    /// Makes a directory whose name starts with `name`, within `parent`. Default: the system's for temporary files.
    pub fn new(parent: Option<&Path>, name: &str) -> Result<Self, TestnetError> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let path = parent.join(format!("{name}-{}-{:08x}", std::process::id(), rand::random::<u32>()));
        std::fs::create_dir_all(&path).map_err(TestnetError::io("make", &path))?;
        Ok(Self { path, kept: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does not remove it.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

#[cfg(target_os = "linux")]
pub(super) fn is_on_disk(path: &Path) -> bool {
    /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of statfs(2).
    const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::statfs(path).is_ok_and(|system| {
        let kind = u64::try_from(system.f_type).unwrap_or_default();
        !IN_MEMORY.contains(&kind)
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_on_disk(_: &Path) -> bool {
    true
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                eprintln!("meshd: cannot remove {}: {error}", self.path.display());
            }
            Ok(()) | Err(_) => {}
        }
    }
}
