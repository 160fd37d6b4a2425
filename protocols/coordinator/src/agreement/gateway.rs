//! Users' operations on their way to the committee: packed into requests, signed once each, and answered when f + 1
//! members say the same.

use super::Latencies;
use crate::RequestId;
use mesh_pbft::{Client, ClientConfig, ClientEffect, Recipient, Verified};
use mesh_proto::{
    agreement::{AllRan, Operation, Ran},
    id::NetworkId,
    key::SecretKey,
    ledger::Index,
    limits,
    pbft::{EpochConfig, Message, Operations, Outcome, RequestNumber},
    time::{Mono, Now},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

/// Operations of one request: so many fit, each with its outcome, and nobody's are held up by another's for long.
const OPERATIONS: usize = 512;

/// How long operations wait for others to join their request while one is under way: each request costs every member a
/// signature to check, and one alone is not held up.
const HOLD: Duration = Duration::from_millis(4);

/// Bytes of operations that may wait for room in the window.
const WAITING_BYTES: usize = 16 * 1024 * 1024;

/// Who may wait for an outcome at once. Those of one operation are many where it is asked again and again.
const USERS: usize = 1 << 16;

pub struct Gateway {
    config: ClientConfig,
    network: NetworkId,
    key: Arc<SecretKey>,
    epoch: Arc<EpochConfig>,
    /// Made with the first operation: its numbers begin at the clock.
    client: Option<Client>,
    /// In the order in which they were asked first.
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// What waits, and commands that are under way, each with all who wait for it: what is asked again is not ordered
    /// again. Or repeats, of whom an unquiet time makes thousands, would be before all that comes later (simulator, seed
    /// 82545).
    asked: BTreeMap<Bytes, Asked>,
    users: usize,
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

/// An operation as it is ordered. Of a command the id is in it.
type Bytes = Arc<[u8]>;

/// A request that waits for an outcome, and an operation of it.
type User = (RequestId, u32);

struct Sent {
    operations: Vec<Bytes>,
    /// Of a request that is a question: who asked it. Who asks the same later may have seen more than its answer tells.
    asked: Option<Asked>,
    since: Mono,
}

#[derive(Debug, Default)]
struct Asked {
    /// Nobody waits for a tick of this node's own.
    users: Vec<User>,
    is_query: bool,
}

/// What the gateway wants done.
#[derive(Debug)]
pub enum Wish {
    Send(Recipient, Arc<Message>),
    Answer {
        request: RequestId,
        index: u32,
        at: Index,
        ran: Ran,
    },
    /// The clock of this node is far from agreed time: nothing of it can be ordered.
    TooNew {
        request: RequestId,
        index: u32,
    },
}

impl Gateway {
    pub fn new(config: ClientConfig, network: NetworkId, key: Arc<SecretKey>, epoch: Arc<EpochConfig>) -> Self {
        Self {
            config,
            network,
            key,
            epoch,
            client: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            asked: BTreeMap::new(),
            users: 0,
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
        self.waiting.len() + self.sent.values().map(|sent| sent.operations.len()).sum::<usize>()
    }

    /// Takes an operation, to be sent with the next flush. `false` if too much waits.
    pub fn ask(&mut self, user: Option<User>, operation: &Operation) -> bool {
        let bytes: Bytes = operation.encode().into();
        let is_new = !self.asked.contains_key(&bytes);
        let too_much = is_new && self.waiting_bytes + bytes.len() > WAITING_BYTES;
        if too_much || self.users + user.iter().len() > USERS {
            return false;
        }
        let is_query = matches!(operation, Operation::Query(_));
        self.attach(Arc::clone(&bytes), Asked { users: user.into_iter().collect(), is_query });
        if is_new {
            self.waiting_bytes += bytes.len();
            self.waiting.push_back(bytes);
        }
        true
    }

    fn attach(&mut self, operation: Bytes, more: Asked) {
        self.users += more.users.len();
        let asked = self.asked.entry(operation).or_insert_with(|| Asked { users: Vec::new(), is_query: more.is_query });
        asked.users.extend(more.users);
    }

    /// Who waits for this is to hear of it, or nobody any more.
    fn take(&mut self, operation: &Bytes) -> Option<Asked> {
        let asked = self.asked.remove(operation)?;
        self.users -= asked.users.len();
        Some(asked)
    }

    /// The user is gone. What was sent goes on; what waits for nobody else is dropped, or those that ask again and again
    /// while nothing can be agreed on would fill the room of all.
    pub fn leave(&mut self, request: RequestId) {
        let sent = self.sent.values_mut().filter_map(|sent| sent.asked.as_mut());
        let mut left = BTreeSet::new();
        for asked in sent {
            asked.users.retain(|(of, _)| *of != request);
        }
        for (operation, asked) in &mut self.asked {
            let before = asked.users.len();
            asked.users.retain(|(of, _)| *of != request);
            self.users -= before - asked.users.len();
            if before > 0 && asked.users.is_empty() {
                left.insert(Arc::clone(operation));
            }
        }
        if left.is_empty() {
            return;
        }
        self.waiting.retain(|operation| {
            let is_left = left.contains(operation);
            if is_left {
                self.waiting_bytes -= operation.len();
                self.asked.remove(operation);
            }
            !is_left
        });
    }

    /// Packs and sends what waits, as much as the window takes.
    pub fn flush(&mut self, now: Now, wishes: &mut Vec<Wish>) {
        if self.is_ahead && self.sent.is_empty() {
            (self.client, self.is_ahead) = (None, false);
        }
        let mut held_until = self.held_until.take();
        while !self.waiting.is_empty() && !self.is_ahead {
            if self.client.as_ref().is_some_and(|client| !client.has_room()) || self.holds(now.mono, held_until.take())
            {
                return;
            }
            let client = self.client.get_or_insert_with(|| {
                let first = RequestNumber::starting(now.wall);
                let (key, epoch) = (Arc::clone(&self.key), Arc::clone(&self.epoch));
                Client::new(self.config.clone(), self.network, key, epoch, first)
            });
            let batch = next_batch(&mut self.waiting, &self.asked, self.epoch.request_bytes as usize);
            self.waiting_bytes -= batch.iter().map(|operation| operation.len()).sum::<usize>();
            let mut effects = Vec::new();
            let operations = Operations::pack(batch.iter().map(|operation| &**operation));
            let number = operations.and_then(|operations| client.submit(now, operations, &mut effects).ok());
            // There is room, and the batch is within the limit. What is refused all the same is not lost: users wait for it.
            let Some(number) = number else { return self.put_back(batch) };
            let asked = batch.first().filter(|first| is_query(&self.asked, first)).and_then(|first| self.take(first));
            self.sent.insert(number, Sent { operations: batch, asked, since: now.mono });
            self.carry_out(now, effects, wishes);
        }
    }

    /// Whether what waits is to wait for more. It is not where nothing is under way (as Nagle has it, RFC 896), where it
    /// fills a request, and where the next is a query, which goes alone.
    fn holds(&mut self, now: Mono, until: Option<Mono>) -> bool {
        let is_full = self.waiting.len() >= OPERATIONS || self.waiting_bytes >= self.epoch.request_bytes as usize;
        let is_alone = self.waiting.front().is_some_and(|first| is_query(&self.asked, first));
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
                    self.done(sent, Index(sequence.get()), &outcome, wishes);
                }
                ClientEffect::Displaced { number } => {
                    let Some(sent) = self.sent.remove(&number) else { continue };
                    self.ask_again(sent);
                }
            }
        }
    }

    fn done(&mut self, sent: Sent, at: Index, outcome: &Outcome, wishes: &mut Vec<Wish>) {
        match outcome {
            Outcome::Executed(bytes) => {
                // One correct member says so: the encoding is what this build makes, or a later one's.
                let ran = AllRan::decode(bytes).map(|all| all.0).unwrap_or_default();
                let ran = ran.into_iter().chain(std::iter::repeat(Ran::Refused));
                for (asked, ran) in self.all(sent).into_iter().zip(ran) {
                    let ran = std::iter::repeat_n(ran, asked.users.len());
                    let answers = asked.users.into_iter().zip(ran);
                    wishes.extend(answers.map(|((request, index), ran)| Wish::Answer { request, index, at, ran }));
                }
            }
            // Not executed, or executed and the answer is lost: the ledger tells a command that ran before from a new one.
            Outcome::TooOld(_) | Outcome::Forgotten => self.ask_again(sent),
            Outcome::TooNew => {
                self.is_ahead = true;
                let users = self.all(sent).into_iter().flat_map(|asked| asked.users);
                wishes.extend(users.map(|(request, index)| Wish::TooNew { request, index }));
            }
        }
    }

    /// For each operation of a request who asked it, in its order.
    fn all(&mut self, Sent { operations, asked, .. }: Sent) -> Vec<Asked> {
        match asked {
            Some(asked) => vec![asked],
            None => operations.iter().map(|operation| self.take(operation).unwrap_or_default()).collect(),
        }
    }

    /// What somebody waits for goes into the next request.
    fn ask_again(&mut self, sent: Sent) {
        let operations = sent.operations.clone();
        let mut again = Vec::new();
        for (operation, asked) in operations.into_iter().zip(self.all(sent)) {
            if asked.users.is_empty() {
                continue;
            }
            // The same question of somebody else may wait already.
            if !self.asked.contains_key(&operation) {
                again.push(Arc::clone(&operation));
            }
            self.attach(operation, asked);
        }
        self.put_back(again);
    }

    /// In front of all that waits, in the same order.
    fn put_back(&mut self, batch: Vec<Bytes>) {
        for operation in batch.into_iter().rev() {
            self.waiting_bytes += operation.len();
            self.waiting.push_front(operation);
        }
    }
}

fn is_query(asked: &BTreeMap<Bytes, Asked>, operation: &Bytes) -> bool {
    asked.get(operation).is_some_and(|asked| asked.is_query)
}

/// What goes into one request: a query alone, since its answer may fill a reply, or commands.
fn next_batch(waiting: &mut VecDeque<Bytes>, asked: &BTreeMap<Bytes, Asked>, most: usize) -> Vec<Bytes> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(next) = waiting.front() {
        bytes += next.len() + 4;
        let is_query = is_query(asked, next);
        let is_alone = is_query && !batch.is_empty();
        if is_alone || batch.len() == OPERATIONS || bytes > most && !batch.is_empty() {
            break;
        }
        batch.extend(waiting.pop_front());
        if is_query {
            break;
        }
    }
    debug_assert!(limits::COMMAND_BYTES + 12 <= most, "the largest command fits a request");
    batch
}

#[cfg(test)]
mod tests;
