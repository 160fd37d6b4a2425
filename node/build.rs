//! Names the commit that is built, for `meshd --version` and the metrics: from `MESHD_COMMIT`, else from git.
//!
//! Git is asked in optimized builds only: in the others each commit would compile the crate anew.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=MESHD_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("MESHD_COMMIT").is_some() || std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return };
    println!("cargo:rustc-env=MESHD_COMMIT={commit}");
    // Every commit and checkout writes here.
    if let Some(log) = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
}

/// What git says, where it is installed and this is a clone.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
