//! One replica with its disk: what is synced, what is not, and what waits for it.

use crate::{app::App, liar::Liar, signatures::Shared};
use mesh_pbft::{Config, Effect, Execution, Fact, Replica, Setup, Verifier};
use mesh_proto::{
    id::{NetworkId, NodeId},
    key::SecretKey,
    pbft::{EpochConfig, Sequence},
    task::Octets,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

pub const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);

pub struct Node {
    pub seed: u8,
    pub id: NodeId,
    pub replica: Option<Replica>,
    pub verifier: Verifier<Shared>,
    pub app: App,
    pub disk: Disk,
    /// What is sent or released, with how many facts must be durable before.
    pub gated: VecDeque<(usize, Effect)>,
    /// Executions, with how many facts must be durable before anybody can see them.
    pub unseen: VecDeque<(usize, Execution)>,
    /// What the caller is asked to do, in order.
    pub jobs: VecDeque<Effect>,
    /// The snapshot behind this number is taken, and its roots are still to be told.
    pub summing: Option<Sequence>,
    pub is_working: bool,
    pub is_syncing: bool,
    /// Counts lives: events of an earlier one come to nothing.
    pub life: u32,
    pub wake: Option<u64>,
    /// Calls in a row behind which something was still due.
    pub in_vain: u32,
    /// Of its clock, in milliseconds.
    pub skew: u64,
    pub liar: Option<Liar>,
    pub lost: bool,
    pub config: Config,
    pub trusted: EpochConfig,
}

#[derive(Default)]
pub struct Disk {
    pub facts: Vec<Fact>,
    pub synced: usize,
    pub snapshots: BTreeMap<Sequence, App>,
    pub pieces: BTreeMap<(Sequence, u32), Octets>,
}

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32])
}

impl Node {
    pub fn new(seed: u8, config: Config, trusted: EpochConfig) -> Self {
        let replica = replica(seed, &config, &trusted, false);
        Self {
            seed,
            id: key(seed).node_id(),
            verifier: Verifier::with(Arc::clone(replica.snapshot()), Shared),
            replica: Some(replica),
            app: App::default(),
            disk: Disk::default(),
            gated: VecDeque::new(),
            unseen: VecDeque::new(),
            jobs: VecDeque::new(),
            summing: None,
            is_working: false,
            is_syncing: false,
            life: 0,
            wake: None,
            in_vain: 0,
            skew: 0,
            liar: None,
            lost: false,
            config,
            trusted,
        }
    }

    /// Loses everything in memory, and a part of what was not synced.
    pub fn crash(&mut self, kept: usize) {
        self.replica = None;
        self.disk.facts.truncate(self.disk.synced + kept);
        self.disk.synced = self.disk.facts.len();
        self.disk.pieces.clear();
        self.gated.clear();
        self.unseen.clear();
        self.jobs.clear();
        self.summing = None;
        (self.is_working, self.is_syncing, self.wake) = (false, false, None);
        self.life += 1;
    }

    pub fn lose_disk(&mut self) {
        self.disk = Disk::default();
        self.lost = true;
    }

    /// Replays the log, and takes the state that it goes with.
    pub fn start(&mut self) {
        let mut replica = replica(self.seed, &self.config, &self.trusted, self.lost);
        self.disk.facts.iter().for_each(|fact| replica.apply(fact));
        self.replica = Some(replica);
    }

    pub fn load_state(&mut self) {
        let executed = self.replica.as_ref().unwrap().executed();
        self.app = match self.disk.snapshots.get(&executed) {
            Some(snapshot) => snapshot.clone(),
            None if executed == Sequence::ZERO => App::default(),
            None => panic!("no state at {executed}, where the log goes on"),
        };
    }

    pub fn is_correct(&self) -> bool {
        self.liar.is_none()
    }
}

fn replica(seed: u8, config: &Config, trusted: &EpochConfig, lost: bool) -> Replica {
    let setup = Setup { network: NETWORK, key: key(seed), epoch: trusted.clone(), lost };
    Replica::new(config.clone(), setup).unwrap()
}
