//! Events, inputs and effects as numbers for the trace's hash and as one line each for its readers.

use super::{event::Event, trace::NOBODY};
use mesh_coordinator::{Answer, Effect, Fact, Input, Message};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{Frame, Register},
};
use std::{collections::BTreeMap, fmt::Write};

type Names = BTreeMap<NodeId, usize>;

/// A number for the kind of an event, and its node.
pub fn kind(event: &Event) -> (u64, u64) {
    match *event {
        Event::Wake { node, .. } => (1, node.into()),
        Event::Timer { node, .. } => (2, node.into()),
        Event::Commit { node, .. } => (3, node.into()),
        Event::Frame { from, to, class, .. } => (4 + (u64::from(from) << 8) + (u64::from(class) << 16), to.into()),
        Event::Closed { from, to, .. } => (5 + (u64::from(from) << 8), to.into()),
        Event::Dialed { from, to, .. } => (6 + (u64::from(from) << 8), to.into()),
        Event::Bootstrap { node, .. } => (7, node.into()),
        Event::Executed { node, .. } => (8, node.into()),
        Event::Absorb { node, .. } => (9, node.into()),
        Event::Request { node, .. } => (10, node.into()),
        Event::Submit => (11, NOBODY),
        Event::Client { task, .. } => (12 + (u64::from(task) << 8), NOBODY),
        Event::Curious => (13, NOBODY),
        Event::Fault => (14, NOBODY),
        Event::Cure { slot } => (15 + (u64::from(slot) << 8), NOBODY),
        Event::Start { node, .. } => (16, node.into()),
        Event::Crash { node, .. } => (17, node.into()),
        Event::Heal => (18, NOBODY),
        Event::Inspect => (19, NOBODY),
        Event::Announced { node, .. } => (20, node.into()),
        Event::SummedUp { node, .. } => (21, node.into()),
        Event::Whisper { from, to, .. } => (22 + (u64::from(from) << 8), to.into()),
        Event::Order => (23, NOBODY),
        Event::Petition { node, .. } => (24, node.into()),
        Event::Steer => (26, NOBODY),
        Event::Rest => (27, NOBODY),
        Event::Work => (28, NOBODY),
        Event::Death => (29, NOBODY),
        Event::Patron { want, .. } => (25 + (u64::from(want) << 8), NOBODY),
    }
}

/// What shows in the inputs and effects that it leads to needs no line of its own.
pub fn is_worth_a_line(event: &Event) -> bool {
    matches!(event, Event::Commit { .. } | Event::Closed { .. } | Event::Cure { .. } | Event::Heal)
}

fn digest_task(task: &TaskId) -> u64 {
    task.as_bytes().first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first))
}

fn digest_frame(frame: &Frame) -> u64 {
    frame.items.iter().fold(frame.items.len() as u64, |digest, item| {
        (digest.rotate_left(7) ^ item.task().map_or(0, |task| digest_task(&task))).wrapping_mul(0x100_0000_01b3)
    })
}

pub fn digest_input(input: &Input) -> u64 {
    match input {
        Input::Restarted => 1,
        Input::Paused { gap } => gap.as_micros() as u64,
        Input::Up { .. } => 3,
        Input::Down { .. } => 4,
        Input::Full { .. } => 5,
        Input::Writable { .. } => 6,
        Input::Member(member) | Input::Me(member) | Input::Announced(member) => 7 ^ member.incarnation << 8,
        Input::Task { frame, .. } => 8 ^ digest_frame(frame),
        Input::Control { .. } => 9,
        Input::Command { request, .. } => 10 ^ request.0 << 8,
        Input::Executed { task, attempt, .. } => 11 ^ digest_task(task) ^ u64::from(*attempt),
        Input::Disk { room } => 12 + u64::from(*room),
        Input::Memory { free_ppm } => 40 + u64::from(*free_ppm),
        Input::Measured { id, .. } => 18 ^ id.number << 8,
        Input::Consensus(verified) => 14 ^ u64::from(verified.from().as_bytes()[0]) << 8,
        Input::Port(_) => 16,
        Input::Judged(verdicts) => 17 ^ (verdicts.len() as u64) << 8,
        Input::SummedUp { sequence, root } => 15 ^ sequence.get() << 8 ^ u64::from(root.as_bytes()[0]) << 48,
    }
}

pub fn digest_effect(effect: &Effect) -> u64 {
    match effect {
        Effect::Persist(_) => 21,
        Effect::Send { message: Message::Task(frame), after, .. } => 22 ^ digest_frame(frame) ^ after.0 << 8,
        Effect::Send { message: Message::Control(_), .. } => 23,
        Effect::Send { message: Message::Consensus(message), after, .. } => {
            31 ^ after.0 << 8 ^ super::consensus::digest(message) << 24
        }
        Effect::SumUp { sequence, .. } => 32 ^ sequence.get() << 8,
        Effect::Verify(snapshot) => 33 ^ snapshot.config().epoch.0 << 8,
        Effect::Halted(_) => 34,
        Effect::Port(_) => 35,
        Effect::Accused { accused, .. } => 36 ^ u64::from(accused.as_bytes()[0]) << 8,
        Effect::Answer { request, answers, .. } => 24 ^ request.0 << 16 ^ (answers.len() as u64) << 8,
        Effect::Execute { birth, attempt, .. } => 25 ^ digest_task(&birth.task) ^ u64::from(*attempt),
        Effect::Cancel { task, attempt } => 26 ^ digest_task(task) ^ u64::from(*attempt),
        Effect::Measure { id, .. } => 37 ^ id.number << 8,
        Effect::Dial { .. } => 27,
        Effect::Disconnect { .. } => 28,
        Effect::Announce { member, .. } => 29 ^ member.incarnation << 8,
        Effect::Speak { above } => 30 ^ above << 8,
    }
}

fn name(node: &NodeId, names: &Names) -> String {
    names.get(node).map_or_else(|| "n?".into(), |index| format!("n{index}"))
}

pub fn input(input: &Input, names: &Names) -> String {
    match input {
        Input::Up { node, store } => format!("up {} {store}", name(node, names)),
        Input::Down { node } => format!("down {}", name(node, names)),
        Input::Full { node } => format!("full {}", name(node, names)),
        Input::Writable { node } => format!("writable {}", name(node, names)),
        Input::Member(member) | Input::Me(member) | Input::Announced(member) => format!(
            "member {} {:?} {} store {}",
            name(&member.node, names),
            member.standing,
            member.incarnation,
            member.store
        ),
        Input::Task { from, frame } => format!("{}: {}", name(from, names), items(frame, names)),
        Input::Control { from, message } => {
            format!("{}: {}", name(from, names), shorten(&format!("{message:?}"), names))
        }
        Input::Command { request, command } => {
            format!("user {}: {}", request.0, shorten(&format!("{command:?}"), names))
        }
        Input::Executed { task, attempt, outcome } => {
            format!("executed {} attempt {attempt}: {:?}", task_name(task), outcome.status)
        }
        Input::Consensus(verified) => {
            format!("{}: {}", name(&verified.from(), names), shorten(&format!("{verified:?}"), names))
        }
        Input::SummedUp { sequence, root } => format!("summed up {sequence}: {root}"),
        Input::Restarted | Input::Paused { .. } | Input::Disk { .. } | Input::Memory { .. } | Input::Port(_) => {
            format!("{input:?}")
        }
        Input::Measured { id, values } => format!("measured {:x}: {values:?}", id.number),
        Input::Judged(verdicts) => format!("judged {}", verdicts.len()),
    }
}

pub fn effect(effect: &Effect, names: &Names) -> String {
    match effect {
        Effect::Persist(Fact::Task(fact)) => format!("persist {}", shorten(&format!("{fact:?}"), names)),
        Effect::Persist(Fact::Introduced) => "persist introduced".into(),
        Effect::Persist(Fact::Member(member)) => {
            format!("persist member {} {:?} {}", name(&member.node, names), member.standing, member.incarnation)
        }
        Effect::Send { to, message: Message::Task(frame), after } => {
            format!("{} after {after}: {}", name(to, names), items(frame, names))
        }
        Effect::Send { to, message: Message::Control(message), after } => {
            format!("{} after {after}: {}", name(to, names), shorten(&format!("{message:?}"), names))
        }
        Effect::Persist(Fact::Agreement(fact)) => format!("persist {}", shorten(&format!("{fact:?}"), names)),
        Effect::Send { to, message: Message::Consensus(message), after } => {
            format!("{} after {after}: {}", name(to, names), shorten(&format!("{message:?}"), names))
        }
        Effect::SumUp { sequence, .. } => format!("sum up {sequence}"),
        Effect::Verify(_) => "verify".into(),
        Effect::Port(effect) => format!("{effect:?}"),
        Effect::Halted(why) => format!("halted: {why}"),
        Effect::Accused { accused, how } => format!("{} is accused: {how:?}", name(accused, names)),
        Effect::Answer { request, answers, after } => {
            let answers: Vec<String> = answers.iter().map(|one| answer(one, names)).collect();
            format!("user {} after {after}: {}", request.0, answers.join("; "))
        }
        Effect::Execute { birth, attempt, after } => {
            format!("execute {} attempt {attempt} after {after}", task_name(&birth.task))
        }
        Effect::Cancel { task, attempt } => format!("cancel {} attempt {attempt}", task_name(task)),
        Effect::Measure { id, name } => format!("measure {:x} {name}", id.number),
        Effect::Dial { node, .. } => format!("dial {}", name(node, names)),
        Effect::Disconnect { node } => format!("disconnect {}", name(node, names)),
        Effect::Announce { member, after } => {
            format!("announce {} {} after {after}", name(&member.node, names), member.incarnation)
        }
        Effect::Speak { above } => format!("speak above {above}"),
    }
}

fn answer(answer: &Answer, names: &Names) -> String {
    match answer {
        Answer::Placed { index, task, copies, existing, .. } => {
            format!("placed {index} {} copies {copies} existing {existing}", task_name(task))
        }
        Answer::Ended { task, register } => format!("ended {} {}", task_name(task), show(register, names)),
        other => shorten(&format!("{other:?}"), names),
    }
}

fn items(frame: &Frame, names: &Names) -> String {
    let mut text = String::new();
    for item in &frame.items {
        let one = shorten(&format!("{item:?}"), names);
        // Writing into a string cannot fail.
        write!(text, "[{one}] ").unwrap_or_default();
    }
    text
}

fn show(register: &Register, names: &Names) -> String {
    shorten(&format!("{register:?}"), names)
}

pub fn task_name(task: &TaskId) -> String {
    task.to_string()[..8].to_owned()
}

/// Replaces the ids of nodes by their names and cuts away what Rust prints and nobody reads.
fn shorten(text: &str, names: &Names) -> String {
    let mut text = text.to_owned();
    for (node, index) in names {
        text = text.replace(&format!("{node:?}"), &format!("n{index}"));
    }
    for (long, short) in [
        ("TaskId(", "("),
        ("StoreId(", "s("),
        ("Version(", "v("),
        ("Wall(", "w("),
        ("Ballot { term: ", "{"),
        ("driver: ", ""),
        ("nonce: ", ""),
        ("Holder { node: ", "{"),
        ("store: ", ""),
        ("register: Register ", ""),
    ] {
        text = text.replace(long, short);
    }
    text
}
