//! Suspicion of a member that is silent here, and what others find of it. SWIM's (Das, Gupta and Motivala 2002, section 4.2),
//! but that a majority of those asked must agree before it is confirmed: of two halves of a cut neither confirms the other
//! by itself.

use crate::{Effect, Finding, Members, Standing, history::Found};
use mesh_proto::{
    id::NodeId,
    probe::Probe,
    time::{Mono, Now},
};
use rand::{Rng, seq::IteratorRandom as _};
use std::collections::BTreeMap;

/// How a member that is silent here is thought of. A hint: it changes neither committee, nor holders, nor who is a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standpoint {
    Suspected,
    Confirmed,
}

#[derive(Debug)]
pub(crate) struct Suspicion {
    pub(crate) since: Mono,
    /// The last word of it that was known: a later one refutes.
    pub(crate) incarnation: u64,
    pub(crate) is_confirmed: bool,
    round: Option<Round>,
    next_round: Mono,
}

/// Some members that are asked, reachable or not.
#[derive(Debug)]
struct Round {
    id: u64,
    /// Who was asked, and what each found. Who cannot be reached says nothing.
    asked: BTreeMap<NodeId, Option<bool>>,
    /// Of these, those that the question was sent to.
    sent: usize,
    until: Mono,
}

impl Round {
    fn found(&self, there: bool) -> usize {
        self.asked.values().filter(|found| **found == Some(there)).count()
    }
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub suspicions: u64,
    pub confirmations: u64,
    /// Suspicions of this node's that a later word of the suspect ended.
    pub refutations: u64,
    /// How little this node trusts itself, 0 to 8: its times are so many times longer, and once more.
    pub doubt: u32,
}

/// Members that others are asked about at once, by one node: when half of a large mesh falls silent, its load is as ever.
const ROUNDS: usize = 8;

impl Suspicion {
    fn new(now: Mono, incarnation: u64) -> Self {
        Self { since: now, incarnation, is_confirmed: false, round: None, next_round: now }
    }
}

impl Members {
    /// How a member is thought of, if it is silent.
    pub fn standpoint(&self, node: &NodeId) -> Option<Standpoint> {
        let suspicion = self.peers.get(node)?.suspicion.as_ref()?;
        Some(if suspicion.is_confirmed { Standpoint::Confirmed } else { Standpoint::Suspected })
    }

    /// What was found of it, in the order of time.
    pub fn history(&self, node: &NodeId) -> impl Iterator<Item = &Found> {
        self.peers.get(node).into_iter().flat_map(|peer| peer.history.lines())
    }

    pub fn counters(&self) -> Counters {
        Counters { doubt: self.doubt.score(), ..self.counted }
    }

    /// Begins to suspect who has fallen silent, and goes on with those that are suspected.
    pub(crate) fn look_at_suspects(&mut self, now: Now, rng: &mut dyn Rng, effects: &mut Vec<Effect>) {
        let me = self.me().node;
        let suspicions = &mut self.counted.suspicions;
        self.peers.away_mut(|_, peer| {
            if !peer.silent {
                peer.suspicion = None;
                return;
            }
            // Whom this process has not met it has not lost either, before the time-out.
            let is_missed = peer.was_met || peer.counts_from <= now.mono;
            if peer.suspicion.is_none() && is_missed && peer.trusted_until <= now.mono {
                peer.suspicion = Some(Suspicion::new(now.mono, peer.member.incarnation));
                peer.history.note(now.wall, me, Finding::Suspected);
                *suspicions += 1;
            }
        });
        let suspects: Vec<NodeId> =
            self.peers.away().filter(|(_, peer)| peer.suspicion.is_some()).map(|(node, _)| *node).collect();
        let mut open = 0;
        for node in suspects {
            self.end_round(now, node);
            open += usize::from(self.round(&node).is_some());
            if open < ROUNDS && self.ask_others(now, node, rng, effects) {
                open += 1;
            }
        }
    }

    fn suspicion(&mut self, node: &NodeId) -> Option<&mut Suspicion> {
        self.peers.get_mut(node)?.suspicion.as_mut()
    }

    fn round(&self, node: &NodeId) -> Option<&Round> {
        self.peers.get(node)?.suspicion.as_ref()?.round.as_ref()
    }

    /// Whether some were asked.
    fn ask_others(&mut self, now: Now, node: NodeId, rng: &mut dyn Rng, effects: &mut Vec<Effect>) -> bool {
        let (timeout, wait) = (self.config.timeout, self.doubt.stretch(self.config.heartbeat) * 2);
        let is_due = |suspicion: &mut Suspicion| {
            !suspicion.is_confirmed && suspicion.round.is_none() && suspicion.next_round <= now.mono
        };
        if !self.suspicion(&node).is_some_and(is_due) {
            return false;
        }
        let others =
            self.peers.iter().filter(|(other, peer)| **other != node && peer.member.standing == Standing::Joined);
        let drawn = others.map(|(other, peer)| (*other, peer.connected)).sample(rng, self.config.probes);
        self.last_id += 1;
        let id = self.last_id;
        let Some(suspicion) = self.suspicion(&node) else { return false };
        if drawn.is_empty() {
            if now.mono.since(suspicion.since) >= timeout * 2 {
                self.confirm(now, node, effects);
            }
            return false;
        }
        let (incarnation, silent) = (suspicion.incarnation, now.mono.since(suspicion.since));
        let reached: Vec<NodeId> = drawn.iter().filter(|(_, connected)| *connected).map(|(other, _)| *other).collect();
        let asked = drawn.iter().map(|(other, _)| (*other, None)).collect();
        suspicion.round = Some(Round { id, asked, sent: reached.len(), until: now.mono + wait });
        let silent_ms = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
        for to in reached {
            effects.push(Effect::Say { to, probe: Probe::Suspect { id, node, incarnation, silent_ms } });
        }
        true
    }

    /// What one that was asked has found.
    pub(crate) fn answered(&mut self, now: Now, from: NodeId, id: u64, is_there: bool, effects: &mut Vec<Effect>) {
        let is_it = |suspicion: &Suspicion| suspicion.round.as_ref().is_some_and(|round| round.id == id);
        let of_round = self.peers.away().find(|(_, peer)| peer.suspicion.as_ref().is_some_and(is_it));
        let Some(node) = of_round.map(|(node, _)| *node) else { return };
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let Some(round) = peer.suspicion.as_mut().and_then(|suspicion| suspicion.round.as_mut()) else { return };
        let Some(found) = round.asked.get_mut(&from).filter(|found| found.is_none()) else { return };
        *found = Some(is_there);
        peer.history.note(now.wall, from, if is_there { Finding::Answers } else { Finding::Silent });
        if round.found(false) * 2 > round.asked.len() {
            self.confirm(now, node, effects);
        }
    }

    /// Its time is over, or all have answered. Silence is not agreement; it is a reason to doubt oneself, where there were
    /// connections to ask by.
    fn end_round(&mut self, now: Now, node: NodeId) {
        let Some(round) = self.round(&node) else { return };
        let answers = round.found(true) + round.found(false);
        if round.until > now.mono && answers < round.sent {
            return;
        }
        if answers < round.sent {
            self.doubt.more();
        }
        let again = now.mono + self.config.timeout;
        if let Some(suspicion) = self.suspicion(&node) {
            (suspicion.round, suspicion.next_round) = (None, again);
        }
    }

    fn confirm(&mut self, now: Now, node: NodeId, effects: &mut Vec<Effect>) {
        let me = self.me().node;
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let Some(suspicion) = peer.suspicion.as_mut().filter(|suspicion| !suspicion.is_confirmed) else { return };
        (suspicion.is_confirmed, suspicion.round) = (true, None);
        peer.history.note(now.wall, me, Finding::Confirmed);
        self.counted.confirmations += 1;
        effects.push(Effect::Confirmed(node));
    }

    /// A later word of it is known. It is not suspected again at once, though it may still be out of reach here.
    pub(crate) fn note_word(&mut self, now: Now, node: NodeId, incarnation: u64) {
        let again = now.mono + self.config.timeout;
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if peer.suspicion.as_ref().is_some_and(|suspicion| suspicion.incarnation < incarnation) {
            peer.suspicion = None;
            peer.trusted_until = again;
            peer.history.note(now.wall, node, Finding::Refuted { incarnation });
            self.counted.refutations += 1;
        }
    }
}
