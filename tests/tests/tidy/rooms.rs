//! The root holds the rooms and what tools expect there; everything else has a room.

use std::collections::BTreeSet;

use crate::tree::Tree;
use crate::{Finding, check};

const ROOT: [&str; 26] = [
    ".cargo",
    ".ci",
    ".config",
    ".dockerignore",
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    ".github",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "deny.toml",
    "deploy",
    "docs",
    "examples",
    "node",
    "proto",
    "protocols",
    "rustfmt.toml",
    "tests",
];

/// What must be there, too: a rule that lets files go missing says nothing about them.
const NEEDED: [&str; 10] = [
    ".ci/run",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "deny.toml",
    "protocols/clippy.toml",
];

fn strangers(tree: &Tree) -> Vec<Finding> {
    let top: BTreeSet<_> = tree.files.keys().filter_map(|path| path.split('/').next()).collect();
    let strangers = top.into_iter().filter(|name| !ROOT.contains(name));
    strangers.map(|name| format!("{name}: does not belong in the root; find its room")).collect()
}

fn missing(tree: &Tree) -> Vec<Finding> {
    NEEDED.iter().filter(|path| !tree.files.contains_key(**path)).map(|path| format!("{path}: is missing")).collect()
}

#[test]
fn the_root_holds_only_rooms() {
    check(strangers);
    check(missing);
}

#[test]
fn strangers_in_the_root_are_found() {
    assert_eq!(strangers(&Tree::sample(&[("notes.md", ""), ("docs/a.md", ""), ("scratch/a.rs", "")])).len(), 2);
    assert_eq!(missing(&Tree::sample(&[])).len(), NEEDED.len());
}
