//! Members of the committee that lie. Each has a correct brain whose words are twisted on their way out, signed anew with
//! its own key; what it cannot sign it can keep back, repeat or spoil.

use super::{
    count::{Count, Counts},
    dice::Dice,
    mutation::Past,
    nonce,
    pin::is_of_a_state,
};
use mesh_coordinator::{ControlMessage, Message, QueryReply};
use mesh_proto::{
    agreement::Reply,
    domain::Epoch,
    id::{Digest, NetworkId},
    key::SecretKey,
    pbft::{
        self, Ballots, Batch, Change, Checkpoint, Committed, NewView, Phase, PrePrepare, Sequence, View, ViewChange,
        Vote,
    },
    task::Octets,
};
use std::sync::Arc;

/// How one lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Says nothing of agreement.
    Silent,
    /// Keeps some votes back, from some.
    Withholds,
    /// Says one thing to some, another to others.
    Equivocates,
    /// Forges view changes and new views, and calls for views that nobody wants.
    Views,
    /// Gives out wrong state, wrong decisions, wrong standings.
    Transfers,
    /// Proposes late, by so many milliseconds.
    Slow(u64),
    /// Sends everybody votes that are signed and worth nothing.
    Floods,
    /// Says again what was true elsewhere: in another view, epoch or network.
    Replays,
    /// Says what is true but for one field.
    Mutates,
    /// Says what is true, to each under another signature that holds, and keeps a proposal back now and then, so that it is
    /// left with all that is signed so.
    SignsTwice,
    /// Is two machines with one key, each correct by itself. After Twins (Bano et al., OPODIS 2021).
    Twins,
    /// Makes up so many gateways at a time.
    Mints(usize),
    /// Fetches states, and never comes to the end of one.
    Pins,
}

impl Lie {
    pub const ALL: [Self; 10] = [
        Self::Silent,
        Self::Withholds,
        Self::Equivocates,
        Self::Equivocates,
        Self::Views,
        Self::Transfers,
        Self::Slow(150),
        Self::Slow(350),
        Self::Floods,
        Self::Replays,
    ];
}

/// Of so many proposals of one that signs twice, one is sent to nobody.
const KEPT_BACK: u64 = 5;

pub struct Liar<'a> {
    pub lie: Lie,
    pub key: &'a SecretKey,
    pub network: NetworkId,
}

impl Liar<'_> {
    /// What is sent instead, each so many microseconds later.
    pub fn twist(
        &self,
        dice: &mut Dice,
        counts: &mut Counts,
        past: &mut Past,
        to: usize,
        message: Message,
    ) -> Vec<(u64, Message)> {
        if self.lie == Lie::Pins && is_of_a_state(&message) {
            counts.add(Count::LiePins);
            return Vec::new();
        }
        let said = match &message {
            Message::Task(_) => return vec![(0, message)],
            Message::Control(control) => return vec![(0, self.control(dice, counts, control).unwrap_or(message))],
            Message::Consensus(said) => Arc::clone(said),
        };
        let all = match self.lie {
            Lie::Silent => Vec::new(),
            Lie::Withholds => self.withhold(dice, to, &said),
            Lie::Equivocates => vec![(0, self.equivocate(to, &said))],
            Lie::Views => self.forge(dice, &said),
            Lie::Transfers => vec![(0, about_state(dice, &said))],
            Lie::Slow(ms) => match *said {
                pbft::Message::PrePrepare(_) => vec![(ms * 1000, Arc::clone(&said))],
                _ => vec![(0, Arc::clone(&said))],
            },
            Lie::Floods => self.flood(dice, &said),
            Lie::Replays => self.replay(dice, &said),
            Lie::Mutates => {
                let changed = self.mutate(dice, past, &said);
                past.remember(dice, &said);
                vec![(0, changed.map_or_else(|| Arc::clone(&said), Arc::new))]
            }
            Lie::SignsTwice => match &*said {
                pbft::Message::PrePrepare(message) if message.sequence.get().is_multiple_of(KEPT_BACK) => Vec::new(),
                said => vec![(0, Arc::new(nonce::signed_again(self.key, &self.network, dice.next(), said)))],
            },
            Lie::Twins | Lie::Mints(_) | Lie::Pins => vec![(0, Arc::clone(&said))],
        };
        let is_true = matches!(&all[..], [(0, only)] if *only == said);
        if !is_true {
            counts.add(self.lie.count());
        }
        all.into_iter().map(|(later, message)| (later, Message::Consensus(message))).collect()
    }

    /// Nodes of the state that are not what was asked for.
    fn control(&self, dice: &mut Dice, counts: &mut Counts, message: &ControlMessage) -> Option<Message> {
        let ControlMessage::Reply { id, reply: QueryReply::Agreement(Reply::Nodes(fetched)) } = message else {
            return None;
        };
        if self.lie != Lie::Transfers {
            return None;
        }
        let mut fetched = fetched.clone();
        match dice.below(3) {
            0 => fetched.nodes.clear(),
            1 => fetched.nodes.reverse(),
            _ => {
                let place = dice.below(fetched.nodes.len().max(1));
                if place < fetched.nodes.len() {
                    fetched.nodes.remove(place);
                }
            }
        }
        counts.add(Count::LieTransfers);
        let reply = QueryReply::Agreement(Reply::Nodes(fetched));
        Some(Message::Control(ControlMessage::Reply { id: *id, reply }))
    }

    fn withhold(&self, dice: &mut Dice, to: usize, said: &Arc<pbft::Message>) -> Vec<(u64, Arc<pbft::Message>)> {
        let keeps = match **said {
            pbft::Message::PrePrepare(_) => to.is_multiple_of(2),
            pbft::Message::Prepare(_) | pbft::Message::Commit(_) => dice.chance(600),
            pbft::Message::Checkpoint(_) | pbft::Message::ViewChange(_) | pbft::Message::NewView(_) => dice.chance(500),
            pbft::Message::Reply(_) => dice.chance(500),
            _ => false,
        };
        match keeps {
            true => Vec::new(),
            false => vec![(0, Arc::clone(said))],
        }
    }

    fn equivocate(&self, to: usize, said: &Arc<pbft::Message>) -> Arc<pbft::Message> {
        if to.is_multiple_of(2) {
            return Arc::clone(said);
        }
        let other = |digest: &Digest| Digest::of("another", &[digest.as_bytes()]);
        Arc::new(match &**said {
            pbft::Message::PrePrepare(message) => {
                let mut batch = Batch::clone(&message.batch);
                batch.time.0 += 1;
                let signature = self.propose(message.epoch, (message.view, message.sequence), &batch.digest());
                let batch = Arc::new(batch);
                pbft::Message::PrePrepare(Arc::new(PrePrepare { batch, signature, ..PrePrepare::clone(message) }))
            }
            pbft::Message::Prepare(vote) => {
                pbft::Message::Prepare(self.vote(Phase::Prepare, vote, other(&vote.digest)))
            }
            pbft::Message::Commit(vote) => pbft::Message::Commit(self.vote(Phase::Commit, vote, other(&vote.digest))),
            pbft::Message::Checkpoint(message) => {
                let by = (message.epoch, message.replica);
                let digest = other(&message.digest);
                let twisted = Checkpoint::sign(self.key, &self.network, by, message.sequence, digest);
                pbft::Message::Checkpoint(twisted)
            }
            pbft::Message::ViewChange(message) if self.is_own(message) => {
                let mut change = message.change.clone();
                change.prepared.pop();
                pbft::Message::ViewChange(Arc::new(ViewChange::sign(self.key, &self.network, change)))
            }
            pbft::Message::Reply(reply) => {
                let mut reply = pbft::Reply::clone(reply);
                for answered in &mut reply.outcomes {
                    // Of every other number that it was another request's, else that something else came of it.
                    match answered.number.get().is_multiple_of(2) {
                        true => answered.request = other(&answered.request),
                        false => answered.outcome = pbft::Outcome::Executed(Octets::from(vec![0x80])),
                    }
                }
                pbft::Message::Reply(Arc::new(reply.signed(self.key, &self.network)))
            }
            other => other.clone(),
        })
    }

    /// Others' are sent on, when somebody lacks them.
    pub fn is_own(&self, message: &ViewChange) -> bool {
        let change = &message.change;
        let statement = ViewChange::statement(&self.network, change.epoch, &change.digest());
        self.key.sign(&statement) == message.signature
    }

    fn propose(&self, epoch: Epoch, at: (View, Sequence), digest: &Digest) -> mesh_proto::key::Signature {
        PrePrepare::sign_digest(self.key, &self.network, epoch, at, digest)
    }

    fn vote(&self, phase: Phase, vote: &Vote, digest: Digest) -> Vote {
        let at = (vote.view, vote.sequence);
        Vote::sign(self.key, &self.network, phase, (vote.epoch, vote.replica), at, digest)
    }

    fn forge(&self, dice: &mut Dice, said: &Arc<pbft::Message>) -> Vec<(u64, Arc<pbft::Message>)> {
        let mut all = vec![(0, Arc::clone(said))];
        match &**said {
            pbft::Message::ViewChange(message) if self.is_own(message) => {
                let mut change = message.change.clone();
                match dice.below(6) {
                    0 => change.prepared.clear(),
                    5 => change.prepared.iter_mut().for_each(|one| one.prepares = fewer(&one.prepares)),
                    1 => change.prepared.iter_mut().for_each(|prepared| prepared.digest = Batch::null().digest()),
                    2 => change.stable = change.stable.plus(8),
                    3 => (change.stable, change.proof) = (Sequence::ZERO, None),
                    _ => change.view = change.view.plus(1 + dice.below(3) as u64),
                }
                let forged = ViewChange::sign(self.key, &self.network, change);
                all = vec![(0, Arc::new(pbft::Message::ViewChange(Arc::new(forged))))];
            }
            pbft::Message::NewView(message) => {
                let forged = self.new_view(dice, message);
                all = vec![(0, Arc::new(pbft::Message::NewView(Arc::new(forged))))];
            }
            // Calls for a view that nobody wants, now and then.
            pbft::Message::Prepare(vote) | pbft::Message::Commit(vote) if dice.chance(200) => {
                let change = Change {
                    epoch: vote.epoch,
                    view: vote.view.plus(1 + dice.below(5) as u64),
                    replica: vote.replica,
                    stable: Sequence::ZERO,
                    proof: None,
                    prepared: Vec::new(),
                };
                let call = ViewChange::sign(self.key, &self.network, change);
                all.push((0, Arc::new(pbft::Message::ViewChange(Arc::new(call)))));
            }
            _ => {}
        }
        all
    }

    fn new_view(&self, dice: &mut Dice, message: &NewView) -> NewView {
        let mut forged = message.clone();
        match (dice.below(4), forged.proposals.first_mut()) {
            (0, Some(first)) => {
                first.digest = Batch::null().digest();
                let at = (forged.view, forged.stable.next());
                first.signature = PrePrepare::sign_digest(self.key, &self.network, forged.epoch, at, &first.digest);
            }
            (1, Some(_)) => drop(forged.proposals.pop()),
            (2, _) => drop(forged.changes.pop()),
            _ => forged.stable = forged.stable.plus(8),
        }
        forged.signed(self.key, &self.network)
    }

    fn flood(&self, dice: &mut Dice, said: &Arc<pbft::Message>) -> Vec<(u64, Arc<pbft::Message>)> {
        let mut all = vec![(0, Arc::clone(said))];
        if let pbft::Message::Prepare(vote) | pbft::Message::Commit(vote) = &**said {
            let near = Sequence::new(vote.sequence.get() + dice.below(40) as u64);
            let view = View::new(vote.view.get() + dice.below(3) as u64);
            let digest = Digest::from_bytes([dice.below(256) as u8; 32]);
            let by = (vote.epoch, vote.replica);
            let junk = |phase| Vote::sign(self.key, &self.network, phase, by, (view, near), digest);
            all.push((0, Arc::new(pbft::Message::Prepare(junk(Phase::Prepare)))));
            all.push((0, Arc::new(pbft::Message::Commit(junk(Phase::Commit)))));
            let far = Sequence::new((vote.sequence.get() / 16 + dice.below(100) as u64) * 16);
            let checkpoint = Checkpoint::sign(self.key, &self.network, by, far, digest);
            all.push((0, Arc::new(pbft::Message::Checkpoint(checkpoint))));
            if dice.chance(50) {
                // What nobody has signed, and what is too large to be taken.
                let unsigned = Vote { signature: mesh_proto::key::Signature::from_bytes([1; 64]), ..vote.clone() };
                all.push((0, Arc::new(pbft::Message::Prepare(unsigned))));
                let requests = vec![digest; 300];
                let batch = Arc::new(Batch { time: mesh_proto::time::Wall(1), requests });
                let at = (view, near);
                let signature = self.propose(vote.epoch, at, &batch.digest());
                let (epoch, sequence) = (vote.epoch, near);
                let large = PrePrepare { epoch, view, sequence, batch, signature };
                all.push((0, Arc::new(pbft::Message::PrePrepare(Arc::new(large)))));
            }
        }
        all
    }

    /// The old words under a new number, and under other names.
    fn replay(&self, dice: &mut Dice, said: &Arc<pbft::Message>) -> Vec<(u64, Arc<pbft::Message>)> {
        let mut all = vec![(0, Arc::clone(said))];
        if let pbft::Message::Prepare(vote) | pbft::Message::Commit(vote) = &**said {
            let mut old = vote.clone();
            match dice.below(4) {
                0 => old.view = old.view.next(),
                1 => old.sequence = old.sequence.next(),
                2 => old.epoch = Epoch(old.epoch.0 + 1),
                _ => {
                    let elsewhere = NetworkId::from_bytes([7; 32]);
                    let (by, at) = ((old.epoch, old.replica), (old.view, old.sequence));
                    old = Vote::sign(self.key, &elsewhere, Phase::Prepare, by, at, old.digest);
                }
            }
            all.push((0, Arc::new(pbft::Message::Prepare(old.clone()))));
            all.push((0, Arc::new(pbft::Message::Commit(old))));
        }
        // Later, all of it once more.
        if dice.chance(100) {
            all.push((dice.spread(100_000..=20_000_000), Arc::clone(said)));
        }
        all
    }
}

/// One less.
fn fewer(ballots: &Ballots) -> Ballots {
    Ballots::new(ballots.iter().skip(1).copied().collect()).unwrap_or_default()
}

fn about_state(dice: &mut Dice, said: &Arc<pbft::Message>) -> Arc<pbft::Message> {
    Arc::new(match &**said {
        pbft::Message::Chunk(message) => {
            let mut chunk = message.clone();
            let mut bytes = chunk.bytes.to_vec();
            let place = dice.below(bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1;
            }
            chunk.bytes = Octets::from(bytes);
            pbft::Message::Chunk(chunk)
        }
        pbft::Message::Decided(message) => {
            let mut decided = message.clone();
            match dice.chance(500) {
                true => decided.batch = Arc::new(Batch::null()),
                false => {
                    let commits = fewer(&decided.certificate.commits);
                    decided.certificate = Arc::new(Committed { commits, ..Committed::clone(&decided.certificate) });
                }
            }
            pbft::Message::Decided(decided)
        }
        pbft::Message::Stable(message) => {
            let mut stable = message.as_ref().clone();
            match dice.below(3) {
                0 => stable.summary.time.0 += 1,
                1 => stable.certificate.votes = fewer(&stable.certificate.votes),
                _ => stable.certificate.sequence = stable.certificate.sequence.next(),
            }
            pbft::Message::Stable(Arc::new(stable))
        }
        pbft::Message::Status(message) => {
            let mut status = message.clone();
            match dice.below(3) {
                0 => status.executed = status.executed.plus(1000),
                1 => status.view = status.view.plus(7),
                _ => status.epoch = Epoch(status.epoch.0 + 3),
            }
            pbft::Message::Status(status)
        }
        other => other.clone(),
    })
}
