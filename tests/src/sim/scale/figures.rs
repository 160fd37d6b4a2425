//! What a large world came to, by task and by node.

use super::{Part, Plan, Purpose};
use crate::sim::{
    Report,
    count::{Count, Counts},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// As they are printed, by sizes in a table and as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub nodes: usize,
    pub tasks: u64,
    pub seed: u64,
    /// Nodes that died for good.
    pub deaths: u64,
    /// Of those drawn to die, how many were not to: a task that had not ended would have lost the majority of its
    /// copies.
    pub spared: u64,
    /// Records that had ended, and then lost the majority of their copies before these were made anew.
    pub thinned: u64,
    /// Tasks that were not acknowledged, and never will be: of the holders of a birth under their key most had just
    /// died, and nobody can settle it.
    pub barred: u64,
    /// How often a user was told how a task ended: once each, but for those who asked again.
    pub told: u64,
    pub executions: u64,
    /// By what they are for, of the task layer between two nodes.
    pub messages_a_task: BTreeMap<&'static str, f64>,
    /// Of births, auctions and moves.
    pub placement_messages_a_task: f64,
    /// Of those alone that are auctioned.
    pub auction_messages_an_auction: f64,
    pub frames_a_task: f64,
    /// Encoded, of frames of the task layer.
    pub bytes_a_task: f64,
    /// While nobody wants anything.
    pub idle_messages_a_node_a_second: f64,
    pub idle_bytes_a_node_a_second: f64,
    /// Until all have met, for each node.
    pub joining_messages_a_node: f64,
    pub joining_bytes_a_node: f64,
    /// Every kind of message of the task layer.
    pub kinds: BTreeMap<&'static str, u64>,
    pub virtual_seconds: f64,
    pub events: u64,
    pub cpu_seconds: f64,
    /// The most that this process had in memory so far.
    pub memory_mib: u64,
    /// What must not be, if anything was.
    pub failure: Option<String>,
}

impl Figures {
    pub fn of(plan: &Plan, report: &Report, cpu_seconds: f64) -> Self {
        let counts = &report.counts;
        let [joining, resting, working] = report.meter.as_ref().map_or([Part::default(); 3], |meter| meter.parts);
        let tasks = report.tasks.max(1) as f64;
        let nodes = plan.nodes as f64;
        let rests = (plan.works_from() - plan.rests_from()) as f64 / 1e6;
        let messages = |purpose: Purpose| purpose.messages(counts) as f64;
        let placing = Purpose::ALL.into_iter().filter(|purpose| purpose.is_placement());
        let all = |part: Part| (part.control.messages + part.tasks.messages, part.control.bytes + part.tasks.bytes);
        let (idle, joined) = (all(resting), all(joining));
        Self {
            nodes: plan.nodes,
            tasks: report.tasks,
            seed: report.options.seed,
            deaths: counts.of(Count::Destroyed),
            spared: counts.of(Count::Spared),
            thinned: counts.of(Count::Thinned),
            barred: counts.of(Count::Barred),
            told: counts.of(Count::AnswerEnded),
            executions: counts.of(Count::ExecutionStarted),
            messages_a_task: Purpose::ALL.map(|purpose| (purpose.name(), messages(purpose) / tasks)).into(),
            placement_messages_a_task: placing.map(messages).sum::<f64>() / tasks,
            auction_messages_an_auction: messages(Purpose::Auction) / (tasks / STRATEGIES),
            frames_a_task: working.tasks.messages as f64 / tasks,
            bytes_a_task: working.tasks.bytes as f64 / tasks,
            idle_messages_a_node_a_second: idle.0 as f64 / nodes / rests,
            idle_bytes_a_node_a_second: idle.1 as f64 / nodes / rests,
            joining_messages_a_node: joined.0 as f64 / nodes,
            joining_bytes_a_node: joined.1 as f64 / nodes,
            kinds: kinds(counts),
            virtual_seconds: report.virtual_time as f64 / 1e6,
            events: report.events,
            cpu_seconds,
            memory_mib: most_memory_mib(),
            failure: report.violation.as_ref().map(ToString::to_string),
        }
    }

    /// What [`Self::row`] has.
    pub const HEAD: [&str; 13] = [
        "nodes",
        "tasks",
        "died",
        "birth",
        "auction",
        "move",
        "life",
        "takeover",
        "an auction",
        "bytes a task",
        "idle msg/s a node",
        "CPU s",
        "MiB",
    ];

    pub fn row(&self) -> [String; 13] {
        let of =
            |purpose: Purpose| format!("{:.2}", self.messages_a_task.get(purpose.name()).copied().unwrap_or_default());
        [
            self.nodes.to_string(),
            self.tasks.to_string(),
            self.deaths.to_string(),
            of(Purpose::Birth),
            of(Purpose::Auction),
            of(Purpose::Move),
            of(Purpose::Life),
            of(Purpose::Takeover),
            format!("{:.1}", self.auction_messages_an_auction),
            format!("{:.0}", self.bytes_a_task),
            format!("{:.1}", self.idle_messages_a_node_a_second),
            format!("{:.1}", self.cpu_seconds),
            self.memory_mib.to_string(),
        ]
    }
}

/// Each has as many of the tasks.
const STRATEGIES: f64 = 4.0;

fn kinds(counts: &Counts) -> BTreeMap<&'static str, u64> {
    let all = Purpose::ALL.iter().flat_map(|purpose| purpose.kinds());
    all.map(|kind| (kind.name(), counts.of(*kind))).filter(|(_, times)| *times > 0).collect()
}

/// Of this process so far; zero where there is no Linux.
fn most_memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
