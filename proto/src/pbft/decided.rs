use super::{Batch, Committed};
use crate::domain::Epoch;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// For a replica that is behind: a batch with the proof that it committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    #[serde(rename = "e")]
    pub epoch: Epoch,
    #[serde(rename = "c")]
    pub certificate: Arc<Committed>,
    #[serde(rename = "b")]
    pub batch: Arc<Batch>,
}
