//! The brain's loop: drains what has arrived, lets the coordinator decide, hands over what it decided.

use super::{
    clock,
    commit::{Job, LogState},
    hands::Hands,
    inbox::{Outbox, Waited},
    snapshot::Snapshots,
    trail::Trail,
};
use crate::{api::Pulse, directory::Directory};
use mesh_coordinator::{Coordinator, Effect, Fact, Input};
use mesh_proto::{codec, id::LogPosition, time::Mono};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::SyncSender,
    },
    time::Duration,
};

/// Inputs and time of one turn, at most: what comes later goes into the next append.
const TURN_INPUTS: usize = 1024;
const TURN_TIME: Duration = Duration::from_millis(1);

/// The loop turns at least so often, work or none, for whoever watches it.
const IDLE: Duration = Duration::from_millis(500);

/// Below this new work gets `busy`: the rest is for finishing what was accepted.
const RESERVE: u64 = 64 * 1024 * 1024;

pub struct Thread {
    pub coordinator: Coordinator,
    pub outbox: Outbox,
    pub commits: SyncSender<Job>,
    pub hands: Arc<Hands>,
    pub directory: Directory,
    pub snapshots: Snapshots,
    pub log: LogState,
    pub pulse: Pulse,
    /// Set when the node stops.
    pub stop: Arc<AtomicBool>,
    /// A jump of the clock by more than this means that the process was frozen.
    pub pause: Duration,
    pub trail: Trail,
}

impl Thread {
    /// Runs until the node stops.
    pub fn run(mut self) {
        self.outbox.bind();
        let mut effects = Vec::new();
        let mut last = clock::now().mono;
        let mut has_room = true;
        self.coordinator.handle(clock::now(), Input::Restarted, &mut effects);
        loop {
            self.pulse.brain_turned();
            self.finish_turn(&mut effects);
            if self.stop.load(Ordering::Acquire) {
                break;
            }
            let first = match self.outbox.wait(self.coordinator.deadline(), IDLE, || clock::now().mono) {
                Waited::Input(input) => Some(input),
                Waited::Time => None,
                Waited::Closed => break,
            };
            let now = clock::now();
            if now.mono.since(last) > self.pause {
                let gap = now.mono.since(last);
                tracing::warn!(?gap, "this process was frozen: it trusts nothing that it believed of others");
                self.coordinator.handle(now, Input::Paused { gap }, &mut effects);
            }
            last = now.mono;
            let room = self.log.headroom.load(Ordering::Relaxed) > RESERVE;
            if room != has_room {
                has_room = room;
                self.coordinator.handle(now, Input::Disk { room }, &mut effects);
            }
            self.turn(now.mono, first, &mut effects);
        }
        self.coordinator.stop(clock::now(), &mut effects);
        self.finish_turn(&mut effects);
        if self.commits.send(Job::Stop).is_err() {
            tracing::debug!("the commit thread ended first");
        }
    }

    fn turn(&mut self, begin: Mono, first: Option<Input>, effects: &mut Vec<Effect>) {
        let (mut now, mut next, mut handled) = (clock::now(), first, 0);
        let is_told = Trail::is_on();
        while let Some(input) = next {
            if is_told {
                self.trail.input(&input);
            }
            self.coordinator.handle(now, input, effects);
            handled += 1;
            now = clock::now();
            let is_over = handled >= TURN_INPUTS || now.mono.since(begin) >= TURN_TIME;
            next = if is_over { None } else { self.outbox.take() };
        }
        if self.coordinator.deadline().is_some_and(|deadline| deadline <= now.mono) {
            self.coordinator.handle_deadline(now, effects);
        }
    }

    /// Splits what was decided: facts to the log, the rest behind them; what rests on nothing goes at once.
    fn finish_turn(&mut self, effects: &mut Vec<Effect>) {
        self.coordinator.flush(clock::now(), effects);
        if effects.is_empty() {
            return;
        }
        if Trail::is_on() {
            self.trail.effects(effects);
        }
        let (mut records, mut gated) = (Vec::new(), Vec::with_capacity(effects.len()));
        for effect in effects.drain(..) {
            match effect {
                Effect::Persist(fact) => {
                    records.push(codec::encode_into(Vec::with_capacity(512), &fact));
                    if let Fact::Member(member) = &fact {
                        self.directory.note(member);
                    }
                }
                Effect::Send { after: LogPosition::START, .. } => self.hands.carry_out(effect),
                other => gated.push(other),
            }
        }
        if !records.is_empty() || !gated.is_empty() {
            self.commit(Job::Batch { records, effects: gated });
        }
        if self.snapshots.is_due(self.log.bytes.load(Ordering::Relaxed)) {
            let (position, changes) = self.coordinator.take_changes();
            // Behind the records that it rests on: the store must never be ahead of the log.
            self.commit(Job::Snapshot(position, changes));
        }
    }

    fn commit(&self, job: Job) {
        if self.commits.send(job).is_err() {
            super::fatal("the commit thread has ended");
        }
    }
}
