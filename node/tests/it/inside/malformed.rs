//! A member that sends what is no message: refused, counted by reason, and blocked when it goes on.

use super::Inside;
use crate::{
    network::harness::Member,
    processes::{TURN, until},
};
use bytes::Bytes;
use meshd::{client::Ask, network::Class};

impl Inside {
    /// The value of a series of its metrics.
    async fn metric(&self, series: &str) -> u64 {
        let mut response = self.client.send(&Ask::get("/metrics")).await.unwrap();
        let mut text = Vec::new();
        while let Some(piece) = meshd::client::piece(&mut response).await.unwrap() {
            text.extend_from_slice(&piece);
        }
        let text = String::from_utf8(text).unwrap();
        let line = text.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_is_counted_and_its_sender_blocked() {
    let _turn = TURN.lock().await;
    let node = Inside::maker(|disk| disk).await;
    let address = node.address().parse().unwrap();
    let mut liar = Member::of(&node.join()).bootstrap(&address).start().await;
    let to = liar.up().await;
    let garbage = Bytes::from_static(b"\xff\xff\xff");
    for (class, reason) in [
        (Class::Task, "task_frame"),
        (Class::Control, "control_frame"),
        (Class::Bulk, "bulk_frame"),
        (Class::Consensus, "consensus_frame"),
    ] {
        liar.handle.send(to, class, garbage.clone()).unwrap();
        let series = format!("mesh_network_refused_total{{reason=\"{reason}\"}}");
        until("it is counted", || async { node.metric(&series).await == 1 }).await;
    }
    liar.handle.publish(meshd::directory::TOPIC, garbage.clone()).unwrap();
    until("its gossip is rejected", || async {
        // Until the first subscription has arrived there is nobody to publish to.
        liar.handle.publish(meshd::directory::TOPIC, Bytes::from(rand::random::<[u8; 8]>().to_vec())).unwrap();
        node.metric("mesh_network_refused_total{reason=\"gossip_rejected\"}").await > 0
    })
    .await;
    until("it is blocked", || async {
        if liar.handle.is_connected(to) {
            liar.handle.send(to, Class::Task, garbage.clone()).unwrap_or_default();
        }
        node.metric("mesh_network_blocked").await == 1
    })
    .await;
    assert_eq!(liar.down().await, to);
    node.stop().await;
}
