//! The addresses that came with the invite token, one a line: whom a node dials that has met nobody yet.

use std::path::Path;

use mesh_proto::address::Addresses;

use super::{DataDir, IdentityError, durable};

const NAME: &str = "bootstrap";
/// Sixteen addresses of 512 bytes, and room for comments.
const LIMIT: usize = 16 * 1024;

/// The addresses, empty where there are none. Blank lines and those that start with `#` are skipped.
pub fn read_bootstrap(dir: &Path) -> Result<Addresses, IdentityError> {
    let path = dir.join(NAME);
    let bytes = durable::read(&path, LIMIT)?.unwrap_or_default();
    let text = String::from_utf8(bytes).map_err(|error| IdentityError::damaged(&path, error))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Addresses::new(lines.map(str::to_owned).collect()).map_err(|error| IdentityError::damaged(&path, error))
}

/// Keeps `addresses` for the first start.
pub(super) fn write(dir: &DataDir, addresses: &Addresses) -> Result<(), IdentityError> {
    let text: String = addresses.iter().map(|address| format!("{address}\n")).collect();
    durable::replace(dir.path(), NAME, text.as_bytes(), durable::PLAIN)
}
