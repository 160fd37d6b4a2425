//! The brain's loop: drains what has arrived, lets the coordinator decide, hands over what it decided.

use super::{
    clock,
    commit::{Job, LogState},
    hands::{Encoded, Hands},
    inbox::{Outbox, Take, Waited},
    room::Room,
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
        mpsc::{SyncSender, TrySendError},
    },
    time::Duration,
};

/// Inputs and time of one turn, at most: what comes later goes into the next append.
const TURN_INPUTS: usize = 1024;
const TURN_TIME: Duration = Duration::from_millis(1);

/// The loop turns at least so often, work or none, for whoever watches it.
const IDLE: Duration = Duration::from_millis(500);

/// Records and effects that may be held back by a slow disk. With more the brain takes no inputs at all: control messages make few.
const HELD: usize = 16_384;

/// What the commit thread had no room for.
#[derive(Default)]
pub struct Held {
    records: Vec<Vec<u8>>,
    effects: Vec<Effect>,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.effects.is_empty()
    }
}

pub struct Thread {
    pub coordinator: Coordinator,
    pub outbox: Outbox,
    pub commits: SyncSender<Job>,
    /// Not empty while the disk is so slow that the queue of jobs is full. Meanwhile the brain goes on with what rests on
    /// nothing: it hears heartbeats and sends its own, so that a slow disk does not look like death.
    pub held: Held,
    pub room: Room,
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
        self.room.bind();
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
            let take = self.takes();
            let first = match self.wait(take) {
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
            let room = self.log.room(self.coordinator.changes_len()).takes_work();
            if room != has_room {
                has_room = room;
                self.coordinator.handle(now, Input::Disk { room }, &mut effects);
            }
            self.turn(now.mono, take, first, &mut effects);
        }
        self.coordinator.stop(clock::now(), &mut effects);
        self.finish_turn(&mut effects);
        let Held { records, effects } = std::mem::take(&mut self.held);
        self.commit(Job::Batch { records, effects });
        if self.commits.send(Job::Stop).is_err() {
            tracing::debug!("the commit thread ended first");
        }
    }

    fn takes(&self) -> Take {
        match self.held.records.len() + self.held.effects.len() {
            0 => Take::All,
            1..HELD => Take::Control,
            _ => Take::Nothing,
        }
    }

    fn wait(&mut self, take: Take) -> Waited {
        let until = match take {
            Take::All => self.coordinator.deadline(),
            Take::Control | Take::Nothing => self.coordinator.control_deadline(),
        };
        let room = &self.room;
        let has_room = || take != Take::All && room.is_there();
        self.outbox.wait(take, until, IDLE, || clock::now().mono, has_room)
    }

    fn turn(&mut self, begin: Mono, take: Take, first: Option<Input>, effects: &mut Vec<Effect>) {
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
            next = if is_over { None } else { self.outbox.take(take) };
        }
        match take {
            Take::All if self.coordinator.deadline().is_some_and(|deadline| deadline <= now.mono) => {
                self.coordinator.handle_deadline(now, effects);
            }
            Take::All => {}
            Take::Control | Take::Nothing => self.coordinator.handle_control_deadline(now, effects),
        }
    }

    /// Splits what was decided: facts to the log, the rest behind them; what rests on nothing goes at once.
    fn finish_turn(&mut self, effects: &mut Vec<Effect>) {
        self.coordinator.flush(clock::now(), effects);
        if Trail::is_on() {
            self.trail.effects(effects);
        }
        let mut encoded = Encoded::default();
        for effect in effects.drain(..) {
            match effect {
                Effect::Persist(fact) => {
                    self.held.records.push(codec::encode_into(Vec::with_capacity(fact.weight()), &fact));
                    if let Fact::Member(member) = &fact {
                        self.directory.note(member);
                    }
                }
                Effect::Send { after: LogPosition::START, .. } | Effect::Announce { after: LogPosition::START, .. } => {
                    self.hands.carry_out(effect, &mut encoded);
                }
                // What is asked of an engine rests on nothing of this log.
                Effect::SumUp { .. } | Effect::Verify(_) | Effect::Port(_) => {
                    self.hands.carry_out(effect, &mut encoded);
                }
                // Queued a while ago: it need not wait for what was said since.
                Effect::Execute { after, .. } if self.may_overtake(after) => {
                    self.hands.carry_out(effect, &mut encoded);
                }
                Effect::Cancel { .. } => {
                    self.hands.cancels.fetch_add(1, Ordering::AcqRel);
                    self.held.effects.push(effect);
                }
                other => self.held.effects.push(other),
            }
        }
        let room = self.log.room(self.coordinator.changes_len());
        if self.hand_over() && self.snapshots.is_due(&room, self.coordinator.retold_batches()) {
            let (position, changes, pages) = self.coordinator.take_changes();
            // Behind the records that it rests on: the store must never be ahead of the log.
            self.commit(Job::Snapshot(position, changes, pages));
        }
    }

    /// What an execution rests on is on disk, and it takes nobody's slot who is yet to be cancelled.
    fn may_overtake(&self, after: LogPosition) -> bool {
        after.0 <= self.log.durable.load(Ordering::Acquire) && self.hands.cancels.load(Ordering::Acquire) == 0
    }

    /// Gives the commit thread what it has room for. Whether nothing is held back now.
    fn hand_over(&mut self) -> bool {
        // The second time after saying so: the room that is made in between is told to nobody.
        for wants in [false, true] {
            if self.held.is_empty() {
                return true;
            }
            if wants {
                self.room.want();
            }
            let Held { records, effects } = std::mem::take(&mut self.held);
            match self.commits.try_send(Job::Batch { records, effects }) {
                Ok(()) => {}
                Err(TrySendError::Full(Job::Batch { records, effects })) => self.held = Held { records, effects },
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    super::fatal("the commit thread has ended");
                }
            }
        }
        self.held.is_empty()
    }

    fn commit(&self, job: Job) {
        if self.commits.send(job).is_err() {
            super::fatal("the commit thread has ended");
        }
    }
}
