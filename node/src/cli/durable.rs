//! Files of the user's on the disk, before a verb says that they are there.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Puts a file that is written to its end in the place of `to`: whole or not at all, over a loss of power too. Blocks.
pub(super) fn put_in_place(file: &File, from: &Path, to: &Path) -> io::Result<()> {
    // Renamed before its bytes are on the disk, an empty file may have the name after a loss of power.
    file.sync_all()?;
    std::fs::rename(from, to)?;
    match File::open(directory_of(to)).and_then(|directory| directory.sync_all()) {
        // A directory that may be written and not listed, and a file system that cannot sync one: the file is there, and
        // this is as much as can be had.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            tracing::debug!(path = %to.display(), %error, "its directory was not synced");
            Ok(())
        }
        synced => synced,
    }
}

/// A name beside it that nobody has, under which a file is written until it is whole.
pub(super) fn partial_of(path: &Path) -> PathBuf {
    let mut partial = path.as_os_str().to_os_string();
    partial.push(format!(".{:016x}.partial", rand::random::<u64>()));
    PathBuf::from(partial)
}

/// Where the entry of `path` is: a bare name stands for the present directory.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Everything that was written to the file system of `directory`, in one call: for hundreds of small files, each of which
/// would cost a commit of the journal if it was synced alone. Blocks.
pub(super) fn sync_file_system(directory: &Path) -> io::Result<()> {
    let directory = File::open(directory)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&directory)?;
    #[cfg(not(target_os = "linux"))]
    {
        directory.sync_all()?;
        rustix::fs::sync();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_file_takes_its_place_and_leaves_nothing_beside() {
        let here = tempfile::tempdir().unwrap();
        let (from, to) = (here.path().join("x.partial"), here.path().join("x"));
        std::fs::write(&to, "old").unwrap();
        let mut file = File::create(&from).unwrap();
        file.write_all(b"new").unwrap();
        put_in_place(&file, &from, &to).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 1);
        sync_file_system(here.path()).unwrap();
        assert!(sync_file_system(&here.path().join("gone")).is_err());
    }

    #[test]
    fn the_entry_of_a_bare_name_is_in_the_present_directory() {
        for (path, directory) in [("x", "."), ("a/x", "a"), ("/x", "/"), ("../x", ".."), ("/", "/")] {
            assert_eq!(directory_of(Path::new(path)), Path::new(directory), "{path}");
        }
    }
}
