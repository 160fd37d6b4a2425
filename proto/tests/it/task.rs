//! Task messages: their weights, their bounds, and the one encoding of a specification.

use crate::task_sample::{birth, items, node, spec, task};
use mesh_proto::{
    codec::{DecodeError, decode, encode},
    fuzz::{NOW, known_genesis},
    id::{BlobId, Digest, NodeId, StoreId, TaskId},
    key::Signature,
    limits,
    task::{
        Announcement, Attempt, Ballot, Bid, Birth, BlobRef, Count, Dependency, Ending, ExecSpec, FRAME_LIMIT,
        FRAME_TARGET, FailedAttempt, Failure, FailureKind, Fault, Frame, Held, Holder, How, INLINE_LIMIT, InputFile,
        Item, Known, Octets, Outcome, Part, Payload, Place, Program, Register, Sealed, Spec, SpecError, State, Status,
        Take, TaskKey, Version, WasmSpec, WorkerSpec, spec_digest,
    },
    time::Wall,
};
use proptest::{collection::vec, option, prelude::*};
use std::{collections::BTreeSet, sync::Arc};

fn wasm(module: BlobRef) -> WasmSpec {
    let argv = vec!["a.wasm".into()];
    WasmSpec { module: Payload::Blob(module), argv, env: Vec::new(), outputs: Vec::new(), deterministic: false }
}

fn after(number: u8, takes: Vec<Take>) -> Dependency {
    Dependency { task: mesh_proto::id::TaskId::from_bytes([number; 32]), takes }
}

/// Its output, as a file of this name.
fn output_as(name: &str) -> Take {
    Take { part: Part::Output, place: Place::File(name.into()) }
}

fn any_node() -> impl Strategy<Value = NodeId> {
    any::<[u8; 32]>().prop_map(NodeId::from_bytes)
}

fn any_task() -> impl Strategy<Value = TaskId> {
    any::<[u8; 32]>().prop_map(TaskId::from_bytes)
}

fn any_digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

/// Dates of this millennium, as all that are sent.
fn any_wall() -> impl Strategy<Value = Wall> {
    (0..10_000_000_000_000u64).prop_map(Wall)
}

/// Small and large numbers, which differ in size.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0..24u32, any::<u32>()]
}

fn any_holder() -> impl Strategy<Value = Holder> {
    (any_node(), any::<u64>()).prop_map(|(node, store)| Holder { node, store: StoreId(store) })
}

fn any_holders() -> impl Strategy<Value = Vec<Holder>> {
    vec(any_holder(), 0..=limits::HOLDERS)
}

fn any_ballot() -> impl Strategy<Value = Ballot> {
    (number(), any_node(), any::<u64>()).prop_map(|(term, driver, nonce)| Ballot { term, nonce, driver })
}

fn any_attempt() -> impl Strategy<Value = Attempt> {
    (number(), any_node(), any_wall()).prop_map(|(number, executor, granted)| Attempt { number, executor, granted })
}

fn any_bytes() -> impl Strategy<Value = Octets> {
    prop_oneof![vec(any::<u8>(), 0..200), Just(vec![7; INLINE_LIMIT])].prop_map(Octets::from)
}

fn any_payload() -> impl Strategy<Value = Payload> {
    let blob = (any::<[u8; 32]>(), any::<u64>(), vec(any_node(), 0..=limits::BLOB_NODES))
        .prop_map(|(id, size, nodes)| BlobRef { id: BlobId::from_bytes(id), size, nodes });
    prop_oneof![
        any_bytes().prop_map(Payload::Inline),
        blob.prop_map(Payload::Blob),
        "[a-z/]{0,100}".prop_map(Payload::Path)
    ]
}

/// What a user gives anew with each repeat does not make another task; what is asked for does.
#[test]
fn a_repeat_has_the_digest_of_the_first() {
    let digest = |spec: &Spec| spec_digest(&encode(spec));
    let later = |date| Some(Wall(NOW.0 + date));
    let first = Spec { deadline: later(1000), ..spec() };
    for repeat in [
        Spec { deadline: later(9000), ..first.clone() },
        Spec { deadline: None, ..first.clone() },
        Spec { born: Wall(NOW.0 + 5), trace: [9; 16], ..first.clone() },
    ] {
        assert_eq!(digest(&repeat), digest(&first), "{repeat:?}");
    }
    let program = |module| Spec { program: Program::Wasm(wasm(module)), ..spec() };
    let (module, other) = (BlobId::from_bytes([5; 32]), BlobId::from_bytes([6; 32]));
    let on = |id, nodes| digest(&program(BlobRef { id, size: 9, nodes }));
    assert_eq!(on(module, vec![]), on(module, vec![NodeId::from_bytes([1; 32])]), "wherever its program lies");
    assert_ne!(on(module, vec![]), on(other, vec![]));
    for other in [
        Spec { retries: 1, ..first.clone() },
        Spec { redundancy: 3, ..first.clone() },
        Spec { time_limit_ms: 1, ..first.clone() },
        Spec { program: Program::Sha256, ..first.clone() },
        Spec { input: Payload::empty(), ..first.clone() },
        Spec { after: vec![after(1, vec![])], ..first.clone() },
    ] {
        assert_ne!(digest(&other), digest(&first), "{other:?}");
    }
}

/// Never missed, and mostly not suspected: a look is what most records cost.
#[test]
fn a_specification_that_names_a_blob_looks_like_one() {
    for sample in crate::task_sample::specs() {
        let decoded = Spec::decode(&sample.bytes).unwrap();
        assert_eq!(Spec::may_name_a_blob(&sample.bytes), decoded.blobs().next().is_some(), "{}", sample.name);
    }
}

#[test]
fn whether_a_task_may_have_a_deadline_shows_without_decoding_it() {
    for at in [0, 23, 24, 70_000, u64::from(u32::MAX) + 1, u64::MAX] {
        assert!(Spec::may_have_a_deadline(&encode(&Spec { deadline: Some(Wall(at)), ..spec() })), "{at}");
    }
    assert!(!Spec::may_have_a_deadline(&encode(&Spec { deadline: None, ..spec() })));
    for sample in crate::task_sample::specs() {
        let decoded = Spec::decode(&sample.bytes).unwrap();
        assert!(decoded.deadline.is_none() || Spec::may_have_a_deadline(&sample.bytes), "{}", sample.name);
    }
}

#[test]
fn who_may_run_a_task_together_is_bounded() {
    let refused = |spec: &Spec| spec.check().is_err();
    for redundancy in [0, limits::REDUNDANCY + 1] {
        assert!(refused(&Spec { redundancy, ..spec() }));
    }
    // As it is told before there is a task.
    let terms = |redundancy, unique| Spec::check_redundant_terms(redundancy, unique, &spec().requirements);
    assert!(terms(1, true).is_ok() && terms(2, false).is_ok() && terms(2, true).is_err() && terms(0, false).is_err());
    let many = Spec { redundancy: limits::REDUNDANCY, ..spec() };
    assert!(!refused(&many));
    assert!(Spec::may_be_redundant(&encode(&many)) && !Spec::may_be_redundant(&encode(&spec())));
    assert!(refused(&Spec { unique: true, ..many.clone() }));
    assert!(refused(&Spec { program: Program::Manifest { name: String::new(), count: 1 }, ..many.clone() }));
    let replica = TaskKey::Replica(task(), node(3));
    assert!(refused(&Spec { key: replica.clone(), ..many.clone() }));
    let (one, other) = (Spec { key: replica, ..spec() }, Spec { key: TaskKey::Replica(task(), node(4)), ..spec() });
    assert_ne!(one.id(&known_genesis().network_id()), other.id(&known_genesis().network_id()));
    assert_eq!((one.replica_of(), spec().replica_of()), (Some((task(), node(3))), None));
    assert!(Spec::may_be_a_replica(&encode(&one)) && !Spec::may_be_a_replica(&encode(&spec())));
    // Asked for again it is another task, of the same member.
    let again = |before| Spec { key: TaskKey::Again(task(), node(3), before), ..spec() };
    let ids = (1..=limits::ASKED_AGAIN).map(again).chain([one.clone()]).map(|spec| {
        assert_eq!((spec.replica_of(), spec.work()), (one.replica_of(), one.work()));
        assert!(Spec::may_be_a_replica(&encode(&spec)) && refused(&Spec { redundancy: 2, ..spec.clone() }));
        Spec::decode(&encode(&spec)).unwrap().id(&known_genesis().network_id())
    });
    let ids: BTreeSet<_> = ids.collect();
    assert_eq!(ids.len(), 1 + usize::from(limits::ASKED_AGAIN));
    for before in [0, limits::ASKED_AGAIN + 1] {
        assert!(Spec::decode(&encode(&again(before))).is_err());
    }
    // They run the same, whoever submits them; what runs something else, or for another time, is seen to.
    assert_eq!(many.work(), Spec { key: TaskKey::Replica(task(), node(3)), retries: 1, ..spec() }.work());
    for other in [
        Spec { program: Program::Sha256, ..spec() },
        Spec { input: Payload::empty(), ..spec() },
        Spec { time_limit_ms: 1, ..spec() },
    ] {
        assert_ne!(many.work(), other.work());
    }
    // What is left out has no second way to be written.
    let mut once = encode(&many);
    let at = once.windows(3).position(|bytes| bytes == [0x61, b'v', limits::REDUNDANCY]).unwrap();
    once[at + 2] = 1;
    assert!(Spec::decode(&once).is_err());
}

proptest! {
    #[test]
    fn a_blob_is_seen_wherever_it_is_named(payloads in vec(any_payload(), 1..4)) {
        let mut files = payloads.into_iter().map(|content| InputFile { name: "a".into(), content });
        let input = files.next().expect("one").content;
        let spec = Spec { input, files: files.collect(), ..spec() };
        prop_assert!(spec.blobs().next().is_none() || Spec::may_name_a_blob(&encode(&spec)));
    }
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let status = prop_oneof![
        any::<i32>().prop_map(Status::Exit),
        (1..64i32).prop_map(Status::Signal),
        ".{0,100}".prop_map(|message| Status::Failed(Failure { kind: FailureKind::Lost, message })),
    ];
    let files = vec(("[a-z]{1,20}", any_payload()), 0..20);
    let seal = || any::<[u8; 32]>().prop_map(|half| Signature::from_bytes(std::array::from_fn(|i| half[i % 32])));
    let replica = (any_node(), any_digest(), seal()).prop_map(|(node, result, seal)| Sealed { node, result, seal });
    let count = (any::<u8>(), vec(replica, 0..=limits::REPLICAS)).prop_map(|(asked, said)| Count { asked, said });
    let counted = (option::of(seal()), option::of(count));
    (status, any_payload(), any_payload(), files, any::<u64>(), any::<u64>(), counted).prop_map(
        |(status, stdout, stderr, files, cpu_us, wall_us, (seal, count))| Outcome {
            status,
            stdout,
            stderr,
            files,
            cpu_us,
            wall_us,
            seal,
            count,
        },
    )
}

fn any_register() -> impl Strategy<Value = Arc<Register>> {
    let ending = (option::of((number(), any_node())), option::of(any_outcome()), any_wall())
        .prop_map(|(by, outcome, at)| Ending { how: How::Done, by, outcome, at });
    let state =
        prop_oneof![Just(State::Waiting), any_attempt().prop_map(State::Assigned), ending.prop_map(State::Ended)];
    let fault = prop_oneof![Just(Fault::Program), Just(Fault::Node), Just(Fault::Nobody)];
    let failed = (any_attempt(), any_wall(), ".{0,100}", fault).prop_map(|(attempt, at, why, fault)| FailedAttempt {
        attempt,
        at,
        why,
        fault,
    });
    (
        any_holders(),
        option::of(any_holders()),
        vec(any_holders(), 0..3),
        state,
        vec(failed, 0..=limits::FAILED_ATTEMPTS),
    )
        .prop_map(|(holders, joint, passed_by, state, failed)| {
            Arc::new(Register { holders, joint, passed_by, state, failed })
        })
}

fn any_birth() -> impl Strategy<Value = Arc<Birth>> {
    (any_task(), any_bytes(), any_wall(), any_node(), any_wall(), any_holders()).prop_map(
        |(task, spec, born, gateway, placed, home)| Arc::new(Birth { task, spec, born, gateway, placed, home }),
    )
}

fn any_known() -> impl Strategy<Value = Known> {
    (any_digest(), vec(any_node(), 0..=limits::HOLDERS), any::<bool>()).prop_map(|(digest, holders, confirmed)| Known {
        digest,
        holders,
        confirmed,
    })
}

fn any_held() -> impl Strategy<Value = Held> {
    (any_birth(), any_ballot(), number(), any_register()).prop_map(|(birth, ballot, version, register)| Held {
        birth,
        ballot,
        version: Version(version),
        register,
    })
}

/// One of the samples of items, with all that varies in size drawn anew: each kind is drawn equally often.
fn any_item() -> impl Strategy<Value = Item> {
    let small = (any_task(), any_ballot(), any_ballot(), any_attempt(), any_wall(), number(), any_node(), ".{0,200}");
    let large = (any_birth(), any_register(), any_outcome(), any_known(), option::of(any_held()), any::<bool>());
    (0..items().len(), small, large).prop_map(|(which, small, large)| {
        let (task, ballot, other, attempt, wall, number, node, why) = small;
        let (birth, register, outcome, known, held, coin) = large;
        let (version, outcome) = (Version(number), Arc::new(outcome));
        match items().swap_remove(which).1 {
            Item::Place { .. } => Item::Place { birth, ballot, register, supersedes: coin.then_some(other) },
            Item::Placed { .. } => Item::Placed { task, ballot },
            Item::Taken { .. } => Item::Taken { task, known },
            Item::NotMine { .. } => Item::NotMine { task, home: known.holders },
            Item::Busy { .. } => Item::Busy { task, retry_ms: number },
            Item::TooOld { .. } => Item::TooOld { task, floor: wall, ended: coin.then_some(wall) },
            Item::Born { .. } => Item::Born { task, ballot },
            Item::Abandon { .. } => Item::Abandon { task, ballot },
            Item::Prepare { .. } => Item::Prepare { task, ballot, born: wall },
            Item::Promise { .. } => Item::Promise { task, ballot, held },
            Item::Refused { .. } => Item::Refused { task, ballot, promised: other },
            Item::Write { .. } => Item::Write { task, ballot, version, register, birth: coin.then_some(birth) },
            Item::Wrote { .. } => Item::Wrote { task, ballot, version },
            Item::LacksBirth { .. } => Item::LacksBirth { task, ballot },
            Item::Pull { .. } => Item::Pull { task, ballot, version },
            Item::NotDriven { .. } => Item::NotDriven { task, ballot },
            Item::InForce { .. } => Item::InForce { task, ballot, version, complete: coin },
            Item::Assign { .. } => Item::Assign { task, attempt, birth },
            Item::Ask { .. } => Item::Ask { task, attempt: number, age_ms: u64::from(number) },
            Item::Running { .. } => Item::Running { task, attempt: number },
            Item::NotRunning { .. } => Item::NotRunning { task, attempt: number, why },
            Item::Report { .. } => Item::Report { task, attempt: number, outcome },
            Item::Settled { .. } => Item::Settled { task, attempt: number },
            Item::DrivenBy { .. } => Item::DrivenBy { task, driver: node },
            Item::Follow { .. } => Item::Follow { task },
            Item::Needed { .. } => Item::Needed { task, still: coin },
            Item::Following { .. } => Item::Following { task, known },
            Item::Unknown { .. } => Item::Unknown { task },
            Item::Ended { .. } => Item::Ended { task, digest: known.digest, register },
            Item::Cancel { .. } => Item::Cancel { task },
            Item::Steal { .. } => Item::Steal { most: number },
            Item::Yielded { .. } => Item::Yielded { count: number },
            Item::Retract { .. } => Item::Retract { task, attempt: number, thief: node },
            Item::Handed { .. } => Item::Handed { task, attempt: number },
            Item::Keep { .. } => Item::Keep { task, attempt: number },
            Item::Announce(announcement) => {
                Item::Announce(Announcement { auction: wall.0, count: number, closes_ms: number, ..announcement })
            }
            Item::Bid { bid, .. } => Item::Bid { auction: wall.0, bid: bid.map(|bid| Bid { busy: number, ..bid }) },
            Item::Closed { .. } => Item::Closed { auction: wall.0, won: number },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn an_item_survives_and_weighs_what_it_takes(item in any_item()) {
        let frame = Frame { items: vec![item] };
        let bytes = encode(&frame);
        let decoded = Frame::decode(&bytes);
        prop_assert_eq!(decoded.as_ref(), Ok(&frame));
        let (item, size) = (&frame.items[0], bytes.len() - 1);
        let weight = item.weight();
        prop_assert!(weight * 5 >= size * 4, "{} bytes weigh {}: {:?}", size, weight, item);
        prop_assert!(weight <= (size * 4).max(40), "{} bytes weigh {}: {:?}", size, weight, item);
        prop_assert!(weight >= 32, "a full frame has more than {} items", limits::FRAME_ITEMS);
    }
}

#[test]
fn each_sample_weighs_what_it_takes() {
    for (name, item) in items() {
        let (weight, size) = (item.weight(), encode(&item).len());
        assert!(weight * 5 >= size * 4 && weight <= (size * 4).max(40), "{name}: {size} bytes weigh {weight}");
    }
}

#[test]
fn a_full_frame_has_fewer_items_than_a_frame_may() {
    let lightest = items().iter().map(|(_, item)| item.weight()).min().unwrap();
    assert!(FRAME_TARGET / lightest < limits::FRAME_ITEMS, "{lightest}");
    let frame = |count| encode(&Frame { items: vec![Item::Follow { task: task() }; count] });
    assert!(Frame::decode(&frame(limits::FRAME_ITEMS)).is_ok());
    assert!(matches!(Frame::decode(&frame(limits::FRAME_ITEMS + 1)), Err(DecodeError::Malformed(_))));
    assert_eq!(
        Frame::decode(&vec![0; FRAME_LIMIT + 1]),
        Err(DecodeError::TooLarge { size: FRAME_LIMIT + 1, limit: FRAME_LIMIT })
    );
}

/// Each with the largest that is taken, and with one more.
#[test]
fn lists_and_texts_in_a_frame_end_at_their_bounds() {
    let holder = Holder { node: node(2), store: StoreId(2) };
    let place = |change: &dyn Fn(&mut Birth, &mut Register)| {
        let items = items();
        let Some((_, Item::Place { birth, register, ballot, .. })) = items.first() else { panic!("{items:?}") };
        let (mut birth, mut register) = (Birth::clone(birth), Register::clone(register));
        change(&mut birth, &mut register);
        Item::Place { birth: birth.into(), ballot: *ballot, register: register.into(), supersedes: None }
    };
    let report = |change: &dyn Fn(&mut Outcome)| {
        let mut outcome = Outcome::failed(FailureKind::Lost, "");
        change(&mut outcome);
        Item::Report { task: task(), attempt: 1, outcome: outcome.into() }
    };
    let failed = |why: String| {
        let attempt = Attempt { number: 1, executor: node(2), granted: NOW };
        FailedAttempt { attempt, at: NOW, why, fault: Fault::Node }
    };
    let known = |count| Known { digest: birth().digest(), holders: vec![node(2); count], confirmed: true };
    let blob = |count| BlobRef { id: BlobId::from_bytes([1; 32]), size: 1, nodes: vec![node(2); count] };
    type Make<'a> = &'a dyn Fn(usize) -> Item;
    let bounds: [(&str, usize, Make<'_>); 15] = [
        ("home", limits::HOLDERS, &|n| place(&|birth, _| birth.home = vec![holder; n])),
        ("spec", limits::SPEC_BYTES, &|n| place(&|birth, _| birth.spec = vec![0; n].into())),
        ("holders", limits::HOLDERS, &|n| place(&|_, register| register.holders = vec![holder; n])),
        ("joint", limits::HOLDERS, &|n| place(&|_, register| register.joint = Some(vec![holder; n]))),
        ("passed by", limits::HOLDERS, &|n| place(&|_, register| register.passed_by = vec![vec![holder]; n])),
        ("one passed by", limits::HOLDERS, &|n| place(&|_, register| register.passed_by = vec![vec![holder; n]])),
        ("failed", limits::FAILED_ATTEMPTS, &|n| {
            place(&|_, register| register.failed = vec![failed(String::new()); n])
        }),
        ("why failed", limits::REASON_BYTES, &|n| place(&|_, register| register.failed = vec![failed("a".repeat(n))])),
        ("known", limits::HOLDERS, &|n| Item::Taken { task: task(), known: known(n) }),
        ("not mine", limits::HOLDERS, &|n| Item::NotMine { task: task(), home: vec![node(2); n] }),
        ("why", limits::REASON_BYTES, &|n| Item::NotRunning { task: task(), attempt: 1, why: "a".repeat(n) }),
        ("message", limits::REASON_BYTES, &|n| {
            let failure = Failure { kind: FailureKind::Lost, message: "a".repeat(n) };
            report(&|outcome| outcome.status = Status::Failed(failure.clone()))
        }),
        ("files", limits::TASK_FILES, &|n| report(&|outcome| outcome.files = vec![("a".into(), Payload::empty()); n])),
        ("inline", INLINE_LIMIT, &|n| report(&|outcome| outcome.stdout = Payload::Inline(vec![0; n].into()))),
        ("nodes", limits::BLOB_NODES, &|n| report(&|outcome| outcome.stdout = Payload::Blob(blob(n)))),
    ];
    for (what, bound, item) in bounds {
        let decoded = |n| Frame::decode(&encode(&Frame { items: vec![item(n)] }));
        assert!(decoded(bound).is_ok(), "{what}: {bound}");
        assert!(matches!(decoded(bound + 1), Err(DecodeError::Malformed(_))), "{what}: {}", bound + 1);
    }
}

#[test]
fn what_this_version_does_not_know_is_refused() {
    // An item `j`; a failure `z`; an item with two names; a holder with a third field.
    let id = encode(&task());
    let unknown = [&[0x81, 0xa1, 0x61, b'j', 0xa1, 0x61, b'i'], id.as_slice()].concat();
    let known = [&[0x81, 0xa1, 0x61, b'f', 0xa1, 0x61, b'i'], id.as_slice()].concat();
    let both = [&[0x81, 0xa2, 0x61, b'f', 0xa1, 0x61, b'i'], id.as_slice(), &known[2..]].concat();
    let more = [&[0x81, 0xa1, 0x61, b'f', 0xa2, 0x61, b'i'], id.as_slice(), &[0x61, b'z', 0]].concat();
    let twice = [&[0x81, 0xa1, 0x61, b'f', 0xa2, 0x61, b'i'], id.as_slice(), &[0x61, b'i'], &id].concat();
    assert!(Frame::decode(&known).is_ok());
    for (what, bytes) in [("variant", unknown), ("two variants", both), ("field", more), ("field twice", twice)] {
        assert!(matches!(Frame::decode(&bytes), Err(DecodeError::Malformed(_))), "{what}");
    }
    assert!(decode::<FailureKind>(&encode(&"z"), 8).is_err());
    assert!(decode::<How>(&encode(&"z"), 8).is_err());
}

#[test]
fn a_specification_has_one_encoding() {
    let bytes = encode(&spec());
    assert_eq!(Spec::decode(&bytes), Ok(spec()));
    // The key `u` with its length in two bytes; no retries, in two bytes; the first two entries the other way around.
    let long_key = [&bytes[..1], &[0x78, 1], &bytes[2..]].concat();
    let at = bytes.windows(3).position(|window| window == [0x61, b'r', 0]).unwrap();
    let long_number = [&bytes[..at + 2], &[0x18, 0], &bytes[at + 3..]].concat();
    let principal = [&[0x61, b'u'], encode(&spec().principal).as_slice()].concat();
    let key = [&[0x61, b'k'], encode(&spec().key).as_slice()].concat();
    assert_eq!(bytes[1..][..principal.len() + key.len()], [principal.as_slice(), &key].concat());
    let swapped = [&bytes[..1], &key, &principal, &bytes[1 + principal.len() + key.len()..]].concat();
    for other in [long_key, long_number, swapped] {
        assert_eq!(decode::<Spec>(&other, Spec::LIMIT), Ok(spec()), "the same value");
        assert_eq!(Spec::decode(&other), Err(SpecError::Decode(DecodeError::NotCanonical)));
    }
}

#[test]
fn a_specification_within_its_limits_is_taken_and_one_beyond_is_not() {
    let exec = |change: &dyn Fn(&mut ExecSpec)| {
        let mut exec = ExecSpec { argv: vec!["a".into()], env: Vec::new(), outputs: Vec::new(), in_place: false };
        change(&mut exec);
        Spec { program: Program::Exec(exec), ..spec() }
    };
    let module = BlobRef { id: BlobId::from_bytes([5; 32]), size: 9, nodes: vec![] };
    let of_wasm = |change: &dyn Fn(&mut WasmSpec)| {
        let mut wasm = wasm(module.clone());
        change(&mut wasm);
        Spec { program: Program::Wasm(wasm), ..spec() }
    };
    let on = |n| BlobRef { nodes: vec![NodeId::from_bytes([1; 32]); n], ..module.clone() };
    let of_worker = |change: &dyn Fn(&mut WorkerSpec)| {
        let mut worker = WorkerSpec { kind: "x".parse().unwrap(), argv: Vec::new(), outputs: Vec::new() };
        change(&mut worker);
        Spec { program: Program::Worker(worker), requirements: "worker.x".parse().unwrap(), ..spec() }
    };
    let file = |name: &str| InputFile { name: name.into(), content: Payload::empty() };
    type Make<'a> = &'a dyn Fn(usize) -> Spec;
    let bounds: [(&str, usize, Make<'_>); 17] = [
        ("a worker's arguments", limits::ARGUMENTS, &|n| of_worker(&|worker| worker.argv = vec!["a".into(); n])),
        ("its outputs", limits::TASK_FILES, &|n| of_worker(&|worker| worker.outputs = vec!["a".into(); n])),
        ("dependencies", limits::DEPENDENCIES, &|n| Spec {
            after: (0..n as u8).map(|number| after(number, vec![])).collect(),
            ..spec()
        }),
        ("files taken", limits::TASK_FILES - 1, &|n| Spec {
            files: vec![file("own")],
            after: vec![after(1, (0..n).map(|n| output_as(&n.to_string())).collect())],
            ..spec()
        }),
        ("arguments of a program", limits::ARGUMENTS, &|n| of_wasm(&|wasm| wasm.argv = vec!["a".into(); n])),
        ("its environment", limits::VARIABLES, &|n| of_wasm(&|wasm| wasm.env = vec![("a".into(), "b".into()); n])),
        ("its outputs", limits::TASK_FILES, &|n| of_wasm(&|wasm| wasm.outputs = vec!["a".into(); n])),
        ("its places", limits::BLOB_NODES, &|n| of_wasm(&|wasm| wasm.module = Payload::Blob(on(n)))),
        ("principal", 64, &|n| Spec { principal: "a".repeat(n), ..spec() }),
        ("arguments", limits::ARGUMENTS, &|n| exec(&|exec| exec.argv = vec!["a".into(); n])),
        ("environment", limits::VARIABLES, &|n| exec(&|exec| exec.env = vec![("a".into(), "b".into()); n])),
        ("outputs", limits::TASK_FILES, &|n| exec(&|exec| exec.outputs = vec!["a".into(); n])),
        ("files", limits::TASK_FILES, &|n| Spec { files: vec![file("a"); n], ..spec() }),
        ("retries", usize::from(limits::RETRIES), &|n| Spec { retries: n as u8, ..spec() }),
        ("items", limits::JOB_ITEMS as usize, &|n| Spec {
            program: Program::Manifest { name: String::new(), count: n as u64 },
            ..spec()
        }),
        ("input", INLINE_LIMIT, &|n| Spec { input: Payload::Inline(vec![0; n].into()), ..spec() }),
        ("path", limits::PATH_BYTES, &|n| Spec { input: Payload::Path("a".repeat(n)), ..spec() }),
    ];
    for (what, bound, spec) in bounds {
        assert_eq!(Spec::decode(&encode(&spec(bound))), Ok(spec(bound)), "{what}");
        assert!(spec(bound + 1).check().is_err(), "{what}: {}", bound + 1);
        assert!(Spec::decode(&encode(&spec(bound + 1))).is_err(), "{what}: {}", bound + 1);
    }
    for name in ["", "/a", "a//b", "../a", "a/..", ".", "a\0"] {
        let bad = Spec { files: vec![file(name)], ..spec() };
        assert!(matches!(Spec::decode(&encode(&bad)), Err(SpecError::BadPath(_))), "{name:?}");
    }
    for name in ["", "/a", "../a"] {
        let take = Take { part: Part::File(name.into()), place: Place::File("a".into()) };
        for take in [output_as(name), take] {
            let bad = Spec { after: vec![after(1, vec![take])], ..spec() };
            assert!(matches!(Spec::decode(&encode(&bad)), Err(SpecError::BadPath(_))), "{name:?}");
        }
    }
    let none = exec(&|exec| exec.argv.clear());
    assert_eq!(Spec::decode(&encode(&none)), Err(SpecError::NoCommand));
    let none = of_wasm(&|wasm| wasm.argv.clear());
    assert_eq!(Spec::decode(&encode(&none)), Err(SpecError::NoCommand));
    for module in [Payload::empty(), Payload::Path("/shared/a.wasm".into())] {
        let bad = of_wasm(&|wasm| wasm.module = module.clone());
        assert_eq!(Spec::decode(&encode(&bad)), Err(SpecError::NotABlob));
    }
    // Where it asks for no worker it would wait for one where there never is one.
    let worker = of_worker(&|_| {});
    for (asked, is_good) in
        [("", false), ("worker.y", false), ("worker.x?", false), ("worker.x>=1", false), ("a,worker.x", true)]
    {
        let spec = Spec { requirements: asked.parse().unwrap(), ..worker.clone() };
        assert_eq!(Spec::decode(&encode(&spec)).is_ok(), is_good, "{asked:?}");
    }
    let unique = Spec { unique: true, ..worker };
    assert_eq!(Spec::decode(&encode(&unique)), Err(SpecError::UniqueWorker));
}

#[test]
fn no_task_is_waited_for_twice_and_no_input_given_twice() {
    let to_input = || Take { part: Part::Output, place: Place::Input };
    let of = |after: Vec<Dependency>| Spec { input: Payload::empty(), after, ..spec() };
    let check = |spec: &Spec| Spec::decode(&encode(spec)).map(|_| ());
    let one = of(vec![after(1, vec![to_input(), output_as("a")]), after(2, vec![output_as("b")])]);
    assert_eq!(check(&one), Ok(()));
    let twice = SpecError::RepeatedDependency(mesh_proto::id::TaskId::from_bytes([1; 32]));
    assert_eq!(check(&of(vec![after(1, vec![]), after(2, vec![]), after(1, vec![])])), Err(twice));
    let inputs = of(vec![after(1, vec![to_input()]), after(2, vec![to_input()])]);
    assert_eq!(check(&inputs), Err(SpecError::TwoInputs));
    let own = Spec { after: vec![after(1, vec![to_input()])], ..spec() };
    assert_eq!(check(&own), Err(SpecError::TwoInputs), "it has bytes of its own");
    let files = of(vec![after(1, vec![output_as("a")]), after(2, vec![output_as("a")])]);
    assert_eq!(check(&files), Err(SpecError::TwoFiles("a".into())));
    let file = InputFile { name: "a".into(), content: Payload::empty() };
    let files = Spec { files: vec![file], ..of(vec![after(1, vec![output_as("a")])]) };
    assert_eq!(check(&files), Err(SpecError::TwoFiles("a".into())));
}
