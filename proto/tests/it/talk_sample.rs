//! One message of each kind of what is said besides tasks: control, blobs, logs.

use crate::{
    ledger_sample,
    sample::{NAME, Sample, ZONE, capable, key, present, requirements, sample},
    task_sample,
};
use mesh_proto::{
    aggregate::{Aggregate, AggregateId, Fold, Share, Subject},
    agreement::{AllRan, Operation, Question as Asked, Ran, ReplicaStanding, Reply as Answered, Standing as Stands},
    blob::{Refusal, Reply, Request},
    capability::Capabilities,
    codec::encode,
    control::{ControlMessage, Heartbeat, Lack, ListFilter, Marks, Query, QueryReply, StoryLine, TaskSummary},
    domain::Epoch,
    fixed::Fixed,
    fuzz::{NOW, known_genesis},
    id::{BlobId, Digest, StoreId},
    ledger,
    logs::Question,
    outlook::{Candidate, Outlook},
    pbft::{Sequence, View},
    probe::Probe,
    table::{Mark, Member, Role, Standing},
    task::{BlobRef, job_id},
};

pub fn control() -> Vec<Sample> {
    let (task, node) = (task_sample::task(), key(2).node_id());
    let job = job_id(&known_genesis().network_id(), "ada", b"job");
    let named = row();
    let forgotten = Member { standing: Standing::Forgotten, name: None, zone: None, ..row() };
    let capable = Member { capabilities: crate::sample::capabilities(), entry: encode(&capable(2, 9)).into(), ..row() };
    let marks = [&named, &forgotten].map(Mark::of).to_vec();
    let filter = ListFilter {
        job: Some(job),
        jobs_only: false,
        state: Some("running".into()),
        executor: Some(node),
        after: Some(task),
        limit: 100,
    };
    let line = StoryLine { at: NOW, node, what: "placed".into() };
    let told = QueryReply::Task {
        held: Some(task_sample::held()),
        driving: Some(vec![node]),
        running: true,
        story: vec![line],
        lack: None,
        outlook: None,
        awaits: vec![],
    };
    let lacked = requirements().hard().map(|asked| (asked.clone(), 3)).collect();
    let candidate = Candidate {
        node,
        reached: true,
        slots: 8,
        busy: 3,
        tried: 1,
        capability_ppm: 1_000_000,
        performance_ppm: 500_000,
        worth_ppm: 687_500,
        lacked: requirements().hard().take(1).cloned().collect(),
    };
    let lacking = QueryReply::Task {
        held: None,
        driving: Some(vec![]),
        running: false,
        story: vec![],
        lack: Some(Lack { members: 4, away: 1, lacked }),
        outlook: Some(Box::new(Outlook { again_ms: Some(200), candidates: vec![candidate], more: 3 })),
        awaits: vec![],
    };
    let reply_of = |driving, awaits| QueryReply::Task {
        held: None,
        driving,
        running: false,
        story: Vec::new(),
        lack: None,
        outlook: None,
        awaits,
    };
    let (awaiting, unknown) = (reply_of(Some(vec![]), vec![task]), reply_of(None, vec![]));
    let summary = TaskSummary {
        task,
        state: "done".into(),
        program: "echo".into(),
        placed: NOW,
        job: Some((job, 41)),
        count: None,
        executor: Some(node),
        attempts: 1,
    };
    let manifest = TaskSummary { job: None, count: Some(1_000_000), executor: None, ..summary.clone() };
    let query = |query| ControlMessage::Query { id: 7, query };
    let reply = |reply| ControlMessage::Reply { id: 7, reply };
    [
        (
            "control-heartbeat",
            ControlMessage::Heartbeat(Heartbeat { slots: 8, running: 3, queued: 40, epoch: Epoch(2), serial: 3 }),
        ),
        ("control-digests", ControlMessage::Digests((0..64).map(|part| u64::MAX - part).collect())),
        ("control-marks", ControlMessage::Marks(Marks { parts: vec![0, 63], marks, last: true, answer: false })),
        ("control-members", ControlMessage::Members(vec![named, forgotten])),
        ("control-members-capable", ControlMessage::Members(vec![capable])),
        ("control-told", ControlMessage::Told { introduced: true }),
        ("control-query-task", query(Query::Task(task))),
        ("control-query-list", query(Query::List(filter))),
        ("control-query-all", query(Query::List(ListFilter::default()))),
        ("control-query-rows", query(Query::Rows(vec![task]))),
        ("control-query-prefix", query(Query::Prefix("4f1d0c2b".into()))),
        ("control-reply-task", reply(told)),
        ("control-reply-lacking", reply(lacking)),
        ("control-reply-awaiting", reply(awaiting)),
        ("control-reply-unknown", reply(unknown)),
        ("control-reply-list", reply(QueryReply::List(vec![summary, manifest]))),
        ("control-reply-prefix", reply(QueryReply::Prefix(vec![task]))),
        ("control-probe-ping", ControlMessage::Probe(Probe::Ping { id: 7, doubted: 9 })),
        ("control-probe-echo", ControlMessage::Probe(Probe::Echo { id: 7 })),
        (
            "control-probe-suspect",
            ControlMessage::Probe(Probe::Suspect { id: 7, node, incarnation: 9, silent_ms: 10_000 }),
        ),
        ("control-probe-found", ControlMessage::Probe(Probe::Found { id: 7, is_there: false })),
    ]
    .into_iter()
    .chain(agreement())
    .chain(aggregate())
    .map(|(name, message)| sample(name, "control-message", "control_message", &message))
    .collect()
}

/// What nodes say to each other about a function of them all.
fn aggregate() -> Vec<(&'static str, ControlMessage)> {
    let id = AggregateId { origin: key(2).node_id(), number: 7 };
    let subject = Subject { fold: Fold::Sum, name: "mesh_tasks_running".into(), length: 1 };
    let given = vec![(0, Fixed(1 << 70)), (4, Fixed(-3 << 40))];
    let sum = Share { id, subject, life: NOW.0, turn: 9, left_ms: 10_000, given, extremes: Vec::new() };
    let subject = Subject { fold: Fold::Least, name: "loss".into(), length: 2 };
    let least = Share { subject, extremes: vec![(0, Fixed(-1)), (1, Fixed(0))], ..sum.clone() };
    [
        ("control-aggregate-sum", Aggregate::Share(Box::new(sum))),
        ("control-aggregate-least", Aggregate::Share(Box::new(least))),
        ("control-aggregate-taken", Aggregate::Taken { id, life: NOW.0, turn: 9, own: NOW.0 + 1 }),
        ("control-aggregate-refused", Aggregate::Refused { id, turn: 9 }),
        ("control-aggregate-ended", Aggregate::Ended { id }),
    ]
    .into_iter()
    .map(|(name, said)| (name, ControlMessage::Aggregate(said)))
    .collect()
}

/// What nodes ask each other about agreement.
fn agreement() -> Vec<(&'static str, ControlMessage)> {
    let query = |asked| ControlMessage::Query { id: 8, query: Query::Agreement(asked) };
    let reply = |told| ControlMessage::Reply { id: 8, reply: QueryReply::Agreement(told) };
    let replica = ReplicaStanding {
        view: View::new(3),
        active: true,
        voting: true,
        executed: Sequence::new(300),
        stable: Sequence::new(256),
        halted: false,
    };
    let member = Stands { store: StoreId(7), epoch: Epoch(2), replica: Some(replica) };
    let answer = ledger::Answer { index: ledger::Index(300), time: NOW, rows: Vec::new(), more: false };
    let nodes = ledger::FetchNodes {
        root: Digest::from_bytes([5; 32]),
        paths: vec![ledger::NodePath::default()],
        levels: u8::MAX,
        known: Vec::new().into(),
    };
    // What a proof looks like, the sample of a bundle shows.
    let certified = ledger::Certified { proof: None, ..ledger_sample::certified() };
    let proposal = ledger::ProposalId(Digest::from_bytes([6; 32]));
    let fetched = ledger::FetchedNodes { root: Digest::from_bytes([5; 32]), nodes: Vec::new() };
    vec![
        ("control-query-epochs", query(Asked::Epochs(Epoch(1)))),
        ("control-query-standing", query(Asked::Standing)),
        ("control-query-ledger", query(Asked::Ledger(ledger::Query::Committee))),
        ("control-query-nodes", query(Asked::Nodes(nodes))),
        ("control-query-follow", query(Asked::Follow)),
        ("control-query-checkpoint", query(Asked::Certified { behind: ledger::Index(1), proposal: None })),
        ("control-query-certified", query(Asked::Certified { behind: ledger::Index(300), proposal: Some(proposal) })),
        ("control-reply-epochs", reply(Answered::Epochs(Vec::new()))),
        ("control-reply-member", reply(Answered::Standing(member))),
        ("control-reply-no-member", reply(Answered::Standing(Stands { replica: None, ..member }))),
        ("control-reply-ledger", reply(Answered::Ledger(Some(Box::new(answer))))),
        ("control-reply-no-ledger", reply(Answered::Ledger(None))),
        ("control-reply-nodes", reply(Answered::Nodes(fetched))),
        ("control-reply-certified", reply(Answered::Certified(Some(Box::new(certified))))),
        ("control-reply-not-certified", reply(Answered::Certified(None))),
    ]
}

/// Operations, and what came of them.
pub fn operations() -> Vec<Sample> {
    let id = ledger::CommandId { principal: "ada".parse().unwrap(), key: vec![1, 2].into(), born: ledger::Index(3) };
    let command = ledger::Command { id, body: ledger::Body::Tick };
    let answer = ledger::Answer { index: ledger::Index(300), time: NOW, rows: Vec::new(), more: false };
    let outcome = ledger::Outcome::Done(ledger::Done::Kept);
    let all = AllRan(vec![Ran::Outcome(outcome), Ran::Answer(Box::new(answer)), Ran::Refused]);
    let operation = |name, operation| sample(name, "ledger-operation", "operation", &operation);
    vec![
        operation("operation-command", Operation::Command(Box::new(command))),
        operation("operation-query", Operation::Query(ledger::Query::Committee)),
        sample("operations-ran", "ledger-ran", "all_ran", &all),
    ]
}

pub fn blobs() -> Vec<Sample> {
    let id = BlobId::from_bytes([0x33; 32]);
    let blob = BlobRef { id, size: 1 << 33, nodes: vec![key(2).node_id()] };
    let asked = [
        ("blob-has", Request::Has { id }),
        ("blob-get", Request::Get { id, start: 1 << 14 }),
        ("blob-keep", Request::Keep { id, size: 1 << 33, lease_ms: 3_600_000 }),
        ("blob-need", Request::Need { blobs: vec![blob] }),
    ];
    let answered = [
        ("blob-size", Reply::Blob { size: 1 << 33 }),
        ("blob-send", Reply::Send { start: 0 }),
        ("blob-kept", Reply::Kept),
        ("blob-lacks", Reply::Lacks { blobs: vec![id] }),
        ("blob-unknown", Reply::Refused(Refusal::Unknown)),
        ("blob-busy", Reply::Refused(Refusal::Busy { retry_ms: 500 })),
        ("blob-quota-full", Reply::Refused(Refusal::QuotaFull { available_bytes: 1 << 20 })),
        ("blob-too-large", Reply::Refused(Refusal::TooLarge { limit_bytes: 1 << 48 })),
        ("blob-bad-request", Reply::Refused(Refusal::BadRequest)),
        ("blob-bad-content", Reply::Refused(Refusal::BadContent { at: 1 << 19 })),
        ("blob-failed", Reply::Refused(Refusal::Failed)),
    ];
    let asked = asked.map(|(name, request)| sample(name, "blob-request", "blob_request", &request));
    let answered = answered.map(|(name, reply)| sample(name, "blob-reply", "blob_reply", &reply));
    asked.into_iter().chain(answered).collect()
}

pub fn logs() -> Vec<Sample> {
    let question = Question { task: task_sample::task(), attempt: 2, stdout: 1 << 20, stderr: 0, follow: true };
    vec![sample("logs-question", "logs-question", "logs_question", &question)]
}

fn row() -> Member {
    Member {
        node: key(2).node_id(),
        store: StoreId(7),
        role: Role::Worker,
        standing: Standing::Joined,
        dated: NOW,
        incarnation: 9,
        addresses: vec!["/ip4/192.0.2.1/udp/7440/quic-v1".into()],
        name: Some(NAME.parse().unwrap()),
        zone: Some(ZONE.parse().unwrap()),
        drains: false,
        capabilities: Capabilities::default(),
        entry: encode(&present(2, 9)).into(),
    }
}
