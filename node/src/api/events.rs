//! `/v1/events`: what this node sees change, as it changes.

use super::{Api, Problem, brain::BrainGone};
use axum::{
    extract::State,
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::StreamExt;
use mesh_coordinator::{Answer, Command};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, convert::Infallible, time::Duration};
use utoipa::ToSchema;

/// The data of an event `members`: who is in which state, sent at first and upon each change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MembersEvent {
    /// Peer id to `self alive silent left forgotten`.
    pub members: BTreeMap<String, String>,
}

/// Changes of the member table, as server-sent events. Ids are the digests of what they show: a `Last-Event-ID` equal
/// to the present state is not sent again.
#[utoipa::path(
    get, path = "/v1/events", tag = "node", params(("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = MembersEvent, content_type = "text/event-stream"))
)]
pub async fn events(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Sse<impl futures::Stream<Item = Result<Event, Infallible>>>, Problem> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_string();
    members(&api).await?;
    let closing = api.closing.clone();
    let changes = futures::stream::unfold((api, last), |(api, mut last)| async move {
        loop {
            let now = members(&api).await.ok()?;
            let data = serde_json::to_string(&now).ok()?;
            let id = blake3::hash(data.as_bytes()).to_hex()[..16].to_string();
            if id != last {
                let event = Event::default().event("members").id(id.clone()).data(data);
                last = id;
                return Some((Ok(event), (api, last)));
            }
            tokio::time::sleep(PERIOD).await;
        }
    });
    Ok(Sse::new(changes.take_until(closing.cancelled_owned())).keep_alive(KeepAlive::default()))
}

/// How often the table is looked at.
const PERIOD: Duration = Duration::from_millis(500);

async fn members(api: &Api) -> Result<MembersEvent, Problem> {
    match api.ports.brain.ask(Command::Members).await?.one().await {
        Some(Answer::Members(members)) => {
            let states = members.into_iter().map(|member| (member.node.to_string(), member.state));
            Ok(MembersEvent { members: states.collect() })
        }
        _ => Err(BrainGone.into()),
    }
}
