//! Real processes under fire, by the node's real binary: a binary of its own, so that nothing else uses the machine meanwhile.
//! `cargo run --release -p mesh-tests --bin siege` goes on for longer.

use mesh_proto::genesis::Engine;
use mesh_tests::siege::{Figures, Plan};
use std::{path::PathBuf, time::Duration};

/// The node's binary, which cargo builds beside this one for its own tests.
fn meshd() -> PathBuf {
    if let Some(path) = std::env::var_os("MESHD") {
        return path.into();
    }
    let own = std::env::current_exe().expect("a path");
    // Test binaries are in `deps`, within the profile's directory.
    let path = own.parent().and_then(|deps| deps.parent()).expect("a profile's directory").join("meshd");
    assert!(path.is_file(), "{} is not there: `cargo build -p meshd`, or name one as MESHD", path.display());
    path
}

async fn under_fire(engine: Engine, nodes: usize, seconds: u64) -> Figures {
    let dir = tempfile::tempdir().unwrap();
    let plan = Plan {
        binary: meshd(),
        nodes,
        time: Duration::from_secs(seconds),
        clients: 8,
        kill_every: Duration::from_secs(3),
        engine,
        seed: rand::random(),
        dir: Some(dir.path().to_owned()),
        keep: false,
    };
    let figures = match plan.run().await {
        Ok(figures) if figures.violations.is_empty() => figures,
        // What was kept is not for the directory's end.
        failed => panic!("seed {}, kept in {}: {failed:#?}", plan.seed, dir.keep().display()),
    };
    println!("{figures}");
    assert!(figures.all.ok > 0 && figures.keys > 0 && figures.grants > 0, "{figures}");
    assert!(figures.too_long * 100 <= figures.keys, "{figures}");
    assert!(figures.views > 0, "{figures}");
    figures
}

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_or_done_twice_under_fire() {
    let figures = under_fire(Engine::Pbft, 4, 30).await;
    assert!(figures.proofs > 0 && figures.faults.contains_key("kill -9 of all"), "{figures}");
}

/// And the committee is whole at the end: leaders that are started again take nobody out of it.
#[tokio::test]
async fn the_same_under_raft() {
    under_fire(Engine::Raft, 3, 20).await;
}
