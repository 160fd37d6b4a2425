//! No result is thrown away unread. `let _ =` hides which type was dropped, so it is not written at all: what may fail
//! is matched or logged, and what cannot is dropped by name.

use crate::tree::{Tree, code_lines};
use crate::{Finding, check};

/// In pieces, so that this file is not its own finding.
const BINDINGS: [&str; 2] = [concat!("let", " _ ="), concat!("let", " _: ")];

fn rule(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.sources() {
        for (number, line) in code_lines(text) {
            let binding = BINDINGS.iter().any(|binding| line.contains(binding));
            // An arm of a `select!` looks alike, and goes on with an arrow.
            let assignment = line.starts_with("_ = ") && line.ends_with(';') && !line.contains("=>");
            if binding || assignment {
                let advice = "match it, or say `drop(…)` of what cannot fail";
                findings.push(format!("{path}:{number}: {line:?} drops a value unread; {advice}"));
            }
        }
    }
    findings
}

#[test]
fn no_result_is_thrown_away() {
    check(rule);
}

#[test]
fn results_that_are_thrown_away_are_found() {
    let found = |line: &str| rule(&Tree::sample(&[("a.rs", line)])).len();
    for binding in BINDINGS {
        assert_eq!(found(&format!("    {binding} send();")), 1);
        assert_eq!(found(&format!("if x {{ {binding} send(); }}")), 1);
        assert_eq!(found(&format!("// {binding} send();")), 0);
    }
    assert_eq!(found("_ = send();"), 1);
    for line in ["let _guard = lock();", "_ = sleep(1) => {}", "_ => (),"] {
        assert_eq!(found(line), 0, "{line}");
    }
}
