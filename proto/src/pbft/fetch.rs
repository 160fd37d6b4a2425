use super::{Sequence, View};
use crate::{bounded, domain::Epoch, id::Digest, limits};
use serde::{Deserialize, Serialize};

/// A question for what proves itself when it comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Fetch {
    /// Bodies of requests.
    #[serde(rename = "b")]
    Requests {
        #[serde(rename = "d", deserialize_with = "bounded::list::<_, _, { limits::PBFT_FETCH_DIGESTS }>")]
        digests: Vec<Digest>,
    },
    /// The content of a batch.
    #[serde(rename = "c")]
    Batch {
        #[serde(rename = "d")]
        digest: Digest,
    },
    /// A VIEW-CHANGE that a NEW-VIEW names.
    #[serde(rename = "v")]
    ViewChange {
        #[serde(rename = "v")]
        view: View,
        #[serde(rename = "d")]
        digest: Digest,
    },
    /// Certificates of the epochs above this one.
    #[serde(rename = "e")]
    Epochs {
        #[serde(rename = "e")]
        above: Epoch,
    },
    /// Pieces of the state at a stable checkpoint.
    #[serde(rename = "s")]
    State {
        #[serde(rename = "n")]
        sequence: Sequence,
        #[serde(rename = "p")]
        part: Part,
        #[serde(rename = "i")]
        index: u32,
    },
}

/// Which tree a piece of state is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Part {
    #[serde(rename = "s")]
    State,
    #[serde(rename = "c")]
    Clients,
}
