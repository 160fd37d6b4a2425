//! `/v1/consensus`: how agreement stands, also while nothing can be agreed on.

mod evidence;

pub use evidence::EvidenceStatus;

use super::{Api, Code, Problem, brain::BrainGone, submission::show_date};
use axum::{Json, extract::State};
use mesh_coordinator::{Answer, Command, agreement::AgreementView};
use mesh_proto::{agreement::Standing, genesis::Engine, id::NodeId, pbft::View};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How agreement stands, as this node knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsensusStatus {
    /// `pbft` or `raft`.
    #[serde(default)]
    pub engine: String,
    /// Counts the changes of the committee.
    pub epoch: u64,
    /// Of the committee, how many may lie or be down while it goes on.
    pub faults_tolerated: u32,
    /// Of those that say that they take part now, how many more may fail before nothing can be agreed on.
    #[serde(default)]
    pub faults_tolerated_now: u32,
    /// How many of it agree on something, and how many say that they take part now.
    pub quorum: u32,
    pub active: u32,
    /// The last batch that this node knows to be executed.
    pub index: u64,
    /// What needs agreement is refused at this node: it is on the side of a cut that cannot decide.
    #[serde(default)]
    pub read_only: bool,
    /// Operations of this node's users without an outcome.
    pub under_way: u64,
    /// The committee, and where each says that it stands.
    pub members: Vec<MemberStanding>,
    /// What is to be mended, though it goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// A peer id: who orders now. On a node without a replica as members in reach say, f + 1 of them at least; missing
    /// where it is not known, and there always under Raft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// What the ledger keeps against members of the committee, as this node's has it, else one in reach: two statements
    /// that a member signed and that contradict each other. None of this is undone by itself, or has a consequence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceStatus>,
    /// The same as this node itself has found it, where its ledger does not keep it: not yet, while there is no quorum for
    /// that, or never, where it is too long or the committee is another by now. Nobody has agreed on it: it is the word of this
    /// node alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caught: Vec<EvidenceStatus>,
    /// This node's replica, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaStatus>,
    /// Since the start, by name.
    pub counters: BTreeMap<String, u64>,
}

/// A member of the committee in its own words, which nothing rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberStanding {
    /// A peer id.
    pub node: String,
    /// Whether it answered. The rest is missing where it did not, or has no replica.
    pub answered: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<u64>,
    /// It takes part in the view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// It may vote; otherwise it only follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voting: Option<bool>,
    /// The last batch that it executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executed: Option<u64>,
    /// Its last stable checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<u64>,
    /// It has stopped for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<bool>,
    /// Batches that it is behind the furthest of those that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
}

/// A replica as it sees itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplicaStatus {
    /// Under Raft the term.
    pub view: u64,
    /// A peer id. Under Raft who leads; empty while nobody does.
    pub primary: String,
    pub active: bool,
    pub voting: bool,
    /// The water marks: numbers that it takes. Under Raft what the last snapshot covers, and the end of the log.
    pub low: u64,
    pub high: u64,
    pub executed: u64,
    /// The last checkpoint that it holds, and the digest of the state there: the same at all replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Requests that wait for their order.
    pub waiting: u64,
    /// Why it has stopped for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// Agreed time.
    pub time: String,
    pub state_bytes: u64,
    pub state_entries: u64,
}

/// How agreement stands, from this node and what members of the committee in reach say of themselves. Needs no quorum.
#[utoipa::path(
    get, path = "/v1/consensus", tag = "committee",
    responses((status = 200, body = ConsensusStatus), (status = 501, description = "No committee", body = Problem))
)]
pub async fn consensus(State(api): State<Api>) -> Result<Json<ConsensusStatus>, Problem> {
    match api.ports.brain.ask(Command::Agreement).await?.one().await {
        Some(Answer::Agreement(view)) => {
            let evidence = evidence::of(&api, &view).await;
            Ok(Json(ConsensusStatus { evidence, ..ConsensusStatus::from(&*view) }))
        }
        Some(Answer::Refused { why, .. }) => Err((&why).into()),
        Some(_) => Err(Problem::new(Code::NoAgreement, "this network has no agreement")),
        None => Err(BrainGone.into()),
    }
}

impl From<&AgreementView> for ConsensusStatus {
    fn from(view: &AgreementView) -> Self {
        let active = view.members.iter().filter(|(_, standing)| standing.as_ref().is_some_and(takes_part)).count();
        let quorum = mesh_ledger::needed(view.engine, view.epoch.members.len());
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let executed = |standing: &Option<Standing>| standing.as_ref()?.replica.map(|replica| replica.executed.get());
        let furthest = view.members.iter().filter_map(|(_, standing)| executed(standing)).max().unwrap_or(0);
        Self {
            engine: view.engine.to_string(),
            epoch: view.epoch.epoch.0,
            faults_tolerated: view.faults_tolerated,
            faults_tolerated_now: number(active.saturating_sub(quorum)),
            // All at most 31.
            quorum: number(quorum),
            active: number(active),
            index: view.index.0,
            read_only: view.read_only.is_some(),
            under_way: view.under_way,
            warnings: cut(view).into_iter().chain(warnings(view)).collect(),
            members: view
                .members
                .iter()
                .map(|(node, standing)| MemberStanding::new(node, standing.as_ref(), furthest))
                .collect(),
            primary: primary(view).map(|node| node.to_string()),
            evidence: Vec::new(),
            caught: view.caught.iter().map(|(accused, evidence)| EvidenceStatus::new(accused, evidence)).collect(),
            replica: replica_status(view),
            counters: view.counters.iter().cloned().collect(),
        }
    }
}

/// By this node's replica, else by the highest view that f + 1 members say they take part in: one of these is honest, and
/// none of the others can name a later one.
fn primary(view: &AgreementView) -> Option<NodeId> {
    if let Some(replica) = &view.replica {
        return replica.primary;
    }
    // What members say of a term does not tell who leads in it.
    if view.engine == Engine::Raft {
        return None;
    }
    let of_now = view.members.iter().filter_map(|(_, standing)| standing.as_ref());
    let of_now = of_now.filter(|standing| standing.epoch == view.epoch.epoch && takes_part(standing));
    let mut views: Vec<View> = of_now.filter_map(|standing| Some(standing.replica?.view)).collect();
    views.sort_unstable_by(|one, other| other.cmp(one));
    let reached = views.get(mesh_ledger::weak(view.engine, view.epoch.members.len()) - 1)?;
    view.epoch.member(view.epoch.primary(*reached))
}

fn takes_part(standing: &Standing) -> bool {
    standing.replica.is_some_and(|replica| replica.active && replica.voting && !replica.halted)
}

fn cut(view: &AgreementView) -> Option<String> {
    view.read_only.map(|side| format!("read-only: {side}; what needs agreement is refused at this node until it heals"))
}

/// What is to be mended in a committee that goes on.
pub fn warnings(view: &AgreementView) -> Vec<String> {
    let members = view.epoch.members.len();
    let enough = match view.engine {
        Engine::Pbft => 4,
        Engine::Raft => 3,
    };
    let few = (view.faults_tolerated == 0).then(|| {
        let s = if members == 1 { "" } else { "s" };
        format!(
            "a committee of {members} member{s} tolerates no fault: add members until there are {enough}, with `meshd committee add NODE`"
        )
    });
    let votes = |standing: &Standing| standing.replica.is_some_and(|replica| replica.voting && !replica.halted);
    let standings = view.members.iter().filter_map(|(node, standing)| Some((node, standing.as_ref()?)));
    let idle = standings.filter(|(_, standing)| !votes(standing)).map(|(node, _)| {
        format!(
            "{node} is of the committee and does not vote: if that lasts its disk was lost or it has stopped for good, and \
             another is to have its seat, by `meshd committee add` and `remove`"
        )
    });
    few.into_iter().chain(idle).collect()
}

impl MemberStanding {
    fn new(node: &NodeId, standing: Option<&Standing>, furthest: u64) -> Self {
        let replica = standing.and_then(|standing| standing.replica);
        Self {
            node: node.to_string(),
            answered: standing.is_some(),
            epoch: standing.map(|standing| standing.epoch.0),
            view: replica.map(|replica| replica.view.get()),
            active: replica.map(|replica| replica.active),
            voting: replica.map(|replica| replica.voting),
            executed: replica.map(|replica| replica.executed.get()),
            stable: replica.map(|replica| replica.stable.get()),
            halted: replica.map(|replica| replica.halted),
            lag: replica.map(|replica| furthest.saturating_sub(replica.executed.get())),
        }
    }
}

fn replica_status(view: &AgreementView) -> Option<ReplicaStatus> {
    view.replica.as_ref().map(|replica| ReplicaStatus {
        view: replica.view.get(),
        primary: replica.primary.map(|primary| primary.to_string()).unwrap_or_default(),
        active: replica.is_active,
        voting: replica.is_voting,
        low: replica.low.get(),
        high: replica.high.get(),
        executed: replica.executed.get(),
        checkpoint: replica.checkpoint.map(|(sequence, _)| sequence.get()),
        digest: replica.checkpoint.map(|(_, digest)| digest.to_string()),
        waiting: replica.waiting,
        halted: replica.halted.clone(),
        time: show_date(replica.time),
        state_bytes: replica.state_bytes,
        state_entries: replica.state_entries,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{
        agreement::ReplicaStanding,
        domain::Epoch,
        id::StoreId,
        ledger::Index,
        pbft::{EpochConfig, Sequence},
    };
    use std::sync::Arc;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    /// Of a node without a replica; of each member the view that it says it takes part in.
    fn view(engine: Engine, said: &[Option<u64>]) -> AgreementView {
        let members = (1..).take(said.len()).map(node);
        let epoch = EpochConfig::genesis(members.clone()).unwrap();
        let standing = |view: u64| {
            let (view, executed, stable) = (View::new(view), Sequence::new(9), Sequence::ZERO);
            let replica = ReplicaStanding { view, active: true, voting: true, executed, stable, halted: false };
            Standing { store: StoreId(1), epoch: Epoch(0), replica: Some(replica) }
        };
        AgreementView {
            engine,
            faults_tolerated: 1,
            reachable: 0,
            read_only: None,
            index: Index(9),
            under_way: 0,
            latencies: Default::default(),
            replica: None,
            caught: Vec::new(),
            members: members.zip(said.iter().map(|view| view.map(standing))).collect(),
            counters: Vec::new(),
            epoch: Arc::new(epoch),
        }
    }

    #[test]
    fn what_may_fail_now_is_what_takes_part_beyond_a_quorum() {
        let left = |engine, said: &[Option<u64>]| ConsensusStatus::from(&view(engine, said)).faults_tolerated_now;
        assert_eq!(left(Engine::Pbft, &[Some(0); 4]), 1);
        assert_eq!(left(Engine::Pbft, &[Some(0), Some(0), None, Some(0)]), 0);
        assert_eq!(left(Engine::Pbft, &[Some(0), None, None, None]), 0, "it has stopped already");
        assert_eq!(left(Engine::Pbft, &[Some(0); 1]), 0);
        assert_eq!(left(Engine::Raft, &[Some(0); 3]), 1);
        assert_eq!(left(Engine::Raft, &[Some(0), Some(0), Some(0), None, Some(0)]), 1);
    }

    #[test]
    fn the_primary_is_named_by_f_and_one_members_where_there_is_no_replica() {
        let named = |said: &[Option<u64>]| primary(&view(Engine::Pbft, said));
        assert_eq!(named(&[Some(1), Some(1), Some(1), None]), Some(node(2)));
        assert_eq!(named(&[Some(1), Some(2), Some(2), Some(2)]), Some(node(3)), "one is behind");
        assert_eq!(named(&[Some(1), Some(1), Some(1), Some(1_000_002)]), Some(node(2)), "one alone names nobody");
        assert_eq!(named(&[None, None, None, Some(3)]), None);
        assert_eq!(named(&[Some(0)]), Some(node(1)));
        assert_eq!(primary(&view(Engine::Raft, &[Some(1); 3])), None);
        let mut late = view(Engine::Pbft, &[Some(1); 4]);
        late.members.iter_mut().for_each(|(_, standing)| standing.as_mut().unwrap().epoch = Epoch(7));
        assert_eq!(primary(&late), None, "of another committee");
    }
}
