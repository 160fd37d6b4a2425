//! The checklist of agreement names tests that are there, each of them says which item it is for, and for each item there
//! is a mistake that is found.

use std::collections::BTreeSet;

use crate::tree::Tree;
use crate::{Finding, check, mutants};

const PAGE: &str = "protocols/pbft/CHECKLIST.md";

/// Each item's number and the tests that it names.
fn items(page: &str) -> Vec<(u32, BTreeSet<&str>)> {
    names(page).map(|(number, names)| (number, names.into_iter().filter_map(test).collect())).collect()
}

/// Each item's number and all that it names.
fn names(page: &str) -> impl Iterator<Item = (u32, BTreeSet<&str>)> {
    let mut items: Vec<(u32, BTreeSet<&str>)> = Vec::new();
    let mut is_item = false;
    // Between backticks is every second part; what stands there never has a line's end in it.
    for line in page.lines() {
        let title = line.strip_prefix("- [").and_then(|rest| rest.split_once("**")).map(|(_, title)| title);
        if let Some(number) = title.and_then(|title| title.split_once('.')?.0.parse().ok()) {
            items.push((number, BTreeSet::new()));
        }
        is_item = line.starts_with("- [") || is_item && line.starts_with("  ");
        if let Some((_, names)) = items.last_mut().filter(|_| is_item) {
            names.extend(line.split('`').skip(1).step_by(2));
        }
    }
    items.into_iter()
}

/// Tests are sentences; types, files, keys and mutants are not written so.
fn test(name: &str) -> Option<&str> {
    let is_sentence =
        name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    match name {
        "seeds" => Some("many_seeds"),
        name => is_sentence.then_some(name),
    }
}

/// Every function with the items that its doc comment names.
fn functions(tree: &Tree) -> Vec<(&str, BTreeSet<u32>)> {
    let mut functions = Vec::new();
    for (_, text) in tree.sources() {
        let mut doc = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix("///") {
                doc.push_str(comment);
            } else if !line.starts_with("#[") {
                let name = line.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
                functions.extend(name.map(|(name, _)| (name, numbers(&doc))));
                doc.clear();
            }
        }
    }
    functions
}

/// Those of "Checklist item 5" and "Checklist items 17, 18 and 20".
fn numbers(doc: &str) -> BTreeSet<u32> {
    let Some((_, rest)) = doc.split_once("Checklist item") else { return BTreeSet::new() };
    let words = rest.trim_start_matches('s').split([' ', ',']).filter(|word| !word.is_empty() && *word != "and");
    words.map_while(|word| word.trim_end_matches([':', '.']).parse().ok()).collect()
}

fn rule(tree: &Tree) -> Vec<Finding> {
    let functions = functions(tree);
    let mut findings = Vec::new();
    for (number, tests) in items(tree.text(PAGE)) {
        for test in tests {
            let mut named = functions.iter().filter(|(name, _)| *name == test).map(|(_, items)| items).peekable();
            if named.peek().is_none() {
                findings.push(format!("{PAGE}: item {number} names {test}, which is not there"));
            } else if !named.any(|items| items.contains(&number)) {
                findings.push(format!(
                    "{PAGE}: item {number} names {test}, which does not say \"Checklist item {number}\""
                ));
            }
        }
    }
    findings
}

/// Items that no mutant breaks: none is for a test that the item names, and the item names none that the seeds find.
fn unguarded(tree: &Tree) -> Vec<Finding> {
    let mutants: BTreeSet<&str> = mutants::names(tree).flat_map(|(name, test)| [Some(name), test]).flatten().collect();
    let items = names(tree.text(PAGE)).filter(|(_, names)| names.is_disjoint(&mutants));
    items.map(|(number, _)| format!("{PAGE}: no mutant breaks item {number}")).collect()
}

#[test]
fn the_checklist_and_its_tests_name_each_other() {
    check(rule);
    check(unguarded);
    let tree = Tree::of_repository();
    let items = items(tree.text(PAGE));
    assert_eq!(items.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
    assert!(items.iter().map(|(_, tests)| tests.len()).sum::<usize>() > 120, "its tests were not found");
}

#[test]
fn items_without_their_tests_are_found() {
    let page = "- [x] **7. Order.** `order.rs`: `it_is_kept`,\n  `it_is_whole`, `seeds`.\n\nBelow: `not_of_it`.\n";
    let found = |tests: &str| {
        let source = format!("{tests}\n/// Checklist items 2, 5 and 7.\n#[test]\nfn many_seeds() {{}}\n");
        rule(&Tree::sample(&[(PAGE, page), ("proto/src/a.rs", &source)]))
    };
    let good = "/// Checklist item 7: so it is.\n#[test]\nfn it_is_whole() {}\n";
    assert_eq!(found(&format!("{good}/// Checklist items 7 and 9: so.\nasync fn it_is_kept() {{}}")).len(), 0);
    assert_eq!(found(good), [format!("{PAGE}: item 7 names it_is_kept, which is not there")]);
    assert_eq!(found(&format!("{good}fn it_is_kept() {{}}")).len(), 1, "the comment is of the one above");
    assert_eq!(found(&format!("{good}/// Checklist item 17: so.\nfn it_is_kept() {{}}")).len(), 1);
}

#[test]
fn items_without_a_mutant_are_found() {
    let page = "- [x] **7. Order.** `it_is_kept`.\n- [x] **8. Time.** the mutant\n  `goes-back`.\n- [x] **9.** `it_is_whole`.\n";
    let mutant = |name: &str, header: &str| {
        (format!("tests/mutants/{name}.patch"), format!("So.\n{header}\n\ndiff --git a b\n"))
    };
    let patches = [mutant("goes-back", "expect: Any"), mutant("loses-it", "test: mesh-pbft it_is_kept")];
    let mut files = vec![(PAGE, page)];
    files.extend(patches.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    assert_eq!(unguarded(&Tree::sample(&files)), [format!("{PAGE}: no mutant breaks item 9")]);
}
