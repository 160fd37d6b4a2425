//! What several executors said of one task, counted once more at the node that the user asked.

use super::{Api, brain::Brain, tasks::show::view_of};
use mesh_coordinator::{Answer, Command, MemberView};
use mesh_proto::{
    id::{NetworkId, NodeId, TaskId},
    task::{Ending, FailureKind, How, Octets, Payload, Register, Spec, SpecError, Status},
    time::Wall,
};
use mesh_tasks::poll::{self, CountError, Drawable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// How the executors of a task with `redundancy` agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountInfo {
    /// How many were asked, with those that said nothing.
    pub asked: u32,
    /// How many said that this is the result.
    pub agree: u32,
    /// Each of those that said something. If it is verified, their signatures hold.
    pub said: Vec<SaidInfo>,
    /// This node has counted them itself: they signed it, they are those that are drawn for the task, and most of them agree.
    pub verified: bool,
    /// Why it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SaidInfo {
    pub node: String,
    /// Whether it is what was accepted.
    pub agrees: bool,
    /// Digest of what the program did, as the node signed it.
    pub result: String,
}

impl CountInfo {
    /// Of what the record says, not verified yet.
    pub fn new(register: &Register) -> Option<Self> {
        let outcome = register.ending()?.outcome.as_ref()?;
        let count = outcome.count.as_ref()?;
        let result = outcome.result();
        let said = count.said.iter().map(|one| SaidInfo {
            node: one.node.to_string(),
            agrees: one.result == result,
            result: one.result.to_string(),
        });
        let said: Vec<SaidInfo> = said.collect();
        let agree = said.iter().filter(|one| one.agrees).count();
        Some(Self {
            asked: count.asked.into(),
            agree: u32::try_from(agree).unwrap_or(u32::MAX),
            said,
            verified: false,
            why: None,
        })
    }
}

/// Counts what the record of a task says was counted; `None` of one that was given to one executor, and of an end that is no
/// result. What was asked for is what the user gave, if he did just now, and else what those say that hold it.
pub async fn counted(api: &Api, task: &TaskId, given: Option<&Octets>, register: &Register) -> Option<CountInfo> {
    let checked =
        check(&*api.ports.brain, &api.network, task, given, register).await?.map_err(|error| error.to_string());
    let info = CountInfo::new(register).unwrap_or_default();
    Some(CountInfo { verified: checked.is_ok(), why: checked.err(), ..info })
}

/// Why the result of a task for several executors is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    #[error(transparent)]
    Count(#[from] CountError),
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// What was asked for, or who the members are, cannot be had now.
    #[error("it cannot be counted: {0}")]
    Unknown(String),
}

/// The same without telling who said what. That nothing was counted is no reason to take it for a task for one executor: whoever drives
/// it and lies leaves the count out. By what was asked for it is told from those.
pub async fn check(
    brain: &dyn Brain,
    network: &NetworkId,
    task: &TaskId,
    given: Option<&Octets>,
    register: &Register,
) -> Option<Result<(), Unverified>> {
    let ending = register.ending().filter(|ending| is_result(ending))?;
    let is_counted = ending.outcome.as_ref().is_some_and(|outcome| outcome.count.is_some());
    let spec = match given {
        Some(spec) => spec.clone(),
        None => match view_of(brain, *task).await {
            Ok(view) => view.spec,
            Err(problem) => return Some(Err(Unverified::Unknown(problem.detail))),
        },
    };
    // By the ten thousand a second, and most are for one.
    if !is_counted && !Spec::may_be_redundant(&spec) {
        return None;
    }
    let spec = match Spec::decode(&spec) {
        Ok(spec) if !is_counted && spec.redundancy == 1 => return None,
        Ok(spec) => spec,
        Err(error) => return Some(Err(error.into())),
    };
    let Some(outcome) = &ending.outcome else { return Some(Err(CountError::Nobody.into())) };
    let Some(members) = members(brain).await else {
        return Some(Err(Unverified::Unknown("this node stops".to_owned())));
    };
    let said = outcome.count.iter().flat_map(|count| &count.said);
    let said: BTreeSet<NodeId> = said.map(|one| one.node).collect();
    let all: Vec<_> = members.iter().filter(|member| could_run(member, spec.born, &said)).collect();
    let named: Vec<_> = all.iter().map(|member| poll::named(&member.node, &member.capabilities)).collect();
    let drawable = all.iter().zip(&named).map(|(member, capabilities)| Drawable {
        node: member.node,
        capabilities,
        connected: matches!(member.state.as_str(), "self" | "alive"),
    });
    Some(poll::verify(network, task, &spec, outcome, drawable).map_err(Unverified::from))
}

/// Whether it may be taken for what a program did, and not only for the word of its driver that nothing came of it.
fn is_result(ending: &Ending) -> bool {
    let Some(outcome) = &ending.outcome else { return ending.how == How::Done };
    let is_of_driver = match &outcome.status {
        Status::Failed(failure) => {
            outcome.is_of_the_node() || matches!(failure.kind, FailureKind::Dependency | FailureKind::Cancelled)
        }
        Status::Exit(_) | Status::Signal(_) => false,
    };
    let is_bare = outcome.stdout == Payload::empty() && outcome.files.is_empty();
    ending.how == How::Done || !is_of_driver || !is_bare
}

async fn members(brain: &dyn Brain) -> Option<Vec<MemberView>> {
    match brain.ask(Command::Members).await.ok()?.one().await {
        Some(Answer::Members(members)) => Some(members),
        _ => None,
    }
}

/// As the task layer may have seen it when it asked: who was invited after the task was born need not have been there, and who
/// has left since may have been; a signature says which of them was. By the task's own date, which its id covers: whoever
/// drives it and lies dates its end as he likes. Whom an operator has put out says nothing.
fn could_run(member: &MemberView, born: Wall, said: &BTreeSet<NodeId>) -> bool {
    let was_there = member.dated <= born && member.state != "left";
    let may_run = matches!(member.role.as_str(), "full" | "worker") && member.state != "forgotten";
    may_run && (was_there || said.contains(&member.node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::lists;

    #[test]
    fn who_may_have_been_asked_is_known_by_the_date_of_the_task_and_by_signatures() {
        let node = NodeId::from_bytes([7; 32]);
        let none = BTreeSet::new();
        for (dated, state, unsigned, signed) in [
            (5, "alive", true, true),
            (6, "alive", false, true),
            (5, "left", false, true),
            (5, "forgotten", false, false),
        ] {
            let member = MemberView { dated: Wall(dated), state: state.into(), ..lists::member(node) };
            let could = |said| could_run(&member, Wall(5), said);
            assert_eq!((could(&none), could(&BTreeSet::from([node]))), (unsigned, signed), "{dated} {state}");
        }
    }
}
