use crate::Rules;
use mesh_proto::{
    genesis::Engine,
    id::NetworkId,
    ledger::{Fence, Index},
    time::Wall,
};
use serde::{Deserialize, Serialize};

/// What the state is as a whole. One entry, written once a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    #[serde(rename = "n")]
    pub network: NetworkId,
    #[serde(rename = "e")]
    pub engine: Engine,
    #[serde(rename = "r")]
    pub rules: Rules,
    /// The last batch that was executed.
    #[serde(rename = "i")]
    pub index: Index,
    /// Agreed time, as of it.
    #[serde(rename = "t")]
    pub time: Wall,
    /// The active version of commands.
    #[serde(rename = "v")]
    pub version: u16,
    /// The last number that was given.
    #[serde(rename = "f")]
    pub fence: Fence,
    /// Motions in force so far.
    #[serde(rename = "s")]
    pub serial: u64,
    /// What was born before is refused.
    #[serde(rename = "l")]
    pub floor: Index,
    /// Command ids remembered.
    #[serde(rename = "w")]
    pub remembered: u64,
    #[serde(rename = "o")]
    pub open: u64,
    #[serde(rename = "d")]
    pub decided: u64,
    #[serde(rename = "c")]
    pub claims: u64,
    #[serde(rename = "m")]
    pub members: u64,
    #[serde(rename = "p")]
    pub motions: u64,
}

impl Meta {
    pub fn is_boundary(&self, index: Index) -> bool {
        index.0.is_multiple_of(self.interval())
    }

    /// Batches between two boundaries. Under Raft nothing is certified, and a change need not wait: each batch is one.
    fn interval(&self) -> u64 {
        match self.engine {
            Engine::Pbft => self.rules.checkpoint_interval,
            Engine::Raft => 1,
        }
    }

    /// The first boundary at or after `index`.
    pub fn boundary(&self, index: Index) -> Index {
        let interval = self.interval();
        Index(index.0.div_ceil(interval).saturating_mul(interval))
    }
}
