//! Replays what the fuzzers begin with, and have found, on every test run.

use super::sample::{self, Sample};
use crate::fuzz::TARGETS;
use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn each_decoder_has_a_fuzz_target() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let source = fs::read_to_string(fuzz().join("fuzz_targets").join(name).with_extension("rs")).unwrap();
        assert!(source.contains(&format!("mesh_raft::fuzz::{name}(bytes)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

#[test]
fn no_decoder_panics_on_its_corpus() {
    for (name, target) in TARGETS {
        let (mut accepted, mut refused) = (0, 0);
        for path in files(&directory(name)) {
            if target(&fs::read(&path).unwrap()) { accepted += 1 } else { refused += 1 }
        }
        assert!(accepted > 0 && refused > 0, "{name}: {accepted} accepted, {refused} refused");
    }
}

#[test]
fn no_decoder_panics_on_the_corpus_of_another() {
    for path in files(&fuzz().join("corpus")).iter().flat_map(|directory| files(directory)) {
        let bytes = fs::read(&path).unwrap();
        for (_, target) in TARGETS {
            target(&bytes);
        }
    }
}

#[test]
fn no_truncation_and_no_flipped_byte_panics() {
    for Sample { name, target, bytes, .. } in sample::all() {
        let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == target).unwrap();
        assert!(target(&bytes), "{name}");
        for length in 0..bytes.len() {
            assert!(!target(&bytes[..length]), "{name} cut to {length}");
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] = !bytes[at];
            target(&bytes);
        }
    }
}

/// As mesh-proto does it: of each sample itself, cut in half, one byte flipped, one byte more, and a field of it in a
/// longer form.
pub fn write(samples: &[Sample]) {
    for Sample { name, target, bytes, .. } in samples {
        let directory = directory(target);
        fs::create_dir_all(&directory).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 3] ^= 0x40;
        let longer = [bytes.as_slice(), &[0]].concat();
        // A text of one character, its length in two bytes: the same value, not its canonical encoding.
        let key = bytes.iter().position(|byte| *byte == 0x61).unwrap_or(0);
        let long_form = [&bytes[..key], &[0x78, 1], &bytes[key + 1..]].concat();
        for (how, bytes) in [
            ("valid", bytes.as_slice()),
            ("cut", &bytes[..bytes.len() / 2]),
            ("flipped", &flipped),
            ("longer", &longer),
            ("long-form", &long_form),
        ] {
            fs::write(directory.join(format!("{name}-{how}")), bytes).unwrap();
        }
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz")
}

fn directory(target: &str) -> PathBuf {
    fuzz().join("corpus").join(target)
}
