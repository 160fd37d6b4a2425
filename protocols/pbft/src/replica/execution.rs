//! Committed batches, executed in order, each once. Sections 4.2 and 4.6.

use super::{Replica, Turn};
use crate::{Alarm, Body, Effect, Execution, Membership, Rejection, changed, table::Verdict};
use mesh_proto::{
    id::{Digest, NodeId},
    pbft::{Answered, Batch, EpochConfig, Outcome, RequestNumber, Sequence},
    task::Octets,
    time::Wall,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A batch that was given out for execution.
#[derive(Debug)]
pub struct Running {
    sequence: Sequence,
    /// Whose outcomes are due, in order.
    requests: Vec<(NodeId, RequestNumber, Digest)>,
    /// What is told about the others of the batch, and about what became too old by it.
    settled: Vec<(NodeId, Answered)>,
}

impl Replica {
    /// Gives out all that can be executed. A checkpoint's number is done before the next one; its state is summed up
    /// beside, and done before the next checkpoint's.
    pub(super) fn execute(&mut self, turn: &mut Turn<'_>) {
        while self.halted.is_none() && !self.is_installing() {
            let next = self.issued.next();
            let config = &self.durable.config;
            let is_behind_boundary = config.is_checkpoint(self.issued) && self.issued > self.executed;
            let is_second = self.summing.is_some() && config.is_checkpoint(next);
            if is_behind_boundary || is_second || next > self.barrier() {
                break;
            }
            let Some(decided) = self.slots.get(&next).and_then(|slot| slot.decided.clone()) else { break };
            let Some(batch) = self.batch(next, &decided.digest) else {
                self.want_batch(turn, next, decided.digest);
                self.want_behind(turn, next);
                break;
            };
            if self.bodies(turn, next, &decided.digest, &batch).is_none() {
                self.want_behind(turn, next);
                break;
            }
            self.issue(turn, next, &batch);
        }
        if std::mem::take(&mut self.has_passed) {
            self.pass_barrier(turn);
        }
    }

    /// Checklist items 11, 13 and 17.
    fn issue(&mut self, turn: &mut Turn<'_>, sequence: Sequence, batch: &Batch) {
        assert_eq!(sequence, self.issued.next(), "batches execute in order, without gaps");
        // Views mix after a view change, and primaries' clocks differ: agreed time moves on all the same.
        self.time = batch.time.max(Wall(self.time.0.saturating_add(1)));
        let config = Arc::clone(&self.durable.config);
        let mut running = Running { sequence, requests: Vec::new(), settled: Vec::new() };
        // All of them first: settling one may let go of another that waits under the same number.
        let bodies: Vec<Body> = batch.requests.iter().filter_map(|digest| self.body(digest)).collect();
        assert_eq!(bodies.len(), batch.requests.len(), "a batch executes whole");
        let (mut requests, mut has_evicted) = (Vec::new(), false);
        let mut executed: BTreeMap<NodeId, Vec<(RequestNumber, usize)>> = BTreeMap::new();
        for body in bodies {
            let (gateway, number, asked) = (body.request.gateway, body.request.number, body.digest);
            let verdict = self.table.judge(&config, &gateway, number, self.time);
            self.pool.settle(&gateway, number);
            let (request, outcome) = match verdict {
                Verdict::New => {
                    has_evicted |= self.table.begin(&config, gateway, number, asked, sequence);
                    running.requests.push((gateway, number, asked));
                    let size = body.request.operations.as_bytes().len();
                    executed.entry(gateway).or_default().push((number, size));
                    requests.push(body);
                    continue;
                }
                // Its answer is on its way.
                Verdict::Executed { sequence: before, .. } if before > self.executed => continue,
                Verdict::Executed { request, outcome, .. } => (request, outcome),
                Verdict::TooOld(floor) => (asked, Outcome::TooOld(floor)),
                Verdict::TooNew => (asked, Outcome::TooNew),
            };
            running.settled.push((gateway, Answered { number, request, outcome }));
        }
        self.settle_old(&config, &mut running, has_evicted);
        for (gateway, executed) in executed {
            self.pool.make_room(&config, &self.config, turn.now.mono, &gateway, &executed);
        }
        self.counters.skipped_requests += (batch.requests.len() - requests.len()) as u64;
        self.issued = sequence;
        let is_empty = requests.is_empty();
        if !is_empty {
            turn.effects.push(Effect::Execute(Execution { sequence, time: self.time, requests }));
        }
        self.running.push_back(running);
        if self.running.len() == 1 && is_empty {
            self.finish_empty(turn);
        }
    }

    /// What waits under a number that is too old by now waits in vain: no primary takes it in, and none is to be left for it.
    /// Its gateway is told beside what the batch comes to: all that have it waiting find the same floor there, and it would
    /// else hear of it when it asks again, which may be seconds later.
    fn settle_old(&mut self, config: &EpochConfig, running: &mut Running, has_evicted: bool) {
        let executed = running.requests.iter().map(|(gateway, ..)| *gateway);
        let mut gateways: BTreeSet<NodeId> = executed.collect();
        if has_evicted {
            gateways.extend(self.pool.gateways());
        }
        for gateway in gateways {
            let answer = |(number, request)| match self.table.judge(config, &gateway, number, self.time) {
                Verdict::TooOld(floor) => Some(Answered { number, request, outcome: Outcome::TooOld(floor) }),
                Verdict::New | Verdict::Executed { .. } | Verdict::TooNew => None,
            };
            let old: Vec<Answered> = self.pool.waiting_of(&gateway).map_while(answer).collect();
            old.iter().for_each(|answered| self.pool.settle(&gateway, answered.number));
            running.settled.extend(old.into_iter().map(|answered| (gateway, answered)));
        }
    }

    /// The caller has executed a batch.
    pub(super) fn on_executed(
        &mut self,
        turn: &mut Turn<'_>,
        sequence: Sequence,
        outcomes: Vec<Octets>,
        change: Option<Membership>,
    ) -> Result<(), Rejection> {
        let front = self.running.front().filter(|front| front.sequence == sequence && !front.requests.is_empty());
        let Some(requests) = front.map(|front| front.requests.len()) else {
            return Err(Rejection::OutOfTurn(sequence));
        };
        if outcomes.len() != requests {
            self.halt(turn, Alarm::WrongOutcomes { sequence, requests, outcomes: outcomes.len() });
            return Ok(());
        }
        if let Some(change) = change
            && self.next_config.is_none()
            && let Ok(next) = changed(&self.durable.config, change, sequence)
        {
            self.next_config = Some((Arc::new(next), turn.now.mono));
        }
        self.finish(turn, outcomes);
        self.finish_empty(turn);
        self.strangers.look(turn.now.mono);
        self.execute(turn);
        self.propose(turn);
        self.try_install(turn);
        Ok(())
    }

    /// Batches in which nothing was left to execute: null requests, and repeats.
    fn finish_empty(&mut self, turn: &mut Turn<'_>) {
        while self.running.front().is_some_and(|front| front.requests.is_empty()) {
            self.finish(turn, Vec::new());
        }
    }

    fn finish(&mut self, turn: &mut Turn<'_>, outcomes: Vec<Octets>) {
        let Some(Running { sequence, requests, settled }) = self.running.pop_front() else { return };
        assert_eq!(sequence, self.executed.next(), "batches are done in order");
        let config = Arc::clone(&self.durable.config);
        let mut replies: BTreeMap<NodeId, Vec<Answered>> = BTreeMap::new();
        for ((gateway, number, request), answer) in requests.iter().zip(outcomes) {
            // What no reply could carry is not kept either.
            let outcome = match answer.len() <= config.client_bytes as usize {
                true => Outcome::Executed(answer),
                false => Outcome::Forgotten,
            };
            self.table.finish(&config, gateway, *number, outcome.clone());
            let answered = Answered { number: *number, request: *request, outcome };
            replies.entry(*gateway).or_default().push(answered);
        }
        for (gateway, answered) in settled {
            replies.entry(gateway).or_default().push(answered);
        }
        self.executed = sequence;
        self.counters.executed += 1;
        self.counters.executed_requests += requests.len() as u64;
        self.note_progress(turn, requests.len());
        self.note_round(turn, sequence);
        for (gateway, outcomes) in replies {
            self.reply(turn, gateway, sequence, outcomes);
        }
        if self.durable.config.is_checkpoint(sequence) {
            self.begin_summing(turn, sequence);
        }
    }

    pub(super) fn body(&self, digest: &Digest) -> Option<Body> {
        let kept = self.durable.bodies.get(digest);
        let kept = kept.map(|kept| Body { digest: *digest, request: Arc::clone(&kept.value) });
        kept.or_else(|| self.pool.get(digest).or_else(|| self.stash.get(digest)).cloned())
    }
}
