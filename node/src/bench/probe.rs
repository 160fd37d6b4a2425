//! What the nodes have used so far.

use std::time::Duration;

use crate::testnet::{Gateways, Testnet, TestnetError, own_cpu};

/// Syncs of a node's log on its `/metrics`.
const SYNCS: &str = "mesh_log_syncs_total";

/// Longer than a node waits before it takes itself to be at rest.
const REST: Duration = Duration::from_millis(1_500);

#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Of all nodes together.
    pub(super) cpu: Duration,
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
        Ok(Self { cpu: usage.iter().map(|usage| usage.cpu).sum(), syncs, own_cpu: own_cpu().0 })
    }
}

type Settings = std::collections::BTreeMap<String, serde_json::Value>;

/// What the nodes were told by their operator, and figures depend on.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Disks that hold each task.
    pub(super) replicas: usize,
    /// Tasks that run at once on each node.
    pub(super) slots: Vec<u32>,
}

impl Told {
    pub(super) async fn by(net: &Testnet, gateways: &Gateways) -> Result<Self, TestnetError> {
        let number = |settings: &Settings, key: &str| settings.get(key).and_then(serde_json::Value::as_u64);
        let (mut copies, mut slots) = (net.nodes().len(), Vec::new());
        for node in net.running() {
            let settings = gateways.settings(node).await?;
            let wanted = number(&settings, "tasks.copies").and_then(|wanted| usize::try_from(wanted).ok());
            copies = copies.min(wanted.unwrap_or(usize::MAX));
            slots.push(number(&settings, "exec.slots").and_then(|slots| u32::try_from(slots).ok()).unwrap_or_default());
        }
        Ok(Self { replicas: copies, slots })
    }
}

/// Bytes in RAM of each node, once the nodes are at rest: what stays, not what was needed on the way.
pub(super) async fn resident(net: &Testnet) -> Vec<u64> {
    let now = || net.usage().iter().map(|usage| usage.resident).collect::<Vec<u64>>();
    let mut last = now();
    for _ in 0..10 {
        tokio::time::sleep(REST).await;
        let next = now();
        let (before, after) = (last.iter().sum::<u64>(), next.iter().sum::<u64>());
        last = next;
        // Within 1 %.
        if before.abs_diff(after) * 100 <= before {
            break;
        }
    }
    last
}

/// The load of the last minute, where the system tells it.
pub(super) fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}
