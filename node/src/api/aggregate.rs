//! Functions of a value that every node has.

use super::{
    Api, Code, Problem,
    brain::BrainGone,
    extract::{JsonBody, parse_span},
};
use crate::gauge::Value;
use axum::{Json, extract::State};
use mesh_coordinator::{Answer, Command};
use mesh_gossip::{Asked, Operation};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// What is asked of all nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregation {
    pub operation: Function,
    /// A name under which users gave nodes values, or a metric, such as `mesh_tasks_running` or
    /// `mesh_tasks_events{event="granted"}`: samples of it are summed at each node.
    pub metric: String,
    /// Of `quantile`: from 0 to 1. Default 0.5, the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
    /// Of `histogram`: how many buckets at most. Default 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<u16>,
    /// Values are arrays of this many numbers, and so is the answer. Default: numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u16>,
    /// The same, of as many as this node's own value has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vector: bool,
    /// What this node is given as its value before, as by `PUT /v1/values/{name}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// How far from the truth the answer may be, relative to the mean size of the values. Default 0.001.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// When it is answered all the same, at most `60s`. Default 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Function {
    /// How many nodes have such a value.
    Count,
    Sum,
    Mean,
    Min,
    Max,
    Quantile,
    Histogram,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Aggregated {
    pub operation: Function,
    pub metric: String,
    /// Absent of vectors and histograms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Of vectors: one for each component.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<HistogramBucket>,
    /// How far `value`, each of `values`, or each count of `histogram` may be off, about the nodes that are covered: as far as
    /// others' findings of the last rounds were from it. Seen, not proven; absent where too little was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// Nodes whose value is in it, and how far that may be off.
    pub covers: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers_error: Option<f64>,
    /// Nodes that took part, with such a value or without.
    pub reached: u64,
    /// Members of the network as this node knows it, in reach or not.
    pub members: u64,
    pub rounds: u32,
    pub elapsed_ms: u64,
    /// Whether it is as near as was asked for; else it was time.
    pub settled: bool,
}

/// So many nodes have a value from here to there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistogramBucket {
    pub from: f64,
    pub to: f64,
    pub count: u64,
}

const TIMEOUT: Duration = Duration::from_secs(10);
const TOLERANCE: f64 = 0.001;
const BUCKETS: u16 = 16;

/// Asks all nodes in reach, and answers once what they find agrees.
///
/// Nobody collects the values: each node gives parts of its own to a few others, a round at a time, until all find the same.
#[utoipa::path(
    post, path = "/v1/aggregate", tag = "aggregation", request_body = Aggregation,
    responses(
        (status = 200, body = Aggregated), (status = 404, description = "No node in reach has such a value", body = Problem),
        (status = 503, description = "As many as there may be at once", body = Problem)
    )
)]
pub async fn aggregate(
    State(api): State<Api>,
    JsonBody(asked): JsonBody<Aggregation>,
) -> Result<Json<Aggregated>, Problem> {
    if let Some(value) = &asked.value {
        api.ports.gauge.values.set(&asked.metric, value.clone(), None)?;
    }
    let question = question(&api, &asked)?;
    match api.ports.brain.ask(Command::Aggregate { asked: question }).await?.one().await {
        Some(Answer::Aggregate { answer, members }) if answer.covers > 0 || asked.operation == Function::Count => {
            Ok(Json(Aggregated::new(&asked, *answer, members)))
        }
        Some(Answer::Aggregate { answer, .. }) => {
            let (metric, reached) = (&asked.metric, answer.reached);
            let what = if asked.is_vector() { "such an array" } else { "such a number" };
            Err(Problem::new(Code::NotFound, format!("none of the {reached} nodes in reach has {what}: {metric}")))
        }
        Some(Answer::Refused { why, .. }) => Err((&why).into()),
        _ => Err(BrainGone.into()),
    }
}

fn question(api: &Api, asked: &Aggregation) -> Result<Asked, Problem> {
    let length = match (asked.length, asked.vector) {
        (Some(length), _) => length,
        (None, false) => 1,
        (None, true) => {
            let own = api.ports.gauge.values.get(&asked.metric).map(|own| u16::try_from(own.len()).unwrap_or(u16::MAX));
            own.ok_or_else(|| Problem::malformed("this node has no array of that name: give it one, or the length"))?
        }
    };
    let timeout = asked.timeout.as_deref().map(parse_span).transpose()?.unwrap_or(TIMEOUT);
    let operation = match asked.operation {
        Function::Count => Operation::Count,
        Function::Sum => Operation::Sum,
        Function::Mean => Operation::Mean,
        Function::Min => Operation::Min,
        Function::Max => Operation::Max,
        Function::Quantile => Operation::Quantile(asked.at.unwrap_or(0.5)),
        Function::Histogram => Operation::Histogram(asked.buckets.unwrap_or(BUCKETS).into()),
    };
    let (name, tolerance) = (asked.metric.clone(), asked.tolerance.unwrap_or(TOLERANCE));
    Ok(Asked { operation, name, length, tolerance, timeout })
}

impl Aggregation {
    fn is_vector(&self) -> bool {
        self.vector || self.length.is_some()
    }
}

impl Aggregated {
    fn new(asked: &Aggregation, answer: mesh_gossip::Answer, members: u64) -> Self {
        // JSON has no number for what was not seen at all.
        let seen = |error: f64| Some(error).filter(|error| error.is_finite());
        let bucket =
            |bucket: &mesh_gossip::Bucket| HistogramBucket { from: bucket.from, to: bucket.to, count: bucket.count };
        let (value, values) = match asked.is_vector() && asked.operation != Function::Count {
            true => (None, answer.values),
            false => (answer.values.first().copied(), Vec::new()),
        };
        Self {
            operation: asked.operation,
            metric: asked.metric.clone(),
            value,
            values,
            histogram: answer.histogram.iter().map(bucket).collect(),
            error: seen(answer.error),
            covers: answer.covers,
            covers_error: seen(answer.covers_error),
            reached: answer.reached,
            members,
            rounds: answer.rounds,
            elapsed_ms: u64::try_from(answer.elapsed.as_millis()).unwrap_or(u64::MAX),
            settled: answer.settled,
        }
    }
}
