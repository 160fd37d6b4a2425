//! A module is named after what it holds, never after nothing in particular.

use crate::tree::{Tree, code_lines};
use crate::{Finding, check};

const EMPTY_NAMES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "misc", "stuff"];

fn rule(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.sources() {
        let parts = path.trim_end_matches(".rs").split('/');
        findings.extend(
            parts
                .filter(|part| EMPTY_NAMES.contains(part))
                .map(|part| format!("{path}: {part:?} says nothing; name the noun")),
        );
        for (number, line) in code_lines(text) {
            let module = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").strip_prefix("mod ");
            let name = module.map(|rest| rest.trim_end_matches([';', '{', ' ', '}']));
            if name.is_some_and(|name| EMPTY_NAMES.contains(&name)) {
                findings.push(format!("{path}:{number}: {line:?} says nothing; name the noun"));
            }
        }
    }
    findings
}

#[test]
fn modules_are_named_after_nouns() {
    check(rule);
}

#[test]
fn names_that_say_nothing_are_found() {
    for (path, text) in [
        ("node/src/util.rs", ""),
        ("node/src/helpers/mod.rs", ""),
        ("tests/tests/common/mod.rs", ""),
        ("node/src/lib.rs", "pub mod misc;"),
        ("node/src/lib.rs", "    mod utils {"),
    ] {
        assert_eq!(rule(&Tree::sample(&[(path, text)])).len(), 1, "{path} {text}");
    }
    assert!(rule(&Tree::sample(&[("node/src/commons.rs", "mod utility;\n// mod util;")])).is_empty());
}
