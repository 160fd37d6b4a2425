//! States that somebody fetches from, which are kept when the stable checkpoint moves on: a transfer takes longer than an
//! interval under load. Whoever asks has one at a time, and none for long, so that nobody's state is kept in another's place,
//! and none for ever.

use super::Replica;
use crate::{Rejection, table::Table};
use mesh_proto::{
    id::NodeId,
    merkle::{Path, Tree},
    pbft::{ClientEntry, Sequence},
    time::Mono,
};
use std::{collections::BTreeMap, time::Duration};

/// Nodes for which a state is kept though they are no members: who is to become one fetches before anybody has ordered it,
/// so recruits are not known here. More of them are answered as well, from what is there. Who has had its place for
/// [`Config::pin_most`](crate::Config::pin_most) goes behind the others: some that go on asking hold none for ever.
const STRANGERS: usize = 4;

/// The state of the stable checkpoint, once somebody has asked for it, the one before it, and past ones.
#[derive(Debug, Default)]
pub struct Pins {
    states: BTreeMap<Sequence, Pin>,
    readers: BTreeMap<NodeId, Reader>,
}

/// Whoever a state is kept for.
#[derive(Debug)]
struct Reader {
    /// What it asked for last.
    sequence: Sequence,
    /// Since when it has its place, and until when if it does not ask again.
    since: Mono,
    until: Mono,
}

#[derive(Debug)]
pub struct Pin {
    table: Table,
    tree: Option<Tree>,
    /// When another checkpoint became stable.
    left: Option<Mono>,
}

impl Pin {
    /// An entry of the table, and its path.
    pub fn piece(&mut self, index: u32) -> Option<(ClientEntry, Path)> {
        if self.tree.is_none() {
            self.tree = self.table.tree();
        }
        let path = self.tree.as_ref()?.path(index)?;
        Some((self.table.entry(index)?, path))
    }

    /// However often it is asked for, it is not kept for longer.
    fn is_over(&self, now: Mono, most: Duration) -> bool {
        self.left.is_some_and(|left| left + most <= now)
    }
}

impl Replica {
    /// The state at a number, for who asks for it: of the stable checkpoint, or a past one that is kept.
    pub(super) fn pin(&mut self, now: Mono, from: NodeId, sequence: Sequence) -> Result<&mut Pin, Rejection> {
        let is_stable = self.durable.stable.as_ref().is_some_and(|stable| stable.summary.sequence == sequence);
        if is_stable && !self.pins.states.contains_key(&sequence) {
            let held = self.durable.checkpoints.get(&sequence).ok_or(Rejection::Unasked)?;
            self.pins.states.insert(sequence, Pin { table: held.table.clone(), tree: None, left: None });
        }
        let most = self.config.pin_most;
        if self.pins.states.get(&sequence).is_none_or(|pin| pin.is_over(now, most)) {
            return Err(Rejection::Unasked);
        }
        if self.is_pinned_for(now, &from) {
            let since = self.pins.readers.get(&from).map_or(now, |reader| reader.since);
            self.pins.readers.insert(from, Reader { sequence, since, until: now + self.config.pin_for });
        }
        self.pins.states.get_mut(&sequence).ok_or(Rejection::Unasked)
    }

    /// The stable checkpoint moves on: what is being fetched stays for a while; and the state that was stable until now stays
    /// until the next one is, whether it is fetched or not. Who asks for it heard of it before this replica moved on, and
    /// where a checkpoint comes in less than two round trips would ask too late each time.
    pub(super) fn keep_pinned(&mut self, now: Mono) {
        let last = self.durable.stable.as_ref().map(|stable| stable.summary.sequence);
        let held = last.and_then(|last| Some((last, self.durable.checkpoints.get(&last)?)));
        let Pins { states, readers } = &mut self.pins;
        if let Some((last, held)) = held {
            states.entry(last).or_insert_with(|| Pin { table: held.table.clone(), tree: None, left: None });
        }
        readers.retain(|_, reader| reader.until > now);
        let is_read = |sequence: &Sequence| readers.values().any(|reader| reader.sequence == *sequence);
        let stays = |sequence: &Sequence| last == Some(*sequence) || is_read(sequence);
        states.retain(|sequence, pin| stays(sequence) && !pin.is_over(now, self.config.pin_most));
        states.values_mut().for_each(|pin| pin.left = pin.left.or(Some(now)));
    }

    /// The past states that are kept.
    pub(super) fn pinned(&self) -> Vec<Sequence> {
        let past = self.pins.states.iter().filter(|(_, pin)| pin.left.is_some());
        past.map(|(sequence, _)| *sequence).collect()
    }

    /// For members of this epoch and of the next one there is always room: as many states as they are.
    fn is_pinned_for(&mut self, now: Mono, node: &NodeId) -> bool {
        self.pins.readers.retain(|_, reader| reader.until > now);
        let next = self.next_config.as_ref().map(|(next, _)| next);
        let is_member = |node: &NodeId| {
            let mut epochs = [Some(&self.durable.config), next].into_iter().flatten();
            epochs.any(|config| config.replica_of(node).is_some())
        };
        let others = self.pins.readers.iter().filter(|(reader, _)| *reader != node && !is_member(reader));
        let others: Vec<(Mono, NodeId)> = others.map(|(reader, Reader { since, .. })| (*since, *reader)).collect();
        if is_member(node) || others.len() < STRANGERS {
            return true;
        }
        let overdue = others.into_iter().min().filter(|(since, _)| *since + self.config.pin_most <= now);
        overdue.is_some_and(|(_, reader)| self.pins.readers.remove(&reader).is_some())
    }
}
