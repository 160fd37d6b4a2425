//! A member whose every message is real but for one field: a number one off, a value of an earlier message, another
//! digest. After ByzzFuzz (Winter et al., OOPSLA 2023): small changes to what a correct replica says at that moment get
//! further into the others than anything made up.

use super::{dice::Dice, liar::Liar};
use mesh_proto::{
    domain::Epoch,
    id::Digest,
    key::Signature,
    pbft::{
        Batch, Change, Checkpoint, Fetch, Message, NewView, Outcome, Phase, PrePrepare, ReplicaId, RequestNumber,
        Sequence, Status, View, ViewChange, Vote,
    },
};
use std::sync::Arc;

/// What a member has said, to say parts of it again.
#[derive(Default)]
pub struct Past(Vec<Arc<Message>>);

/// Messages that are remembered; a later one takes the place of any.
const REMEMBERED: usize = 32;

impl Past {
    pub fn remember(&mut self, dice: &mut Dice, said: &Arc<Message>) {
        match self.0.len() < REMEMBERED {
            true => self.0.push(Arc::clone(said)),
            false => self.0[dice.below(REMEMBERED)] = Arc::clone(said),
        }
    }

    fn votes(&self) -> impl Iterator<Item = &Vote> {
        self.0.iter().filter_map(|said| match &**said {
            Message::Prepare(vote) | Message::Commit(vote) => Some(vote),
            _ => None,
        })
    }

    fn vote(&self, dice: &mut Dice) -> Option<Vote> {
        let count = self.votes().count();
        (count > 0).then(|| dice.below(count)).and_then(|place| self.votes().nth(place)).cloned()
    }

    fn batch(&self) -> Option<Arc<Batch>> {
        self.0.iter().find_map(|said| match &**said {
            Message::PrePrepare(message) => Some(Arc::clone(&message.batch)),
            _ => None,
        })
    }
}

impl Liar<'_> {
    /// The message with one field changed, signed anew or, now and then, under the old signature; none where it is said as
    /// it is.
    pub fn mutate(&self, dice: &mut Dice, past: &Past, said: &Message) -> Option<Message> {
        if !dice.chance(MUTATED) {
            return None;
        }
        let signs = dice.chance(850);
        Some(match said {
            Message::PrePrepare(message) => {
                let mut message = PrePrepare::clone(message);
                self.pre_prepare(dice, past, &mut message, signs);
                Message::PrePrepare(Arc::new(message))
            }
            Message::Prepare(vote) => Message::Prepare(self.one_off(dice, past, Phase::Prepare, vote, signs)),
            Message::Commit(vote) => Message::Commit(self.one_off(dice, past, Phase::Commit, vote, signs)),
            Message::Checkpoint(message) => Message::Checkpoint(self.checkpoint(dice, past, message, signs)),
            Message::ViewChange(message) if self.is_own(message) => {
                let mut message = ViewChange::clone(message);
                change(dice, past, &mut message.change);
                if signs {
                    message = ViewChange::sign(self.key, &self.network, message.change);
                }
                Message::ViewChange(Arc::new(message))
            }
            Message::NewView(message) => {
                let mut message = NewView::clone(message);
                new_view(dice, past, &mut message);
                Message::NewView(Arc::new(if signs { message.signed(self.key, &self.network) } else { message }))
            }
            Message::Status(status) => Message::Status(standing(dice, status.clone())),
            Message::Fetch(fetch) => Message::Fetch(question(dice, fetch)),
            Message::Reply(reply) => {
                let mut reply = mesh_proto::pbft::Reply::clone(reply);
                match (dice.below(5), reply.outcomes.first_mut()) {
                    (0, _) => reply.view = view(dice, reply.view),
                    (1, _) => reply.sequence = sequence(dice, reply.sequence),
                    (2, Some(first)) => first.number = RequestNumber::new(near(dice, first.number.get())),
                    (3, Some(first)) => first.request = other(&first.request),
                    (_, Some(first)) => first.outcome = Outcome::TooOld(first.number),
                    (_, None) => reply.replica = replica(dice, reply.replica),
                }
                Message::Reply(Arc::new(if signs { reply.signed(self.key, &self.network) } else { reply }))
            }
            Message::Decided(message) => {
                let mut message = message.clone();
                let mut certificate = mesh_proto::pbft::Committed::clone(&message.certificate);
                match dice.below(5) {
                    0 => message.epoch = epoch(dice, message.epoch),
                    1 => certificate.view = view(dice, certificate.view),
                    2 => certificate.sequence = sequence(dice, certificate.sequence),
                    3 => certificate.digest = other(&certificate.digest),
                    _ => message.batch = past.batch().unwrap_or_default(),
                }
                message.certificate = Arc::new(certificate);
                Message::Decided(message)
            }
            Message::Stable(message) => {
                let mut message = message.as_ref().clone();
                match dice.below(6) {
                    0 => message.certificate.epoch = epoch(dice, message.certificate.epoch),
                    1 => message.certificate.sequence = sequence(dice, message.certificate.sequence),
                    2 => message.certificate.digest = other(&message.certificate.digest),
                    3 => message.summary.state.root = other(&message.summary.state.root),
                    4 => message.summary.floor = RequestNumber::new(near(dice, message.summary.floor.get())),
                    _ => message.summary.config.interval += 1,
                }
                Message::Stable(Arc::new(message))
            }
            Message::Batch(batch) => {
                let mut batch = Batch::clone(batch);
                requests(dice, past, &mut batch);
                Message::Batch(Arc::new(batch))
            }
            // What others have signed, and pieces that prove themselves.
            Message::ViewChange(_)
            | Message::Request(_)
            | Message::Requests(_)
            | Message::Epochs(_)
            | Message::Chunk(_) => return None,
        })
    }

    fn pre_prepare(&self, dice: &mut Dice, past: &Past, message: &mut PrePrepare, signs: bool) {
        match dice.below(5) {
            0 => message.epoch = epoch(dice, message.epoch),
            1 => message.view = view(dice, message.view),
            2 => message.sequence = sequence(dice, message.sequence),
            3 => message.batch = past.batch().unwrap_or_default(),
            _ => {
                let mut batch = Batch::clone(&message.batch);
                requests(dice, past, &mut batch);
                message.batch = Arc::new(batch);
            }
        }
        if signs {
            let at = (message.view, message.sequence);
            let digest = message.batch.digest();
            message.signature = PrePrepare::sign_digest(self.key, &self.network, message.epoch, at, &digest);
        }
    }

    fn one_off(&self, dice: &mut Dice, past: &Past, phase: Phase, vote: &Vote, signs: bool) -> Vote {
        let mut vote = vote.clone();
        let old = past.vote(dice);
        match (dice.below(7), old) {
            (0, _) => vote.epoch = epoch(dice, vote.epoch),
            (1, _) => vote.view = view(dice, vote.view),
            (2, _) => vote.sequence = sequence(dice, vote.sequence),
            (3, _) => vote.replica = replica(dice, vote.replica),
            (4, Some(old)) => vote.view = old.view,
            (5, Some(old)) => vote.digest = old.digest,
            _ => vote.digest = other(&vote.digest),
        }
        if signs {
            vote.signature = self.key.sign(&vote.own_statement(phase, &self.network));
        }
        vote
    }

    fn checkpoint(&self, dice: &mut Dice, past: &Past, message: &Checkpoint, signs: bool) -> Checkpoint {
        let mut message = message.clone();
        match dice.below(5) {
            0 => message.epoch = epoch(dice, message.epoch),
            1 => message.sequence = sequence(dice, message.sequence),
            2 => message.replica = replica(dice, message.replica),
            3 => message.digest = past.vote(dice).map_or(message.digest, |vote| vote.digest),
            _ => message.digest = other(&message.digest),
        }
        if signs {
            let by = (message.epoch, message.replica);
            message = Checkpoint::sign(self.key, &self.network, by, message.sequence, message.digest);
        }
        message
    }
}

/// Of a thousand messages, how many are changed.
const MUTATED: u32 = 300;

fn near(dice: &mut Dice, number: u64) -> u64 {
    if dice.chance(500) { number + 1 } else { number.saturating_sub(1) }
}

fn epoch(dice: &mut Dice, epoch: Epoch) -> Epoch {
    Epoch(near(dice, epoch.0))
}

fn view(dice: &mut Dice, view: View) -> View {
    View::new(near(dice, view.get()))
}

fn sequence(dice: &mut Dice, sequence: Sequence) -> Sequence {
    Sequence::new(near(dice, sequence.get()))
}

fn replica(dice: &mut Dice, replica: ReplicaId) -> ReplicaId {
    ReplicaId::new(near(dice, replica.index() as u64) as u8)
}

fn other(digest: &Digest) -> Digest {
    Digest::of("another", &[digest.as_bytes()])
}

fn requests(dice: &mut Dice, past: &Past, batch: &mut Batch) {
    let old = past.batch().and_then(|old| old.requests.first().copied());
    match (dice.below(5), old) {
        (0, _) => batch.time.0 = near(dice, batch.time.0),
        (1, Some(old)) => batch.requests.push(old),
        (2, _) => batch.requests.reverse(),
        (3, _) => batch.requests.extend(batch.requests.first().copied()),
        _ => drop(batch.requests.pop()),
    }
}

fn change(dice: &mut Dice, past: &Past, change: &mut Change) {
    let old = past.vote(dice);
    match (dice.below(9), change.prepared.last_mut()) {
        (0, _) => change.epoch = epoch(dice, change.epoch),
        (1, _) => change.view = view(dice, change.view),
        (2, _) => change.replica = replica(dice, change.replica),
        (3, _) => change.stable = sequence(dice, change.stable),
        (4, _) => change.proof = None,
        (5, Some(last)) => last.view = view(dice, last.view),
        (6, Some(last)) => last.sequence = sequence(dice, last.sequence),
        (7, Some(last)) => last.digest = old.map_or_else(|| other(&last.digest), |old| old.digest),
        (_, Some(last)) => last.proposal = Signature::from_bytes([3; 64]),
        (_, None) => change.stable = sequence(dice, change.stable),
    }
}

fn new_view(dice: &mut Dice, past: &Past, message: &mut NewView) {
    let old = past.vote(dice);
    match (dice.below(6), message.proposals.last_mut()) {
        (0, _) => message.epoch = epoch(dice, message.epoch),
        (1, _) => message.view = view(dice, message.view),
        (2, _) => message.stable = sequence(dice, message.stable),
        (3, Some(last)) => last.digest = old.map_or_else(|| other(&last.digest), |old| old.digest),
        (4, Some(last)) => last.signature = Signature::from_bytes([3; 64]),
        _ => {
            if let Some((_, digest)) = message.changes.first_mut() {
                *digest = other(digest);
            }
        }
    }
}

fn standing(dice: &mut Dice, mut status: Status) -> Status {
    match dice.below(7) {
        6 => {
            // That it holds what it does not, or the other way round.
            let claimed = (0..dice.below(8)).map(|_| view(dice, status.view)).collect();
            status.changes = claimed;
        }
        0 => status.epoch = epoch(dice, status.epoch),
        1 => status.view = view(dice, status.view),
        2 => status.active = !status.active,
        3 => status.stable = sequence(dice, status.stable),
        4 => status.executed = sequence(dice, status.executed),
        _ => status.wants = !status.wants,
    }
    status
}

fn question(dice: &mut Dice, fetch: &Fetch) -> Fetch {
    let mut fetch = fetch.clone();
    match &mut fetch {
        Fetch::Requests { digests } => digests.iter_mut().take(1).for_each(|digest| *digest = other(digest)),
        Fetch::Batch { digest } => *digest = other(digest),
        Fetch::ViewChange { view: of, .. } => *of = view(dice, *of),
        Fetch::Epochs { above } => *above = epoch(dice, *above),
        Fetch::State { sequence: of, .. } => *of = sequence(dice, *of),
    }
    fetch
}
