//! `meshd aggregate count|sum|mean|min|max|quantile|histogram|set|unset|list`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::Failure;
use super::ordering::{Route, millis};
use super::output::Output;
use super::results::escape;
use super::settings::Global;
use crate::api::aggregate::{Aggregated, Aggregation, Function};
use crate::api::values::ValueRow;
use crate::client::Ask;
use crate::config::Span;
use crate::gauge::Value;
use crate::testnet::length;

#[derive(Debug, Subcommand)]
pub(super) enum Aggregate {
    /// How many nodes have a value.
    Count(Of),
    /// The sum of all nodes' values.
    Sum(Arrays),
    /// The mean of all nodes' values.
    Mean(Arrays),
    /// The least of all nodes' values.
    Min(Arrays),
    /// The greatest of all nodes' values.
    Max(Arrays),
    /// The value that a share of the nodes do not exceed: the median, or another.
    Quantile(Quantile),
    /// How all nodes' values are spread.
    Histogram(Histogram),
    /// Give this node a value, until it stops or for some time.
    Set(Set),
    /// Take a value of this node back.
    Unset(Unset),
    /// List the values that this node was given.
    List,
}

/// What is asked of all nodes.
#[derive(Debug, Args)]
pub(super) struct Of {
    /// A name that nodes were given a value under, or a metric, such as mesh_tasks_running or
    /// 'mesh_tasks_events{event="granted"}'.
    metric: String,
    /// Give this node that value before: a number, or a JSON array of them.
    #[arg(long, value_name = "VALUE", value_parser = value, allow_hyphen_values = true)]
    value: Option<Value>,
    /// How far off the answer may be, relative to the mean size of the values.
    #[arg(long, value_name = "SHARE", default_value_t = 0.001)]
    tolerance: f64,
    /// When to answer all the same, with the accuracy that there is.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    timeout: Span,
}

#[derive(Debug, Args)]
pub(super) struct Arrays {
    #[command(flatten)]
    of: Of,
    /// Values are arrays, as long as this node's own; the answer has one number for each component.
    #[arg(long)]
    vector: bool,
    /// Values are arrays of this length.
    #[arg(long, value_name = "N")]
    length: Option<u16>,
}

#[derive(Debug, Args)]
pub(super) struct Quantile {
    #[command(flatten)]
    of: Of,
    /// Which share, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    at: f64,
}

#[derive(Debug, Args)]
pub(super) struct Histogram {
    #[command(flatten)]
    of: Of,
    /// Buckets, at most.
    #[arg(long, value_name = "N", default_value_t = 16)]
    buckets: u16,
}

#[derive(Debug, Args)]
pub(super) struct Set {
    /// What it is called; not as a metric of meshd.
    name: String,
    /// A number, or a JSON array of at most 4,096.
    #[arg(value_parser = value, allow_hyphen_values = true)]
    value: Value,
    /// How long it stays. Default: until it is taken back or the node stops.
    #[arg(long, value_name = "TIME")]
    ttl: Option<Span>,
}

#[derive(Debug, Args)]
pub(super) struct Unset {
    /// What it is called.
    name: String,
}

fn value(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|_| "neither a number nor a JSON array of numbers".to_owned())
}

impl Of {
    fn asked(&self, operation: Function) -> Aggregation {
        Aggregation {
            operation,
            metric: self.metric.clone(),
            at: None,
            buckets: None,
            length: None,
            vector: false,
            value: self.value.clone(),
            tolerance: Some(self.tolerance),
            timeout: Some(millis(self.timeout.get())),
        }
    }
}

impl Arrays {
    fn asked(&self, operation: Function) -> Aggregation {
        Aggregation { vector: self.vector, length: self.length, ..self.of.asked(operation) }
    }
}

impl Aggregate {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let client = global.client()?;
        let asked = match self {
            Self::Count(of) => of.asked(Function::Count),
            Self::Sum(arrays) => arrays.asked(Function::Sum),
            Self::Mean(arrays) => arrays.asked(Function::Mean),
            Self::Min(arrays) => arrays.asked(Function::Min),
            Self::Max(arrays) => arrays.asked(Function::Max),
            Self::Quantile(Quantile { of, at }) => Aggregation { at: Some(*at), ..of.asked(Function::Quantile) },
            Self::Histogram(Histogram { of, buckets }) => {
                Aggregation { buckets: Some(*buckets), ..of.asked(Function::Histogram) }
            }
            Self::Set(Set { name, value, ttl }) => {
                let ttl = ttl.map(|ttl| millis(ttl.get()));
                let route = Route::new(&path(name)).and_if("ttl", ttl.as_deref());
                drop(client.send(&Ask::put(route).json(value)).await?);
                let said = serde_json::json!({ "name": name, "value": value });
                return Ok(output.put(&said, |_| format!("{name} is set on this node"))?);
            }
            Self::Unset(Unset { name }) => {
                drop(client.send(&Ask::delete(path(name))).await?);
                let said = serde_json::json!({ "name": name, "unset": true });
                return Ok(output.put(&said, |_| format!("{name} is not set on this node any more"))?);
            }
            Self::List => {
                let rows: Vec<ValueRow> = client.ask(&Ask::get("/v1/values")).await?;
                return Ok(output.rows(["name", "value", "expires"], &rows, |row| {
                    let left =
                        row.left_ms.map_or(String::new(), |ms| format!("in {}", length(Duration::from_millis(ms))));
                    [row.name.clone(), shown(&row.value), left]
                })?);
            }
        };
        let answer: Aggregated = client.ask(&Ask::post("/v1/aggregate").json(&asked)).await?;
        Ok(output.put(&answer, show)?)
    }
}

fn path(name: &str) -> String {
    format!("/v1/values/{}", escape(name))
}

fn shown(value: &Value) -> String {
    match value {
        Value::One(number) => number.to_string(),
        Value::Several(numbers) => format!("{} numbers", numbers.len()),
    }
}

fn show(answer: &Aggregated) -> String {
    let error = answer.error.map_or("an unknown error".to_owned(), |error| format!("± {}", short(error)));
    let mut text = match answer.value {
        Some(value) => format!("{} {error}\n", known(value, answer.error)),
        None => {
            let values = answer.values.iter().map(|value| known(*value, answer.error) + "\n").collect::<String>();
            let counts = answer
                .histogram
                .iter()
                .map(|bucket| format!("{:>12} to {:>12}  {}\n", short(bucket.from), short(bucket.to), bucket.count));
            format!("{values}{}each {error}\n", counts.collect::<String>())
        }
    };
    let Aggregated { covers, reached, members, rounds, elapsed_ms, .. } = answer;
    let took = length(Duration::from_millis(*elapsed_ms));
    text.push_str(&format!("of {covers} nodes; {reached} of {members} took part; {rounds} rounds in {took}"));
    if !answer.settled {
        text.push_str("; less accurate than asked for: it was time");
    }
    text
}

/// The digits that are known, and one more.
fn known(value: f64, error: Option<f64>) -> String {
    match error {
        Some(error) if error > 0.0 && value != 0.0 => {
            let places = (1.0 - error.log10().floor()).clamp(0.0, 15.0);
            let text = format!("{value:.*}", places as usize);
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        _ => value.to_string(),
    }
}

/// Four digits are enough of what is itself not exact.
fn short(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        0.001..1e6 => {
            let text = format!("{number:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{number:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_its_error_and_whom_it_covers() {
        let answer = Aggregated {
            operation: Function::Mean,
            metric: "loss".into(),
            value: Some(0.25),
            values: vec![],
            histogram: vec![],
            error: Some(0.00012),
            covers: 4,
            covers_error: Some(0.0),
            reached: 5,
            members: 6,
            rounds: 12,
            elapsed_ms: 1_200,
            settled: true,
        };
        assert_eq!(show(&answer), "0.25 ± 1.200e-4\nof 4 nodes; 5 of 6 took part; 12 rounds in 1.2 s",);
        let vector = Aggregated { value: None, values: vec![1.0, 2.5], error: None, settled: false, ..answer };
        assert_eq!(
            show(&vector),
            "1\n2.5\neach an unknown error\nof 4 nodes; 5 of 6 took part; 12 rounds in 1.2 s; \
             less accurate than asked for: it was time",
        );
    }

    #[test]
    fn of_a_value_the_digits_are_shown_that_are_known() {
        for (value, error, shown) in [
            (25.000069, Some(0.0152), "25"),
            (24.996, Some(0.0152), "24.996"),
            (1234.5678, Some(30.0), "1235"),
            (0.1234567, Some(0.0001), "0.12346"),
            (2.5, Some(0.0), "2.5"),
            (2.5, None, "2.5"),
            (100.0, Some(40.0), "100"),
        ] {
            assert_eq!(known(value, error), shown);
        }
    }

    #[test]
    fn a_value_is_a_number_or_an_array() {
        assert_eq!(value("-1.5"), Ok(Value::One(-1.5)));
        assert_eq!(value("[1, 2]"), Ok(Value::Several(vec![1.0, 2.0])));
        assert!(value("many").is_err() && value("{}").is_err());
    }
}
