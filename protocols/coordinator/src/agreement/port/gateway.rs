//! Users' operations on their way to whoever leads: packed into requests, a few under way at once. One member's word is
//! enough. Who carries a request tries until it is answered; asked twice a command runs once, as the ledger knows its id.

use crate::{RequestId, agreement::Latencies};
use mesh_proto::{
    agreement::{AllRan, Operation, Ran},
    codec,
    ledger::Index,
    pbft::Operations,
    time::Mono,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Operations of one request.
const OPERATIONS: usize = 512;
/// Bytes of one request: the largest command fits, and an entry of the engine's log holds it.
const REQUEST_BYTES: usize = 96 * 1024;
/// Bytes of operations that may wait.
const WAITING_BYTES: usize = 16 * 1024 * 1024;
/// Requests under way. While there are so many, what comes waits, and goes together.
const UNDER_WAY: usize = 8;
/// Bytes of the outcome of one request.
const OUTCOME_BYTES: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub struct Gateway {
    waiting: VecDeque<Asked>,
    waiting_bytes: usize,
    sent: BTreeMap<u64, Sent>,
    tickets: u64,
    latencies: Latencies,
    /// What is known to be executed.
    index: Index,
}

struct Sent {
    asked: Vec<Asked>,
    since: Mono,
}

/// An operation of a user.
struct Asked {
    /// Nobody waits for a tick of this node's own.
    user: Option<(RequestId, u32)>,
    operation: Arc<[u8]>,
    is_query: bool,
}

/// What the gateway wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    Order { ticket: u64, operations: Operations },
    Answer { request: RequestId, index: u32, at: Index, ran: Ran },
}

impl Gateway {
    pub fn index(&self) -> Index {
        self.index
    }

    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    pub fn under_way(&self) -> usize {
        self.waiting.len() + self.sent.values().map(|sent| sent.asked.len()).sum::<usize>()
    }

    /// Takes an operation, to be sent with the next flush. `false` if too much waits.
    pub fn ask(&mut self, user: Option<(RequestId, u32)>, operation: &Operation) -> bool {
        let bytes = operation.encode();
        if self.waiting_bytes + bytes.len() > WAITING_BYTES {
            return false;
        }
        self.waiting_bytes += bytes.len();
        let is_query = matches!(operation, Operation::Query(_));
        self.waiting.push_back(Asked { user, operation: bytes.into(), is_query });
        true
    }

    /// The user is gone. What was sent goes on; what waits is dropped, or those that ask again and again while nothing can
    /// be agreed on would fill the room of all.
    pub fn leave(&mut self, request: RequestId) {
        let is_its = |asked: &Asked| asked.user.is_some_and(|(of, _)| of == request);
        self.waiting.retain(|asked| !is_its(asked));
        self.waiting_bytes = self.waiting.iter().map(|asked| asked.operation.len()).sum();
        for asked in self.sent.values_mut().flat_map(|sent| &mut sent.asked).filter(|asked| is_its(asked)) {
            asked.user = None;
        }
    }

    /// Packs and sends what waits, as much as may be under way.
    pub fn flush(&mut self, now: Mono, wishes: &mut Vec<Wish>) {
        while !self.waiting.is_empty() && self.sent.len() < UNDER_WAY {
            let batch = self.next_batch();
            // What is too long to be packed is no operation: none is.
            let Some(operations) = Operations::pack(batch.iter().map(|asked| &*asked.operation)) else { continue };
            self.tickets += 1;
            let ticket = self.tickets;
            self.sent.insert(ticket, Sent { asked: batch, since: now });
            wishes.push(Wish::Order { ticket, operations });
        }
    }

    /// What goes into one request: a query alone, as whoever executes it answers one a request, or commands.
    fn next_batch(&mut self) -> Vec<Asked> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.waiting.front() {
            let size = next.operation.len() + 4;
            let is_full = next.is_query || batch.len() == OPERATIONS || bytes + size > REQUEST_BYTES;
            if is_full && !batch.is_empty() {
                break;
            }
            bytes += size;
            self.waiting_bytes -= next.operation.len();
            let is_query = next.is_query;
            batch.extend(self.waiting.pop_front());
            if is_query {
                break;
            }
        }
        batch
    }

    pub fn answered(&mut self, now: Mono, ticket: u64, at: Index, outcome: &[u8], wishes: &mut Vec<Wish>) {
        let Some(Sent { asked, since }) = self.sent.remove(&ticket) else { return };
        self.index = self.index.max(at);
        self.latencies.note(now.since(since));
        // The encoding is what this build makes, or a later one's.
        let ran: Vec<Ran> = codec::decode(outcome, OUTCOME_BYTES).map(|AllRan(all)| all).unwrap_or_default();
        let ran = ran.into_iter().chain(std::iter::repeat(Ran::Refused));
        for (asked, ran) in asked.into_iter().zip(ran) {
            let Some((request, index)) = asked.user else { continue };
            wishes.push(Wish::Answer { request, index, at, ran });
        }
    }
}
