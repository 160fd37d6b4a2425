//! Awards: the right to run a task that is to have one execution at most. The committee gives it to one node at a time,
//! under a lease in agreed time and a fencing number; so a partition, or a driver that takes a slow node for dead, cannot
//! make two of it. DESIGN section 6.
//!
//! A lease counts here from before it was asked for, and a command whose award cannot be renewed is killed before its end: by
//! this node, or where that is stopped by its guard, which waits 10 s for it. What can make two executions overlap all the
//! same is a clock that runs at another pace than the committee's by a tenth, and a machine that stands still as a whole: what
//! they write to is to refuse the lower `MESH_FENCE`.

use crate::api::brain::Brain;
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
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

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
/// How long is waited. An attempt holds a slot while it waits for its award.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// For one try of the committee.
    one_try: Duration,
    /// Where the committee does not answer, since then it does not anywhere.
    unanswered: Duration,
    /// Where another has it, whose lease is over before that if it ended with its node.
    held: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { one_try: seconds(5), unanswered: seconds(15), held: seconds(60) }
    }
}

/// Takes awards for this node.
#[derive(Clone)]
pub struct Awards {
    brain: Arc<dyn Brain>,
    me: NodeId,
    principal: Principal,
    /// What the committee is known to have executed: keys are drawn after it.
    known: Arc<AtomicU64>,
    patience: Patience,
}

/// One that this node has.
pub struct Award {
    awards: Awards,
    task: TaskId,
    fence: Fence,
    /// Before the last grant was asked for.
    asked: Instant,
}

/// Why none can be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AwardError {
    #[error("its assignment cannot be agreed on: {0}")]
    Refused(Refusal),
    #[error("its assignment was rejected: {0}")]
    Rejected(Rejection),
    /// Another attempt, later or elsewhere, may.
    #[error("not assigned yet: {0}")]
    NotNow(String),
}

/// One that is being taken. Where that is given up, or comes to nothing while an answer is on its way, what may have been
/// granted is given back: nobody else would have it before its lease is over.
struct Asking {
    awards: Awards,
    task: TaskId,
    may_hold: Option<MayHold>,
}

enum MayHold {
    /// A command under this key is on its way.
    Asked(Octets),
    Granted(Fence),
}

impl Drop for Asking {
    fn drop(&mut self) {
        let (Some(may_hold), Ok(runtime)) = (self.may_hold.take(), Handle::try_current()) else { return };
        runtime.spawn(self.awards.clone().give_up(self.task, may_hold));
    }
}

impl Awards {
    pub fn new(brain: Arc<dyn Brain>, me: NodeId, principal: Principal) -> Self {
        Self { brain, me, principal, known: Arc::default(), patience: Patience::default() }
    }

    /// Waits for a while where another has it, or nothing can be agreed on.
    pub async fn take(&self, task: TaskId) -> Result<Award, AwardError> {
        let mut asking = Asking { awards: self.clone(), task, may_hold: None };
        let (mut key, mut asked) = (drawn(), Instant::now());
        let (begun, mut pause) = (asked, PAUSE);
        // Since when nobody answers.
        let mut unheard: Option<Instant> = None;
        let Patience { one_try, unanswered, held } = self.patience;
        loop {
            if unheard.is_some_and(|since| since.elapsed() >= unanswered) {
                return Err(AwardError::NotNow(format!("the committee did not answer for {unanswered:?}")));
            }
            if begun.elapsed() >= held {
                return Err(AwardError::NotNow(format!("another has had it for {held:?}")));
            }
            asking.may_hold = Some(MayHold::Asked(key.clone()));
            let tried = Instant::now();
            let answer = timeout(one_try, self.order(&key, self.wish(task))).await;
            match answer {
                Ok(Err(_) | Ok(Some(_))) => (asking.may_hold, unheard) = (None, None),
                Ok(Ok(None)) | Err(_) => {
                    unheard.get_or_insert(tried);
                }
            }
            match answer {
                Ok(Err(why)) => return Err(why),
                Ok(Ok(Some(Outcome::Done(Done::Granted { fence, .. })))) => {
                    asking.may_hold = Some(MayHold::Granted(fence));
                    let mut award = Award { awards: self.clone(), task, fence, asked };
                    // It may be the grant of an early try, and most of its time over.
                    if asked.elapsed() < RENEW || award.renew().await == Renewed::Yes {
                        asking.may_hold = None;
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

    fn wish(&self, task: TaskId) -> Body {
        Body::Award { task, to: self.me, lease_ms: millis(LEASE) }
    }

    /// Finds out what became of a wish, by saying it again under its key, and gives back what it brought. Where nobody answers
    /// for as long as a lease lasts there is nothing to give back any more.
    async fn give_up(self, task: TaskId, may_hold: MayHold) {
        let until = Instant::now() + LEASE;
        let fence = match may_hold {
            MayHold::Granted(fence) => fence,
            MayHold::Asked(key) => loop {
                match timeout(self.patience.one_try, self.order(&key, self.wish(task))).await {
                    Ok(Ok(Some(Outcome::Done(Done::Granted { fence, .. })))) => break fence,
                    Ok(Ok(Some(_)) | Err(_)) => return,
                    Ok(Ok(None)) | Err(_) if Instant::now() >= until => return,
                    Ok(Ok(None)) | Err(_) => sleep(PAUSE).await,
                }
            },
        };
        Award { awards: self, task, fence, asked: until }.release().await;
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
        match timeout(self.awards.patience.one_try, self.awards.order(&drawn(), body)).await {
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
        let one_try = self.awards.patience.one_try;
        let released = timeout(one_try, self.awards.order(&drawn(), body)).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        brain::{Answers, BrainGone},
        tests::agreement::{Council, node},
    };
    use futures::future::BoxFuture;
    use mesh_proto::ledger::{Query, Row};
    use std::sync::{Mutex, atomic::AtomicBool};
    use tokio::sync::mpsc;

    const TASK: TaskId = TaskId::from_bytes([7; 32]);

    /// A committee whose answers may be lost on their way.
    struct Line {
        council: Council,
        is_cut: AtomicBool,
        waiting: Mutex<Vec<mpsc::Sender<Vec<Answer>>>>,
    }

    impl Brain for Line {
        fn ask(&self, command: Command) -> BoxFuture<'_, Result<Answers, BrainGone>> {
            Box::pin(async move {
                let answers = self.council.ask(command).await?;
                if !self.is_cut.load(Ordering::Relaxed) {
                    return Ok(answers);
                }
                let (sender, receiver) = mpsc::channel(1);
                self.waiting.lock().unwrap().push(sender);
                Ok(Answers::new(receiver, || {}))
            })
        }
    }

    fn line() -> (Arc<Line>, Awards) {
        let line = Line { council: Council::of(1), is_cut: AtomicBool::new(false), waiting: Mutex::default() };
        let line = Arc::new(line);
        let awards = of(&line, 2);
        (line, awards)
    }

    fn of(line: &Arc<Line>, seed: u8) -> Awards {
        let ms = Duration::from_millis;
        let patience = Patience { one_try: ms(50), unanswered: ms(300), held: ms(900) };
        let brain = Arc::clone(line) as Arc<dyn Brain>;
        Awards { patience, ..Awards::new(brain, node(seed), "meshd".parse().unwrap()) }
    }

    /// Who has it, as the ledger says.
    async fn holder(line: &Line) -> Option<NodeId> {
        let query = Query::Claim(Claim::Task(TASK));
        match line.council.ask(Command::Look { query }).await.unwrap().one().await {
            Some(Answer::Looked(Some(answer))) => answer.rows.into_iter().find_map(|row| match row {
                Row::Claim { held, .. } => Some(held.holder),
                _ => None,
            }),
            other => panic!("{other:?}"),
        }
    }

    async fn until_nobody_has_it(line: &Line) {
        let until = Instant::now() + Duration::from_secs(10);
        while holder(line).await.is_some() {
            assert!(Instant::now() < until, "it was not given back");
            sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn an_award_is_not_waited_for_without_end() {
        let (line, awards) = line();
        line.council.silence(true);
        let begun = Instant::now();
        let Err(AwardError::NotNow(why)) = awards.take(TASK).await else { panic!("it was had") };
        assert!(why.contains("did not answer"), "{why}");
        assert!(begun.elapsed() >= awards.patience.unanswered, "{:?}", begun.elapsed());
        // It may have been granted all the same.
        line.council.silence(false);
        let until = Instant::now() + Duration::from_secs(10);
        while line.council.ids().len() < 2 {
            assert!(Instant::now() < until, "it was not asked after, and given back");
            sleep(Duration::from_millis(10)).await;
        }
        until_nobody_has_it(&line).await;

        let award = of(&line, 3).take(TASK).await.unwrap();
        let begun = Instant::now();
        let Err(AwardError::NotNow(why)) = awards.take(TASK).await else { panic!("it was had") };
        assert!(why.contains("another"), "{why}");
        assert!(begun.elapsed() >= awards.patience.held, "{:?}", begun.elapsed());
        assert_eq!(holder(&line).await, Some(node(3)));
        award.release().await;
        assert_eq!(holder(&line).await, None);
    }

    #[tokio::test]
    async fn who_stops_asking_gives_back_what_it_may_have_been_granted() {
        let (line, awards) = line();
        line.is_cut.store(true, Ordering::Relaxed);
        let asking = tokio::spawn(async move { awards.take(TASK).await.map(|award| award.fence()) });
        while holder(&line).await.is_none() {
            sleep(Duration::from_millis(10)).await;
        }
        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled());
        assert_eq!(holder(&line).await, Some(node(2)), "granted, and nobody heard of it");
        line.is_cut.store(false, Ordering::Relaxed);
        until_nobody_has_it(&line).await;
    }
}
