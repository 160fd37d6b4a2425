//! Members that lie. Each is a correct machine whose words are twisted on the way out, signed anew with its own key.

use crate::{
    dice::Dice,
    node::{NETWORK, key},
    nonce::signed_again,
};
use mesh_proto::{
    domain::Epoch,
    id::{Digest, NodeId},
    key::SecretKey,
    pbft::{Batch, Checkpoint, Message, Operations, Phase, PrePrepare, ReplicaId, Sequence, View, ViewChange, Vote},
    task::Octets,
};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Says nothing.
    Silent,
    /// Says one thing to some, another to others.
    Equivocate,
    /// Forges view changes and new views, and calls for views that nobody wants.
    Views,
    /// Sends wrong state, wrong decisions, wrong standings.
    Transfer,
    /// Proposes late, by so many milliseconds.
    Slow(u64),
    /// Floods everybody with votes that are signed and worth nothing.
    Flood,
    /// Says what is true, to each under another signature that holds, and keeps a proposal back now and then, so that it is
    /// left with all that is signed so.
    SignsTwice,
    /// Does not hear what this gateway asks for, from whomever: it proposes none of it.
    Starves(NodeId),
    /// Hears nothing of what is asked but by gateways that it has made up: see [`is_minted`].
    Mints,
    /// Says what it is, twice: two correct machines with one key.
    Twin,
}

/// What gateways ask for that a member has made up.
pub const MINTED: &[u8] = b"minted";

fn is_minted(operations: &Operations) -> bool {
    operations.as_bytes().windows(MINTED.len()).any(|window| window == MINTED)
}

/// Of so many proposals of one that signs twice, one is sent to nobody.
const KEPT_BACK: u64 = 5;

#[derive(Clone, Debug)]
pub struct Liar {
    pub lie: Lie,
    pub seed: u8,
}

impl Liar {
    fn key(&self) -> SecretKey {
        key(self.seed)
    }

    /// What is sent instead, and by how many milliseconds later.
    pub fn twist(&self, dice: &mut Dice, to: usize, message: &Arc<Message>) -> Vec<(u64, Arc<Message>)> {
        match self.lie {
            Lie::Silent => Vec::new(),
            Lie::Equivocate => vec![(0, self.equivocate(to, message))],
            Lie::Views => self.forge(dice, message),
            Lie::Transfer => vec![(0, lie_about_state(dice, message))],
            Lie::Slow(ms) => match message.as_ref() {
                Message::PrePrepare(_) => vec![(ms, Arc::clone(message))],
                _ => vec![(0, Arc::clone(message))],
            },
            Lie::Flood => self.flood(dice, message),
            Lie::SignsTwice => match message.as_ref() {
                Message::PrePrepare(m) if m.sequence.get().is_multiple_of(KEPT_BACK) => Vec::new(),
                m => vec![(0, Arc::new(signed_again(&self.key(), &NETWORK, dice.roll(), m)))],
            },
            Lie::Starves(_) | Lie::Mints | Lie::Twin => vec![(0, Arc::clone(message))],
        }
    }

    /// What reaches it and it acts as if it had not come.
    pub fn is_deaf_to(&self, message: &Message) -> bool {
        match (self.lie, message) {
            (Lie::Starves(client), Message::Request(request)) => request.gateway == client,
            (Lie::Mints, Message::Request(request)) => !is_minted(&request.operations),
            _ => false,
        }
    }

    fn equivocate(&self, to: usize, message: &Arc<Message>) -> Arc<Message> {
        if to.is_multiple_of(2) {
            return Arc::clone(message);
        }
        let other = |digest: &Digest| Digest::of("another", &[digest.as_bytes()]);
        Arc::new(match message.as_ref() {
            Message::PrePrepare(m) => {
                let mut batch = Batch::clone(&m.batch);
                batch.time.0 += 1;
                let at = (m.view, m.sequence);
                let signature = PrePrepare::sign_digest(&self.key(), &NETWORK, m.epoch, at, &batch.digest());
                Message::PrePrepare(Arc::new(PrePrepare { batch: Arc::new(batch), signature, ..PrePrepare::clone(m) }))
            }
            Message::Prepare(m) => Message::Prepare(self.vote(Phase::Prepare, m, other(&m.digest))),
            Message::Commit(m) => Message::Commit(self.vote(Phase::Commit, m, other(&m.digest))),
            Message::Checkpoint(m) => {
                let by = (m.epoch, m.replica);
                Message::Checkpoint(Checkpoint::sign(&self.key(), &NETWORK, by, m.sequence, other(&m.digest)))
            }
            Message::ViewChange(m) if m.change.replica == self.number(m) => {
                let mut change = m.change.clone();
                change.prepared.pop();
                Message::ViewChange(Arc::new(ViewChange::sign(&self.key(), &NETWORK, change)))
            }
            other => other.clone(),
        })
    }

    /// Its own are signed by it; those of others would not hold.
    fn number(&self, message: &ViewChange) -> ReplicaId {
        message.change.replica
    }

    fn vote(&self, phase: Phase, vote: &Vote, digest: Digest) -> Vote {
        let at = (vote.view, vote.sequence);
        Vote::sign(&self.key(), &NETWORK, phase, (vote.epoch, vote.replica), at, digest)
    }

    fn forge(&self, dice: &mut Dice, message: &Arc<Message>) -> Vec<(u64, Arc<Message>)> {
        let mut all = vec![(0, Arc::clone(message))];
        match message.as_ref() {
            Message::ViewChange(m) => {
                let mut change = m.change.clone();
                match dice.below(4) {
                    0 => change.prepared.clear(),
                    1 => change.prepared.iter_mut().for_each(|prepared| prepared.digest = Batch::null().digest()),
                    2 => change.stable = change.stable.plus(8),
                    _ => change.view = change.view.plus(1 + dice.below(3)),
                }
                let forged = ViewChange::sign(&self.key(), &NETWORK, change);
                all = vec![(0, Arc::new(Message::ViewChange(Arc::new(forged))))];
            }
            Message::NewView(m) => {
                let mut forged = m.as_ref().clone();
                match (dice.below(3), forged.proposals.first_mut()) {
                    (0, Some(first)) => {
                        first.digest = Batch::null().digest();
                        let at = (forged.view, forged.stable.next());
                        first.signature =
                            PrePrepare::sign_digest(&self.key(), &NETWORK, forged.epoch, at, &first.digest);
                    }
                    (1, Some(_)) => drop(forged.proposals.pop()),
                    _ => forged.stable = forged.stable.plus(8),
                }
                all = vec![(0, Arc::new(Message::NewView(Arc::new(forged.signed(&self.key(), &NETWORK)))))];
            }
            // Calls for a view that nobody wants, now and then.
            Message::Prepare(m) if dice.percent(20) => {
                let change = mesh_proto::pbft::Change {
                    epoch: m.epoch,
                    view: m.view.plus(1 + dice.below(5)),
                    replica: m.replica,
                    stable: Sequence::ZERO,
                    proof: None,
                    prepared: Vec::new(),
                };
                let call = ViewChange::sign(&self.key(), &NETWORK, change);
                all.push((0, Arc::new(Message::ViewChange(Arc::new(call)))));
            }
            _ => {}
        }
        all
    }

    fn flood(&self, dice: &mut Dice, message: &Arc<Message>) -> Vec<(u64, Arc<Message>)> {
        let mut all = vec![(0, Arc::clone(message))];
        if let Message::Prepare(m) | Message::Commit(m) = message.as_ref() {
            let near = Sequence::new(m.sequence.get() + dice.below(40));
            let view = View::new(m.view.get() + dice.below(3));
            let digest = Digest::from_bytes([dice.below(256) as u8; 32]);
            let by = (m.epoch, m.replica);
            let junk = |phase| Vote::sign(&self.key(), &NETWORK, phase, by, (view, near), digest);
            all.push((0, Arc::new(Message::Prepare(junk(Phase::Prepare)))));
            all.push((0, Arc::new(Message::Commit(junk(Phase::Commit)))));
            let far = Sequence::new((m.sequence.get() / 8 + dice.below(100)) * 8);
            let checkpoint = Checkpoint::sign(&self.key(), &NETWORK, by, far, digest);
            all.push((0, Arc::new(Message::Checkpoint(checkpoint))));
        }
        all
    }
}

fn lie_about_state(dice: &mut Dice, message: &Arc<Message>) -> Arc<Message> {
    Arc::new(match message.as_ref() {
        Message::Chunk(m) => {
            let mut chunk = m.clone();
            let mut bytes = chunk.bytes.to_vec();
            let place = dice.below(bytes.len() as u64) as usize;
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1;
            }
            chunk.bytes = Octets::from(bytes);
            Message::Chunk(chunk)
        }
        Message::Decided(m) => {
            let mut decided = m.clone();
            decided.batch = Arc::new(Batch::null());
            Message::Decided(decided)
        }
        Message::Stable(m) => {
            let mut stable = m.as_ref().clone();
            stable.summary.time.0 += 1;
            Message::Stable(Arc::new(stable))
        }
        Message::Status(m) => {
            let mut status = m.clone();
            match dice.below(3) {
                0 => status.executed = status.executed.plus(1000),
                1 => status.view = status.view.plus(7),
                _ => status.epoch = Epoch(status.epoch.0 + 3),
            }
            Message::Status(status)
        }
        other => other.clone(),
    })
}
