use super::super::lists::member;
use crate::api::{
    Api, KeySigner, Limits,
    brain::{Answers, Brain, BrainGone},
};
use futures::{FutureExt, future::BoxFuture};
use mesh_coordinator::{Answer, Command, PartitionView, Refusal, StatusView, agreement::AgreementView};
use mesh_ledger::{Ledger, Map, Rules};
use mesh_proto::{
    address::Addresses,
    agreement::{Operation, Ran, ReplicaStanding, Standing},
    codec,
    credential::Credential,
    domain::Epoch,
    genesis::{Engine, Founders, Genesis},
    id::{NodeId, StoreId},
    key::SecretKey,
    ledger::{self, Body, Bundle, Checked, CommandId, Evidence, Index, ProposalId},
    pbft::{self, Conflict, EpochConfig, ReplicaId, Sequence, View},
    role::Role,
    time::Wall,
    token::{InvitationTerms, Token},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

pub const START: Wall = Wall(1_800_000_000_000);
/// Between two checkpoints.
const INTERVAL: u64 = 4;

/// A brain whose committee is one real ledger: each operation is a batch, agreed time passes when it is told to.
#[derive(Clone)]
pub struct Council(Arc<Inner>);

struct Inner {
    ledger: Mutex<Ledger>,
    genesis: Genesis,
    /// The state at the last checkpoint, as a node keeps it that has as many batches between two as meshes have.
    held: Mutex<Option<(Index, Map)>>,
    now: AtomicU64,
    /// Nothing is ordered.
    is_silent: AtomicBool,
    is_lied_to: AtomicBool,
    refusal: Mutex<Option<Refusal>>,
    /// How often a newcomer is asked before it has come so far.
    behind: AtomicU64,
    ids: Mutex<Vec<CommandId>>,
    /// By the replica of the node that is asked.
    caught: Mutex<Vec<(NodeId, Arc<pbft::Evidence>)>>,
    /// How often the ledger was looked at without an order.
    looks: AtomicU64,
    hidden: AtomicU64,
    unanswered: Mutex<Vec<mpsc::Sender<Vec<Answer>>>>,
}

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32])
}

pub fn node(seed: u8) -> NodeId {
    key(seed).node_id()
}

impl Council {
    /// Made by key 1, founded by so many keys.
    pub fn of(founders: u8) -> Self {
        let genesis = Genesis {
            name: "sample".parse().unwrap(),
            nonce: [0x11; 32],
            maker: node(1),
            engine: Engine::Pbft,
            open: false,
            created: START,
            committee: Founders::new((1..=founders).map(node).collect()).unwrap(),
        };
        let rules = Rules { checkpoint_interval: INTERVAL, window_batches: 16, ..Rules::default() };
        Self(Arc::new(Inner {
            ledger: Mutex::new(Ledger::genesis(&genesis, rules)),
            genesis,
            held: Mutex::default(),
            now: AtomicU64::new(START.0),
            is_silent: AtomicBool::default(),
            is_lied_to: AtomicBool::default(),
            refusal: Mutex::default(),
            behind: AtomicU64::default(),
            ids: Mutex::default(),
            caught: Mutex::default(),
            looks: AtomicU64::default(),
            hidden: AtomicU64::default(),
            unanswered: Mutex::default(),
        }))
    }

    /// The API of the node with that key.
    pub fn api(&self, seed: u8) -> Api {
        let (network, council) = (self.0.genesis.network_id(), self.clone());
        super::super::api_of(network, self.clone(), Limits::default(), |ports| {
            ports.signer = Arc::new(KeySigner { key: key(seed), network });
            ports.last_status = Arc::new({
                let council = council.clone();
                move || Some(council.status())
            });
            ports.credential = Arc::new(move |node| council.credential(node));
        })
    }

    pub fn pass(&self, ms: u64) {
        self.0.now.fetch_add(ms, Ordering::Relaxed);
    }

    /// The ledger comes to keep this against a member.
    pub fn accuse(&self, accused: NodeId, conflict: Conflict) {
        let proof = codec::encode(&evidence(conflict)).into();
        let id = CommandId { principal: "meshd".parse().unwrap(), key: [7; 32].as_slice().into(), born: self.index() };
        let body = Body::Evidence(Evidence { accused, proof });
        let command = ledger::Command { id, body };
        let checked = Checked::check(command, &self.0.genesis, |_| true).expect("signed");
        self.batch(&[checked]);
    }

    /// A node has caught a member, and nothing of it is in the ledger.
    pub fn catch(&self, accused: NodeId, conflict: Conflict) {
        self.0.caught.lock().unwrap().push((accused, Arc::new(evidence(conflict))));
    }

    /// Batches without anything in them.
    pub fn fill(&self, batches: u64) {
        (0..batches).for_each(|_| drop(self.batch(&[])));
    }

    /// From now on somebody answers first with what was not asked for.
    pub fn lie(&self) {
        self.0.is_lied_to.store(true, Ordering::Relaxed);
    }

    pub fn silence(&self, is_silent: bool) {
        self.0.is_silent.store(is_silent, Ordering::Relaxed);
    }

    pub fn refuse(&self, why: Refusal) {
        *self.0.refusal.lock().unwrap() = Some(why);
    }

    /// So many looks find no ledger in reach.
    pub fn hide(&self, looks: u64) {
        self.0.hidden.store(looks, Ordering::Relaxed);
    }

    /// The newcomer has come so far after it was asked so often.
    pub fn slow(&self, looks: u64) {
        self.0.behind.store(looks, Ordering::Relaxed);
    }

    pub fn looks(&self) -> u64 {
        self.0.looks.load(Ordering::Relaxed)
    }

    /// The commands that were ordered.
    pub fn ids(&self) -> Vec<CommandId> {
        self.0.ids.lock().unwrap().clone()
    }

    fn index(&self) -> Index {
        self.0.ledger.lock().unwrap().index()
    }

    fn batch(&self, commands: &[Checked]) -> (Vec<mesh_proto::ledger::Outcome>, Index) {
        let mut ledger = self.0.ledger.lock().unwrap();
        let (index, now) = (ledger.index().next(), Wall(self.0.now.load(Ordering::Relaxed)));
        let outcomes = ledger.apply(index, now, commands).unwrap().outcomes;
        if index.0.is_multiple_of(Rules::default().checkpoint_interval) {
            *self.0.held.lock().unwrap() = Some((index, ledger.snapshot()));
        }
        (outcomes, index)
    }

    fn run(&self, index: u32, operation: &Operation) -> Answer {
        let (ran, at) = match operation {
            Operation::Command(command) => {
                self.0.ids.lock().unwrap().push(command.id.clone());
                let checked = Checked::check((**command).clone(), &self.0.genesis, |_| true).expect("signed");
                let (mut outcomes, at) = self.batch(&[checked]);
                (Ran::Outcome(outcomes.remove(0)), at)
            }
            Operation::Query(query) => {
                let (_, at) = self.batch(&[]);
                (Ran::Answer(Box::new(self.0.ledger.lock().unwrap().answer(query))), at)
            }
        };
        Answer::Ordered { index, at, ran }
    }

    fn answer(&self, command: &Command) -> Option<Vec<Answer>> {
        Some(match command {
            Command::Order { operations } => {
                if let Some(why) = self.0.refusal.lock().unwrap().clone() {
                    return Some(vec![Answer::Refused { index: 0, task: None, why }]);
                }
                if self.0.is_silent.load(Ordering::Relaxed) {
                    return None;
                }
                (0u32..).zip(operations).map(|(index, operation)| self.run(index, operation)).collect()
            }
            Command::Look { query } => {
                let looks = self.0.looks.fetch_add(1, Ordering::Relaxed);
                if looks < self.0.hidden.load(Ordering::Relaxed) {
                    return Some(vec![Answer::Looked(None)]);
                }
                vec![Answer::Looked(Some(Box::new(self.0.ledger.lock().unwrap().answer(query))))]
            }
            Command::Certified { behind, proposal, but } => {
                let is_lied_to = self.0.is_lied_to.load(Ordering::Relaxed) && !but.contains(&node(9));
                // It proves itself, and not what was asked for.
                let (from, about) = if is_lied_to { (node(9), None) } else { (node(1), *proposal) };
                vec![Answer::Certified(self.certified(*behind, about).map(|bundle| (from, bundle)))]
            }
            Command::Recruit { node } => vec![Answer::Recruited(self.recruit(*node))],
            Command::Members => vec![Answer::Members((1..=9).map(|seed| member(node(seed))).collect())],
            Command::Status => vec![Answer::Status(Box::new(self.status()))],
            Command::Agreement => vec![Answer::Agreement(Box::new(self.view()))],
            other => panic!("no answer to {other:?}"),
        })
    }

    fn certified(&self, behind: Index, proposal: Option<ProposalId>) -> Option<Box<Bundle>> {
        let held = self.0.held.lock().unwrap();
        let (index, state) = held.as_ref().filter(|(index, _)| *index >= behind)?;
        Some(Box::new(super::ledger::bundle(&self.0.genesis, *index, state, proposal)))
    }

    /// Key 9 is of a node that is down.
    fn recruit(&self, newcomer: NodeId) -> Option<Standing> {
        let behind = self.0.behind.load(Ordering::Relaxed);
        self.0.behind.store(behind.saturating_sub(1), Ordering::Relaxed);
        let replica = (behind == 0).then(|| standing(self.index()));
        (newcomer != node(9)).then_some(Standing { store: StoreId(7), epoch: Epoch(0), replica })
    }

    fn credential(&self, newcomer: NodeId) -> Option<Credential> {
        let seed = (1..=9).find(|seed| node(*seed) == newcomer)?;
        let role = if seed == 8 { Role::Worker } else { Role::Full };
        let expires = START + Duration::from_secs(3_600);
        let terms = InvitationTerms { role, issued: START, expires, member_until: None };
        let (genesis, bootstrap) = (self.0.genesis.clone(), Addresses::new(vec![]).unwrap());
        let token = Token::invite(&key(1), genesis, bootstrap, key(200), terms).unwrap();
        token.credential(&key(seed), None, START).ok()
    }

    pub fn status(&self) -> StatusView {
        StatusView {
            node: node(1),
            store: StoreId(1),
            introduced: true,
            members: 1,
            reachable: 1,
            held: 0,
            held_live: 0,
            driving: 0,
            following: 0,
            queued: 0,
            orphaned: 0,
            hoarded: 0,
            running: 0,
            slots: 1,
            outbox: 0,
            disk_has_room: true,
            partition: PartitionView::default(),
            drain: None,
            keeps_tasks: true,
            liveness: mesh_membership::Counters::default(),
            aggregations: mesh_gossip::Counters::default(),
            agreement: Some(self.view()),
            serials: Vec::new(),
            counters: Vec::new(),
        }
    }

    fn view(&self) -> AgreementView {
        let committee = self.0.genesis.committee.iter().copied();
        let mut epoch = EpochConfig::genesis(committee).unwrap();
        epoch.fewest = 1;
        // The last one does not answer.
        let say = |(at, node): (usize, &NodeId)| {
            let standing = Standing { store: StoreId(1), epoch: Epoch(0), replica: Some(standing(self.index())) };
            (*node, (at + 1 < epoch.members.len()).then_some(standing))
        };
        AgreementView {
            engine: self.0.genesis.engine,
            faults_tolerated: u32::from(epoch.members.len() >= 4),
            reachable: epoch.members.len() as u32 - 1,
            read_only: None,
            index: self.index(),
            under_way: 2,
            latencies: Default::default(),
            replica: None,
            caught: self.0.caught.lock().unwrap().clone(),
            members: epoch.members.iter().enumerate().map(say).collect(),
            counters: vec![("view_changes".into(), 3)],
            epoch: Arc::new(epoch),
        }
    }
}

fn evidence(conflict: Conflict) -> pbft::Evidence {
    pbft::Evidence { epoch: Epoch(0), replica: ReplicaId::new(0), conflict }
}

fn standing(executed: Index) -> ReplicaStanding {
    ReplicaStanding {
        view: View::ZERO,
        active: true,
        voting: true,
        executed: Sequence::new(executed.0),
        stable: Sequence::ZERO,
        halted: false,
    }
}

impl Brain for Council {
    fn ask(&self, command: Command) -> BoxFuture<'_, Result<Answers, BrainGone>> {
        let (sender, receiver) = mpsc::channel(8);
        match self.answer(&command) {
            Some(mut answers) => {
                answers.push(Answer::Finished);
                sender.try_send(answers).unwrap();
            }
            None => self.0.unanswered.lock().unwrap().push(sender),
        }
        futures::future::ready(Ok(Answers::new(receiver, || {}))).boxed()
    }
}
