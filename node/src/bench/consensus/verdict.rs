//! From what was measured to figures, and what is to be said against them.

use std::time::Duration;

use mesh_proto::genesis::Engine;

use super::committee::{Standing, is_one_state};
use super::figures::{ConsensusFigures, ConsensusSettings};
use super::latencies::Latencies;
use super::outage::first_end_after;
use super::sample::Passed;
use super::wire::Report;
use super::{ConsensusPlan, Rate};
use crate::bench::figures::{ms, round};

/// Checkpoints that must fall into a run: digests and garbage collection are part of what it measures.
const CHECKPOINTS: u64 = 3;

/// A run that is over.
pub(super) struct Ran {
    pub(super) reports: Vec<Report>,
    pub(super) passed: Passed,
    /// Of the largest replica, before the load.
    pub(super) resident_before: u64,
    /// When the primary was killed, from the beginning of the load.
    pub(super) killed: Option<Duration>,
    pub(super) standings: Vec<Standing>,
    pub(super) durable: bool,
    pub(super) settings: ConsensusSettings,
}

impl Ran {
    pub(super) fn figures(self, plan: &ConsensusPlan) -> ConsensusFigures {
        let mut latencies = Latencies::default();
        self.reports.iter().for_each(|report| latencies.absorb(&report.latencies));
        let sum = |of: fn(&Report) -> u64| self.reports.iter().map(of).sum::<u64>();
        let count = sum(|report| report.count);
        let throughput = count as f64 / plan.measured.as_secs_f64();
        let per_op = |per_s: f64| if count == 0 { 0.0 } else { round(per_s / throughput) };
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        // What was killed took its figures along.
        let unless_killed = |figure: f64| self.killed.is_none().then(|| per_op(figure));
        let is_pbft = plan.engine == Engine::Pbft;
        let first_commit =
            self.killed.and_then(|killed| first_end_after(killed, self.reports.iter().map(|report| &report.firsts)));
        let passed = &self.passed;
        let mut figures = ConsensusFigures {
            bench: "consensus",
            nodes: plan.replicas + plan.gateways,
            replicas: plan.replicas,
            durable: self.durable,
            payload_bytes: plan.payload,
            count,
            throughput_per_s: round(throughput),
            p50_ms: latencies.at(0.5),
            p90_ms: latencies.at(0.9),
            p99_ms: latencies.at(0.99),
            max_ms: latencies.at(1.0),
            cpu_us_per_op: unless_killed(micros(passed.cpu_per_s)),
            gateway_cpu_us_per_op: per_op(micros(passed.gateways_cpu_per_s)),
            fsync_per_op: unless_killed(passed.syncs_per_s).filter(|_| is_pbft),
            messages_per_op: unless_killed(passed.messages_per_s).filter(|_| is_pbft),
            ops_per_batch: if passed.batches_per_s > 0.0 { round(throughput / passed.batches_per_s) } else { 0.0 },
            rss_mib_per_node: mib(self.resident_before),
            rss_mib_per_node_after: mib(passed.resident),
            due: sum(|report| report.due),
            refused: sum(|report| report.refused),
            rejected: sum(|report| report.rejected),
            wrong: sum(|report| report.wrong),
            unanswered: sum(|report| report.unanswered),
            read_back: sum(|report| report.read_back),
            checkpoints: is_pbft.then_some(passed.checkpoints),
            view_changes: passed.view_changes,
            first_commit_ms: first_commit.map(ms),
            digests_equal: is_one_state(&self.standings),
            standings: self.standings,
            warnings: Vec::new(),
            settings: self.settings,
        };
        let trouble = self.reports.iter().find_map(|report| report.first_trouble.clone());
        figures.warnings = warnings(&figures, plan, trouble);
        figures
    }
}

fn warnings(figures: &ConsensusFigures, plan: &ConsensusPlan, trouble: Option<String>) -> Vec<String> {
    let mut warnings = of_machine(&figures.settings, figures.durable);
    if let Some(checkpoints) = figures.checkpoints.filter(|checkpoints| *checkpoints < CHECKPOINTS) {
        warnings.push(format!(
            "{checkpoints} checkpoints fell into the run, fewer than {CHECKPOINTS}: what they cost is not in it; make --seconds longer"
        ));
    }
    if let Some(why) = trouble {
        warnings.push(format!("not all operations ended well; the first: {why}"));
    }
    if figures.unanswered > 0 {
        warnings.push(format!("{} operations have no answer; the nodes' logs may say why", figures.unanswered));
    }
    if matches!(plan.rate, Rate::PerSecond(rate) if figures.throughput_per_s < 0.99 * rate) {
        warnings.push("less was done than was offered: latency grows with the length of the run".to_owned());
    }
    if figures.settings.kill_primary_at_s.is_some() && figures.first_commit_ms.is_none() {
        warnings.push("nothing that was due behind the kill of the primary ended".to_owned());
    }
    if !figures.digests_equal {
        let place = if plan.engine == Engine::Raft { "batch" } else { "checkpoint" };
        warnings.push(format!("the replicas do not hold one state at one {place}: see `standings`"));
    }
    warnings
}

/// What is to be said against figures from this machine.
pub(super) fn of_machine(settings: &ConsensusSettings, is_durable: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if settings.debug_build {
        warnings.push("this is no release build".to_owned());
    }
    if !is_durable {
        warnings.push("the nodes' files are in memory, and no sync costs anything: name a disk with --dir".to_owned());
    }
    // Half a core that others have.
    if settings.load_before.is_some_and(|load| load > 0.5) {
        warnings.push("others were at work on this machine before the run: see `load_before`".to_owned());
    }
    warnings
}

pub(super) fn mib(bytes: u64) -> f64 {
    round(bytes as f64 / f64::from(1 << 20))
}
