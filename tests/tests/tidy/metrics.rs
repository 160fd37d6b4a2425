//! `docs/metrics.md` has a row for each metric. Names are written whole where they are registered: put together from
//! pieces they could be found neither here nor by whoever searches for one.

use std::collections::BTreeSet;

use crate::tree::{Tree, code_lines};
use crate::{Finding, check, docs};

const PAGE: &str = "docs/metrics.md";
/// How every name of ours starts.
const PREFIX: &str = "mesh_";
/// What the format appends to a registered name, by the metric's type.
const SUFFIXES: [&str; 2] = ["_total", "_info"];
/// Ways to register a name that stands nowhere as it is.
const PUT_TOGETHER: [&str; 3] =
    [concat!("format!(\"", "mesh_"), concat!("_with_prefix(\"", "mesh"), concat!(".register_", "with_unit(")];

fn metric_sources(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.sources().filter(|(path, _)| path.starts_with("node/src/"))
}

/// The names in our sources: every string that is nothing but one.
fn names(tree: &Tree) -> BTreeSet<String> {
    let lines = metric_sources(tree).flat_map(|(_, text)| code_lines(text));
    let strings = lines.flat_map(|(_, line)| line.split('"').skip(1).step_by(2));
    let is_name = |text: &&str| {
        text.strip_prefix(PREFIX).is_some_and(|rest| {
            !rest.is_empty()
                && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        })
    };
    strings.filter(is_name).map(|name| stem(name).to_owned()).collect()
}

/// The name as it is registered: sources and tests may also show it as it is exposed.
fn stem(name: &str) -> &str {
    SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

fn rule(tree: &Tree) -> Vec<Finding> {
    let listed: Vec<_> = docs::rows(tree.text(PAGE)).iter().map(|name| stem(name).to_owned()).collect();
    docs::compare(PAGE, &listed, &names(tree))
}

fn put_together(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in metric_sources(tree) {
        for (number, line) in code_lines(text) {
            if PUT_TOGETHER.iter().any(|way| line.contains(way)) {
                findings.push(format!("{path}:{number}: write the metric's name whole, with its unit, as one string"));
            }
        }
    }
    findings
}

#[test]
fn every_metric_has_its_row() {
    check(rule);
    check(put_together);
    assert!(names(&Tree::of_repository()).contains("mesh_build"), "the scan found nothing");
}

/// The scan reads text, so what is really exposed is compared with it.
#[test]
fn what_is_exposed_is_what_the_page_lists() {
    let tree = Tree::of_repository();
    let listed: BTreeSet<_> = docs::rows(tree.text(PAGE)).iter().map(|name| stem(name).to_owned()).collect();
    let body = meshd::metrics::Metrics::new().encode().expect("text");
    let exposed: Vec<_> = body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .filter(|name| name.starts_with(PREFIX))
        .collect();
    assert!(exposed.len() >= 2, "{body}");
    for name in exposed {
        assert!(listed.contains(stem(name)), "{PAGE}: lacks {name}");
    }
}

#[test]
fn metrics_without_a_row_are_found() {
    let source = "registry.register(\"mesh_log_commits\", \"Commits\", c);\n// \"mesh_comment\"\nlet x = \"mesh_log_commits_total 1\";";
    let tree = Tree::sample(&[("node/src/a.rs", source), (PAGE, "| `mesh_gone` | |\n")]);
    assert_eq!(
        rule(&tree),
        ["docs/metrics.md: lacks mesh_log_commits", "docs/metrics.md: lists mesh_gone, which is gone"]
    );
    let tree = Tree::sample(&[("node/src/a.rs", source), (PAGE, "| `mesh_log_commits_total` | |\n")]);
    assert!(rule(&tree).is_empty());
    for way in PUT_TOGETHER {
        assert_eq!(put_together(&Tree::sample(&[("node/src/a.rs", way)])).len(), 1, "{way}");
    }
}
