//! Whom a primary brings in of whom nothing was heard here. Beyond the paper, whose clients are known beforehand.
//!
//! Keys are free. A primary that lies could make gateways up and begin each batch with them, under numbers of the latest date
//! there may be. As many as the client table has places push all others out of it, and pushed out themselves they raise its
//! floor above whatever waits. What is too old is not waited for: the primary would be suspected of nothing, and starve all
//! gateways for ever. But a gateway asks all members itself, and who speaks for itself was let in by the caller. Where it
//! reaches the primary alone, the caller may know it all the same, as it knows who is of the network. So a backup prepares no
//! more than a few requests of gateways that have neither asked it nor a place in the table, and that the caller does not
//! know, in one view, or in a time in which whoever is starved by so few has had its time-out. The rest waits until it is
//! heard of, as for a body that is missing; a primary that has made it up is left for the slot that is stuck.
//!
//! What is prepared alone is judged so: what is decided is executed, and what a new view proposes again was judged before.
//! So replicas may know different gateways: to keep back a PREPARE is what a slow one does, and costs no more than a view.

use super::{Replica, Turn};
use mesh_proto::{
    id::NodeId,
    pbft::{Batch, Sequence},
    time::Mono,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// In a period a primary brings in so many strangers at each backup: one in four time-outs. They may be others at each, of
/// which f + 1 correct ones of 2 f + 1 prepare a batch, so together less than twice as many: one gateway's time-out passes
/// between two of them.
const TIMEOUTS: u32 = 4;

#[derive(Debug, Default)]
pub struct Strangers {
    /// Who has asked here or is known to the caller, and when last; in turns, as there are several at a time.
    known: BTreeMap<NodeId, u64>,
    turns: BTreeMap<u64, NodeId>,
    turn: u64,
    /// How many this primary has brought in.
    borne: u32,
    /// Until then; what comes later is counted anew.
    until: Mono,
    /// A proposal waits for some to be heard of.
    holds_back: bool,
    /// One was, or has got its place in the table.
    again: Option<Mono>,
}

impl Strangers {
    /// A gateway asked here, or the caller knows it. Who was silent for longest is forgotten first.
    pub fn know(&mut self, now: Mono, most: usize, gateway: NodeId) {
        self.turn += 1;
        match self.known.insert(gateway, self.turn) {
            Some(before) => drop(self.turns.remove(&before)),
            None => self.look(now),
        }
        self.turns.insert(self.turn, gateway);
        while self.known.len() > most {
            let Some((_, oldest)) = self.turns.pop_first() else { break };
            self.known.remove(&oldest);
        }
    }

    /// Fewer may be strangers by now.
    pub fn look(&mut self, now: Mono) {
        if self.holds_back {
            self.again.get_or_insert(now);
        }
    }

    /// Another primary, or the same for a while: it has brought in none.
    pub fn renew(&mut self, until: Mono) {
        (self.borne, self.until) = (0, until);
    }

    /// When to look again at what is held back.
    pub fn due(&self) -> Option<Mono> {
        self.again.or(Some(self.until)).filter(|_| self.holds_back)
    }

    fn bear(&mut self, now: Mono, period: Duration, most: u32, count: u32) -> bool {
        if self.until <= now {
            self.renew(now + period);
        }
        let is_borne = self.borne.saturating_add(count) <= most;
        match is_borne {
            true => self.borne += count,
            false => self.holds_back = true,
        }
        is_borne
    }
}

impl Replica {
    /// Whether a proposal brings in so few strangers that it is prepared; if not, it waits.
    pub(super) fn bears_with(&mut self, turn: &Turn<'_>, sequence: Sequence, batch: &Batch) -> bool {
        if sequence <= self.proposed_again() {
            return true;
        }
        let gateways = batch.requests.iter().filter_map(|digest| self.body(digest)).map(|body| body.request.gateway);
        let strangers: BTreeSet<NodeId> = gateways.filter(|gateway| self.is_stranger(gateway)).collect();
        let count = u32::try_from(strangers.len()).unwrap_or(u32::MAX);
        count == 0 || self.strangers.bear(turn.now.mono, self.strangers_period(), self.config.strangers, count)
    }

    pub(super) fn strangers_period(&self) -> Duration {
        self.suspicion.timeout.saturating_mul(self.config.strangers.saturating_mul(TIMEOUTS))
    }

    /// Looks again at the proposals that wait, if it is time.
    pub(super) fn look_at_strangers(&mut self, turn: &mut Turn<'_>) {
        if self.strangers.due().is_none_or(|due| due > turn.now.mono) {
            return;
        }
        (self.strangers.holds_back, self.strangers.again) = (false, None);
        let offered = self.slots.iter().filter(|(_, slot)| slot.offer.is_some()).map(|(sequence, _)| *sequence);
        let offered: Vec<Sequence> = offered.collect();
        offered.iter().for_each(|sequence| self.progress(turn, *sequence));
    }

    /// Members are none: they are no more than there are.
    fn is_stranger(&self, gateway: &NodeId) -> bool {
        let is_known = self.strangers.known.contains_key(gateway) || self.table.has(gateway);
        !is_known && self.durable.config.replica_of(gateway).is_none()
    }

    /// The last number that the NEW-VIEW of this view brought.
    fn proposed_again(&self) -> Sequence {
        let entered = self.durable.entered.as_ref().map(|entered| &entered.message);
        let entered = entered.filter(|message| message.view == self.durable.view);
        entered.map_or(Sequence::ZERO, |message| message.stable.plus(message.proposals.len() as u64))
    }
}
