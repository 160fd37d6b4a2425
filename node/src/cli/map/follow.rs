//! Following a job's stream to its end, through broken connections.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::complaints::{Complaint, Complaints, harmless, last_lines};
use super::delivery::Delivery;
use super::progress::Bar;
use crate::api::Code;
use crate::api::jobs::Line;
use crate::api::result::TaskResult;
use crate::cli::exit::{FAILED, LATER, UNREACHABLE};
use crate::cli::{Failure, results};
use crate::client::{Client, JobLines};
use crate::testnet::length;

/// A job as its client sees it.
pub(in crate::cli) struct Following {
    /// Items that have not come to their last line.
    pub(in crate::cli) open: BTreeSet<u64>,
    pub(in crate::cli) bar: Bar,
    pub(in crate::cli) delivery: Delivery,
    /// What went wrong.
    pub(in crate::cli) complaints: Complaints,
    /// Long standard errors that were fetched for it.
    fetched: u32,
    /// Refused for now: another try may do, after so many milliseconds.
    pub(in crate::cli) later: Option<u32>,
    /// Why, for people.
    refusal: Option<String>,
    /// When a node last said something.
    heard: Instant,
    /// Since when all that is open is refused.
    refused: Option<Instant>,
    /// A node may have heard of the job.
    pub(in crate::cli) began: bool,
    pub(in crate::cli) job: Option<String>,
    /// Asks for the first failure's end of it all.
    pub(in crate::cli) fail_fast: bool,
}

/// What a job came to, for programs.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Summary {
    pub(in crate::cli) job: String,
    key: String,
    count: u64,
    done: u64,
    failed: u64,
    /// The first of the failed, those that were refused among them.
    failures: Vec<Complaint>,
}

/// How long nodes may be lost, or refuse all that is left, before a job is left alone.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries at most.
const MOST_PAUSE_MS: u32 = 10_000;
/// Few of a thousand are shown: what is not in the results themselves is fetched for no more.
const MOST_FETCHED: u32 = 20;

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Ended {
    /// With its last line.
    Whole,
    /// A task failed, and that was to be the end.
    FailedFast,
    /// By a broken connection.
    Broken,
}

impl Following {
    pub(in crate::cli) fn new(open: BTreeSet<u64>, delivery: Delivery, fail_fast: bool) -> Self {
        Self {
            bar: Bar::new(open.len() as u64),
            open,
            delivery,
            complaints: Complaints::default(),
            fetched: 0,
            later: None,
            refusal: None,
            heard: Instant::now(),
            refused: None,
            began: false,
            job: None,
            fail_fast,
        }
    }

    /// Whether to stop trying: no node has said a word for long, or all that is open is refused all the time.
    pub(in crate::cli) fn is_hopeless(&self) -> bool {
        self.heard.elapsed() > PATIENCE || self.refused.is_some_and(|since| since.elapsed() > PATIENCE)
    }

    /// That, for people.
    pub(in crate::cli) fn why_hopeless(&self) -> String {
        let open = self.open.len();
        match (&self.later, &self.refusal) {
            (Some(ms), Some(why)) => {
                let pause = length(Duration::from_millis((*ms).into()));
                format!("{open} items are open: {why}; try again in {pause}")
            }
            _ => format!("{open} items are open: no node has said a word for {}", length(self.heard.elapsed())),
        }
    }

    /// The exit code for that.
    pub(in crate::cli) fn hopeless_code(&self) -> u8 {
        if self.later.is_some() { LATER } else { UNREACHABLE }
    }

    /// An item, or all of them, may be taken another time.
    pub(in crate::cli) fn refused_for_now(&mut self, why: String, retry_ms: Option<u32>) {
        self.heard = Instant::now();
        self.refused.get_or_insert_with(Instant::now);
        self.later = Some(retry_ms.unwrap_or(1_000));
        self.refusal = Some(why);
    }

    /// Waits before another try, as long as was asked for.
    pub(in crate::cli) async fn pause(&self) {
        let pause = self.later.unwrap_or(300).clamp(10, MOST_PAUSE_MS);
        tokio::time::sleep(Duration::from_millis(pause.into())).await;
    }

    /// Reads a stream to its end.
    pub(in crate::cli) async fn read(&mut self, client: &Client, mut lines: JobLines) -> Result<Ended, Failure> {
        self.later = None;
        self.heard = Instant::now();
        loop {
            let next = client.hear(lines.next()).await;
            self.heard = Instant::now();
            let line = match next {
                Ok(Some(line)) => line,
                // A stream without its last line was cut off.
                Ok(None) => return Ok(Ended::Broken),
                Err(error) if error.is_loss() => return Ok(Ended::Broken),
                Err(error) => return Err(error.into()),
            };
            if let Some(ended) = self.line(client, line).await? {
                return Ok(ended);
            }
        }
    }

    async fn line(&mut self, client: &Client, line: Line) -> Result<Option<Ended>, Failure> {
        match line {
            Line::Job { job, .. } => {
                self.began = true;
                self.job = Some(job);
            }
            // Asked for only where nothing more is waited for.
            Line::Placed { index, .. } => {
                self.refused = None;
                self.open.remove(&index);
            }
            Line::Progress(progress) => {
                // What was offered is open: some of it is taken.
                if progress.placed > 0 {
                    self.refused = None;
                }
                self.bar.placed(progress.placed);
            }
            Line::End(_) => return Ok(Some(Ended::Whole)),
            Line::Error { code: Code::ShuttingDown, .. } => return Ok(Some(Ended::Broken)),
            // What is open was not submitted, and is not to be.
            Line::Error { code: Code::Cancelled, detail } => {
                for index in std::mem::take(&mut self.open) {
                    self.bar.ended(false);
                    self.complain(index, format!("not submitted: {detail}"), Vec::new());
                }
                return Ok(Some(Ended::Whole));
            }
            Line::Error { detail, .. } => return Err(Failure::Usage(detail)),
            Line::Ended { index, result } => {
                // After a retry what was told before is told again.
                if !self.open.remove(&index) {
                    return Ok(None);
                }
                self.refused = None;
                let well = result.state == "done";
                self.bar.ended(well);
                if !well {
                    let code = result.exit_code.map(|code| format!("exit code {code}"));
                    let why = results::complaint(&result).or(code).unwrap_or_default();
                    let said = self.said(client, &result).await;
                    self.complain(index, why, said);
                }
                self.delivery.take(client, index, *result).await?;
                if !well && self.fail_fast {
                    return Ok(Some(Ended::FailedFast));
                }
            }
            Line::Refused { index, code, detail, retry_ms } => match (code, retry_ms) {
                (Code::ShuttingDown, _) | (_, Some(_)) => self.refused_for_now(detail, retry_ms),
                (_, None) => {
                    if self.open.remove(&index) {
                        self.bar.ended(false);
                        self.complain(index, format!("refused: {detail}"), Vec::new());
                        self.delivery.skip(client, index).await?;
                    }
                }
            },
            Line::Missing { index, .. } => {
                if self.open.remove(&index) {
                    self.bar.ended(false);
                    self.complain(index, "no node in reach knows it".to_owned(), Vec::new());
                    self.delivery.skip(client, index).await?;
                }
            }
        }
        Ok(None)
    }

    fn complain(&mut self, index: u64, why: String, said: Vec<String>) {
        self.complaints.add(index, &self.delivery.name(index), why, said);
    }

    /// The last lines that a program wrote on its standard error.
    async fn said(&mut self, client: &Client, result: &TaskResult) -> Vec<String> {
        if result.stderr_blob.is_some() {
            self.fetched += 1;
            if self.fetched > MOST_FETCHED {
                return Vec::new();
            }
        }
        match results::short_stderr(client, result).await {
            Some(written) => last_lines(&written),
            None => vec![format!("much: meshd task result {} prints it", result.task)],
        }
    }

    /// What it has come to, for programs.
    pub(in crate::cli) fn summary(&self, key: &str, count: u64) -> Summary {
        let job = self.job.clone().unwrap_or_default();
        let failures = self.complaints.told();
        let (done, failed) = (self.bar.done, self.complaints.count());
        Summary { job, key: key.to_string(), count, done, failed, failures }
    }

    /// Success, or the code that says that something failed.
    pub(in crate::cli) fn outcome(&self) -> Result<(), Failure> {
        match self.complaints.count() {
            0 => Ok(()),
            _ => Err(Failure::Ended(FAILED)),
        }
    }

    /// What to do about a job that is left before its end.
    pub(in crate::cli) fn say_how_to_go_on(&self, key: &str) {
        if let Some(job) = &self.job {
            eprintln!("meshd: job {job} goes on. To attach: meshd job attach {job}; to end it: meshd job cancel {job}");
        }
        if self.began {
            eprintln!("meshd: the same command with --idempotency-key {key} goes on");
        }
    }

    /// Says what went wrong.
    pub(in crate::cli) fn report(&self) {
        self.bar.clear();
        let is_terminal = std::io::stderr().is_terminal();
        for line in self.complaints.lines() {
            let line = if is_terminal { harmless(&line) } else { line.into() };
            eprintln!("meshd: {line}");
        }
    }
}
