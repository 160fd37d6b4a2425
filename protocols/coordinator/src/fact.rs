use mesh_membership::Member;
use serde::{Deserialize, Serialize};

/// One record of the log: something that became so. Applying facts in order is all that a restart does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    #[serde(rename = "t")]
    Task(mesh_tasks::Fact),
    #[serde(rename = "m")]
    Member(Member),
    /// This disk has had a member's table, or belongs to the first of the network.
    #[serde(rename = "i")]
    Introduced,
    #[serde(rename = "a")]
    Agreement(crate::agreement::Fact),
}

impl Fact {
    /// Bytes of an encoded record, at most.
    pub const LIMIT: usize = mesh_tasks::Fact::LIMIT + 1024;

    /// About how many bytes the record takes: what its buffer is made with.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Agreement(fact) => fact.weight(),
            Self::Task(_) | Self::Member(_) | Self::Introduced => 512,
        }
    }
}
