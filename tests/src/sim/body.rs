//! What the body of a node does: one brain's thread, one commit thread, and the world around them.

use super::{
    bidder,
    check::Rule,
    consensus::CROOKED,
    count::Count,
    describe,
    event::Event,
    executor::{out_of_turn, wrongly_begun},
    fabricator,
    network::Notice,
    node::{IN_VAIN, INBOX, TURN},
    patron::Patrons,
    storage::Part,
    world::World,
};
use mesh_coordinator::{Effect, Fact, Input, Message};
use mesh_membership::Member;
use mesh_proto::{
    capability::Capabilities,
    id::{LogPosition, TaskId},
    task::Octets,
};

impl World {
    /// An event inside one machine.
    pub(super) fn local(&mut self, node: usize, life: u32, event: Event) {
        let machine = &mut self.nodes[node];
        if machine.life != life {
            return;
        }
        let Some(body) = &mut machine.body else { return };
        if machine.frozen.is_some() {
            body.postponed.push(event);
            return;
        }
        match event {
            Event::Wake { .. } => {
                body.waking = false;
                self.turn(node);
            }
            Event::Timer { .. } if body.timer == Some(self.at) => {
                body.timer = None;
                self.turn(node);
            }
            Event::Timer { .. } => {}
            Event::Commit { .. } => self.committed(node),
            Event::Executed { slot, .. } => self.executed(node, slot),
            Event::SummedUp { slot, .. } => self.summed_up(node, slot),
            Event::Whisper { to, slot, .. } => self.whisper(node, to.into(), slot),
            Event::Absorb { .. } => {
                body.wants_to_absorb = true;
                self.absorb(node);
                self.queue.push(self.at + self.options.absorb, event);
            }
            _ => {}
        }
    }

    /// Something arrives at a node that runs.
    pub(super) fn deliver(&mut self, node: usize, input: Input) {
        let Some(body) = &mut self.nodes[node].body else { return };
        body.inbox.push_back(input);
        if body.inbox.len() > INBOX {
            self.fail(Rule::Bounded, format!("{INBOX} inputs wait at n{node}"));
        }
        self.wake(node);
    }

    pub(super) fn wake(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        let Some(body) = &mut machine.body else { return };
        if !body.waking {
            body.waking = true;
            let life = machine.life;
            self.queue.push(self.at + self.options.batching, Event::Wake { node: node as u16, life });
        }
    }

    /// One turn of the brain's thread: takes what has arrived, what is due, and lets the brain say what it has to.
    fn turn(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        let now = machine.clock.now(self.at);
        let Some(body) = &mut machine.body else { return };
        let mut effects = std::mem::take(&mut self.effects);
        let mut wrong = None;
        for _ in 0..TURN {
            let Some(input) = body.inbox.pop_front() else { break };
            self.trace.mix(describe::digest_input(&input));
            self.trace.say(self.at, node, || format!("<- {}", describe::input(&input, &self.by_id)));
            if let Input::Me(me) = &input
                && me.incarnation > body.brain.members().me().incarnation
            {
                body.told = me.capabilities.clone();
            }
            let before = effects.len();
            body.brain.handle(now, input, &mut effects);
            wrong = wrong.or_else(|| wrongly_begun(&machine.id, body, &effects[before..]));
            wrong = wrong.or_else(|| out_of_turn(body, &effects[before..], &mut self.counts));
        }
        let before = effects.len();
        if body.brain.deadline().is_some_and(|due| due <= now.mono) {
            body.brain.handle_deadline(now, &mut effects);
        }
        body.brain.flush(now, &mut effects);
        let is_done = body.brain.deadline().is_none_or(|due| due > now.mono);
        body.in_vain = if is_done { 0 } else { body.in_vain + 1 };
        let is_restless = body.in_vain > IN_VAIN;
        wrong = wrong.or_else(|| wrongly_begun(&machine.id, body, &effects[before..]));
        wrong = wrong.or_else(|| out_of_turn(body, &effects[before..], &mut self.counts));
        if let Some(violation) = wrong {
            self.fail(violation.rule, format!("n{node}: {}", violation.what));
        }
        if is_restless {
            self.fail(Rule::Bounded, format!("n{node} is not done with what is due, in {IN_VAIN} turns"));
        }
        self.look_at_blame(node, &effects);
        self.look_at_time(node);
        let Some(body) = &mut self.nodes[node].body else { return };
        let more = !body.inbox.is_empty();
        let lives = self.carry_out(node, &mut effects);
        effects.clear();
        self.effects = effects;
        if lives {
            self.look_at_ledger(node);
            self.look_at_isolation(node);
            if more {
                self.wake(node);
            }
            self.set_timer(node);
        }
    }

    fn set_timer(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        let Some(body) = &mut machine.body else { return };
        let Some(due) = body.brain.deadline() else { return };
        // A brain that is not done with what is due shall not stop the time of the world.
        let at = machine.clock.at(due).max(self.at + 1);
        if body.timer.is_none_or(|set| set > at || set <= self.at) {
            body.timer = Some(at);
            self.queue.push(at, Event::Timer { node: node as u16, life: machine.life });
        }
    }

    /// Carries effects out, in order. Whether the node outlives it.
    fn carry_out(&mut self, node: usize, effects: &mut Vec<Effect>) -> bool {
        for effect in effects.drain(..) {
            self.trace.mix(describe::digest_effect(&effect));
            self.trace.say(self.at, node, || format!("-> {}", describe::effect(&effect, &self.by_id)));
            if !self.spend(node) {
                return false;
            }
            // Its body hears of that before its brain does.
            let is_begun = matches!(effect, Effect::Execute { .. });
            if is_begun && self.healed.is_none() && !self.options.faults.is_empty() && self.needs.chance(20) {
                self.refit(node);
            }
            let Some(body) = &mut self.nodes[node].body else { return false };
            match effect {
                Effect::Persist(fact) => {
                    body.persisted = body.persisted.next();
                    body.waiting.push(fact);
                }
                Effect::Send { after: LogPosition::START, .. }
                | Effect::SumUp { .. }
                | Effect::Verify(_)
                | Effect::Port(_)
                | Effect::Halted(_)
                | Effect::Accused { .. } => self.perform(node, effect),
                effect => {
                    let after = after(&effect).unwrap_or(body.persisted);
                    if after > body.persisted {
                        let what = format!("n{node} waits for record {after}, the last is {}", body.persisted);
                        self.fail(Rule::DurableBeforeSaid, what);
                        return true;
                    }
                    // Behind all that waits: a cancellation must not overtake its execution. An execution may overtake
                    // all but the cancellation that makes room for it.
                    let mut waiting = body.gated.iter();
                    let overtakes = match effect {
                        Effect::Execute { .. } => !waiting.any(|(_, other)| matches!(other, Effect::Cancel { .. })),
                        _ => body.gated.is_empty(),
                    };
                    match after <= body.durable && overtakes {
                        true => self.perform(node, effect),
                        false => body.gated.push_back((after, effect)),
                    }
                }
            }
        }
        let Some(body) = &self.nodes[node].body else { return false };
        if body.brain.position() != body.persisted {
            let what = format!("n{node} is at record {}, its brain at {}", body.persisted, body.brain.position());
            self.fail(Rule::DiskKeeps, what);
        }
        self.commit(node);
        true
    }

    /// One effect fewer until a prepared crash. Whether the node outlives it.
    fn spend(&mut self, node: usize) -> bool {
        let Some(body) = &mut self.nodes[node].body else { return false };
        match &mut body.effects_left {
            None => true,
            Some(0) => {
                self.count(Count::CrashBetweenEffects);
                let power = self.fate.chance(300);
                self.crash(node, power);
                self.restart_later(node);
                false
            }
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    /// Begins a commit if there is something to write and none is under way.
    fn commit(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        let Some(body) = &mut machine.body else { return };
        if !body.committing.is_empty() || body.waiting.is_empty() {
            return;
        }
        std::mem::swap(&mut body.committing, &mut body.waiting);
        let (low, high) = self.options.sync;
        let takes = self.dice.range(low..=high) * machine.slow_disk;
        let event = Event::Commit { node: node as u16, life: machine.life };
        self.queue.push(self.at + takes, event);
    }

    /// The commit in flight is done: what waited for it happens now.
    fn committed(&mut self, node: usize) {
        if self.is_cut(node) {
            return;
        }
        let machine = &mut self.nodes[node];
        let store = machine.store();
        let Some(body) = &mut machine.body else { return };
        let mut facts = std::mem::take(&mut body.committing);
        let expected = LogPosition(body.durable.0 + facts.len() as u64);
        match body.storage.commit(&facts) {
            Ok(durable) if durable == expected => {}
            Ok(durable) => {
                return self.fail(Rule::DiskKeeps, format!("n{node} wrote to {expected}, log says {durable}"));
            }
            Err(error) => return self.fail(Rule::DiskKeeps, format!("n{node} cannot commit: {error}")),
        }
        // Fact by fact, each with what waited for it: what is said rests on the facts before it, not on later ones that
        // share its commit. After a crash in between the later ones are found on the disk.
        for fact in facts.drain(..) {
            self.on_disk(store, &fact);
            let Some(body) = &mut self.nodes[node].body else { return };
            body.durable = body.durable.next();
            if !self.release(node) {
                return;
            }
        }
        self.ledger_is_durable(node);
        let Some(body) = &mut self.nodes[node].body else { return };
        // Its memory serves the next commit.
        std::mem::swap(&mut body.committing, &mut facts);
        self.commit(node);
        self.absorb(node);
    }

    /// Carries out what waited for what is durable now. Whether the node outlives it.
    fn release(&mut self, node: usize) -> bool {
        loop {
            let Some(body) = &mut self.nodes[node].body else { return false };
            if body.gated.front().is_none_or(|(after, _)| *after > body.durable) {
                return true;
            }
            let Some((_, effect)) = body.gated.pop_front() else { return true };
            if !self.spend(node) {
                return false;
            }
            self.perform(node, effect);
        }
    }

    pub(super) fn on_disk(&mut self, store: mesh_proto::id::StoreId, fact: &Fact) {
        match fact {
            Fact::Task(fact) => self.checks.persisted(store, fact, &mut self.counts),
            Fact::Member(_) => self.counts.add(Count::FactMember),
            Fact::Introduced => self.counts.add(Count::FactIntroduced),
            Fact::Agreement(fact) => self.agreed_on_disk(store, fact),
        }
    }

    /// Lets the store absorb the log, when it wants to and everything is on disk.
    fn absorb(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        let Some(body) = &mut machine.body else { return };
        if !body.wants_to_absorb || body.durable != body.persisted {
            return;
        }
        body.wants_to_absorb = false;
        let fails =
            self.healed.is_none() && (body.effects_left.is_some() || self.fate.chance(self.options.torn_absorbs));
        if fails {
            let part = *self.fate.pick(&[Part::Log, Part::Store, Part::Store]);
            machine.medium.lose_power_after(part, self.fate.spread(1..=80) - 1);
        }
        let done = body.storage.absorb(&mut body.brain);
        let idle = body.storage.idle();
        self.counts.add(Count::Absorbed);
        if fails && machine.medium.is_off() {
            self.count(Count::CrashInAbsorb);
            self.crash(node, true);
            return self.restart_later(node);
        }
        machine.medium.keep_power();
        if let Err(error) = done {
            self.fail(Rule::DiskKeeps, format!("n{node} cannot absorb: {error}"));
        } else if let Err(error) = idle {
            self.fail(Rule::DiskKeeps, format!("n{node} cannot seal: {error}"));
        }
    }

    /// An effect that may happen, happens.
    fn perform(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Send { to, message, after } => {
                match self.by_id.get(&to) {
                    Some(&to) => self.speak_to(node, to, message, after),
                    // A reply to a gateway that somebody made up.
                    None => self.count(Count::MintAnswered),
                }
            }
            // The users of a gateway that lies look after themselves.
            Effect::Answer { request, .. } if request.0 >= CROOKED => {}
            Effect::Answer { request, answers, .. } => match Patrons::is_theirs(request) {
                true => self.with_patrons(|patrons, reach| patrons.answered(request, &answers, reach)),
                false => self.with_clients(|clients, reach| clients.answered(request, &answers, reach)),
            },
            Effect::SumUp { sequence, state } => self.sum_up(node, sequence, state),
            Effect::Verify(snapshot) => self.verify_by(node, snapshot),
            // Committees here agree by pBFT.
            Effect::Port(_) => {}
            Effect::Halted(why) => self.halted(node, &why),
            // Judged where it is persisted.
            Effect::Accused { .. } => {}
            Effect::Execute { birth, attempt, .. } => self.execute(node, &birth, attempt),
            Effect::Cancel { task, attempt } => self.cancel(node, task, attempt),
            // Which of the nodes it is, so that a sum shows who is in it.
            Effect::Measure { id, .. } => {
                self.deliver(node, Input::Measured { id, values: Some(vec![node as f64]) });
            }
            Effect::Dial { node: peer, .. } => {
                if let Some(&peer) = self.by_id.get(&peer) {
                    self.dial(node, peer);
                }
            }
            Effect::Disconnect { node: peer } => {
                if let Some(&peer) = self.by_id.get(&peer)
                    && self.network.close(self.at, (node, peer), true, &mut self.queue)
                {
                    self.went_down(node, peer);
                }
            }
            Effect::Announce { member, .. } => self.announce(node, &member),
            Effect::Speak { above } => {
                self.count(Count::Outdated);
                self.speak(node, above);
            }
            Effect::Persist(_) => {}
        }
    }

    /// To the machine of a member, or to both.
    pub(super) fn send(&mut self, node: usize, to: usize, message: Message, after: LogPosition) {
        if self.is_twin(node) && !Self::is_of_agreement(&message) {
            return;
        }
        if let Some(twin) = self.twin_of(to).filter(|twin| *twin != node && self.network.is_open(node, *twin))
            && self.original(node) != to
            && Self::reaches_twins(&message)
        {
            self.send_on(node, twin, message.clone(), after);
        }
        if self.original(node) != to {
            self.send_on(node, to, message, after);
        }
    }

    fn send_on(&mut self, node: usize, to: usize, mut message: Message, after: LogPosition) {
        self.boast(node, &mut message);
        if let Message::Task(frame) = &mut message
            && node < self.options.fabricators
        {
            let keys: Vec<_> = self.nodes[..self.options.fabricators].iter().map(|node| &*node.key).collect();
            for item in &mut frame.items {
                let work = |task: &TaskId| self.clients.work_of(task);
                if fabricator::forge(item, &keys, &self.network_id, work, &mut self.fate) {
                    self.counts.add(Count::CountForged);
                }
            }
        }
        if !self.network.is_open(node, to) {
            // The body drops it: its brain will be told `Down`, or has been.
            self.count(Count::FrameLost);
            return;
        }
        if let Message::Task(frame) = &message {
            let store = self.nodes[node].store();
            let is_to_bidder = self.trick_of(to).is_some();
            for item in &frame.items {
                if is_to_bidder {
                    bidder::count_award(item, &mut self.counts);
                }
                self.checks.sent(store, item, after, &mut self.counts);
            }
        }
        if let Some(meter) = &mut self.meter {
            meter.sent(&message);
        }
        match self.network.send(self.at, (node, to), message, &mut self.queue, &mut self.counts) {
            Some(Notice::Full) => {
                self.count(Count::QueueFull);
                let peer = self.nodes[to].id;
                if !self.is_twin(to) {
                    self.deliver(node, Input::Full { node: peer });
                }
            }
            Some(Notice::Writable) | None => {}
        }
    }

    /// A frame arrives.
    pub(super) fn frame(&mut self, from: usize, to: usize, event: Event) {
        let running = self.nodes[to].is_running();
        let (message, notice) = self.network.arrive(event, running, &mut self.queue, self.at, &mut self.counts);
        if notice == Some(Notice::Writable) {
            self.count(Count::QueueWritable);
            let peer = self.nodes[to].id;
            if !self.is_twin(to) {
                self.deliver(from, Input::Writable { node: peer });
            }
        }
        let sender = self.nodes[from].id;
        match message {
            Some(Message::Task(frame)) => {
                if let Some(body) = &mut self.nodes[to].body {
                    body.blame.hears(sender, &frame.items);
                }
                self.deliver(to, Input::Task { from: sender, frame });
            }
            Some(Message::Control(message)) => self.deliver(to, Input::Control { from: sender, message }),
            Some(Message::Consensus(message)) => self.hear(to, sender, &message),
            None => {}
        }
    }

    pub(super) fn dial(&mut self, node: usize, peer: usize) {
        let takes = self.network.connect_time(node, peer);
        let life = self.nodes[node].life;
        self.queue.push(self.at + takes, Event::Dialed { from: node as u16, to: peer as u16, life });
    }

    /// A connection attempt has had its time.
    pub(super) fn dialed(&mut self, from: usize, to: usize, life: u32) {
        let cut = self.network.is_cut(from, to) || self.network.is_cut(to, from);
        let up = |node: usize| self.nodes[node].is_running() && self.nodes[node].frozen.is_none();
        if from == to || cut || self.nodes[from].life != life || !up(from) || !up(to) {
            return;
        }
        let Some(old) = self.network.connect(from, to) else { return };
        for ((node, peer), had_one) in [(from, to), (to, from)].into_iter().zip(old) {
            if had_one && !self.is_twin(peer) {
                match self.fate.chance(200) {
                    true => self.count(Count::UpWithoutDown),
                    false => self.went_down(node, peer),
                }
            }
            // The door sees a credential; the signed entry comes later, from the peer itself or from others.
            if self.is_twin(peer) {
                continue;
            }
            let capabilities = Capabilities::default();
            let other =
                Member { capabilities, entry: Octets::default(), incarnation: 0, ..self.nodes[peer].me.clone() };
            let store = other.store;
            let id = other.node;
            self.deliver(node, Input::Member(other));
            self.deliver(node, Input::Up { node: id, store });
        }
    }

    pub(super) fn went_down(&mut self, node: usize, peer: usize) {
        if self.is_twin(peer) {
            return;
        }
        let peer = self.nodes[peer].id;
        self.deliver(node, Input::Down { node: peer });
    }

    /// A user's request arrives.
    pub(super) fn request(&mut self, node: usize, slot: u32) {
        let Some((request, command)) = self.clients.arrived(slot) else { return };
        match self.nodes[node].is_running() {
            true => self.deliver(node, Input::Command { request, command }),
            false => self.with_clients(|clients, reach| clients.request_lost(request, reach)),
        }
    }
}

/// The record that an effect rests on, where it says so.
fn after(effect: &Effect) -> Option<LogPosition> {
    match effect {
        Effect::Send { after, .. }
        | Effect::Answer { after, .. }
        | Effect::Execute { after, .. }
        | Effect::Announce { after, .. } => Some(*after),
        Effect::Persist(_)
        | Effect::Cancel { .. }
        | Effect::Measure { .. }
        | Effect::Dial { .. }
        | Effect::Disconnect { .. }
        | Effect::SumUp { .. }
        | Effect::Verify(_)
        | Effect::Port(_)
        | Effect::Halted(_)
        | Effect::Accused { .. }
        | Effect::Speak { .. } => None,
    }
}
