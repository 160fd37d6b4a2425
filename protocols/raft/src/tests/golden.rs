//! Golden vectors: the bytes of each message, one file each. A difference is a change of the wire, by this crate or by
//! another version of openraft, whose types are a part of it; and it needs a new name of the protocol.
//! `MESH_REGENERATE=1 cargo test -p mesh-raft golden` writes them anew, with the corpus of the fuzzers.

use super::{corpus, sample};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const REGENERATE: &str = "MESH_REGENERATE";

#[test]
fn bytes_are_as_they_were() {
    let samples = sample::all();
    if std::env::var_os(REGENERATE).is_some() {
        fs::create_dir_all(directory()).unwrap();
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
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}
