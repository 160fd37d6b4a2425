//! Two machines on one wire, as far as they can tell: network namespaces on a bridge. They know of each other by nothing
//! but mDNS.

use super::{TURN, until};
use mesh_proto::{address::Addresses, role::Role};
use meshd::identity::{self, DataDir, InviteTerms};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The namespaces of this test; removed when it is over.
struct Wire {
    names: [String; 3],
}

impl Wire {
    /// `None` where this process may make none.
    fn lay() -> Option<Self> {
        let tag = rand::random::<u16>();
        let names = ["switch", "one", "two"].map(|name| format!("meshd-{name}-{tag:04x}"));
        let wire = Self { names };
        let [switch, one, two] = &wire.names;
        for name in &wire.names {
            if !ip(&["netns", "add", name]) {
                return None;
            }
        }
        let mut laid = ip(&["-n", switch, "link", "add", "br0", "type", "bridge"]);
        laid &= ip(&["-n", switch, "link", "set", "br0", "up"]);
        for (at, name) in [(1, one), (2, two)] {
            let port = format!("p{at}");
            laid &= ip(&["-n", switch, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", name]);
            laid &= ip(&["-n", switch, "link", "set", &port, "master", "br0", "up"]);
            laid &= ip(&["-n", name, "addr", "add", &format!("10.77.0.{at}/24"), "dev", "eth0"]);
            laid &= ip(&["-n", name, "link", "set", "eth0", "up"]);
            laid &= ip(&["-n", name, "link", "set", "lo", "up"]);
        }
        laid.then_some(wire)
    }

    fn run(&self, at: usize, args: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[at], env!("CARGO_BIN_EXE_meshd")]).args(args);
        command
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&["netns", "del", name]);
        }
    }
}

fn ip(args: &[&str]) -> bool {
    Command::new("ip").args(args).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // `ip netns exec` has become the node.
        self.0.kill().and_then(|()| self.0.wait()).map(drop).unwrap_or_default();
    }
}

#[tokio::test]
async fn two_on_one_wire_find_each_other_without_an_address() {
    let _turn = TURN.lock().await;
    let Some(wire) = Wire::lay() else {
        eprintln!("SKIPPED: this process may not make network namespaces, so mDNS between two of them is not tested");
        return;
    };
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let now = meshd::brain::clock::wall();
    let [one, two] = dirs.each_ref().map(|dir| DataDir::lock(dir.path()).unwrap());
    let maker = identity::init(&one, "wire".parse().unwrap(), false, now).unwrap();
    let (role, bootstrap) = (Role::Full, Addresses::default());
    let terms = InviteTerms { role, valid_for: Duration::from_secs(600), bootstrap };
    let token = identity::invite(&maker, None, terms, now).unwrap().to_text().to_string();
    identity::join(&two, &token, None, now).unwrap();
    drop((one, two));

    let begun = Instant::now();
    let nodes = dirs.each_ref().map(|dir| dir.path().to_str().unwrap());
    let _running: Vec<Killed> = nodes
        .iter()
        .enumerate()
        .map(|(at, dir)| {
            let log = std::fs::File::create(Path::new(dir).join("log.txt")).unwrap();
            Killed(wire.run(at + 1, &["--data-dir", dir, "run"]).stderr(log).spawn().unwrap())
        })
        .collect();
    for (at, dir) in nodes.iter().enumerate() {
        until("each reaches the other", || async {
            let status = wire.run(at + 1, &["--data-dir", dir, "status", "--output", "json"]).output().unwrap();
            serde_json::from_slice::<serde_json::Value>(&status.stdout)
                .is_ok_and(|status| status["ready"] == true && status["reachable"] == 2)
        })
        .await;
    }
    println!("they found each other after {:?}", begun.elapsed());
}
