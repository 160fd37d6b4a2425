//! The load of one gateway, offered to the brain of the node in this process: as a service on the node's machine would,
//! without a request of HTTP for each operation.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use mesh_coordinator::{Answer, Command};
use mesh_proto::agreement::Operation;
use mesh_proto::ledger::{Index, NameError};

use super::operations::{End, Operations};
use super::pace::Schedule;
use super::tally::Tally;
use super::wire::{Load, Report};
use crate::api::brain::{Answers, Brain, BrainGone};

/// How long the last answers are waited for.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Keys that are read back, one of each so many by number.
const READ_BACK: usize = 100;
/// What was refused for want of room is followed by nothing for so long.
const PAUSE: Duration = Duration::from_millis(5);

/// Why there is no load.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Gone(#[from] BrainGone),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("{what} within {} s: is the machine too slow for so many nodes?", PATIENCE.as_secs())]
    Late { what: String },
    #[error("the node answered {0}")]
    Answer(String),
}

/// A load under way.
pub struct Loader<'a, B> {
    brain: &'a B,
    operations: Operations,
    schedule: Schedule,
    tally: Tally,
    listening: FuturesUnordered<BoxFuture<'static, Heard>>,
    under_way: usize,
    /// The number of the next operation.
    next: u64,
    /// The last batch that an answer told of.
    born: Index,
    /// Numbers of operations that ended well, to be read back.
    samples: Vec<Option<u64>>,
    /// Nothing is offered before, as there was no room.
    not_before: Option<Instant>,
}

/// An order to the brain.
struct Asked {
    answers: Answers,
    /// The number of its first operation.
    first: u64,
    /// When each was due; none of those that have their answer.
    due: Vec<Option<Instant>>,
}

/// The next answers; none after the last.
type Heard = (Asked, Option<Vec<Answer>>);

async fn hear(mut asked: Asked) -> Heard {
    let batch = asked.answers.next().await;
    (asked, batch)
}

impl<'a, B: Brain> Loader<'a, B> {
    pub fn new(brain: &'a B, load: &Load, born: Index) -> Result<Self, LoadError> {
        let begin = instant_of(load.begin_us);
        let from = begin + Duration::from_millis(load.warm_up_ms);
        let to = from + Duration::from_millis(load.measured_ms);
        Ok(Self {
            brain,
            operations: Operations::new(load.payload)?,
            schedule: Schedule::new(load.pace, load.gateway, load.gateways, begin, to),
            tally: Tally::new(begin, from, to),
            listening: FuturesUnordered::new(),
            under_way: 0,
            next: 0,
            born,
            samples: vec![None; READ_BACK],
            not_before: None,
        })
    }

    /// Offers it all and waits for the last answers.
    pub async fn run(mut self) -> Result<Report, LoadError> {
        tokio::time::sleep_until(self.schedule.begin.into()).await;
        while Instant::now() < self.schedule.end {
            self.offer().await?;
            let next = self.not_before.unwrap_or_else(|| self.schedule.next());
            tokio::select! {
                Some(heard) = self.listening.next() => self.take(heard),
                () = tokio::time::sleep_until(next.into()) => {}
            }
            // What else is there makes room for one larger order.
            while let Some(Some(heard)) = self.listening.next().now_or_never() {
                self.take(heard);
            }
        }
        self.tally.missed(self.schedule.missed());
        let until = Instant::now() + PATIENCE;
        while let Ok(Some(heard)) = tokio::time::timeout_at(until.into(), self.listening.next()).await {
            self.take(heard);
        }
        let unanswered = self.under_way;
        self.read_back().await?;
        Ok(self.tally.report(unanswered))
    }

    async fn offer(&mut self) -> Result<(), LoadError> {
        loop {
            let now = Instant::now();
            if self.not_before.is_some_and(|time| now < time) {
                return Ok(());
            }
            self.not_before = None;
            let due = self.schedule.due(now, self.under_way);
            if due.is_empty() {
                return Ok(());
            }
            self.tally.offered(&due);
            let first = self.next;
            self.next += due.len() as u64;
            self.under_way += due.len();
            let put = |number| self.operations.put(number, self.born);
            let operations: Vec<Operation> = (first..self.next).map(put).collect::<Result<_, _>>()?;
            let answers = self.brain.ask(Command::Order { operations }).await?;
            let asked = Asked { answers, first, due: due.into_iter().map(Some).collect() };
            self.listening.push(hear(asked).boxed());
        }
    }

    fn take(&mut self, (mut asked, batch): Heard) {
        let Some(batch) = batch else { return };
        let now = Instant::now();
        for answer in batch {
            self.judge(now, &mut asked, answer);
        }
        self.listening.push(hear(asked).boxed());
    }

    fn judge(&mut self, now: Instant, asked: &mut Asked, answer: Answer) {
        let (Answer::Ordered { index, .. } | Answer::Refused { index, .. }) = &answer else {
            return self.tally.wrong(format!("answered {answer:?}"));
        };
        let place = *index as usize;
        let Some(due) = asked.due.get_mut(place).and_then(Option::take) else {
            return self.tally.wrong(format!("answered a second time: {answer:?}"));
        };
        self.under_way -= 1;
        match answer {
            Answer::Ordered { at, ran, .. } => {
                self.born = self.born.max(at);
                let end = End::of(&ran);
                if end == End::Well {
                    let number = asked.first + place as u64;
                    self.samples[number as usize % READ_BACK] = Some(number);
                }
                self.tally.ended(due, now, end);
            }
            Answer::Refused { why, .. } => {
                // A schedule waits for nobody; who takes what there is room for tries again.
                self.not_before = (!self.schedule.is_by_clock()).then(|| now + PAUSE);
                self.tally.refused(why.to_string());
            }
            _ => {}
        }
    }

    /// What was answered must be there.
    async fn read_back(&mut self) -> Result<(), LoadError> {
        let samples: Vec<u64> = self.samples.iter().copied().flatten().collect();
        for number in samples {
            match one(self.brain, self.operations.get(number)?).await? {
                Answer::Ordered { ran, .. } if self.operations.is_there(number, &ran) => self.tally.read_back(),
                answer => self.tally.wrong(format!("operation {number} was read back as {answer:?}")),
            }
        }
        Ok(())
    }
}

/// Has one operation ordered.
pub async fn one(brain: &impl Brain, operation: Operation) -> Result<Answer, LoadError> {
    let asked = async { Ok(brain.ask(Command::Order { operations: vec![operation] }).await?.one().await) };
    let late = || LoadError::Late { what: "the committee did not answer".to_owned() };
    let answer: Result<Option<Answer>, BrainGone> = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| late())?;
    Ok(answer?.ok_or(BrainGone)?)
}

/// The same moment on the clock that does not jump.
fn instant_of(unix_us: u64) -> Instant {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = Duration::from_micros(unix_us);
    match then.checked_sub(since) {
        Some(ahead) => Instant::now() + ahead,
        None => Instant::now() - (since - then),
    }
}
