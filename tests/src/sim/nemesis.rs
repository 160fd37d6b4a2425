//! What goes wrong, when, and for how long.

use super::{
    count::Count,
    event::Event,
    needs::{self, draw_capabilities},
    node::Place,
    options::Fault,
    world::World,
};
use mesh_coordinator::Input;
use mesh_membership::{Member, Role, Standing};
use mesh_proto::{
    capability::Capabilities,
    id::{LogPosition, StoreId},
};

/// How a fault ends.
pub enum Cure {
    /// These links, each from and to, are whole again.
    Mend(Vec<(usize, usize)>),
    /// These links are as fast as they should be.
    Hurry(Vec<(usize, usize)>),
    Thaw(usize),
    FastDisk(usize),
    EmptyDisk(usize),
    /// The operator tells some node, so many times yet, that this member is to be forgotten.
    Forget(usize, u32),
    /// The machine of a member that left is taken away.
    TakeAway(usize),
}

impl World {
    /// One more thing goes wrong.
    pub(super) fn fault(&mut self) {
        if self.healed.is_some() {
            return;
        }
        let next = self.at + self.fate.range(self.options.fault_every / 4..=self.options.fault_every * 7 / 4);
        self.queue.push(next, Event::Fault);
        if self.options.faults.is_empty() {
            return;
        }
        let fault = *self.fate.pick(&self.options.faults);
        let members = self.members();
        let node = *self.fate.pick(&members);
        if self.needs.chance(300) {
            let other = *self.needs.pick(&members);
            self.refit(other);
        }
        if self.options.drains && self.needs.chance(100) {
            let other = *self.needs.pick(&members);
            self.drain(other);
        }
        self.say_all(|| format!("fault {fault:?}, n{node}"));
        match fault {
            Fault::Break => self.break_connection(node),
            Fault::BlackHole => self.black_hole(node),
            Fault::Partition => self.partition(true),
            Fault::OneWay => self.partition(false),
            Fault::SlowLink => self.slow_link(node),
            Fault::Crash => {
                let twin = self.twin_of(node).filter(|_| self.fate.chance(500));
                self.crash_somehow(twin.unwrap_or(node));
            }
            Fault::CrashAll => self.crash_all(),
            Fault::LoseDisk => self.lose_disk(node),
            Fault::Destroy => self.destroy_some(node),
            Fault::SlowDisk => self.slow_disk(node),
            Fault::FullDisk => self.full_disk(node),
            Fault::StepWall => self.step_wall(node),
            Fault::Pause => self.pause(node),
            Fault::Join => self.join(),
            Fault::Leave => self.leave(node),
        }
    }

    fn cure_later(&mut self, cure: Cure, shortest: u64, longest: u64) {
        let slot = self.cures.put(cure);
        let at = self.at + self.fate.spread(shortest..=longest);
        self.queue.push(at, Event::Cure { slot });
    }

    pub(super) fn cure(&mut self, slot: u32) {
        let Some(cure) = self.cures.take(slot) else { return };
        match cure {
            Cure::Mend(links) => {
                for link in links {
                    self.network.mend(self.at, link, &mut self.queue);
                }
            }
            Cure::Hurry(links) => {
                for (from, to) in links {
                    self.network.slow(from, to, 1);
                }
            }
            Cure::Thaw(node) => self.thaw(node),
            Cure::FastDisk(node) => self.nodes[node].slow_disk = 1,
            Cure::EmptyDisk(node) => {
                let machine = &mut self.nodes[node];
                machine.full_disk = machine.full_disk.saturating_sub(1);
                if machine.full_disk == 0 {
                    self.deliver(node, Input::Disk { room: true });
                }
            }
            Cure::Forget(node, times) => self.forget(node, times),
            Cure::TakeAway(node) => self.take_away(node),
        }
    }

    fn other(&mut self, node: usize) -> Option<usize> {
        let others: Vec<usize> = self.members().into_iter().filter(|other| *other != node).collect();
        (!others.is_empty()).then(|| *self.fate.pick(&others))
    }

    fn break_connection(&mut self, node: usize) {
        let Some(peer) = self.other(node) else { return };
        let mut broke = false;
        for (one, two) in [(node, peer), (peer, node)] {
            if self.network.close(self.at, (one, two), false, &mut self.queue) {
                self.went_down(one, two);
                broke = true;
            }
        }
        if broke {
            self.count(Count::ConnectionBroken);
        }
    }

    fn black_hole(&mut self, node: usize) {
        let Some(peer) = self.other(node) else { return };
        self.count(Count::BlackHole);
        self.cut(vec![(node, peer)], 100_000, 20_000_000);
    }

    fn cut(&mut self, links: Vec<(usize, usize)>, shortest: u64, longest: u64) {
        for (from, to) in &links {
            self.network.cut(*from, *to);
        }
        self.cure_later(Cure::Mend(links), shortest, longest);
    }

    fn partition(&mut self, both_ways: bool) {
        let size = self.nodes.len();
        let side: Vec<bool> = (0..size).map(|_| self.fate.chance(400)).collect();
        let apart = |from: usize, to: usize| match both_ways {
            true => side[from] != side[to],
            false => side[from] && !side[to],
        };
        let links: Vec<(usize, usize)> = (0..size)
            .flat_map(|from| (0..size).map(move |to| (from, to)))
            .filter(|&(from, to)| apart(from, to))
            .collect();
        self.count(if both_ways { Count::Partition } else { Count::OneWayPartition });
        self.say_all(|| format!("partition of {side:?}"));
        self.cut(links, 500_000, 40_000_000);
    }

    fn slow_link(&mut self, node: usize) {
        let Some(peer) = self.other(node) else { return };
        self.count(Count::SlowLink);
        let factor = self.fate.spread(5..=200);
        let links = vec![(node, peer), (peer, node)];
        for (from, to) in &links {
            self.network.slow(*from, *to, factor);
        }
        self.cure_later(Cure::Hurry(links), 1_000_000, 15_000_000);
    }

    /// Now, or between two effects that are to come.
    fn crash_somehow(&mut self, node: usize) {
        match self.fate.below(3) {
            0 => {
                let power = self.fate.chance(400);
                self.crash(node, power);
                self.restart_later(node);
            }
            _ => {
                let left = self.fate.spread(1..=40) as u32 - 1;
                let life = self.nodes[node].life;
                if let Some(body) = &mut self.nodes[node].body {
                    body.effects_left = Some(left);
                    self.queue.push(self.at + 3_000_000, Event::Crash { node: node as u16, life });
                }
            }
        }
    }

    fn crash_all(&mut self) {
        self.count(Count::CrashAll);
        let power = self.fate.chance(500);
        for node in self.running() {
            self.crash(node, power);
            let at = self.at + self.fate.spread(50_000..=5_000_000);
            let life = self.nodes[node].life;
            self.queue.push(at, Event::Start { node: node as u16, life });
        }
    }

    pub(super) fn restart_later(&mut self, node: usize) {
        let machine = &self.nodes[node];
        if machine.body.is_some() || matches!(machine.place, Place::Spare | Place::Gone) {
            return;
        }
        let life = machine.life;
        let at = self.at + self.fate.spread(50_000..=40_000_000);
        self.queue.push(at, Event::Start { node: node as u16, life });
    }

    /// The disk is replaced by an empty one.
    fn lose_disk(&mut self, node: usize) {
        if !self.empty_disk(node) {
            return;
        }
        self.count(Count::DiskLost);
        self.restart_later(node);
    }

    /// Whether the disk of this node could be lost, and was.
    fn empty_disk(&mut self, node: usize) -> bool {
        let store = self.nodes[node].store();
        if !self.checks.may_lose(store) || self.network_needs(node) || !self.may_fail(node) {
            return false;
        }
        self.wipe(node);
        true
    }

    fn wipe(&mut self, node: usize) {
        let store = self.nodes[node].store();
        self.fails(node);
        self.crash(node, true);
        self.checks.disks.lost(store);
        if self.checks.agreed.words.was_member(&self.nodes[node].id) {
            self.checks.agreed.words.forgets(self.nodes[node].id);
        }
        self.network.forget_past(node);
        let machine = &mut self.nodes[node];
        machine.life += 1;
        machine.medium.lose();
        machine.durable = LogPosition::START;
        machine.me.store = StoreId(self.fate.next());
    }

    /// Somebody must be left who knows the others.
    fn network_needs(&self, node: usize) -> bool {
        self.members().into_iter().filter(|other| *other != node && self.nodes[*other].durable.0 > 0).count() < 2
    }

    fn destroy_some(&mut self, node: usize) {
        if self.members().len() >= 4 && self.empty_disk(node) {
            self.destroyed(node);
        }
    }

    /// A machine dies.
    pub(super) fn destroy(&mut self, node: usize) {
        self.wipe(node);
        self.destroyed(node);
    }

    /// It is gone for good, and the operator takes it out of the table when he has seen it.
    fn destroyed(&mut self, node: usize) {
        self.count(Count::Destroyed);
        self.nodes[node].place = Place::Gone;
        self.cure_later(Cure::Forget(node, 3), 2_000_000, 20_000_000);
    }

    fn forget(&mut self, node: usize, times: u32) {
        let mut running = self.running();
        running.retain(|node| !self.is_twin(*node));
        if times == 0 {
            return;
        }
        let mut left = times;
        if !running.is_empty() {
            let told = *self.fate.pick(&running);
            // The word of an operator says who is out, and nothing else of him.
            let member = Member {
                node: self.nodes[node].id,
                store: StoreId(0),
                role: Role::Client,
                standing: Standing::Forgotten,
                dated: self.nodes[node].me.dated,
                incarnation: u64::MAX,
                addresses: Vec::new(),
                name: None,
                zone: None,
                drains: false,
                capabilities: Capabilities::default(),
                entry: self.nodes[node].me.entry.clone(),
            };
            self.count(Count::Forgotten);
            self.deliver(told, Input::Member(member));
            left -= 1;
        }
        self.cure_later(Cure::Forget(node, left), 1_000_000, 5_000_000);
    }

    fn slow_disk(&mut self, node: usize) {
        self.count(Count::SlowDisk);
        self.nodes[node].slow_disk = self.fate.spread(10..=500);
        self.cure_later(Cure::FastDisk(node), 1_000_000, 20_000_000);
    }

    fn full_disk(&mut self, node: usize) {
        self.count(Count::DiskFull);
        self.nodes[node].full_disk += 1;
        self.deliver(node, Input::Disk { room: false });
        self.cure_later(Cure::EmptyDisk(node), 1_000_000, 20_000_000);
    }

    fn step_wall(&mut self, node: usize) {
        let most = if self.options.forgetful { 1_000 } else { 3_600_000 };
        let step = self.fate.spread(500..=most) as i64;
        let forward = self.fate.chance(500);
        self.count(if forward { Count::WallForward } else { Count::WallBack });
        self.nodes[node].clock.step_wall(if forward { step } else { -step });
    }

    fn pause(&mut self, node: usize) {
        if self.freeze(node) {
            self.count(Count::Paused);
            self.cure_later(Cure::Thaw(node), 300_000, 40_000_000);
        }
    }

    /// Workers come and go while a machine runs, and with them what it has. What they had of tasks is lost or given back.
    pub(super) fn refit(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        if machine.body.is_none() || machine.frozen.is_some() {
            return;
        }
        self.count(Count::Refitted);
        let has = draw_capabilities(&mut self.needs);
        let is_unattended = has.get(needs::kind().capability()).is_none();
        self.say(node, || format!("has {has} from now on"));
        let machine = &mut self.nodes[node];
        machine.me.capabilities = has;
        let said = machine.me.incarnation;
        self.speak(node, said);
        if is_unattended {
            self.workers_go(node);
        }
    }

    /// Its operator has it give all to the others, or take work again.
    fn drain(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        if machine.body.is_none() || machine.frozen.is_some() || machine.place != Place::Member {
            return;
        }
        machine.me.drains = !machine.me.drains;
        let (drains, said) = (machine.me.drains, machine.me.incarnation);
        self.count(if drains { Count::Drains } else { Count::Undrains });
        self.say(node, || if drains { "drains" } else { "drains no more" }.into());
        self.speak(node, said);
    }

    fn join(&mut self) {
        let Some(spare) = self.nodes.iter().find(|node| node.place == Place::Spare).map(|node| node.index) else {
            return;
        };
        self.count(Count::Joined);
        let machine = &mut self.nodes[spare];
        machine.place = Place::Member;
        let life = machine.life;
        self.queue.push(self.at, Event::Start { node: spare as u16, life });
    }

    fn leave(&mut self, node: usize) {
        let is_up = self.nodes[node].is_running() && self.nodes[node].frozen.is_none();
        let store = self.nodes[node].store();
        // The others do not talk to who left: with it goes its disk.
        if self.members().len() < 4 || !is_up || !self.checks.may_lose(store) || self.network_needs(node) {
            return;
        }
        if !self.may_fail(node) {
            return;
        }
        self.fails(node);
        self.count(Count::Left);
        self.checks.disks.leaves(store);
        let machine = &mut self.nodes[node];
        machine.place = Place::Leaving;
        machine.me.standing = Standing::Left;
        let said = machine.me.incarnation;
        self.speak(node, said);
        self.cure_later(Cure::TakeAway(node), 20_000_000, 60_000_000);
    }

    fn take_away(&mut self, node: usize) {
        if self.healed.is_none() && !self.checks.may_lose(self.nodes[node].store()) {
            // Whoever had not heard of its leaving has named it since: it stays until others are found.
            self.cure_later(Cure::TakeAway(node), 5_000_000, 10_000_000);
        } else if self.healed.is_none() {
            self.crash(node, true);
            self.nodes[node].life += 1;
            self.nodes[node].place = Place::Gone;
        }
    }

    /// All that was wrong ends, and all that is to be there comes up.
    pub(super) fn heal(&mut self) {
        self.say_all(|| "heals".into());
        self.healed = Some(self.at);
        let open: Vec<u32> = self.cures.iter().map(|(slot, _)| slot).collect();
        for slot in open {
            self.cure(slot);
        }
        self.network.heal();
        self.restart_bidders();
        for node in 0..self.nodes.len() {
            let machine = &mut self.nodes[node];
            machine.clock.correct_wall();
            machine.slow_disk = 1;
            let was_draining = std::mem::take(&mut machine.me.drains);
            if was_draining && machine.body.is_some() {
                let said = machine.me.incarnation;
                self.speak(node, said);
            }
            let machine = &mut self.nodes[node];
            if let Some(body) = &mut machine.body {
                body.effects_left = None;
            } else if matches!(machine.place, Place::Member | Place::Leaving | Place::Twin) {
                let life = machine.life;
                let at = self.at + self.fate.range(0..=1_000_000);
                self.queue.push(at, Event::Start { node: node as u16, life });
            }
        }
        self.with_clients(|clients, reach| clients.heal(reach));
        self.with_patrons(|patrons, reach| patrons.heal(reach));
        self.queue.push(self.at + 5_000_000, Event::Inspect);
    }
}
