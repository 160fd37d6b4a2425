//! `sim scale`.

use super::{Figures, Plan};
use crate::sim::campaign::cpu_time;

/// One large mesh in which nothing goes wrong but that nodes die: what a task and a node cost.
#[derive(Clone, Debug, clap::Args)]
pub struct Scale {
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(3..))]
    pub nodes: u16,
    /// Submitted within one virtual minute, by each strategy in turn. Otherwise 100 a node.
    #[arg(long)]
    pub tasks: Option<u64>,
    /// Which part of the nodes dies for good within that minute; each is taken out of the table by an operator 2 to 20
    /// seconds later.
    #[arg(long, default_value_t = 0.1)]
    pub die: f64,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Meshes of 10, 30, 100 and so on, up to `nodes`, each with its share of tasks and deaths.
    #[arg(long)]
    pub growth: bool,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A table as Markdown has it, and of one size every kind of message.
    Text,
    /// One line for each size.
    Json,
}

impl Scale {
    /// Runs all sizes, tells the figures of each as soon as there are any, and says whether nothing failed.
    pub fn run(&self, mut tell: impl FnMut(&str)) -> bool {
        if self.output == Output::Text {
            tell(&format!("| {} |\n|{}", Figures::HEAD.join(" | "), "---|".repeat(Figures::HEAD.len())));
        }
        let mut passes = true;
        for plan in self.plans() {
            let before = cpu_time();
            let report = super::run(plan, self.seed);
            let figures = Figures::of(&plan, &report, cpu_time().saturating_sub(before).as_secs_f64());
            match self.output {
                Output::Text => tell(&format!("| {} |", figures.row().join(" | "))),
                Output::Json => tell(&serde_json::to_string(&figures).unwrap_or_default()),
            }
            if self.output == Output::Text && !self.growth {
                tell(&format!("\n{figures:#?}"));
            }
            if let Some(failure) = &figures.failure {
                tell(&format!("FAILED {failure}"));
                passes = false;
            }
        }
        passes
    }

    fn plans(&self) -> Vec<Plan> {
        let nodes = u64::from(self.nodes);
        let sizes: Vec<u64> = match self.growth {
            false => vec![nodes],
            true => SIZES.into_iter().filter(|size| *size < nodes).chain([nodes]).collect(),
        };
        let tasks = self.tasks.unwrap_or(100 * nodes);
        let plan = |size: u64| Plan {
            nodes: size as usize,
            tasks: tasks * size / nodes,
            deaths: (self.die.clamp(0.0, 1.0) * size as f64).round() as u64,
        };
        sizes.into_iter().map(plan).collect()
    }
}

const SIZES: [u64; 5] = [10, 30, 100, 300, 1_000];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_has_its_share() {
        let scale = Scale { nodes: 300, tasks: None, die: 0.1, seed: 1, growth: true, output: Output::Json };
        let plans: Vec<(usize, u64, u64)> = scale.plans().iter().map(|p| (p.nodes, p.tasks, p.deaths)).collect();
        assert_eq!(plans, [(10, 1_000, 1), (30, 3_000, 3), (100, 10_000, 10), (300, 30_000, 30)]);
        let one = Scale { growth: false, tasks: Some(9), ..scale };
        assert_eq!(one.plans(), [Plan { nodes: 300, tasks: 9, deaths: 30 }]);
    }
}
