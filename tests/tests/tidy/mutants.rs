//! The mistakes that the tests must find: each patch of `tests/mutants` fits the tree that is here, and says by what it is
//! found.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::tree::Tree;
use crate::{Finding, check};

const HOME: &str = "tests/mutants/";

/// Each patch: its path, the mutant's name, what stands above the difference, and the difference.
fn patches(tree: &Tree) -> impl Iterator<Item = (&str, &str, &str, &str)> {
    tree.files.iter().filter_map(|(path, text)| {
        let name = path.strip_prefix(HOME)?.strip_suffix(".patch")?;
        let (header, difference) = text.split_at(text.find("diff --git ").unwrap_or(text.len()));
        Some((path.as_str(), name, header, difference))
    })
}

/// Each mutant, and the test that it is for if it is for one.
pub fn names(tree: &Tree) -> impl Iterator<Item = (&str, Option<&str>)> {
    patches(tree).map(|(_, name, header, _)| {
        let test = values(header, "test").first().and_then(|test| test.split_once(' '));
        (name, test.map(|(_, function)| function))
    })
}

/// The values of a line `key: VALUE` of a header.
fn values<'a>(header: &'a str, key: &str) -> Vec<&'a str> {
    header.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).collect()
}

/// What a mutant is found by: a test that is there, or an invariant of the simulator.
fn unfound(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, name, header, difference) in patches(tree) {
        let (tests, rules) = (values(header, "test"), values(header, "expect"));
        match (tests.as_slice(), rules.as_slice()) {
            ([test], []) => {
                let there = test.split_once(' ').is_some_and(|(package, function)| is_test(tree, package, function));
                if !there {
                    findings.push(format!("{path}: there is no test {test}"));
                }
            }
            ([], [rules]) => findings.extend(rules.split(' ').filter(|rule| !is_rule(tree, rule)).map(|rule| {
                format!("{path}: the simulator knows no {rule}; `expect:` has names of `tests/src/check/violation.rs`, Never, or Any")
            })),
            _ => findings.push(format!("{path}: needs one line `test: CRATE NAME` or `expect: RULE…` that finds it")),
        }
        if !difference.contains(&format!("mutant(\"{name}\")")) {
            findings.push(format!("{path}: nothing in it is behind `mutant({name:?})`"));
        }
    }
    findings
}

/// Whether a function of that name is in that crate.
pub fn is_test(tree: &Tree, package: &str, function: &str) -> bool {
    let manifest = format!("name = \"{package}\"");
    let homes = tree.files.iter().filter(|(path, text)| path.ends_with("/Cargo.toml") && text.contains(&manifest));
    let mut homes = homes.filter_map(|(path, _)| path.strip_suffix("Cargo.toml"));
    homes.any(|home| {
        let mut sources = tree.sources().filter(|(path, _)| path.starts_with(home));
        sources.any(|(_, text)| text.contains(&format!("fn {function}(")))
    })
}

/// `Never` is what should have happened and did not; with `Any`, nobody has looked yet which one it is.
fn is_rule(tree: &Tree, rule: &str) -> bool {
    matches!(rule, "Never" | "Any")
        || tree.text("tests/src/check/violation.rs").lines().any(|line| line.trim() == format!("{rule},"))
}

/// Those that do not apply, by the command and the leniency of `tests/mutants/run`: each by itself, and all in one tree.
fn unfit(tree: &Tree) -> Vec<Finding> {
    let patches: Vec<_> = patches(tree).collect();
    let each = patches.iter().filter_map(|(path, .., difference)| {
        let why = misfit(tree, difference)?;
        Some(format!("{path}: does not apply: {why}"))
    });
    let mut findings: Vec<_> = each.collect();
    if findings.is_empty() {
        let all: String = patches.iter().map(|(.., difference)| *difference).collect();
        findings.extend(misfit(tree, &all).map(|why| format!("{HOME}: they do not apply together: {why}")));
    }
    findings
}

/// Why a difference does not apply.
fn misfit(tree: &Tree, difference: &str) -> Option<String> {
    let mut command = Command::new("git");
    command.args(["apply", "--check", "--recount", "-C1"]).current_dir(&tree.root);
    // Paths are from here, whatever repository is around it.
    command.env("GIT_CEILING_DIRECTORIES", tree.root.parent()?);
    let mut git = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("git, which applies patches");
    git.stdin.take().expect("it is piped").write_all(difference.as_bytes()).expect("git reads what it applies");
    let output = git.wait_with_output().expect("git ends");
    let why = String::from_utf8_lossy(&output.stderr);
    (!output.status.success()).then(|| why.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn mutants_fit_and_say_what_finds_them() {
    check(unfound);
    check(unfit);
    assert!(patches(&Tree::of_repository()).count() > 80, "the patches were not found");
}

#[test]
fn mutants_that_nothing_finds_are_found() {
    let found = |header: &str, name: &str| {
        let patch = format!("What it does.\n{header}\n\ndiff --git a/x b/x\n+ if mesh_proto::mutant(\"{name}\")");
        let files = [
            ("tests/mutants/bends.patch", patch.as_str()),
            ("tests/src/check/violation.rs", "    OneHolder,"),
            ("proto/Cargo.toml", "name = \"mesh-proto\""),
            ("proto/src/a.rs", "fn it_holds() {}"),
        ];
        unfound(&Tree::sample(&files)).len()
    };
    assert_eq!(found("test: mesh-proto it_holds", "bends"), 0);
    assert_eq!(found("expect: OneHolder Never", "bends"), 0);
    assert_eq!(found("test: mesh-proto it_holds", "breaks"), 1);
    assert_eq!(found("test: mesh-proto it_hold", "bends"), 1);
    assert_eq!(found("test: mesh-pbft it_holds", "bends"), 1);
    assert_eq!(found("expect: OneHolde", "bends"), 1);
    assert_eq!(found("", "bends"), 1);
}

#[test]
fn mutants_that_do_not_fit_are_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    let difference = "diff --git a/a.rs b/a.rs\n--- a/a.rs\n+++ b/a.rs\n@@ -1,3 +1,4 @@\n one\n two\n+more\n three\n";
    write("tests/mutants/bends.patch", difference);
    write("a.rs", "zero\none\ntwo\nthree\nfour\n");
    assert_eq!(unfit(&Tree::read(dir.path())), Vec::<String>::new());
    write("a.rs", "zero\none\n2\n3\nfour\n");
    assert_eq!(unfit(&Tree::read(dir.path())).len(), 1);
}
