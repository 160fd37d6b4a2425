//! Reading requests; what cannot be read is a [`Problem`], as everything else.

use super::{Api, Code, Problem};
use axum::{
    body::to_bytes,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::request::Parts,
};
use bytes::Bytes;
use mesh_coordinator::{Answer, Command};
use mesh_proto::id::{NodeId, TaskId};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A JSON body under the limit of the API.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Api> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let bytes = limited(request, api.limits.body).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(Problem::malformed)
    }
}

/// The same, where an empty body says nothing.
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<Api> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let bytes = limited(request, api.limits.body).await?;
        match bytes.is_empty() {
            true => Ok(Self(T::default())),
            false => serde_json::from_slice(&bytes).map(Self).map_err(Problem::malformed),
        }
    }
}

/// A body of so many bytes at most.
pub async fn limited(request: Request, limit: usize) -> Result<Bytes, Problem> {
    to_bytes(request.into_body(), limit).await.map_err(|error| {
        let limited = std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("limit"));
        match limited {
            true => Problem::new(Code::TooLarge, format!("a body of more than {limit} bytes")),
            false => Problem::malformed(format_args!("the body ended early: {error}")),
        }
    })
}

/// The query string.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::<T>::try_from_uri(&parts.uri)
            .map(|Query(params)| Self(params))
            .map_err(|error| Problem::malformed(error.body_text()))
    }
}

/// A span as users write it: `500ms`, `30s`, `1h 30m`, or a bare number of seconds.
pub fn parse_span(text: &str) -> Result<Duration, Problem> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    let span: Option<jiff::SignedDuration> = text.parse().ok();
    span.and_then(|span| Duration::try_from(span).ok()).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        Problem::malformed(format_args!("`{shown}` is no span of time: write 500ms, 30s or 1h"))
    })
}

/// `?wait=`, cut to what the API waits at most.
pub fn parse_wait(api: &Api, wait: Option<&str>) -> Result<Option<Duration>, Problem> {
    wait.map(|text| parse_span(text).map(|span| span.min(api.limits.wait))).transpose()
}

/// The task of that id, or the only one whose id begins so.
pub async fn resolve_task(api: &Api, text: &str) -> Result<TaskId, Problem> {
    let text = &*text.to_ascii_lowercase();
    if let Ok(task) = text.parse() {
        return Ok(task);
    }
    check_prefix(text)?;
    let answers = api.ports.brain.ask(Command::Resolve { prefix: text.to_string() }).await?;
    match answers.one().await {
        Some(Answer::Matches(matches)) => only_one(text, &matches, "task"),
        Some(Answer::Refused { why, .. }) => Err((&why).into()),
        _ => Err(super::brain::BrainGone.into()),
    }
}

/// The node of that peer id, or the only member whose id ends so: all begin alike.
pub async fn resolve_node(api: &Api, text: &str) -> Result<NodeId, Problem> {
    if let Ok(node) = text.parse() {
        return Ok(node);
    }
    if text.len() < 8 {
        let shown: String = text.chars().take(80).collect();
        return Err(Problem::malformed(format_args!("`{shown}` is no peer id: give at least its last 8 characters")));
    }
    let Some(Answer::Members(members)) = api.ports.brain.ask(Command::Members).await?.one().await else {
        return Err(super::brain::BrainGone.into());
    };
    let found: Vec<NodeId> =
        members.iter().map(|member| member.node).filter(|node| node.to_string().ends_with(text)).collect();
    match found[..] {
        [node] => Ok(node),
        [] => Err(Problem::new(Code::NotFound, format!("no member has a peer id that ends with {text}"))),
        _ => Err(Problem::new(Code::Ambiguous, format!("{text} ends {} peer ids", found.len()))),
    }
}

/// Prefixes shorter than 8 digits would match by accident. Ids have small letters: whoever asks makes large ones small.
pub fn check_prefix(text: &str) -> Result<(), Problem> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match digits && (8..64).contains(&text.len()) {
        true => Ok(()),
        false => {
            let shown: String = text.chars().take(80).collect();
            Err(Problem::malformed(format_args!("`{shown}` is no id: give at least its first 8 hexadecimal digits")))
        }
    }
}

pub fn only_one<T: Copy + std::fmt::Display>(text: &str, matches: &[T], kind: &str) -> Result<T, Problem> {
    match matches {
        [one] => Ok(*one),
        [] => Err(Problem::new(Code::NotFound, format!("no node in reach knows a {kind} whose id begins with {text}"))),
        several => {
            let shown: Vec<String> = several.iter().take(5).map(|id| id.to_string()[..16].to_string()).collect();
            Err(Problem::new(Code::Ambiguous, format!("{text} begins {} ids: {} …", several.len(), shown.join(", "))))
        }
    }
}
