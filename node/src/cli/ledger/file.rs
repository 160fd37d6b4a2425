use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use mesh_proto::limits;

use crate::cli::Failure;
use crate::cli::durable::{partial_of, put_in_place};

/// What a file of a bundle holds; not more than such a one can be long, and one byte that shows that it is longer.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let refuse = |error| Failure::Usage(format!("cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(refuse)?;
    let mut bytes = Vec::new();
    file.take(limits::BUNDLE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(refuse)?;
    Ok(bytes)
}

/// Whoever looks finds all of it or nothing, after a loss of power too.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let partial = partial_of(path);
    let mut file = File::create(&partial).map_err(Failure::file("make", &partial))?;
    file.write_all(bytes).map_err(Failure::file("write", &partial))?;
    put_in_place(&file, &partial, path).map_err(Failure::file("make", path))
}
