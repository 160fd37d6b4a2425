//! A WebAssembly program as `submit` and `map` take it: a file, put as a blob.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::Failure;
use super::program::put;
use crate::api::content::BlobLink;
use crate::client::Client;

pub(super) struct Module {
    path: PathBuf,
    name: String,
    /// On no node that is known yet.
    pub(super) link: BlobLink,
}

/// How modules and components begin.
const MAGIC: [u8; 4] = *b"\0asm";

impl Module {
    /// Looks at the file, so that what is none is said before anything is sent.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let unreadable = |error| Failure::Usage(format!("cannot read {}: {error}", path.display()));
        let mut magic = Vec::with_capacity(MAGIC.len());
        File::open(path).and_then(|file| file.take(4).read_to_end(&mut magic)).map_err(unreadable)?;
        if magic != MAGIC {
            return Err(Failure::Usage(format!("{} is no WebAssembly program", path.display())));
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Failure::Usage(format!("`{}` is not UTF-8", path.display())))?;
        let mut hasher = blake3::Hasher::new();
        let size = File::open(path).and_then(|file| hasher.update_reader(file).map(|hasher| hasher.count()));
        let (id, size) = (hasher.finalize().to_hex().to_string(), size.map_err(unreadable)?);
        Ok(Self { path: path.to_owned(), name: name.to_owned(), link: BlobLink { id, size, nodes: Vec::new() } })
    }

    /// What the program takes for its own name.
    pub(super) fn name(&self) -> impl Iterator<Item = String> + use<> {
        std::iter::once(self.name.clone())
    }

    /// With a bar if it `is_watched`.
    pub(super) async fn put(self, client: &Client, is_watched: bool) -> Result<BlobLink, Failure> {
        let put = put(client, &self.path, is_watched).await?;
        match put.id == self.link.id {
            true => Ok(put),
            false => Err(Failure::Usage(format!("{} was changed while it was read", self.path.display()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_is_told_from_its_start() {
        let here = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = here.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let program = Module::read(&write("a.wasm", b"\0asm\x01\0\0\0")).unwrap();
        assert_eq!((program.name().next().as_deref(), program.link.size), (Some("a.wasm"), 8));
        for bytes in [&b""[..], b"\0as", b"(module)"] {
            let refused = Module::read(&write("b.wasm", bytes)).map(|module| module.link).unwrap_err();
            assert!(refused.to_string().contains("b.wasm is no WebAssembly program"), "{refused}");
        }
        assert!(Module::read(&here.path().join("gone")).is_err());
    }
}
