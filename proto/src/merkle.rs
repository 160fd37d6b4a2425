//! A Merkle tree over a batch, so that one signature covers many messages and each can be proved alone.
//!
//! Leaves and inner nodes are hashed under different keys, so that neither is taken for the other. A node without a
//! sibling rises unchanged, instead of being paired with itself: with duplication, a batch and the same batch with its
//! last leaf doubled have one root (CVE-2012-2459). The count of leaves is signed with the root, and with the index it
//! fixes the length of a path and the side of each step.

use crate::{bounded, domain::Domain, id::Digest, limits};
use serde::{Deserialize, Deserializer, Serialize};

/// The hash of one message, under its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf(Digest);

/// The whole tree of a batch: the hashes of each level, leaves first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    levels: Vec<Vec<Digest>>,
}

/// The siblings between a leaf and the root, from below; at most 16.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Path(Vec<Digest>);

/// Not a batch that one signature can cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a batch of {0} leaves: must be 1 to {max}", max = limits::BATCH_LEAVES)]
pub struct BatchSize(pub usize);

impl Leaf {
    #[must_use]
    pub fn new(domain: Domain, message: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(LEAF_KEY);
        hasher.update(&[u8::from(domain)]);
        hasher.update(message);
        Self(Digest::from_bytes(*hasher.finalize().as_bytes()))
    }
}

impl Tree {
    pub fn new(leaves: &[Leaf]) -> Result<Self, BatchSize> {
        if leaves.is_empty() || leaves.len() > limits::BATCH_LEAVES as usize {
            return Err(BatchSize(leaves.len()));
        }
        let mut level: Vec<Digest> = leaves.iter().map(|leaf| leaf.0).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = level.chunks(2).map(|pair| pair.get(1).map_or(pair[0], |right| parent(&pair[0], right)));
            let above = above.collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Ok(Self { levels })
    }

    #[must_use]
    pub fn root(&self) -> Digest {
        // `new` ends with a level of one.
        self.levels[self.levels.len() - 1][0]
    }

    /// How many leaves.
    #[must_use]
    pub fn count(&self) -> u32 {
        // `new` bounds it.
        self.levels[0].len() as u32
    }

    /// `None` beyond the last leaf.
    #[must_use]
    pub fn path(&self, index: u32) -> Option<Path> {
        if index >= self.count() {
            return None;
        }
        let sibling = |(height, level): (usize, &Vec<Digest>)| level.get((index as usize >> height) ^ 1).copied();
        Some(Path(self.levels.iter().enumerate().filter_map(sibling).collect()))
    }
}

impl Path {
    /// The root that this path leads to from `leaf`, the `index`-th of `count`. `None` if the path has not the length
    /// that index and count demand.
    #[must_use]
    pub fn root(&self, leaf: Leaf, index: u32, count: u32) -> Option<Digest> {
        if index >= count || count > limits::BATCH_LEAVES {
            return None;
        }
        let (mut hash, mut index, mut width) = (leaf.0, index, count);
        let mut siblings = self.0.iter();
        while width > 1 {
            if index % 2 == 1 {
                hash = parent(siblings.next()?, &hash);
            } else if index + 1 < width {
                hash = parent(&hash, siblings.next()?);
            }
            index /= 2;
            width = width.div_ceil(2);
        }
        siblings.next().is_none().then_some(hash)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded::list::<_, _, { limits::PATH_DIGESTS }>(deserializer).map(Self)
    }
}

fn parent(left: &Digest, right: &Digest) -> Digest {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left.as_bytes());
    both[32..].copy_from_slice(right.as_bytes());
    Digest::from_bytes(*blake3::keyed_hash(NODE_KEY, &both).as_bytes())
}

/// Plain constants: a key derivation for each of thousands of small hashes would cost as much as the hashes.
const LEAF_KEY: &[u8; 32] = b"meshd v1 merkle tree leaf       ";
const NODE_KEY: &[u8; 32] = b"meshd v1 merkle tree inner node ";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(count: usize) -> Vec<Leaf> {
        (0..count).map(|i| Leaf::new(Domain::Task, &i.to_le_bytes())).collect()
    }

    #[test]
    fn a_batch_has_leaves_and_a_bound() {
        assert_eq!(Tree::new(&[]), Err(BatchSize(0)));
        let most = limits::BATCH_LEAVES as usize;
        assert_eq!(Tree::new(&leaves(most)).unwrap().path(0).unwrap().0.len(), limits::PATH_DIGESTS);
        assert_eq!(Tree::new(&leaves(most + 1)), Err(BatchSize(most + 1)));
    }

    #[test]
    fn doubling_the_last_leaf_changes_the_root() {
        for count in 1..40 {
            let mut leaves = leaves(count);
            let root = Tree::new(&leaves).unwrap().root();
            leaves.push(leaves[count - 1]);
            assert_ne!(Tree::new(&leaves).unwrap().root(), root, "{count}");
        }
    }

    #[test]
    fn a_leaf_of_another_domain_is_another_leaf() {
        assert_ne!(Leaf::new(Domain::Task, b"x"), Leaf::new(Domain::Announcement, b"x"));
    }

    #[test]
    fn an_inner_node_is_no_leaf() {
        let leaves = leaves(4);
        let tree = Tree::new(&leaves).unwrap();
        // Two levels of four leaves, presented as a batch of two.
        let inner: Vec<Leaf> = tree.levels[1].iter().map(|digest| Leaf(*digest)).collect();
        let above = Tree::new(&inner).unwrap();
        assert_eq!(above.root(), tree.root(), "roots alone do not tell them apart: the signed count does");
        let path = above.path(0).unwrap();
        assert_eq!(path.root(inner[0], 0, 4), None);
        let bytes: Vec<u8> = [leaves[0].0, leaves[1].0].iter().flat_map(|d| *d.as_bytes()).collect();
        assert_ne!(Leaf::new(Domain::Task, &bytes), inner[0]);
    }

    proptest! {
        #[test]
        fn every_leaf_is_proved_and_nothing_else(
            count in 1usize..200,
            pick in any::<prop::sample::Index>(),
            wrong in any::<prop::sample::Index>(),
        ) {
            let leaves = leaves(count);
            let tree = Tree::new(&leaves).unwrap();
            let (index, wrong) = (pick.index(count), wrong.index(count));
            let (at, total) = (index as u32, count as u32);
            let path = tree.path(at).unwrap();
            prop_assert_eq!(path.root(leaves[index], at, total), Some(tree.root()));
            if wrong != index {
                prop_assert_ne!(path.root(leaves[wrong], at, total), Some(tree.root()));
                prop_assert_ne!(path.root(leaves[index], wrong as u32, total), Some(tree.root()));
            }
            let mut longer = path.clone();
            longer.0.push(tree.root());
            prop_assert_eq!(longer.root(leaves[index], at, total), None);
            if !path.0.is_empty() {
                let shorter = Path(path.0[1..].to_vec());
                prop_assert_eq!(shorter.root(leaves[index], at, total), None);
            }
            prop_assert_eq!(tree.path(total), None);
        }

        #[test]
        fn different_batches_have_different_roots(
            a in prop::collection::vec(any::<u8>(), 1..20),
            b in prop::collection::vec(any::<u8>(), 1..20),
        ) {
            let root = |bytes: &[u8]| {
                let leaves: Vec<Leaf> = bytes.iter().map(|byte| Leaf::new(Domain::Task, &[*byte])).collect();
                Tree::new(&leaves).unwrap().root()
            };
            prop_assert_eq!(a == b, root(&a) == root(&b));
        }
    }
}
