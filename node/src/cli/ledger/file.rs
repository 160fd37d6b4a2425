use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mesh_proto::limits;

use crate::cli::Failure;

/// What a file of a bundle holds; not more than such a one can be long, and one byte that shows that it is longer.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let refuse = |error| Failure::Usage(format!("cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(refuse)?;
    let mut bytes = Vec::new();
    file.take(limits::BUNDLE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(refuse)?;
    Ok(bytes)
}

/// Whoever looks finds all of it or nothing.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut partial = path.as_os_str().to_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    std::fs::write(&partial, bytes).map_err(Failure::file("write", &partial))?;
    std::fs::rename(&partial, path).map_err(Failure::file("make", path))
}
