//! `meshd task explain`.

use super::task::short_node;
use crate::api::tasks::explain::{CandidateInfo, ExplainInfo};

pub(super) fn show(info: &ExplainInfo) -> String {
    let ExplainInfo { task, state, why, strategy, require, candidates, more, decisions, .. } = info;
    let mut text = format!("task      {task}\nstate     {state}\nwhy       {why}\nstrategy  {strategy}");
    if let Some(require) = require {
        text.push_str(&format!("\nrequire   {require}"));
    }
    if !candidates.is_empty() {
        text.push_str("\n\ncandidates, the best first\n  node      score  capability  idle   past   busy     against");
    }
    for candidate in candidates {
        text.push_str(&format!("\n  {}", line(candidate)));
    }
    if *more > 0 {
        text.push_str(&format!("\n  and {more} more"));
    }
    if !decisions.is_empty() {
        text.push_str("\n\ndecisions");
    }
    for decision in decisions {
        text.push_str(&format!("\n  {}  {}  {}", decision.at, short_node(&decision.node), decision.what));
    }
    text
}

fn line(candidate: &CandidateInfo) -> String {
    let CandidateInfo { node, score, capability, idle, performance, slots, busy, against } = candidate;
    let (node, busy, against) = (short_node(node), format!("{busy} of {slots}"), against.join("; "));
    let line = format!("{node:8}  {score:.3}  {capability:.3}       {idle:.3}  {performance:.3}  {busy:7}  {against}");
    line.trim_end().to_owned()
}
