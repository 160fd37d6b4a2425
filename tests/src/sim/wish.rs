//! Tasks as users make them up.

use super::{after::Known, clock::WALL_AT_START, dice::Dice, execution::POISON, needs};
use mesh_proto::{
    capability::Requirements,
    codec,
    id::{Digest, NetworkId, TaskId},
    task::{Octets, OnIsolation, Payload, Priority, Program, Spec, Strategy, TaskKey, WorkerSpec, spec_digest},
    time::Wall,
};

/// A task that somebody wants, with what he may submit in its place under the same key.
pub struct Wish {
    pub id: TaskId,
    pub spec: Octets,
    pub digest: Digest,
    /// Another task under the same key: one of the two at most is taken.
    pub rival: Option<(Octets, Digest)>,
    pub has_deadline: bool,
    pub is_manifest: bool,
    pub requirements: Requirements,
    pub redundancy: u8,
    /// What it is to start after.
    pub after: Vec<TaskId>,
}

impl Wish {
    /// What it asks of its node comes from `needs`, what it is to start after from `known`. In a flood it is as urgent as that
    /// says, and runs for so many milliseconds.
    pub fn draw(
        (at, number): (u64, u64),
        network: &NetworkId,
        dice: &mut Dice,
        needs: &mut Dice,
        known: &mut Known,
        rush: Option<(Priority, u64)>,
    ) -> Self {
        let wall = WALL_AT_START + at / 1000;
        let mut key = number.to_le_bytes().to_vec();
        key.extend_from_slice(&dice.next().to_le_bytes());
        let program = match dice.below(100) {
            0..=39 => Program::Echo,
            40..=69 => Program::Sleep { ms: dice.spread(1..=2_000) },
            70..=96 => Program::Sha256,
            _ => Program::Manifest { name: "job".into(), count: 7 },
        };
        let is_manifest = matches!(program, Program::Manifest { .. });
        let asked = needs::draw_requirements(needs);
        let strategy = *needs.pick(&Strategy::ALL);
        let on_isolation = if needs.chance(300) { OnIsolation::Stop } else { OnIsolation::Continue };
        let redundancy = if is_manifest { 1 } else { needs::draw_redundancy(needs) };
        let (program, requirements) = match needs::draw_worker(needs, &asked) {
            _ if is_manifest => (program, Requirements::default()),
            Some(asked) => (Program::Worker(worker()), asked),
            None => (program, asked),
        };
        let (program, requirements, redundancy) = match rush {
            Some((_, ms)) => (Program::Sleep { ms }, Requirements::default(), 1),
            None => (program, requirements, redundancy),
        };
        let is_manifest = is_manifest && rush.is_none();
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&number.to_le_bytes());
        trace[0] = if dice.chance(10) { POISON } else { trace[0] & 0x7f };
        let bytes = if dice.chance(20) { dice.spread(100..=16_000) } else { dice.range(0..=100) };
        let deadline = dice.chance(40).then(|| Wall(wall + dice.spread(500..=20_000)));
        let after = known.draw();
        let priority = *dice.pick(&[Priority::Low, Priority::Medium, Priority::High, Priority::Critical]);
        let priority = rush.map_or(priority, |(priority, _)| priority);
        let spec = Spec {
            principal: "user".into(),
            key: TaskKey::Own(key),
            born: Wall(wall),
            program,
            input: Payload::Inline(vec![9; bytes as usize].into()),
            files: Vec::new(),
            priority,
            time_limit_ms: dice.range(3_000..=15_000),
            deadline,
            retries: dice.below(3) as u8,
            job: None,
            unique: false,
            requirements: requirements.clone(),
            strategy,
            on_isolation,
            redundancy,
            after,
            trace,
        };
        let after: Vec<TaskId> = spec.after.iter().map(|dependency| dependency.task).collect();
        known.add(spec.id(network), !after.is_empty(), requirements.is_empty());
        let rival = dice.chance(20).then(|| {
            let other = Spec { time_limit_ms: spec.time_limit_ms + 1, ..spec.clone() };
            let bytes = Octets::from(codec::encode(&other));
            let digest = spec_digest(&bytes);
            (bytes, digest)
        });
        Self { rival, is_manifest, after, ..Self::of(&spec, network) }
    }

    /// What asks for nothing in particular and starts after nothing: in turn by each strategy, one in four over at
    /// once.
    pub fn plain((at, number): (u64, u64), network: &NetworkId, dice: &mut Dice) -> Self {
        let wall = Wall(WALL_AT_START + at / 1000);
        let program = match dice.below(4) {
            0 => Program::Echo,
            _ => Program::Sleep { ms: dice.spread(1..=2_000) },
        };
        let mut trace = [0; 16];
        trace[8..].copy_from_slice(&number.to_be_bytes());
        let spec = Spec {
            principal: "user".into(),
            key: TaskKey::Own([number.to_le_bytes(), dice.next().to_le_bytes()].concat()),
            born: wall,
            program,
            input: Payload::Inline(vec![9; 100].into()),
            files: Vec::new(),
            priority: Priority::Medium,
            time_limit_ms: 60_000,
            deadline: None,
            retries: 2,
            job: None,
            unique: false,
            requirements: Requirements::default(),
            strategy: Strategy::ALL[number as usize % Strategy::ALL.len()],
            on_isolation: OnIsolation::Continue,
            redundancy: 1,
            after: Vec::new(),
            trace,
        };
        Self::of(&spec, network)
    }

    fn of(spec: &Spec, network: &NetworkId) -> Self {
        let bytes = Octets::from(codec::encode(spec));
        let digest = spec_digest(&bytes);
        Self {
            id: spec.id(network),
            spec: bytes,
            digest,
            rival: None,
            has_deadline: spec.deadline.is_some(),
            is_manifest: false,
            requirements: spec.requirements.clone(),
            redundancy: spec.redundancy,
            after: Vec::new(),
        }
    }
}

fn worker() -> WorkerSpec {
    WorkerSpec { kind: needs::kind(), argv: Vec::new(), outputs: Vec::new() }
}
