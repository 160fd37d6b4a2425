//! Host commands: orders to guards, and reports back.

mod link;
mod slot;

use super::config::ExecConfig;
use super::logs::out_directory;
use super::outcome::{Containment, Failure, Outcome};
use super::pool::{Desk, Executor};
use super::protocol::{Content, Order, ToGuard, frame};
use super::run::{Program, Run, Source};
use mesh_proto::id::TaskId;
use slot::{Job, Slot};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

pub struct Exec {
    config: ExecConfig,
    directory: PathBuf,
    slots: Vec<Arc<Slot>>,
    /// The last one freed is used first: its guard is warm.
    idle: Arc<Mutex<Vec<usize>>>,
    shared: Arc<link::Shared>,
    tasks: Vec<AbortHandle>,
}

impl Exec {
    pub fn start(config: ExecConfig, directory: PathBuf, desk: Arc<Desk>) -> Self {
        let shared = Arc::new(link::Shared::new(&config));
        let slots: Vec<Arc<Slot>> = (0..desk.slots()).map(|_| Arc::new(Slot::new())).collect();
        let idle = Arc::new(Mutex::new((0..slots.len()).rev().collect::<Vec<_>>()));
        let mut tasks = Vec::with_capacity(slots.len() + 2);
        for (index, slot) in slots.iter().enumerate() {
            let (slot, shared, desk, idle) =
                (Arc::clone(slot), Arc::clone(&shared), Arc::clone(&desk), Arc::clone(&idle));
            let free = move || idle.lock().unwrap_or_else(PoisonError::into_inner).push(index);
            tasks.push(tokio::spawn(link::keep(slot, shared, desk, free)).abort_handle());
        }
        tasks.push(tokio::spawn(link::probe(Arc::clone(&shared), config.limits)).abort_handle());
        tasks.push(tokio::spawn(renew(slots.clone(), config.lease / 4)).abort_handle());
        Self { config, directory, slots, idle, shared, tasks }
    }

    pub fn containment(&self) -> Option<Containment> {
        self.shared.reached()
    }

    fn order(&self, run: Run, mark: &str) -> Result<Order, Failure> {
        let Program::Exec { argv, env } = run.program else { return Err(Failure::BadArguments) };
        let program = self.config.allowed.get(argv.first().map_or("", String::as_str))?.to_path_buf();
        let work = self.directory.join(format!("{}-{}", run.task, run.attempt));
        let home = work.display();
        let mut variables = vec![
            format!("PATH={}", self.config.path),
            format!("HOME={home}"),
            format!("TMPDIR={home}"),
            "LANG=C.UTF-8".to_string(),
            format!("MESH_TASK={}", run.task),
            format!("MESH_ATTEMPT={}", run.attempt),
            format!("MESH_FENCE={}", run.fence),
            mark.to_string(),
        ];
        // A later variable of the same name would be ignored by most programs: the task's `LANG` replaces ours.
        variables.retain(|ours| !env.iter().any(|(name, _)| ours.split('=').next() == Some(name)));
        variables.extend(env.into_iter().map(|(name, value)| format!("{name}={value}")));
        Ok(Order {
            out: out_directory(&self.directory, run.task, run.attempt),
            work,
            program,
            argv,
            env: variables,
            stdin: content(run.stdin),
            inputs: run.inputs.into_iter().map(|(name, source)| (name, content(source))).collect(),
            outputs: run.outputs,
            time_limit_us: micros(run.time_limit),
            lease_us: micros(self.config.lease),
            grace_us: micros(self.config.grace),
            limits: run.limits.within(self.config.limits),
        })
    }
}

fn content(source: Source) -> Content {
    match source {
        Source::Null => Content::Null,
        Source::Inline(bytes) => Content::Inline(bytes.to_vec()),
        Source::File(path) => Content::File(path),
    }
}

impl Executor for Exec {
    fn run(&self, run: Run) -> Option<Outcome> {
        let (task, attempt) = (run.task, run.attempt);
        let index = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // The desk admits no more than there are slots, and a slot is freed before its place at the desk.
        let Some(index) = index else {
            return Some(Outcome::failed(Failure::GuardUnavailable { error: "no free slot".into() }));
        };
        let slot = &self.slots[index];
        match self.order(run, slot.mark()) {
            Ok(order) => {
                let job = Job { task, attempt, work: order.work.clone(), out: order.out.clone() };
                slot.begin(job, frame(&ToGuard::Run(Box::new(order))));
                None
            }
            Err(failure) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(index);
                Some(Outcome::failed(failure))
            }
        }
    }

    fn cancel(&self, task: TaskId, attempt: u32) -> bool {
        self.slots.iter().any(|slot| slot.tell_if(|job| job.task == task && job.attempt == attempt, &ToGuard::Cancel))
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        // Each keeper drops its socket, and its guard kills what it holds.
        self.tasks.iter().for_each(AbortHandle::abort);
        self.slots.iter().for_each(|slot| slot.disconnect());
    }
}

/// Tells the guards that this process is alive and turns.
async fn renew(slots: Vec<Arc<Slot>>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for slot in &slots {
            slot.tell_if(|_| true, &ToGuard::Renew);
        }
    }
}

fn micros(time: Duration) -> u64 {
    time.as_micros().min(u128::from(u64::MAX / 4)) as u64
}
