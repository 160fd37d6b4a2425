//! Small files that are whole or absent, whatever the moment of a crash: written aside, synced, renamed, and the
//! directory synced.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::IdentityError;

/// Mode of a file that only its owner may read.
pub(super) const SECRET: u32 = 0o600;
/// Mode of a file without secrets.
pub(super) const PLAIN: u32 = 0o644;

/// Puts `bytes` in place of `dir/name`, if there is such a file. The caller holds the directory's lock.
pub(super) fn replace(dir: &Path, name: &str, bytes: &[u8], mode: u32) -> Result<(), IdentityError> {
    let aside = dir.join(format!(".{name}.new"));
    let path = dir.join(name);
    match std::fs::remove_file(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(IdentityError::io("remove", &aside)(error)),
        // Left by a process that died here.
        Ok(()) | Err(_) => {}
    }
    // Created anew, so that no link that somebody put there is followed and no wider mode of an old file is kept.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&aside)
        .map_err(IdentityError::io("create", &aside))?;
    file.write_all(bytes).map_err(IdentityError::io("write", &aside))?;
    file.sync_all().map_err(IdentityError::io("sync", &aside))?;
    std::fs::rename(&aside, &path).map_err(IdentityError::io("rename to", &path))?;
    sync_dir(dir)
}

/// Writes `dir/name`, which must not exist. The caller holds the directory's lock.
pub(super) fn create(dir: &Path, name: &str, bytes: &[u8], mode: u32) -> Result<(), IdentityError> {
    let path = dir.join(name);
    // Not followed: a dangling link is something, too.
    match std::fs::symlink_metadata(&path) {
        Ok(_) => Err(IdentityError::io("create", &path)(ErrorKind::AlreadyExists.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => replace(dir, name, bytes, mode),
        Err(error) => Err(IdentityError::io("look at", &path)(error)),
    }
}

/// Makes a directory's entries durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), IdentityError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(IdentityError::io("sync", dir))
}

/// What `path` holds, or `None` where there is no such file. More than `limit` bytes are damage.
pub(super) fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, IdentityError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(IdentityError::io("open", path)(error)),
    };
    // One allocation, so that a secret leaves no copies behind in vectors that grew.
    let mut bytes = Vec::with_capacity(limit + 1);
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(IdentityError::io("read", path))?;
    if bytes.len() > limit {
        return Err(IdentityError::damaged(path, format_args!("more than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// [`read`], of a file that only its owner may be able to read.
pub(super) fn read_secret(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, IdentityError> {
    let Some(bytes) = read(path, limit)? else { return Ok(None) };
    let mode = std::fs::metadata(path).map_err(IdentityError::io("look at", path))?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Exposed { path: path.to_owned(), mode });
    }
    Ok(Some(bytes))
}

/// Fills 32 bytes from the operating system's generator.
pub(super) fn random() -> Result<zeroize::Zeroizing<[u8; 32]>, IdentityError> {
    use rand::TryRng as _;
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    rand::rngs::SysRng
        .try_fill_bytes(bytes.as_mut_slice())
        .map_err(|error| IdentityError::Random(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".x.new"), "left by a crash").unwrap();
        create(dir.path(), "x", b"one", SECRET).unwrap();
        assert!(matches!(create(dir.path(), "x", b"two", SECRET), Err(IdentityError::Io { .. })));
        replace(dir.path(), "x", b"three", SECRET).unwrap();
        assert_eq!(read_secret(&dir.path().join("x"), 5).unwrap().unwrap(), b"three");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_too_large_or_exposed_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        replace(dir.path(), "x", b"three", PLAIN).unwrap();
        let path = dir.path().join("x");
        assert!(matches!(read(&path, 4), Err(IdentityError::Damaged { .. })));
        assert!(matches!(read_secret(&path, 5), Err(IdentityError::Exposed { mode: 0o644, .. })));
        assert!(read(&dir.path().join("y"), 5).unwrap().is_none());
    }
}
