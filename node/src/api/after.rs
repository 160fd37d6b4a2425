//! What a task is to start after, and what it takes of the results of these, as users write it in JSON.

use super::{
    Api, Code, Problem,
    brain::BrainGone,
    extract::resolve_task,
    submission::{FileSpec, Item},
};
use mesh_coordinator::{Answer, Command};
use mesh_proto::{
    id::{NetworkId, TaskId},
    task::{Dependency, Part, Place, Spec, Take, TaskKey, task_id},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Another task: its id, or its number where both are items of one job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskLink {
    /// Or a unique prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// An item of the same job, before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u64>,
}

/// What comes of another task: this one starts after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultLink {
    /// Or a unique prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// An item of the same job, before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u64>,
    /// One of the files that it keeps. Default: what it writes to standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl TaskLink {
    pub fn task(id: &str) -> Self {
        Self { task: Some(id.to_owned()), item: None }
    }

    /// Whole ids in the place of prefixes.
    pub async fn resolve(&mut self, api: &Api) -> Result<(), Problem> {
        resolve(api, &mut self.task).await
    }

    /// The task, of a link that was resolved and is to no item.
    pub fn id(&self) -> Result<TaskId, Problem> {
        Siblings::none().id(self.task.as_deref(), self.item)
    }
}

impl Item {
    /// Whole ids in the place of prefixes.
    pub async fn resolve(&mut self, api: &Api) -> Result<(), Problem> {
        let results = self.stdin_result.iter_mut().chain(self.files.iter_mut().filter_map(|file| file.result.as_mut()));
        let tasks = results.map(|result| &mut result.task).chain(self.after.iter_mut().map(|link| &mut link.task));
        for task in tasks {
            resolve(api, task).await?;
        }
        Ok(())
    }

    /// What it is to start after, besides what all of its job are: each task once, with all that is taken of it.
    pub(super) fn dependencies(&self, common: &[TaskId], siblings: &Siblings<'_>) -> Result<Vec<Dependency>, Problem> {
        let mut after: Vec<Dependency> = Vec::new();
        let mut add = |task: TaskId, take: Option<Take>| {
            let at = after.iter().position(|known| known.task == task).unwrap_or_else(|| {
                after.push(Dependency { task, takes: Vec::new() });
                after.len() - 1
            });
            after[at].takes.extend(take);
        };
        common.iter().for_each(|task| add(*task, None));
        for TaskLink { task, item } in &self.after {
            add(siblings.id(task.as_deref(), *item)?, None);
        }
        let stdin = self.stdin_result.iter().map(|result| (result, Place::Input));
        let file = |file: &FileSpec| Place::File(file.name.clone());
        let files = self.files.iter().filter_map(|of| of.result.as_ref().map(|result| (result, file(of))));
        for (ResultLink { task, item, file }, place) in stdin.chain(files) {
            let part = file.clone().map_or(Part::Output, Part::File);
            add(siblings.id(task.as_deref(), *item)?, Some(Take { part, place }));
        }
        Ok(after)
    }
}

/// The other items of a job, which have the ids that their numbers give them.
pub(super) struct Siblings<'a>(Option<(NetworkId, &'a str, &'a [u8], u64)>);

impl<'a> Siblings<'a> {
    fn none() -> Self {
        Self(None)
    }

    /// Of the task of this key.
    pub(super) fn of(network: NetworkId, principal: &'a str, key: &'a TaskKey) -> Self {
        Self(match key {
            TaskKey::Item(job, index) => Some((network, principal, job.as_slice(), *index)),
            TaskKey::Own(_) | TaskKey::Manifest(_) | TaskKey::Replica(..) | TaskKey::Again(..) => None,
        })
    }

    fn id(&self, task: Option<&str>, item: Option<u64>) -> Result<TaskId, Problem> {
        match (task, item, self.0) {
            (Some(task), None, _) => task.parse().map_err(Problem::malformed),
            (None, Some(item), Some((network, principal, job, own))) if item < own => {
                Ok(task_id(&network, principal, &TaskKey::Item(job.to_vec(), item)))
            }
            (None, Some(item), Some((.., own))) => Err(Problem::malformed(format_args!(
                "item {own} can start after items before it, not after item {item}"
            ))),
            (None, Some(_), None) => {
                Err(Problem::malformed("only an item of a job can start after another by its number"))
            }
            (None, None, _) => Err(Problem::malformed("to start after a task, its `task` or its `item` must be given")),
            (Some(_), Some(_), _) => {
                Err(Problem::malformed("`task` and `item` are two ways to say one thing: give one"))
            }
        }
    }
}

async fn resolve(api: &Api, task: &mut Option<String>) -> Result<(), Problem> {
    if let Some(text) = task {
        *text = resolve_task(api, text).await?.to_string();
    }
    Ok(())
}

/// That each of these is known to a node in reach: what waits for a task that never was would be told of it too late.
pub async fn check_known(api: &Api, tasks: impl IntoIterator<Item = TaskId>) -> Result<(), Problem> {
    for task in tasks {
        let answers = api.ports.brain.ask(Command::Resolve { prefix: task.to_string() }).await?;
        match answers.one().await {
            Some(Answer::Matches(matches)) if matches.contains(&task) => {}
            Some(Answer::Matches(_)) => {
                let detail = format!("no node in reach knows task {task}, after which it is to start");
                return Err(Problem::new(Code::NotFound, detail));
            }
            Some(Answer::Refused { why, .. }) => return Err((&why).into()),
            _ => return Err(BrainGone.into()),
        }
    }
    Ok(())
}

/// What a task is to start after, and what it takes of that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DependencyInfo {
    pub task: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takes: Vec<TakeInfo>,
}

/// A part of another task's result that becomes an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TakeInfo {
    /// One of its files; none is its standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The file that it becomes; none is standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl DependencyInfo {
    pub fn of(spec: &Spec) -> Vec<Self> {
        let take = |take: &Take| TakeInfo {
            file: match &take.part {
                Part::Output => None,
                Part::File(name) => Some(name.clone()),
            },
            to: match &take.place {
                Place::Input => None,
                Place::File(name) => Some(name.clone()),
            },
        };
        let info = |one: &Dependency| Self { task: one.task.to_string(), takes: one.takes.iter().map(take).collect() };
        spec.after.iter().map(info).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);

    fn id(n: u8) -> TaskId {
        TaskId::from_bytes([n; 32])
    }

    #[test]
    fn each_task_is_named_once_with_all_that_is_taken_of_it() {
        let key = TaskKey::Item(b"job".to_vec(), 3);
        let siblings = Siblings::of(NETWORK, "ada", &key);
        let sibling = task_id(&NETWORK, "ada", &TaskKey::Item(b"job".to_vec(), 1));
        let result = |file: Option<&str>| ResultLink { item: Some(1), file: file.map(str::to_owned), task: None };
        let item = Item {
            after: vec![TaskLink::task(&id(7).to_string()), TaskLink { task: None, item: Some(1) }],
            stdin_result: Some(result(None)),
            files: vec![FileSpec { name: "a".into(), result: Some(result(Some("b"))), ..FileSpec::default() }],
            ..Item::default()
        };
        let takes = vec![
            Take { part: Part::Output, place: Place::Input },
            Take { part: Part::File("b".into()), place: Place::File("a".into()) },
        ];
        let bare = |n| Dependency { task: id(n), takes: Vec::new() };
        let expected = [bare(8), bare(7), Dependency { task: sibling, takes }];
        assert_eq!(item.dependencies(&[id(8)], &siblings).unwrap(), expected);
    }

    #[test]
    fn an_item_starts_after_items_before_it_alone() {
        let key = TaskKey::Item(b"job".to_vec(), 3);
        let of = |item| Siblings::of(NETWORK, "ada", &key).id(None, Some(item));
        assert!(of(2).is_ok());
        assert_eq!(of(3).unwrap_err().detail, "item 3 can start after items before it, not after item 3");
        assert!(of(4).is_err());
        let alone = Siblings::of(NETWORK, "ada", &TaskKey::Own(Vec::new())).id(None, Some(0)).unwrap_err();
        assert!(alone.detail.contains("only an item of a job"), "{alone:?}");
        for (task, item) in [(None, None), (Some("x"), Some(1)), (Some("4f1d0c2b"), None)] {
            assert!(Siblings::none().id(task, item).is_err(), "{task:?} {item:?}");
        }
    }
}
