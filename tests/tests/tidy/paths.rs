//! Nothing in the repository knows on which machine it was written.

use std::path::Path;

use crate::tree::Tree;
use crate::{Finding, check};

/// Where people's directories are. In pieces, so that this file is not its own finding.
const HOMES: [&str; 2] = [concat!("/", "home/"), concat!("/", "Users/")];

fn rule(tree: &Tree) -> Vec<Finding> {
    let home = std::env::var("HOME").unwrap_or_default();
    // A path of one name, like that of a container's source directory, is also a word.
    let places: Vec<_> = [tree.root.to_string_lossy().into_owned(), home]
        .into_iter()
        .filter(|place| Path::new(place).components().count() > 2)
        .collect();
    let mut findings = Vec::new();
    for (path, text) in &tree.files {
        for (i, line) in text.lines().enumerate() {
            let of_a_home = HOMES.iter().any(|home| names_somebody(line, home));
            let of_here = places.iter().any(|place| line.contains(place.as_str()));
            if of_a_home || of_here {
                findings.push(format!("{path}:{}: names a directory of one machine", i + 1));
            }
        }
    }
    findings
}

/// Whether a user's name follows `home`, at the start of a path.
fn names_somebody(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let starts = !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "_-./$}~".contains(c));
        let name = line[at + home.len()..].chars().next();
        starts && name.is_some_and(|c| c.is_ascii_alphanumeric())
    })
}

#[test]
fn no_file_names_a_directory_of_one_machine() {
    check(rule);
}

#[test]
fn directories_of_one_machine_are_found() {
    let found = |line: &str| rule(&Tree::sample(&[("a.md", line)])).len();
    for line in
        [format!("see {}ann/notes", HOMES[0]), format!("\"{}ann\"", HOMES[1]), "in /nowhere/at/all/x".to_owned()]
    {
        assert_eq!(found(&line), 1, "{line}");
    }
    for line in [format!("$XDG{}x", HOMES[0]), format!("{}<you>", HOMES[0]), "/var/lib/meshd".to_owned()] {
        assert_eq!(found(&line), 0, "{line}");
    }
}
