//! `meshd bench consensus`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mesh_proto::genesis::Engine;

use crate::bench::consensus::{ConsensusFigures, ConsensusPlan, IdleFigures, Rate};
use crate::cli::Failure;
use crate::cli::init::Ordering;
use crate::cli::output::Output;

#[derive(Debug, Args)]
pub(in crate::cli) struct Consensus {
    /// How the committee agrees.
    #[arg(long, value_enum, default_value_t = Ordering::Pbft)]
    engine: Ordering,
    /// How many members the committee has, 4 to 31: 4, 7, 13 and 31 tolerate 1, 2, 4 and 10 faults. Under Raft 3 to 31: 3,
    /// 5 and 7 tolerate 1, 2 and 3. Default: 4, under Raft 3.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(3..=31))]
    replicas: Option<u8>,
    /// Bytes of each value that is written.
    #[arg(long, default_value = "512", value_name = "BYTES", value_parser = clap::value_parser!(u32).range(0..=61_440))]
    payload: u32,
    /// Operations a second that are offered; `max`: as many as are taken; `one`: one at a time.
    #[arg(long, default_value = "max", value_name = "N|max|one")]
    rate: Rate,
    /// How long it is measured.
    #[arg(long, default_value = "20", value_name = "S", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// How long the same load is offered before that.
    #[arg(long, default_value = "3", value_name = "S", value_parser = clap::value_parser!(u32).range(0..=3_600))]
    warm_up: u32,
    /// How many nodes outside of the committee offer the load, a process each.
    #[arg(long, default_value = "4", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    gateways: u8,
    /// Operations that each gateway has under way with --rate max.
    #[arg(long, default_value = "256", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    under_way: u32,
    /// Kill the primary with -9 so long after the warm-up, and say when the next operation ended.
    #[arg(long, value_name = "S")]
    kill_primary_at: Option<u32>,
    /// Kill a backup with -9 before the load.
    #[arg(long)]
    one_down: bool,
    /// Measure the replicas without gateways and load.
    #[arg(long, conflicts_with_all = ["rate", "payload", "warm_up", "gateways", "under_way", "kill_primary_at", "one_down"])]
    idle: bool,
    /// Where to make the testnet. Default: the system's directory for temporary files.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Consensus {
    /// Whether all is as it should be.
    pub(super) async fn measure(&self, output: Output) -> Result<bool, Failure> {
        let plan = self.plan()?;
        if self.idle {
            let figures = plan.run_idle().await?;
            output.put(&figures, IdleFigures::text)?;
            return Ok(figures.digests_equal);
        }
        let figures = plan.run().await?;
        output.put(&figures, ConsensusFigures::text)?;
        Ok(figures.is_right())
    }

    fn plan(&self) -> Result<ConsensusPlan, Failure> {
        let usage = |why: &str| Err(Failure::Usage(why.to_owned()));
        if self.kill_primary_at.is_some_and(|at| at >= self.seconds) {
            return usage("--kill-primary-at is within --seconds: make that longer, or this shorter");
        }
        let engine = Engine::from(self.engine);
        let (least, for_two) = match engine {
            Engine::Pbft => (4, 7),
            Engine::Raft => (3, 5),
        };
        let replicas = self.replicas.unwrap_or(least);
        if replicas < least {
            return usage("so few replicas tolerate no fault under pBFT: --replicas is 4 or more");
        }
        let dead = usize::from(self.one_down) + usize::from(self.kill_primary_at.is_some());
        if dead > mesh_ledger::tolerated(engine, replicas.into()) {
            return usage(&format!("so many replicas do not go on with two killed: --replicas is {for_two} or more"));
        }
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Ok(ConsensusPlan {
            binary: std::env::current_exe()?,
            engine,
            replicas: replicas.into(),
            gateways: self.gateways.into(),
            payload: self.payload as usize,
            rate: self.rate,
            under_way: self.under_way as usize,
            warm_up: seconds(self.warm_up),
            measured: seconds(self.seconds),
            kill_primary_at: self.kill_primary_at.map(seconds),
            one_down: self.one_down,
            dir: self.dir.as_deref().map(std::path::absolute).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        consensus: Consensus,
    }

    fn plan(words: &[&str]) -> Result<(Engine, usize), String> {
        let line = Line::try_parse_from([&["bench"][..], words].concat()).map_err(|error| error.to_string())?;
        let plan = line.consensus.plan().map_err(|failure| format!("{failure:?}"))?;
        Ok((plan.engine, plan.replicas))
    }

    #[test]
    fn each_engine_has_as_many_replicas_as_it_needs() {
        assert_eq!(plan(&[]), Ok((Engine::Pbft, 4)));
        assert_eq!(plan(&["--engine", "raft"]), Ok((Engine::Raft, 3)));
        assert!(plan(&["--replicas", "3"]).is_err_and(|why| why.contains("4 or more")));
        let two = ["--one-down", "--kill-primary-at", "1", "--engine"];
        let of = |engine, replicas| plan(&[&two[..], &[engine, "--replicas", replicas]].concat());
        assert!(of("pbft", "6").is_err_and(|why| why.contains("7 or more")));
        assert!(of("raft", "4").is_err_and(|why| why.contains("5 or more")));
        assert_eq!((of("pbft", "7"), of("raft", "5")), (Ok((Engine::Pbft, 7)), Ok((Engine::Raft, 5))));
    }
}
