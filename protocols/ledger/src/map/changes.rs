//! What differs between two maps, page by page, found without looking at what they share.

use super::{Map, export::encoded, node::Node};
use mesh_proto::{
    codec,
    id::Digest,
    ledger::{Node as Encoded, NodeError, common_prefix, slot},
};
use std::{collections::BTreeMap, sync::Arc};

/// What makes a store of the pages of one map, each under its digest, the store of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// To put in, by digest.
    pub added: BTreeMap<Digest, Vec<u8>>,
    /// To take out.
    pub removed: Vec<Digest>,
}

impl Map {
    /// What to change in a store that holds the pages of `before`, so that it holds those of this map.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> Changes {
        let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
        compare(Some(&before.root), Some(&self.root), &mut old, &mut new);
        // A page may have moved: the same entries in another place of the tree.
        let added = new.iter().filter(|(digest, _)| !old.contains_key(digest));
        let added = added.map(|(digest, node)| (*digest, codec::encode(&encoded(node)))).collect();
        let removed = old.keys().filter(|digest| !new.contains_key(digest)).copied().collect();
        Changes { added, removed }
    }

    /// The map of these pages, which are this node's own: what a store gives back. Compare the root with what it must
    /// be.
    pub fn from_pages<'a>(pages: impl IntoIterator<Item = (&'a Digest, &'a [u8])>) -> Result<Self, NodeError> {
        let mut entries = Vec::new();
        for (digest, bytes) in pages {
            match Encoded::decode(bytes, digest)? {
                Encoded::Page(page) => entries.extend(page),
                Encoded::Branch(_) => return Err(NodeError::Shape),
            }
        }
        Ok(Self::from_entries(entries))
    }
}

type Pages<'a> = BTreeMap<Digest, &'a Arc<Node>>;

fn compare<'a>(before: Option<&'a Arc<Node>>, after: Option<&'a Arc<Node>>, old: &mut Pages<'a>, new: &mut Pages<'a>) {
    let (before, after) = match (before, after) {
        (Some(before), Some(after)) => (before, after),
        (before, after) => {
            before.into_iter().for_each(|node| pages(node, old));
            return after.into_iter().for_each(|node| pages(node, new));
        }
    };
    if Arc::ptr_eq(before, after) || before.digest() == after.digest() {
        return;
    }
    let (Node::Branch(was), Node::Branch(is)) = (&**before, &**after) else {
        pages(before, old);
        return pages(after, new);
    };
    let shared = common_prefix(was.sample(), is.sample());
    let (was_depth, is_depth) = (usize::from(was.depth), usize::from(is.depth));
    if shared < was_depth.min(is_depth) {
        // Nothing in common: each is beside where the other is.
        pages(before, old);
        pages(after, new);
    } else if was_depth == is_depth {
        for (was, is) in was.children.iter().zip(&is.children) {
            compare(was.as_ref(), is.as_ref(), old, new);
        }
    } else if was_depth > is_depth {
        // A branch was put above: what was is below one of its children.
        let way = usize::from(slot(was.sample(), is_depth));
        for (at, is) in is.children.iter().enumerate() {
            compare((at == way).then_some(before), is.as_ref(), old, new);
        }
    } else {
        let way = usize::from(slot(is.sample(), was_depth));
        for (at, was) in was.children.iter().enumerate() {
            compare(was.as_ref(), (at == way).then_some(after), old, new);
        }
    }
}

fn pages<'a>(node: &'a Arc<Node>, into: &mut Pages<'a>) {
    match &**node {
        // The empty state has no page to store.
        Node::Page(page) if page.size().0 == 0 => {}
        Node::Page(_) => drop(into.insert(node.digest(), node)),
        Node::Branch(branch) => branch.children.iter().flatten().for_each(|child| pages(child, into)),
    }
}
