use crate::api::brain::{Answers, Brain, BrainGone};
use futures::{FutureExt, future::BoxFuture};
use mesh_coordinator::{Answer, Command, Refusal, TaskView};
use mesh_proto::{
    codec,
    id::TaskId,
    task::{Ending, How, Outcome, Payload, Program, Register, Spec, State, Status},
    time::Wall,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc};

/// What a script answers to a command; `None` leaves it to the default.
type Script = Arc<dyn Fn(&Command) -> Option<Vec<Answer>> + Send + Sync>;

/// A brain that keeps tasks in a map, runs `echo` at once (others never end) and can be told to answer otherwise.
#[derive(Clone)]
pub struct Scripted {
    script: Script,
    tasks: Arc<Mutex<BTreeMap<TaskId, Spec>>>,
    pub submits: Arc<AtomicU64>,
    pub left: Arc<AtomicU64>,
    /// Ends are given out while there are permits.
    pub ends: Arc<Semaphore>,
}

impl Scripted {
    pub fn new() -> Self {
        Self::with(|_| None)
    }

    pub fn with(script: impl Fn(&Command) -> Option<Vec<Answer>> + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            tasks: Arc::default(),
            submits: Arc::default(),
            left: Arc::default(),
            ends: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    /// What the script leaves, answered by another that can see which tasks there are.
    pub fn and(
        self,
        script: impl Fn(&Command, &dyn Fn(&TaskId) -> bool) -> Option<Vec<Answer>> + Send + Sync + 'static,
    ) -> Self {
        let (first, tasks) = (self.script.clone(), self.tasks.clone());
        let both = move |command: &Command| {
            first(command).or_else(|| script(command, &|task| tasks.lock().unwrap().contains_key(task)))
        };
        Self { script: Arc::new(both), ..self }
    }

    /// Holds ends back until `ends` is given permits.
    pub fn holding(self) -> Self {
        Self { ends: Arc::new(Semaphore::new(0)), ..self }
    }

    pub fn specs(&self) -> Vec<Spec> {
        self.tasks.lock().unwrap().values().cloned().collect()
    }

    fn place(&self, index: usize, bytes: &[u8]) -> (Answer, Option<Spec>) {
        let index = u32::try_from(index).unwrap();
        let spec = match Spec::decode(bytes) {
            Ok(spec) => spec,
            Err(error) => {
                return (Answer::Refused { index, task: None, why: Refusal::Malformed(error.to_string()) }, None);
            }
        };
        let task = spec.id(&super::NETWORK);
        let existing = self.tasks.lock().unwrap().insert(task, spec.clone());
        match &existing {
            Some(old) if *old != spec => (Answer::Refused { index, task: Some(task), why: Refusal::Conflict }, None),
            _ => {
                let existing = existing.is_some();
                (Answer::Placed { index, task, copies: 3, degraded: false, existing }, Some(spec))
            }
        }
    }
}

pub fn echoed(spec: &Spec) -> Option<Answer> {
    let outcome = Outcome {
        status: Status::Exit(0),
        stdout: spec.input.clone(),
        stderr: Payload::empty(),
        files: vec![],
        cpu_us: 1,
        wall_us: 2,
        seal: None,
        count: None,
    };
    let ending = Ending { how: How::Done, by: Some((1, super::NODE)), outcome: Some(outcome), at: Wall(5) };
    let register =
        Register { holders: vec![], joint: None, passed_by: vec![], state: State::Ended(ending), failed: vec![] };
    let task = spec.id(&super::NETWORK);
    (spec.program == Program::Echo).then(|| Answer::Ended { task, register: Arc::new(register) })
}

impl Brain for Scripted {
    fn ask(&self, command: Command) -> BoxFuture<'_, Result<Answers, BrainGone>> {
        let this = self.clone();
        async move {
            let (sender, receiver) = mpsc::channel(64);
            let left = this.left.clone();
            tokio::spawn(async move {
                if let Err(error) = this.answer(command, &sender).await {
                    assert!(sender.is_closed(), "{error}");
                }
            });
            Ok(Answers::new(receiver, move || {
                left.fetch_add(1, Ordering::Relaxed);
            }))
        }
        .boxed()
    }
}

impl Scripted {
    async fn answer(
        &self,
        command: Command,
        sender: &mpsc::Sender<Vec<Answer>>,
    ) -> Result<(), mpsc::error::SendError<Vec<Answer>>> {
        if let Some(mut answers) = (self.script)(&command) {
            answers.push(Answer::Finished);
            return sender.send(answers).await;
        }
        let (mut open, follow) = match command {
            Command::Submit { specs, follow } => {
                self.submits.fetch_add(1, Ordering::Relaxed);
                let (answers, specs): (Vec<_>, Vec<_>) =
                    specs.iter().enumerate().map(|(index, spec)| self.place(index, spec)).unzip();
                sender.send(answers).await?;
                (specs.into_iter().flatten().collect::<Vec<_>>(), follow)
            }
            Command::Follow { tasks } => {
                let known = self.tasks.lock().unwrap().clone();
                let missing = tasks.iter().filter(|task| !known.contains_key(task));
                let missing: Vec<_> = missing.map(|task| Answer::Missing { task: *task }).collect();
                sender.send(missing).await?;
                (tasks.iter().filter_map(|task| known.get(task).cloned()).collect(), true)
            }
            Command::Show { task } => {
                let spec = self.tasks.lock().unwrap().get(&task).map(|spec| codec::encode(spec).into());
                let view = |spec| TaskView { spec, ..super::tasks::view(task, State::Waiting) };
                let answer = spec.map_or(Answer::Missing { task }, |spec| Answer::Task(Box::new(view(spec))));
                return sender.send(vec![answer, Answer::Finished]).await;
            }
            other => panic!("no answer to {other:?}"),
        };
        while follow && !open.is_empty() {
            let Some(at) = open.iter().position(|spec| spec.program == Program::Echo) else {
                tokio::time::sleep(Duration::from_secs(3_600)).await;
                continue;
            };
            self.ends.acquire().await.unwrap().forget();
            sender.send(echoed(&open.swap_remove(at)).into_iter().collect()).await?;
        }
        sender.send(vec![Answer::Finished]).await
    }
}
