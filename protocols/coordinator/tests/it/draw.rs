//! Arbitrary values of what is kept and sent.

use mesh_membership::{Member, Role, Standing};
use mesh_proto::{
    capability::Capabilities,
    id::{BlobId, NodeId, StoreId, TaskId},
    label::Label,
    task::{
        Attempt, Ballot, Birth, BlobRef, Ending, FailedAttempt, Failure, FailureKind, Fault, Held, Holder, How, Octets,
        Outcome, Payload, Register, State, Status, Version,
    },
    time::Wall,
};
use mesh_tasks::Fact;
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
};
use std::sync::Arc;

pub fn any_node() -> impl Strategy<Value = NodeId> {
    any::<[u8; 32]>().prop_map(NodeId::from_bytes)
}

pub fn any_task() -> impl Strategy<Value = TaskId> {
    any::<[u8; 32]>().prop_map(TaskId::from_bytes)
}

pub fn any_wall() -> impl Strategy<Value = Wall> {
    any::<u64>().prop_map(Wall)
}

pub fn any_digits() -> impl Strategy<Value = String> {
    "[0-9a-f]{0,64}"
}

fn any_octets() -> impl Strategy<Value = Octets> {
    vec(any::<u8>(), 0..300).prop_map(Octets::from)
}

fn any_label() -> impl Strategy<Value = Label> {
    "[a-z]{1,20}".prop_map(|text| text.parse().expect("a lawful label"))
}

fn any_capabilities() -> impl Strategy<Value = Capabilities> {
    btree_map("[a-z]{1,9}", "(|=[0-9]|=[a-z]{1,9})", 0..5).prop_map(|all| {
        let texts: Vec<String> = all.into_iter().map(|(name, value)| name + &value).collect();
        Capabilities::parse(texts.iter().map(String::as_str)).expect("lawful capabilities")
    })
}

pub fn any_member() -> impl Strategy<Value = Member> {
    let role = prop_oneof![Just(Role::Full), Just(Role::Worker), Just(Role::Relay), Just(Role::Client)];
    let standing = prop_oneof![Just(Standing::Joined), Just(Standing::Left), Just(Standing::Forgotten)];
    let addresses = vec("/ip4/[0-9]{1,3}/tcp/[0-9]{1,5}", 0..8);
    let labels = (option::of(any_label()), option::of(any_label()), any::<bool>(), any_capabilities());
    (any_node(), any::<u64>(), role, standing, any_wall(), any::<u64>(), addresses, labels, any_octets()).prop_map(
        |(node, store, role, standing, dated, incarnation, addresses, (name, zone, drains, capabilities), entry)| {
            Member {
                node,
                store: StoreId(store),
                role,
                standing,
                dated,
                incarnation,
                addresses,
                name,
                zone,
                drains,
                capabilities,
                entry,
            }
        },
    )
}

fn any_holders() -> impl Strategy<Value = Vec<Holder>> {
    vec((any_node(), any::<u64>()).prop_map(|(node, store)| Holder { node, store: StoreId(store) }), 0..6)
}

pub fn any_ballot() -> impl Strategy<Value = Ballot> {
    (any::<u32>(), any::<u64>(), any_node()).prop_map(|(term, nonce, driver)| Ballot { term, nonce, driver })
}

fn any_attempt() -> impl Strategy<Value = Attempt> {
    (any::<u32>(), any_node(), any_wall()).prop_map(|(number, executor, granted)| Attempt { number, executor, granted })
}

pub fn any_birth() -> impl Strategy<Value = Arc<Birth>> {
    (any_task(), any_octets(), any_wall(), any_node(), any_wall(), any_holders()).prop_map(
        |(task, spec, born, gateway, placed, home)| Arc::new(Birth { task, spec, born, gateway, placed, home }),
    )
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let blob = (any::<[u8; 32]>(), any::<u64>(), vec(any_node(), 0..3)).prop_map(|(id, size, nodes)| BlobRef {
        id: BlobId::from_bytes(id),
        size,
        nodes,
    });
    let payload = prop_oneof![
        any_octets().prop_map(Payload::Inline),
        blob.prop_map(Payload::Blob),
        ".{0,20}".prop_map(Payload::Path)
    ]
    .boxed();
    let status = prop_oneof![
        any::<i32>().prop_map(Status::Exit),
        any::<i32>().prop_map(Status::Signal),
        ".{0,80}".prop_map(|message| Status::Failed(Failure { kind: FailureKind::BadOutput, message })),
    ];
    let files = vec(("[a-z/]{1,20}", payload.clone()), 0..3);
    (status, payload.clone(), payload, files, any::<u64>(), any::<u64>()).prop_map(
        |(status, stdout, stderr, files, cpu_us, wall_us)| Outcome {
            status,
            stdout,
            stderr,
            files,
            cpu_us,
            wall_us,
            seal: None,
            count: None,
        },
    )
}

pub fn any_register() -> impl Strategy<Value = Arc<Register>> {
    let how = prop_oneof![Just(How::Done), Just(How::Failed), Just(How::Cancelled), Just(How::DeadlinePassed)];
    let ending = (how, option::of((any::<u32>(), any_node())), option::of(any_outcome()), any_wall())
        .prop_map(|(how, by, outcome, at)| Ending { how, by, outcome, at });
    let state =
        prop_oneof![Just(State::Waiting), any_attempt().prop_map(State::Assigned), ending.prop_map(State::Ended)];
    let fault = prop_oneof![Just(Fault::Program), Just(Fault::Node), Just(Fault::Nobody)];
    let failed = (any_attempt(), any_wall(), ".{0,80}", fault).prop_map(|(attempt, at, why, fault)| FailedAttempt {
        attempt,
        at,
        why,
        fault,
    });
    (any_holders(), option::of(any_holders()), vec(any_holders(), 0..3), state, vec(failed, 0..4)).prop_map(
        |(holders, joint, passed_by, state, failed)| Arc::new(Register { holders, joint, passed_by, state, failed }),
    )
}

pub fn any_held() -> impl Strategy<Value = Held> {
    (any_birth(), any_ballot(), any::<u32>(), any_register()).prop_map(|(birth, ballot, version, register)| Held {
        birth,
        ballot,
        version: Version(version),
        register,
    })
}

pub fn any_task_fact() -> impl Strategy<Value = Fact> {
    let kept = (any_task(), any::<u32>(), any_outcome(), vec(any_node(), 0..6));
    prop_oneof![
        any_held().prop_map(|Held { birth, ballot, version, register }| Fact::Held {
            birth,
            ballot,
            version,
            register
        }),
        (any_task(), any_held()).prop_map(|(task, Held { ballot, version, register, .. })| Fact::Written {
            task,
            ballot,
            version,
            register
        }),
        (any_task(), any_ballot(), any_wall()).prop_map(|(task, ballot, at)| Fact::Promised { task, ballot, at }),
        vec(any_task(), 0..6).prop_map(|tasks| Fact::Dropped { tasks }),
        (any_task(), any_wall()).prop_map(|(task, at)| Fact::Outlived { task, at }),
        any_wall().prop_map(|floor| Fact::Floor { floor }),
        kept.prop_map(|(task, attempt, outcome, holders)| Fact::Kept {
            task,
            attempt,
            outcome: Arc::new(outcome),
            holders
        }),
        (any_task(), any::<u32>()).prop_map(|(task, attempt)| Fact::Settled { task, attempt }),
    ]
}
