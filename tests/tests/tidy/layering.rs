//! Dependencies point one way: `proto` ← protocols ← `coordinator` ← `node`, with `tests` on top.

use crate::tree::Tree;
use crate::{Finding, check};

/// Crates of other people that only some of ours may use, with the directories of those.
const CONFINED: [(&str, &[&str]); 8] = [
    ("libp2p", &["node"]),
    ("libp2p-stream", &["node"]),
    ("libp2p-identity", &["proto", "node", "tests"]),
    ("tokio", &["node", "tests", "protocols/raft"]),
    ("openraft", &["protocols/raft"]),
    ("axum", &["node", "tests"]),
    ("redb", &["node", "tests"]),
    ("wasmtime", &["node"]),
];

struct Member<'a> {
    directory: &'a str,
    name: String,
    dependencies: Vec<(String, toml::Value)>,
}

fn members(tree: &Tree) -> Vec<Member<'_>> {
    let manifests = tree.files.iter().filter_map(|(path, text)| Some((path.strip_suffix("/Cargo.toml")?, text)));
    manifests
        // Fuzz targets are a workspace of their own.
        .filter(|(directory, _)| *directory != "tests/fuzz")
        .filter_map(|(directory, text)| {
            let manifest: toml::Table = text.parse().ok()?;
            let name = manifest.get("package")?.get("name")?.as_str()?.to_owned();
            let mut dependencies = Vec::new();
            tables(&manifest, &mut dependencies);
            Some(Member { directory, name, dependencies })
        })
        .collect()
}

/// Every dependency, of whatever kind and for whatever target.
fn tables(manifest: &toml::Table, found: &mut Vec<(String, toml::Value)>) {
    for (key, value) in manifest {
        let Some(table) = value.as_table() else { continue };
        match key.as_str() {
            "dependencies" | "dev-dependencies" | "build-dependencies" => {
                found.extend(table.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            "target" => table.values().filter_map(toml::Value::as_table).for_each(|table| tables(table, found)),
            _ => {}
        }
    }
}

/// Whether the crate in directory `from` may depend on ours in directory `to`.
fn allowed(from: &str, to: &str) -> bool {
    let composes = |to: &str| to.starts_with("protocols/") && to != "protocols/raft";
    match from {
        "proto" => false,
        "protocols/coordinator" => to == "proto" || composes(to),
        _ if from.starts_with("protocols/") => to == "proto",
        "node" => to == "proto" || to.starts_with("protocols/"),
        "tests" => true,
        // A crate where DESIGN knows none has no edges until somebody decides which.
        _ => false,
    }
}

fn rule(tree: &Tree) -> Vec<Finding> {
    let members = members(tree);
    let mut findings = Vec::new();
    for member in &members {
        for (name, value) in &member.dependencies {
            let from = member.directory;
            if let Some(to) = members.iter().find(|other| other.name == *name).map(|other| other.directory) {
                if !allowed(from, to) {
                    findings.push(format!("{from}/Cargo.toml: {from} must not depend on {to}"));
                }
            } else if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                findings
                    .push(format!("{from}/Cargo.toml: {name} needs `workspace = true`, so that there is one version"));
            }
            let confined = CONFINED.iter().find(|(confined, _)| confined == name);
            if let Some((_, homes)) = confined.filter(|(_, homes)| !homes.contains(&from)) {
                findings.push(format!("{from}/Cargo.toml: {name} is for {} only", homes.join(", ")));
            }
        }
    }
    findings
}

#[test]
fn dependencies_point_one_way() {
    check(rule);
    assert!(members(&Tree::of_repository()).len() >= 6, "the manifests were not found");
}

#[test]
fn edges_against_the_layers_are_found() {
    let manifest = |name: &str, rest: &str| format!("[package]\nname = \"{name}\"\n{rest}");
    let found = |directory: &str, rest: &str| {
        let own = manifest("own", rest);
        rule(&Tree::sample(&[
            ("proto/Cargo.toml", &manifest("mesh-proto", "")),
            ("protocols/tasks/Cargo.toml", &manifest("mesh-tasks", "")),
            ("protocols/raft/Cargo.toml", &manifest("mesh-raft", "")),
            (&format!("{directory}/Cargo.toml"), &own),
        ]))
        .len()
    };
    let one = |name: &str| format!("[dependencies]\n{name}.workspace = true");
    assert_eq!(found("protocols/gossip", &one("mesh-proto")), 0);
    assert_eq!(found("protocols/gossip", &one("mesh-tasks")), 1);
    assert_eq!(found("protocols/gossip", "[dev-dependencies]\nmesh-tasks.workspace = true"), 1);
    assert_eq!(found("protocols/gossip", "[target.'cfg(unix)'.dependencies]\nmesh-tasks.workspace = true"), 1);
    assert_eq!(found("protocols/coordinator", &one("mesh-tasks")), 0);
    assert_eq!(found("protocols/coordinator", &one("mesh-raft")), 1);
    assert_eq!(found("protocols/gossip", &one("libp2p")), 1);
    assert_eq!(found("protocols/gossip", &one("tokio")), 1);
    assert_eq!(found("node", &one("libp2p")), 0);
    assert_eq!(found("node", "[dependencies]\nserde = \"1\""), 1);
}
