use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::testnet::length;

/// What happened.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub tasks: usize,
    /// From the command to a mesh in which every node reaches every other.
    pub up_ms: u64,
    /// From the submission to the last result.
    pub work_ms: u64,
    pub total_ms: u64,
    /// The longest time between two results.
    pub longest_pause_ms: u64,
    pub killed: Option<Killed>,
    pub nodes: Vec<Share>,
    /// Tasks that were begun on a node which did not end them.
    pub rerun: Vec<Rerun>,
    /// Results that are missing, differ from a local run, or were told in two ways. Empty if all is right.
    pub wrong: Vec<String>,
    pub job: Option<String>,
    /// Where the nodes run on, if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<PathBuf>,
}

/// The node that was killed.
#[derive(Clone, Debug, Serialize)]
pub struct Killed {
    pub node: usize,
    /// Since the submission.
    pub at_ms: u64,
    /// Tasks that had ended.
    pub ended: usize,
}

/// What a node ran.
#[derive(Clone, Debug, Serialize)]
pub struct Share {
    pub node: usize,
    pub id: String,
    /// Tasks whose accepted result is of this node.
    pub ran: usize,
}

/// A task that was run again.
#[derive(Clone, Debug, Serialize)]
pub struct Rerun {
    pub file: String,
    pub failed_attempts: u32,
    /// Who ended it.
    pub node: Option<usize>,
}

/// Reruns that are named one by one.
const MOST_NAMED: usize = 8;

impl Report {
    /// Every task has the result of a local run, and one node was killed on the way.
    pub fn is_right(&self) -> bool {
        self.wrong.is_empty() && self.killed.is_some()
    }

    /// As a table for people.
    pub fn text(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_header(["NODE", "ID", "RAN", ""]);
        for share in &self.nodes {
            let killed = self.killed.as_ref().filter(|killed| killed.node == share.node);
            let note = killed.map(|killed| format!("killed with -9 after {}", took(killed.at_ms))).unwrap_or_default();
            table.add_row([share.node.to_string(), share.id.clone(), share.ran.to_string(), note]);
        }
        let table: Vec<String> = table.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
        let mut text = format!(
            "\n{}\n\n{} tasks in {}, {} of them begun again on another node; the longest pause between two results was {}\n",
            table.join("\n"),
            self.tasks,
            took(self.work_ms),
            self.rerun.len(),
            took(self.longest_pause_ms),
        );
        for rerun in self.rerun.iter().take(MOST_NAMED) {
            let node = rerun.node.map_or_else(|| "nobody".to_owned(), |node| format!("node {node}"));
            text += &format!("  {} was begun again and ended by {node}\n", rerun.file);
        }
        if self.rerun.len() > MOST_NAMED {
            text += &format!("  and {} more\n", self.rerun.len() - MOST_NAMED);
        }
        match self.wrong.is_empty() {
            true => text += &format!("every result is that of a local run; {} in all", took(self.total_ms)),
            false => {
                text += &format!("{} results are WRONG:\n", self.wrong.len());
                for wrong in self.wrong.iter().take(MOST_NAMED) {
                    text += &format!("  {wrong}\n");
                }
            }
        }
        text
    }
}

fn took(ms: u64) -> String {
    length(Duration::from_millis(ms))
}
