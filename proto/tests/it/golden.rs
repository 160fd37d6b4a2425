//! Golden vectors: the bytes of each sample, one file each. A difference is a change of the wire, which needs a new
//! wire version. `MESH_REGENERATE=1 cargo test -p mesh-proto golden` writes them anew, with the corpus of the fuzzers.

use crate::{corpus, sample};
use data_encoding::HEXLOWER;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

pub const REGENERATE: &str = "MESH_REGENERATE";

#[test]
fn bytes_are_as_they_were() {
    let samples = sample::all();
    if std::env::var_os(REGENERATE).is_some() {
        for sample in &samples {
            fs::write(file(sample.name), lines(&sample.bytes)).unwrap();
        }
        corpus::write(&samples);
    }
    for sample in &samples {
        let path = file(sample.name);
        let kept = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(kept, lines(&sample.bytes), "{}: the wire form has changed", sample.name);
    }
    let named: BTreeSet<PathBuf> = samples.iter().map(|sample| file(sample.name)).collect();
    let there: BTreeSet<PathBuf> = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(there, named, "files without a sample");
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn file(name: &str) -> PathBuf {
    directory().join(name).with_extension("hex")
}

/// 32 bytes a line, so that a difference shows where it is.
fn lines(bytes: &[u8]) -> String {
    bytes.chunks(32).map(|line| HEXLOWER.encode(line) + "\n").collect()
}
