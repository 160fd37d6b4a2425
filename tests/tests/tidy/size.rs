//! One file, one noun, one sitting.

use crate::tree::Tree;
use crate::{Finding, check};

/// Lines. Files here have 60 to 300; where one has more than this it holds several nouns.
const MOST_LINES: usize = 600;
/// The example that shows how replicas are held, and its lines: it is to be read at a glance.
const EXAMPLE: (&str, usize) = ("protocols/pbft/examples/four_replicas.rs", 79);

fn rule(tree: &Tree) -> Vec<Finding> {
    let lengths = tree.sources().map(|(path, text)| (path, text.lines().count()));
    lengths
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(path, lines)| format!("{path}: has {lines} lines, more than {MOST_LINES}; which nouns are in it?"))
        .collect()
}

fn example(tree: &Tree) -> Vec<Finding> {
    let (path, most) = EXAMPLE;
    let lines = tree.text(path).lines().count();
    let is_right = (1..=most).contains(&lines);
    (!is_right).then(|| format!("{path}: has {lines} lines, and is to have 1 to {most}")).into_iter().collect()
}

#[test]
fn files_are_short() {
    check(rule);
    check(example);
}

#[test]
fn long_files_are_found() {
    let lines = |count: usize| "\n".repeat(count);
    let tree = Tree::sample(&[("a.rs", &lines(MOST_LINES)), ("b.rs", &lines(MOST_LINES + 1)), ("c.md", &lines(9_999))]);
    assert_eq!(rule(&tree).len(), 1);
    let example_of = |count: usize| example(&Tree::sample(&[(EXAMPLE.0, &lines(count))])).len();
    assert_eq!([0, 1, EXAMPLE.1, EXAMPLE.1 + 1].map(example_of), [1, 0, 0, 1]);
}
