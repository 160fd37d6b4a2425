//! Many small tasks, in one job or one at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::expected::{Expected, SLEEP_MS};
use super::figures::{Figures, Latencies, Settings, ms, round};
use super::probe::{Sample, Told, cores, load, resident};
use super::{Ground, Place};
use crate::api::jobs::submit::JobHeader;
use crate::api::result::TaskResult;
use crate::api::submission::{Command, Item, ProgramSpec, TaskRequest, show_date};
use crate::api::tasks::submit::Submitted;
use crate::api::terms::{Terms, Way};
use crate::client::Ask;
use crate::testnet::{Gateways, Job, Testnet, TestnetError, Told as ToldOf, Tracker};

/// What to run.
#[derive(Clone, Debug)]
pub struct TasksPlan {
    pub place: Place,
    pub count: usize,
    /// Bytes of each task's standard input.
    pub payload: usize,
    /// `echo`, `sha256`, `sleep`, or a command that the nodes allow.
    pub program: String,
    /// How the node that runs each is chosen.
    pub strategy: Way,
    /// Each waits for the one before, by requests of their own.
    pub one_at_a_time: bool,
    /// Items a second to offer.
    pub rate: Option<f64>,
    pub fault: Option<Fault>,
}

/// Something that happens mid-way.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub what: What,
    /// When this part of the tasks has ended, 0 to 1.
    pub at: f64,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// kill -9 of a node, which stays down.
    Kill(usize),
    /// SIGSTOP of a node until the end of the run.
    Stop(usize),
    /// kill -9 of all nodes, which are started again.
    KillAll,
}

/// Tasks before the clock starts, at most.
const WARM_UP: usize = 1_000;
/// How long nothing may end before the rest is counted as lost.
const PATIENCE: Duration = Duration::from_secs(60);

impl TasksPlan {
    /// Sets up, warms up, runs, takes down.
    pub async fn run(&self) -> Result<Figures, TestnetError> {
        let mut ground = self.place.set_up().await?;
        let figures = self.measure(&mut ground).await;
        ground.take_down()?;
        figures
    }

    async fn measure(&self, ground: &mut Ground) -> Result<Figures, TestnetError> {
        let load_before = load();
        let order: Vec<usize> = (0..ground.net.nodes().len()).collect();
        let mut gateways = ground.net.gateways(&order)?;
        let Told { replicas, slots } = Told::by(&ground.net, &gateways).await?;
        // The nodes are idle meanwhile.
        let mut expected = Expected::of(&self.program, self.count, |at| self.input(at))?;
        let idle = resident(&ground.net).await;

        let warm_up = (self.count / 10).clamp(1, WARM_UP);
        let mut warm = self.job(warm_up, "warm-up");
        warm.rate = None;
        warm.carry(&mut gateways, &mut Tracker::new(warm_up), &mut |_| Ok(())).await?;

        let warmed = resident(&ground.net).await;
        let before = Sample::take(&ground.net, &gateways).await?;
        let begun = Instant::now();
        let heard = match self.one_at_a_time {
            true => self.one_by_one(&mut ground.net, &gateways).await?,
            false => self.in_one_job(&mut ground.net, &mut gateways).await?,
        };
        let until_now = begun.elapsed();
        let own_after = crate::testnet::own_cpu().0;
        // A stopped node answers nothing, a killed one took its figures along.
        let after = match self.fault {
            None => Some(Sample::take(&ground.net, &gateways).await?),
            Some(Fault { what: What::Stop(node), .. }) => {
                ground.net.cont(node)?;
                None
            }
            Some(_) => None,
        };
        let grown = match after {
            Some(_) => Some(resident(&ground.net).await),
            None => None,
        };
        // What is looked up here for that costs nothing that is measured.
        let ran = self.judge(heard, &mut expected)?;
        let took = ran.last.map_or(until_now, |last| last.saturating_duration_since(begun));
        let busiest = ran.by_node.values().max().copied().unwrap_or_default();
        let ideal = expected.work().map(|work| work.ideal(self.count, cores(), &slots));
        let per_task = |value: f64| round(value / self.count as f64);
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let latencies = Latencies::new(ran.latencies);
        let largest = idle.iter().max().copied().unwrap_or_default();
        Ok(Figures {
            bench: "tasks",
            nodes: ground.net.nodes().len(),
            replicas,
            durable: ground.net.is_on_disk(),
            payload_bytes: self.payload,
            count: self.count,
            makespan_ms: ms(took),
            ideal_ms: ideal.map(ms),
            makespan_ratio: ideal.map(|ideal| round(took.as_secs_f64() / ideal.as_secs_f64())),
            throughput_per_s: round((self.count - ran.lost.min(self.count)) as f64 / took.as_secs_f64()),
            p50_ms: latencies.at(0.5),
            p90_ms: latencies.at(0.9),
            p99_ms: latencies.at(0.99),
            max_ms: latencies.at(1.0),
            cpu_us_per_op: after.as_ref().map(|after| per_task(micros(after.cpu.saturating_sub(before.cpu)))),
            client_cpu_us_per_op: per_task(micros(own_after.saturating_sub(before.own_cpu))),
            fsync_per_op: after.as_ref().map(|after| per_task(after.syncs - before.syncs)),
            rss_mib_per_node: round(largest as f64 / f64::from(1 << 20)),
            rss_growth_bytes_per_copy: grown.map(|grown| {
                let sum = |resident: &[u64]| resident.iter().sum::<u64>() as f64;
                round((sum(&grown) - sum(&warmed)) / (self.count * replicas) as f64)
            }),
            max_node_share: round(busiest as f64 / self.count as f64),
            lost: ran.lost,
            duplicates: ran.heard.duplicates,
            longest_gap_ms: ms(ran.heard.longest_gap),
            rerun: ran.rerun,
            attempts: ran.heard.attempts,
            settings: Settings {
                version: env!("CARGO_PKG_VERSION"),
                debug_build: cfg!(debug_assertions),
                cores: cores(),
                load_before,
                load_after: load(),
                program: self.program.clone(),
                one_at_a_time: self.one_at_a_time,
                rate: self.rate,
                fault: self.fault.map(|fault| format!("{:?} at {}", fault.what, fault.at)),
                warm_up,
                slots: slots.first().copied(),
                slots_by_node: slots,
            },
        })
    }

    async fn in_one_job(&self, net: &mut Testnet, gateways: &mut Gateways) -> Result<Heard, TestnetError> {
        let job = self.job(self.count, "bench");
        let mut tracker = Tracker::new(self.count);
        let mut fault = self.fault;
        let carried = job
            .carry(gateways, &mut tracker, &mut |tracker| match fault
                .take_if(|fault| tracker.ended as f64 >= fault.at * self.count as f64)
            {
                Some(fault) => fault.happen(net),
                None => Ok(()),
            })
            .await;
        match carried {
            // What is open is counted as lost.
            Ok(()) | Err(TestnetError::Stuck { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(Heard {
            attempts: tracker.attempts,
            longest_gap: tracker.longest_gap,
            duplicates: tracker.repeats + tracker.contradictions.len() as u64,
            told: tracker.into_told(),
        })
    }

    async fn one_by_one(&self, net: &mut Testnet, gateways: &Gateways) -> Result<Heard, TestnetError> {
        let mut heard = Heard { attempts: 1, ..Heard::default() };
        let key = key("one");
        let mut fault = self.fault;
        for at in 0..self.count {
            if let Some(fault) = fault.take_if(|fault| at as f64 >= fault.at * self.count as f64) {
                fault.happen(net)?;
            }
            let request = TaskRequest {
                program: self.program(),
                terms: Terms { strategy: self.strategy, ..Terms::default() },
                stdin: Some(self.input(at)),
                stdin_b64: None,
                stdin_blob: None,
                stdin_path: None,
                files: Vec::new(),
                stdin_result: None,
                after: Vec::new(),
            };
            let ask = Ask::post("/v1/tasks?wait=30s").key(&format!("{key}-{at}")).json(&request);
            let sent = Instant::now();
            let submitted: Submitted = gateways.client().ask(&ask).await?;
            let ended = Instant::now();
            heard.longest_gap = heard.longest_gap.max(ended - sent);
            heard.told.push(submitted.result.map(|result| ToldOf { result, sent, ended }));
        }
        Ok(heard)
    }

    fn judge(&self, mut heard: Heard, expected: &mut Expected) -> Result<Ran, TestnetError> {
        let told = std::mem::take(&mut heard.told);
        let mut ran = Ran { heard, ..Ran::default() };
        for (at, told) in told.into_iter().enumerate() {
            match told {
                None => ran.lost += 1,
                Some(told) => {
                    let is_right = expected.is_right(at, &told.result, &self.input(at))?;
                    ran.add(&told.result, is_right, told.sent, told.ended);
                }
            }
        }
        Ok(ran)
    }

    fn job(&self, count: usize, name: &str) -> Job {
        let born = Some(show_date(crate::api::now()));
        let terms = Terms { born, strategy: self.strategy, ..Terms::default() };
        let header = JobHeader {
            name: name.into(),
            key: Some(key(name)),
            program: self.program(),
            terms,
            count: Some(count as u64),
            after: Vec::new(),
        };
        let items = (0..count).map(|at| Item { stdin: Some(self.input(at)), ..Item::default() }).collect();
        Job { header, items, rate: self.rate, placed: false, patience: PATIENCE }
    }

    /// Every payload is another: an answer to the wrong item is seen.
    fn input(&self, at: usize) -> String {
        let mut text = format!("{at:08}-");
        while text.len() < self.payload {
            text.push(char::from(b'a' + u8::try_from((at + text.len()) % 26).unwrap_or_default()));
        }
        text.truncate(self.payload);
        text
    }

    fn program(&self) -> ProgramSpec {
        match self.program.as_str() {
            "echo" => ProgramSpec::Echo,
            "sha256" => ProgramSpec::Sha256,
            "sleep" => ProgramSpec::Sleep { ms: SLEEP_MS },
            command => {
                let argv = command.split_whitespace().map(str::to_owned).collect();
                ProgramSpec::Exec(Command { argv, ..Command::default() })
            }
        }
    }
}

fn key(name: &str) -> String {
    format!("{name}-{:032x}", rand::random::<u128>())
}

impl Fault {
    fn happen(self, net: &mut Testnet) -> Result<(), TestnetError> {
        match self.what {
            What::Kill(node) => net.kill(node),
            What::Stop(node) => net.stop(node),
            What::KillAll => {
                let all = net.running();
                net.kill_all()?;
                all.into_iter().try_for_each(|node| net.start(node))
            }
        }
    }
}

/// What was heard.
#[derive(Default)]
struct Heard {
    /// Of each task.
    told: Vec<Option<ToldOf>>,
    duplicates: u64,
    attempts: u32,
    longest_gap: Duration,
}

/// What came of it.
#[derive(Default)]
struct Ran {
    /// Without what was told.
    heard: Heard,
    latencies: Vec<Duration>,
    /// When the last result was read.
    last: Option<Instant>,
    /// Tasks by the id of the node that ended them.
    by_node: BTreeMap<String, usize>,
    lost: usize,
    rerun: usize,
}

impl Ran {
    fn add(&mut self, result: &TaskResult, is_right: bool, sent: Instant, ended: Instant) {
        self.latencies.push(ended.saturating_duration_since(sent));
        self.last = self.last.max(Some(ended));
        if !is_right {
            self.lost += 1;
        }
        if result.failed_attempts > 0 {
            self.rerun += 1;
        }
        if let Some(node) = &result.node {
            *self.by_node.entry(node.clone()).or_default() += 1;
        }
    }
}
