//! Rules that hold for the whole tree and that no compiler checks. Each is a function from the tree to its findings,
//! and beside each stands a sample that it must find something in: a rule that finds nothing anywhere is broken.

mod checklist;
mod docs;
mod layering;
mod metrics;
mod mutants;
mod names;
mod paths;
mod purity;
mod results;
mod rooms;
mod size;
mod tree;
mod verbs;

use tree::Tree;

/// What is wrong, where.
type Finding = String;

/// Runs a rule over this repository.
fn check(rule: impl Fn(&Tree) -> Vec<Finding>) {
    let findings = rule(&Tree::of_repository());
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}
