use serde::{Deserialize, Serialize};

/// The bounds of the state, the same at all replicas: they are part of it. Set at the genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Batches between two checkpoints: where changes of the committee and of the version take effect. Default 128.
    #[serde(rename = "k")]
    pub checkpoint_interval: u64,
    /// Command ids whose outcome is remembered; more if one batch has more. Default 2²⁰: about 50 MB, and ten seconds
    /// at 100,000 commands a second.
    #[serde(rename = "w")]
    pub window_commands: u64,
    /// Batches whose command ids are remembered at most. Default 2²⁰, so that an idle mesh forgets too.
    #[serde(rename = "b")]
    pub window_batches: u64,
    /// What the state may weigh before commands that add to it are rejected. Default 4 GiB: every member of the
    /// committee holds it in memory.
    #[serde(rename = "s")]
    pub state_bytes: u64,
    /// Proposals being voted at once. Default 1,024.
    #[serde(rename = "o")]
    pub open_proposals: u64,
    /// Decided proposals that are kept, with their votes; the oldest go. Default 4,096.
    #[serde(rename = "d")]
    pub decided_proposals: u64,
    /// Locks and awards held at once. Default 2¹⁷.
    #[serde(rename = "c")]
    pub claims: u64,
    /// Members and inviters, the revoked among them. Default 2¹⁶.
    #[serde(rename = "m")]
    pub members: u64,
    /// Pieces of evidence against one member. Default 4: one is enough for a decision.
    #[serde(rename = "e")]
    pub evidence: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            checkpoint_interval: 128,
            window_commands: 1 << 20,
            window_batches: 1 << 20,
            state_bytes: 4 << 30,
            open_proposals: 1024,
            decided_proposals: 4096,
            claims: 1 << 17,
            members: 1 << 16,
            evidence: 4,
        }
    }
}

impl Rules {
    /// The least that the machine can work with: a batch between checkpoints, one of each thing.
    #[must_use]
    pub(crate) fn at_least_one(self) -> Self {
        Self {
            checkpoint_interval: self.checkpoint_interval.max(1),
            window_commands: self.window_commands.max(1),
            window_batches: self.window_batches.max(1),
            state_bytes: self.state_bytes.max(1),
            open_proposals: self.open_proposals.max(1),
            decided_proposals: self.decided_proposals.max(1),
            claims: self.claims.max(1),
            members: self.members.max(1),
            evidence: self.evidence.max(1),
        }
    }
}
