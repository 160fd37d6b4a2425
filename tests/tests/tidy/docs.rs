//! Reference pages name exactly what is there: each key, verb and metric once, and none that is gone.

use std::collections::BTreeSet;

use crate::tree::Tree;
use crate::{Finding, check};

/// The names in the first column of a page's tables: `` | `name` | … ``.
pub fn rows(page: &str) -> Vec<String> {
    let rows = page.lines().filter_map(|line| line.trim().strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name.to_owned()).collect()
}

/// Compares what `page` lists with what is there.
pub fn compare(page: &str, listed: &[String], there: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let unique: BTreeSet<_> = listed.iter().cloned().collect();
    findings.extend(there.difference(&unique).map(|name| format!("{page}: lacks {name}")));
    findings.extend(unique.difference(there).map(|name| format!("{page}: lists {name}, which is gone")));
    if unique.len() != listed.len() {
        findings.push(format!("{page}: lists a name twice"));
    }
    findings
}

fn config_keys(tree: &Tree) -> Vec<Finding> {
    let page = "docs/configuration.md";
    let there = meshd::config::leaf_keys(&meshd::config::Config::default()).into_keys().collect();
    compare(page, &rows(tree.text(page)), &there)
}

/// The command that passes all tests is the same in the README, in CONTRIBUTING and in CI.
fn test_command(tree: &Tree) -> Vec<Finding> {
    let command = "cargo test --workspace";
    let pages = ["README.md", "CONTRIBUTING.md", ".ci/run"];
    let lacking = pages.iter().filter(|page| !tree.text(page).contains(command));
    lacking.map(|page| format!("{page}: does not run `{command}`")).collect()
}

/// Relative links lead somewhere.
fn links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| path.ends_with(".md")) {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains(':') {
                continue;
            }
            let resolved = resolve(directory, target);
            let there = tree.files.keys().any(|file| *file == resolved || file.starts_with(&format!("{resolved}/")));
            if !there {
                findings.push(format!("{path}: links to {target}, which is not there"));
            }
        }
    }
    findings
}

fn resolve(directory: &str, target: &str) -> String {
    let mut parts: Vec<_> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/').filter(|part| !part.is_empty()) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn pages_are_true() {
    check(config_keys);
    check(test_command);
    check(links);
}

#[test]
fn pages_that_lie_are_found() {
    let there: BTreeSet<_> = ["a.b", "a.c"].map(str::to_owned).into();
    let listed = rows("| Key | Default |\n|---|---|\n| `a.b` | 1 |\n| `a.b` | 2 |\n| `a.x` | `a.c` |");
    assert_eq!(
        compare("page", &listed, &there),
        ["page: lacks a.c", "page: lists a.x, which is gone", "page: lists a name twice"]
    );
    assert!(config_keys(&Tree::sample(&[])).iter().any(|finding| finding.contains("lacks api.listen")));
    assert_eq!(test_command(&Tree::sample(&[("README.md", "cargo test --workspace")])).len(), 2);
    let tree = Tree::sample(&[
        ("docs/a.md", "[x](../README.md#top) [y](b.md) [z](https://e.org) [w](#here)"),
        ("README.md", ""),
    ]);
    assert_eq!(links(&tree), ["docs/a.md: links to b.md, which is not there"]);
}
