//! `/v1/tasks/{id}/logs`: what a task writes, while it writes.

use super::{
    Api, Code, Problem,
    content::Shown,
    extract::{Params, resolve_task},
    tasks::show::view,
};
use axum::{
    extract::{Path, State as Shared},
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream::BoxStream};
use mesh_proto::{
    id::TaskId,
    task::{Outcome, Payload, State},
};
use serde::{Deserialize, Serialize};
use std::{
    convert::Infallible,
    fmt,
    str::FromStr,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};

/// Where running tasks' output comes from: the executor's node, wherever it is.
pub trait Logs: Send + Sync + 'static {
    /// What the attempt of now has written since `from`, and with `follow` what it goes on to write until it ends.
    /// Chunks hold at most 64 KiB.
    fn read(
        &self,
        task: TaskId,
        from: Offsets,
        follow: bool,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<Chunk, LogsError>>, LogsError>>;
}

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub stream: Stream,
    pub bytes: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogsError {
    #[error("the task is not running: it waits for an executor")]
    NotRunning,
    #[error("the executor's node does not answer")]
    Unreachable,
    #[error("the executor's node tells others as much as it can; try again")]
    Busy,
    /// The task has ended, and its record names what cannot be had now.
    #[error("the output of the ended task cannot be had: {0}")]
    Kept(String),
    #[error("the task is not to be found any more: {0}")]
    Lost(String),
}

/// Bytes of each stream that a reader has had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    pub stdout: u64,
    pub stderr: u64,
}

impl Offsets {
    fn advance(&mut self, chunk: &Chunk) {
        let length = chunk.bytes.len() as u64;
        match chunk.stream {
            Stream::Stdout => self.stdout += length,
            Stream::Stderr => self.stderr += length,
        }
    }
}

/// Where a reader is: the ids of the events. As text `ATTEMPT:STDOUT-STDERR`; each attempt writes from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    attempt: Option<u32>,
    offsets: Offsets,
}

impl Place {
    /// Goes to another attempt, if it is another.
    fn turn(&mut self, attempt: Option<u32>) {
        if self.attempt.is_some() && attempt.is_some() && self.attempt != attempt {
            self.offsets = Offsets::default();
        }
        self.attempt = attempt.or(self.attempt);
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Offsets { stdout, stderr } = self.offsets;
        match self.attempt {
            Some(attempt) => write!(f, "{attempt}:{stdout}-{stderr}"),
            None => write!(f, "{stdout}-{stderr}"),
        }
    }
}

impl FromStr for Place {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let parse = || {
            let (attempt, offsets) = match text.split_once(':') {
                Some((attempt, offsets)) => (Some(attempt.parse().ok()?), offsets),
                None => (None, text),
            };
            let (stdout, stderr) = offsets.split_once('-')?;
            let offsets = Offsets { stdout: stdout.parse().ok()?, stderr: stderr.parse().ok()? };
            Some(Self { attempt, offsets })
        };
        parse().ok_or_else(|| {
            Problem::malformed("a Last-Event-ID of logs is the id of one of its events, such as 1:120-0")
        })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Follow {
    /// `1` or `true`: go on until the task ends. Default: what there is.
    follow: Option<String>,
}

/// The data of an event `output`. Bytes that are not UTF-8 come in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogEvent {
    pub stream: Stream,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64: Option<String>,
}

/// What a task writes, as server-sent events `output`, then one `end`, or `error` where it is not all. Goes on behind a
/// `Last-Event-ID`.
#[utoipa::path(
    get, path = "/v1/tasks/{id}/logs", tag = "tasks",
    params(
        Follow,
        ("id" = String, Path, description = "Or a unique prefix"),
        ("Last-Event-ID" = Option<String>, Header, pattern = "^([0-9]{1,9}:)?[0-9]{1,18}-[0-9]{1,18}$")
    ),
    responses((status = 200, body = LogEvent, content_type = "text/event-stream"), (status = 404, body = Problem))
)]
pub async fn logs(
    Shared(api): Shared<Api>,
    Path(id): Path<String>,
    Params(params): Params<Follow>,
    headers: HeaderMap,
) -> Result<Sse<impl futures::Stream<Item = Result<Event, Infallible>>>, Problem> {
    let follow = matches!(params.follow.as_deref(), Some("1" | "true" | ""));
    let mut from: Place = match headers.get("last-event-id").map(|id| id.to_str()) {
        Some(Ok(text)) => text.parse()?,
        Some(Err(error)) => return Err(Problem::malformed(error)),
        None => Place::default(),
    };
    let task = resolve_task(&api, &id).await?;
    let register = view(&api, task).await?.register;
    let attempt = attempt_of(&register.state);
    from.turn(attempt);
    let chunks = match register.ending() {
        Some(ending) => of_attempt(kept(&api, ending.outcome.as_ref(), from.offsets).await?, attempt),
        None if follow => {
            let (sender, chunks) = mpsc::channel(CHUNKS);
            tokio::spawn(follow_while_read(api.clone(), task, from, sender));
            ReceiverStream::new(chunks).boxed()
        }
        None => {
            let chunks = api.ports.logs.read(task, from.offsets, false).await.map_err(|error| match error {
                LogsError::NotRunning => Problem::new(Code::NotFound, error.to_string()).retry_after_ms(1_000),
                LogsError::Unreachable | LogsError::Busy | LogsError::Kept(_) | LogsError::Lost(_) => {
                    Problem::new(Code::Unavailable, error.to_string()).retry_after_ms(1_000)
                }
            })?;
            of_attempt(chunks, attempt)
        }
    };
    let events = events(chunks, from);
    let closing = api.closing.clone();
    Ok(Sse::new(events.take_until(closing.cancelled_owned())).keep_alive(KeepAlive::default()))
}

type Chunks = BoxStream<'static, Result<Chunk, LogsError>>;
/// A chunk, and the attempt that wrote it.
type Told = (Option<u32>, Result<Chunk, LogsError>);

/// Each chunk, and then that it was the last; or what went wrong, and then nothing: who is told of an end has had all.
fn events(chunks: BoxStream<'static, Told>, mut at: Place) -> impl futures::Stream<Item = Result<Event, Infallible>> {
    let mut is_over = false;
    let told = chunks.map(Some).chain(futures::stream::once(async { None }));
    let told = told.map(move |told| {
        if is_over {
            return None;
        }
        is_over = !matches!(told, Some((_, Ok(_))));
        Some(match told {
            Some((attempt, chunk)) => {
                at.turn(attempt);
                event(chunk, &mut at)
            }
            None => Event::default().event("end").data("{}"),
        })
    });
    told.take_while(|event| futures::future::ready(event.is_some())).filter_map(|event| async { event.map(Ok) })
}

fn of_attempt(chunks: Chunks, attempt: Option<u32>) -> BoxStream<'static, Told> {
    chunks.map(move |chunk| (attempt, chunk)).boxed()
}

/// The attempt of now, or the one that ended it.
fn attempt_of(state: &State) -> Option<u32> {
    match state {
        State::Waiting => None,
        State::Assigned(attempt) => Some(attempt.number),
        State::Ended(ending) => ending.by.map(|(attempt, _)| attempt),
    }
}

/// Chunks that wait for the reader.
const CHUNKS: usize = 16;
/// How often a task that does not run is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// How long nobody need know of a task, or have a place for its reader, before the reader is told.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Until the task has ended or the reader hangs up, be it while the task says nothing: what is followed for nobody would
/// keep its place at the executor's node.
async fn follow_while_read(api: Api, task: TaskId, from: Place, chunks: mpsc::Sender<Told>) {
    let reader = chunks.clone();
    tokio::select! {
        () = tell(api, task, from, chunks) => {}
        () = reader.closed() => hung_up(),
    }
}

/// Tells what a task writes until it has ended: while it waits, through its attempts wherever they run, and what is
/// left from its record.
async fn tell(api: Api, task: TaskId, mut at: Place, chunks: mpsc::Sender<Told>) {
    let mut trouble = Trouble::default();
    while !chunks.is_closed() && !api.closing.is_cancelled() {
        let view = match view(&api, task).await {
            Ok(view) => view,
            // Holders out of reach for a moment: the task is known to be there.
            Err(problem) => match trouble.pause(Instant::now()) {
                Some(pause) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                None => {
                    let lost = Err(LogsError::Lost(problem.detail));
                    return chunks.send((None, lost)).await.unwrap_or_else(|_| hung_up());
                }
            },
        };
        let ending = view.register.ending();
        let attempt = attempt_of(&view.register.state);
        at.turn(attempt);
        let more = match ending {
            Some(ending) => match kept(&api, ending.outcome.as_ref(), at.offsets).await {
                Ok(more) => Ok(more),
                Err(problem) => {
                    let failed = Err(LogsError::Kept(problem.detail));
                    return chunks.send((attempt, failed)).await.unwrap_or_else(|_| hung_up());
                }
            },
            None => api.ports.logs.read(task, at.offsets, true).await,
        };
        let mut failed = None;
        match more {
            Ok(mut more) => {
                while let Some(chunk) = more.next().await {
                    match chunk {
                        Ok(chunk) => {
                            trouble = Trouble::default();
                            at.offsets.advance(&chunk);
                            if chunks.send((attempt, Ok(chunk))).await.is_err() {
                                return hung_up();
                            }
                        }
                        Err(error) => {
                            failed = Some(error);
                            break;
                        }
                    }
                }
            }
            Err(error) => failed = Some(error),
        }
        if ending.is_some() {
            // Of a task that runs, another attempt may say more.
            if let Some(error) = failed {
                chunks.send((attempt, Err(error))).await.unwrap_or_else(|_| hung_up());
            }
            return;
        }
        let pause = match failed {
            // A place may become free, but whoever waits for one in vain is to know why nothing comes.
            Some(LogsError::Busy) => match trouble.pause(Instant::now()) {
                Some(pause) => pause,
                None => return chunks.send((attempt, Err(LogsError::Busy))).await.unwrap_or_else(|_| hung_up()),
            },
            _ => {
                trouble = Trouble::default();
                LOOK
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Since when nothing was to be had.
#[derive(Default)]
struct Trouble {
    since: Option<Instant>,
    pauses: u32,
}

impl Trouble {
    /// How long to wait before the next look, longer each time; `None` when it is enough.
    fn pause(&mut self, now: Instant) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        self.pauses += 1;
        (now.saturating_duration_since(since) < GIVE_UP).then(|| LOOK * 2u32.pow(self.pauses.min(4) - 1))
    }
}

fn hung_up() {
    tracing::debug!("a reader of logs hung up");
}

/// The output of a task that has ended comes from its record.
async fn kept(api: &Api, outcome: Option<&Outcome>, from: Offsets) -> Result<Chunks, Problem> {
    let Some(outcome) = outcome else { return Ok(futures::stream::empty().boxed()) };
    let stdout = payload(api, Stream::Stdout, &outcome.stdout, from.stdout).await?;
    let stderr = payload(api, Stream::Stderr, &outcome.stderr, from.stderr).await?;
    Ok(stdout.chain(stderr).boxed())
}

async fn payload(api: &Api, stream: Stream, payload: &Payload, from: u64) -> Result<Chunks, Problem> {
    let bytes = match payload {
        Payload::Inline(bytes) => {
            futures::stream::once(futures::future::ready(Ok(Bytes::copy_from_slice(bytes)))).boxed()
        }
        Payload::Blob(blob) => {
            let opened = api.ports.blobs.get(blob.id, blob.nodes.clone()).await?;
            (opened.read)(0, opened.size)
        }
        Payload::Path(_) => futures::stream::empty().boxed(),
    };
    let mut skip = from;
    let chunks = bytes.filter_map(move |bytes| {
        let chunk = bytes.map_err(|error| LogsError::Kept(error.to_string())).map(|mut bytes| {
            let cut = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
            skip -= cut as u64;
            Chunk { stream, bytes: bytes.split_off(cut) }
        });
        futures::future::ready(match &chunk {
            Ok(empty) if empty.bytes.is_empty() => None,
            _ => Some(chunk),
        })
    });
    Ok(chunks.boxed())
}

fn event(chunk: Result<Chunk, LogsError>, at: &mut Place) -> Event {
    let chunk = match chunk {
        Ok(chunk) => chunk,
        Err(error) => return Event::default().event("error").data(error.to_string()),
    };
    at.offsets.advance(&chunk);
    let payload = Payload::Inline(chunk.bytes[..].into());
    let (text, b64) = match Shown::from(&payload) {
        Shown::Text(text) => (Some(text.to_string()), None),
        Shown::B64(b64) => (None, Some(b64)),
        Shown::Blob(_) | Shown::Path(_) => (None, None),
    };
    let data = LogEvent { stream: chunk.stream, text, b64 };
    let event = Event::default().event("output").id(at.to_string());
    event.json_data(data).unwrap_or_else(|error| Event::default().event("error").data(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_within_an_attempt_and_lost_with_it() {
        let mut place: Place = "2:120-7".parse().unwrap();
        assert_eq!(place.to_string(), "2:120-7");
        place.turn(Some(2));
        assert_eq!(place.to_string(), "2:120-7");
        place.turn(Some(3));
        assert_eq!(place.to_string(), "3:0-0");
        // One that came without is of whichever attempt there is.
        let mut place: Place = "120-7".parse().unwrap();
        place.turn(Some(3));
        assert_eq!(place.to_string(), "3:120-7");
        for bad in ["", "1", "1-", "x:1-2", "1:1:2-3", "-1-2"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn trouble_is_waited_out_for_a_minute_and_no_longer() {
        let (mut trouble, begun, mut looks) = (Trouble::default(), Instant::now(), 0);
        let mut now = begun;
        while let Some(pause) = trouble.pause(now) {
            now += pause;
            looks += 1;
        }
        assert!((GIVE_UP..GIVE_UP + LOOK * 8).contains(&now.duration_since(begun)), "{:?}", now.duration_since(begun));
        assert!((10..60).contains(&looks), "{looks}");
    }
}
