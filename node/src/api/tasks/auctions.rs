use super::show::view;
use crate::api::{Api, Problem, extract::resolve_task, submission::show_date};
use axum::{
    Json,
    extract::{Path, State},
};
use mesh_proto::control::StoryLine;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The auctions of one task, in order, as far as their auctioneers remember.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Auctions {
    pub task: String,
    pub auctions: Vec<AuctionInfo>,
    /// Nodes that were asked and did not answer.
    pub silent: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuctionInfo {
    pub at: String,
    /// Who held it.
    pub auctioneer: String,
    /// How many members were asked, and how many bid.
    pub asked: u32,
    pub bid: u32,
    pub took_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<String>,
    /// The best of them. Only that which won where many tasks were auctioned together.
    pub bids: Vec<BidInfo>,
}

/// Shares are of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BidInfo {
    pub node: String,
    pub score: f64,
    pub capability: f64,
    pub idle: f64,
    pub performance: f64,
    pub memory: f64,
}

/// Shows the auctions that a task went through, with their bids.
#[utoipa::path(
    get, path = "/v1/tasks/{id}/auctions", tag = "tasks", params(("id" = String, Path, description = "Or a unique prefix")),
    responses((status = 200, body = Auctions), (status = 404, body = Problem))
)]
pub async fn auctions(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<Auctions>, Problem> {
    let task = resolve_task(&api, &id).await?;
    let view = view(&api, task).await?;
    Ok(Json(Auctions {
        task: task.to_string(),
        auctions: view.story.iter().filter_map(AuctionInfo::read).collect(),
        silent: view.silent.iter().map(ToString::to_string).collect(),
    }))
}

impl AuctionInfo {
    /// As `mesh-tasks` tells it: `auctioned: 4 of 5 bid within 1 ms, won by N; N 0.775 = capability 1.000 idle 0.750 past
    /// 0.500 memory 0.500; …`. None of a line about something else, or of a node that says it otherwise.
    fn read(line: &StoryLine) -> Option<Self> {
        let mut parts = line.what.strip_prefix("auctioned: ")?.split("; ");
        let (counts, winner) = parts.next()?.split_once(" ms, won by ")?;
        let (counts, took_ms) = counts.split_once(" bid within ")?;
        let (bid, asked) = counts.split_once(" of ")?;
        Some(Self {
            at: show_date(line.at),
            auctioneer: line.node.to_string(),
            asked: asked.parse().ok()?,
            bid: bid.parse().ok()?,
            took_ms: took_ms.parse().ok()?,
            winner: Some(winner.to_owned()).filter(|winner| winner != "nobody"),
            bids: parts.filter_map(BidInfo::read).collect(),
        })
    }
}

impl BidInfo {
    fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let [node, score, "=", "capability", capability, "idle", idle, "past", performance, "memory", memory] =
            words[..]
        else {
            return None;
        };
        let share = |text: &str| text.parse::<f64>().ok();
        Some(Self {
            node: node.to_owned(),
            score: share(score)?,
            capability: share(capability)?,
            idle: share(idle)?,
            performance: share(performance)?,
            memory: share(memory)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{id::NodeId, time::Wall};

    fn read(what: &str) -> Option<AuctionInfo> {
        AuctionInfo::read(&StoryLine { at: Wall(0), node: NodeId::from_bytes([1; 32]), what: what.into() })
    }

    #[test]
    fn what_an_auctioneer_tells_is_read() {
        let told = read(
            "auctioned: 2 of 3 bid within 7 ms, won by b; b 0.775 = capability 1.000 idle 0.750 past 0.500 memory 0.500; \
             a 0.400 = capability 1.000 idle 0.000 past 0.000 memory 0.000",
        )
        .expect("an auction");
        assert_eq!((told.bid, told.asked, told.took_ms, told.winner.as_deref()), (2, 3, 7, Some("b")));
        let bids: Vec<(&str, f64, f64)> =
            told.bids.iter().map(|bid| (bid.node.as_str(), bid.score, bid.idle)).collect();
        assert_eq!(bids, [("b", 0.775, 0.75), ("a", 0.4, 0.0)]);
        let nobody = read("auctioned: 0 of 0 bid within 0 ms, won by nobody").expect("an auction");
        assert_eq!((nobody.winner, nobody.bids), (None, vec![]));
        assert_eq!(read("attempt 1 granted to b"), None);
        assert_eq!(read("auctioned: in a way of later"), None);
    }
}
