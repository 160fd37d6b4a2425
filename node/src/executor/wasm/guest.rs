//! One program, from its order to its outcome. In a thread of its own, which may block.

use super::cache::Cache;
use super::complaint;
use super::engine::Compiled;
use super::limiter::Tally;
use super::metrics::WasmMetrics;
use super::room::Room;
use super::sandbox;
use super::streams::Tap;
use super::ticker::Ticker;
use crate::executor::guard::directory;
use crate::executor::logs::out_directory;
use crate::executor::outcome::{Failure, Outcome, Status};
use crate::executor::pool::Desk;
use crate::executor::protocol::{Kept, Report};
use crate::executor::run::{Limits, Program, Run, Source};
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// What all programs of a node have in common.
pub struct Host {
    pub directory: PathBuf,
    pub limits: Limits,
    pub cache: Cache,
    pub ticker: Ticker,
    pub desk: Arc<Desk>,
    pub metrics: WasmMetrics,
}

/// Between looks at a running program; the first announces it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub struct Guest<'a> {
    host: &'a Host,
    run: Run,
    token: CancellationToken,
    limits: Limits,
    work: PathBuf,
    out: PathBuf,
    taps: [Tap; 2],
    tally: Arc<Tally>,
    begun: Instant,
    cpu_begun: Duration,
}

impl<'a> Guest<'a> {
    pub fn new(host: &'a Host, run: Run, token: CancellationToken) -> Self {
        let limits = run.limits.within(host.limits);
        let out = out_directory(&host.directory, run.task, run.attempt);
        Self {
            work: host.directory.join(format!("{}-{}", run.task, run.attempt)),
            taps: ["stdout", "stderr"].map(|name| Tap::new(name, &out, limits.output_bytes)),
            tally: Arc::default(),
            begun: Instant::now(),
            cpu_begun: cpu_time(),
            host,
            run,
            token,
            limits,
            out,
        }
    }

    /// To its end, with all that it left cleared away.
    pub async fn outcome(mut self) -> Outcome {
        let ended = match self.program().await {
            Ok(program) => {
                (self.begun, self.cpu_begun) = (Instant::now(), cpu_time());
                self.execute(&program).await
            }
            Err(failure) => Err(failure),
        };
        let report = self.report(ended.unwrap_or_else(Status::Failed));
        if let Err(error) = directory::remove(&self.work) {
            // Not lost for good: the next start empties the whole directory.
            tracing::warn!(path = %self.work.display(), %error, "the directory of a task not removed");
        }
        Outcome::reported(report, &self.out, None)
    }

    /// Compiled for it and for all that come later. None of that is the task's own time: a program that did not run yet is not
    /// too slow, and what a node with a cold cache says of it must be what others say.
    async fn program(&self) -> Result<Arc<Compiled>, Failure> {
        let Program::Wasm { id, module, fixed, .. } = &self.run.program else { return Err(Failure::BadArguments) };
        tokio::select! {
            biased;
            () = self.token.cancelled() => Err(Failure::Cancelled),
            program = self.host.cache.get((*id, fixed.is_some()), module) => program,
        }
    }

    async fn execute(&self, program: &Compiled) -> Result<Status, Failure> {
        self.lay_out()?;
        let room = Room::new(&self.work, self.limits);
        self.watch(room, program).await
    }

    /// Makes its directory and copies its inputs.
    fn lay_out(&self) -> Result<(), Failure> {
        directory::make(&self.work).map_err(|error| prepare("directory", &error))?;
        for (name, source) in &self.run.inputs {
            let laid = match source {
                Source::Null => directory::write(&self.work, name, &[]),
                Source::Inline(bytes) => directory::write(&self.work, name, bytes),
                Source::File(file) => directory::place(&self.work, name, file, || self.may_go_on())?,
            };
            laid.map_err(|error| prepare(&format!("input `{name}`"), &error))?;
        }
        self.may_go_on()
    }

    /// Runs it until it ends or is to end. A call that is dropped is unwound, with all that it had of the host.
    async fn watch(&self, mut room: Room, program: &Compiled) -> Result<Status, Failure> {
        let _ticks = self.host.ticker.run();
        let (mut call, mut stopped) = (pin!(self.call(program)), pin!(self.stopped()));
        let mut looks = tokio::time::interval_at(tokio::time::Instant::now() + LOOK_EVERY, LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_announced = false;
        loop {
            tokio::select! {
                biased;
                failure = &mut stopped => return Err(failure),
                _ = looks.tick() => {
                    if !std::mem::replace(&mut is_announced, true) {
                        self.host.desk.started(self.run.task, self.run.attempt).await;
                    }
                    self.taps.iter().try_for_each(Tap::publish)?;
                    self.check_cpu()?;
                    room.look()?;
                }
                ended = &mut call => return ended,
            }
        }
    }

    async fn call(&self, program: &Compiled) -> Result<Status, Failure> {
        let store = sandbox::store(
            program.engine(),
            &self.run,
            &self.work,
            self.taps.clone(),
            &self.limits,
            Arc::clone(&self.tally),
        );
        let mut store = store.map_err(|error| prepare("standard input or directory", &error))?;
        let begun = Instant::now();
        let ended = match program.start(&mut store).await {
            Ok(started) => {
                self.host.metrics.start_time.observe(begun.elapsed().as_secs_f64());
                started.call(&mut store).await
            }
            Err(error) => Err(error),
        };
        // Its descriptors are closed before its outputs are looked at.
        drop(store);
        // Who stops over a full sink stops by an error that says less.
        if let Some(failure) = self.taps.iter().find_map(Tap::failure) {
            return Err(failure);
        }
        let error = match ended {
            Ok(code) => return Ok(Status::Exit(code)),
            Err(error) => error,
        };
        let status = complaint::status(&error);
        if matches!(status, Status::Failed(_)) {
            self.taps[1].note(&complaint::in_full(&error));
            // Most stop at once where there is no memory for them.
            if let (Some(seen), Some(limit)) = (self.tally.denied(), self.limits.memory_bytes) {
                return Err(Failure::MemoryLimit { limit, seen });
            }
        }
        Ok(status)
    }

    /// Until it is to end, from outside.
    async fn stopped(&self) -> Failure {
        let left = self.run.time_limit.saturating_sub(self.begun.elapsed());
        tokio::select! {
            biased;
            () = self.token.cancelled() => Failure::Cancelled,
            () = tokio::time::sleep(left) => self.too_slow(),
        }
    }

    fn may_go_on(&self) -> Result<(), Failure> {
        match () {
            () if self.token.is_cancelled() => Err(Failure::Cancelled),
            () if self.begun.elapsed() >= self.run.time_limit => Err(self.too_slow()),
            () => Ok(()),
        }
    }

    fn too_slow(&self) -> Failure {
        Failure::TimeLimit { limit_ms: u64::try_from(self.run.time_limit.as_millis()).unwrap_or(u64::MAX) }
    }

    fn check_cpu(&self) -> Result<(), Failure> {
        match self.limits.cpu_seconds {
            Some(limit_s) if self.cpu() > Duration::from_secs(limit_s) => Err(Failure::CpuLimit { limit_s }),
            _ => Ok(()),
        }
    }

    fn cpu(&self) -> Duration {
        cpu_time().saturating_sub(self.cpu_begun)
    }

    fn report(&self, mut status: Status) -> Report {
        let files = match &status {
            Status::Failed(_) => Vec::new(),
            Status::Exit(_) | Status::Signal(_) => {
                let all = status == Status::Exit(0);
                let files = directory::collect(&self.work, &self.out, &self.run.outputs, &self.limits, all);
                files.unwrap_or_else(|failure| {
                    status = Status::Failed(failure);
                    Vec::new()
                })
            }
        };
        let [(stdout, out_file), (stderr, err_file)] = [self.taps[0].end(), self.taps[1].end()];
        let in_file = |kept: &Kept| matches!(kept, Kept::File { .. });
        let needs_files = in_file(&stdout) || in_file(&stderr) || files.iter().any(|(_, kept)| in_file(kept));
        if (out_file || err_file) && !needs_files {
            // Small after all: it was in a file only for who followed it.
            clear(&self.out);
        }
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let (cpu_us, wall_us) = (micros(self.cpu()), micros(self.begun.elapsed()));
        Report { status, stdout, stderr, files, cpu_us, wall_us, max_rss_bytes: self.tally.peak() }
    }
}

fn clear(out: &Path) {
    if let Err(error) = directory::remove(out) {
        tracing::warn!(path = %out.display(), %error, "outputs of a task not removed");
    }
}

/// Of this thread. What its blocking calls cost elsewhere is little, and not in it.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn prepare(what: &str, error: &io::Error) -> Failure {
    Failure::Prepare { what: what.into(), error: error.to_string() }
}
