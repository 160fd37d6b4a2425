//! How a machine comes up, ends, stops for a while and goes on.

use super::{
    boundary::Cut,
    check::{Blame, Rule, Turns},
    count::Count,
    event::Event,
    needs::draw_capabilities,
    node::{Body, Place},
    storage::Part,
    world::World,
};
use mesh_coordinator::{Config, Input};
use mesh_membership::Member;
use mesh_proto::{id::LogPosition, ledger::Index, task::Octets};
use std::{collections::VecDeque, time::Duration};

impl World {
    /// A machine comes up and reads its disk.
    pub(super) fn start(&mut self, node: usize, life: u32) {
        let network = self.network_id;
        let (seed, salt) = (self.dice.next(), self.dice.next());
        let machine = &mut self.nodes[node];
        if machine.life != life || machine.body.is_some() {
            return;
        }
        machine.life += 1;
        // Its operator put something in, or took it out.
        if self.healed.is_none() && self.needs.chance(150) {
            machine.me.capabilities = draw_capabilities(&mut self.needs);
        }
        let fresh = self.checks.disks.get(machine.store()).is_none();
        let agreement = self.options.council.as_ref().map(|council| council.setup(&self.genesis, &machine.key));
        let config = Config {
            network,
            seed,
            me: Member { incarnation: 0, entry: Octets::default(), ..machine.word() },
            // Who made the network knows that he is alone.
            alone: node == 0 && machine.life == 1,
            agreement,
            membership: self.options.membership.clone(),
            aggregation: mesh_gossip::Config::default(),
            tasks: self.options.tasks.clone(),
        };
        // Who makes the network does so once.
        let fails = self.healed.is_none() && !(fresh && node == 0) && self.fate.chance(self.options.torn_starts);
        if fails {
            let part = *self.fate.pick(&[Part::Log, Part::Store]);
            machine.medium.lose_power_after(part, self.fate.spread(1..=30) - 1);
        }
        let loaded = match machine.medium.load(config, salt, machine.durable) {
            Err(_) if fails && machine.medium.is_off() => {
                machine.medium.crash(self.fate.next());
                self.count(Count::CrashInStart);
                return self.restart_later(node);
            }
            Ok(loaded) => loaded,
            Err(error) => return self.fail(Rule::DiskKeeps, format!("n{node} cannot start: {error}")),
        };
        machine.medium.keep_power();
        let introduced = loaded.brain.members().is_introduced() && machine.place != Place::Twin;
        machine.body = Some(Body {
            brain: loaded.brain,
            storage: loaded.storage,
            inbox: VecDeque::from([Input::Restarted]),
            waking: false,
            timer: None,
            in_vain: 0,
            durable: loaded.position,
            persisted: loaded.position,
            committing: Vec::new(),
            waiting: Vec::new(),
            gated: VecDeque::new(),
            executions: Vec::new(),
            told: machine.word().capabilities,
            turns: Turns::default(),
            blame: Blame::default(),
            effects_left: None,
            wants_to_absorb: false,
            verifier: None,
            judge: None,
            ledger_seen: Index::GENESIS,
            ledgers: VecDeque::new(),
            postponed: Vec::new(),
        });
        self.speak(node, 0);
        let machine = &mut self.nodes[node];
        let (store, life, id, full) = (machine.store(), machine.life, machine.id, machine.full_disk > 0);
        if fresh {
            self.checks.disks.born(store, id);
        }
        for fact in loaded.surprises {
            self.on_disk(store, &fact);
        }
        if self.is_twin(node) {
            self.count(Count::TwinStarted);
        }
        self.say(node, || format!("starts with store {store} at record {}", loaded.position));
        if full {
            self.deliver(node, Input::Disk { room: false });
        }
        if !introduced {
            self.queue.push(self.at, Event::Bootstrap { node: node as u16, to: 0, life });
        }
        let absorbs = self.at + self.dice.range(1..=self.options.absorb);
        self.queue.push(absorbs, Event::Absorb { node: node as u16, life });
        self.wake(node);
    }

    /// A process ends at once; with `power` the whole machine does, and nobody is told.
    pub(super) fn crash(&mut self, node: usize, power: bool) {
        let cut = *self.fate.pick(&Cut::ALL);
        self.crash_in_write(node, power, cut);
    }

    /// Of what is being written so much is there.
    pub(super) fn crash_in_write(&mut self, node: usize, power: bool, cut: Cut) {
        let seed = self.fate.next();
        let machine = &mut self.nodes[node];
        let Some(mut body) = machine.body.take() else { return };
        self.counts.life(&body.brain);
        machine.life += 1;
        if !body.committing.is_empty() {
            self.counts.add(Count::CrashInCommit);
            let committed = match cut {
                Cut::Lost => Ok(LogPosition::START),
                Cut::Whole => body.storage.commit(&body.committing),
                Cut::Torn | Cut::Unsynced => {
                    machine.medium.fail_next_commit(cut == Cut::Unsynced);
                    body.storage.commit(&body.committing)
                }
            };
            // A commit that fails here is the point of it.
            if committed.is_err() {
                self.counts.add(Count::TornTail);
            }
        }
        machine.durable = body.durable;
        self.counts.add(if power { Count::PowerLoss } else { Count::Crash });
        if machine.place == Place::Twin {
            self.counts.add(Count::TwinCrashed);
        }
        match power {
            true => machine.medium.crash(seed),
            false => machine.medium.restart(),
        }
        let was_frozen = machine.frozen.take().is_some();
        for running in body.executions.drain(..) {
            self.counts.add(Count::ExecutionKilled);
            self.ends.take(running.slot);
        }
        drop(body);
        for peer in 0..self.nodes.len() {
            if peer != node {
                if was_frozen {
                    self.network.mend(self.at, (peer, node), &mut self.queue);
                }
                self.network.close(self.at, (node, peer), !power, &mut self.queue);
            }
        }
        self.say(node, || format!("crashes, power {power}"));
        self.with_clients(|clients, reach| clients.gateway_lost(node, reach));
        self.with_patrons(|patrons, reach| patrons.gateway_lost(node, reach));
    }

    /// Stops a process for a while, as SIGSTOP does.
    pub(super) fn freeze(&mut self, node: usize) -> bool {
        let machine = &mut self.nodes[node];
        if machine.body.is_none() || machine.frozen.is_some() {
            return false;
        }
        machine.frozen = Some(self.at);
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            self.network.cut(peer, node);
        }
        true
    }

    /// Lets it go on.
    pub(super) fn thaw(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        let Some(since) = machine.frozen.take() else { return };
        let gap = Duration::from_micros(self.at - since);
        let long = gap > 2 * self.options.membership.heartbeat;
        let Some(body) = &mut machine.body else { return };
        // The brain's thread sees the gap before it looks at anything else.
        if long {
            body.inbox.push_front(Input::Paused { gap });
        }
        body.waking = false;
        body.timer = None;
        let postponed = std::mem::take(&mut body.postponed);
        for event in postponed {
            match event {
                Event::Wake { .. } | Event::Timer { .. } => {}
                _ => self.queue.push(self.at, event),
            }
        }
        self.wake(node);
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            self.network.mend(self.at, (peer, node), &mut self.queue);
        }
    }
}
