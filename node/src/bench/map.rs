//! One command over many files, by `meshd map` as users run it, against the same command run here one after another.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::figures::{Latencies, Settings, ms, round};
use super::probe::{Sample, Told, cores, load, resident};
use super::{Ground, Place};
use crate::executor::Alone;
use crate::testnet::{NodeState, TestnetError, own_cpu, seeded};

/// Files before the clock starts, of a program that each node compiles first.
const WARM_UP: usize = 40;

/// What to run.
#[derive(Clone, Debug)]
pub struct MapPlan {
    pub place: Place,
    pub files: usize,
    /// Bytes of each file.
    pub size: usize,
    /// The command and its arguments; the file comes behind. Of a WebAssembly program, arguments, and the file is its
    /// standard input.
    pub command: Vec<String>,
    /// A WebAssembly program in place of a command. Each node has compiled it before the clock starts.
    pub wasm: Option<PathBuf>,
    /// Pass paths; else contents go through the mesh.
    pub in_place: bool,
}

/// What a run of `map` measured. Keys are only ever added.
#[derive(Clone, Debug, Serialize)]
pub struct MapFigures {
    /// `map`.
    pub bench: &'static str,
    pub nodes: usize,
    /// Disks that hold each task.
    pub replicas: usize,
    pub durable: bool,
    /// Bytes of a file.
    pub payload_bytes: usize,
    pub count: usize,
    pub in_place: bool,
    /// Processor time of the command on all files, one after another.
    pub serial_cpu_ms: f64,
    /// That, shared by all cores.
    pub ideal_ms: f64,
    /// From the start of `meshd map` to its end, with every result on disk.
    pub wall_ms: f64,
    /// `ideal_ms` by `wall_ms`.
    pub efficiency: f64,
    pub throughput_per_s: f64,
    /// From the start of `meshd map` to the result of a file on this disk.
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// Of all nodes and the commands that they ran.
    pub cpu_us_per_op: f64,
    pub client_cpu_us_per_op: f64,
    pub fsync_per_op: f64,
    pub rss_mib_per_node: f64,
    /// Files whose result is missing or differs from the serial run's.
    pub lost: usize,
    pub command: String,
    pub cores: usize,
    pub load_before: Option<f64>,
    pub load_after: Option<f64>,
    pub debug_build: bool,
    pub settings: Settings,
}

impl MapPlan {
    /// Sets up, runs, takes down.
    pub async fn run(&self) -> Result<MapFigures, TestnetError> {
        let ground = self.place.set_up().await?;
        let figures = self.measure(&ground).await;
        ground.take_down()?;
        figures
    }

    async fn measure(&self, ground: &Ground) -> Result<MapFigures, TestnetError> {
        let load_before = load();
        let work = crate::testnet::Scratch::new(ground.dir().parent(), "meshd-bench-map")?;
        let dir = work.path();
        let files = seeded::files(&dir.join("files"), self.files, |_| self.size)?;
        let paths: Vec<PathBuf> = files.into_iter().map(|(path, _)| path).collect();
        // The nodes are idle meanwhile.
        let serially = dir.join("serial");
        std::fs::create_dir_all(&serially).map_err(TestnetError::io("make", &serially))?;
        let (serial, serial_cpu) = match &self.wasm {
            Some(program) => alone(program, &self.command, &paths, &serially)?,
            None => self.serially(&paths, &serially)?,
        };

        let order: Vec<usize> = (0..ground.net.nodes().len()).collect();
        let gateways = ground.net.gateways(&order)?;
        let Told { replicas, slots } = Told::by(&ground.net, &gateways).await?;
        let idle = resident(&ground.net).await;
        let warm_up = self.wasm.as_ref().map_or(0, |_| WARM_UP.min(paths.len()));
        if warm_up > 0 {
            self.through_the_mesh(ground, &paths[..warm_up], &dir.join("warm-up"))?;
        }
        let before = Sample::take(&ground.net, &gateways).await?;
        let client_before = own_cpu().1;
        let (begun, begun_at) = (Instant::now(), SystemTime::now());
        let results = dir.join("results");
        self.through_the_mesh(ground, &paths, &results)?;
        let wall = begun.elapsed();
        let client_cpu = own_cpu().1.saturating_sub(client_before);
        let after = Sample::take(&ground.net, &gateways).await?;

        let lost = paths.iter().zip(&serial).filter(|(path, serial)| !same(&result_of(&results, path), serial)).count();
        let latencies = Latencies::new(paths.iter().filter_map(|path| landed(&results, path, begun_at)).collect());
        let load_after = load();
        let ideal = serial_cpu.div_f64(cores() as f64);
        let per_task = |time: Duration| round(time.as_secs_f64() * 1e6 / self.files as f64);
        let largest = idle.iter().max().copied().unwrap_or_default();
        Ok(MapFigures {
            bench: "map",
            nodes: ground.net.nodes().len(),
            replicas,
            durable: ground.net.is_on_disk(),
            payload_bytes: self.size,
            count: self.files,
            in_place: self.in_place,
            serial_cpu_ms: ms(serial_cpu),
            ideal_ms: ms(ideal),
            wall_ms: ms(wall),
            efficiency: round(ideal.as_secs_f64() / wall.as_secs_f64()),
            throughput_per_s: round(self.files as f64 / wall.as_secs_f64()),
            p50_ms: latencies.at(0.5),
            p90_ms: latencies.at(0.9),
            p99_ms: latencies.at(0.99),
            max_ms: latencies.at(1.0),
            cpu_us_per_op: per_task(after.cpu.saturating_sub(before.cpu)),
            client_cpu_us_per_op: per_task(client_cpu),
            fsync_per_op: round((after.syncs - before.syncs) / self.files as f64),
            rss_mib_per_node: round(largest as f64 / f64::from(1 << 20)),
            lost,
            command: self.title(),
            cores: cores(),
            load_before,
            load_after,
            debug_build: cfg!(debug_assertions),
            settings: Settings {
                version: env!("CARGO_PKG_VERSION"),
                debug_build: cfg!(debug_assertions),
                cores: cores(),
                load_before,
                load_after,
                program: self.title(),
                one_at_a_time: false,
                rate: None,
                fault: None,
                warm_up,
                slots: slots.first().copied(),
                slots_by_node: slots,
            },
        })
    }

    fn title(&self) -> String {
        let program = self.wasm.iter().map(|program| program.display().to_string());
        program.chain(self.command.iter().cloned()).collect::<Vec<String>>().join(" ")
    }

    /// Runs the command on each file, one after another. Returns the results and the processor time it took.
    fn serially(&self, paths: &[PathBuf], into: &Path) -> Result<(Vec<PathBuf>, Duration), TestnetError> {
        let before = own_cpu().1;
        let mut results = Vec::with_capacity(paths.len());
        let program = self.command.first().cloned().unwrap_or_default();
        for (index, path) in paths.iter().enumerate() {
            let result = into.join(index.to_string());
            let stdout = File::create(&result).map_err(TestnetError::io("make", &result))?;
            let mut command = Command::new(&program);
            command.args(&self.command[1..]).arg(path).stdin(Stdio::null()).stdout(stdout);
            run(&mut command)?;
            results.push(result);
        }
        Ok((results, own_cpu().1.saturating_sub(before)))
    }

    fn through_the_mesh(&self, ground: &Ground, paths: &[PathBuf], into: &Path) -> Result<(), TestnetError> {
        let mut command = Command::new(&self.place.binary);
        let apis: Vec<String> = ground.net.nodes().iter().map(NodeState::api).collect();
        command.env("MESHD_API", apis.join(",")).env("MESHD_TOKEN_FILE", ground.net.token_file());
        command.args(["map", "--out-dir"]).arg(into);
        match &self.wasm {
            Some(program) => command.arg("--stdin").arg("--wasm").arg(program),
            None => command.arg("--exec"),
        };
        if self.in_place {
            command.arg("--in-place");
        }
        command.arg("--").args(&self.command);
        if self.wasm.is_none() {
            command.arg("{}");
        }
        command.arg(":::").args(paths);
        run(command.stdin(Stdio::null()).stdout(Stdio::null()))
    }
}

/// Runs a WebAssembly program on each file, one after another, by its engine alone. Returns as for a command.
fn alone(
    program: &Path,
    arguments: &[String],
    paths: &[PathBuf],
    into: &Path,
) -> Result<(Vec<PathBuf>, Duration), TestnetError> {
    let run = || -> io::Result<(Vec<PathBuf>, Duration)> {
        let program = Alone::compile(&std::fs::read(program)?)?;
        let before = own_cpu().0;
        let mut results = Vec::with_capacity(paths.len());
        for (index, path) in paths.iter().enumerate() {
            let result = into.join(index.to_string());
            std::fs::write(&result, program.run(into, arguments, path)?)?;
            results.push(result);
        }
        Ok((results, own_cpu().0.saturating_sub(before)))
    };
    // It has a runtime of its own.
    let ran = std::thread::scope(|scope| scope.spawn(run).join());
    let ran = ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    ran.map_err(TestnetError::io("run", program))
}

/// Runs a command to its end, which must be a good one.
fn run(command: &mut Command) -> Result<(), TestnetError> {
    let program = PathBuf::from(command.get_program());
    let output = command.stderr(Stdio::piped()).output().map_err(TestnetError::io("run", &program))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let error = std::io::Error::other(format!("{}: {}", output.status, said.trim()));
            Err(TestnetError::Io { what: "run", path: program, error })
        }
    }
}

/// Where `map` lays the standard output of the task of `path`.
fn result_of(results: &Path, path: &Path) -> PathBuf {
    results.join(path.strip_prefix("/").unwrap_or(path)).join("stdout")
}

/// When the result of the task of `path` was written, counted from `begun`.
fn landed(results: &Path, path: &Path, begun: SystemTime) -> Option<Duration> {
    let written = std::fs::metadata(result_of(results, path)).and_then(|result| result.modified()).ok()?;
    // A file system may keep time in steps of some milliseconds.
    Some(written.duration_since(begun).unwrap_or_default())
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((std::fs::read(one), std::fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

impl MapFigures {
    /// For people.
    pub fn text(&self) -> String {
        format!(
            "`{}` on {} files of {} bytes, {}, {} nodes\n  {:.0} ms, of which {:.0} ms are the command's own work on {} cores: efficiency {:.3}\n  a result after: p50 {:.0} ms   p90 {:.0} ms   p99 {:.0} ms\n  CPU-µs a task: nodes {:.0} (serially {:.0}), client {:.0}   syncs a task: {:.3}\n  results that differ from the serial run's: {}",
            self.command,
            self.count,
            self.payload_bytes,
            if self.in_place { "in place" } else { "contents through the mesh" },
            self.nodes,
            self.wall_ms,
            self.ideal_ms,
            self.cores,
            self.efficiency,
            self.p50_ms,
            self.p90_ms,
            self.p99_ms,
            self.cpu_us_per_op,
            self.serial_cpu_ms * 1000.0 / self.count as f64,
            self.client_cpu_us_per_op,
            self.fsync_per_op,
            self.lost,
        )
    }
}
