//! What a task is doing while its user waits, for people who watch.

use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::no_color;
use super::results::escape;
use super::task::{short, short_node};
use crate::api::view::TaskInfo;
use crate::client::{Ask, Client};
use crate::testnet::length;

/// A line on standard error, where that is a terminal; nothing elsewhere.
pub(super) struct Waiting {
    bar: ProgressBar,
    begun: Instant,
}

/// Between two looks at the task.
const LOOK: Duration = Duration::from_secs(1);
/// Who waits longer wants to know for whom.
const LONG: Duration = Duration::from_secs(10);

impl Waiting {
    pub(super) fn new() -> Self {
        let bar = match std::io::stderr().is_terminal() {
            true => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8)),
            false => ProgressBar::hidden(),
        };
        let template = if no_color() { "{spinner} {wide_msg}" } else { "{spinner:.green} {wide_msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let waiting = Self { bar, begun: Instant::now() };
        if waiting.is_watched() {
            waiting.bar.set_message("submitting");
            waiting.bar.enable_steady_tick(Duration::from_millis(125));
        }
        waiting
    }

    pub(super) fn is_watched(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Shows the task until this is dropped.
    pub(super) async fn watch(&self, client: &Client, task: &str) -> Infallible {
        if !self.is_watched() {
            return std::future::pending().await;
        }
        let ask = Ask::get(format!("/v1/tasks/{}", escape(task)));
        loop {
            // What goes wrong is told by who waits for the result.
            if let Ok(info) = client.ask::<TaskInfo>(&ask).await {
                self.bar.set_message(text(&info, self.begun.elapsed()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.end();
    }
}

fn text(info: &TaskInfo, elapsed: Duration) -> String {
    let mut text = format!("{} for {}", info.state, length(Duration::from_secs(elapsed.as_secs())));
    if let Some(attempt) = info.attempt.as_ref().filter(|_| info.state == "running") {
        text += &format!(", attempt {} on {}", attempt.number, short_node(&attempt.node));
    }
    match info.awaits.as_slice() {
        [] => {}
        [one] => text += &format!(": after task {}", short(one)),
        several => text += &format!(": after {} tasks", several.len()),
    }
    if let Some(lack) = &info.lack {
        text += &format!(": {}", lack.reason);
    }
    if elapsed >= LONG && !info.waiting_for.is_empty() {
        let nodes: Vec<String> = info.waiting_for.iter().map(|node| short_node(node)).collect();
        text += &format!(", waits for {}", nodes.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_long_is_told_for_whom() {
        let info = |state: &str| {
            serde_json::from_value::<TaskInfo>(serde_json::json!({
                "task": "t", "state": state, "waiting_for": ["12D3KooWaaaaaaaa", "12D3KooWbbbbbbbb"], "in_force": false,
                "silent": [], "spec": crate::api::view::SpecInfo::default(), "gateway": "g", "placed": "p", "driver": "d",
                "term": 0, "version": 0, "holders": [], "failed": [], "story": [],
                "attempt": { "number": 2, "node": "12D3KooWcccccccc", "granted": "g" },
            }))
            .unwrap()
        };
        assert_eq!(text(&info("waiting"), Duration::from_secs(2)), "waiting for 2 s");
        assert_eq!(text(&info("running"), Duration::from_millis(9_876)), "running for 9 s, attempt 2 on cccccccc");
        assert!(text(&info("running"), Duration::from_secs(123)).starts_with("running for 2 min 3 s, attempt 2"));
        let long = text(&info("waiting"), Duration::from_secs(10));
        assert_eq!(long, "waiting for 10 s, waits for aaaaaaaa, bbbbbbbb");
    }
}
