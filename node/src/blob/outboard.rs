//! Trees of hashes: BLAKE3's own, cut off at chunk groups of 16 KiB, kept beside the data in post order, which can be
//! written front to back before the size is known.

use bao_tree::{
    BaoTree, BlockSize,
    blake3::{
        self,
        hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
    },
    io::{outboard::PostOrderOutboard, sync::ReadAt},
};
use mesh_proto::id::BlobId;
use std::{
    fs::File,
    io::{self, Read},
};

/// The unit of verification. 16 KiB: the tree takes 1/256 of the data.
pub(super) const GROUP: BlockSize = BlockSize::from_chunk_log(4);
pub(super) const GROUP_BYTES: usize = 16 << 10;

/// The shape of the tree over `size` bytes.
pub(super) fn shape(size: u64) -> BaoTree {
    BaoTree::new(size, GROUP)
}

/// A tree that is read from a file; without one it has no pairs, as a blob of one chunk group has none.
pub(super) fn stored(id: BlobId, size: u64, pairs: Option<File>) -> PostOrderOutboard<Pairs> {
    PostOrderOutboard { root: blake3::Hash::from_bytes(*id.as_bytes()), tree: shape(size), data: Pairs(pairs) }
}

pub(super) struct Pairs(Option<File>);

impl ReadAt for Pairs {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.as_ref().map_or(Ok(0), |file| std::os::unix::fs::FileExt::read_at(file, buffer, position))
    }
}

/// Builds the tree while the content streams by; the size need not be known. Memory: one chunk group and one hash per
/// level.
#[derive(Debug, Default)]
pub(super) struct TreeBuilder {
    /// The last chunk group, which waits here because the last one of all is hashed in another way.
    group: Vec<u8>,
    groups: u64,
    stack: Vec<ChainingValue>,
}

impl TreeBuilder {
    /// Takes the next bytes; appends to `pairs` the pairs that are complete.
    pub(super) fn update(&mut self, mut bytes: &[u8], pairs: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.group.is_empty() && bytes.len() > GROUP_BYTES {
                let (group, rest) = bytes.split_at(GROUP_BYTES);
                self.push(group, pairs);
                bytes = rest;
            } else if self.group.len() == GROUP_BYTES {
                let mut group = std::mem::take(&mut self.group);
                self.push(&group, pairs);
                group.clear();
                self.group = group;
            } else {
                let (head, rest) = bytes.split_at(bytes.len().min(GROUP_BYTES - self.group.len()));
                self.group.extend_from_slice(head);
                bytes = rest;
            }
        }
    }

    /// The id of the whole; appends the pairs on the right edge.
    pub(super) fn finish(mut self, pairs: &mut Vec<u8>) -> BlobId {
        if self.groups == 0 {
            return BlobId::from_bytes(*blake3::hash(&self.group).as_bytes());
        }
        let group = std::mem::take(&mut self.group);
        self.push(&group, pairs);
        while self.stack.len() > 2 {
            self.merge(pairs);
        }
        let [left, right] = [self.stack[0], self.stack[1]];
        pairs.extend_from_slice(&left);
        pairs.extend_from_slice(&right);
        BlobId::from_bytes(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes())
    }

    /// As BLAKE3 does: subtrees are merged only when more content follows, as the last merge of all is the root's.
    fn push(&mut self, group: &[u8], pairs: &mut Vec<u8>) {
        while self.stack.len() > self.groups.count_ones() as usize {
            self.merge(pairs);
        }
        self.stack.push(group_hash(self.groups * GROUP_BYTES as u64, group));
        self.groups += 1;
    }

    fn merge(&mut self, pairs: &mut Vec<u8>) {
        if let (Some(right), Some(left)) = (self.stack.pop(), self.stack.pop()) {
            pairs.extend_from_slice(&left);
            pairs.extend_from_slice(&right);
            self.stack.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
    }
}

fn group_hash(offset: u64, group: &[u8]) -> ChainingValue {
    blake3::Hasher::new().set_input_offset(offset).update(group).finalize_non_root()
}

/// Hashes what a reader yields; `pairs` is handed the tree as it grows.
pub(super) fn hash(mut reader: impl Read, mut pairs: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(BlobId, u64)> {
    let mut builder = TreeBuilder::default();
    let mut buffer = vec![0; 256 << 10];
    let mut ready = Vec::new();
    let mut size = 0;
    loop {
        let n = match reader.read(&mut buffer) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if n == 0 {
            break;
        }
        size += n as u64;
        builder.update(&buffer[..n], &mut ready);
        pairs(&ready)?;
        ready.clear();
    }
    let id = builder.finish(&mut ready);
    pairs(&ready)?;
    Ok((id, size))
}

/// Checks the items of a pre-order stream against a root, one by one: the first wrong one is refused.
#[derive(Debug)]
pub(super) struct Verifier {
    expected: Vec<ChainingValue>,
}

impl Verifier {
    pub(super) fn new(id: BlobId) -> Self {
        Self { expected: vec![*id.as_bytes()] }
    }

    /// `left` and `right`: whether that side's content follows in the stream.
    pub(super) fn parent(&mut self, pair: &[u8; 64], is_root: bool, left: bool, right: bool) -> bool {
        let (mut l, mut r) = (ChainingValue::default(), ChainingValue::default());
        l.copy_from_slice(&pair[..32]);
        r.copy_from_slice(&pair[32..]);
        let actual = if is_root {
            *merge_subtrees_root(&l, &r, Mode::Hash).as_bytes()
        } else {
            merge_subtrees_non_root(&l, &r, Mode::Hash)
        };
        if self.expected.pop() != Some(actual) {
            return false;
        }
        self.expected.extend(right.then_some(r));
        self.expected.extend(left.then_some(l));
        true
    }

    pub(super) fn group(&mut self, offset: u64, data: &[u8], is_root: bool) -> bool {
        let actual = if is_root { *blake3::hash(data).as_bytes() } else { group_hash(offset, data) };
        self.expected.pop() == Some(actual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bao_tree::io::sync::outboard_post_order;
    use proptest::prelude::*;

    fn sizes() -> impl Strategy<Value = usize> {
        let edge = (0usize..12, -2isize..3).prop_map(|(n, d)| (n * GROUP_BYTES).saturating_add_signed(d));
        prop_oneof![edge, 0usize..(5 << 20), Just(5 << 20)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Whatever the size and however it is cut up: the id is BLAKE3's, and the tree is bao's.
        #[test]
        fn the_streamed_tree_is_the_tree(size in sizes(), step in 1usize..70_000) {
            let data: Vec<u8> = (0..size).map(|i| ((i * 31) >> 7) as u8).collect();
            let (mut builder, mut pairs) = (TreeBuilder::default(), Vec::new());
            for piece in data.chunks(step) {
                builder.update(piece, &mut pairs);
            }
            let id = builder.finish(&mut pairs);
            let mut expected = Vec::new();
            let root = outboard_post_order(&data[..], shape(size as u64), &mut expected).unwrap();
            prop_assert_eq!(*id.as_bytes(), *blake3::hash(&data).as_bytes());
            prop_assert_eq!(*id.as_bytes(), *root.as_bytes());
            prop_assert_eq!(pairs, expected);
        }
    }
}
