//! Users' operations on their way to the committee: packed into requests, signed once each, and answered when f + 1
//! members say the same.

use super::{
    Latencies,
    queue::{Batch, OPERATIONS, Queue, User},
};
use crate::{Refusal, RequestId};
use mesh_pbft::{Client, ClientConfig, ClientEffect, Recipient, Verified};
use mesh_proto::{
    agreement::{AllRan, Operation, Ran},
    id::NetworkId,
    key::SecretKey,
    ledger::Index,
    pbft::{EpochConfig, Message, Operations, Outcome, RequestNumber},
    time::{Mono, Now},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How long operations wait for others to join their request while one is under way: each request costs every member a
/// signature to check, and one alone is not held up.
const HOLD: Duration = Duration::from_millis(4);

pub struct Gateway {
    config: ClientConfig,
    network: NetworkId,
    key: Arc<SecretKey>,
    epoch: Arc<EpochConfig>,
    /// Made with the first operation: its numbers begin at the clock.
    client: Option<Client>,
    queue: Queue,
    /// When those that wait for others to join them are sent without.
    held_until: Option<Mono>,
    /// Under way, by the request that carries them.
    sent: BTreeMap<RequestNumber, Sent>,
    latencies: Latencies,
    /// What is known to be executed.
    index: Index,
    /// The client's numbers are of a clock that was ahead: the next begins at the clock, once nothing is under way.
    is_ahead: bool,
}

struct Sent {
    batch: Batch,
    since: Mono,
}

/// What the gateway wants done.
#[derive(Debug)]
pub enum Wish {
    Send(Recipient, Arc<Message>),
    Answer { request: RequestId, index: u32, at: Index, ran: Ran },
    Refuse { request: RequestId, index: u32, why: Refusal },
}

impl Gateway {
    pub fn new(config: ClientConfig, network: NetworkId, key: Arc<SecretKey>, epoch: Arc<EpochConfig>) -> Self {
        Self {
            config,
            network,
            key,
            epoch,
            client: None,
            queue: Queue::default(),
            held_until: None,
            sent: BTreeMap::new(),
            latencies: Latencies::default(),
            index: Index::GENESIS,
            is_ahead: false,
        }
    }

    pub fn index(&self) -> Index {
        self.index
    }

    pub fn epoch(&self) -> &Arc<EpochConfig> {
        &self.epoch
    }

    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// Operations whose outcome is not known.
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

    /// Packs and sends what waits, as much as the window takes.
    pub fn flush(&mut self, now: Now, wishes: &mut Vec<Wish>) {
        if self.is_ahead && self.sent.is_empty() {
            (self.client, self.is_ahead) = (None, false);
        }
        let mut held_until = self.held_until.take();
        while !self.queue.is_empty() && !self.is_ahead {
            if self.client.as_ref().is_some_and(|client| !client.has_room()) || self.holds(now.mono, held_until.take())
            {
                return;
            }
            let client = self.client.get_or_insert_with(|| {
                let first = RequestNumber::starting(now.wall);
                let (key, epoch) = (Arc::clone(&self.key), Arc::clone(&self.epoch));
                Client::new(self.config.clone(), self.network, key, epoch, first)
            });
            let batch = self.queue.next(self.epoch.request_bytes as usize);
            let mut effects = Vec::new();
            let operations = Operations::pack(batch.operations());
            let number = operations.and_then(|operations| client.submit(now, operations, &mut effects).ok());
            // There is room, and the batch is within the limit. What is refused all the same is not lost: users wait for it.
            let Some(number) = number else { return self.queue.put_back(batch) };
            self.sent.insert(number, Sent { batch, since: now.mono });
            self.carry_out(now, effects, wishes);
        }
    }

    /// Whether what waits is to wait for more. It is not where nothing is under way (as Nagle has it, RFC 896), where it
    /// fills a request, and where the next is a query, which goes alone.
    fn holds(&mut self, now: Mono, until: Option<Mono>) -> bool {
        let is_full = self.queue.len() >= OPERATIONS || self.queue.bytes() >= self.epoch.request_bytes as usize;
        let is_alone = self.queue.is_question_next();
        if self.sent.is_empty() || is_full || is_alone {
            return false;
        }
        self.held_until = Some(until.unwrap_or(now + HOLD)).filter(|until| now < *until);
        self.held_until.is_some()
    }

    pub fn handle(&mut self, now: Now, verified: Verified, wishes: &mut Vec<Wish>) {
        let Some(client) = &mut self.client else { return };
        let mut effects = Vec::new();
        // A reply beyond f + 1 is nothing that anybody waits for.
        if client.handle(verified, &mut effects).is_ok() {
            self.carry_out(now, effects, wishes);
        }
    }

    /// With it the next flush sends what was held.
    pub fn deadline(&self) -> Option<Mono> {
        let client = self.client.as_ref().and_then(Client::deadline);
        [client, self.held_until].into_iter().flatten().min()
    }

    pub fn handle_deadline(&mut self, now: Now, wishes: &mut Vec<Wish>) {
        let Some(client) = &mut self.client else { return };
        let mut effects = Vec::new();
        client.handle_deadline(now, &mut effects);
        self.carry_out(now, effects, wishes);
    }

    pub fn set_epoch(&mut self, now: Now, epoch: &Arc<EpochConfig>) {
        if epoch.epoch > self.epoch.epoch {
            self.epoch = Arc::clone(epoch);
            if let Some(client) = &mut self.client {
                client.set_epoch(Arc::clone(epoch), now);
            }
        }
    }

    fn carry_out(&mut self, now: Now, effects: Vec<ClientEffect>, wishes: &mut Vec<Wish>) {
        for effect in effects {
            match effect {
                ClientEffect::Send { to, message } => wishes.push(Wish::Send(to, message)),
                ClientEffect::Done { number, sequence, outcome, .. } => {
                    self.index = self.index.max(Index(sequence.get()));
                    let Some(sent) = self.sent.remove(&number) else { continue };
                    self.latencies.note(now.mono.since(sent.since));
                    self.done(sent.batch, Index(sequence.get()), &outcome, wishes);
                }
                ClientEffect::Displaced { number } => {
                    let Some(sent) = self.sent.remove(&number) else { continue };
                    self.queue.ask_again(sent.batch);
                }
            }
        }
    }

    fn done(&mut self, batch: Batch, at: Index, outcome: &Outcome, wishes: &mut Vec<Wish>) {
        match outcome {
            Outcome::Executed(bytes) => {
                // One correct member says so: the encoding is what this build makes, or a later one's.
                let ran = AllRan::decode(bytes).map(|all| all.0).unwrap_or_default();
                let answers = self.queue.answer(batch, ran, false);
                wishes.extend(answers.map(|((request, index), ran)| match ran {
                    Some(ran) => Wish::Answer { request, index, at, ran },
                    None => Wish::Refuse { request, index, why: Refusal::Forgotten },
                }));
            }
            // Not executed, or executed and the answer is lost: the ledger tells a command that ran before from a new one.
            Outcome::TooOld(_) | Outcome::Forgotten => self.queue.ask_again(batch),
            Outcome::TooNew => {
                // The clock of this node is far from agreed time: nothing of it can be ordered.
                self.is_ahead = true;
                let users = self.queue.finish(batch).into_iter().flatten();
                let why = Refusal::ClockAhead;
                wishes.extend(users.map(|(request, index)| Wish::Refuse { request, index, why: why.clone() }));
            }
        }
    }
}

#[cfg(test)]
mod tests;
