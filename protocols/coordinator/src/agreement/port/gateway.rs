//! Users' operations on their way to whoever leads: packed into requests, a few under way at once. One member's word is
//! enough. Who carries a request tries until it is answered; asked twice a command runs once, as the ledger knows its id.

use crate::{
    Refusal, RequestId,
    agreement::{
        Latencies,
        queue::{Batch, Queue, User},
    },
};
use mesh_proto::{
    agreement::{AllRan, Operation, Ran},
    codec,
    ledger::Index,
    pbft::Operations,
    time::Mono,
};
use std::collections::BTreeMap;

/// Bytes of one request: the largest command fits, and an entry of the engine's log holds it.
const REQUEST_BYTES: usize = 96 * 1024;
/// Requests under way. While there are so many, what comes waits, and goes together.
const UNDER_WAY: usize = 8;
/// Bytes of the outcome of one request.
const OUTCOME_BYTES: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub struct Gateway {
    queue: Queue,
    sent: BTreeMap<u64, Sent>,
    tickets: u64,
    latencies: Latencies,
    /// What is known to be executed.
    index: Index,
}

struct Sent {
    batch: Batch,
    since: Mono,
}

/// What the gateway wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    Order { ticket: u64, operations: Operations },
    Answer { request: RequestId, index: u32, at: Index, ran: Ran },
    Refuse { request: RequestId, index: u32, why: Refusal },
}

impl Gateway {
    pub fn index(&self) -> Index {
        self.index
    }

    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    pub fn under_way(&self) -> usize {
        self.queue.len() + self.sent.values().map(|sent| sent.batch.len()).sum::<usize>()
    }

    /// Takes an operation, to be sent with the next flush. `false` if too much waits.
    pub fn ask(&mut self, user: Option<User>, operation: &Operation) -> bool {
        self.queue.ask(user, operation)
    }

    pub fn leave(&mut self, request: RequestId) {
        self.queue.leave(request, self.sent.values_mut().map(|sent| &mut sent.batch));
    }

    /// Packs and sends what waits, as much as may be under way.
    pub fn flush(&mut self, now: Mono, wishes: &mut Vec<Wish>) {
        while !self.queue.is_empty() && self.sent.len() < UNDER_WAY {
            let batch = self.queue.next(REQUEST_BYTES);
            // What is too long to be packed is no operation: none is.
            let Some(operations) = Operations::pack(batch.operations()) else {
                self.queue.finish(batch);
                continue;
            };
            self.tickets += 1;
            let ticket = self.tickets;
            self.sent.insert(ticket, Sent { batch, since: now });
            wishes.push(Wish::Order { ticket, operations });
        }
    }

    /// `outcome`: of the operations, and whether the request was sent more than once.
    pub fn answered(&mut self, now: Mono, ticket: u64, at: Index, outcome: (&[u8], bool), wishes: &mut Vec<Wish>) {
        let (outcome, is_repeat) = outcome;
        let Some(Sent { batch, since }) = self.sent.remove(&ticket) else { return };
        self.index = self.index.max(at);
        self.latencies.note(now.since(since));
        // The encoding is what this build makes, or a later one's.
        let ran: Vec<Ran> = codec::decode(outcome, OUTCOME_BYTES).map(|AllRan(all)| all).unwrap_or_default();
        let answers = self.queue.answer(batch, ran, is_repeat);
        wishes.extend(answers.map(|((request, index), ran)| match ran {
            Some(ran) => Wish::Answer { request, index, at, ran },
            None => Wish::Refuse { request, index, why: Refusal::Forgotten },
        }));
    }
}
