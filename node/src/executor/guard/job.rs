//! One command, from its order to its report.

use super::control::{Control, Gone};
use super::sink::Sink;
use super::spawn::{self, Command, Ended, Guard, SpawnError, Waited};
use super::tree;
use super::{directory, holdings};
use crate::executor::input::open_regular;
use crate::executor::outcome::{Failure, Status};
use crate::executor::protocol::{Content, FromGuard, Kept, Order, Report, ToGuard};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

/// Runs the command to its end. `Err`: meshd is gone; everything was killed and removed.
pub fn run(control: &mut Control, guard: &mut Guard, order: &Order) -> Result<Report, Gone> {
    let mut job = Job::new(order);
    let report = job.execute(control, guard).map(|sinks| job.report(sinks));
    remove(&order.work);
    if report.is_err() && order.out.exists() {
        remove(&order.out);
    }
    report
}

/// Failing is not the command's fault, and the next start removes what is left.
fn remove(directory: &Path) {
    if let Err(error) = directory::remove(directory) {
        eprintln!("meshd guard: {} not removed: {error}", directory.display());
    }
}

struct Job<'a> {
    order: &'a Order,
    started: Duration,
    lease_end: Duration,
    limit_end: Duration,
    /// When a cancelled task has had its grace.
    grace_end: Option<Duration>,
    next_look: Duration,
    looks: u32,
    /// Near its limit of memory: weighed at every look.
    is_swelling: bool,
    /// The last pid given out at the last look.
    last_pid: Option<u32>,
    /// Processes and threads made so far; more than may live at a time, once pids wrapped around.
    made: u32,
    leader: Option<i32>,
    leader_status: Option<std::process::ExitStatus>,
    /// Why the task is being ended, from the first reason on.
    failure: Option<Failure>,
    killed: bool,
    /// Of a cancelled task: it was asked to end.
    told: bool,
    cpu: Duration,
    max_rss_bytes: u64,
}

/// Standard output and standard error.
type Sinks = [Sink; 2];

/// Between looks at a running task's number of processes. A few microseconds each, and a bomb doubles in less.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The look at which a task is announced as running.
const ANNOUNCED_AT: u32 = 5;
/// One look in so many is at followers and the disk, too.
const WIDE_LOOK: u32 = 10;
/// Between rounds of killing, where one round need not be enough.
const KILL_AGAIN: Duration = Duration::from_millis(5);

impl<'a> Job<'a> {
    fn new(order: &'a Order) -> Self {
        let now = spawn::now();
        Self {
            order,
            started: now,
            lease_end: now + Duration::from_micros(order.lease_us),
            limit_end: now + Duration::from_micros(order.time_limit_us),
            grace_end: None,
            next_look: now + LOOK_EVERY,
            looks: 0,
            is_swelling: false,
            last_pid: None,
            made: 0,
            leader: None,
            leader_status: None,
            failure: None,
            killed: false,
            told: false,
            cpu: Duration::ZERO,
            max_rss_bytes: 0,
        }
    }

    /// Prepares, starts and watches the command until nothing of it is left. `None`: it never started.
    fn execute(&mut self, control: &mut Control, guard: &mut Guard) -> Result<Option<Sinks>, Gone> {
        let stdin = match self.prepare(control)? {
            Ok(stdin) => stdin,
            Err(failure) => return Ok(self.give_up(failure)),
        };
        // A cancellation may have come behind the order, in one piece with it.
        self.listen(control)?;
        if let Some(failure) = self.failure.clone() {
            return Ok(self.give_up(failure));
        }
        let sinks = match self.start(guard, stdin) {
            Ok(sinks) => sinks,
            Err(failure) => return Ok(self.give_up(failure)),
        };
        let mut sinks = sinks;
        let watched = self.watch(control, guard, &mut sinks);
        if watched.is_err() {
            self.end_everything(guard);
        }
        watched.map(|()| Some(sinks))
    }

    fn give_up(&mut self, failure: Failure) -> Option<Sinks> {
        self.failure.get_or_insert(failure);
        None
    }

    fn prepare(&mut self, control: &mut Control) -> Result<Result<OwnedFd, Failure>, Gone> {
        let order = self.order;
        if let Err(error) = directory::make(&order.work) {
            return Ok(Err(prepare("directory", &error)));
        }
        for (name, source) in &order.inputs {
            let copied = match source {
                Content::Null => directory::write(&order.work, name, &[]),
                Content::Inline(bytes) => directory::write(&order.work, name, bytes),
                Content::File(source) => directory::place(&order.work, name, source, || {
                    self.listen(control)?;
                    self.check_time();
                    Ok(())
                })?,
            };
            if let Err(error) = copied {
                return Ok(Err(prepare(&format!("input `{name}`"), &error)));
            }
            if let Some(failure) = &self.failure {
                return Ok(Err(failure.clone()));
            }
        }
        let stdin = match &order.stdin {
            Content::Null => File::open("/dev/null").map(OwnedFd::from),
            Content::Inline(bytes) => spawn::memory_file(bytes),
            Content::File(path) => open_regular(path).map(OwnedFd::from),
        };
        Ok(stdin.map_err(|error| prepare("standard input", &error)))
    }

    fn start(&mut self, guard: &mut Guard, stdin: OwnedFd) -> Result<Sinks, Failure> {
        let order = self.order;
        let pipes = spawn::output_pipe().and_then(|out| Ok((out, spawn::output_pipe()?)));
        let ((out_read, out_write), (err_read, err_write)) = pipes.map_err(|error| prepare("pipes", &error))?;
        self.last_pid = guard.last_pid();
        let started = guard.spawn(&Command {
            program: &order.program,
            argv: &order.argv,
            env: &order.env,
            directory: &order.work,
            stdin: stdin.as_fd(),
            stdout: out_write.as_fd(),
            stderr: err_write.as_fd(),
            limits: &order.limits,
        });
        let limit = order.limits.output_bytes;
        match started {
            Ok(pid) => {
                self.leader = Some(pid);
                Ok([Sink::new("stdout", out_read, limit), Sink::new("stderr", err_read, limit)])
            }
            Err(error) => {
                self.reap();
                let program = order.program.display().to_string();
                Err(match error {
                    SpawnError::Exec(error) if error.kind() == io::ErrorKind::NotFound => {
                        Failure::ProgramMissing { program }
                    }
                    SpawnError::Exec(error) => Failure::NotExecutable { program, error: error.to_string() },
                    SpawnError::Setup(error) => prepare("process", &error),
                    SpawnError::Fork(error) => prepare("fork", &error),
                })
            }
        }
    }

    /// Until every process of the task is reaped.
    fn watch(&mut self, control: &mut Control, guard: &Guard, sinks: &mut Sinks) -> Result<(), Gone> {
        let mut scratch = vec![0; 64 << 10];
        loop {
            let ready = self.wait(control, guard, sinks);
            for (sink, _) in sinks.iter_mut().zip(ready.sinks).filter(|(_, readable)| *readable) {
                self.note_sink(sink.drain(&self.order.out, &mut scratch));
                if sink.overflown {
                    self.end(Failure::OutputTooLarge {
                        stream: sink.name.into(),
                        limit: self.order.limits.output_bytes,
                    });
                }
            }
            if ready.control {
                self.listen_now(control, true)?;
            }
            if ready.children {
                guard.clear();
                if self.reap() {
                    break;
                }
            }
            self.check_time();
            self.look(control, guard, sinks)?;
            self.enforce(guard);
        }
        for sink in sinks.iter_mut() {
            self.note_sink(sink.finish(&self.order.out, &mut scratch));
            if sink.overflown {
                self.end(Failure::OutputTooLarge { stream: sink.name.into(), limit: self.order.limits.output_bytes });
            }
        }
        Ok(())
    }

    fn wait(&self, control: &Control, guard: &Guard, sinks: &Sinks) -> Ready {
        let children = guard.children();
        let mut fds = vec![
            PollFd::from_borrowed_fd(control.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(children, PollFlags::IN),
        ];
        let polled = sinks.each_ref().map(|sink| !sink.overflown && sink.pipe().is_some());
        for (sink, _) in sinks.iter().zip(polled).filter(|(_, polled)| *polled) {
            fds.extend(sink.pipe().map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::IN)));
        }
        let timeout = self.next_deadline().saturating_sub(spawn::now());
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        if poll(&mut fds, Some(&timeout)).is_err() {
            // Interrupted: look at everything.
            return Ready { control: false, children: true, sinks: polled };
        }
        let mut rest = fds.iter().skip(2).map(|fd| !fd.revents().is_empty());
        let sinks = polled.map(|polled| polled && rest.next().unwrap_or(false));
        Ready { control: !fds[0].revents().is_empty(), children: !fds[1].revents().is_empty(), sinks }
    }

    fn next_deadline(&self) -> Duration {
        let mut next = self.next_look;
        if self.killed {
            next = next.min(spawn::now() + KILL_AGAIN);
        } else {
            next = next.min(self.lease_end).min(self.limit_end);
            next = self.grace_end.map_or(next, |grace| next.min(grace));
        }
        next
    }

    /// Messages from meshd, when there are any.
    fn listen(&mut self, control: &mut Control) -> Result<(), Gone> {
        let mut fds = [PollFd::new(control, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let readable = poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0);
        self.listen_now(control, readable)
    }

    fn listen_now(&mut self, control: &mut Control, mut readable: bool) -> Result<(), Gone> {
        while let Some(message) = control.receive_now(readable)? {
            readable = false;
            match message {
                ToGuard::Renew => self.lease_end = spawn::now() + Duration::from_micros(self.order.lease_us),
                ToGuard::Cancel => self.cancel(),
                // meshd sends one order at a time; one that does not is not ours.
                ToGuard::Run(_) => return Err(Gone),
            }
        }
        Ok(())
    }

    fn cancel(&mut self) {
        if self.failure.is_none() {
            self.failure = Some(Failure::Cancelled);
            self.grace_end = Some(spawn::now() + Duration::from_micros(self.order.grace_us));
        }
    }

    fn check_time(&mut self) {
        let now = spawn::now();
        if now >= self.lease_end {
            self.end(Failure::LeaseLost { lease_ms: self.order.lease_us / 1000 });
        }
        if now >= self.limit_end {
            self.end(Failure::TimeLimit { limit_ms: self.order.time_limit_us / 1000 });
        }
        if self.grace_end.is_some_and(|end| now >= end) {
            self.end(Failure::Cancelled);
        }
    }

    /// The task ends now; the first reason is the one reported.
    fn end(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.grace_end = None;
        self.killed = true;
    }

    /// What is looked at now and then: announcement, followers' files, number of processes, disk.
    fn look(&mut self, control: &mut Control, guard: &Guard, sinks: &mut Sinks) -> Result<(), Gone> {
        let now = spawn::now();
        if now < self.next_look {
            return Ok(());
        }
        self.looks += 1;
        self.count_processes(guard);
        if self.looks % WIDE_LOOK == ANNOUNCED_AT || self.is_swelling {
            self.weigh(guard);
        }
        // On a system with many processes a look takes long, and where this guard goes first nobody comes in between.
        let ended = spawn::now();
        self.next_look = ended + LOOK_EVERY.max(ended.saturating_sub(now));
        if self.looks == ANNOUNCED_AT {
            control.send(&FromGuard::Running)?;
        }
        if self.looks % WIDE_LOOK == ANNOUNCED_AT {
            for sink in sinks.iter_mut() {
                self.note_sink(sink.publish(&self.order.out));
            }
            self.look_at_disk();
        }
        Ok(())
    }

    fn count_processes(&mut self, guard: &Guard) {
        let limit = self.order.limits.processes;
        // Fewer were made than may live at a time: no need to count. Pids wrap around; from then on the count decides.
        if let (Some(before), Some(last)) = (self.last_pid, guard.last_pid()) {
            self.made = last.checked_sub(before).map_or(u32::MAX, |more| self.made.saturating_add(more));
            self.last_pid = Some(last);
            if self.made < limit {
                return;
            }
        }
        if let Ok(seen) = tree::size(guard.level)
            && seen > limit
        {
            self.end(Failure::TooManyProcesses { limit, seen });
        }
    }

    /// Memory of all processes. Pages that several share count once for each in what is quick to read; only who is
    /// above the limit by that is asked for the exact sum, which takes the kernel a walk over all pages.
    fn weigh(&mut self, guard: &Guard) {
        let Some(limit) = self.order.limits.memory_bytes else { return };
        let Ok(resident) = tree::resident(guard.level) else { return };
        // Half of the limit can be filled between two wide looks.
        self.is_swelling = resident > limit / 2;
        if resident > limit
            && let Ok(seen) = tree::proportional(guard.level)
            && seen > limit
        {
            self.end(Failure::MemoryLimit { limit, seen });
        }
    }

    fn look_at_disk(&mut self) {
        let limit = self.order.limits.free_bytes;
        if holdings::is_disk_full(&self.order.work, limit) {
            self.end(Failure::DiskFull { limit });
        }
    }

    fn note_sink(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.end(prepare("output file", &error));
        }
    }

    fn enforce(&mut self, guard: &Guard) {
        if self.killed || self.leader_status.is_some() {
            // Ended, or its leader has: what it left behind must not outlive the report.
            tree::kill_round(guard.level, self.leader, self.leader_status.is_some());
            self.killed = true;
        } else if self.grace_end.is_some() && !std::mem::replace(&mut self.told, true) {
            tree::signal(guard.level, self.leader, libc::SIGTERM);
        }
    }

    /// Reaps what has ended. True when nothing of the task is left.
    fn reap(&mut self) -> bool {
        loop {
            match spawn::wait_any() {
                Waited::Ended(ended) => self.note(&ended),
                Waited::Alive => return false,
                Waited::NoneLeft => return true,
            }
        }
    }

    fn note(&mut self, ended: &Ended) {
        self.cpu += ended.cpu;
        self.max_rss_bytes = self.max_rss_bytes.max(ended.max_rss_bytes);
        if self.leader == Some(ended.pid) {
            self.leader_status = Some(ended.status);
        }
    }

    /// meshd is gone: no report, no grace.
    fn end_everything(&mut self, guard: &Guard) {
        while !self.reap() {
            tree::kill_round(guard.level, self.leader, self.leader_status.is_some());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn report(&mut self, sinks: Option<Sinks>) -> Report {
        let mut status = self.status();
        let all = status == Status::Exit(0);
        let files = match &status {
            Status::Failed(_) => Ok(Vec::new()),
            Status::Exit(_) | Status::Signal(_) => {
                let Order { work, out, outputs, limits, .. } = self.order;
                directory::collect(work, out, outputs, limits, all)
            }
        };
        let files = files.unwrap_or_else(|failure| {
            status = Status::Failed(failure);
            Vec::new()
        });
        let followed = sinks.as_ref().is_some_and(|sinks| sinks.iter().any(Sink::has_file));
        let nothing = || Kept::Inline(Vec::new());
        let [stdout, stderr] = sinks.map_or_else(|| [nothing(), nothing()], |sinks| sinks.map(Sink::kept));
        let in_files = |kept: &Kept| matches!(kept, Kept::File { .. });
        if followed && ![&stdout, &stderr].into_iter().chain(files.iter().map(|(_, kept)| kept)).any(in_files) {
            // Small after all: it was in a file only for who followed it.
            remove(&self.order.out);
        }
        Report {
            status,
            stdout,
            stderr,
            files,
            cpu_us: self.cpu.as_micros() as u64,
            wall_us: spawn::now().saturating_sub(self.started).as_micros() as u64,
            max_rss_bytes: self.max_rss_bytes,
        }
    }

    fn status(&mut self) -> Status {
        if let Some(failure) = self.failure.take() {
            return Status::Failed(failure);
        }
        match self.leader_status {
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Status::Exit(code),
                (None, Some(libc::SIGXFSZ)) => {
                    Status::Failed(Failure::FileTooLarge { limit: self.order.limits.file_bytes })
                }
                (None, signal) => Status::Signal(signal.unwrap_or(0)),
            },
            None => Status::Failed(Failure::GuardLost),
        }
    }
}

struct Ready {
    control: bool,
    children: bool,
    sinks: [bool; 2],
}

fn prepare(what: &str, error: &io::Error) -> Failure {
    Failure::Prepare { what: what.into(), error: error.to_string() }
}
