use crate::{
    bounded,
    codec::{self, DecodeError},
    id::Digest,
    limits,
    task::Octets,
};
use serde::{Deserialize, Serialize};

/// A question for nodes of the state with a root that the asker knows to be certified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchNodes {
    #[serde(rename = "h")]
    pub root: Digest,
    /// Each the slots from the root to a node.
    #[serde(rename = "p", deserialize_with = "bounded::list::<_, _, { limits::FETCHED_NODES }>")]
    pub paths: Vec<NodePath>,
}

/// Which children to follow from the root; the root's own is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodePath(#[serde(deserialize_with = "bounded::octets::<_, { limits::INCLUSION_NODES }>")] pub Octets);

/// Those that are there, as many of them as fit; each proves itself by its digest. None from who has not that state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchedNodes {
    #[serde(rename = "h")]
    pub root: Digest,
    #[serde(rename = "n", deserialize_with = "bounded::list::<_, _, { limits::FETCHED_NODES }>")]
    pub nodes: Vec<FetchedNode>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchedNode {
    #[serde(rename = "p")]
    pub path: NodePath,
    /// Its encoding.
    #[serde(rename = "b", deserialize_with = "bounded::octets::<_, { limits::NODE_BYTES }>")]
    pub bytes: Octets,
}

impl FetchNodes {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::FETCH_BYTES)
    }
}

impl FetchedNodes {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::FETCHED_BYTES + limits::NODE_BYTES)
    }
}
