//! Kademlia among members.

use super::harness::{Network, TCP, within};
use meshd::blob::{self, BlobConfig, BlobStore};
use meshd::directory::Directory;
use meshd::work::{Replicas, find};
use std::time::Duration;
use tokio_util::compat::FuturesAsyncReadCompatExt as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_is_found_through_others() {
    let network = Network::new("lookups");
    let mut hub = network.member().listen(TCP).start().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let mut node = network.member().listen(TCP).bootstrap(&hub.address()).start().await;
        node.up().await;
        hub.up().await;
        nodes.push(node);
    }
    let find = async {
        loop {
            nodes[0].handle.provide(&[7; 32]).unwrap();
            let found = nodes[2].handle.providers(&[7; 32]).await.unwrap();
            if found == [nodes[0].node] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    within(Duration::from_secs(20), find).await;
    // Where the hub is, is known when it has said so.
    let closest = async {
        loop {
            let closest = nodes[1].handle.closest(b"anything").await.unwrap();
            if closest.iter().any(|(node, addresses)| *node == hub.node && !addresses.is_empty()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(Duration::from_secs(20), closest).await;
    assert!(nodes[0].handle.providers(&[8; 32]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_is_had_from_a_node_that_nobody_named() {
    let network = Network::new("found");
    // Where nobody answers to a protocol that is offered, its asker would wait.
    let mut hub = network.member().listen(TCP).configure(|config| config.stream_protocols.clear()).start().await;
    let mut nodes = Vec::new();
    for is_provider in [true, false, false] {
        let member = network.member().listen(TCP).bootstrap(&hub.address());
        let protocols = if is_provider { vec![blob::PROTOCOL] } else { Vec::new() };
        let mut node = member.configure(|config| config.stream_protocols = protocols).start().await;
        node.up().await;
        hub.up().await;
        nodes.push(node);
    }
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = |dir: &tempfile::TempDir| BlobStore::open(dir.path(), BlobConfig::default()).unwrap();
    let (there, here) = (open(&dirs.0), open(&dirs.1));
    let data: Vec<u8> = (0..2_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let id = there.ingest(&data[..], None).await.unwrap().id;
    let mut incoming = nodes[0].handle.incoming(blob::PROTOCOL).unwrap();
    tokio::spawn(async move {
        while let Some((who, stream)) = incoming.recv().await {
            let there = there.clone();
            tokio::spawn(async move { there.serve(stream.compat(), who).await });
        }
    });
    let replicas = Replicas::new(nodes[2].handle.clone(), Directory::new(network.genesis.clone()), 2);
    let find = async {
        loop {
            nodes[0].handle.provide(id.as_bytes()).unwrap();
            match find::fetch(&here, &replicas, id, Some(data.len() as u64), &[], |_| {}).await {
                Ok(hold) => return hold,
                Err(error) => println!("not yet: {error}"),
            }
        }
    };
    let hold = within(Duration::from_secs(30), find).await;
    assert!(std::fs::read(hold.path()).unwrap() == data);
    assert_eq!(here.metrics().received.get(), data.len() as u64);
}
