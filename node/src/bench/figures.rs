use std::time::Duration;

use serde::Serialize;

/// What a run of tasks measured. Keys are only ever added.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// `tasks`.
    pub bench: &'static str,
    pub nodes: usize,
    /// Disks that hold each task.
    pub replicas: usize,
    /// The nodes' files are on a disk: what was acknowledged survives a loss of power.
    pub durable: bool,
    pub payload_bytes: usize,
    pub count: usize,
    /// From the first line sent to the last result read.
    pub throughput_per_s: f64,
    /// From the first line sent to the last result read.
    pub makespan_ms: f64,
    /// What that would be if all slots and cores had been at work on nothing but the tasks from the first to the last
    /// moment: of `sleep` by its length, of commands by what they take here, one after another.
    pub ideal_ms: Option<f64>,
    /// The one by the other.
    pub makespan_ratio: Option<f64>,
    /// From when an item's line went out to its result; of one at a time, from the request to the answer.
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// Of all node processes and what they started. None where a node was killed, as its time is gone with it.
    pub cpu_us_per_op: Option<f64>,
    pub client_cpu_us_per_op: f64,
    /// Syncs of all nodes' logs.
    pub fsync_per_op: Option<f64>,
    /// The largest node, idle and before any work.
    pub rss_mib_per_node: f64,
    /// What all nodes have grown by once they are at rest after the run, by tasks and their copies.
    pub rss_growth_bytes_per_copy: Option<f64>,
    /// Of the tasks, the part that the busiest node ran.
    pub max_node_share: f64,
    /// Without a result, or with one that is not what the program gives: the input, its hash, or what the command gives
    /// here. Where that differs from input to input, a thousand results are compared, and of the others the exit code.
    pub lost: usize,
    /// Results that differ from what was told before of the same task, or were told twice in one stream.
    pub duplicates: u64,
    /// The longest time between two results.
    pub longest_gap_ms: f64,
    /// Tasks that were begun more than once.
    pub rerun: usize,
    /// Streams that the client opened.
    pub attempts: u32,
    pub settings: Settings,
}

/// What a run was measured under.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    pub version: &'static str,
    /// Not a release build: its figures say little.
    pub debug_build: bool,
    pub cores: usize,
    /// Of the last minute, before the run and after it: others at work on this machine.
    pub load_before: Option<f64>,
    pub load_after: Option<f64>,
    pub program: String,
    pub one_at_a_time: bool,
    /// Items a second that were offered. None: as fast as they were taken.
    pub rate: Option<f64>,
    pub fault: Option<String>,
    /// Tasks that were run before the clock started.
    pub warm_up: usize,
    /// Tasks that run at once on the first node.
    pub slots: Option<u32>,
    pub slots_by_node: Vec<u32>,
}

/// Percentiles by the nearest rank.
pub(super) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(super) fn new(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self(all)
    }

    /// Milliseconds that `part` of all stay within; zero of none.
    pub(super) fn at(&self, part: f64) -> f64 {
        let rank = (self.0.len() as f64 * part).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).map_or(0.0, |time| ms(*time))
    }
}

pub(super) fn ms(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1000.0)
}

/// Three digits behind the point: more would pretend.
pub(super) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

impl Figures {
    /// For people.
    pub fn text(&self) -> String {
        let or_none = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        let mut text = format!(
            "{} of `{}` on {} nodes, {} copies{}\n  {:.0}/s   {:.0} ms{}   p50 {:.1} ms   p90 {:.1} ms   p99 {:.1} ms   longest pause {:.0} ms\n  CPU-µs a task: nodes {}, client {:.1}   syncs a task: {}\n  RSS: {:.1} MiB an idle node, {} bytes more a task and copy\n  busiest node: {:.1} %   lost: {}   duplicates: {}   begun again: {}",
            self.count,
            self.settings.program,
            self.nodes,
            self.replicas,
            if self.durable { "" } else { ", NOT durable: the files are in memory" },
            self.throughput_per_s,
            self.makespan_ms,
            self.makespan_ratio.map_or_else(String::new, |ratio| format!(" ({ratio:.3} of the ideal)")),
            self.p50_ms,
            self.p90_ms,
            self.p99_ms,
            self.longest_gap_ms,
            or_none(self.cpu_us_per_op),
            self.client_cpu_us_per_op,
            self.fsync_per_op.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}")),
            self.rss_mib_per_node,
            or_none(self.rss_growth_bytes_per_copy),
            self.max_node_share * 100.0,
            self.lost,
            self.duplicates,
            self.rerun,
        );
        if self.settings.debug_build {
            text += "\n  this is no release build";
        }
        text
    }

    /// Nothing was lost and nothing accepted twice.
    pub fn is_right(&self) -> bool {
        self.lost == 0 && self.duplicates == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_rank() {
        let times = Latencies::new((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!((times.at(0.5), times.at(0.99), times.at(1.0)), (50.0, 99.0, 100.0));
        assert_eq!(Latencies::new(Vec::new()).at(0.5), 0.0);
        assert_eq!(Latencies::new(vec![Duration::from_micros(1500)]).at(0.01), 1.5);
    }
}
