//! Lays siege to real processes, or judges a history that was kept.

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use mesh_proto::genesis::Engine;
use mesh_tests::siege::{self, Plan};
use meshd::config::Span;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Real nodes under kill -9 and freezes while users put, swap, lock and vote; what they were told is checked in the end.
#[derive(Parser)]
struct Arguments {
    /// The program that the nodes run. Default: `meshd` beside this one.
    #[arg(long, value_name = "PATH")]
    meshd: Option<PathBuf>,
    /// All of them are the committee.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=31))]
    nodes: u8,
    /// How long there is load and fire.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Users, each of whom wants one thing at a time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    clients: u16,
    /// Between two faults, and longer where nothing was agreed on since the last.
    #[arg(long, default_value = "3s")]
    kill_every: Span,
    /// What the network orders by.
    #[arg(long, value_enum, default_value_t = Ordering::Pbft)]
    engine: Ordering,
    /// Of all choices. Default: drawn, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Where to make the testnet. Default: the system's directory for temporary files.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Leave the testnet's files and the history there, also where nothing was found.
    #[arg(long)]
    keep: bool,
    /// Judge this history, and nothing else.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Ordering {
    Pbft,
    Raft,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match &arguments.check {
        Some(path) => {
            let judgement = siege::judge(path)?;
            judgement.violations.iter().for_each(|violation| println!("WRONG {violation}"));
            println!("{} keys ({} left open), {} grants", judgement.keys, judgement.too_long, judgement.grants);
            Ok(code(judgement.violations.is_empty()))
        }
        None => lay(&arguments),
    }
}

fn lay(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let plan = Plan {
        binary: binary(arguments)?,
        nodes: usize::from(arguments.nodes),
        time: Duration::try_from_secs_f64(arguments.minutes * 60.0).context("--minutes")?,
        clients: usize::from(arguments.clients),
        kill_every: arguments.kill_every.get(),
        engine: match arguments.engine {
            Ordering::Pbft => Engine::Pbft,
            Ordering::Raft => Engine::Raft,
        },
        seed: arguments.seed.unwrap_or_else(rand::random),
        dir: arguments.dir.clone(),
        keep: arguments.keep,
    };
    eprintln!("seed {}", plan.seed);
    // The nodes die with this thread, and with nothing else.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures = runtime.block_on(plan.run())?;
    match arguments.output {
        Output::Text => println!("{figures}"),
        Output::Json => println!("{}", serde_json::to_string(&figures)?),
    }
    Ok(code(figures.violations.is_empty()))
}

fn binary(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    if let Some(binary) = &arguments.meshd {
        return Ok(binary.clone());
    }
    let beside = std::env::current_exe()?.with_file_name("meshd");
    anyhow::ensure!(
        beside.is_file(),
        "there is no {}: build it with `cargo build --release -p meshd`, or name another with --meshd",
        beside.display()
    );
    Ok(beside)
}

fn code(is_well: bool) -> ExitCode {
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
