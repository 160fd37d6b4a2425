//! A job as one client carries it to its end, whatever happens to the nodes meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};

use super::{Gateways, TestnetError};
use crate::api::jobs::Line;
use crate::api::jobs::submit::JobHeader;
use crate::api::result::TaskResult;
use crate::api::submission::Item;
use crate::client::{Ask, ClientError, JobLines};

/// A stream says at least twice a second how far it has come: one that is silent for so long has a frozen node at its
/// other end.
const SILENCE: Duration = Duration::from_secs(4);
/// Lines that go out as one chunk.
const CHUNK_LINES: usize = 128;
/// Before another try.
const PAUSE: Duration = Duration::from_millis(100);

/// A job.
pub struct Job {
    pub header: JobHeader,
    pub items: Vec<Item>,
    /// Items a second; without it, as fast as they are taken.
    pub rate: Option<f64>,
    /// Ask for a line when an item is acknowledged.
    pub placed: bool,
    /// How long no item may end before it is given up.
    pub patience: Duration,
}

/// What the client was told of an item.
#[derive(Clone, Debug)]
pub struct Told {
    pub result: TaskResult,
    /// When its line was first sent, or should have been at the rate that was asked for.
    pub sent: Instant,
    /// When its result was first read.
    pub ended: Instant,
}

/// What the client of a job knows.
#[derive(Debug)]
pub struct Tracker {
    sent: Arc<Mutex<Vec<Option<Instant>>>>,
    told: Vec<Option<Told>>,
    /// Acknowledged, which is on the disks of all holders, with their ids.
    pub placed: BTreeMap<u64, String>,
    pub ended: usize,
    /// Results that differ from what was told of the same item before: accepted twice.
    pub contradictions: Vec<String>,
    /// Results told twice within one stream.
    pub repeats: u64,
    /// Streams that were opened.
    pub attempts: u32,
    /// The job's id.
    pub job: Option<String>,
    /// The longest time between two results, and when it began.
    pub longest_gap: Duration,
    last_end: Option<Instant>,
    last_error: String,
}

impl Tracker {
    pub fn new(count: usize) -> Self {
        Self {
            sent: Arc::new(Mutex::new(vec![None; count])),
            told: (0..count).map(|_| None).collect(),
            placed: BTreeMap::new(),
            ended: 0,
            contradictions: Vec::new(),
            repeats: 0,
            attempts: 0,
            job: None,
            longest_gap: Duration::ZERO,
            last_end: None,
            last_error: String::new(),
        }
    }

    /// What was told of each item.
    pub fn told(&self) -> &[Option<Told>] {
        &self.told
    }

    /// The same, for good.
    pub fn into_told(self) -> Vec<Option<Told>> {
        self.told
    }

    /// Items without a result.
    pub fn open(&self) -> usize {
        self.told.len() - self.ended
    }

    fn end(&mut self, index: u64, result: TaskResult, seen: &mut BTreeSet<u64>) {
        let now = Instant::now();
        if !seen.insert(index) {
            self.repeats += 1;
        }
        let Some(told) = usize::try_from(index).ok().and_then(|at| self.told.get_mut(at)) else {
            self.contradictions.push(format!("item {index} was never submitted"));
            return;
        };
        match told {
            Some(told) if told.result != result => {
                self.contradictions.push(format!("item {index}: {:?}, then {result:?}", told.result));
            }
            Some(_) => {}
            None => {
                let at = usize::try_from(index).unwrap_or_default();
                let sent = lock(&self.sent)[at].unwrap_or(now);
                *told = Some(Told { result, sent, ended: now });
                self.ended += 1;
                if let Some(last) = self.last_end.replace(now) {
                    self.longest_gap = self.longest_gap.max(now - last);
                }
            }
        }
    }
}

impl Job {
    /// Submits and follows, again whenever the stream breaks, through the next node that answers: the job's key makes a
    /// repeat harmless. `watch` is called after each line that tells something; with its error it all ends.
    pub async fn carry(
        &self,
        gateways: &mut Gateways,
        tracker: &mut Tracker,
        watch: &mut dyn FnMut(&Tracker) -> Result<(), TestnetError>,
    ) -> Result<(), TestnetError> {
        let mut moved = (Instant::now(), tracker.ended);
        loop {
            match self.attempt(gateways, tracker, watch).await {
                Ok(true) if tracker.open() == 0 => return Ok(()),
                Ok(_) => {}
                Err(TestnetError::Client(error)) if error.is_worth_a_retry() => {
                    tracker.last_error = error.to_string();
                    gateways.turn();
                }
                Err(error) => return Err(error),
            }
            if tracker.ended > moved.1 {
                moved = (Instant::now(), tracker.ended);
            }
            if moved.0.elapsed() > self.patience {
                return Err(self.stuck(tracker));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Submits all items once and reads the stream; whether it came to its last line.
    pub async fn attempt(
        &self,
        gateways: &mut Gateways,
        tracker: &mut Tracker,
        watch: &mut dyn FnMut(&Tracker) -> Result<(), TestnetError>,
    ) -> Result<bool, TestnetError> {
        gateways.find_alive().await?;
        tracker.attempts += 1;
        let path = if self.placed { "/v1/jobs?placed=true" } else { "/v1/jobs" };
        let body = Body::from_stream(self.lines(tracker)?);
        let broken = |what: &str| ClientError::Broken(format!("{what} for {} s", SILENCE.as_secs()));
        // The answer begins once the job itself is on record, for which a node may wait for others.
        let opened = tokio::time::timeout(4 * SILENCE, gateways.client().stream(&Ask::post(path), body)).await;
        let mut lines = JobLines::new(opened.map_err(|_| broken("no answer"))??);
        let (mut seen, mut moved) = (BTreeSet::new(), Instant::now());
        loop {
            let line = tokio::time::timeout(SILENCE, lines.next()).await.map_err(|_| broken("silence"))??;
            match line {
                None => return Err(ClientError::Broken("the stream ended early".into()).into()),
                Some(Line::End(_)) => return Ok(true),
                Some(Line::Job { job, .. }) => tracker.job = Some(job),
                Some(Line::Ended { index, result }) => {
                    moved = Instant::now();
                    tracker.end(index, *result, &mut seen);
                    watch(tracker)?;
                }
                Some(Line::Placed { index, task, .. }) => {
                    tracker.placed.insert(index, task);
                    watch(tracker)?;
                }
                Some(Line::Refused { index, detail, .. }) => tracker.last_error = format!("item {index}: {detail}"),
                Some(Line::Missing { index, .. }) => tracker.last_error = format!("item {index}: nobody knows it"),
                Some(Line::Error { detail, .. }) => tracker.last_error = detail,
                // A stream that tells only how far it is not may go on so forever.
                Some(Line::Progress(_)) if moved.elapsed() > self.patience => return Err(self.stuck(tracker)),
                Some(Line::Progress(_)) => {}
            }
        }
    }

    fn stuck(&self, tracker: &Tracker) -> TestnetError {
        let first = tracker.told.iter().position(Option::is_none);
        let last = match (&tracker.job, first) {
            (Some(job), Some(first)) => format!("{}; job {job}, first of them item {first}", tracker.last_error),
            _ => tracker.last_error.clone(),
        };
        TestnetError::Stuck { seconds: self.patience.as_secs(), open: tracker.open(), last }
    }

    /// The request's body, which notes when each line went out.
    fn lines(
        &self,
        tracker: &Tracker,
    ) -> Result<impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static, TestnetError> {
        let line = |value: serde_json::Result<Vec<u8>>| {
            let mut line = value.map_err(|error| ClientError::Answer(error.to_string()))?;
            line.push(b'\n');
            Ok::<_, ClientError>(line)
        };
        let header = line(serde_json::to_vec(&self.header))?;
        let mut chunks = Vec::new();
        // At a rate each line goes alone, at its time.
        let chunk = if self.rate.is_some() { 1 } else { CHUNK_LINES };
        for (at, items) in self.items.chunks(chunk).enumerate() {
            let mut bytes = Vec::new();
            for item in items {
                bytes.extend(line(serde_json::to_vec(item))?);
            }
            chunks.push((at * chunk, items.len(), Bytes::from(bytes)));
        }
        let (sent, rate, begin) = (tracker.sent.clone(), self.rate, Instant::now());
        let items = futures::stream::iter(chunks).then(move |(first, count, bytes)| {
            let sent = sent.clone();
            async move {
                let mut now = Instant::now();
                if let Some(rate) = rate {
                    // What is late by our own fault counts from when it should have gone.
                    now = begin + Duration::from_secs_f64(first as f64 / rate);
                    tokio::time::sleep_until(now.into()).await;
                }
                for time in &mut lock(&sent)[first..first + count] {
                    time.get_or_insert(now);
                }
                Ok(bytes)
            }
        });
        Ok(futures::stream::iter([Ok(Bytes::from(header))]).chain(items))
    }
}

/// A lock whose holder panicked still guards plain data.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
