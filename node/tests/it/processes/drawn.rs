//! Tests that are marked `drawn by the commit`: all of them together take longer than a change should wait. Each commit draws
//! a third of them, by its hash; `cargo test -p meshd --test it processes:: -- --include-ignored --test-threads=1` runs all.

use super::TURN;
use std::process::Command;

/// Not tests of their own.
const STARTED_BY_OTHERS: [&str; 1] = ["processes::full_disk::inside"];

#[test]
fn those_that_the_commit_draws_pass() {
    // They run in a process of their own, one at a time, and this process runs none meanwhile.
    let _turn = TURN.blocking_lock();
    let itself = std::env::current_exe().expect("the path of the tests");
    let listed = Command::new(&itself).args(["--list", "--ignored", "--format", "terse", "processes::"]).output();
    let listed = String::from_utf8(listed.expect("a list of tests").stdout).expect("text");
    let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    let mut names: Vec<&str> = names.filter(|name| !STARTED_BY_OTHERS.contains(name)).collect();
    let commit = commit();
    names.sort_by_key(|name| *blake3::hash(format!("{commit} {name}").as_bytes()).as_bytes());
    let drawn = &names[..names.len().div_ceil(3)];
    assert!(drawn.len() > 5, "{listed}");
    println!("{} of {} for commit {commit:?}:", drawn.len(), names.len());
    let mut tests = Command::new(&itself);
    tests.args(["--ignored", "--exact", "--test-threads=1"]).args(drawn);
    let ran = tests.output().expect("the tests");
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "of those that commit {commit:?} draws some failed: see above");
    let passed = format!("{} passed", drawn.len());
    assert!(said.contains(&passed), "not all of them ran");
}

/// Empty where there is none: then it is always the same half.
fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output().ok().filter(|output| output.status.success());
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
