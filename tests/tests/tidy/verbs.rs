//! `docs/cli.md` has a heading for each verb: `` ## `meshd task list` ``.

use std::collections::BTreeSet;

use crate::tree::Tree;
use crate::{Finding, check, docs};

const PAGE: &str = "docs/cli.md";

/// Every verb that does something, as it is typed.
fn verbs(command: &clap::Command, typed: &str, found: &mut BTreeSet<String>) {
    let mut children =
        command.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help").peekable();
    if children.peek().is_none() {
        found.insert(typed.to_owned());
    }
    children.for_each(|child| verbs(child, &format!("{typed} {}", child.get_name()), found));
}

fn headings(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#')).filter_map(|line| line.split('`').nth(1));
    headings.filter(|heading| heading.starts_with("meshd ")).map(str::to_owned).collect()
}

/// Each flag of a verb stands in the verb's section, and each flag of all verbs somewhere on the page.
fn flags(command: &clap::Command, page: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut open = vec![(command.clone(), "meshd".to_owned())];
    while let Some((command, typed)) = open.pop() {
        open.extend(command.get_subcommands().map(|child| (child.clone(), format!("{typed} {}", child.get_name()))));
        let section = section(page, &typed);
        for flag in command.get_arguments().filter(|flag| !flag.is_hide_set()).filter_map(clap::Arg::get_long) {
            let there = format!("`--{flag}");
            let generated = matches!(flag, "help" | "version");
            if !generated && !section.contains(&there) {
                findings.push(format!("{PAGE}: the section of {typed} lacks --{flag}"));
            }
        }
    }
    findings
}

/// What stands under a verb's heading; for `meshd` itself the whole page.
fn section<'a>(page: &'a str, typed: &str) -> &'a str {
    let Some(start) = page.find(&format!("# `{typed}`")) else { return if typed == "meshd" { page } else { "" } };
    let rest = &page[start + 1..];
    rest.find("\n#").map_or(rest, |end| &rest[..end])
}

fn rule(tree: &Tree) -> Vec<Finding> {
    let command = meshd::cli::command();
    let mut there = BTreeSet::new();
    verbs(&command, "meshd", &mut there);
    let page = tree.text(PAGE);
    let mut findings = docs::compare(PAGE, &headings(page), &there);
    findings.extend(flags(&command, page));
    findings
}

#[test]
fn every_verb_and_flag_has_its_place_in_the_reference() {
    check(rule);
}

#[test]
fn verbs_and_flags_without_a_place_are_found() {
    let command = clap::Command::new("meshd")
        .subcommand(
            clap::Command::new("task").subcommand(clap::Command::new("list").arg(clap::Arg::new("x").long("state"))),
        )
        .subcommand(clap::Command::new("run"));
    let mut found = BTreeSet::new();
    verbs(&command, "meshd", &mut found);
    assert_eq!(found, ["meshd run", "meshd task list"].map(str::to_owned).into());
    let page = "# CLI\n## `meshd run`\n`--state`\n## `meshd gone`\n";
    let findings = docs::compare(PAGE, &headings(page), &found);
    assert_eq!(findings, ["docs/cli.md: lacks meshd task list", "docs/cli.md: lists meshd gone, which is gone"]);
    assert_eq!(flags(&command, page).len(), 1);
    assert_eq!(flags(&command, "## `meshd task list`\n`--state STATE`\n"), Vec::<String>::new());
}
