//! The Merkle map that the ledger's state is, as it crosses a wire and as it is hashed.
//!
//! A tree over the nibbles of the keys, in their order. **Which nodes there are is a function of the entries alone**,
//! not of the history: a set of entries that is small enough is one *page*, and any other is a *branch* at the first
//! place where its keys part, with a child for each continuation. So equal states have equal roots whatever way they
//! were come to, and a page that both sides have is found by its digest.

use crate::{
    bounded,
    codec::{self, DecodeError},
    id::Digest,
    limits,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, sync::Arc};

/// A key and its value, shared and not copied when cloned, with their digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The length of the key in two bytes, the key, the value: what is hashed, in one piece, because hashing one piece
    /// of less than 1 KiB is twice as fast as hashing three.
    bytes: Arc<[u8]>,
    digest: Digest,
}

/// One node. Its digest is its name, and the root's is the state's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Node {
    /// Entries in order of their keys. Without any only as the root of the empty state.
    #[serde(rename = "p", deserialize_with = "bounded::list::<_, _, { limits::PAGE_ENTRIES }>")]
    Page(Vec<Entry>),
    #[serde(rename = "b")]
    Branch(Branch),
}

/// Where keys part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// How many nibbles all its keys have in common.
    #[serde(rename = "d")]
    pub depth: u16,
    /// In order of their slots; at least two.
    #[serde(rename = "c", deserialize_with = "bounded::list::<_, _, { limits::BRANCH_CHILDREN }>")]
    pub children: Vec<Child>,
}

/// A child without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Child {
    /// See [`slot`].
    #[serde(rename = "s")]
    pub slot: u8,
    #[serde(rename = "h")]
    pub digest: Digest,
    /// Entries below.
    #[serde(rename = "n")]
    pub entries: u64,
    /// The sum of their weights.
    #[serde(rename = "b")]
    pub bytes: u64,
}

/// Why bytes are not the node that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("not in order")]
    Order,
    #[error("larger than a page may be, or a branch of less than two")]
    Shape,
    #[error("not what was asked for: its digest is {found}, not {expected}")]
    Digest { expected: Digest, found: Digest },
}

/// Which way a key goes at a depth: 0 if it ends there, else one more than its nibble. Keys go in order of their slots.
#[must_use]
pub fn slot(key: &[u8], depth: usize) -> u8 {
    match key.get(depth / 2) {
        None => 0,
        Some(byte) if depth.is_multiple_of(2) => (byte >> 4) + 1,
        Some(byte) => (byte & 15) + 1,
    }
}

/// How many nibbles two keys have in common from their beginning.
#[must_use]
pub fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    match a.iter().zip(b).position(|(a, b)| a != b) {
        Some(at) => 2 * at + usize::from(a[at] >> 4 == b[at] >> 4),
        None => 2 * a.len().min(b.len()),
    }
}

/// The digest of a page of these entries, of one piece too.
#[must_use]
pub fn page_digest<'a>(entries: impl Iterator<Item = &'a Entry>) -> Digest {
    let mut buffer = Vec::with_capacity(limits::PAGE_ENTRIES * 32);
    for entry in entries {
        buffer.extend_from_slice(entry.digest.as_bytes());
    }
    keyed(PAGE_KEY, &buffer)
}

#[must_use]
pub fn branch_digest(depth: u16, children: impl Iterator<Item = Child>) -> Digest {
    let mut buffer = Vec::with_capacity(2 + limits::BRANCH_CHILDREN * 49);
    buffer.extend_from_slice(&depth.to_le_bytes());
    for child in children {
        buffer.push(child.slot);
        buffer.extend_from_slice(child.digest.as_bytes());
        buffer.extend_from_slice(&child.entries.to_le_bytes());
        buffer.extend_from_slice(&child.bytes.to_le_bytes());
    }
    keyed(BRANCH_KEY, &buffer)
}

impl Entry {
    /// What an entry weighs beyond key and value: about what it costs in memory.
    const OVERHEAD: usize = 64;

    /// # Panics
    /// If the key has more than [`limits::ENTRY_KEY_BYTES`].
    #[must_use]
    pub fn new(key: &[u8], value: &[&[u8]]) -> Self {
        assert!(key.len() <= limits::ENTRY_KEY_BYTES, "keys of the state are made of bounded names");
        let length = (key.len() as u16).to_be_bytes();
        let size = 2 + key.len() + value.iter().map(|part| part.len()).sum::<usize>();
        // Of its length is known: allocated once, and not copied from a list.
        let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, size).collect();
        let mut rest = Arc::make_mut(&mut bytes);
        for part in [&length, key].iter().chain(value) {
            let (place, behind) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = behind;
        }
        let digest = keyed(ENTRY_KEY, &bytes);
        Self { bytes, digest }
    }

    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.bytes[2..self.split()]
    }

    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.bytes[self.split()..]
    }

    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What it counts for in a page and in the state.
    #[must_use]
    pub fn weight(&self) -> u64 {
        (self.bytes.len() + Self::OVERHEAD) as u64
    }

    fn split(&self) -> usize {
        2 + usize::from(u16::from_be_bytes([self.bytes[0], self.bytes[1]]))
    }
}

impl Node {
    /// Whether so much is one page. An entry alone always is.
    #[must_use]
    pub fn fits_page(entries: u64, bytes: u64) -> bool {
        entries <= 1 || (entries <= limits::PAGE_ENTRIES as u64 && bytes <= limits::PAGE_BYTES)
    }

    /// Reads the node with this digest, and nothing else.
    pub fn decode(bytes: &[u8], digest: &Digest) -> Result<Self, NodeError> {
        let node: Self = codec::decode_canonical(bytes, limits::NODE_BYTES)?;
        node.check()?;
        let found = node.digest();
        match found == *digest {
            true => Ok(node),
            false => Err(NodeError::Digest { expected: *digest, found }),
        }
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Page(entries) => page_digest(entries.iter()),
            Self::Branch(branch) => branch_digest(branch.depth, branch.children.iter().copied()),
        }
    }

    /// Entries below, and the sum of their weights.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        match self {
            Self::Page(entries) => (entries.len() as u64, entries.iter().map(Entry::weight).sum()),
            Self::Branch(branch) => branch.children.iter().fold((0, 0), |(entries, bytes), child| {
                (child.entries.saturating_add(entries), child.bytes.saturating_add(bytes))
            }),
        }
    }

    fn check(&self) -> Result<(), NodeError> {
        let (in_order, in_shape) = match self {
            Self::Page(entries) => {
                let (count, bytes) = self.size();
                (entries.is_sorted_by(|a, b| a.key() < b.key()), Self::fits_page(count, bytes))
            }
            Self::Branch(Branch { children, .. }) => (
                children.is_sorted_by(|a, b| a.slot < b.slot),
                children.len() >= 2 && children.iter().all(|child| usize::from(child.slot) < limits::BRANCH_CHILDREN),
            ),
        };
        match (in_order, in_shape) {
            (false, _) => Err(NodeError::Order),
            (_, false) => Err(NodeError::Shape),
            (true, true) => Ok(()),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({}, {} bytes)", self.key().escape_ascii(), self.value().len())
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (serde_bytes::Bytes::new(self.key()), serde_bytes::Bytes::new(self.value())).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Pair(
            #[serde(deserialize_with = "bounded::octets::<_, { limits::ENTRY_KEY_BYTES }>")] crate::task::Octets,
            #[serde(deserialize_with = "bounded::octets::<_, { limits::ENTRY_BYTES }>")] crate::task::Octets,
        );
        let Pair(key, value) = Pair::deserialize(deserializer)?;
        match key.is_empty() {
            true => Err(de::Error::custom("an empty key")),
            false => Ok(Self::new(&key, &[&value])),
        }
    }
}

fn keyed(key: &[u8; 32], bytes: &[u8]) -> Digest {
    Digest::from_bytes(*blake3::keyed_hash(key, bytes).as_bytes())
}

/// One for each kind, so that none is taken for another.
const ENTRY_KEY: &[u8; 32] = b"meshd v1 ledger state entry     ";
const PAGE_KEY: &[u8; 32] = b"meshd v1 ledger state page      ";
const BRANCH_KEY: &[u8; 32] = b"meshd v1 ledger state branch    ";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    #[test]
    fn a_key_that_ends_goes_first() {
        assert_eq!(slot(&[0x4a], 0), 5);
        assert_eq!(slot(&[0x4a], 1), 11);
        assert_eq!(slot(&[0x4a], 2), 0);
        assert_eq!(common_prefix(&[0x4a], &[0x4a, 0]), 2);
        assert_eq!(common_prefix(&[0x4a], &[0x4b]), 1);
        assert_eq!(common_prefix(&[0x4a], &[0x5a]), 0);
    }

    proptest! {
        #[test]
        fn keys_go_in_order_of_their_slots(a in vec(any::<u8>(), 0..6), b in vec(any::<u8>(), 0..6)) {
            let depth = common_prefix(&a, &b);
            prop_assert_eq!(a.cmp(&b), slot(&a, depth).cmp(&slot(&b, depth)));
            for before in 0..depth {
                prop_assert_eq!(slot(&a, before), slot(&b, before));
            }
        }
    }
}
