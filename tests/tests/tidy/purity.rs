//! The protocol crates know no clock, no chance, no order that changes, no thread and no I/O. Clippy says so with types
//! (`protocols/clippy.toml`); this says it again in a plain `cargo test`, and keeps clippy's list in force.

use crate::tree::{Tree, code_lines};
use crate::{Finding, check};

/// What a pure crate has no use for, and why.
const IMPURE: [(&str, &str); 13] = [
    ("Instant::now", "time comes in as `Now`"),
    ("SystemTime", "time comes in as `Now`"),
    ("HashMap", "iterates in another order in each process"),
    ("HashSet", "iterates in another order in each process"),
    ("RandomState", "differs in each process"),
    ("rand::rng(", "the coordinator lends its seeded generator"),
    ("thread_rng", "the coordinator lends its seeded generator"),
    ("from_os_rng", "the coordinator lends its seeded generator"),
    ("tokio::", "the body has the threads"),
    ("std::thread", "a machine has one owner"),
    ("std::fs", "protocol crates do no I/O"),
    ("std::net", "protocol crates do no I/O"),
    ("std::env", "configuration comes in as `Config`"),
];

fn impure(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Their tests may read golden files.
    let pure = |path: &str| {
        path.starts_with("protocols/") && !path.starts_with("protocols/raft/") && !path.contains("/tests/it/")
    };
    for (path, text) in tree.sources().filter(|(path, _)| pure(path)) {
        for (number, line) in code_lines(text) {
            for (name, why) in IMPURE.iter().filter(|(name, _)| line.contains(name)) {
                findings.push(format!("{path}:{number}: {name}: {why}"));
            }
        }
    }
    findings
}

/// Clippy takes the nearest `clippy.toml` above a crate, so one further down would put the common one out of force.
fn uncovered(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in tree.files.keys().filter(|path| path.starts_with("protocols/")) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let nearer = matches!(name, "clippy.toml" | ".clippy.toml") && path != "protocols/clippy.toml";
        if nearer && !path.starts_with("protocols/raft/") {
            findings.push(format!("{path}: puts protocols/clippy.toml out of force"));
        }
    }
    for name in
        ["std::collections::HashMap", "std::collections::HashSet", "std::time::Instant", "std::time::SystemTime"]
    {
        if !tree.text("protocols/clippy.toml").contains(&format!("\"{name}\"")) {
            findings.push(format!("protocols/clippy.toml: does not forbid {name}"));
        }
    }
    findings
}

#[test]
fn protocol_crates_are_pure() {
    check(impure);
    check(uncovered);
}

#[test]
fn impure_sources_are_found() {
    let line = "use std::collections::HashMap;";
    assert_eq!(impure(&Tree::sample(&[("protocols/tasks/src/a.rs", line)])).len(), 1);
    assert_eq!(impure(&Tree::sample(&[("protocols/raft/src/a.rs", line), ("node/src/a.rs", line)])).len(), 0);
    assert_eq!(uncovered(&Tree::sample(&[])).len(), 4);
    assert_eq!(uncovered(&Tree::sample(&[("protocols/tasks/clippy.toml", "")])).len(), 5);
}
