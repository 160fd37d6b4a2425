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
    /// So many levels of nodes below those, too, as far as they fit the answer: 0 for none.
    #[serde(rename = "l")]
    pub levels: u8,
    /// The beginnings of the digests of nodes that the asker has, one behind the other: neither these nor what is below
    /// them is to be sent, unless its path is asked for.
    #[serde(rename = "k", deserialize_with = "bounded::octets::<_, KNOWN_BYTES>")]
    pub known: Octets,
}

const KNOWN_BYTES: usize = limits::FETCH_KNOWN * limits::FETCH_KNOWN_BYTES;

/// Which children to follow from the root; the root's own is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodePath(#[serde(deserialize_with = "bounded::octets::<_, { limits::INCLUSION_NODES }>")] pub Octets);

/// Those that are there, as many of them as fit, and then what is below them, level by level; each proves itself by its
/// digest. None from who has not that state.
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

impl NodePath {
    /// Of a child.
    #[must_use]
    pub fn below(&self, slot: u8) -> Self {
        Self([&self.0[..], &[slot]].concat().into())
    }
}

impl FetchNodes {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::FETCH_BYTES + KNOWN_BYTES)
    }
}

impl FetchedNodes {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::FETCHED_BYTES + limits::NODE_BYTES)
    }
}
