//! Who asks: gateways, each with the machine of one, and those that cheat.

use crate::{
    node::{NETWORK, key},
    signatures::Shared,
    world::{Event, MS, START_MS, World},
};
use mesh_pbft::{Client, ClientConfig, ClientEffect, Snapshot, Verifier};
use mesh_proto::{
    id::NodeId,
    key::SecretKey,
    pbft::{EpochConfig, Message, Operations, Outcome, Request, RequestNumber},
    time::{Mono, Now, Wall},
};
use std::{collections::BTreeMap, sync::Arc};

pub struct Gateway {
    pub id: NodeId,
    client: Client,
    verifier: Verifier<Shared>,
    /// Operations under way.
    pub pending: BTreeMap<RequestNumber, Vec<u8>>,
    count: u64,
}

impl Gateway {
    pub fn new(number: u8, epoch: &Arc<EpochConfig>) -> Self {
        let key = key(FIRST + number);
        let snapshot = Arc::new(Snapshot::of_epoch(NETWORK, Arc::clone(epoch)));
        Self {
            id: key.node_id(),
            client: Client::new(ClientConfig::default(), NETWORK, Arc::new(key), Arc::clone(epoch), first_number()),
            verifier: Verifier::with(snapshot, Shared),
            pending: BTreeMap::new(),
            count: 0,
        }
    }
}

/// The key of the first one.
const FIRST: u8 = 200;

/// Where their numbers begin.
pub fn first_number() -> RequestNumber {
    RequestNumber::starting(Wall(START_MS))
}

impl World {
    /// One operation of a gateway, in one request; `None` if its window is full.
    pub fn submit(&mut self, gateway: usize, operation: Option<Vec<u8>>) -> bool {
        let now = self.gateways_clock();
        let one = &mut self.gateways[gateway];
        one.count += 1;
        let operation = operation.unwrap_or_else(|| format!("g{gateway}-{}", one.count).into_bytes());
        let packed = Operations::pack([operation.as_slice()]).unwrap();
        let mut effects = Vec::new();
        match one.client.submit(now, packed, &mut effects) {
            Ok(number) => {
                one.pending.insert(number, operation);
                self.carry_out_gateway(gateway, effects);
                true
            }
            Err(_) => false,
        }
    }

    /// Operations of a gateway that cheats, under a number of its choice, to whom it chooses. What comes of them it does not
    /// care for.
    pub fn show(&mut self, gateway: usize, number: RequestNumber, operations: &[Vec<u8>], to: &[usize]) {
        let packed = Operations::pack(operations.iter().map(Vec::as_slice)).unwrap();
        let request = Request::sign(&key(FIRST + gateway as u8), &NETWORK, number, packed);
        let message = Arc::new(Message::Request(Arc::new(request)));
        to.iter().for_each(|node| self.transmit(None, *node, self.gateways[gateway].id, 0, Arc::clone(&message)));
    }

    /// What a member has made up for itself alone: an operation of a gateway that nobody has heard of, by its key.
    pub fn mint(&mut self, key: &SecretKey, number: RequestNumber, operation: &[u8], to: usize) {
        let request = Request::sign(key, &NETWORK, number, Operations::pack([operation]).unwrap());
        self.transmit(None, to, key.node_id(), 0, Arc::new(Message::Request(Arc::new(request))));
    }

    /// A gateway that begins now, with its clock ahead or behind by so many milliseconds.
    pub fn begin_gateway(&mut self, gateway: usize, ahead: i64) {
        let wall = Wall((START_MS + self.now / MS).saturating_add_signed(ahead));
        let key = Arc::new(key(FIRST + gateway as u8));
        let (config, epoch) = (ClientConfig::default(), Arc::new(self.nodes[0].trusted.clone()));
        self.gateways[gateway].client = Client::new(config, NETWORK, key, epoch, RequestNumber::starting(wall));
    }

    pub fn waiting(&self) -> usize {
        self.gateways.iter().map(|gateway| gateway.pending.len()).sum()
    }

    pub fn deliver_gateway(&mut self, to: usize, from: NodeId, message: &Message) {
        let gateway = &mut self.gateways[to];
        let mut effects = Vec::new();
        if let Ok(verified) = gateway.verifier.verify(from, message.clone())
            && gateway.client.handle(verified, &mut effects).is_ok()
        {
            self.carry_out_gateway(to, effects);
        }
    }

    pub fn wake_gateway(&mut self, gateway: usize) {
        let now = self.gateways_clock();
        let mut effects = Vec::new();
        self.gateways[gateway].client.handle_deadline(now, &mut effects);
        self.carry_out_gateway(gateway, effects);
    }

    /// A new committee is in force.
    pub fn tell_gateways(&mut self, config: &Arc<EpochConfig>) {
        for gateway in 0..self.gateways.len() {
            let now = self.gateways_clock();
            let one = &mut self.gateways[gateway];
            one.client.set_epoch(Arc::clone(config), now);
            one.verifier.update(Arc::new(Snapshot::of_epoch(NETWORK, Arc::clone(config))));
            self.schedule(self.now + 1, Event::WakeGateway { gateway });
        }
    }

    fn gateways_clock(&self) -> Now {
        Now { mono: Mono(self.now), wall: Wall(START_MS + self.now / MS) }
    }

    fn carry_out_gateway(&mut self, gateway: usize, effects: Vec<ClientEffect>) {
        for effect in effects {
            match effect {
                ClientEffect::Send { message, .. } => {
                    let from = self.gateways[gateway].id;
                    for node in 0..self.nodes.len() {
                        self.transmit(None, node, from, 0, Arc::clone(&message));
                    }
                }
                ClientEffect::Done { number, sequence, outcome, proof } => {
                    assert!(!proof.is_empty());
                    let operation = self.gateways[gateway].pending.remove(&number).expect("done once");
                    if matches!(outcome, Outcome::Executed(_) | Outcome::Forgotten) {
                        self.checker.acknowledged.insert(operation, sequence);
                    }
                }
                // Gateways do not restart here.
                ClientEffect::Displaced { number } => panic!("request {number} of gateway {gateway} is displaced"),
            }
        }
        if let Some(due) = self.gateways[gateway].client.deadline() {
            self.schedule(due.0.max(self.now + 1), Event::WakeGateway { gateway });
        }
    }
}
