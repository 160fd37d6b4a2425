//! Executors that do what programs do: mostly end soon, sometimes late, wrongly, or not at all.

use super::{dice::Dice, options::Options};
use mesh_proto::{
    id::TaskId,
    task::{Birth, FailureKind, Outcome, Payload, Program, Spec, Status},
};

/// An execution in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    pub task: TaskId,
    pub attempt: u32,
    /// Where its end is kept.
    pub slot: u32,
    /// Ends at once and needs no slot.
    pub instant: bool,
    /// A worker has it, and it goes with that.
    pub attended: bool,
    /// Is not to go on where the mesh is lost.
    pub stops: bool,
}

/// How an execution will go.
#[derive(Clone, Debug)]
pub struct Course {
    pub kind: Kind,
    /// Microseconds.
    pub takes: u64,
    pub outcome: Outcome,
    pub instant: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Well,
    Long,
    /// Until its time limit or somebody cancels it.
    Hangs,
    Exits,
    Lost,
    Refused,
}

/// Draws the course of an execution. `serial` is in its output, so that no two results are alike.
pub fn course(birth: &Birth, serial: u64, dice: &mut Dice, options: &Options, healed: bool) -> Course {
    let Ok(spec) = Spec::decode(&birth.spec) else {
        return failed(Kind::Refused, 1_000, FailureKind::CannotStart, "not a specification");
    };
    if matches!(spec.program, Program::Echo | Program::Manifest { .. }) {
        let takes = dice.range(0..=500);
        return Course { kind: Kind::Well, takes, outcome: exited(0, serial, dice), instant: true };
    }
    let limit = spec.time_limit_ms * 1000;
    let bad = if healed { 0 } else { options.bad_executions };
    let poisoned = spec.trace[0] == POISON;
    let kind = match () {
        () if poisoned && !healed => Kind::Lost,
        () if !dice.chance(bad) => Kind::Well,
        () => *dice.pick(&[Kind::Long, Kind::Long, Kind::Hangs, Kind::Exits, Kind::Exits, Kind::Lost, Kind::Refused]),
    };
    let usual = match spec.program {
        Program::Sleep { ms } => ms * 1000,
        // Long enough that workers go meanwhile, and that others wait for one.
        Program::Worker(_) => dice.spread(1_000..=4_000_000),
        _ => dice.spread(200..=200_000),
    };
    let (kind, takes) = match kind {
        Kind::Long => (kind, usual + dice.range(1_000_000..=20_000_000)),
        Kind::Hangs => (kind, u64::MAX),
        _ => (kind, usual),
    };
    if takes > limit {
        let mut late = failed(kind, limit, FailureKind::TimeLimit, "ran too long");
        late.outcome.wall_us = serial;
        return late;
    }
    match kind {
        Kind::Lost => failed(kind, takes, FailureKind::Lost, "the guard died"),
        Kind::Refused => failed(kind, takes, FailureKind::NotAllowed, "not allowed here"),
        Kind::Well | Kind::Long | Kind::Hangs | Kind::Exits => {
            let code = i32::from(kind == Kind::Exits) * 3;
            Course { kind, takes, outcome: exited(code, serial, dice), instant: false }
        }
    }
}

/// In the first byte of a trace id: a task that kills whoever runs it.
pub const POISON: u8 = 0xdd;

fn exited(code: i32, serial: u64, dice: &mut Dice) -> Outcome {
    let mut output = serial.to_le_bytes().to_vec();
    if dice.chance(20) {
        output.resize(dice.spread(100..=16_000) as usize, 7);
    }
    Outcome {
        status: Status::Exit(code),
        stdout: Payload::Inline(output.into()),
        stderr: Payload::empty(),
        files: Vec::new(),
        cpu_us: 10,
        wall_us: serial,
        seal: None,
        count: None,
    }
}

fn failed(kind: Kind, takes: u64, why: FailureKind, message: &str) -> Course {
    Course { kind, takes, outcome: Outcome::failed(why, message), instant: false }
}
