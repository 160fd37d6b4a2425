//! `meshd demo`.

use std::io::{IsTerminal as _, Write as _};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::Failure;
use super::exit::FAILED;
use super::output::Output;
use super::signals::Signals;
use super::testnet::how_to_use;
use crate::demo;
use crate::testnet::Testnet;

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// How many nodes.
    #[arg(long, default_value = "5", value_name = "N", value_parser = clap::value_parser!(u16).range(3..=50))]
    nodes: u16,
    /// How many files, one task each.
    #[arg(long, default_value = "300", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    files: u32,
    /// Leave the nodes running, and say how to use them.
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(super) async fn run(&self, output: Output) -> Result<(), Failure> {
        let plan = demo::Plan {
            binary: std::env::current_exe()?,
            nodes: usize::from(self.nodes),
            files: self.files as usize,
            keep: self.keep,
        };
        let bar = match std::io::stderr().is_terminal() {
            true => ProgressBar::with_draw_target(Some(self.files.into()), ProgressDrawTarget::stderr_with_hz(8)),
            false => ProgressBar::hidden(),
        };
        let say = |line: &str| bar.suspend(|| eprintln!("{line}"));
        let watch = |ended: usize| bar.set_position(ended as u64);
        let mut signals = Signals::new()?;
        let ran = tokio::select! {
            ran = demo::run(&plan, &say, &watch) => ran,
            code = signals.next() => {
                bar.finish_and_clear();
                return Err(Failure::Ended(code));
            }
        };
        bar.finish_and_clear();
        let (report, net) = ran?;
        let said = print(output, &report, net.as_ref());
        if let (Err(_), Some(net)) = (&said, &net) {
            let dir = net.dir().display();
            eprintln!("meshd: the nodes are left running; to end them: meshd testnet down --dir {dir}");
        }
        said?;
        match report.is_right() {
            true => Ok(()),
            false => Err(Failure::Ended(FAILED)),
        }
    }
}

fn print(output: Output, report: &demo::Report, net: Option<&Testnet>) -> Result<(), Failure> {
    output.put(report, demo::Report::text)?;
    match net {
        Some(net) if output.is_text() => Ok(writeln!(std::io::stdout(), "\n{}", how_to_use(net)?)?),
        _ => Ok(()),
    }
}
