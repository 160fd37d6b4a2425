//! `/v1/drain` and `/v1/leave`: this node gives what it has to the others.

use super::{Api, Code, Problem, brain::BrainGone, extract::OptionalJson};
use axum::{Json, extract::State, http::StatusCode};
use futures::future::BoxFuture;
use mesh_coordinator::{Answer, Command, StatusView};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// What draining needs besides the brain.
pub trait Draining: Send + Sync + 'static {
    /// Says of this node that it drains, or that it does not. It is on disk here, and on its way to the others, when what is
    /// asked of the brain behind this is answered.
    fn say(&self, drains: bool) -> BoxFuture<'_, Result<(), BrainGone>>;

    /// Ends in that time what runs then, unless it does not drain any more.
    fn stop_running_in(&self, time: Duration);

    /// Says that this node has left, and stops it.
    fn leave(&self) -> BoxFuture<'_, Result<(), BrainGone>>;
}

/// How a node is to drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainOrder {
    /// What still runs after so many milliseconds is ended, and run elsewhere. Without it is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainState {
    pub draining: bool,
    /// Nothing runs or waits here, no result is kept for its driver, and no record names this node as a holder.
    pub drained: bool,
    /// Records that name it, as of the last look through all of them; missing before the first. It looks once a second, and
    /// 20,000 records a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_move: Option<u64>,
    pub queued: u64,
    /// Those among them that are asked of several nodes from here (`--redundancy`).
    pub running: u64,
    /// Results that wait to be taken by the drivers of their tasks.
    pub outbox: u64,
    /// Other members in reach that take what it has.
    pub others: u32,
    /// These are fewer than the copies of a record: its copies stay until there are more.
    pub too_few: bool,
    /// It is in the committee, which draining does not change.
    pub in_committee: bool,
}

fn state(view: &StatusView) -> DrainState {
    let to_move = view.drain.and_then(|drain| drain.to_move);
    let running = view.running + view.drain.map_or(0, |drain| drain.polls);
    let is_idle = view.queued == 0 && running == 0 && view.outbox == 0;
    // Who drains does not count itself.
    let others = view.reachable.saturating_sub(u32::from(view.drain.is_none() && view.keeps_tasks));
    DrainState {
        draining: view.drain.is_some(),
        drained: is_idle && to_move == Some(0),
        to_move,
        queued: view.queued,
        running,
        outbox: view.outbox,
        others,
        too_few: view.drain.is_some_and(|drain| others < drain.copies),
        in_committee: view.agreement.as_ref().is_some_and(|agreement| agreement.epoch.replica_of(&view.node).is_some()),
    }
}

async fn ask(api: &Api, command: Command) -> Result<DrainState, Problem> {
    match api.ports.brain.ask(command).await?.one().await {
        Some(Answer::Status(view)) => Ok(state(&view)),
        _ => Err(BrainGone.into()),
    }
}

/// How far this node is with draining.
#[utoipa::path(get, path = "/v1/drain", tag = "node", responses((status = 200, body = DrainState)))]
pub async fn show(State(api): State<Api>) -> Result<Json<DrainState>, Problem> {
    ask(&api, Command::Status).await.map(Json)
}

/// Nothing new comes to this node from now on, what waits here goes elsewhere, and its copies are made anew on others. It stays so
/// through restarts, until `DELETE`.
#[utoipa::path(
    post, path = "/v1/drain", tag = "node", request_body = DrainOrder,
    responses((status = 200, body = DrainState), (status = 409, description = "Nobody else is in reach, or it has none by its role", body = Problem))
)]
pub async fn begin(
    State(api): State<Api>,
    OptionalJson(order): OptionalJson<DrainOrder>,
) -> Result<Json<DrainState>, Problem> {
    let Some(Answer::Status(view)) = api.ports.brain.ask(Command::Status).await?.one().await else {
        return Err(BrainGone.into());
    };
    if !view.keeps_tasks {
        return Err(Problem::new(
            Code::Conflict,
            "this node holds and runs no tasks by its role: there is nothing to drain",
        ));
    }
    if state(&view).others == 0 {
        let why = "no other member that holds tasks is in reach: what this node has could go nowhere";
        return Err(Problem::new(Code::Conflict, why));
    }
    api.ports.draining.say(true).await?;
    let now = match order.deadline_ms {
        Some(0) => ask(&api, Command::StopRunning).await?,
        Some(ms) => {
            api.ports.draining.stop_running_in(Duration::from_millis(ms));
            ask(&api, Command::Status).await?
        }
        None => ask(&api, Command::Status).await?,
    };
    Ok(Json(now))
}

/// This node takes work again.
#[utoipa::path(delete, path = "/v1/drain", tag = "node", responses((status = 200, body = DrainState)))]
pub async fn end(State(api): State<Api>) -> Result<Json<DrainState>, Problem> {
    api.ports.draining.say(false).await?;
    ask(&api, Command::Status).await.map(Json)
}

/// This node leaves the mesh and stops; it has to be drained. Started again it is a member again.
#[utoipa::path(
    post, path = "/v1/leave", tag = "node",
    responses((status = 202, description = "It stops"), (status = 409, description = "It is not drained, or in the committee", body = Problem))
)]
pub async fn leave(State(api): State<Api>) -> Result<StatusCode, Problem> {
    let now = ask(&api, Command::Status).await?;
    if now.in_committee {
        let why = "this node is in the committee: `meshd committee remove` takes it out first";
        return Err(Problem::new(Code::Conflict, why));
    }
    if !now.drained {
        let why = match now.to_move {
            _ if !now.draining => "this node does not drain: `meshd drain` first".to_owned(),
            Some(left) if now.too_few => format!(
                "{left} records name this node as a holder, and only {} other members in reach take copies: with another one they move",
                now.others
            ),
            Some(left) => format!("this node is not drained yet: {left} records name it as a holder"),
            None => "this node is not drained yet".to_owned(),
        };
        return Err(Problem::new(Code::Conflict, why));
    }
    api.ports.draining.leave().await?;
    Ok(StatusCode::ACCEPTED)
}
