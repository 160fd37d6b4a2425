//! Which disk the network was made on. The one that made the network decides alone until it has met others: on another disk,
//! with its key and genesis put back by hand, it would decide a second history.

use super::{DataDir, IdentityError, durable};
use mesh_proto::id::StoreId;
use std::path::Path;

const NAME: &str = "founding";
/// A store id in hexadecimal.
const LIMIT: usize = 32;

/// What the data directory says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Founding {
    /// The network was made here, and no log yet.
    Unused,
    Of(StoreId),
    /// Nothing: the network was made elsewhere, by a build of before, or on a disk that was lost.
    Unsaid,
}

impl Founding {
    pub fn load(dir: &Path) -> Result<Self, IdentityError> {
        let path = dir.join(NAME);
        let Some(bytes) = durable::read(&path, LIMIT)? else { return Ok(Self::Unsaid) };
        match String::from_utf8_lossy(&bytes).trim() {
            "" => Ok(Self::Unused),
            store => u64::from_str_radix(store, 16)
                .map(|store| Self::Of(StoreId(store)))
                .map_err(|_| IdentityError::damaged(&path, "no store id")),
        }
    }

    pub(super) fn begin(dir: &Path) -> Result<(), IdentityError> {
        durable::replace(dir, NAME, b"\n", durable::PLAIN)
    }

    /// Before the node says anything: from now on no other disk is the first. Durable when it returns.
    pub fn bind(self, dir: &DataDir, store: StoreId) -> Result<(), IdentityError> {
        match self {
            Self::Unused => {
                durable::replace(dir.path(), NAME, format!("{:016x}\n", store.0).as_bytes(), durable::PLAIN)
            }
            Self::Of(_) | Self::Unsaid => Ok(()),
        }
    }

    /// Whether `store` is the disk that the network was made on. `had_log`: it is no new one, so that a build of before may
    /// have begun it, which said nothing.
    pub fn is_of(self, store: StoreId, had_log: bool) -> bool {
        match self {
            Self::Unused => true,
            Self::Of(first) => first == store,
            Self::Unsaid => had_log,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_disk_alone_is_the_first() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path()).unwrap();
        let load = || Founding::load(temp.path()).unwrap();
        let (first, second) = (StoreId(7), StoreId(u64::MAX));
        assert!(!load().is_of(first, false), "a key that was put back is no first disk");
        assert!(load().is_of(first, true), "a log of before");

        crate::identity::init(&dir, "lab".parse().unwrap(), false, mesh_proto::time::Wall(1)).unwrap();
        assert_eq!(load(), Founding::Unused);
        assert!(load().is_of(first, false));
        load().bind(&dir, first).unwrap();
        assert_eq!(load(), Founding::Of(first));
        assert!(load().is_of(first, true) && !load().is_of(second, false));
        load().bind(&dir, second).unwrap();
        assert_eq!(load(), Founding::Of(first), "once");

        std::fs::write(temp.path().join(NAME), "seven").unwrap();
        assert!(matches!(Founding::load(temp.path()), Err(IdentityError::Damaged { .. })));
    }
}
