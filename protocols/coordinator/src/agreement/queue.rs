//! Users' operations that have no outcome yet, on their way into requests, whichever engine orders them.

use crate::RequestId;
use mesh_proto::{
    agreement::{Operation, Ran},
    ledger::{Body, Outcome, Rejection},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    sync::Arc,
};

/// Operations of one request: so many fit, each with its outcome, and nobody's are held up by another's for long.
pub const OPERATIONS: usize = 512;

/// Bytes of operations that may wait for their request.
const WAITING_BYTES: usize = 16 * 1024 * 1024;

/// Who may wait for an outcome at once. Those of one operation are many where it is asked again and again.
pub const USERS: usize = 1 << 16;

/// An operation as it is ordered. Of a command the id is in it.
type Bytes = Arc<[u8]>;

/// A request of a user that waits for an outcome, and which operation of it.
pub type User = (RequestId, u32);

/// What is asked again is not ordered again. Or repeats, of which an unquiet time makes thousands, would be before all that
/// comes later (simulator, seed 82545).
#[derive(Default)]
pub struct Queue {
    /// In the order in which they were asked first.
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// What waits, and commands that are under way, each with all who wait for it.
    asked: BTreeMap<Bytes, Asked>,
    users: usize,
}

#[derive(Debug, Default)]
struct Asked {
    users: Vec<User>,
    is_query: bool,
    /// This node's own, with nobody to ask it again: evidence. Of ticks there is always another.
    is_own: bool,
    /// A request of before carried it, too, and may have had it run.
    is_repeat: bool,
}

/// What goes into one request: commands, or a question.
#[derive(Debug, Default)]
pub struct Batch {
    operations: Vec<Bytes>,
    /// Of a question: who asked it before it left. Who asks the same later may have seen more than its answer tells.
    question: Option<Asked>,
}

impl Batch {
    pub fn operations(&self) -> impl Iterator<Item = &[u8]> {
        self.operations.iter().map(|operation| &**operation)
    }

    pub fn len(&self) -> usize {
        self.operations.len()
    }
}

impl Queue {
    /// Takes an operation. `false` if too much waits.
    pub fn ask(&mut self, user: Option<User>, operation: &Operation) -> bool {
        let bytes: Bytes = operation.encode().into();
        let is_new = !self.asked.contains_key(&bytes);
        let too_much = is_new && self.waiting_bytes + bytes.len() > WAITING_BYTES;
        if too_much || self.users + user.iter().len() > USERS {
            return false;
        }
        let is_query = matches!(operation, Operation::Query(_));
        let is_tick = matches!(operation, Operation::Command(command) if command.body == Body::Tick);
        let is_own = user.is_none() && !is_tick;
        let asked = Asked { users: user.into_iter().collect(), is_query, is_own, is_repeat: false };
        self.attach(Arc::clone(&bytes), asked);
        if is_new {
            self.waiting_bytes += bytes.len();
            self.waiting.push_back(bytes);
        }
        true
    }

    /// The user is gone. What is under way goes on; what waits for nobody else is dropped, or those that ask again and again
    /// while nothing can be agreed on would fill the room of all.
    pub fn leave<'a>(&mut self, request: RequestId, under_way: impl Iterator<Item = &'a mut Batch>) {
        for question in under_way.filter_map(|batch| batch.question.as_mut()) {
            question.users.retain(|(of, _)| *of != request);
        }
        let mut left = BTreeSet::new();
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

    /// Operations that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether a question is next.
    pub fn is_question_next(&self) -> bool {
        self.waiting.front().is_some_and(|next| self.is_query(next))
    }

    /// What goes into the next request, of at most so many bytes: a question alone, since its answer may fill a reply, or
    /// commands. One that is larger goes alone.
    pub fn next(&mut self, most: usize) -> Batch {
        let (mut operations, mut bytes) = (Vec::new(), 0);
        let mut question = None;
        while let Some(next) = self.waiting.front() {
            bytes += next.len() + 4;
            let is_query = self.is_query(next);
            let is_full = is_query || operations.len() == OPERATIONS || bytes > most;
            if is_full && !operations.is_empty() {
                break;
            }
            let Some(next) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= next.len();
            question = if is_query { self.take(&next) } else { None };
            operations.push(next);
            if is_query {
                break;
            }
        }
        Batch { operations, question }
    }

    /// It did not leave: in front of all that waits, in the same order.
    pub fn put_back(&mut self, Batch { operations, question }: Batch) {
        // The same question may have been asked since, and wait.
        let is_asked = question.is_some() && operations.first().is_some_and(|first| self.asked.contains_key(first));
        if let (Some(asked), Some(operation)) = (question, operations.first()) {
            self.attach(Arc::clone(operation), asked);
        }
        for operation in operations.into_iter().rev().filter(|_| !is_asked) {
            self.waiting_bytes += operation.len();
            self.waiting.push_front(operation);
        }
    }

    /// It left and came to nothing: what somebody waits for goes into the next request.
    pub fn ask_again(&mut self, mut batch: Batch) {
        match &batch.question {
            Some(asked) if asked.users.is_empty() => return,
            Some(_) => {}
            None => batch.operations.retain(|operation| {
                let is_waited_for =
                    self.asked.get(operation).is_some_and(|asked| asked.is_own || !asked.users.is_empty());
                if !is_waited_for {
                    self.asked.remove(operation);
                } else if let Some(asked) = self.asked.get_mut(operation) {
                    asked.is_repeat = true;
                }
                is_waited_for
            }),
        }
        self.put_back(batch);
    }

    /// It has an outcome: who waits for each operation, in their order.
    pub fn finish(&mut self, batch: Batch) -> Vec<Vec<User>> {
        self.close(batch).into_iter().map(|asked| asked.users).collect()
    }

    /// What each who waited is to be told: the outcomes, in the order of the operations. What has none was refused.
    ///
    /// Nothing where that cannot be known: a command that was sent more than once (`is_repeat`: this whole request was) may
    /// have run before the ledger forgot all that is as old, and whoever hears `Stale` may take it for new.
    pub fn answer(
        &mut self,
        batch: Batch,
        ran: Vec<Ran>,
        is_repeat: bool,
    ) -> impl Iterator<Item = (User, Option<Ran>)> {
        let ran = ran.into_iter().chain(std::iter::repeat(Ran::Refused));
        let all = self.close(batch).into_iter().zip(ran);
        all.flat_map(move |(asked, ran)| {
            let is_stale = matches!(ran, Ran::Outcome(Outcome::Rejected(Rejection::Stale { .. })));
            let told = (!is_stale || !(is_repeat || asked.is_repeat)).then_some(ran);
            let told = std::iter::repeat_n(told, asked.users.len());
            asked.users.into_iter().zip(told)
        })
    }

    fn close(&mut self, Batch { operations, question }: Batch) -> Vec<Asked> {
        match question {
            Some(asked) => vec![asked],
            None => operations.iter().map(|operation| self.take(operation).unwrap_or_default()).collect(),
        }
    }

    fn attach(&mut self, operation: Bytes, more: Asked) {
        self.users += more.users.len();
        match self.asked.entry(operation) {
            Entry::Vacant(place) => {
                place.insert(more);
            }
            Entry::Occupied(asked) => asked.into_mut().users.extend(more.users),
        }
    }

    fn take(&mut self, operation: &Bytes) -> Option<Asked> {
        let asked = self.asked.remove(operation)?;
        self.users -= asked.users.len();
        Some(asked)
    }

    fn is_query(&self, operation: &Bytes) -> bool {
        self.asked.get(operation).is_some_and(|asked| asked.is_query)
    }

    #[cfg(test)]
    pub fn users(&self) -> usize {
        self.users
    }

    /// Neither waiting nor under way.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_empty() && (self.users, self.waiting_bytes) == (0, 0)
    }
}
