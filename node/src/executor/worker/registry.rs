//! Who is attached, who has what, and what waits for somebody. Plain: time comes in, and ends go out.

use super::{
    Job, Progress, Registration, Stop, WorkerError, WorkerId, WorkersConfig,
    attached::{Held, Worker},
    ending::{End, Ending},
    error::shown,
    output::Output,
};
use mesh_proto::{
    capability::{Capabilities, Name, Value, WorkerKind},
    id::TaskId,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) struct Registry {
    pub config: WorkersConfig,
    /// What this node has without any of them.
    base: Capabilities,
    workers: BTreeMap<WorkerId, Worker>,
    /// Tasks that have a slot and that no worker has taken, the first first.
    offered: VecDeque<Offer>,
    /// Who was attached lately, and why it is not any more.
    gone: VecDeque<(WorkerId, &'static str)>,
    /// When all that was due had been done.
    swept: Instant,
}

struct Offer {
    job: Arc<Job>,
    since: Instant,
}

/// Who is gone is told so, so many of them.
const REMEMBERED: usize = 256;
/// What is on its way to a worker may not be in its word of what it has.
const ON_ITS_WAY: Duration = Duration::from_secs(5);
/// Kinds of one worker, and what it brings besides.
const KINDS: usize = 16;
const BRINGS: usize = 32;
/// Tasks of one worker.
const CONCURRENCY: u32 = 1_024;
const NAME_BYTES: usize = 64;

impl Registry {
    pub fn new(config: WorkersConfig, base: Capabilities, now: Instant) -> Self {
        let (workers, offered, gone) = Default::default();
        Self { config, base, workers, offered, gone, swept: now }
    }

    // Workers.

    pub fn register(&mut self, now: Instant, id: WorkerId, registration: Registration) -> Result<(), WorkerError> {
        self.check(&registration)?;
        if self.workers.len() >= self.config.most {
            return Err(WorkerError::TooMany { most: self.config.most });
        }
        self.workers.insert(id, Worker::new(registration, now));
        if let Err(error) = self.merged(now) {
            self.workers.remove(&id);
            return Err(WorkerError::TooMuch(error));
        }
        Ok(())
    }

    /// It says something, and so is there.
    pub fn heard(&mut self, now: Instant, id: WorkerId) -> Result<&mut Worker, WorkerError> {
        let Some(worker) = self.workers.get_mut(&id) else {
            let gone = self.gone.iter().find(|(one, _)| *one == id);
            return Err(gone.map_or(WorkerError::Unknown, |(_, why)| WorkerError::Gone(why)));
        };
        worker.heard = worker.heard.max(now);
        Ok(worker)
    }

    /// It goes in good order.
    pub fn leave(&mut self, now: Instant, id: WorkerId) -> Result<Vec<End>, WorkerError> {
        self.heard(now, id)?;
        let given_back = |name: &str| Ending::GivenBack(format!("worker {name} was detached"));
        Ok(self.remove(now, id, "it was detached", given_back))
    }

    /// It says which tasks it has: of what it was given and has not, it never heard.
    pub fn has(&mut self, now: Instant, id: WorkerId, tasks: &BTreeSet<TaskId>) -> Result<Vec<End>, WorkerError> {
        let worker = self.heard(now, id)?;
        for (_, held) in worker.held.iter_mut().filter(|(task, _)| tasks.contains(task)) {
            held.is_known = true;
        }
        let unheard = |(task, held): &(&TaskId, &Held)| {
            !tasks.contains(task) && (held.stopped.is_some() || held.taken + ON_ITS_WAY <= now)
        };
        let unheard: Vec<TaskId> = worker.held.iter().filter(unheard).map(|(task, _)| *task).collect();
        let mut ends = Vec::new();
        for task in unheard {
            if let Some(held) = worker.let_go(task).filter(|held| held.stopped.is_none()) {
                let why = "its worker does not know of it".to_owned();
                ends.push(End::of_held(held, Ending::GivenBack(why)));
            }
        }
        Ok(ends)
    }

    // Tasks.

    /// A task that has a slot. Whether there is anybody for it.
    pub fn offer(&mut self, now: Instant, job: Arc<Job>) -> bool {
        let is_attended = self.workers.values().any(|worker| worker.is_of(&job.kind));
        if is_attended {
            self.offered.push_back(Offer { job, since: now });
        }
        is_attended
    }

    /// What waits longest of what this worker takes, if it has a place.
    pub fn take(
        &mut self,
        now: Instant,
        id: WorkerId,
        output: impl FnOnce(&Job) -> Output,
    ) -> Result<Option<Arc<Job>>, WorkerError> {
        self.heard(now, id)?;
        let Some(worker) = self.workers.get(&id).filter(|worker| worker.has_place()) else { return Ok(None) };
        // An earlier attempt at it, with which it is to stop, must not be taken for this one.
        let fits = |offer: &Offer| worker.is_of(&offer.job.kind) && !worker.held.contains_key(&offer.job.run.task);
        let Some(at) = self.offered.iter().position(fits) else { return Ok(None) };
        let Some(Offer { job, .. }) = self.offered.remove(at) else { return Ok(None) };
        let Some(worker) = self.workers.get_mut(&id) else { return Err(WorkerError::Unknown) };
        let (output, progress) = (Arc::new(output(&job)), Progress::default());
        let turn = Arc::default();
        let held = Held { job: Arc::clone(&job), output, taken: now, is_known: false, progress, stopped: None, turn };
        worker.taken += 1;
        worker.held.insert(job.run.task, held);
        Ok(Some(job))
    }

    /// A task that this worker has and is to go on with.
    pub fn held(
        &mut self,
        now: Instant,
        id: WorkerId,
        task: TaskId,
        attempt: Option<u32>,
    ) -> Result<&mut Held, WorkerError> {
        let worker = self.heard(now, id)?;
        let is_it = |held: &Held| attempt.is_none_or(|attempt| held.job.run.attempt == attempt);
        let held = worker.held.get_mut(&task).filter(|held| is_it(held)).ok_or(WorkerError::NotHeld)?;
        held.is_known = true;
        match held.stopped {
            Some((stop, _)) => Err(WorkerError::Stopped(stop)),
            None => Ok(held),
        }
    }

    /// Its worker is done with it, or does not want it: what it had of it. A place is free even where it should have stopped
    /// long ago.
    pub fn let_go(
        &mut self,
        now: Instant,
        id: WorkerId,
        task: TaskId,
        attempt: Option<u32>,
    ) -> Result<Held, WorkerError> {
        match self.held(now, id, task, attempt) {
            Ok(_) => {}
            Err(error @ WorkerError::Stopped(_)) => {
                self.heard(now, id)?.let_go(task);
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        self.heard(now, id)?.let_go(task).ok_or(WorkerError::NotHeld)
    }

    /// Whether it was brought to an end by this worker already.
    pub fn is_repeat(&self, id: WorkerId, task: TaskId, attempt: Option<u32>) -> bool {
        let is_it = |(one, number): &(TaskId, u32)| *one == task && attempt == Some(*number);
        self.workers.get(&id).is_some_and(|worker| worker.ended.iter().any(is_it))
    }

    /// Nobody wants it any more.
    pub fn cancel(&mut self, now: Instant, task: TaskId, attempt: u32) -> Option<End> {
        let is_it = |job: &Job| job.run.task == task && job.run.attempt == attempt;
        if let Some(at) = self.offered.iter().position(|offer| is_it(&offer.job)) {
            let Offer { job, .. } = self.offered.remove(at)?;
            return Some(End { job, had: None, ending: Ending::Cancelled });
        }
        let held =
            self.workers.values_mut().find_map(|worker| worker.held.get_mut(&task).filter(|held| is_it(&held.job)));
        held.filter(|held| held.stopped.is_none()).map(|held| held.stop(now, Stop::Cancelled, Ending::Cancelled))
    }

    // Time.

    /// All that is due.
    pub fn sweep(&mut self, now: Instant) -> Vec<End> {
        let mut ends = Vec::new();
        let lease = self.config.lease;
        self.swept = now;
        let expired = |(_, worker): &(&WorkerId, &Worker)| worker.expires(lease).is_some_and(|at| at <= now);
        let expired: Vec<WorkerId> = self.workers.iter().filter(expired).map(|(id, _)| *id).collect();
        for id in expired {
            let lost =
                |name: &str| Ending::Lost(format!("worker {name} was not heard of for {} ms", lease.as_millis()));
            ends.extend(self.remove(now, id, "nothing was heard of it for longer than its lease", lost));
        }
        ends.extend(self.unheard_of(now));
        for held in self.workers.values_mut().flat_map(|worker| worker.held.values_mut()) {
            if held.ends().is_some_and(|at| at <= now) {
                ends.push(held.stop(now, Stop::TimeLimit, Ending::TimeLimit));
            }
        }
        while self.offered.front().is_some_and(|first| first.since + self.config.untaken <= now) {
            let Some(Offer { job, .. }) = self.offered.pop_front() else { break };
            ends.push(End { job, had: None, ending: Ending::NotTaken });
        }
        ends.extend(self.unattended(now));
        ends
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        let WorkersConfig { lease, untaken, .. } = self.config;
        let leases = self.workers.values().filter_map(|worker| worker.expires(lease));
        let all_held = || self.workers.values().flat_map(|worker| worker.held.values());
        let limits = all_held().filter_map(Held::ends);
        let unheard_of = self.workers.values().flat_map(|worker| worker.unheard_of(lease)).map(|(_, at)| at);
        // From then on it keeps a place from others, which is to be told.
        let stuck = all_held().filter_map(|held| held.stopped.map(|(_, since)| since + lease));
        let stuck = stuck.filter(|at| *at > self.swept);
        let offers = self.offered.front().map(|first| first.since + untaken);
        leases.chain(limits).chain(unheard_of).chain(stuck).chain(offers).min()
    }

    // To be told.

    /// What this node has with all that are attached.
    pub fn merged(&self, now: Instant) -> Result<Capabilities, mesh_proto::capability::CapabilityError> {
        let mut all = self.base.clone();
        let mut places: BTreeMap<&Name, u64> = BTreeMap::new();
        for worker in self.workers.values() {
            for (name, value) in worker.registration.capabilities.iter() {
                all.set(name.clone(), value.cloned())?;
            }
            for kind in &worker.registration.kinds {
                *places.entry(kind.capability()).or_default() += u64::from(worker.places(now, self.config.lease));
            }
        }
        for (name, places) in places.into_iter().filter(|(_, places)| *places > 0) {
            all.set(name.clone(), Some(Value::Amount(places)))?;
        }
        Ok(all)
    }

    pub fn workers(&self) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        self.workers.iter()
    }

    pub fn offered(&self) -> usize {
        self.offered.len()
    }

    fn check(&self, registration: &Registration) -> Result<(), WorkerError> {
        let Registration { name, kinds, capabilities, concurrency } = registration;
        let malformed = |what: String| Err(WorkerError::Malformed(what));
        if name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
            return malformed(format!("a worker has a name of 1 to {NAME_BYTES} bytes, without control characters"));
        }
        if kinds.is_empty() || kinds.len() > KINDS {
            return malformed(format!("a worker is of 1 to {KINDS} kinds"));
        }
        if let Some((_, kind)) = kinds.iter().enumerate().find(|(at, kind)| kinds[..*at].contains(kind)) {
            return malformed(format!("{kind} is named twice"));
        }
        if !(1..=CONCURRENCY).contains(concurrency) {
            return malformed(format!("a worker has 1 to {CONCURRENCY} tasks at once"));
        }
        if capabilities.iter().count() > BRINGS {
            return malformed(format!("more than {BRINGS} capabilities"));
        }
        for (name, value) in capabilities.iter() {
            if name.is_tool() || name.is_worker() {
                return malformed(format!("{name} is not for a worker to say: what it takes are its `kinds`"));
            }
            let others = self.workers.values().map(|worker| &worker.registration.capabilities);
            let had = others.chain([&self.base]).find_map(|has| has.get(name));
            if let Some(had) = had.filter(|had| *had != value) {
                let (name, had, told) = (name.clone(), shown(had), shown(value));
                return Err(WorkerError::Contradiction { name, had, told });
            }
        }
        // A task may go to any of its kind.
        for worker in self.workers.values() {
            let has = &worker.registration.capabilities;
            if let Some(kind) = kinds.iter().find(|kind| worker.is_of(kind) && has != capabilities) {
                return Err(WorkerError::Unlike { kind: kind.to_string(), had: has.to_string() });
            }
        }
        Ok(())
    }

    fn remove(&mut self, now: Instant, id: WorkerId, why: &'static str, ending: impl Fn(&str) -> Ending) -> Vec<End> {
        let Some(worker) = self.workers.remove(&id) else { return Vec::new() };
        self.gone.push_back((id, why));
        if self.gone.len() > REMEMBERED {
            self.gone.pop_front();
        }
        let goes_on = worker.held.into_values().filter(|held| held.stopped.is_none());
        let mut ends: Vec<End> = goes_on.map(|held| End::of_held(held, ending(&worker.registration.name))).collect();
        ends.extend(self.unattended(now));
        ends
    }

    /// What was given to a worker that is there, and has not said a word of it for a lease: the answer that named it never came.
    /// It is not among what the worker brought to an end: if it has it after all, what it brings is refused.
    fn unheard_of(&mut self, now: Instant) -> Vec<End> {
        let lease = self.config.lease;
        let mut ends = Vec::new();
        for worker in self.workers.values_mut() {
            let due = worker.unheard_of(lease).filter(|(_, at)| *at <= now);
            let due: Vec<TaskId> = due.map(|(task, _)| task).collect();
            for held in due.iter().filter_map(|task| worker.held.remove(task)) {
                let why = format!("its worker said nothing of it for {} ms", lease.as_millis());
                ends.push(End::of_held(held, Ending::GivenBack(why)));
            }
        }
        ends
    }

    /// What is offered and nobody is left for, but for those that go on with what they should not.
    fn unattended(&mut self, now: Instant) -> Vec<End> {
        let mut ends = Vec::new();
        let (workers, lease) = (&self.workers, self.config.lease);
        let is_attended =
            |kind: &WorkerKind| workers.values().any(|worker| worker.is_of(kind) && worker.places(now, lease) > 0);
        for Offer { job, since } in std::mem::take(&mut self.offered) {
            match is_attended(&job.kind) {
                true => self.offered.push_back(Offer { job, since }),
                false => ends.push(End { job, had: None, ending: Ending::NoWorker }),
            }
        }
        ends
    }
}

impl Held {
    /// When it has had its time.
    fn ends(&self) -> Option<Instant> {
        self.stopped.is_none().then(|| self.taken.checked_add(self.job.run.time_limit)).flatten()
    }

    fn stop(&mut self, now: Instant, stop: Stop, ending: Ending) -> End {
        self.stopped = Some((stop, now));
        End { job: Arc::clone(&self.job), had: Some((Arc::clone(&self.output), self.taken)), ending }
    }
}
