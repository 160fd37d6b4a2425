use super::{
    batch::{self, Item, Stream},
    lines::{LINE_LIMIT, Lines},
    output::{self, Gone, Line, Output},
    submissions::cancelled,
    tally::Tally,
};
use crate::api::{
    Api, Code, Principal, Problem,
    after::{TaskLink, check_known},
    brain::BrainGone,
    extract::Params,
    node, now,
    submission::{self, Maker, ProgramSpec},
    tasks::submit::IDEMPOTENCY_KEY,
    terms::Terms,
    view::show_key,
};
use axum::{
    Extension,
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
};
use bytes::Bytes;
use futures::StreamExt as _;
use mesh_coordinator::{Answer, Command};
use mesh_proto::{
    id::JobId,
    limits::JOB_ITEMS,
    task::{Program, SpecError, TaskKey, job_id},
};
use serde::{Deserialize, Serialize};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

/// The first line of a job.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobHeader {
    /// For people; at most 256 bytes.
    #[serde(default)]
    pub name: String,
    /// Makes a repeat the same job. Default: the bytes of the `Idempotency-Key`, else drawn. At most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub program: ProgramSpec,
    #[serde(default)]
    pub terms: Terms,
    /// How many items there are in all, at most 10,000,000. If given, the job is on record before its first item, else
    /// after its last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What must have ended well before any item starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<TaskLink>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Stream the results. Default true; with `false` the answer ends when all is placed.
    follow: Option<bool>,
    /// A line for each item that was placed. Default false.
    placed: Option<bool>,
}

/// Submits a job as a stream of lines and streams its results back.
///
/// The first line is a `JobHeader`, each further one an `Item`. Results come in the order in which they end. A client
/// reads while it writes. A repeat under the same key, through any node, is the same job.
#[utoipa::path(
    post, path = "/v1/jobs", tag = "jobs", params(Options, ("Idempotency-Key" = Option<String>, Header)),
    request_body(content((JobHeader = "application/x-ndjson"), (submission::Item = "application/x-ndjson"))),
    responses(
        (status = 200, body = Line, content_type = "application/x-ndjson"),
        (status = 400, description = "The first line is no header, or of more items than a job has", body = Problem),
        (status = 409, description = "The key was used for another job", body = Problem),
        (status = 503, description = "Busy or too few nodes; see Retry-After", body = Problem),
    )
)]
pub async fn submit(
    State(api): State<Api>,
    Extension(Principal(principal)): Extension<Principal>,
    Params(options): Params<Options>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let mut lines = Lines::new(request.into_body().into_data_stream(), LINE_LIMIT);
    let first = lines.next().await?.ok_or_else(|| Problem::malformed("a job begins with a line that is its header"))?;
    let mut header: JobHeader = serde_json::from_slice(&first).map_err(Problem::malformed)?;
    node::check_takes(&api)?;
    // Once for all items, which share it.
    header.program.assure(&*api.ports.blobs).await?;
    let mut after = Vec::with_capacity(header.after.len());
    for link in &mut header.after {
        link.resolve(&api).await?;
        after.push(link.id()?);
    }
    check_known(&api, after).await?;
    let job = Job::new(&api, &principal, header, &headers)?;
    if let Some(count) = job.count {
        job.record(&api, count).await?;
    }
    let (output, response) = output::channel();
    let submission = api.submissions.join(job.id);
    let stream = Stream {
        api,
        tally: Arc::default(),
        follow: options.follow.unwrap_or(true),
        placed: options.placed.unwrap_or(false),
        submission: Some(submission),
        several: Arc::default(),
    };
    tokio::spawn(async move {
        stream.api.meters.streams.inc();
        let ended = carry(&stream, &job, lines, output).await;
        stream.api.meters.streams.dec();
        if ended == Err(Gone) {
            tracing::debug!(job = %job.id, "the client of a job has gone");
        }
    });
    Ok(response)
}

struct Job {
    id: JobId,
    key: Vec<u8>,
    name: String,
    count: Option<u64>,
    maker: Maker,
}

impl Job {
    fn new(api: &Api, principal: &str, header: JobHeader, headers: &HeaderMap) -> Result<Self, Problem> {
        let from_header = headers.get(&IDEMPOTENCY_KEY).map(|key| key.as_bytes().to_vec());
        let key = header.key.map(String::into_bytes).or(from_header).unwrap_or_else(|| {
            let drawn: [u8; 16] = rand::random();
            data_encoding::HEXLOWER.encode(&drawn).into_bytes()
        });
        if !(1..=128).contains(&key.len()) {
            return Err(Problem::malformed(format_args!("a job's key has 1 to 128 bytes, this one {}", key.len())));
        }
        if let Some(count) = header.count {
            within_limit(count)?;
        }
        let id = job_id(&api.network, principal, &key);
        let program: Program = header.program.try_into()?;
        let after = header.after.iter().map(TaskLink::id).collect::<Result<_, _>>()?;
        let maker = Maker::new(api.network, principal, program, &header.terms, &key, now())?.of_job(id).after(after);
        Ok(Self { id, key, name: header.name, count: header.count, maker })
    }

    /// Puts the job itself on record, so that any node can list it, show it and attach to it.
    async fn record(&self, api: &Api, count: u64) -> Result<(), Problem> {
        let until = Instant::now() + api.limits.patience;
        let made = self.maker.manifest(self.key.clone(), self.name.clone(), count)?;
        loop {
            let command = Command::Submit { specs: vec![made.spec.clone()], follow: false };
            let problem = match api.ports.brain.ask(command).await?.one().await {
                Some(Answer::Placed { .. }) => return Ok(()),
                Some(Answer::Refused { why, .. }) => Problem::from(&why),
                _ => return Err(BrainGone.into()),
            };
            let retry_ms = problem.retry_ms.filter(|_| problem.code != Code::ReadOnly);
            match retry_ms.map(|ms| Duration::from_millis(u64::from(ms).max(10))) {
                Some(wait) if Instant::now() + wait < until => tokio::time::sleep(wait).await,
                _ => return Err(problem),
            }
        }
    }
}

/// Whoever lists, follows or cancels a job goes over all its items.
fn within_limit(count: u64) -> Result<(), Problem> {
    match count <= JOB_ITEMS {
        true => Ok(()),
        false => Err(Problem::malformed(SpecError::TooManyItems { count })),
    }
}

/// How often a stream says how far it has come.
const PROGRESS_PERIOD: Duration = Duration::from_millis(500);

async fn carry(stream: &Stream, job: &Job, lines: Lines, mut output: Output) -> Result<(), Gone> {
    output.line(&Line::Job { job: job.id.to_string(), key: show_key(&job.key), name: job.name.clone() }).await?;
    output.flush().await?;
    let window = Arc::new(Semaphore::new(stream.api.limits.window as usize));
    let work = async {
        let read = tokio::select! {
            read = feed(stream, job, lines, &window, &output) => read,
            () = stopped(stream) => Err(cancelled()),
        };
        // Whatever came of the reading: what was placed is told to its end. All permits are back once all has ended.
        let rest = window.acquire_many(stream.api.limits.window).await;
        drop(rest);
        read
    };
    let count = tokio::select! {
        read = work => read,
        gone = report(&stream.tally, output.clone()) => return Err(gone),
    };
    match finish(stream, job, count).await {
        Ok(()) => output.line(&Line::End(stream.tally.progress())).await?,
        Err(problem) => return output.fail(problem).await,
    }
    output.flush().await
}

/// Returns once the job is cancelled.
async fn stopped(stream: &Stream) {
    match &stream.submission {
        Some(submission) => submission.stopped().await,
        None => std::future::pending().await,
    }
}

/// The end of the input: the job goes on record if it is not yet.
async fn finish(stream: &Stream, job: &Job, count: Result<u64, Problem>) -> Result<(), Problem> {
    let count = count?;
    match job.count {
        None => job.record(&stream.api, count).await,
        Some(_) => Ok(()),
    }
}

/// Says how far it has come until it is dropped; returns if nobody reads.
pub(super) async fn report(tally: &Tally, mut output: Output) -> Gone {
    let mut ticks = tokio::time::interval(PROGRESS_PERIOD);
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = output.gone() => return Gone,
        }
        if output.line(&Line::Progress(tally.progress())).await.is_err() || output.flush().await.is_err() {
            return Gone;
        }
    }
}

/// Reads items and starts them in batches; waits for the window. Returns how many items there are.
async fn feed(
    stream: &Stream,
    job: &Job,
    mut lines: Lines,
    window: &Arc<Semaphore>,
    output: &Output,
) -> Result<u64, Problem> {
    let mut reader = Reader { stream, job, next: 0, refused: output.clone() };
    while let Some(line) = lines.next().await? {
        let mut read = Vec::with_capacity(stream.api.limits.batch);
        let mut bytes = line.len();
        reader.read(&line, &mut read).await?;
        while read.len() < stream.api.limits.batch && bytes < BATCH_BYTES {
            let Some(line) = lines.next_now()? else { break };
            bytes += line.len();
            reader.read(&line, &mut read).await?;
        }
        let items = reader.make(read).await?;
        reader.flush().await?;
        if items.is_empty() {
            continue;
        }
        let places = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let permits = tokio::select! {
            permits = window.clone().acquire_many_owned(places) => permits.map_err(|_| BrainGone)?,
            () = stream.api.closing.cancelled() => return Err(BrainGone.into()),
        };
        batch::start(stream.clone(), items, permits, output.clone(), Duration::ZERO);
    }
    Ok(reader.next)
}

/// Of lines that are read into one batch, the last apart: with fewer large items it goes at once.
const BATCH_BYTES: usize = 1024 * 1024;

/// The number of an item, and what its line was.
type Read = (u64, Result<submission::Item, Problem>);

/// Items of one batch whose blobs are seen to at once.
const AT_ONCE: usize = 16;

struct Reader<'a> {
    stream: &'a Stream,
    job: &'a Job,
    /// The number of the next item, where its line does not say another.
    next: u64,
    refused: Output,
}

impl Reader<'_> {
    /// Reads one item. A line that is no task is refused alone; numbers out of order end the stream, since what
    /// follows cannot be told apart.
    async fn read(&mut self, line: &Bytes, read: &mut Vec<Read>) -> Result<(), Problem> {
        self.stream.tally.read();
        self.stream.api.meters.items.inc();
        let parsed: Result<submission::Item, Problem> = serde_json::from_slice(line).map_err(Problem::malformed);
        let index = parsed.as_ref().ok().and_then(|item| item.index).unwrap_or(self.next);
        if index < self.next || self.job.count.is_some_and(|count| index >= count) {
            let detail = match self.job.count {
                Some(count) if index >= count => format!("item {index} of a job of {count}"),
                _ => format!("item {index} after item {}: items come in order", self.next.saturating_sub(1)),
            };
            return Err(Problem::new(Code::Malformed, detail));
        }
        // A record of so many would not be taken: better now than behind the last item.
        within_limit(index.saturating_add(1))?;
        self.next = index + 1;
        read.push((index, parsed));
        Ok(())
    }

    /// Makes tasks of items. Their blobs are seen to together: each may take a copy's time.
    async fn make(&mut self, read: Vec<Read>) -> Result<Vec<Item>, Problem> {
        let stream = self.stream;
        let blobs = &*stream.api.ports.blobs;
        let assured = read.into_iter().map(|(index, parsed)| async move {
            let Ok(mut item) = parsed else { return (index, parsed) };
            let assured = match item.resolve(&stream.api).await {
                Ok(()) => item.assure(blobs).await,
                Err(problem) => Err(problem),
            };
            (index, assured.map(|()| item))
        });
        let mut assured = futures::stream::iter(assured).buffered(AT_ONCE);
        let mut items = Vec::new();
        while let Some((index, item)) = assured.next().await {
            let key = || TaskKey::Item(self.job.key.clone(), index);
            match item.and_then(|item| self.job.maker.make(key(), index, &item)) {
                Ok(made) => {
                    let until = Instant::now() + self.stream.api.limits.patience;
                    items.push(Item::submitted(index, made, until));
                }
                Err(problem) => self.refuse(index, problem).await?,
            }
        }
        Ok(items)
    }

    async fn refuse(&mut self, index: u64, problem: Problem) -> Result<(), Problem> {
        let Problem { code, detail, retry_ms, .. } = problem;
        self.stream.tally.refused();
        let line = Line::Refused { index, code, detail, retry_ms };
        self.refused.line(&line).await.map_err(|Gone| gone())
    }

    async fn flush(&mut self) -> Result<(), Problem> {
        self.refused.flush().await.map_err(|Gone| gone())
    }
}

/// Nobody is left to read it.
fn gone() -> Problem {
    Problem::malformed("the client has hung up")
}
