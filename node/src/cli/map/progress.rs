//! How far a job has come, for people who watch.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crate::cli::output::no_color;
use crate::testnet::length;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error, where that is a terminal; nothing elsewhere.
pub(in crate::cli) struct Bar {
    bar: ProgressBar,
    begun: Instant,
    total: u64,
    pub(in crate::cli) done: u64,
    pub(in crate::cli) failed: u64,
    placed: u64,
}

impl Bar {
    pub(in crate::cli) fn new(total: u64) -> Self {
        let bar = match std::io::stderr().is_terminal() {
            true => ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8)),
            false => ProgressBar::hidden(),
        };
        let template = match no_color() {
            true => "{bar:30} {msg}",
            false => "{bar:30.green} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let bar = Self { bar, begun: Instant::now(), total, done: 0, failed: 0, placed: 0 };
        bar.show();
        bar
    }

    pub(in crate::cli) fn ended(&mut self, well: bool) {
        match well {
            true => self.done += 1,
            false => self.failed += 1,
        }
        self.show();
    }

    /// What the node last said of how many it has placed.
    pub(in crate::cli) fn placed(&mut self, placed: u64) {
        self.placed = placed;
        self.show();
    }

    /// Since it was begun.
    pub(in crate::cli) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(in crate::cli) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn show(&self) {
        if self.bar.is_hidden() {
            return;
        }
        let ended = self.done + self.failed;
        self.bar.set_position(ended);
        self.bar.set_message(text(self.total, ended, self.failed, self.placed, self.begun.elapsed()));
    }
}

fn text(total: u64, ended: u64, failed: u64, placed: u64, elapsed: Duration) -> String {
    let running = placed.saturating_sub(ended);
    let rate = ended as f64 / elapsed.as_secs_f64().max(0.001);
    let left = match ended {
        0 => "?".to_string(),
        _ => length(Duration::from_secs((total.saturating_sub(ended) as f64 / rate.max(0.001)).round() as u64)),
    };
    format!("{ended}/{total} done, {running} running, {failed} failed, {rate:.1}/s, {left} left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_left() {
        let line = text(100, 50, 2, 60, Duration::from_secs(10));
        assert_eq!(line, "50/100 done, 10 running, 2 failed, 5.0/s, 10 s left");
        assert_eq!(text(5, 0, 0, 0, Duration::ZERO), "0/5 done, 0 running, 0 failed, 0.0/s, ? left");
    }
}
