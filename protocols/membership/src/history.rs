//! What was said and found of a member's life, for people.

use mesh_proto::{id::NodeId, time::Wall};
use std::{collections::VecDeque, fmt};

/// Something that somebody found of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Not heard for the time-out, or its connection closed.
    Suspected,
    /// Probed for another that suspected it, and there.
    Answers,
    /// The same, and silent.
    Silent,
    /// A majority of those asked found it silent; or it was suspected for twice the time-out, and there was nobody to ask.
    Confirmed,
    /// By its own later word, of this incarnation.
    Refuted { incarnation: u64 },
    /// It can be talked to again.
    Back,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspected => f.write_str("suspected"),
            Self::Answers => f.write_str("probed, and there"),
            Self::Silent => f.write_str("probed, and silent"),
            Self::Confirmed => f.write_str("confirmed as failed"),
            Self::Refuted { incarnation } => write!(f, "refuted, by incarnation {incarnation}"),
            Self::Back => f.write_str("back"),
        }
    }
}

/// A line of a member's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub at: Wall,
    /// Who found it.
    pub by: NodeId,
    pub what: Finding,
}

/// The last of what was found of one member; in memory alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(VecDeque<Found>);

/// Lines of one member: some suspicions of all who may be asked about it.
const LINES: usize = 32;

impl History {
    /// In the order of their times: what others found comes late.
    pub(crate) fn note(&mut self, at: Wall, by: NodeId, what: Finding) {
        let place = self.0.partition_point(|line| line.at <= at);
        self.0.insert(place, Found { at, by, what });
        if self.0.len() > LINES {
            self.0.pop_front();
        }
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &Found> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_in_the_order_of_their_times_and_the_oldest_go() {
        let mut history = History::default();
        let by = NodeId::from_bytes([1; 32]);
        for at in (0..40).rev() {
            history.note(Wall(at), by, Finding::Suspected);
        }
        let times: Vec<u64> = history.lines().map(|line| line.at.0).collect();
        assert_eq!((times.len(), times.is_sorted(), times.last()), (LINES, true, Some(&39)));
    }
}
