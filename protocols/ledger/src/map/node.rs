//! Nodes in memory, and the three things that are done to them. Each keeps the rule that makes the shape a function of
//! the content: what fits a page is a page, and anything else is a branch where its keys part.

use super::page::Page;
use mesh_proto::{
    id::Digest,
    ledger::{Child, Entry, Node as Encoded, branch_digest, common_prefix, slot},
    limits,
};
use std::{
    ops::ControlFlow,
    sync::{Arc, OnceLock},
};

#[derive(Clone, Debug)]
pub(super) enum Node {
    Page(Page),
    Branch(Branch),
}

#[derive(Clone, Debug)]
pub(super) struct Branch {
    /// The nibbles that all keys below have in common.
    pub depth: u16,
    /// Some key that is or was below: its first nibbles are those.
    sample: Entry,
    /// By slot; at least two are there.
    pub children: [Option<Arc<Node>>; limits::BRANCH_CHILDREN],
    entries: u64,
    weight: u64,
    digest: OnceLock<Digest>,
}

impl Default for Node {
    fn default() -> Self {
        Self::Page(Page::default())
    }
}

impl Node {
    /// Of entries in order, each key once.
    pub fn build(entries: Vec<Entry>) -> Self {
        let weight = entries.iter().map(Entry::weight).sum();
        if Encoded::fits_page(entries.len() as u64, weight) {
            return Self::Page(Page::new(entries));
        }
        // More than one, so there are a first and a last; they part where all part.
        let (sample, last) = (entries[0].clone(), &entries[entries.len() - 1]);
        let depth = common_prefix(sample.key(), last.key());
        let count = entries.len() as u64;
        let mut children = [const { None }; limits::BRANCH_CHILDREN];
        let mut rest = entries.into_iter().peekable();
        while let Some(first) = rest.next() {
            let way = slot(first.key(), depth);
            let mut group = vec![first];
            while let Some(next) = rest.next_if(|entry| slot(entry.key(), depth) == way) {
                group.push(next);
            }
            children[usize::from(way)] = Some(Arc::new(Self::build(group)));
        }
        Self::Branch(Branch {
            depth: as_depth(depth),
            sample,
            children,
            entries: count,
            weight,
            digest: OnceLock::new(),
        })
    }

    /// How many entries are below, and what they weigh.
    pub fn size(&self) -> (u64, u64) {
        match self {
            Self::Page(page) => page.size(),
            Self::Branch(branch) => (branch.entries, branch.weight),
        }
    }

    pub fn digest(&self) -> Digest {
        match self {
            Self::Page(page) => page.digest(),
            Self::Branch(branch) => *branch.digest.get_or_init(|| branch_digest(branch.depth, branch.described())),
        }
    }

    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        let mut node = self;
        loop {
            match node {
                Self::Page(page) => return page.get(key),
                Self::Branch(branch) => node = branch.child(key)?,
            }
        }
    }

    /// The entry with this key, and how many nibbles the key has in common with those below that it is nearest to.
    fn look(&self, key: &[u8]) -> (Option<&Entry>, usize) {
        let mut node = self;
        loop {
            match node {
                Self::Page(page) => match page.get(key) {
                    Some(entry) => return (Some(entry), 2 * key.len()),
                    None => return (None, page.iter().next().map_or(0, |entry| common_prefix(key, entry.key()))),
                },
                Self::Branch(branch) => match branch.child(key) {
                    Some(child) => node = child,
                    None => return (None, common_prefix(key, branch.sample())),
                },
            }
        }
    }

    /// `bounded`: whether entries before `from` may be below; else all are shown.
    pub fn scan<'a>(
        &'a self,
        from: &[u8],
        bounded: bool,
        visit: &mut impl FnMut(&'a Entry) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Self::Page(page) if bounded => page.iter_from(from).try_for_each(visit),
            Self::Page(page) => page.iter().try_for_each(visit),
            Self::Branch(branch) => {
                let (first, bounded) = if bounded { branch.begin(from) } else { (0, false) };
                let start = usize::from(first).min(branch.children.len());
                for (way, child) in branch.children.iter().enumerate().skip(start) {
                    if let Some(child) = child {
                        child.scan(from, bounded && way == start, visit)?;
                    }
                }
                ControlFlow::Continue(())
            }
        }
    }

    /// All entries below, in order.
    pub fn collect(&self, into: &mut Vec<Entry>) {
        match self {
            Self::Page(page) => into.extend(page.iter().cloned()),
            Self::Branch(branch) => branch.children.iter().flatten().for_each(|child| child.collect(into)),
        }
    }
}

/// Puts in what is made of the entry with this key, or of none, under the same key.
pub(super) fn put(node: &mut Arc<Node>, key: &[u8], make: impl FnOnce(Option<&Entry>) -> Entry) {
    // What it has in common with the nearest key tells at which branch it leaves the others, so that only one key is
    // looked at and not one at each branch: they are all over the memory.
    let (before, shared) = node.look(key);
    let entry = make(before);
    debug_assert_eq!(entry.key(), key);
    put_below(node, entry, shared);
}

fn put_below(node: &mut Arc<Node>, entry: Entry, shared: usize) {
    if let Node::Branch(branch) = &**node
        && shared < usize::from(branch.depth)
    {
        return part(node, shared, entry);
    }
    let node = Arc::make_mut(node);
    match node {
        Node::Page(page) => {
            page.put(entry);
            if !page.fits() {
                *node = Node::build(std::mem::take(page).into_entries());
            }
        }
        Node::Branch(branch) => {
            branch.digest = OnceLock::new();
            let way = usize::from(slot(entry.key(), usize::from(branch.depth)));
            let child = branch.children[way].get_or_insert_default();
            let before = child.size();
            put_below(child, entry, shared);
            let after = child.size();
            branch.entries = branch.entries - before.0 + after.0;
            branch.weight = branch.weight - before.1 + after.1;
            // A value may have become smaller.
            settle(node);
        }
    }
}

/// Takes the entry with this key out; whether it was there.
pub(super) fn remove(node: &mut Arc<Node>, key: &[u8]) -> bool {
    let node = Arc::make_mut(node);
    match node {
        Node::Page(page) => page.remove(key),
        Node::Branch(branch) => {
            let way = usize::from(slot(key, usize::from(branch.depth)));
            let Some(child) = &mut branch.children[way] else { return false };
            let before = child.size();
            let found = remove(child, key);
            let after = child.size();
            if after.0 == 0 {
                branch.children[way] = None;
            }
            branch.digest = OnceLock::new();
            branch.entries = branch.entries - before.0 + after.0;
            branch.weight = branch.weight - before.1 + after.1;
            settle(node);
            found
        }
    }
}

/// A key that leaves a branch's common prefix: a new branch above, where it does.
fn part(node: &mut Arc<Node>, depth: usize, entry: Entry) {
    let Node::Branch(old) = &**node else { return };
    let (count, weight) = (old.entries + 1, old.weight + entry.weight());
    let (old_way, way) = (slot(old.sample.key(), depth), slot(entry.key(), depth));
    let sample = entry.clone();
    let mut children = [const { None }; limits::BRANCH_CHILDREN];
    children[usize::from(old_way)] = Some(node.clone());
    children[usize::from(way)] = Some(Arc::new(Node::build(vec![entry])));
    let depth = as_depth(depth);
    *node = Arc::new(Node::Branch(Branch { depth, sample, children, entries: count, weight, digest: OnceLock::new() }));
}

/// After something below a branch shrank: it may be a page now, or have one child left, which then takes its place.
fn settle(node: &mut Node) {
    let Node::Branch(branch) = node else { return };
    if Encoded::fits_page(branch.entries, branch.weight) {
        let mut entries = Vec::with_capacity(limits::PAGE_ENTRIES);
        node.collect(&mut entries);
        *node = Node::build(entries);
        return;
    }
    let mut left = branch.children.iter_mut().filter(|child| child.is_some());
    if let (Some(only), None) = (left.next(), left.next())
        && let Some(only) = only.take()
    {
        *node = Arc::unwrap_or_clone(only);
    }
}

impl Branch {
    /// Where a key would be.
    pub fn child(&self, key: &[u8]) -> Option<&Arc<Node>> {
        self.children[usize::from(slot(key, usize::from(self.depth)))].as_ref()
    }

    /// Some key that shares this branch's common nibbles.
    pub fn sample(&self) -> &[u8] {
        self.sample.key()
    }

    /// The children as they are hashed and sent.
    pub fn described(&self) -> impl Iterator<Item = Child> {
        (0u8..).zip(&self.children).filter_map(|(slot, child)| {
            let child = child.as_ref()?;
            let (entries, bytes) = child.size();
            Some(Child { slot, digest: child.digest(), entries, bytes })
        })
    }

    /// The first slot that has entries from `from` on, and whether that slot may have some before it.
    fn begin(&self, from: &[u8]) -> (u8, bool) {
        let depth = usize::from(self.depth);
        let shared = common_prefix(from, self.sample());
        if shared >= depth {
            (slot(from, depth), true)
        } else if slot(from, shared) < slot(self.sample(), shared) {
            (0, false)
        } else {
            (limits::BRANCH_CHILDREN as u8, false)
        }
    }
}

/// Keys are bounded, and so are their nibbles.
fn as_depth(nibbles: usize) -> u16 {
    u16::try_from(nibbles).unwrap_or(u16::MAX)
}

#[cfg(test)]
impl Node {
    /// Whether the shape is what the content demands; the entries below, in order.
    pub fn check(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.collect(&mut entries);
        let weight: u64 = entries.iter().map(Entry::weight).sum();
        assert_eq!(self.size(), (entries.len() as u64, weight));
        assert!(entries.is_sorted_by(|a, b| a.key() < b.key()));
        match self {
            Self::Page(_) => assert!(Encoded::fits_page(entries.len() as u64, weight)),
            Self::Branch(branch) => {
                assert!(!Encoded::fits_page(entries.len() as u64, weight));
                let depth = common_prefix(entries[0].key(), entries[entries.len() - 1].key());
                assert_eq!(usize::from(branch.depth), depth);
                assert!(branch.children.iter().flatten().count() >= 2);
                for (way, child) in branch.children.iter().enumerate() {
                    let below = child.iter().flat_map(|child| child.check());
                    assert!(below.into_iter().all(|entry| usize::from(slot(entry.key(), depth)) == way));
                }
            }
        }
        entries
    }
}
