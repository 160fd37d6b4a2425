//! `[raft]`.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::Section;
use crate::config::{Report, Size, Span};

/// How Raft runs, on a network with that engine. Its times belong alike to all members: each judges the leader, whoever
/// that is, by its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Raft {
    /// How often a leader that has nothing to say says that it is there, looked at two times in three of these; and how long
    /// a follower may take to write down what it is sent. Default: 200ms.
    pub heartbeat: Span,
    /// Who has heard no leader for `election_max` waits for a time drawn once between this and that one, and stands for
    /// election. Default: 350ms.
    pub election_min: Span,
    /// Without a word from the leader for so long nobody counts on it; until then nobody votes against it. Default: 500ms.
    pub election_max: Span,
    /// Bytes of the log behind the last snapshot upon which the next is made. They are in memory too. Default: 64MiB.
    pub snapshot_bytes: Size,
    /// Entries of the log behind the last snapshot upon which the next is made: a restart executes them again.
    /// Default: 100000.
    pub snapshot_entries: u32,
    /// Bytes of the log kept although a snapshot covers them, for followers that are a little behind. Default: 8MiB.
    pub kept_log: Size,
    /// How long a follower may take to install a snapshot, once all of it came. Default: 1m.
    pub install_timeout: Span,
}

impl Default for Raft {
    fn default() -> Self {
        Self {
            heartbeat: Span::from_millis(200),
            election_min: Span::from_millis(350),
            election_max: Span::from_millis(500),
            snapshot_bytes: Size::from_mib(64),
            snapshot_entries: 100_000,
            kept_log: Size::from_mib(8),
            install_timeout: Span::from_secs(60),
        }
    }
}

impl Section for Raft {
    fn check(&self, report: &mut Report<'_>) {
        let seconds = Span::from_secs;
        // The engine counts in milliseconds: what is beyond them is not told apart.
        for (field, span) in
            [("heartbeat", self.heartbeat), ("election_min", self.election_min), ("election_max", self.election_max)]
        {
            if !span.get().as_micros().is_multiple_of(1_000) {
                report.wrong(field, format!("{span} is no whole number of milliseconds"));
            }
        }
        // Below it the engine would do nothing but look at its clock, and a disk has no time to sync.
        report.within("heartbeat", self.heartbeat, Span::from_millis(20), seconds(5));
        report.within("election_min", self.election_min, Span::from_millis(30), seconds(60));
        report.within("election_max", self.election_max, Span::from_millis(40), seconds(60));
        if self.election_min <= self.heartbeat {
            let message = format!(
                "is not longer than raft.heartbeat, {}: who follows would stand while the leader lives",
                self.heartbeat
            );
            report.wrong("election_min", message);
        }
        if self.election_max <= self.election_min {
            let message = format!(
                "is not longer than raft.election_min, {}: all would stand at once, and none win",
                self.election_min
            );
            report.wrong("election_max", message);
        // The leader looks at its clock two times in three heartbeats, and one of them may be late.
        } else if self.election_max.get() < self.heartbeat.get() * 2 {
            let least = Duration::from(self.heartbeat) * 2;
            let message =
                format!("is shorter than two heartbeats, {least:?}: one that is late would cost the leader its place");
            report.wrong("election_max", message);
        }
        report.within("snapshot_bytes", self.snapshot_bytes, Size::from_mib(1), Size::from_gib(4));
        report.within("snapshot_entries", self.snapshot_entries, 1_000, 100_000_000);
        if self.kept_log > self.snapshot_bytes {
            let message = format!(
                "is more than raft.snapshot_bytes, {}: that much is there between two snapshots anyway",
                self.snapshot_bytes
            );
            report.wrong("kept_log", message);
        }
        report.within("install_timeout", self.install_timeout, seconds(1), seconds(3_600));
    }
}
