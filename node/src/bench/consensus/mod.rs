//! What agreement costs and how fast it is: replicas as processes on this machine, and gateways that are processes, too,
//! ordinary nodes outside of the committee, in each of which a load is offered to the node's own brain.
//!
//! An operation is a write of a key of its own to the shared memory. Its time begins when it was due, whoever was late,
//! and ends with f + 1 equal replies at its gateway, under Raft with the leader's answer.

pub mod committee;
mod figures;
mod gateway;
mod gateways;
mod latencies;
mod load;
mod operations;
mod outage;
mod pace;
mod sample;
mod tally;
mod verdict;
mod wire;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mesh_proto::genesis::Engine;
use tokio::time::sleep_until;

pub use committee::Standing;
pub use figures::{ConsensusFigures, ConsensusSettings, IdleFigures};
pub use gateway::{Orders, serve};
pub use pace::Rate;

use super::Ground;
use super::figures::round;
use super::probe::{cores, load as load_of_machine};
use crate::testnet::{Options, Scratch, Testnet, TestnetError};
use gateways::Gateways;
use pace::Pace;
use sample::Sample;
use verdict::Ran;
use wire::Load;

/// What to run.
#[derive(Clone, Debug)]
pub struct ConsensusPlan {
    /// The program that all processes run.
    pub binary: PathBuf,
    /// How the committee agrees.
    pub engine: Engine,
    pub replicas: usize,
    pub gateways: usize,
    /// Bytes of each value.
    pub payload: usize,
    pub rate: Rate,
    /// Operations that each gateway has under way where the rate is the highest.
    pub under_way: usize,
    pub warm_up: Duration,
    pub measured: Duration,
    /// kill -9 of the primary, so long after the warm-up.
    pub kill_primary_at: Option<Duration>,
    /// A backup is killed before the load.
    pub one_down: bool,
    /// Where to make the testnet. Default: the system's directory for temporary files.
    pub dir: Option<PathBuf>,
}

/// From the orders to the first operation: each gateway has its order by then.
const LEAD: Duration = Duration::from_millis(500);
/// How long a gateway may take for what is quick, and beyond what it was told to do.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between the look who is primary and its end.
const AIM: Duration = Duration::from_millis(300);
/// Before what is idle is measured: what the start left to do is done.
const REST: Duration = Duration::from_secs(5);

impl ConsensusPlan {
    /// Sets up, warms up, runs, takes down.
    pub async fn run(&self) -> Result<ConsensusFigures, TestnetError> {
        let mut ground = self.set_up(self.gateways).await?;
        let figures = self.measure(&mut ground.net).await;
        ground.take_down()?;
        figures
    }

    /// The same without gateways and load.
    pub async fn run_idle(&self) -> Result<IdleFigures, TestnetError> {
        let mut ground = self.set_up(0).await?;
        let figures = self.measure_idle(&mut ground.net).await;
        ground.take_down()?;
        figures
    }

    /// A mesh whose committee is its first nodes; the last ones, the gateways, are yet to be started.
    async fn set_up(&self, gateways: usize) -> Result<Ground, TestnetError> {
        let scratch = Scratch::new(self.dir.as_deref(), "meshd-bench")?;
        let mut options = Options::new(self.binary.clone());
        options.held_back = gateways;
        options.engine = self.engine;
        // Many nodes on few cores take their time.
        options.patience = PATIENCE;
        let mut net = Testnet::up(&scratch.path().join("net"), self.replicas + gateways, &options).await?;
        committee::grow(&net, self.replicas).await?;
        if self.one_down {
            self.kill_backup(&mut net).await?;
        }
        Ok(Ground { net, scratch: Some(scratch) })
    }

    async fn kill_backup(&self, net: &mut Testnet) -> Result<(), TestnetError> {
        let primary = committee::primary(net).await?;
        match (0..self.replicas).rev().find(|node| *node != primary) {
            Some(backup) => net.kill(backup),
            None => Ok(()),
        }
    }

    async fn measure(&self, net: &mut Testnet) -> Result<ConsensusFigures, TestnetError> {
        let load_before = load_of_machine();
        let mut gateways = Gateways::start(&self.binary, net, self.replicas)?;
        gateways.reach(self.replicas, net.running().len(), PATIENCE).await?;
        let idle = Sample::opening(net, Some(&gateways)).await?;

        let begin = Instant::now() + LEAD;
        gateways.offer(&self.load(begin))?;
        let from = begin + self.warm_up;
        sleep_until(from.into()).await;
        let before = Sample::opening(net, Some(&gateways)).await?;
        let killed = self.kill_primary(net, from).await?;
        sleep_until((from + self.measured).into()).await;
        let after = Sample::closing(net, Some(&gateways)).await?;
        let reports = gateways.reports(PATIENCE).await?;
        let settled = gateways.settle(PATIENCE).await?;
        let standings = committee::agree(net, self.engine, settled).await?;
        let ran = Ran {
            reports,
            passed: after.since(&before),
            resident_before: idle.resident(),
            killed: killed.map(|at| at.saturating_duration_since(begin)),
            standings,
            durable: net.is_on_disk(),
            settings: self.settings(gateways.len(), load_before),
        };
        Ok(ran.figures(self))
    }

    /// When the primary was killed, if it is to be.
    async fn kill_primary(&self, net: &mut Testnet, from: Instant) -> Result<Option<Instant>, TestnetError> {
        let Some(after) = self.kill_primary_at else { return Ok(None) };
        sleep_until((from + after).checked_sub(AIM).unwrap_or(from).into()).await;
        let primary = committee::primary(net).await?;
        sleep_until((from + after).into()).await;
        let at = Instant::now();
        net.kill(primary)?;
        Ok(Some(at))
    }

    async fn measure_idle(&self, net: &mut Testnet) -> Result<IdleFigures, TestnetError> {
        let load_before = load_of_machine();
        tokio::time::sleep(REST).await;
        let before = Sample::opening(net, None).await?;
        tokio::time::sleep(self.measured).await;
        let passed = Sample::closing(net, None).await?.since(&before);
        let standings = committee::agree(net, self.engine, 0).await?;
        let seconds = self.measured.as_secs_f64();
        let running = net.running().len();
        let settings = self.settings(0, load_before);
        Ok(IdleFigures {
            bench: "consensus-idle",
            nodes: self.replicas,
            replicas: self.replicas,
            durable: net.is_on_disk(),
            cpu_ms_per_s_per_replica: round(passed.cpu_per_s.as_secs_f64() * 1e3 / running as f64),
            written_bytes: passed.written_bytes,
            fsyncs: (self.engine == Engine::Pbft).then(|| round(passed.syncs_per_s * seconds)),
            batches: round(passed.batches_per_s * seconds),
            rss_mib_per_node: verdict::mib(passed.resident),
            digests_equal: committee::is_one_state(&standings),
            standings,
            warnings: verdict::of_machine(&settings, net.is_on_disk()),
            settings,
        })
    }

    fn load(&self, begin: Instant) -> Load {
        let pace = match self.rate {
            Rate::PerSecond(rate) => Pace::Rate(rate),
            Rate::Max => Pace::Max { under_way: self.under_way },
            Rate::One => Pace::One,
        };
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Load {
            gateway: 0,
            gateways: self.gateways,
            payload: self.payload,
            pace,
            begin_us: unix_us(begin),
            warm_up_ms: millis(self.warm_up),
            measured_ms: millis(self.measured),
        }
    }

    fn settings(&self, gateways: usize, load_before: Option<f64>) -> ConsensusSettings {
        ConsensusSettings {
            version: env!("CARGO_PKG_VERSION"),
            debug_build: cfg!(debug_assertions),
            engine: self.engine.to_string(),
            cores: cores(),
            load_before,
            load_after: load_of_machine(),
            gateways,
            rate: if gateways == 0 { "none".to_owned() } else { self.rate.to_string() },
            load: match self.rate {
                _ if gateways == 0 => "none",
                Rate::PerSecond(_) => "open",
                Rate::Max | Rate::One => "closed",
            },
            under_way: (self.rate == Rate::Max && gateways > 0).then_some(self.under_way),
            warm_up_s: self.warm_up.as_secs_f64(),
            seconds: self.measured.as_secs_f64(),
            checkpoint_interval: (self.engine == Engine::Pbft)
                .then(|| mesh_ledger::Rules::default().checkpoint_interval),
            kill_primary_at_s: self.kill_primary_at.map(|at| at.as_secs_f64()),
            one_down: self.one_down,
        }
    }
}

/// A moment on the clock that other processes have, too.
fn unix_us(moment: Instant) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = since + moment.saturating_duration_since(Instant::now());
    u64::try_from(then.as_micros()).unwrap_or(u64::MAX)
}
