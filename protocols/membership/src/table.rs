//! Tables made one: two nodes compare a digest for each part of theirs, then marks of the entries in the parts that
//! differ, and then send what the other lacks. Nothing that both have crosses the wire, whatever a partition made of
//! them (anti-entropy by checksums, Demers and others 1987, section 1.3).

use crate::{Mark, Member, Members};
use mesh_proto::{id::NodeId, table::first_eight};
use std::ops::Bound;

/// Parts of a table. 64 make the first message 600 bytes, and let two tables of 4,096 that differ in one entry exchange
/// the marks of 64.
pub const PARTS: usize = mesh_proto::limits::TABLE_PARTS;

/// The digest of each part, where it was found since the part changed: whoever comes to a large mesh compares tables
/// with each member of it, and each comparison would hash all of them.
#[derive(Debug)]
pub(crate) struct Digests([Option<u64>; PARTS]);

impl Default for Digests {
    fn default() -> Self {
        Self([None; PARTS])
    }
}

impl Digests {
    /// What is told of this member changes.
    pub(crate) fn forget(&mut self, node: &NodeId) {
        self.0[part_of(node)] = None;
    }
}

impl Members {
    /// This node's digest of each part. Two tables with the same digests hold the same.
    pub fn digests(&mut self) -> Vec<u64> {
        let digests = (0..PARTS).map(|part| self.digests.0[part].unwrap_or_else(|| self.digest_of(part)));
        let digests: Vec<u64> = digests.collect();
        self.digests.0.iter_mut().zip(&digests).for_each(|(kept, found)| *kept = Some(*found));
        digests
    }

    fn digest_of(&self, part: usize) -> u64 {
        let mut hasher = blake3::Hasher::new();
        for mark in self.told_in(part).into_iter().map(Mark::of) {
            hasher.update(mark.node.as_bytes());
            for number in [mark.dated.0, mark.incarnation, mark.hash] {
                hasher.update(&number.to_le_bytes());
            }
        }
        first_eight(hasher.finalize())
    }

    /// The parts in which another's digests differ from this node's.
    pub fn differing(&mut self, theirs: &[u64]) -> Vec<u8> {
        let mine = self.digests();
        (0..PARTS).filter(|part| theirs.get(*part) != mine.get(*part)).map(|part| part as u8).collect()
    }

    /// Marks of all that is told in these parts.
    pub fn marks(&self, parts: &[u8]) -> Vec<Mark> {
        self.told(parts).map(Mark::of).collect()
    }

    /// What whoever has these marks in these parts lacks or has older.
    pub fn lacking(&self, parts: &[u8], marks: &[Mark]) -> Vec<Member> {
        let marks = by_node(marks);
        let lacks = |member: &&Member| {
            let (mine, theirs) = (Mark::of(member), marks.get(&member.node));
            // Where only the bytes differ both send theirs, and the order of the bytes decides.
            theirs.is_none_or(|theirs| mine.rank() >= theirs.rank() && **theirs != mine)
        };
        self.told(parts).filter(lacks).cloned().collect()
    }

    /// Whether these marks name something that this node lacks or has older.
    pub fn lacks(&self, marks: &[Mark]) -> bool {
        marks.iter().any(|theirs| {
            let mine = self.get(&theirs.node).filter(|member| member.is_told()).map(Mark::of);
            mine.is_none_or(|mine| mine.rank() <= theirs.rank() && mine != *theirs)
        })
    }

    /// All entries that others can check, this node's own among them, part by part.
    fn told(&self, parts: &[u8]) -> impl Iterator<Item = &Member> {
        parts.iter().flat_map(|part| self.told_in(usize::from(*part)))
    }

    /// Of one part, in order of their nodes.
    fn told_in(&self, part: usize) -> Vec<&Member> {
        let me = Some(self.me()).filter(|me| part_of(&me.node) == part);
        let others = self.peers.range((first_of(part), end_of(part))).map(|(_, peer)| &peer.member);
        let mut told: Vec<&Member> = others.chain(me).filter(|member| member.is_told()).collect();
        told.sort_by_key(|member| member.node);
        told
    }
}

fn by_node(marks: &[Mark]) -> std::collections::BTreeMap<NodeId, &Mark> {
    marks.iter().map(|mark| (mark.node, mark)).collect()
}

/// Ids are public keys: as good as random.
fn part_of(node: &NodeId) -> usize {
    usize::from(node.as_bytes()[0]) * PARTS / 256
}

/// The lowest id that belongs to a part.
fn first_of(part: usize) -> Bound<NodeId> {
    let first = (part * 256).div_ceil(PARTS);
    let mut bytes = [0; 32];
    match u8::try_from(first) {
        Ok(first) => {
            bytes[0] = first;
            Bound::Included(NodeId::from_bytes(bytes))
        }
        Err(_) => Bound::Unbounded,
    }
}

/// Where it ends.
fn end_of(part: usize) -> Bound<NodeId> {
    match first_of(part + 1) {
        Bound::Included(next) => Bound::Excluded(next),
        end => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Role, Standing};
    use mesh_proto::{
        capability::Capabilities,
        id::StoreId,
        task::Octets,
        time::{Mono, Now, Wall},
    };
    use proptest::{collection::vec, prelude::*};

    const NOW: Now = Now { mono: Mono(0), wall: Wall(0) };

    /// Node, date, incarnation, standing, bytes.
    type Row = (u8, u64, u64, u8, u8);

    fn member((node, dated, incarnation, standing, bytes): Row) -> Member {
        Member {
            node: NodeId::from_bytes([node; 32]),
            store: StoreId(1),
            role: Role::Full,
            standing: [Standing::Joined, Standing::Left, Standing::Forgotten][usize::from(standing)],
            dated: Wall(dated),
            incarnation,
            addresses: Vec::new(),
            name: None,
            zone: None,
            drains: false,
            capabilities: Capabilities::default(),
            entry: Octets::from(vec![bytes]),
        }
    }

    fn table(me: u8, known: Vec<Row>) -> Members {
        let mut members = Members::new(Config::default(), member((me, 0, 1, 0, 1)));
        for known in known {
            // Old news is refused.
            members.learn(NOW, member(known), &mut Vec::new()).unwrap_or_default();
        }
        members
    }

    /// One exchange in which `a` begins: how many entries crossed.
    fn exchange(a: &mut Members, b: &mut Members) -> usize {
        let mut crossed = 0;
        let parts = b.differing(&a.digests());
        let marks = b.marks(&parts);
        let (lacking, asks) = (a.lacking(&parts, &marks), a.lacks(&marks));
        let answer = asks.then(|| a.marks(&parts));
        let mut take = |to: &mut Members, entries: Vec<Member>| {
            crossed += entries.len();
            for entry in entries {
                to.learn(NOW, entry, &mut Vec::new()).unwrap_or_default();
            }
        };
        take(b, lacking);
        if let Some(marks) = answer {
            let lacking = b.lacking(&parts, &marks);
            take(a, lacking);
        }
        crossed
    }

    proptest! {
        #[test]
        fn after_one_exchange_both_hold_the_same_and_another_moves_nothing(
            a in vec((2_u8..250, 0_u64..3, 0_u64..3, 0_u8..3, 0_u8..3), 0..60),
            b in vec((2_u8..250, 0_u64..3, 0_u64..3, 0_u8..3, 0_u8..3), 0..60),
        ) {
            let (mut a, mut b) = (table(0, a), table(255, b));
            exchange(&mut a, &mut b);
            let every: Vec<u8> = (0..PARTS as u8).collect();
            let rest =
                |members: &Members| -> Vec<_> { members.told(&every).map(|m| (m.node, m.rank().0)).collect() };
            prop_assert_eq!(rest(&a), rest(&b));
            prop_assert_eq!(a.digests(), b.digests());
            prop_assert_eq!(exchange(&mut a, &mut b), 0);
        }
    }

    #[test]
    fn only_what_differs_crosses() {
        let all: Vec<_> = (2..=200).map(|node| (node, 0, 1, 0, 1)).collect();
        let mut newer = all.clone();
        newer[7].2 = 2;
        let (mut a, mut b) = (table(0, all), table(0, newer));
        let parts = a.differing(&b.digests());
        assert_eq!(parts.len(), 1);
        assert!(a.marks(&parts).len() <= 4);
        assert_eq!(exchange(&mut a, &mut b), 1);
        assert!(a.differing(&b.digests()).is_empty());
    }

    #[test]
    fn what_was_only_seen_at_the_door_is_not_told() {
        let mut members = table(0, vec![]);
        let seen = Member { entry: Octets::default(), incarnation: 0, ..member((9, 0, 0, 0, 0)) };
        let before = members.digests();
        members.learn(NOW, seen, &mut Vec::new()).unwrap();
        assert_eq!(members.digests(), before);
    }
}
