//! Kademlia among members.

use super::harness::{Network, TCP, within};
use std::time::Duration;

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
            nodes[0].handle.provide(b"a blob").unwrap();
            let found = nodes[2].handle.providers(b"a blob").await.unwrap();
            if found == [nodes[0].node] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    within(Duration::from_secs(20), find).await;
    let closest = nodes[1].handle.closest(b"anything").await.unwrap();
    assert!(closest.iter().any(|(node, addresses)| *node == hub.node && !addresses.is_empty()), "{closest:?}");
    assert!(nodes[0].handle.providers(b"nothing").await.unwrap().is_empty());
}
