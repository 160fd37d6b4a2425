//! Gossip goes on by a member's judgement only.

use super::harness::{Network, Node, TCP, within};
use bytes::Bytes;
use meshd::network::{NetworkEvent, Verdict};
use std::time::Duration;

/// Nodes in a line, each connected to the next, and to no other whatever Kademlia tells them.
async fn line(length: usize) -> Vec<Node> {
    let network = Network::new("line");
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..length {
        let mut member = network.member().listen(TCP);
        if let Some(previous) = nodes.last() {
            member = member.bootstrap(&previous.address());
        }
        let mut node = member.start().await;
        for stranger in nodes.iter().rev().skip(1) {
            node.handle.block(stranger.node, Duration::from_secs(600)).unwrap();
            stranger.handle.block(node.node, Duration::from_secs(600)).unwrap();
        }
        if let Some(previous) = nodes.last_mut() {
            node.up().await;
            previous.up().await;
        }
        nodes.push(node);
    }
    nodes
}

/// Publishes until the node's gossip has a neighbour to send to, and gives what the other end hears first.
async fn heard(nodes: &mut [Node], verdict: Verdict, published: u32) -> Option<Bytes> {
    let (first, rest) = nodes.split_first_mut().unwrap();
    let (last, between) = rest.split_last_mut().unwrap();
    let passing = between.iter_mut().map(|node| async move {
        while let Some(event) = node.events.recv().await {
            if let NetworkEvent::Gossip { id, topic, .. } = event {
                assert_eq!(topic, "members");
                node.handle.judge(id, verdict).unwrap();
            }
        }
    });
    let publishing = async {
        for number in 0..published {
            first.handle.publish("members", Bytes::from(number.to_be_bytes().to_vec())).unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let author = first.node;
    let hearing = last.wait("gossip", |event| match event {
        NetworkEvent::Gossip { from, bytes, .. } => {
            assert_eq!(from, author);
            Some(bytes)
        }
        _ => None,
    });
    tokio::select! {
        bytes = hearing => Some(bytes),
        () = publishing => None,
        _ = futures::future::join_all(passing) => unreachable!("nodes run"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_reaches_the_end_of_a_line_of_six() {
    let mut nodes = line(6).await;
    assert!(within(Duration::from_secs(60), heard(&mut nodes, Verdict::Accept, u32::MAX)).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rejected_goes_no_further_and_costs_its_sender() {
    let mut nodes = line(3).await;
    const PUBLISHED: u32 = 100;
    assert_eq!(within(Duration::from_secs(60), heard(&mut nodes, Verdict::Reject, PUBLISHED)).await, None);
    let refused = nodes[1].metric(r#"mesh_network_refused_total{reason="gossip_rejected"}"#);
    // Then gossipsub listens to its sender no longer.
    assert!((3..u64::from(PUBLISHED) / 2).contains(&refused), "{refused}");
}
