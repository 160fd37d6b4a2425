use serde::Serialize;

use super::committee::Standing;

/// What a run under load measured. Keys are only ever added.
#[derive(Clone, Debug, Serialize)]
pub struct ConsensusFigures {
    /// `consensus`.
    pub bench: &'static str,
    /// Replicas and gateways.
    pub nodes: usize,
    pub replicas: usize,
    pub durable: bool,
    /// Bytes of a value.
    pub payload_bytes: usize,
    /// Operations that ended well while it was measured.
    pub count: u64,
    pub throughput_per_s: f64,
    /// From when an operation was due to f + 1 equal replies at its gateway, under Raft to the leader's answer.
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// Of all replicas together. None where one was killed meanwhile, as its time is gone with it.
    pub cpu_us_per_op: Option<f64>,
    /// Of all gateways together, with the load that they make.
    pub gateway_cpu_us_per_op: f64,
    /// Syncs of all replicas' logs. None under Raft, which has a journal beside them.
    pub fsync_per_op: Option<f64>,
    /// Messages of the ordering protocol that all replicas took from others. None under Raft, which does not count them.
    pub messages_per_op: Option<f64>,
    /// Operations in a batch of the order.
    pub ops_per_batch: f64,
    /// The largest replica, before the load and at its end.
    pub rss_mib_per_node: f64,
    pub rss_mib_per_node_after: f64,
    /// Operations that were due while it was measured.
    pub due: u64,
    /// Of the whole load, warm-up included: what was not taken for want of room, what the ledger rejected, what was
    /// answered or read back wrongly, and what has no answer.
    pub refused: u64,
    pub rejected: u64,
    pub wrong: u64,
    pub unanswered: u64,
    /// Keys that were read back and held what was written.
    pub read_back: u64,
    /// Checkpoints that became stable while it was measured. None under Raft, which has none.
    pub checkpoints: Option<u64>,
    /// Under Raft terms that began.
    pub view_changes: u64,
    /// From the kill of the primary to the end of the first operation that was due behind it.
    pub first_commit_ms: Option<f64>,
    /// All replicas that run hold the same state at the end, by the digest of a checkpoint behind the last operation; under
    /// Raft by that of the memory, all having executed the same batch.
    pub digests_equal: bool,
    pub standings: Vec<Standing>,
    /// What is wrong with the run itself.
    pub warnings: Vec<String>,
    pub settings: ConsensusSettings,
}

/// What replicas cost that nobody asks anything.
#[derive(Clone, Debug, Serialize)]
pub struct IdleFigures {
    /// `consensus-idle`.
    pub bench: &'static str,
    pub nodes: usize,
    pub replicas: usize,
    pub durable: bool,
    /// Processor time of a replica, the mean of all.
    pub cpu_ms_per_s_per_replica: f64,
    /// What all replicas together wrote to their disks, where the system tells, and the syncs of their logs. These are
    /// none under Raft, which has a journal beside them.
    pub written_bytes: Option<u64>,
    pub fsyncs: Option<f64>,
    /// Batches that were ordered meanwhile.
    pub batches: f64,
    pub rss_mib_per_node: f64,
    pub digests_equal: bool,
    pub standings: Vec<Standing>,
    pub warnings: Vec<String>,
    pub settings: ConsensusSettings,
}

/// What a run was measured under.
#[derive(Clone, Debug, Serialize)]
pub struct ConsensusSettings {
    pub version: &'static str,
    /// Not a release build: its figures say little.
    pub debug_build: bool,
    /// `pbft` or `raft`.
    pub engine: String,
    pub cores: usize,
    /// Of the last minute, before the run and after it: others at work on this machine.
    pub load_before: Option<f64>,
    pub load_after: Option<f64>,
    pub gateways: usize,
    /// Operations a second, `max`, or `one` at a time.
    pub rate: String,
    /// `open`: on a schedule that waits for nobody. `closed`: each that ends makes room for the next, so that latency is
    /// of so many under way, and says nothing of a rate. `none`.
    pub load: &'static str,
    /// Operations that each gateway has under way, where the rate is `max`.
    pub under_way: Option<usize>,
    pub warm_up_s: f64,
    pub seconds: f64,
    /// Batches between two checkpoints, where there are any.
    pub checkpoint_interval: Option<u64>,
    pub kill_primary_at_s: Option<f64>,
    pub one_down: bool,
}

impl ConsensusFigures {
    /// For people.
    pub fn text(&self) -> String {
        let fault = match self.first_commit_ms {
            Some(ms) => format!("\n  primary killed: the next commit came after {ms:.0} ms"),
            None => String::new(),
        };
        format!(
            "{} operations of {} bytes by {} replicas ({}), {} gateways, rate {} ({} loop){}\n  {:.0}/s   p50 {:.2} ms   p90 {:.2} ms   p99 {:.2} ms   max {:.0} ms\n  CPU-µs an operation: replicas {}, gateways {:.1}   syncs: {}   messages: {}   operations a batch: {:.0}\n  RSS of the largest replica: {:.0} MiB, then {:.0} MiB   checkpoints: {}   view changes: {}{fault}\n  due: {}   refused: {}   rejected: {}   wrong: {}   unanswered: {}   read back: {}   digests: {}{}",
            self.count,
            self.payload_bytes,
            self.replicas,
            self.settings.engine,
            self.settings.gateways,
            self.settings.rate,
            self.settings.load,
            not_durable(self.durable),
            self.throughput_per_s,
            self.p50_ms,
            self.p90_ms,
            self.p99_ms,
            self.max_ms,
            or_none(self.cpu_us_per_op, 1),
            self.gateway_cpu_us_per_op,
            or_none(self.fsync_per_op, 4),
            or_none(self.messages_per_op, 3),
            self.ops_per_batch,
            self.rss_mib_per_node,
            self.rss_mib_per_node_after,
            self.checkpoints.map_or_else(|| "-".to_owned(), |count| count.to_string()),
            self.view_changes,
            self.due,
            self.refused,
            self.rejected,
            self.wrong,
            self.unanswered,
            self.read_back,
            digests(self.digests_equal),
            warned(&self.warnings),
        )
    }

    /// All replicas have one state, no operation was answered wrongly or not at all, and a kill was got over.
    pub fn is_right(&self) -> bool {
        let is_over = self.settings.kill_primary_at_s.is_none() || self.first_commit_ms.is_some();
        self.digests_equal && self.wrong == 0 && self.unanswered == 0 && self.count > 0 && is_over
    }
}

impl IdleFigures {
    /// For people.
    pub fn text(&self) -> String {
        format!(
            "{} replicas ({}), idle for {} s{}\n  {:.2} ms of CPU a second and replica   written: {}   syncs: {}   batches: {:.0}\n  RSS of the largest replica: {:.0} MiB   digests: {}{}",
            self.replicas,
            self.settings.engine,
            self.settings.seconds,
            not_durable(self.durable),
            self.cpu_ms_per_s_per_replica,
            self.written_bytes.map_or_else(|| "not told".to_owned(), |bytes| format!("{bytes} bytes")),
            or_none(self.fsyncs, 0),
            self.batches,
            self.rss_mib_per_node,
            digests(self.digests_equal),
            warned(&self.warnings),
        )
    }
}

fn not_durable(is_durable: bool) -> &'static str {
    if is_durable { "" } else { ", NOT durable: the files are in memory" }
}

fn digests(are_equal: bool) -> &'static str {
    if are_equal { "equal" } else { "DIFFERENT" }
}

fn warned(warnings: &[String]) -> String {
    warnings.iter().map(|warning| format!("\n  warning: {warning}")).collect()
}

fn or_none(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}
