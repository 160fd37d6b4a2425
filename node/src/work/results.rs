//! What a task takes of the results of others: found, and put in the place of its own inputs, which are then brought here
//! like any.

use crate::api::{
    brain::Brain,
    count::{Unverified, check},
};
use mesh_coordinator::{Answer, Command};
use mesh_proto::{
    id::{NetworkId, TaskId},
    task::{Dependency, FailureKind, How, InputFile, Outcome, Part, Payload, Place, Register, Spec, Take},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How long the word on a task that has ended is waited for: a slot is held, and others are ready to run.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether anything of it comes out of another task's result.
pub fn are_taken(spec: &Spec) -> bool {
    spec.after.iter().any(|dependency| !dependency.takes.is_empty())
}

/// The specification with what it takes in the place of its inputs. Of a task for several executors only what is counted here is
/// taken: else what its driver makes up would become what honest executors of this one sign.
pub async fn lay_in(brain: &dyn Brain, network: &NetworkId, spec: Spec) -> Result<Spec, Box<Outcome>> {
    lay_in_within(PATIENCE, brain, network, spec).await
}

async fn lay_in_within(
    patience: Duration,
    brain: &dyn Brain,
    network: &NetworkId,
    mut spec: Spec,
) -> Result<Spec, Box<Outcome>> {
    let taken: Vec<Dependency> = spec.after.iter().filter(|dependency| !dependency.takes.is_empty()).cloned().collect();
    if taken.is_empty() {
        return Ok(spec);
    }
    let tasks: Vec<TaskId> = taken.iter().map(|dependency| dependency.task).collect();
    let ended = tokio::time::timeout(patience, ended(brain, tasks)).await;
    let ended = ended.map_err(|_| not_now(format!("nobody has said for {} s how they ended", patience.as_secs())))?;
    for Dependency { task, takes } in taken {
        let known = ended.get(&task).and_then(|register| Some((register, register.ending()?)));
        let Some((register, ending)) = known else {
            return Err(not_now(format!("no node in reach knows task {task}")));
        };
        if ending.how != How::Done {
            let why = format!("task {task} has not ended well");
            return Err(Box::new(Outcome::failed(FailureKind::Dependency, why)));
        }
        match check(brain, network, &task, None, register).await {
            None | Some(Ok(())) => {}
            Some(Err(why @ Unverified::Unknown(_))) => return Err(not_now(format!("that of task {task}: {why}"))),
            Some(Err(why)) => {
                return Err(unavailable(format!("that of task {task} is not to be trusted: {why}")));
            }
        }
        let outcome = ending.outcome.as_ref();
        let outcome = outcome.ok_or_else(|| unavailable(format!("task {task} ended without a result")))?;
        for Take { part, place } in takes {
            let content = match &part {
                Part::Output => outcome.stdout.clone(),
                Part::File(name) => file(outcome, &task, name)?,
            };
            match place {
                Place::Input => spec.input = content,
                Place::File(name) => spec.files.push(InputFile { name, content }),
            }
        }
    }
    Ok(spec)
}

/// How those ended that anybody knows.
async fn ended(brain: &dyn Brain, tasks: Vec<TaskId>) -> BTreeMap<TaskId, Arc<Register>> {
    let mut ended = BTreeMap::new();
    if let Ok(mut answers) = brain.ask(Command::Follow { tasks }).await {
        while let Some(batch) = answers.next().await {
            for answer in batch {
                if let Answer::Ended { task, register } = answer {
                    ended.insert(task, register);
                }
            }
        }
    }
    ended
}

/// That it is not there is so on every node.
fn file(outcome: &Outcome, task: &TaskId, name: &str) -> Result<Payload, Box<Outcome>> {
    let found = outcome.files.iter().find(|(of, _)| of == name).map(|(_, content)| content.clone());
    found.ok_or_else(|| {
        Box::new(Outcome::failed(FailureKind::BadTask, format!("task {task} has kept no file `{name}`")))
    })
}

/// Those that know are away, or have forgotten it: this node is not to blame, nor is the task, and no number of such attempts
/// ends it. Whether it is gone for all its driver finds out.
fn not_now(why: String) -> Box<Outcome> {
    Box::new(Outcome::failed(FailureKind::GivenBack, format!("a result cannot be had now: {why}")))
}

fn unavailable(why: String) -> Box<Outcome> {
    Box::new(Outcome::failed(FailureKind::InputUnavailable, format!("a result cannot be had: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::brain::{Answers, BrainGone};
    use futures::{FutureExt as _, future::BoxFuture};
    use mesh_coordinator::{MemberView, TaskView};
    use mesh_proto::{
        capability::{Capabilities, Requirements},
        codec,
        id::{NodeId, StoreId},
        key::SecretKey,
        task::{
            Ballot, Count, Ending, OnIsolation, Priority, Program, Sealable, State, Status, Strategy, TaskKey, Version,
        },
        time::Wall,
    };
    use tokio::sync::mpsc;

    const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);

    /// Knows one task, which has ended so.
    struct Knows(TaskId, Register, Spec);

    impl Knows {
        fn new(task: TaskId, how: How) -> Self {
            Self(task, register(how), spec(task, vec![]))
        }

        fn answer(&self, task: TaskId) -> Answer {
            match task == self.0 {
                true => Answer::Ended { task, register: Arc::new(self.1.clone()) },
                false => Answer::Missing { task },
            }
        }

        fn view(&self, task: TaskId) -> TaskView {
            let node = key(1).node_id();
            TaskView {
                task,
                spec: codec::encode(&self.2).into(),
                gateway: node,
                placed: Wall(1),
                ballot: Ballot { term: 0, driver: node, nonce: 0 },
                version: Version::BIRTH,
                register: Arc::new(self.1.clone()),
                in_force: true,
                running: false,
                lack: None,
                awaits: Vec::new(),
                outlook: None,
                waiting_for: vec![],
                story: vec![],
                silent: vec![],
            }
        }
    }

    fn key(n: u8) -> SecretKey {
        SecretKey::from_bytes(&[n; 32])
    }

    fn member(node: NodeId) -> MemberView {
        MemberView {
            node,
            store: StoreId(1),
            role: "full".into(),
            dated: Wall(0),
            state: "alive".into(),
            addresses: vec![],
            load: None,
            heard_ms: None,
            standpoint: None,
            history: Vec::new(),
            name: None,
            zone: None,
            capabilities: Capabilities::default(),
        }
    }

    impl Brain for Knows {
        fn ask(&self, command: Command) -> BoxFuture<'_, Result<Answers, BrainGone>> {
            let told: Vec<Answer> = match command {
                Command::Follow { tasks } => tasks.into_iter().map(|task| self.answer(task)).collect(),
                Command::Show { task } => vec![Answer::Task(Box::new(self.view(task)))],
                Command::Members => vec![Answer::Members((1..=3).map(|n| member(key(n).node_id())).collect())],
                command => panic!("{command:?}"),
            };
            let batch = told.into_iter().chain([Answer::Finished]).collect();
            let (answers, batches) = mpsc::channel(1);
            answers.try_send(batch).unwrap();
            futures::future::ready(Ok(Answers::new(batches, || {}))).boxed()
        }
    }

    fn register(how: How) -> Register {
        let outcome = Outcome {
            status: Status::Exit(0),
            stdout: text("out"),
            stderr: Payload::empty(),
            files: vec![("a/b".into(), text("file"))],
            cpu_us: 0,
            wall_us: 0,
            seal: None,
            count: None,
        };
        let ending = Ending { how, by: None, outcome: Some(outcome), at: Wall(1) };
        Register { holders: vec![], joint: None, passed_by: vec![], state: State::Ended(ending), failed: vec![] }
    }

    fn text(text: &str) -> Payload {
        Payload::Inline(text.as_bytes().into())
    }

    fn task(n: u8) -> TaskId {
        TaskId::from_bytes([n; 32])
    }

    fn spec(task: TaskId, takes: Vec<Take>) -> Spec {
        Spec {
            principal: "ada".into(),
            key: TaskKey::Own(b"a".to_vec()),
            born: Wall(0),
            program: Program::Sha256,
            input: Payload::empty(),
            files: Vec::new(),
            priority: Priority::Medium,
            time_limit_ms: 1000,
            deadline: None,
            retries: 0,
            job: None,
            unique: false,
            requirements: Requirements::default(),
            strategy: Strategy::default(),
            on_isolation: OnIsolation::default(),
            redundancy: 1,
            after: vec![Dependency { task, takes }],
            trace: [0; 16],
        }
    }

    async fn refused(how: How, of: TaskId, part: Part) -> FailureKind {
        let takes = vec![Take { part, place: Place::Input }];
        match lay_in(&Knows::new(task(1), how), &NETWORK, spec(of, takes)).await.unwrap_err().status {
            Status::Failed(failure) => failure.kind,
            status => panic!("{status:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_taken_becomes_an_input() {
        let takes = vec![
            Take { part: Part::Output, place: Place::Input },
            Take { part: Part::File("a/b".into()), place: Place::File("c".into()) },
        ];
        let given = lay_in(&Knows::new(task(1), How::Done), &NETWORK, spec(task(1), takes)).await.unwrap();
        assert_eq!(given.input, text("out"));
        assert_eq!(given.files, [InputFile { name: "c".into(), content: text("file") }]);
        let nothing = spec(task(2), vec![]);
        assert_eq!(lay_in(&Knows::new(task(1), How::Done), &NETWORK, nothing.clone()).await.unwrap(), nothing);
    }

    #[tokio::test]
    async fn what_cannot_be_had_may_be_had_elsewhere_and_what_is_not_there_is_nowhere() {
        assert_eq!(refused(How::Done, task(2), Part::Output).await, FailureKind::GivenBack);
        assert_eq!(refused(How::Failed, task(1), Part::Output).await, FailureKind::Dependency);
        assert_eq!(refused(How::Done, task(1), Part::File("c".into())).await, FailureKind::BadTask);
    }

    /// Follows for ever, as where all that hold it are cut off; or tells how it ended, and no more.
    struct Away(Option<Knows>);

    impl Brain for Away {
        fn ask(&self, command: Command) -> BoxFuture<'_, Result<Answers, BrainGone>> {
            match (&self.0, command) {
                (None, _) => futures::future::pending().boxed(),
                (Some(knows), command @ Command::Follow { .. }) => knows.ask(command),
                (Some(_), _) => futures::future::ready(Err(BrainGone)).boxed(),
            }
        }
    }

    #[tokio::test]
    async fn who_cannot_have_it_as_others_are_away_is_not_to_blame() {
        let spec = || spec(task(1), vec![Take { part: Part::Output, place: Place::Input }]);
        let patience = Duration::from_millis(20);
        let kind_of =
            async |away: &Away| match lay_in_within(patience, away, &NETWORK, spec()).await.unwrap_err().status {
                Status::Failed(failure) => failure.kind,
                status => panic!("{status:?}"),
            };
        assert_eq!(kind_of(&Away(None)).await, FailureKind::GivenBack);
        assert_eq!(kind_of(&Away(Some(Knows::new(task(1), How::Done)))).await, FailureKind::GivenBack);
    }

    /// One that drives it, or delivers its end, makes up what it likes.
    #[tokio::test]
    async fn what_several_are_to_have_run_is_taken_only_if_they_are_counted_here() {
        let takes = || vec![Take { part: Part::Output, place: Place::Input }];
        let mut knows = Knows::new(task(1), How::Done);
        knows.2.redundancy = 3;
        let refused = lay_in(&knows, &NETWORK, spec(task(1), takes())).await.unwrap_err();
        let Status::Failed(failure) = &refused.status else { panic!("{refused:?}") };
        assert_eq!(failure.kind, FailureKind::InputUnavailable);
        assert!(failure.message.contains("nobody's result was counted"), "{failure:?}");
        let of = Sealable { task: task(1), work: knows.2.work() };
        let State::Ended(Ending { outcome: Some(outcome), .. }) = &mut knows.1.state else { panic!("it has ended") };
        let said = (1..=3).map(|n| {
            let mut one = outcome.clone();
            one.seal(&key(n), &NETWORK, &of);
            one.sealed(&NETWORK, &of, key(n).node_id()).unwrap()
        });
        outcome.count = Some(Count { asked: 3, said: said.collect() });
        let given = lay_in(&knows, &NETWORK, spec(task(1), takes())).await.unwrap();
        assert_eq!(given.input, text("out"));
    }
}
