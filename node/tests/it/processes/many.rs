//! Larger meshes.

use super::{Mesh, is_done, job};
use meshd::api::submission::ProgramSpec;
use meshd::testnet::Tracker;
use std::collections::BTreeSet;

async fn work_on(nodes: usize, count: usize) {
    let mesh = Mesh::up(nodes).await;
    let job = job("many", ProgramSpec::Echo, count);
    let mut gateways = mesh.net.gateways(&[nodes - 1, 0]).unwrap();
    let mut tracker = Tracker::new(count);
    let carried = job.carry(&mut gateways, &mut tracker, &mut |_| Ok(())).await;
    mesh.check(carried);
    let told = || tracker.told().iter().flatten().map(|told| &told.result);
    assert!(told().all(is_done) && told().count() == count);
    let ran: BTreeSet<_> = told().filter_map(|result| result.node.clone()).collect();
    println!(
        "{} of {nodes} nodes ran {count} tasks; {:?}",
        ran.len(),
        mesh.net.usage().iter().map(|usage| usage.resident >> 20).max()
    );
    assert!(ran.len() * 2 > nodes, "only {} of {nodes} nodes ran any of {count} tasks", ran.len());
}

#[tokio::test]
async fn ten_nodes_work_together() {
    work_on(10, 500).await;
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn fifty_nodes_work_together() {
    work_on(50, 2_000).await;
}
