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
use std::{convert::Infallible, fmt, str::FromStr, time::Duration};
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
}

/// Bytes of each stream that a reader has had. As text `stdout-stderr`: the ids of the events.
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

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.stdout, self.stderr)
    }
}

impl FromStr for Offsets {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let parsed = text.split_once('-').and_then(|(out, err)| Some((out.parse().ok()?, err.parse().ok()?)));
        parsed
            .map(|(stdout, stderr)| Self { stdout, stderr })
            .ok_or_else(|| Problem::malformed("a Last-Event-ID of logs is two numbers, such as 120-0"))
    }
}

#[derive(Debug, Deserialize, IntoParams)]
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

/// What a task writes, as server-sent events `output`, then one `end`. Goes on behind a `Last-Event-ID`.
#[utoipa::path(
    get, path = "/v1/tasks/{id}/logs", tag = "tasks",
    params(Follow, ("id" = String, Path, description = "Or a unique prefix"), ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = LogEvent, content_type = "text/event-stream"), (status = 404, body = Problem))
)]
pub async fn logs(
    Shared(api): Shared<Api>,
    Path(id): Path<String>,
    Params(params): Params<Follow>,
    headers: HeaderMap,
) -> Result<Sse<impl futures::Stream<Item = Result<Event, Infallible>>>, Problem> {
    let follow = matches!(params.follow.as_deref(), Some("1" | "true" | ""));
    let from: Offsets = match headers.get("last-event-id").map(|id| id.to_str()) {
        Some(Ok(text)) => text.parse()?,
        Some(Err(error)) => return Err(Problem::malformed(error)),
        None => Offsets::default(),
    };
    let task = resolve_task(&api, &id).await?;
    let chunks = match view(&api, task).await?.register.ending() {
        Some(ending) => kept(&api, ending.outcome.as_ref(), from).await?,
        None if follow => {
            let (sender, chunks) = mpsc::channel(CHUNKS);
            tokio::spawn(tell(api.clone(), task, from, sender));
            ReceiverStream::new(chunks).boxed()
        }
        None => api.ports.logs.read(task, from, false).await.map_err(|error| match error {
            LogsError::NotRunning => Problem::new(Code::NotFound, error.to_string()).retry_after_ms(1_000),
            LogsError::Unreachable => Problem::new(Code::Unavailable, error.to_string()).retry_after_ms(1_000),
        })?,
    };
    let mut at = from;
    let events = chunks.map(move |chunk| Ok(event(chunk, &mut at)));
    let events = events.chain(futures::stream::once(async { Ok(Event::default().event("end").data("{}")) }));
    let closing = api.closing.clone();
    Ok(Sse::new(events.take_until(closing.cancelled_owned())).keep_alive(KeepAlive::default()))
}

type Chunks = BoxStream<'static, Result<Chunk, LogsError>>;

/// Chunks that wait for the reader.
const CHUNKS: usize = 16;
/// How often a task that does not run is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// Tells what a task writes until it has ended: while it waits, through its attempts wherever they run, and what is
/// left from its record.
async fn tell(api: Api, task: TaskId, mut at: Offsets, chunks: mpsc::Sender<Result<Chunk, LogsError>>) {
    let mut heard = None;
    while !chunks.is_closed() && !api.closing.is_cancelled() {
        let Ok(view) = view(&api, task).await else {
            // Holders out of reach for a moment: the task is known to be there.
            tokio::time::sleep(LOOK).await;
            continue;
        };
        let ending = view.register.ending();
        let attempt = match &view.register.state {
            State::Assigned(attempt) => Some(attempt.number),
            State::Ended(ending) => ending.by.map(|(attempt, _)| attempt),
        };
        if heard.is_some() && attempt != heard {
            // Another attempt writes from the start.
            at = Offsets::default();
        }
        heard = attempt;
        let more = match ending {
            Some(ending) => kept(&api, ending.outcome.as_ref(), at).await.ok(),
            None => api.ports.logs.read(task, at, true).await.ok(),
        };
        if let Some(mut more) = more {
            while let Some(Ok(chunk)) = more.next().await {
                at.advance(&chunk);
                if chunks.send(Ok(chunk)).await.is_err() {
                    return;
                }
            }
        }
        if ending.is_some() {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
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
        let chunk = bytes.map_err(|_| LogsError::Unreachable).map(|mut bytes| {
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

fn event(chunk: Result<Chunk, LogsError>, at: &mut Offsets) -> Event {
    let chunk = match chunk {
        Ok(chunk) => chunk,
        Err(error) => return Event::default().event("error").data(error.to_string()),
    };
    at.advance(&chunk);
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
