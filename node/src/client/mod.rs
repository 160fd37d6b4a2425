//! The HTTP client that the command line uses: warm connections, several nodes to turn to, streams of lines.

mod error;
mod events;
mod names;
mod probe;

pub use error::ClientError;
pub use events::{Event, Events};

use crate::api::{
    Problem,
    content::BlobLink,
    jobs::{Line, Lines},
    tasks::submit::IDEMPOTENCY_KEY,
};
use axum::body::{Body, to_bytes};
use http_body_util::BodyExt;
use hyper::{Method, Request, Response, body::Incoming, header};
use hyper_util::{
    client::legacy::{Client as Http, connect::HttpConnector},
    rt::TokioExecutor,
};
use names::Names;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Longest line of an answer: a result with every output inline.
const LINE_LIMIT: usize = 8 * 1024 * 1024;
/// Largest answer that is read whole.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// How long a node has to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A request may take long, and an answer come slowly; a node that is stopped never answers. So while something is
/// waited for, the node is asked so often whether it lives, which a thread of its own answers whatever the rest does.
const LOOK: Duration = Duration::from_secs(2);
/// How long it has to say so, and how often in a row it may miss that.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
const MOST_MISSED: u32 = 2;

const JSON: &str = "application/json";

/// A client of one mesh, through any of the nodes it was given.
pub struct Client {
    http: Http<HttpConnector<Names>, Body>,
    /// `http://host:port`, without a slash behind.
    nodes: Vec<String>,
    /// The one that answered last.
    current: AtomicUsize,
    token: String,
}

/// What is asked for: everything of a request but the node.
#[derive(Clone, Debug)]
pub struct Ask {
    method: Method,
    path: String,
    key: Option<String>,
    last_event: Option<String>,
    body: Option<Vec<u8>>,
    /// Of the body.
    content_type: &'static str,
    /// Of a streamed body, in bytes.
    size: Option<u64>,
}

impl Ask {
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), key: None, last_event: None, body: None, content_type: JSON, size: None }
    }

    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        // Own types serialize; what does not would be refused by the node as an empty body.
        self.body = serde_json::to_vec(body).ok();
        self
    }

    /// A body as it is.
    #[must_use]
    pub fn bytes(self, body: Vec<u8>) -> Self {
        Self { body: Some(body), content_type: "application/octet-stream", ..self }
    }

    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_string());
        self
    }

    #[must_use]
    pub fn last_event(mut self, id: Option<String>) -> Self {
        self.last_event = id;
        self
    }
}

impl Client {
    /// # Panics
    /// If `nodes` is empty.
    pub fn new(nodes: Vec<String>, token: String) -> Self {
        assert!(!nodes.is_empty(), "a client needs a node");
        let mut connector = HttpConnector::new_with_resolver(Names::default());
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let http = Http::builder(TokioExecutor::new()).build(connector);
        let nodes = nodes.into_iter().map(|node| node.trim_end_matches('/').to_string()).collect();
        Self { http, nodes, current: AtomicUsize::new(0), token }
    }

    /// Asks the first node and no other.
    #[must_use]
    pub fn first_alone(mut self) -> Self {
        self.nodes.truncate(1);
        self
    }

    /// The node that is asked first.
    pub fn node(&self) -> &str {
        &self.nodes[self.current.load(Ordering::Relaxed) % self.nodes.len()]
    }

    /// Asks, and reads the answer as JSON.
    pub async fn ask<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, ClientError> {
        let response = self.send(ask).await?;
        let bytes = self.watched(self.node(), whole(response)).await??;
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Answer(error.to_string()))
    }

    /// Asks, and reads the answer as it is.
    pub async fn ask_bytes(&self, ask: &Ask) -> Result<Vec<u8>, ClientError> {
        let response = self.send(ask).await?;
        Ok(self.watched(self.node(), whole(response)).await??.into())
    }

    /// Asks, of the first node that takes the connection and answers.
    pub async fn send(&self, ask: &Ask) -> Result<Response<Incoming>, ClientError> {
        let mut last = None;
        let first = self.current.load(Ordering::Relaxed);
        for turn in 0..self.nodes.len() {
            let at = (first + turn) % self.nodes.len();
            let (node, body) = (&self.nodes[at], ask.body.clone().map_or_else(Body::empty, Body::from));
            match self.watched(node, self.send_to(node, ask, body)).await {
                Ok(Ok(response)) => {
                    self.current.store(at, Ordering::Relaxed);
                    return self.watched(node, checked(response)).await?;
                }
                Ok(Err(lost)) => last = Some(graver(last, self.unreachable(lost))),
                Err(silent) => last = Some(graver(last, silent)),
            }
        }
        Err(last.unwrap_or_else(|| ClientError::Broken("no node was asked".into())))
    }

    /// Sends a body that is streamed, to the first node that is alive: what was read from a stream cannot be sent
    /// again to another.
    pub async fn stream(&self, ask: &Ask, body: Body) -> Result<Response<Incoming>, ClientError> {
        self.find_alive().await?;
        let node = self.node();
        match self.watched(node, self.send_to(node, ask, body)).await? {
            Ok(response) => self.watched(node, checked(response)).await?,
            Err(Lost::Http(error)) => Err(ClientError::Broken(describe(&error))),
            Err(Lost::Told(error)) => Err(error),
        }
    }

    /// Waits as long as it takes, and as long as the node lives.
    async fn watched<T>(&self, node: &str, work: impl Future<Output = T>) -> Result<T, ClientError> {
        let lost = async {
            let mut missed = 0;
            while missed < MOST_MISSED {
                tokio::time::sleep(LOOK).await;
                missed = if self.lives(node).await { 0 } else { missed + 1 };
            }
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = lost => Err(ClientError::Silent { node: node.to_owned() }),
        }
    }

    /// The next piece of a long answer, as `watched`.
    pub async fn hear<T>(&self, next: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        self.watched(self.node(), next).await?
    }

    /// Whether the node at this address answers and says that it turns.
    async fn lives(&self, node: &str) -> bool {
        let (ask, asked) = (Ask::get("/livez"), Body::empty());
        let answer = tokio::time::timeout(PROBE_TIMEOUT, self.send_to(node, &ask, asked)).await;
        matches!(answer, Ok(Ok(response)) if response.status().is_success())
    }

    /// Stores a blob, of `size` bytes if that is known; `pin` keeps it on the node until it is removed.
    pub async fn put_blob(&self, body: Body, size: Option<u64>, pin: bool) -> Result<BlobLink, ClientError> {
        let route = if pin { "/v1/blobs?pin=true" } else { "/v1/blobs" };
        let ask = Ask { size, ..Ask::new(Method::PUT, route) };
        let response = self.stream(&ask, body).await?;
        let bytes = self.watched(self.node(), whole(response)).await??;
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Answer(error.to_string()))
    }

    /// Turns to the first node that answers at all.
    pub async fn find_alive(&self) -> Result<(), ClientError> {
        let mut last = None;
        let first = self.current.load(Ordering::Relaxed);
        for turn in 0..self.nodes.len() {
            let at = (first + turn) % self.nodes.len();
            let node = &self.nodes[at];
            let probe =
                async { Ok::<_, Lost>(whole(self.send_to(node, &Ask::get("/livez"), Body::empty()).await?).await?) };
            // Read to its end, so that the connection is there for what follows.
            match tokio::time::timeout(PROBE_TIMEOUT, probe).await {
                Ok(Ok(_)) => {
                    self.current.store(at, Ordering::Relaxed);
                    return Ok(());
                }
                Ok(Err(lost)) => last = Some(graver(last, self.unreachable(lost))),
                Err(_) => last = Some(graver(last, ClientError::Silent { node: node.clone() })),
            }
        }
        Err(last.unwrap_or_else(|| ClientError::Broken("no node was asked".into())))
    }

    async fn send_to(&self, node: &str, ask: &Ask, body: Body) -> Result<Response<Incoming>, Lost> {
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(format!("{node}{}", ask.path))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        if ask.body.is_some() {
            request = request.header(header::CONTENT_TYPE, ask.content_type);
        }
        if let Some(size) = ask.size {
            request = request.header(header::CONTENT_LENGTH, size);
        }
        if let Some(key) = &ask.key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if let Some(id) = &ask.last_event {
            request = request.header("last-event-id", id);
        }
        let request = request.body(body).map_err(|error| ClientError::Request(error.to_string()))?;
        Ok(self.http.request(request).await?)
    }

    fn unreachable(&self, lost: Lost) -> ClientError {
        match lost {
            Lost::Told(error) => error,
            Lost::Http(error) if error.is_connect() => {
                ClientError::NoNode { nodes: self.nodes.join(", "), why: describe(&error) }
            }
            // It went out on a connection that was there: it may have been heard.
            Lost::Http(error) => ClientError::Broken(describe(&error)),
        }
    }
}

/// Of two nodes' errors the one to tell: that of a node which may have heard, else the first.
fn graver(first: Option<ClientError>, second: ClientError) -> ClientError {
    match (first, &second) {
        (Some(first), ClientError::NoNode { .. }) => first,
        (Some(first), _) if !matches!(first, ClientError::NoNode { .. }) => first,
        _ => second,
    }
}

/// Why a node's answer did not come.
enum Lost {
    Http(hyper_util::client::legacy::Error),
    Told(ClientError),
}

impl From<hyper_util::client::legacy::Error> for Lost {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        Self::Http(error)
    }
}

impl From<ClientError> for Lost {
    fn from(error: ClientError) -> Self {
        Self::Told(error)
    }
}

/// The lines of a job's answer.
pub struct JobLines(Lines);

impl JobLines {
    pub fn new(response: Response<Incoming>) -> Self {
        Self(lines(response))
    }

    /// `None` when the node closed the stream.
    pub async fn next(&mut self) -> Result<Option<Line>, ClientError> {
        let Some(line) = self.0.next().await.map_err(|problem| ClientError::Broken(problem.detail))? else {
            return Ok(None);
        };
        serde_json::from_slice(&line).map(Some).map_err(|error| ClientError::Answer(error.to_string()))
    }
}

fn lines(response: Response<Incoming>) -> Lines {
    Lines::new(Body::new(response.into_body()).into_data_stream(), LINE_LIMIT)
}

async fn whole(response: Response<Incoming>) -> Result<bytes::Bytes, ClientError> {
    let body = Body::new(response.into_body());
    to_bytes(body, ANSWER_LIMIT).await.map_err(|error| ClientError::Broken(error.to_string()))
}

/// The next piece of an answer's body; `None` behind its end.
pub async fn piece(response: &mut Response<Incoming>) -> Result<Option<bytes::Bytes>, ClientError> {
    loop {
        match response.body_mut().frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(ClientError::Broken(error.to_string())),
            // Trailers are not data.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

async fn checked(response: Response<Incoming>) -> Result<Response<Incoming>, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let bytes = whole(response).await?;
    match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => Err(ClientError::Refused(Box::new(problem))),
        Err(_) => Err(ClientError::Answer(format!("status {status}, and no problem document: is this a meshd?"))),
    }
}

/// An error with its causes, which hyper keeps to itself.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_sent_is_no_lost_node() {
        let client = |node: &str| Client::new(vec![node.to_owned()], "token".to_owned());
        let unsendable = [
            client("http://127.0.0.1:1").ask::<()>(&Ask::get("/v1/tasks/a b")).await,
            client("http://127.0.0.1:1").ask::<()>(&Ask::post("/v1/tasks").key("a\nb")).await,
            client("http://no host").ask::<()>(&Ask::get("/v1/tasks")).await,
        ];
        for asked in unsendable {
            let error = asked.unwrap_err();
            assert!(matches!(error, ClientError::Request(_)), "{error}");
            assert!(!error.is_worth_a_retry());
        }
    }
}
