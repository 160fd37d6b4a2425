use super::asker::{Asker, drawn};
use crate::api::{Api, Code, Problem, brain::BrainGone, extract::parse_wait, view::show_key};
use mesh_coordinator::{Answer, Command as Asked};
use mesh_proto::{
    agreement::{Operation, Ran},
    ledger::{self, Body, Command, CommandId, Done, Index, Outcome, Query, Rejection},
    task::Octets,
};
use std::time::Duration;
use tokio::time::Instant;

/// How long the committee is waited for where nothing else is said.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What one user wants of the committee, and by when.
pub struct Errand<'a> {
    pub api: &'a Api,
    asker: Asker,
    /// When the key was drawn, if the user says so.
    born: Option<Index>,
    patience: Duration,
    /// Whether the user said how long to wait.
    is_bidden: bool,
    until: Instant,
}

impl<'a> Errand<'a> {
    /// `wait` as in the query; without it `patience`.
    pub fn new(api: &'a Api, asker: Asker, wait: Option<&str>, patience: Duration) -> Result<Self, Problem> {
        let bidden = parse_wait(api, wait)?;
        let patience = bidden.unwrap_or(patience);
        Ok(Self { api, asker, born: None, patience, is_bidden: bidden.is_some(), until: Instant::now() + patience })
    }

    /// With what the mesh had executed when the user drew the key: if that may be forgotten, nothing is done.
    #[must_use]
    pub fn born(self, born: Option<u64>) -> Self {
        Self { born: born.map(Index), ..self }
    }

    /// Has a command ordered under the user's key. The batch that it ran in, or its repeat.
    pub async fn command(&self, body: Body) -> Result<(Done, Index), Problem> {
        match self.outcome(self.asker.key.clone(), body).await? {
            (Outcome::Done(done), at) => Ok((done, at)),
            (Outcome::Rejected(rejection), _) => Err((&rejection).into()),
        }
    }

    /// Has one command of several ordered, under a key of its own: for what is harmless when it is done again.
    pub async fn step(&self, body: Body) -> Result<Outcome, Problem> {
        Ok(self.outcome(drawn(), body).await?.0)
    }

    /// A linearizable read: the answer holds all that was answered before it was asked.
    pub async fn query(&self, query: Query) -> Result<ledger::Answer, Problem> {
        match self.order(Operation::Query(query)).await? {
            (Ran::Answer(answer), _) => Ok(*answer),
            (Ran::Refused, _) => Err(Problem::new(Code::TooLarge, "the answer is too large: ask for fewer rows")),
            (Ran::Outcome(_), _) => Err(Problem::unforeseen()),
        }
    }

    /// The same from a ledger in reach, which may be behind, where that is good enough. Where none is in reach, as of a
    /// node that has just started, it is waited for if the user said how long.
    pub async fn read(&self, query: Query, stale: Option<bool>) -> Result<ledger::Answer, Problem> {
        if stale != Some(true) {
            return self.query(query).await;
        }
        loop {
            match look(self.api, query.clone()).await {
                Err(problem) if self.is_bidden && problem.code == Code::Unavailable => {
                    if !self.pause(LOOK_AGAIN).await? {
                        return Err(problem);
                    }
                }
                looked => return looked,
            }
        }
    }

    /// Sleeps, or not at all where the time is over: then it says so.
    pub async fn pause(&self, pause: Duration) -> Result<bool, Problem> {
        tokio::select! {
            () = tokio::time::sleep_until(self.until.min(Instant::now() + pause)) => Ok(Instant::now() < self.until),
            () = self.api.closing.cancelled() => Err(BrainGone.into()),
        }
    }

    async fn outcome(&self, key: Octets, body: Body) -> Result<(Outcome, Index), Problem> {
        // An index too low refuses too much and allows nothing twice. The brain itself knows no better one than what its
        // answers told, but for a question to all of the committee, which would wait for whoever is slow.
        let born = self.born.unwrap_or_else(|| self.api.executed.known());
        let id = CommandId { principal: self.asker.principal.clone(), key, born };
        let mut command = Command { id, body };
        mesh_ledger::validate(&command).map_err(Problem::malformed)?;
        match self.order_command(&command).await? {
            // This node knew too little. Whoever does not say when the key was drawn means now, which is after this
            // batch; the floor that was told may have risen with it.
            (Outcome::Rejected(Rejection::Stale { .. }), at) if self.born.is_none() => {
                command.id.born = at;
                self.order_command(&command).await
            }
            ran => Ok(ran),
        }
    }

    async fn order_command(&self, command: &Command) -> Result<(Outcome, Index), Problem> {
        let operation = Operation::Command(Box::new(command.clone()));
        match self.order(operation).await {
            Ok((Ran::Outcome(outcome), at)) => Ok((outcome, at)),
            Ok((Ran::Answer(_) | Ran::Refused, _)) => Err(Problem::unforeseen()),
            Err(problem) if is_undecided(problem.code) => Err(may_be_done(problem, &command.id.key)),
            Err(problem) => Err(problem),
        }
    }

    async fn order(&self, operation: Operation) -> Result<(Ran, Index), Problem> {
        let asked = async {
            let answers = self.api.ports.brain.ask(Asked::Order { operations: vec![operation] }).await?;
            answers.one().await.ok_or(BrainGone)
        };
        let answer = tokio::select! {
            answer = asked => answer?,
            () = tokio::time::sleep_until(self.until) => return Err(self.late()),
            () = self.api.closing.cancelled() => return Err(BrainGone.into()),
        };
        match answer {
            Answer::Ordered { at, ran, .. } => {
                self.api.executed.heard(at);
                Ok((ran, at))
            }
            Answer::Refused { why, .. } => Err((&why).into()),
            _ => Err(BrainGone.into()),
        }
    }

    fn late(&self) -> Problem {
        let detail = format!("too few members of the committee answered within {:?}", self.patience);
        Problem::new(Code::NoQuorum, detail).retry_after_ms(RETRY_MS)
    }
}

/// Whether the committee may still do what a node gave up: once there is one, or once agreed time has come so far. Each
/// member refuses a number from the future by its own clock, so that those who refused need not be all.
pub fn is_undecided(code: Code) -> bool {
    matches!(code, Code::NoQuorum | Code::ClockAhead)
}

fn may_be_done(problem: Problem, key: &Octets) -> Problem {
    let (why, key) = (&problem.detail, show_key(key));
    let detail =
        format!("{why}; it may be done all the same. A repeat is harmless under the same key: Idempotency-Key: {key}");
    Problem { detail, ..problem }
}

/// Before a ledger in reach is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Before another try without a quorum.
const RETRY_MS: u32 = 1_000;

/// What a ledger in reach says now.
pub async fn look(api: &Api, query: Query) -> Result<ledger::Answer, Problem> {
    match api.ports.brain.ask(Asked::Look { query }).await?.one().await {
        Some(Answer::Looked(Some(answer))) => Ok(*answer),
        Some(Answer::Looked(None)) => {
            let detail = "no member of the committee is in reach, and this node has no ledger";
            Err(Problem::new(Code::Unavailable, detail).retry_after_ms(RETRY_MS))
        }
        Some(Answer::Refused { why, .. }) => Err((&why).into()),
        _ => Err(BrainGone.into()),
    }
}
