//! Disks that are nearly full, and full, under real nodes: a small file system in memory for each, in a mount namespace
//! of the test's own. A node keeps room for itself on its disk; that others take it is no fault of its reckoning.
//!
//! The test that is found by its name starts this binary again inside the namespace, where the other does the work.

use super::{Mesh, PATIENCE, TURN, check_hashes, hashes, is_done, job, until};
use meshd::api::result::TaskResult;
use meshd::api::submission::{Command, ProgramSpec};
use meshd::client::Ask;
use meshd::testnet::{Testnet, TestnetError, Tracker};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

const INSIDE: &str = "processes::full_disk::inside";
/// Of each node's disk: what it keeps back and new work, then room to fill.
const MIB: u64 = 256;
const NODES: usize = 3;

#[tokio::test]
async fn a_disk_without_room_refuses_new_work_and_loses_none() {
    let _turn = TURN.lock().await;
    let in_namespace = |program: &Path| {
        let mut unshare = Process::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount"]).arg(program);
        unshare
    };
    let probe = in_namespace(Path::new("true")).output();
    if !probe.as_ref().is_ok_and(|probe| probe.status.success()) {
        println!("SKIPPED: no mount namespace of its own is to be had here: {probe:?}");
        return;
    }
    let itself = std::env::current_exe().unwrap();
    let mut inside = in_namespace(&itself);
    inside.args(["--exact", INSIDE, "--ignored", "--nocapture"]).env(INSIDE, "1");
    assert!(inside.status().unwrap().success());
}

/// Not a test of its own: what the other does inside its namespace.
#[tokio::test]
#[ignore = "started by another test, inside a namespace"]
async fn inside() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Small segments, so that a full disk is soon felt.
    let more = "[log]\nsegment_size = \"1MiB\"\n";
    let mut mesh = Mesh::up_in(dir.path(), NODES, |options| options.more = more.into()).await;
    for node in 0..NODES {
        move_to_own_disk(&mut mesh, node);
    }
    let whole = mesh.net.wait_whole().await;
    mesh.check(whole);
    nearly_full(&mut mesh).await;
    full(&mut mesh).await;

    let disks: Vec<PathBuf> = mesh.net.nodes().iter().map(|node| node.data_dir.clone()).collect();
    drop(mesh);
    for disk in disks {
        assert!(Process::new("umount").arg(disk).status().unwrap().success());
    }
}

/// Mounts a file system of its own in the place of a node's data directory.
fn move_to_own_disk(mesh: &mut Mesh, node: usize) {
    let ended = mesh.net.terminate(node);
    mesh.check(ended);
    let place = mesh.net.nodes()[node].data_dir.clone();
    let aside = place.with_extension("aside");
    std::fs::rename(&place, &aside).unwrap();
    std::fs::create_dir(&place).unwrap();
    let size = format!("size={MIB}m,mode=0700");
    let mount = ["-t", "tmpfs", "-o", &size, "none"];
    assert!(Process::new("mount").args(mount).arg(&place).status().unwrap().success());
    assert!(Process::new("cp").arg("-a").arg(aside.join(".")).arg(&place).status().unwrap().success());
    let started = mesh.net.start(node);
    mesh.check(started);
}

/// Fills the disks of all nodes but for so many bytes of each.
fn fill_all(net: &Testnet, left: u64) {
    for ballast in ballasts(net) {
        let bytes = free(ballast.parent().unwrap()) - left;
        fill(&ballast, if left == 0 { u64::MAX } else { bytes });
    }
}

fn empty_all(net: &Testnet) {
    for ballast in ballasts(net) {
        std::fs::remove_file(ballast).unwrap();
    }
}

fn ballasts(net: &Testnet) -> Vec<PathBuf> {
    net.nodes().iter().map(|node| node.data_dir.join("ballast")).collect()
}

/// New work is refused with a time to come again; what was taken ends; with room again, new work is taken.
async fn nearly_full(mesh: &mut Mesh) {
    let command = Command { argv: vec!["sleep".into(), "3".into()], ..Command::default() };
    let taken = job("taken", ProgramSpec::Exec(command), 12);
    let (mut tracker, mut gateways) = (Tracker::new(12), mesh.net.gateways(&[0]).unwrap());
    let mut nothing = |_: &Tracker| Ok(());
    let work = taken.carry(&mut gateways, &mut tracker, &mut nothing);
    let refused = async {
        let net = &mesh.net;
        until("all are taken", || async { held(net).await == 12 * 3 + 3 }).await;
        fill_all(net, 30 << 20);
        until("it is noticed", || async { !any_has_room(net).await }).await;
        let said = submit(net, "refused").await;
        assert_eq!(said.status.code(), Some(75), "{said:?}");
        let stderr = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(stderr.contains("try again in"), "{stderr}");
        let says_why = |why: &String| why.contains("nearly full");
        until("it is a reason not to be ready", || async {
            net.status(0).await.is_ok_and(|status| !status.ready && status.reasons.iter().any(says_why))
        })
        .await;
    };
    let (carried, ()) = tokio::join!(work, refused);
    mesh.check(carried);
    assert!(tracker.told().iter().flatten().all(|told| is_done(&told.result)), "{:?}", tracker.told());

    let net = &mesh.net;
    empty_all(net);
    until("work is taken again", || async { submit(net, "taken again").await.status.success() }).await;
}

/// A failed append ends the process with a line that says why, and loses nothing that was acknowledged.
async fn full(mesh: &mut Mesh) {
    const COUNT: usize = 4_000;
    let mut big = job("big", ProgramSpec::Echo, COUNT);
    big.placed = true;
    for (at, item) in big.items.iter_mut().enumerate() {
        item.stdin = Some(text(at));
    }
    let (mut tracker, mut gateways) = (Tracker::new(COUNT), mesh.net.gateways(&[0]).unwrap());
    let mut filled = false;
    let mut watch = |tracker: &Tracker| {
        if !filled && tracker.placed.len() > 100 {
            filled = true;
            fill_all(&mesh.net, 0);
        }
        Ok(())
    };
    // The stream breaks with its node, or its items are refused from now on.
    let broken = tokio::time::timeout(PATIENCE, big.attempt(&mut gateways, &mut tracker, &mut watch)).await;
    assert!(filled, "{broken:?}");
    let ended: Vec<usize> = (0..NODES).filter(|node| mesh.net.exit_of(*node).is_some()).collect();
    println!("{} acknowledged, {ended:?} ended by the full disk", tracker.placed.len());
    if ended.is_empty() {
        // All noticed in time that there is no room, and refused what would have needed it.
        println!("no node had to write what there was no room for");
    }
    for node in &ended {
        assert_eq!(mesh.net.exit_of(*node).and_then(|status| status.code()), Some(70));
        let log = mesh.net.log_tail(*node);
        assert!(log.contains("cannot be written") && log.contains("No space left"), "{log}");
    }

    empty_all(&mesh.net);
    for node in 0..NODES {
        let started = mesh.net.restart(node);
        mesh.check(started);
    }
    let whole = mesh.net.wait_whole().await;
    mesh.check(whole);
    let gateways_now = mesh.net.gateways(&[1]).unwrap();
    for (index, task) in tracker.placed.clone() {
        let ask = Ask::get(format!("/v1/tasks/{task}/result?wait={}s", PATIENCE.as_secs()));
        let result: Result<TaskResult, _> = gateways_now.client().ask(&ask).await;
        let result = mesh.check(result.map_err(TestnetError::from));
        assert_eq!(result.stdout.as_deref(), Some(text(index as usize).as_str()), "item {index}: {}", result.state);
    }
    let after = hashes("after", 20);
    let mut tracker = Tracker::new(20);
    let carried = after.carry(&mut gateways, &mut tracker, &mut |_| Ok(())).await;
    mesh.check(carried);
    check_hashes(&tracker);
}

/// Nearly as much as a record holds inline.
fn text(at: usize) -> String {
    format!("{at:08} ").repeat(1_600)
}

/// Records on all disks: a job's own record is one.
async fn held(net: &Testnet) -> u64 {
    let mut held = 0;
    for node in 0..NODES {
        held += net.status(node).await.map_or(0, |status| status.held);
    }
    held
}

async fn any_has_room(net: &Testnet) -> bool {
    let mut any = false;
    for node in 0..NODES {
        any |= net.status(node).await.is_ok_and(|status| status.disk_has_room);
    }
    any
}

async fn submit(net: &Testnet, text: &str) -> std::process::Output {
    let mut meshd = Process::new(PathBuf::from(env!("CARGO_BIN_EXE_meshd")));
    meshd.args(["submit", "--echo", text]);
    meshd.env("MESHD_API", net.nodes()[1].api()).env("MESHD_TOKEN_FILE", net.token_file());
    tokio::task::spawn_blocking(move || meshd.output()).await.unwrap().unwrap()
}

fn free(disk: &Path) -> u64 {
    let disk = rustix::fs::statvfs(disk).unwrap();
    disk.f_bavail * disk.f_frsize
}

/// A file of so many bytes, or as many as there are.
fn fill(path: &Path, mut bytes: u64) {
    let mut file = File::create(path).unwrap();
    let zeros = vec![0; 1 << 20];
    while bytes > 0 {
        let now = bytes.min(zeros.len() as u64) as usize;
        match file.write(&zeros[..now]) {
            Ok(written) => bytes -= written as u64,
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return,
            Err(error) => panic!("{error}"),
        }
    }
}
