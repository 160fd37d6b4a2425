//! `meshd bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::ArgPredicate};

mod consensus;
mod gateway;

use super::Failure;
use super::connect::block_on;
use super::exit::FAILED;
use super::output::Output;
use super::settings::Global;
use super::signals::Signals;
use crate::api::terms::Way;
use crate::bench::{Fault, Figures, MapFigures, MapPlan, Place, TasksPlan, What};
use crate::config::Size;

#[derive(Debug, Subcommand)]
pub(super) enum Bench {
    /// Many small tasks: throughput, latency, and what they cost.
    Tasks(Tasks),
    /// One command over many files, against the same command run serially.
    Map(Map),
    /// Agreement: throughput, latency, and what they cost.
    Consensus(consensus::Consensus),
    /// A gateway of `bench consensus`, which starts it.
    #[command(hide = true)]
    Gateway,
}

#[derive(Debug, Args)]
struct PlaceFlags {
    /// How many nodes.
    #[arg(long, default_value = "5", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    nodes: u16,
    /// Measure this testnet, which is up, in place of one made for the run.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["nodes", "dir", "slots"])]
    testnet: Option<PathBuf>,
    /// Where to make the testnet. Default: the system's directory for temporary files.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Tasks that run at once on each node. Of several numbers the last is that of all further nodes: `8,2`.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    slots: Vec<u32>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("fault").args(["kill", "stop", "kill_all_at"]))]
pub(super) struct Tasks {
    /// How many tasks.
    #[arg(long, default_value = "10000", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    count: u32,
    /// Bytes of each task's standard input.
    #[arg(long, default_value = "100", value_name = "BYTES", value_parser = clap::value_parser!(u32).range(0..=4096))]
    payload: u32,
    /// What each task runs: echo, sha256, sleep (10 ms), or a command that is allowed.
    #[arg(long, default_value = "echo", value_name = "PROGRAM")]
    program: String,
    /// How the node that runs a task is chosen. All are given to node 0.
    #[arg(long, value_enum, default_value = "auto")]
    strategy: Way,
    /// Each task waits for the one before, as a request of its own.
    #[arg(long, conflicts_with_all = ["rate", "kill_all_at"])]
    one_at_a_time: bool,
    /// Offer so many tasks a second. Default: as many as are taken.
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Kill this node with -9 mid-way; it stays down.
    #[arg(long, value_name = "NODE")]
    kill: Option<usize>,
    /// Freeze this node mid-way, until the end.
    #[arg(long, value_name = "NODE")]
    stop: Option<usize>,
    /// Kill all nodes with -9 when this part of the tasks has ended, and start them again.
    #[arg(long, value_name = "PART", value_parser = part)]
    kill_all_at: Option<f64>,
    /// When --kill and --stop happen: when this part of the tasks has ended.
    #[arg(long, default_value = "0.5", value_name = "PART", value_parser = part)]
    at: f64,
    #[command(flatten)]
    place: PlaceFlags,
}

#[derive(Debug, Args)]
pub(super) struct Map {
    /// How many files.
    #[arg(long, default_value = "400", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    files: u32,
    /// The size of each.
    #[arg(long, default_value = "256KiB", value_name = "SIZE")]
    size: Size,
    /// The command; the file comes behind it. With --wasm, the program's arguments.
    #[arg(
        long,
        default_value = "gzip -9 -n -c",
        default_value_if("wasm", ArgPredicate::IsPresent, ""),
        value_name = "COMMAND"
    )]
    command: String,
    /// A WebAssembly program, which reads the file from standard input, against its engine alone.
    #[arg(long, value_name = "FILE", conflicts_with = "in_place")]
    wasm: Option<PathBuf>,
    /// Pass paths, in place of sending contents through the mesh.
    #[arg(long)]
    in_place: bool,
    #[command(flatten)]
    place: PlaceFlags,
}

fn part(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(part) if (0.0..=1.0).contains(&part) => Ok(part),
        _ => Err("it is a part of the tasks, 0 to 1".to_owned()),
    }
}

impl PlaceFlags {
    fn place(&self) -> Result<Place, Failure> {
        Ok(Place {
            binary: std::env::current_exe()?,
            nodes: usize::from(self.nodes),
            testnet: self.testnet.clone(),
            dir: self.dir.as_deref().map(std::path::absolute).transpose()?,
            slots: self.slots.clone(),
        })
    }
}

impl Bench {
    pub(super) fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        match self {
            Self::Gateway => gateway::run(global),
            Self::Tasks(_) | Self::Map(_) | Self::Consensus(_) => block_on(self.run_bench(output)),
        }
    }

    async fn run_bench(&self, output: Output) -> Result<(), Failure> {
        let mut signals = Signals::new()?;
        let is_right = tokio::select! {
            // Heard of first: what runs here has stretches without a pause.
            biased;
            // The nodes and what they wrote go with what is left here.
            code = signals.next() => return Err(Failure::Ended(code)),
            ran = self.measure(output) => ran?,
        };
        match is_right {
            true => Ok(()),
            false => Err(Failure::Ended(FAILED)),
        }
    }

    async fn measure(&self, output: Output) -> Result<bool, Failure> {
        match self {
            Self::Tasks(tasks) => {
                let figures = tasks.plan()?.run().await?;
                output.put(&figures, Figures::text)?;
                Ok(figures.is_right())
            }
            Self::Map(map) => {
                let figures = map.plan()?.run().await?;
                output.put(&figures, MapFigures::text)?;
                Ok(figures.lost == 0)
            }
            Self::Consensus(consensus) => consensus.measure(output).await,
            // No bench.
            Self::Gateway => Ok(true),
        }
    }
}

impl Tasks {
    fn plan(&self) -> Result<TasksPlan, Failure> {
        let fault = match (self.kill, self.stop, self.kill_all_at) {
            (Some(node), ..) => Some(Fault { what: What::Kill(node), at: self.at }),
            (None, Some(node), _) => Some(Fault { what: What::Stop(node), at: self.at }),
            (None, None, Some(at)) => Some(Fault { what: What::KillAll, at }),
            (None, None, None) => None,
        };
        if self.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return Err(Failure::Usage("--rate is a number of tasks a second above 0".to_owned()));
        }
        Ok(TasksPlan {
            place: self.place.place()?,
            count: self.count as usize,
            payload: self.payload as usize,
            program: self.program.clone(),
            strategy: self.strategy,
            one_at_a_time: self.one_at_a_time,
            rate: self.rate,
            fault,
        })
    }
}

impl Map {
    fn plan(&self) -> Result<MapPlan, Failure> {
        let command: Vec<String> = self.command.split_whitespace().map(str::to_owned).collect();
        if command.is_empty() && self.wasm.is_none() {
            return Err(Failure::Usage("--command is empty".to_owned()));
        }
        let size = usize::try_from(self.size.bytes()).map_err(|error| Failure::Usage(error.to_string()))?;
        let wasm = self.wasm.as_deref().map(std::path::absolute).transpose()?;
        let (files, in_place) = (self.files as usize, self.in_place);
        Ok(MapPlan { place: self.place.place()?, files, size, command, wasm, in_place })
    }
}
