//! A crash at one write of one member's log, and at the next, until all writes of a trace had theirs.

use super::{
    Report,
    count::{Count, Counts},
    event::Event,
    options::{Options, Wanted},
    run,
    trace::Trace,
    world::World,
};

/// What of the write is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    Lost,
    /// A part of it.
    Torn,
    /// All of it was written and the sync did not come back: any part may be there.
    Unsynced,
    /// All, and nobody was told.
    Whole,
}

impl Cut {
    pub const ALL: [Self; 4] = [Self::Lost, Self::Whole, Self::Torn, Self::Unsynced];

    fn count(self) -> Count {
        match self {
            Self::Lost => Count::CutLost,
            Self::Torn => Count::CutTorn,
            Self::Unsynced => Count::CutUnsynced,
            Self::Whole => Count::CutWhole,
        }
    }
}

/// Where a world is cut, in which nothing else goes wrong but for what liars do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// Which write, from 1; none to see how many there are.
    pub write: Option<u64>,
    pub cut: Cut,
}

impl Options {
    /// The member whose writes count: a correct one.
    pub fn cut_at(&self) -> Option<(usize, Boundary)> {
        let (boundary, council) = (self.boundary?, self.council.as_ref()?);
        let correct = |node: &usize| council.lie_of(*node).is_none() && !council.crooks.contains(node);
        let correct: Vec<usize> = (0..council.size).filter(correct).collect();
        Some((correct[self.seed as usize % correct.len()], boundary))
    }
}

impl World {
    /// The write in flight comes to an end; whether this is where the machine's power fails.
    pub(super) fn is_cut(&mut self, node: usize) -> bool {
        let Some((_, boundary)) = self.options.cut_at().filter(|(of, _)| *of == node && self.healed.is_none()) else {
            return false;
        };
        self.writes += 1;
        if boundary.write != Some(self.writes) {
            return false;
        }
        self.count(boundary.cut.count());
        self.crash_in_write(node, boundary.cut != Cut::Whole, boundary.cut);
        let (life, at) = (self.nodes[node].life, self.at + self.fate.range(50_000..=1_000_000));
        self.queue.push(at, Event::Start { node: node as u16, life });
        true
    }
}

/// Cuts one world at every write that its member makes before the world heals, in the ways that are named for it. How often that was,
/// with what happened in all of them; or the world that failed. None if there is no committee that bears with anything.
pub fn cut_everywhere(
    seed: u64,
    wanted: &Wanted,
    cuts: impl Fn(u64) -> &'static [Cut],
) -> Option<Result<(u64, Counts), Box<Report>>> {
    let cut_at = |write, cut| {
        let wanted = Wanted { boundary: Some(Boundary { write, cut }), ..wanted.clone() };
        run(seed, &wanted, Trace::new(None))
    };
    let whole = cut_at(None, Cut::Whole);
    if whole.violation.is_some() {
        return Some(Err(Box::new(whole)));
    }
    whole.options.council.as_ref().filter(|council| council.size > 1)?;
    let (mut runs, mut counts) = (0, Counts::default());
    for write in 1..=whole.writes {
        for cut in cuts(write) {
            let report = cut_at(Some(write), *cut);
            if report.violation.is_some() {
                return Some(Err(Box::new(report)));
            }
            runs += 1;
            counts.merge(&report.counts);
        }
    }
    Some(Ok((runs, counts)))
}
