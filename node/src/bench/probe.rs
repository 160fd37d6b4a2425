//! What the nodes have used so far.

use std::time::Duration;

use crate::testnet::{Gateways, Testnet, TestnetError, own_cpu};

/// Syncs of a node's log on its `/metrics`.
const SYNCS: &str = "mesh_log_syncs_total";

#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Of all nodes together.
    pub(super) cpu: Duration,
    /// Bytes, of each node.
    pub(super) resident: Vec<u64>,
    /// Of all nodes together.
    pub(super) syncs: f64,
    /// Of the client.
    pub(super) own_cpu: Duration,
}

impl Sample {
    pub(super) async fn take(net: &Testnet, gateways: &Gateways) -> Result<Self, TestnetError> {
        let mut syncs = 0.0;
        for node in net.running() {
            syncs += gateways.metrics(node).await?.get(SYNCS).copied().unwrap_or_default();
        }
        let usage = net.usage();
        Ok(Self {
            cpu: usage.iter().map(|usage| usage.cpu).sum(),
            resident: usage.iter().map(|usage| usage.resident).collect(),
            syncs,
            own_cpu: own_cpu().0,
        })
    }
}

/// The load of the last minute, where the system tells it.
pub(super) fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}
