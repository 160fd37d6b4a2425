//! A task's directory: made, filled with inputs, searched for outputs, removed.

use crate::executor::input::open_regular;
use crate::executor::outcome::Failure;
use crate::executor::protocol::{INLINE_BYTES, INLINE_FILES_BYTES, Kept};
use crate::executor::run::Limits;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Makes the directory, for this user alone.
pub fn make(work: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    match builder.create(work) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // The same attempt ran before, and its removal was cut off.
            remove(work)?;
            builder.create(work)
        }
        made => made,
    }
}

/// Copies one input to its place. Not a link: a hard link shares the inode with the blob store, a symbolic link leads
/// there, and through both the task could write. The copy shares extents where the file system can.
///
/// `go_on` is asked every few megabytes, and ends the copy when it says so.
pub fn place<E>(
    work: &Path,
    name: &str,
    source: &Path,
    mut go_on: impl FnMut() -> Result<(), E>,
) -> Result<io::Result<()>, E> {
    // Nothing of the task runs yet, and `name` was checked: no symbolic link can be in the way.
    let target = work.join(name);
    let opened = (|| {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let from = open_regular(source)?;
        let mode = 0o600 | from.metadata()?.mode() & 0o111;
        Ok((from, OpenOptions::new().write(true).create_new(true).mode(mode).open(&target)?))
    })();
    let (mut from, mut to) = match opened {
        Ok(files) => files,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        // On Linux `io::copy` between files is `copy_file_range`, which shares extents where it can.
        match io::copy(&mut Read::by_ref(&mut from).take(COPY_BYTES), &mut to) {
            Ok(0) => return Ok(Ok(())),
            Ok(_) => go_on()?,
            Err(error) => return Ok(Err(error)),
        }
    }
}

const COPY_BYTES: u64 = 16 << 20;

/// Lays a small input into the task's directory.
pub fn write(work: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let target = work.join(name);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target)?.write_all(bytes)
}

/// Takes over the named outputs. Nothing of the task runs any more, so what is looked at does not change.
/// `all`: a missing one is a failure; else it is left out.
pub fn collect(
    work: &Path,
    out: &Path,
    outputs: &[String],
    limits: &Limits,
    all: bool,
) -> Result<Vec<(String, Kept)>, Failure> {
    if outputs.is_empty() {
        return Ok(Vec::new());
    }
    let prepare = |error: io::Error| Failure::Prepare { what: "outputs".into(), error: error.to_string() };
    let root = fs::canonicalize(work).map_err(prepare)?;
    let mut found: BTreeMap<&str, (PathBuf, u64)> = BTreeMap::new();
    let mut total = 0;
    for name in outputs {
        match locate(&root, name) {
            Ok(Some((_, len))) if len > limits.file_bytes => {
                return Err(Failure::FileTooLarge { limit: limits.file_bytes });
            }
            Ok(Some((path, len))) => {
                if found.insert(name, (path, len)).is_none() {
                    total += len;
                }
            }
            Ok(None) if all => return Err(Failure::OutputMissing { path: name.clone() }),
            Ok(None) => {}
            Err(why) => return Err(Failure::OutputRefused { path: name.clone(), why }),
        }
    }
    let limit = limits.total_file_bytes;
    if total > limit {
        return Err(Failure::FilesTooLarge { bytes: total, limit });
    }
    let mut room = INLINE_FILES_BYTES;
    let kept = found.into_iter().enumerate().map(|(index, (name, (path, len)))| {
        let kept = keep(out, index, &path, len, &mut room).map_err(prepare)?;
        Ok((name.to_string(), kept))
    });
    kept.collect()
}

/// The file that `name` leads to, and its length, when it is a regular file inside `root`.
fn locate(root: &Path, name: &str) -> Result<Option<(PathBuf, u64)>, String> {
    let path = match fs::canonicalize(root.join(name)) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if !path.starts_with(root) {
        return Err("it leads out of the task's directory".into());
    }
    let data = fs::metadata(&path).map_err(|error| error.to_string())?;
    if !data.is_file() {
        return Err("it is not a regular file".into());
    }
    Ok(Some((path, data.len())))
}

fn keep(out: &Path, index: usize, path: &Path, len: u64, room: &mut usize) -> io::Result<Kept> {
    let unreadable = fs::metadata(path)?.permissions().mode() & 0o400 == 0;
    if unreadable {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    if len <= INLINE_BYTES as u64 && len as usize <= *room {
        let mut bytes = Vec::with_capacity(len as usize);
        File::open(path)?.take(len).read_to_end(&mut bytes)?;
        *room -= bytes.len();
        return Ok(Kept::Inline(bytes));
    }
    fs::create_dir_all(out)?;
    let name = format!("file-{index}");
    // A second name for the same inode is fine here: the task is over and its directory about to go.
    fs::hard_link(path, out.join(&name))?;
    Ok(Kept::File { name, len, truncated: false })
}

/// Removes a directory and all in it. A task may leave a million nested directories, or ones without permissions; the
/// standard recursive removal holds a descriptor and a stack frame for each level. Here nested directories are moved to
/// the top before they are emptied, so that nothing grows with the depth.
pub fn remove(work: &Path) -> io::Result<()> {
    match fs::remove_dir(work) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    let mut moved = 0u64;
    let mut open = vec![work.to_path_buf()];
    while let Some(directory) = open.pop() {
        if directory == work {
            fs::set_permissions(work, fs::Permissions::from_mode(0o700))?;
        }
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let path = entry.path();
            if !entry.file_type()?.is_dir() {
                fs::remove_file(&path)?;
            } else if directory == work {
                // Directly under the top: it has a short path already.
                fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
                open.push(path);
            } else {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
                open.push(rename_to_top(&path, work, &mut moved)?);
            }
        }
        if directory != work {
            fs::remove_dir(&directory)?;
        }
    }
    fs::remove_dir(work)
}

fn rename_to_top(path: &Path, work: &Path, number: &mut u64) -> io::Result<PathBuf> {
    loop {
        let target = work.join(format!(".removed-{number}"));
        *number += 1;
        // A task may have made names like these itself.
        if fs::symlink_metadata(&target).is_err() {
            fs::rename(path, &target)?;
            return Ok(target);
        }
    }
}
