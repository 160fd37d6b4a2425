//! A network's birth certificate. Whoever holds it can tell who may invite; its hash is the network's id.

use crate::{
    bounded,
    codec::{self, DecodeError},
    id::{Digest, NetworkId, NodeId},
    limits,
    time::Wall,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::{collections::BTreeSet, fmt, ops::Deref, str::FromStr};

/// What a network is, for ever. Two networks with different records never merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// What people call it.
    #[serde(rename = "n")]
    pub name: NetworkName,
    /// Random, so that nobody who did not see the record can guess the network id: knowing it is what tells a member
    /// or an invited node from a stranger.
    #[serde(rename = "r", with = "serde_bytes")]
    pub nonce: [u8; 32],
    /// The key that made the network, and that invites until the ledger names others.
    #[serde(rename = "m")]
    pub maker: NodeId,
    /// How the committee agrees.
    #[serde(rename = "e")]
    pub engine: Engine,
    /// Whether anybody may join without an invitation. Default false.
    #[serde(rename = "o")]
    pub open: bool,
    #[serde(rename = "t")]
    pub created: Wall,
    /// The first committee; the maker alone, as `init` makes it.
    #[serde(rename = "c")]
    pub committee: Founders,
}

/// The ordering engine, chosen at a network's birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Castro & Liskov; up to f of 3f + 1 may lie.
    Pbft,
    /// For clusters that trust each other; up to f of 2f + 1 may crash.
    Raft,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pbft => "pbft",
            Self::Raft => "raft",
        })
    }
}

/// 1 to 64 of `a-z 0-9 - _ .`, so that a name is safe in a path, a label and a terminal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NetworkName(String);

/// 1 to 31 distinct nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Founders(Vec<NodeId>);

/// What a genesis record cannot be made of. The operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    #[error("network name {0:?}: must be 1 to {max} characters of a-z 0-9 - _ .", max = limits::NETWORK_NAME_BYTES)]
    Name(String),
    #[error("{0} founders: must be 1 to {max}", max = limits::FOUNDERS)]
    FounderCount(usize),
    #[error("founder {0} is named twice")]
    FounderTwice(NodeId),
}

impl Genesis {
    /// The BLAKE3 hash of the canonical record, under its own domain.
    #[must_use]
    pub fn network_id(&self) -> NetworkId {
        NetworkId::from_bytes(*Digest::of("meshd v1 network id", &[&self.encode()]).as_bytes())
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::GENESIS_BYTES)
    }
}

impl Founders {
    pub fn new(nodes: Vec<NodeId>) -> Result<Self, GenesisError> {
        if nodes.is_empty() || nodes.len() > limits::FOUNDERS {
            return Err(GenesisError::FounderCount(nodes.len()));
        }
        let mut seen = BTreeSet::new();
        match nodes.iter().find(|node| !seen.insert(**node)) {
            Some(node) => Err(GenesisError::FounderTwice(*node)),
            None => Ok(Self(nodes)),
        }
    }

    /// A committee of one.
    #[must_use]
    pub fn alone(maker: NodeId) -> Self {
        Self(vec![maker])
    }
}

impl Deref for Founders {
    type Target = [NodeId];

    fn deref(&self) -> &[NodeId] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Founders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let nodes = bounded::list::<_, _, { limits::FOUNDERS }>(deserializer)?;
        Self::new(nodes).map_err(serde::de::Error::custom)
    }
}

impl NetworkName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NetworkName {
    type Error = GenesisError;

    fn try_from(name: String) -> Result<Self, GenesisError> {
        let legal = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > limits::NETWORK_NAME_BYTES || !name.bytes().all(legal) {
            return Err(GenesisError::Name(name.chars().take(limits::NETWORK_NAME_BYTES + 1).collect()));
        }
        Ok(Self(name))
    }
}

impl FromStr for NetworkName {
    type Err = GenesisError;

    fn from_str(name: &str) -> Result<Self, GenesisError> {
        Self::try_from(name.to_owned())
    }
}

impl From<NetworkName> for String {
    fn from(name: NetworkName) -> Self {
        name.0
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genesis() -> Genesis {
        let maker = NodeId::from_bytes([3; 32]);
        Genesis {
            name: "lab-1".parse().unwrap(),
            nonce: [5; 32],
            maker,
            engine: Engine::Pbft,
            open: false,
            created: Wall(1_700_000_000_000),
            committee: Founders::alone(maker),
        }
    }

    #[test]
    fn a_record_round_trips_and_each_field_changes_the_id() {
        let genesis = genesis();
        assert_eq!(Genesis::decode(&genesis.encode()), Ok(genesis.clone()));
        let others = [
            Genesis { name: "lab-2".parse().unwrap(), ..genesis.clone() },
            Genesis { nonce: [6; 32], ..genesis.clone() },
            Genesis { maker: NodeId::from_bytes([4; 32]), ..genesis.clone() },
            Genesis { engine: Engine::Raft, ..genesis.clone() },
            Genesis { open: true, ..genesis.clone() },
            Genesis { created: Wall(0), ..genesis.clone() },
            Genesis { committee: Founders::alone(NodeId::from_bytes([4; 32])), ..genesis.clone() },
        ];
        let ids: BTreeSet<_> = others.iter().chain([&genesis]).map(Genesis::network_id).collect();
        assert_eq!(ids.len(), others.len() + 1);
    }

    #[test]
    fn names_and_founders_are_bounded() {
        for name in ["", "Lab", "a b", "a/b", &"a".repeat(65)] {
            assert!(matches!(name.parse::<NetworkName>(), Err(GenesisError::Name(_))), "{name}");
        }
        let node = NodeId::from_bytes;
        assert_eq!(Founders::new(vec![]), Err(GenesisError::FounderCount(0)));
        assert_eq!(Founders::new((0..32).map(|i| node([i; 32])).collect()), Err(GenesisError::FounderCount(32)));
        assert_eq!(Founders::new(vec![node([1; 32]); 2]), Err(GenesisError::FounderTwice(node([1; 32]))));
    }

    #[test]
    fn an_unlawful_record_does_not_decode() {
        let mut genesis = genesis();
        genesis.name = NetworkName("no\nname".into());
        assert!(matches!(Genesis::decode(&genesis.encode()), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn the_largest_record_fits_its_limit() {
        let mut genesis = genesis();
        genesis.name = NetworkName::try_from("a".repeat(limits::NETWORK_NAME_BYTES)).unwrap();
        genesis.created = Wall(u64::MAX);
        genesis.committee = Founders::new((0..31).map(|i| NodeId::from_bytes([i; 32])).collect()).unwrap();
        assert_eq!(Genesis::decode(&genesis.encode()), Ok(genesis));
    }
}
