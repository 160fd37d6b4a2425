//! How much room an item takes in a frame, without encoding it: senders cut frames by it.

use super::{Birth, Item, Known, Outcome, Payload, Register, State, Status};

// Encoded sizes: a key has 2 bytes, an id 34, a date 7 to 9, a count 1 to 5.
const ITEM: usize = 40;
const BALLOT: usize = 54;
const HOLDER: usize = 48;
const NODE: usize = 34;
const ATTEMPT: usize = 50;
const DATE: usize = 10;
const COUNT: usize = 4;
const SEAL: usize = 68;

impl Item {
    /// About how many bytes it takes in a frame: at least 80 % of what it does take, and at most four times
    /// that, or 40.
    pub fn weight(&self) -> usize {
        match self {
            Self::Follow { .. } | Self::Needed { .. } | Self::Unknown { .. } | Self::Cancel { .. } => ITEM,
            Self::Placed { .. }
            | Self::Born { .. }
            | Self::Abandon { .. }
            | Self::LacksBirth { .. }
            | Self::NotDriven { .. } => ITEM + BALLOT,
            Self::Wrote { .. } | Self::Pull { .. } | Self::InForce { .. } => ITEM + BALLOT + COUNT,
            Self::Prepare { .. } => ITEM + BALLOT + DATE,
            Self::Refused { .. } => ITEM + 2 * BALLOT,
            Self::Ask { .. } => ITEM + COUNT + DATE,
            Self::Busy { .. }
            | Self::Running { .. }
            | Self::Settled { .. }
            | Self::Handed { .. }
            | Self::Keep { .. } => ITEM + COUNT,
            Self::Retract { .. } => ITEM + COUNT + NODE,
            // They have no id, and are as heavy as what has: a frame is bounded by its items as well.
            Self::Steal { .. } | Self::Yielded { .. } | Self::Closed { .. } | Self::Bid { .. } => ITEM,
            Self::Announce(announcement) => {
                let requirements = announcement.requirements.iter().flat_map(|all| all.iter());
                ITEM + requirements.map(|one| one.to_string().len() + 2).sum::<usize>()
            }
            Self::TooOld { .. } => ITEM + 2 * DATE,
            Self::DrivenBy { .. } => ITEM + NODE,
            Self::NotMine { home, .. } => ITEM + NODE * home.len(),
            Self::Taken { known, .. } | Self::Following { known, .. } => ITEM + known_weight(known),
            Self::NotRunning { why, .. } => ITEM + COUNT + why.len(),
            Self::Place { birth, register, supersedes, .. } => {
                ITEM + BALLOT + birth_weight(birth) + register_weight(register) + supersedes.map_or(0, |_| BALLOT)
            }
            Self::Promise { held, .. } => {
                let held = held.as_ref();
                let held = held.map_or(0, |held| BALLOT + birth_weight(&held.birth) + register_weight(&held.register));
                ITEM + BALLOT + held
            }
            Self::Write { register, birth, .. } => {
                let birth = birth.as_deref().map_or(0, birth_weight);
                ITEM + BALLOT + COUNT + register_weight(register) + birth
            }
            Self::Assign { birth, .. } => ITEM + ATTEMPT + birth_weight(birth),
            Self::Report { outcome, .. } => ITEM + COUNT + outcome_weight(outcome),
            Self::Ended { register, .. } => ITEM + NODE + register_weight(register),
        }
    }
}

fn birth_weight(birth: &Birth) -> usize {
    2 * NODE + 2 * DATE + 16 + birth.spec.len() + HOLDER * birth.home.len()
}

fn known_weight(known: &Known) -> usize {
    NODE + 10 + NODE * known.holders.len()
}

fn register_weight(register: &Register) -> usize {
    let holders = register.lists().map(Vec::len).sum::<usize>();
    let failed: usize = register.failed.iter().map(|failed| ATTEMPT + DATE + 12 + failed.why.len()).sum();
    let state = match &register.state {
        State::Waiting => 2,
        State::Assigned(_) => ATTEMPT,
        State::Ended(ending) => {
            DATE + 8 + ending.by.map_or(0, |_| NODE + COUNT) + ending.outcome.as_ref().map_or(0, outcome_weight)
        }
    };
    16 + 2 * register.passed_by.len() + HOLDER * holders + failed + state
}

fn outcome_weight(outcome: &Outcome) -> usize {
    let status = match &outcome.status {
        Status::Exit(_) | Status::Signal(_) => 6,
        Status::Failed(failure) => 12 + failure.message.len(),
    };
    let files: usize = outcome.files.iter().map(|(name, content)| 3 + name.len() + payload_weight(content)).sum();
    let seals = outcome.seal.map_or(0, |_| SEAL)
        + outcome.count.as_ref().map_or(0, |count| 10 + count.said.len() * (2 * NODE + SEAL + 4));
    24 + status + payload_weight(&outcome.stdout) + payload_weight(&outcome.stderr) + files + seals
}

fn payload_weight(payload: &Payload) -> usize {
    match payload {
        Payload::Inline(bytes) => 5 + bytes.len(),
        Payload::Blob(blob) => 50 + NODE * blob.nodes.len(),
        Payload::Path(path) => 6 + path.len(),
    }
}
