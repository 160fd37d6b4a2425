use super::Progress;
use crate::api::{Problem, problem::Code, result::TaskResult};
use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::ToSchema;

/// A line of a job's stream, by its `type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// First: which job it is. With this id any node can show it, attach to it and cancel it.
    Job { job: String, key: String, name: String },
    /// With `?placed=true`: acknowledged.
    Placed { index: u64, task: String, copies: u32, degraded: bool, existing: bool },
    /// Not taken, and not tried again; the others go on.
    Refused {
        index: u64,
        code: Code,
        detail: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_ms: Option<u32>,
    },
    /// Ended, with its result.
    Ended {
        index: u64,
        #[serde(flatten)]
        result: Box<TaskResult>,
    },
    /// When attaching: no node in reach knows this item.
    Missing { index: u64, task: String },
    /// Twice a second.
    Progress(Progress),
    /// The stream ends early: what was placed goes on.
    Error { code: Code, detail: String },
    /// Last: everything has ended, or with `?follow=false` is placed.
    End(Progress),
}

/// The client has hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Where the lines of one response are written, by several batches at once. Each has a buffer of its own.
#[derive(Debug)]
pub struct Output {
    chunks: mpsc::Sender<Bytes>,
    buffer: Vec<u8>,
}

/// Chunks that wait for the connection, of about [`CHUNK`] bytes each.
const QUEUE: usize = 32;
/// A buffer is handed on at this size, or when there is nothing more to say.
const CHUNK: usize = 32 * 1024;

/// An output and the response that it becomes.
pub fn channel() -> (Output, Response) {
    let (chunks, mut queue) = mpsc::channel::<Bytes>(QUEUE);
    let body = futures::stream::poll_fn(move |context| {
        // What several batches wrote goes out by one write.
        let mut ready = Vec::new();
        queue.poll_recv_many(context, &mut ready, QUEUE).map(|count| match count {
            0 => None,
            1 => ready.pop(),
            _ => Some(Bytes::from(ready.concat())),
        })
    });
    let body = Body::from_stream(futures::StreamExt::map(body, Ok::<_, std::convert::Infallible>));
    let content_type = HeaderValue::from_static("application/x-ndjson");
    (Output { chunks, buffer: Vec::new() }, ([(header::CONTENT_TYPE, content_type)], body).into_response())
}

impl Output {
    /// Adds a line; sends when there is enough for a chunk.
    pub async fn line(&mut self, line: &impl Serialize) -> Result<(), Gone> {
        if let Err(error) = serde_json::to_writer(&mut self.buffer, line) {
            // Own types serialize, and a buffer in memory takes all.
            tracing::error!(%error, "a line of a job's stream could not be written");
            return Err(Gone);
        }
        self.buffer.push(b'\n');
        match self.buffer.len() >= CHUNK {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    pub async fn flush(&mut self) -> Result<(), Gone> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::copy_from_slice(&self.buffer);
        self.buffer.clear();
        self.chunks.send(chunk).await.map_err(|_| Gone)
    }

    /// Returns once the client has hung up.
    pub async fn gone(&self) {
        self.chunks.closed().await;
    }

    /// Ends the stream early.
    pub async fn fail(&mut self, problem: Problem) -> Result<(), Gone> {
        self.line(&Line::Error { code: problem.code, detail: problem.detail }).await?;
        self.flush().await
    }
}

impl Clone for Output {
    /// Another writer of the same response.
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), buffer: Vec::new() }
    }
}
