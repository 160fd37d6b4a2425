use crate::{
    Config, Counters, Effect, Execution, Fact, Input, Membership, Recipient, Refusal, Rejection, Replica, Setup,
    Verifier,
};
use mesh_proto::{
    id::{Digest, NetworkId, NodeId},
    key::{SecretKey, Signature},
    merkle::Tree,
    pbft::{
        Ballots, Batch, Change, Checkpoint, Committed, Decided, EpochCertificate, EpochConfig, Message, NewView,
        Operations, Outcome, Phase, PrePrepare, Prepared, ReplicaId, Request, RequestNumber, Roots, Sequence, Stable,
        Status, Summary, View, ViewChange, Vote, state_leaf,
    },
    task::Octets,
    time::{Mono, Now, Wall},
};
use std::{sync::Arc, time::Duration};

pub const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);
pub const START: Wall = Wall(1_800_000_000_000);

/// A replica under test. Its peers are keys.
pub struct Bench {
    pub replica: Replica,
    pub verifier: Verifier,
    /// By replica number; one more, that is no member.
    pub keys: Vec<SecretKey>,
    pub epoch: EpochConfig,
    pub me: u8,
    pub now: Now,
    /// Since they were last taken.
    pub effects: Vec<Effect>,
    /// All of its life: its disk.
    pub facts: Vec<Fact>,
    pub change: Option<Membership>,
    /// The caller has not found the digest of its state yet.
    pub is_summing_up: bool,
    /// As many others as it takes would leave the primary whenever this one would.
    pub others_complain: bool,
    /// Of these numbers.
    summing: Vec<Sequence>,
    /// How many of the effects the caller has answered.
    served: usize,
}

/// What is due may bring about what is due at once, so many times in a row.
const IN_VAIN: u32 = 3;

/// Where a message ended.
#[derive(Debug, PartialEq, Eq)]
pub enum No {
    Refused(Refusal),
    Rejected(Rejection),
}

/// A batch of one request, by a number.
pub fn request(number: u64) -> Arc<Request> {
    request_of(100, number)
}

pub fn request_of(gateway: u8, number: u64) -> Arc<Request> {
    let operations = Operations::pack([number.to_le_bytes().as_slice()]).unwrap();
    Arc::new(Request::sign(&gateway_key(gateway), &NETWORK, RequestNumber::new(number), operations))
}

pub fn gateway_key(gateway: u8) -> SecretKey {
    SecretKey::from_bytes(&[gateway; 32])
}

pub fn batch(requests: &[Arc<Request>]) -> Batch {
    Batch { time: START, requests: requests.iter().map(|request| request.digest()).collect() }
}

pub fn view(number: u64) -> View {
    View::new(number)
}

pub fn seq(number: u64) -> Sequence {
    Sequence::new(number)
}

/// What every state of these tests is.
pub fn state() -> Roots {
    let tree = Tree::new(&[state_leaf(b"state")]).unwrap();
    Roots { root: tree.root(), count: 1 }
}

/// Keys in the order of their numbers; the last is no member.
pub fn keys(members: u8) -> Vec<SecretKey> {
    let mut keys: Vec<SecretKey> = (1..=members).map(|n| SecretKey::from_bytes(&[n; 32])).collect();
    keys.sort_by_key(SecretKey::node_id);
    keys.push(SecretKey::from_bytes(&[99; 32]));
    keys
}

pub fn epoch(members: u8) -> EpochConfig {
    let mut config =
        EpochConfig::genesis(keys(4.max(members))[..members as usize].iter().map(SecretKey::node_id)).unwrap();
    (config.interval, config.window, config.batch_requests) = (8, 16, 4);
    (config.clients, config.client_window) = (4, 8);
    config
}

impl Bench {
    /// Member `me` of `members`.
    pub fn new(me: u8, members: u8) -> Self {
        Self::with(me, epoch(members), Config::default(), Vec::new(), false)
    }

    /// On a disk that holds these facts.
    pub fn with(me: u8, epoch: EpochConfig, config: Config, facts: Vec<Fact>, lost: bool) -> Self {
        // The numbers of tests are the places of keys, whatever the epoch has made of its members.
        let keys = keys(4.max(epoch.members.len().min(31) as u8));
        let key = SecretKey::from_bytes(&keys[me as usize].to_bytes());
        let mut replica = Replica::new(config, Setup { network: NETWORK, key, epoch: epoch.clone(), lost }).unwrap();
        facts.iter().for_each(|fact| replica.apply(fact));
        let now = Now { mono: Mono(1_000_000), wall: START };
        let mut effects = Vec::new();
        replica.restarted(now, &mut effects);
        let verifier = Verifier::new(Arc::clone(replica.snapshot()));
        let mut bench = Self {
            replica,
            verifier,
            keys,
            epoch,
            me,
            now,
            effects: Vec::new(),
            facts,
            change: None,
            is_summing_up: false,
            others_complain: true,
            summing: Vec::new(),
            served: 0,
        };
        bench.note(effects);
        bench
    }

    /// The same, after a crash in which nothing was lost that was durable.
    pub fn restart(&self) -> Self {
        Self::with(self.me, self.epoch.clone(), Config::default(), self.facts.clone(), false)
    }

    pub fn node(&self, replica: u8) -> NodeId {
        self.keys[replica as usize].node_id()
    }

    /// Through the verifier, from the connection of `from`.
    pub fn give(&mut self, from: u8, message: Message) -> Result<(), No> {
        let node = self.keys[from as usize].node_id();
        self.give_from(node, message)
    }

    pub fn give_from(&mut self, node: NodeId, message: Message) -> Result<(), No> {
        self.verifier.update(Arc::clone(self.replica.snapshot()));
        let verified = self.verifier.verify(node, message).map_err(No::Refused)?;
        self.input(Input::Message(verified)).map_err(No::Rejected)
    }

    /// From its gateway.
    pub fn ask(&mut self, request: &Arc<Request>) -> Result<(), No> {
        self.give_from(request.gateway, Message::Request(Arc::clone(request)))
    }

    pub fn input(&mut self, input: Input) -> Result<(), Rejection> {
        let mut effects = Vec::new();
        let result = self.replica.handle(self.now, input, &mut effects);
        self.note(effects);
        result
    }

    /// Lets time go by, waking the replica whenever it asks for it.
    pub fn wait(&mut self, duration: Duration) {
        let (until, mut in_vain) = (self.now.mono + duration, 0);
        while let Some(due) = self.replica.deadline().filter(|due| *due <= until) {
            self.set_clock(due.max(self.now.mono + Duration::from_micros(1)));
            let mut effects = Vec::new();
            self.replica.handle_deadline(self.now, &mut effects);
            let leaves = |effect: &Effect| is_sent(effect, |message| matches!(message, Message::Status(s) if s.leaves));
            let complains = effects.iter().any(leaves);
            self.note(effects);
            if complains && self.others_complain {
                self.complain(crate::Quorums::of(self.epoch.members.len()).weak() - 1);
            }
            let is_done = self.replica.deadline().is_none_or(|due| due > self.now.mono);
            in_vain = if is_done { 0 } else { in_vain + 1 };
            assert!(in_vain <= IN_VAIN, "it is never done with what is due: a body would call it without a pause");
        }
        self.set_clock(until);
    }

    /// So many others would leave the present view.
    pub fn complain(&mut self, count: usize) {
        let others: Vec<u8> = (0..self.epoch.members.len() as u8).filter(|member| *member != self.me).collect();
        for other in others.into_iter().rev().take(count) {
            let status = Status {
                epoch: self.epoch.epoch,
                view: self.view(),
                active: true,
                leaves: true,
                stable: Sequence::ZERO,
                executed: self.replica.executed(),
                wants: true,
                changes: Vec::new(),
            };
            // What else it says is answered seldom: that it would leave is heard.
            let heard = self.give(other, Message::Status(status));
            assert!(matches!(heard, Ok(()) | Err(No::Rejected(Rejection::TooOften))), "{heard:?}");
        }
    }

    /// Answers what it asks of its caller, until it asks for nothing.
    pub fn serve(&mut self) {
        let summed = if self.is_summing_up { Vec::new() } else { std::mem::take(&mut self.summing) };
        for sequence in summed {
            self.input(Input::Checkpointed { sequence, state: state() }).unwrap();
        }
        while self.served < self.effects.len() {
            let effect = self.effects[self.served].clone();
            self.served += 1;
            let input = match effect {
                Effect::Execute(Execution { sequence, requests, .. }) => {
                    let outcomes = requests.iter().map(|_| Octets::from(&b"ok"[..])).collect();
                    Input::Executed { sequence, outcomes, change: self.change.take() }
                }
                Effect::TakeCheckpoint { sequence } if self.is_summing_up => {
                    self.summing.push(sequence);
                    continue;
                }
                Effect::TakeCheckpoint { sequence } => Input::Checkpointed { sequence, state: state() },
                Effect::Install { summary } => Input::Installed { sequence: summary.sequence, state: state() },
                _ => continue,
            };
            self.input(input).unwrap();
        }
    }

    pub fn take(&mut self) -> Vec<Effect> {
        self.served = 0;
        std::mem::take(&mut self.effects)
    }

    /// What was sent to all members since effects were taken.
    pub fn broadcasts(&self) -> Vec<&Message> {
        self.sends(|to| to == Recipient::Members)
    }

    pub fn sent_to(&self, node: NodeId) -> Vec<&Message> {
        self.sends(|to| to == Recipient::Node(node))
    }

    pub fn executions(&self) -> Vec<&Execution> {
        let executions = self.effects.iter().filter_map(|effect| match effect {
            Effect::Execute(execution) => Some(execution),
            _ => None,
        });
        executions.collect()
    }

    pub fn counters(&self) -> &Counters {
        self.replica.counters()
    }

    pub fn is_active(&self) -> bool {
        self.replica.standing().is_active
    }

    pub fn view(&self) -> View {
        self.replica.standing().view
    }

    // What peers say.

    pub fn pre_prepare(&self, at: (View, Sequence), batch: &Batch) -> Message {
        let primary = self.epoch.primary(at.0).index();
        let epoch = self.epoch.epoch;
        let signature = PrePrepare::sign_digest(&self.keys[primary], &NETWORK, epoch, at, &batch.digest());
        let batch = Arc::new(batch.clone());
        Message::PrePrepare(Arc::new(PrePrepare { epoch, view: at.0, sequence: at.1, batch, signature }))
    }

    pub fn vote(&self, phase: Phase, replica: u8, at: (View, Sequence), digest: Digest) -> Vote {
        let by = (self.epoch.epoch, ReplicaId::new(replica));
        Vote::sign(&self.keys[replica as usize], &NETWORK, phase, by, at, digest)
    }

    pub fn prepare(&self, replica: u8, at: (View, Sequence), digest: Digest) -> Message {
        Message::Prepare(self.vote(Phase::Prepare, replica, at, digest))
    }

    pub fn commit(&self, replica: u8, at: (View, Sequence), digest: Digest) -> Message {
        Message::Commit(self.vote(Phase::Commit, replica, at, digest))
    }

    pub fn checkpoint(&self, replica: u8, sequence: Sequence, digest: Digest) -> Message {
        let by = (self.epoch.epoch, ReplicaId::new(replica));
        Message::Checkpoint(Checkpoint::sign(&self.keys[replica as usize], &NETWORK, by, sequence, digest))
    }

    fn ballots(&self, phase: Phase, replicas: &[u8], at: (View, Sequence), digest: Digest) -> Ballots {
        let ballot = |replica: &u8| {
            let vote = self.vote(phase, *replica, at, digest);
            (vote.replica, vote.signature)
        };
        Ballots::new(replicas.iter().map(ballot).collect()).unwrap()
    }

    /// Of the primary of its view, and a quorum less one of the others.
    pub fn prepared(&self, at: (View, Sequence), digest: Digest) -> Prepared {
        let primary = self.epoch.primary(at.0);
        let quorum = crate::Quorums::of(self.epoch.members.len()).quorum();
        let others = (0..self.epoch.members.len() as u8).filter(|replica| ReplicaId::new(*replica) != primary);
        let others: Vec<u8> = others.take(quorum - 1).collect();
        let epoch = self.epoch.epoch;
        let proposal = PrePrepare::sign_digest(&self.keys[primary.index()], &NETWORK, epoch, at, &digest);
        let prepares = self.ballots(Phase::Prepare, &others, at, digest);
        Prepared { view: at.0, sequence: at.1, digest, proposal, prepares }
    }

    pub fn decided(&self, replicas: &[u8], at: (View, Sequence), batch: &Batch) -> Message {
        let commits = self.ballots(Phase::Commit, replicas, at, batch.digest());
        let certificate = Committed { view: at.0, sequence: at.1, digest: batch.digest(), commits };
        let (certificate, batch) = (Arc::new(certificate), Arc::new(batch.clone()));
        Message::Decided(Decided { epoch: self.epoch.epoch, certificate, batch })
    }

    /// Of nobody's stable checkpoint but the start.
    pub fn change(&self, replica: u8, to: View, prepared: Vec<Prepared>) -> Change {
        Change {
            epoch: self.epoch.epoch,
            view: to,
            replica: ReplicaId::new(replica),
            stable: self.epoch.start,
            proof: None,
            prepared,
        }
    }

    pub fn sign_change(&self, change: Change) -> Arc<ViewChange> {
        let key = &self.keys[change.replica.index()];
        Arc::new(ViewChange::sign(key, &NETWORK, change))
    }

    pub fn view_change(&self, replica: u8, to: View, prepared: Vec<Prepared>) -> Arc<ViewChange> {
        self.sign_change(self.change(replica, to, prepared))
    }

    /// What follows from these view changes, by the primary of their view.
    pub fn new_view(&self, changes: &[Arc<ViewChange>]) -> NewView {
        let to = changes[0].change.view;
        let plan = crate::plan(changes.iter().map(|change| &change.change)).unwrap();
        let key = &self.keys[self.epoch.primary(to).index()];
        let epoch = self.epoch.epoch;
        let proposals = plan.digests.iter().enumerate().map(|(place, digest)| {
            let at = (to, plan.stable.plus(place as u64 + 1));
            let signature = PrePrepare::sign_digest(key, &NETWORK, epoch, at, digest);
            mesh_proto::pbft::Reproposal { digest: *digest, signature }
        });
        let mut named: Vec<(ReplicaId, Digest)> =
            changes.iter().map(|change| (change.change.replica, change.change.digest())).collect();
        named.sort_unstable();
        let signature = Signature::from_bytes([0; 64]);
        let proposals = proposals.collect();
        NewView { epoch, view: to, changes: named, stable: plan.stable, proposals, signature }.signed(key, &NETWORK)
    }

    /// Proposes, prepares and commits under `at`, as peers would.
    pub fn order(&mut self, at: (View, Sequence), requests: &[Arc<Request>]) {
        for request in requests {
            match self.ask(request) {
                Ok(()) | Err(No::Rejected(_)) => {}
                Err(refused) => panic!("{refused:?}"),
            }
        }
        let batch = match requests.is_empty() {
            true => Batch::null(),
            false => batch(requests),
        };
        let primary = self.epoch.primary(at.0).index() as u8;
        self.give(primary, self.pre_prepare(at, &batch)).unwrap();
        for replica in 0..self.epoch.members.len() as u8 {
            if replica != primary && replica != self.me {
                drop(self.give(replica, self.prepare(replica, at, batch.digest())));
            }
        }
        let me = self.me;
        for replica in (0..self.epoch.members.len() as u8).filter(|replica| *replica != me) {
            drop(self.give(replica, self.commit(replica, at, batch.digest())));
        }
        self.serve();
    }

    /// Orders null requests up to this number.
    pub fn order_up_to(&mut self, sequence: Sequence) {
        let view = self.view();
        while self.replica.executed() < sequence {
            let next = self.replica.executed().next();
            self.order((view, next), &[]);
        }
    }

    /// The digest of the own checkpoint at this number.
    pub fn own_checkpoint(&self, sequence: Sequence) -> Arc<Summary> {
        let found = self.facts.iter().rev().find_map(|fact| match fact {
            Fact::Checkpoint { summary, .. } if summary.sequence == sequence => Some(Arc::clone(summary)),
            _ => None,
        });
        found.expect("a checkpoint was made")
    }

    /// A quorum of peers agrees with the own checkpoint.
    pub fn stabilize(&mut self, sequence: Sequence) {
        let digest = self.own_checkpoint(sequence).digest();
        let quorum = crate::Quorums::of(self.epoch.members.len()).quorum() as u8;
        let others =
            (0..self.epoch.members.len() as u8).filter(|replica| *replica != self.me).take(quorum as usize - 1);
        for replica in others.collect::<Vec<_>>() {
            self.give(replica, self.checkpoint(replica, sequence, digest)).unwrap();
        }
    }

    pub fn certificate(&self, summary: &Summary) -> EpochCertificate {
        let digest = summary.digest();
        let quorum = crate::Quorums::of(self.epoch.members.len()).quorum() as u8;
        let ballots = (0..quorum).map(|replica| {
            let by = (self.epoch.epoch, ReplicaId::new(replica));
            let vote = Checkpoint::sign(&self.keys[replica as usize], &NETWORK, by, summary.sequence, digest);
            (vote.replica, vote.signature)
        });
        let votes = Ballots::new(ballots.collect()).unwrap();
        let certificate = Stable { epoch: self.epoch.epoch, sequence: summary.sequence, digest, votes };
        EpochCertificate { summary: summary.clone(), certificate }
    }

    /// A summary of a state that others have, without clients.
    pub fn summary(&self, sequence: Sequence) -> Summary {
        Summary {
            sequence,
            time: START,
            state: state(),
            clients: Roots::EMPTY,
            floor: RequestNumber::ZERO,
            config: self.epoch.clone(),
        }
    }

    fn set_clock(&mut self, mono: Mono) {
        self.now = Now { mono, wall: Wall(START.0 + (mono.0 - 1_000_000) / 1000) };
    }

    fn note(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Persist(fact) = &effect {
                self.facts.push(fact.clone());
            }
            self.effects.push(effect);
        }
    }

    fn sends(&self, is_to: impl Fn(Recipient) -> bool) -> Vec<&Message> {
        let sends = self.effects.iter().filter_map(|effect| match effect {
            Effect::Send { to, message } if is_to(*to) => Some(message.as_ref()),
            _ => None,
        });
        sends.collect()
    }
}

/// Where the first effect like this is.
pub fn place(effects: &[Effect], is_it: impl Fn(&Effect) -> bool) -> Option<usize> {
    effects.iter().position(is_it)
}

pub fn is_sent(effect: &Effect, is_it: impl Fn(&Message) -> bool) -> bool {
    matches!(effect, Effect::Send { message, .. } if is_it(message))
}

/// The answers in replies to a gateway: number, request, outcome.
pub fn outcomes(messages: &[&Message]) -> Vec<(u64, Digest, Outcome)> {
    let replies = messages.iter().filter_map(|message| match message {
        Message::Reply(reply) => Some(reply.outcomes.clone()),
        _ => None,
    });
    replies.flatten().map(|answered| (answered.number.get(), answered.request, answered.outcome)).collect()
}
