//! One file, one noun, one sitting.

use crate::tree::Tree;
use crate::{Finding, check};

/// Lines. Files here have 60 to 300; where one has more than this it holds several nouns.
const MOST_LINES: usize = 600;

fn rule(tree: &Tree) -> Vec<Finding> {
    let lengths = tree.sources().map(|(path, text)| (path, text.lines().count()));
    lengths
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(path, lines)| format!("{path}: has {lines} lines, more than {MOST_LINES}; which nouns are in it?"))
        .collect()
}

#[test]
fn files_are_short() {
    check(rule);
}

#[test]
fn long_files_are_found() {
    let lines = |count: usize| "\n".repeat(count);
    let tree = Tree::sample(&[("a.rs", &lines(MOST_LINES)), ("b.rs", &lines(MOST_LINES + 1)), ("c.md", &lines(9_999))]);
    assert_eq!(rule(&tree).len(), 1);
}
