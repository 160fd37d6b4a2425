//! Awards: the right to run a task that is to have one execution at most. The committee gives it to one node at a time,
//! under a lease in agreed time and a fencing number; so a partition, or a driver that takes a slow node for dead, cannot
//! make two of it. DESIGN section 6.
//!
//! A lease counts here from before it was asked for, and a command whose award cannot be renewed is killed before its end: by
//! this node, or where that is stopped by its guard, which waits 10 s for it. What can make two executions overlap all the
//! same is a clock that runs at another pace than the committee's by a tenth, and a machine that stands still as a whole: what
//! they write to is to refuse the lower `MESH_FENCE`.

use crate::{api::brain::Brain as _, brain::BrainHandle};
use mesh_coordinator::{Answer, Command, Refusal};
use mesh_proto::{
    agreement::{Operation, Ran},
    id::{NodeId, TaskId},
    ledger::{self, Body, Claim, CommandId, Done, Fence, Index, Outcome, Principal, Rejection},
    task::Octets,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// What an award lasts for, each time it is renewed: until it is given up, then for its command to die in, and for twice what
/// the clocks of those that say the agreed time may be apart (`mesh_pbft::Config::time_bound`): 15, 10 and 20 s, and a tenth.
const LEASE: Duration = Duration::from_secs(50);
/// An award that is so old is renewed.
const RENEW: Duration = Duration::from_secs(5);
/// An award that could not be renewed for so long is given up: the rest of the lease is for the command to die in.
const GIVE_UP: Duration = Duration::from_secs(15);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest pause where another has it: each try is ordered by the committee.
const PAUSE_MAX: Duration = Duration::from_secs(4);
/// One try of the committee.
const TRY: Duration = Duration::from_secs(5);

/// Takes awards for this node.
#[derive(Clone)]
pub struct Awards {
    brain: BrainHandle,
    me: NodeId,
    principal: Principal,
    /// What the committee is known to have executed: keys are drawn after it.
    known: Arc<AtomicU64>,
}

/// One that this node has.
pub struct Award {
    awards: Awards,
    task: TaskId,
    fence: Fence,
    /// Before the last grant was asked for.
    asked: Instant,
}

/// Why none can be had, ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AwardError {
    #[error("its assignment cannot be agreed on: {0}")]
    Refused(Refusal),
    #[error("its assignment was rejected: {0}")]
    Rejected(Rejection),
}

impl Awards {
    pub fn new(brain: BrainHandle, me: NodeId, principal: Principal) -> Self {
        Self { brain, me, principal, known: Arc::default() }
    }

    /// Waits while another has it, or nothing can be agreed on.
    pub async fn take(&self, task: TaskId) -> Result<Award, AwardError> {
        let lease_ms = millis(LEASE);
        let body = Body::Award { task, to: self.me, lease_ms };
        let (mut key, mut asked) = (drawn(), Instant::now());
        let mut pause = PAUSE;
        loop {
            match timeout(TRY, self.order(&key, body.clone())).await {
                Ok(Err(why)) => return Err(why),
                Ok(Ok(Some(Outcome::Done(Done::Granted { fence, .. })))) => {
                    let mut award = Award { awards: self.clone(), task, fence, asked };
                    // It may be the grant of an early try, and most of its time over.
                    if asked.elapsed() < RENEW || award.renew().await == Renewed::Yes {
                        return Ok(award);
                    }
                }
                Ok(Ok(Some(Outcome::Rejected(why)))) if !is_for_now(&why) => return Err(AwardError::Rejected(why)),
                Ok(Ok(Some(_))) => {}
                // Under the same key the same answer comes back: wanted where it was not heard, and nowhere else.
                Ok(Ok(None)) | Err(_) => {
                    sleep(PAUSE).await;
                    continue;
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            (key, asked) = (drawn(), Instant::now());
        }
    }

    /// `None` without an answer.
    async fn order(&self, key: &Octets, body: Body) -> Result<Option<Outcome>, AwardError> {
        let born = Index(self.known.load(Ordering::Relaxed));
        let id = CommandId { principal: self.principal.clone(), key: key.clone(), born };
        let operations = vec![Operation::Command(Box::new(ledger::Command { id, body }))];
        let answer = match self.brain.ask(Command::Order { operations }).await {
            Ok(answers) => answers.one().await,
            Err(_) => None,
        };
        match answer {
            Some(Answer::Ordered { at, ran: Ran::Outcome(outcome), .. }) => {
                self.known.fetch_max(at.0, Ordering::Relaxed);
                Ok(Some(outcome))
            }
            Some(Answer::Refused { why: why @ Refusal::NoAgreement, .. }) => Err(AwardError::Refused(why)),
            _ => Ok(None),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewed {
    Yes,
    /// It is another's, or nobody's.
    No,
    Unknown,
}

impl Award {
    /// The number of the grant: above all that were ever given.
    pub fn fence(&self) -> u64 {
        self.fence.0
    }

    /// Renews it until it is lost; then says why.
    pub async fn keep(&mut self) -> String {
        let mut due = self.asked + RENEW;
        loop {
            let over = self.asked + GIVE_UP;
            sleep_until(due.min(over)).await;
            if Instant::now() >= over {
                return format!("the committee did not renew its award within {GIVE_UP:?}");
            }
            match timeout_at(over, self.renew()).await {
                Ok(Renewed::Yes) => due = self.asked + RENEW,
                Ok(Renewed::No) => return "its award is another's".into(),
                Ok(Renewed::Unknown) | Err(_) => due = Instant::now() + PAUSE,
            }
        }
    }

    async fn renew(&mut self) -> Renewed {
        let asked = Instant::now();
        let body = Body::Renew { claim: Claim::Task(self.task), fence: self.fence, lease_ms: millis(LEASE) };
        match timeout(TRY, self.awards.order(&drawn(), body)).await {
            Ok(Ok(Some(Outcome::Done(Done::Granted { .. })))) => {
                self.asked = asked;
                Renewed::Yes
            }
            Ok(Ok(Some(Outcome::Rejected(Rejection::NotHeld | Rejection::NotOwner)))) => Renewed::No,
            Ok(_) | Err(_) => Renewed::Unknown,
        }
    }

    /// Gives it back. Where that fails it is free when the lease is over.
    pub async fn release(self) {
        let body = Body::Unlock { claim: Claim::Task(self.task), fence: self.fence };
        let released = timeout(TRY, self.awards.order(&drawn(), body)).await;
        if !matches!(released, Ok(Ok(Some(Outcome::Done(_))))) {
            tracing::debug!(task = %self.task, "an award was not given back, and ends by itself");
        }
    }
}

/// Another has it, or there is no room for one more, or this node knows too little of what was executed.
fn is_for_now(why: &Rejection) -> bool {
    matches!(
        why,
        Rejection::Held(_)
            | Rejection::TooMany
            | Rejection::Full
            | Rejection::Stale { .. }
            | Rejection::Ahead
            | Rejection::Reused
    )
}

fn drawn() -> Octets {
    rand::random::<[u8; 16]>().as_slice().into()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
