//! What the replicas have used and done so far.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::try_join_all;

use super::gateways::Gateways;
use crate::testnet::{NodeState, Testnet, TestnetError};

/// What of a replica's `/metrics` is looked at.
const SYNCS: &str = "mesh_log_syncs_total";
const MESSAGES: &str = "mesh_consensus_messages_verified_total";
const VIEW: &str = "mesh_consensus_view";
const EXECUTED: &str = "mesh_consensus_executed";
const STABLE: &str = "mesh_consensus_stable";

/// At one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    used: Used,
    told: Told,
}

/// What the system says of the processes, of all that run together.
#[derive(Clone, Debug)]
struct Used {
    at: Instant,
    cpu: Duration,
    gateways_cpu: Duration,
    /// None where the system does not tell.
    written_bytes: Option<u64>,
    /// The largest.
    resident: u64,
}

/// What the replicas say of themselves.
#[derive(Clone, Debug)]
struct Told {
    at: Instant,
    /// Of all together.
    syncs: f64,
    messages: f64,
    /// The highest.
    view: f64,
    executed: f64,
    stable: f64,
}

/// What happened between two moments, by the second where it says so.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Of all replicas together.
    pub cpu_per_s: Duration,
    pub gateways_cpu_per_s: Duration,
    pub written_bytes: Option<u64>,
    pub syncs_per_s: f64,
    pub messages_per_s: f64,
    pub batches_per_s: f64,
    pub view_changes: u64,
    pub checkpoints: u64,
    /// The largest replica at the end.
    pub resident: u64,
}

impl Sample {
    /// At the beginning of what is measured: asking the replicas costs them, and comes before.
    pub async fn opening(net: &Testnet, gateways: Option<&Gateways>) -> Result<Self, TestnetError> {
        let told = Told::by(net).await?;
        Ok(Self { used: Used::by(net, gateways), told })
    }

    /// At the end, where it comes behind.
    pub async fn closing(net: &Testnet, gateways: Option<&Gateways>) -> Result<Self, TestnetError> {
        let used = Used::by(net, gateways);
        Ok(Self { used, told: Told::by(net).await? })
    }

    /// The largest replica.
    pub fn resident(&self) -> u64 {
        self.used.resident
    }

    /// What happened since `before`.
    pub fn since(&self, before: &Self) -> Passed {
        let used = self.used.at.duration_since(before.used.at).as_secs_f64();
        let told = self.told.at.duration_since(before.told.at).as_secs_f64();
        let interval = mesh_ledger::Rules::default().checkpoint_interval as f64;
        let cpu = |now: Duration, then: Duration| now.saturating_sub(then).div_f64(used);
        let whole = |difference: f64| difference.max(0.0) as u64;
        Passed {
            cpu_per_s: cpu(self.used.cpu, before.used.cpu),
            gateways_cpu_per_s: cpu(self.used.gateways_cpu, before.used.gateways_cpu),
            written_bytes: self
                .used
                .written_bytes
                .zip(before.used.written_bytes)
                .map(|(now, then)| now.saturating_sub(then)),
            syncs_per_s: (self.told.syncs - before.told.syncs) / told,
            messages_per_s: (self.told.messages - before.told.messages) / told,
            batches_per_s: (self.told.executed - before.told.executed) / told,
            view_changes: whole(self.told.view - before.told.view),
            checkpoints: whole((self.told.stable - before.told.stable) / interval),
            resident: self.used.resident,
        }
    }
}

impl Used {
    fn by(net: &Testnet, gateways: Option<&Gateways>) -> Self {
        let usage = net.usage();
        Self {
            at: Instant::now(),
            cpu: usage.iter().map(|usage| usage.cpu).sum(),
            gateways_cpu: gateways.map_or_else(Duration::default, Gateways::cpu),
            written_bytes: net.nodes().iter().filter(|node| node.process.is_some()).map(written).sum(),
            resident: usage.iter().map(|usage| usage.resident).max().unwrap_or_default(),
        }
    }
}

/// Bytes that a node has had written to a disk.
fn written(node: &NodeState) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{}/io", node.process?.pid)).ok()?;
    text.lines().find_map(|line| line.strip_prefix("write_bytes:"))?.trim().parse().ok()
}

impl Told {
    async fn by(net: &Testnet) -> Result<Self, TestnetError> {
        let running = net.running();
        let clients = net.gateways(&running)?;
        let all = try_join_all((0..running.len()).map(|at| clients.metrics(at))).await?;
        let at = Instant::now();
        let each = |name: &'static str| all.iter().map(move |metrics: &BTreeMap<String, f64>| value(metrics, name));
        let highest = |name| each(name).fold(0.0, f64::max);
        Ok(Self {
            at,
            syncs: each(SYNCS).sum(),
            messages: each(MESSAGES).sum(),
            view: highest(VIEW),
            executed: highest(EXECUTED),
            stable: highest(STABLE),
        })
    }
}

fn value(metrics: &BTreeMap<String, f64>, name: &str) -> f64 {
    metrics.get(name).copied().unwrap_or_default()
}
