//! Members that lie about themselves to whoever has work to give: they have all that can be asked for, bid for everything
//! and are always idle. Of what they get so, some begin nothing.

use super::{
    count::{Count, Counts},
    dice::Dice,
    event::Event,
    execution::{Course, Kind},
    world::World,
};
use mesh_coordinator::{ControlMessage, Effect, Fact, Heartbeat, Message};
use mesh_proto::{
    capability::Capabilities,
    task::{Bid, FailureKind, Item, Outcome},
};

/// What one does with what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// Runs it, able or not, when it comes to it.
    Runs,
    /// Takes it and does not want it.
    Refuses,
    /// Is gone as soon as it has it.
    Vanishes,
    /// Says that it runs, and never begins.
    Idles,
    /// Begins, and never ends: its time limit is for others to keep.
    Hangs,
}

impl Trick {
    const ALL: [Self; 7] =
        [Self::Runs, Self::Refuses, Self::Refuses, Self::Vanishes, Self::Vanishes, Self::Idles, Self::Hangs];

    /// What it has, nobody else has until its operator sees to it.
    pub fn withholds(self) -> bool {
        match self {
            Self::Runs | Self::Refuses => false,
            Self::Vanishes | Self::Idles | Self::Hangs => true,
        }
    }
}

/// Which of a world's members: in most worlds none, never more than two, and of the last that are there from the beginning,
/// where the first may be fabricators. One of three is honest.
pub fn draw(seed: u64, nodes: usize) -> Vec<(usize, Trick)> {
    let mut dice = Dice::new(seed, 16);
    let count = *dice.pick(&[0, 0, 0, 0, 0, 0, 1, 2]);
    (0..count.min(nodes.saturating_sub(1) / 2)).map(|n| (nodes - 1 - n, *dice.pick(&Trick::ALL))).collect()
}

/// Whatever anybody asks for here.
pub fn everything() -> Capabilities {
    Capabilities::parse(["cores=64", "gpu=8", "zone=a", "worker.w=8"]).expect("lawful capabilities")
}

/// Whoever has failed one driver so often, and helped with nothing, is found out.
const OFTEN: u32 = 3;

/// More slots than anybody has, all of them free.
const SLOTS: u32 = 64;

/// What it says of its room. Whether that is a lie.
pub fn forge(item: &mut Item) -> bool {
    let Item::Bid { bid, .. } = item else { return false };
    let best = Some(Bid { slots: SLOTS, busy: 0, free_ppm: 1_000_000 });
    std::mem::replace(bid, best) != best
}

/// What it says of how busy it is.
pub fn idle(said: &mut Heartbeat) {
    *said = Heartbeat { slots: SLOTS, running: 0, queued: 0, ..*said };
}

impl World {
    /// What this member does with what it is given, if it lies about itself.
    pub(super) fn trick_of(&self, node: usize) -> Option<Trick> {
        self.options.bidders.iter().find(|(bidder, _)| *bidder == node).map(|(_, trick)| *trick)
    }

    /// It is to begin something: whether it does not. Healed, all run what they have.
    pub(super) fn never_begins(&mut self, node: usize) -> bool {
        let Some(trick) = self.trick_of(node).filter(|_| self.healed.is_none()) else { return false };
        match trick {
            Trick::Runs | Trick::Refuses | Trick::Hangs => return false,
            Trick::Vanishes => {
                self.count(Count::BidderVanished);
                let life = self.nodes[node].life;
                self.queue.push(self.at, Event::Crash { node: node as u16, life });
            }
            Trick::Idles => self.count(Count::BidderIdled),
        }
        true
    }

    /// What becomes of something that it begins.
    pub(super) fn twist_course(&mut self, node: usize, course: &mut Course) {
        match self.trick_of(node).filter(|_| self.healed.is_none()) {
            Some(Trick::Refuses) => {
                self.count(Count::BidderRefused);
                let outcome = Outcome::failed(FailureKind::NotAllowed, "it has something better to do");
                *course = Course { kind: Kind::Refused, takes: course.takes.min(1_000), outcome, ..*course };
            }
            Some(Trick::Hangs) => {
                self.count(Count::BidderHung);
                *course = Course { kind: Kind::Hangs, takes: u64::MAX, ..course.clone() };
            }
            Some(Trick::Runs | Trick::Vanishes | Trick::Idles) | None => {}
        }
    }

    /// Puts lies about itself in what one says.
    pub(super) fn boast(&mut self, node: usize, message: &mut Message) {
        if self.trick_of(node).is_none() {
            return;
        }
        match message {
            Message::Task(frame) => {
                let forged = frame.items.iter_mut().map(forge).filter(|is_forged| *is_forged).count();
                self.counts.add_many(Count::BidForged, forged as u64);
            }
            Message::Control(ControlMessage::Heartbeat(said)) => idle(said),
            Message::Control(_) | Message::Consensus(_) => {}
        }
    }

    /// What drivers think of those that have failed them.
    pub(super) fn look_at_blame(&mut self, node: usize, effects: &[Effect]) {
        let me = self.nodes[node].id;
        let Some(body) = &mut self.nodes[node].body else { return };
        let mut failed = Vec::new();
        for effect in effects {
            if let Effect::Persist(Fact::Task(fact)) = effect {
                failed.extend(body.blame.persists(me, fact));
            }
        }
        failed.retain(|other| *other != me);
        for other in failed {
            let Some(body) = &self.nodes[node].body else { return };
            let Some(performance) = body.brain.tasks().roster().seat(&other).map(|seat| seat.performance) else {
                continue;
            };
            let (judged, failures) = (body.blame.judge(&other, performance), body.blame.failures(&other));
            self.checks.note(judged);
            let is_bidder = self.by_id.get(&other).is_some_and(|other| self.trick_of(*other).is_some());
            if is_bidder && failures.is_some_and(|failures| failures >= OFTEN) {
                self.count(Count::BidderFoundOut);
            }
        }
    }

    /// Nobody but its operator ends what one withholds: whoever asks is told that it runs.
    pub(super) fn restart_bidders(&mut self) {
        for (node, trick) in self.options.bidders.clone() {
            if trick.withholds() && self.nodes[node].is_running() {
                self.crash(node, false);
            }
        }
    }
}

/// One that lies is told what it won.
pub fn count_award(item: &Item, counts: &mut Counts) {
    if matches!(item, Item::Closed { won: 1.., .. }) {
        counts.add(Count::BidderAwarded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::needs::{draw_requirements, is_able};
    use mesh_proto::id::NodeId;

    #[test]
    fn most_worlds_have_none_and_each_trick_is_played_in_some() {
        let worlds: Vec<_> = (0..265).map(|seed| draw(seed, 5)).collect();
        let honest = worlds.iter().filter(|bidders| bidders.is_empty()).count();
        assert!((175..230).contains(&honest), "{honest}");
        for trick in Trick::ALL {
            assert!(worlds.iter().flatten().filter(|(_, played)| *played == trick).count() > 2, "{trick:?}");
        }
        assert!((0..265).all(|seed| draw(seed, 3).len() <= 1 && draw(seed, 1).is_empty()));
    }

    #[test]
    fn it_claims_nearly_all_that_is_asked_for() {
        let (mut dice, node) = (Dice::new(1, 0), NodeId::from_bytes([1; 32]));
        let asked: Vec<_> = (0..500).map(|_| draw_requirements(&mut dice)).collect();
        let claimed = asked.iter().filter(|asked| is_able(&node, &everything(), asked)).count();
        assert!(claimed > 400, "{claimed}");
    }

    #[test]
    fn a_bid_is_the_best_that_can_be() {
        let mut said = Item::Bid { auction: 3, bid: None };
        assert!(forge(&mut said));
        assert!(matches!(said, Item::Bid { bid: Some(Bid { busy: 0, slots: SLOTS, .. }), auction: 3 }));
        assert!(!forge(&mut said), "there is no better one");
        assert!(!forge(&mut Item::Yielded { count: 1 }));
    }
}
