//! What the committee lacks, as one of its members sees it. The same for all that see the same, so that their signatures
//! come together under one change.

use super::presence::{Reach, Seen};
use crate::api::Code;
use mesh_proto::{genesis::Engine, id::NodeId, ledger::Committee, limits};
use std::{collections::BTreeMap, time::Duration};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Add(NodeId),
    Remove(NodeId),
}

/// What counts as reliable, and what as failed.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// In reach for so long: it may be taken in.
    pub stay: Duration,
    /// Out of reach for so long: it is replaced.
    pub gone_after: Duration,
    /// What the committee's size comes to.
    pub engine: Engine,
}

/// The next change, if one is called for.
///
/// A committee is to have 3f + 1 members, under Raft 2f + 1, as many as there are reliable nodes for, at most as many as was
/// agreed on; the sizes between are only passed through. Whoever fails is replaced, the new one coming first, so that not even for one
/// epoch fewer faults are tolerated; without another it keeps its seat, since it may come back.
pub fn next(committee: &Committee, nodes: &BTreeMap<NodeId, Seen>, patience: Patience) -> Option<Step> {
    if !committee.auto.on || committee.pending.is_some() {
        return None;
    }
    let is_failed = |node: &NodeId| {
        nodes.get(node).is_some_and(|seen| match seen.reach {
            Reach::There => false,
            Reach::Silent => seen.lasts >= patience.gone_after,
            Reach::Gone => true,
        })
    };
    let seats = committee.seats.len();
    let failed: Vec<NodeId> = committee.seats.iter().map(|seat| seat.node).filter(is_failed).collect();
    let may_sit = |(node, seen): &(&NodeId, &Seen)| {
        seen.is_full && seen.reach == Reach::There && seen.lasts >= patience.stay && committee.seat(node).is_none()
    };
    let mut candidates = nodes.iter().filter(may_sit).map(|(node, _)| *node);
    let reliable = seats - failed.len() + candidates.clone().count();
    let tolerant = |members| mesh_ledger::tolerant(patience.engine, members);
    let goal = tolerant(reliable.min(usize::from(committee.auto.max)));
    let tolerates = mesh_ledger::tolerated(patience.engine, seats) > 0;
    match failed.first() {
        // One or two more than need be, of whom one has failed: as many faults are tolerated without it.
        Some(failed) if tolerates && tolerant(seats) != seats => Some(Step::Remove(*failed)),
        // There is no room for another first.
        Some(failed) if seats >= limits::FOUNDERS => candidates.next().map(|_| Step::Remove(*failed)),
        Some(_) if tolerates && tolerant(seats) == seats => candidates.next().map(Step::Add),
        _ if seats < goal => candidates.next().map(Step::Add),
        _ => None,
    }
}

/// Whether a candidate that was not taken in brought it on itself, so that another is to be tried before it. That others
/// came first, that there is no quorum or no room, or that this node stops, is nothing against it.
pub fn is_its_fault(code: Code) -> bool {
    matches!(
        code,
        // It does not answer or follow, or its replica has stopped.
        Code::Unavailable | Code::Conflict
        // The ledger has revoked it or lets nobody in by its credential, does not know it, or knows another disk of it; or it
        // is of a build that is too old.
        | Code::Forbidden | Code::NotMember | Code::SecondIdentity | Code::Unsupported
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steward::presence::Presence;
    use mesh_coordinator::MemberView;
    use mesh_proto::{
        capability::Capabilities,
        domain::Epoch,
        id::StoreId,
        ledger::{Auto, Index, Pending, Seat},
    };
    use std::{collections::BTreeSet, time::Instant};

    const PATIENCE: Patience =
        Patience { stay: Duration::from_secs(60), gone_after: Duration::from_secs(600), engine: Engine::Pbft };

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    fn there_in_table(number: u8) -> MemberView {
        MemberView {
            node: node(number),
            store: StoreId(1),
            role: "full".into(),
            dated: mesh_proto::time::Wall(0),
            state: "alive".into(),
            addresses: Vec::new(),
            name: None,
            zone: None,
            capabilities: Capabilities::default(),
            load: None,
            heard_ms: None,
            standpoint: None,
            history: Vec::new(),
        }
    }

    fn committee(members: &[u8]) -> Committee {
        let seats = members.iter().map(|member| Seat { node: node(*member), store: None }).collect();
        Committee { epoch: Epoch(0), since: Index::GENESIS, seats, auto: Auto { on: true, max: 7 }, pending: None }
    }

    fn there(numbers: impl IntoIterator<Item = u8>) -> BTreeMap<NodeId, Seen> {
        let seen = Seen { reach: Reach::There, lasts: Duration::from_secs(60), is_full: true };
        numbers.into_iter().map(|number| (node(number), seen)).collect()
    }

    fn but(nodes: &BTreeMap<NodeId, Seen>, number: u8, reach: Reach, seconds: u64) -> BTreeMap<NodeId, Seen> {
        let seen = Seen { reach, lasts: Duration::from_secs(seconds), is_full: true };
        nodes.clone().into_iter().chain([(node(number), seen)]).collect()
    }

    /// All changes until there is none, each in effect before the next.
    fn grown(members: &[u8], nodes: &BTreeMap<NodeId, Seen>, max: u8) -> (Vec<Step>, usize) {
        grown_on(Engine::Pbft, members, nodes, max)
    }

    fn grown_on(engine: Engine, members: &[u8], nodes: &BTreeMap<NodeId, Seen>, max: u8) -> (Vec<Step>, usize) {
        let patience = Patience { engine, ..PATIENCE };
        let mut committee = committee(members);
        committee.auto.max = max;
        let mut steps = Vec::new();
        while let Some(step) = next(&committee, nodes, patience) {
            assert!(steps.len() < 40, "it never ends: {steps:?}");
            match step {
                Step::Add(node) => committee.seats.push(Seat { node, store: None }),
                Step::Remove(node) => committee.seats.retain(|seat| seat.node != node),
            }
            steps.push(step);
        }
        (steps, committee.seats.len())
    }

    #[test]
    fn a_committee_grows_to_four_and_seven_and_to_nothing_between() {
        for (nodes, size) in [(1, 1), (3, 1), (4, 4), (6, 4), (7, 7), (9, 7)] {
            assert_eq!(grown(&[1], &there(1..=nodes), 7).1, size, "of {nodes}");
        }
        assert_eq!(grown(&[1], &there(1..=31), 31).1, 31);
        assert_eq!(grown(&[1], &there(1..=20), 4).1, 4);
        // Where it stopped on the way because somebody went away it goes on.
        assert_eq!(grown(&[1, 2], &there(1..=4), 7).1, 4);
    }

    #[test]
    fn under_raft_it_grows_to_three_and_five_and_mends_itself() {
        for (nodes, size) in [(1, 1), (2, 1), (3, 3), (4, 3), (5, 5), (6, 5), (7, 7), (9, 7)] {
            assert_eq!(grown_on(Engine::Raft, &[1], &there(1..=nodes), 7).1, size, "of {nodes}");
        }
        let silent = but(&there(1..=4), 3, Reach::Silent, 600);
        let steps = [Step::Add(node(4)), Step::Remove(node(3))];
        assert_eq!(grown_on(Engine::Raft, &[1, 2, 3], &silent, 7), (steps.to_vec(), 3));
    }

    #[test]
    fn only_full_nodes_that_stayed_are_taken_in() {
        let young = but(&there(1..=3), 4, Reach::There, 59);
        assert_eq!(next(&committee(&[1]), &young, PATIENCE), None);
        let mut worker = there(1..=4);
        worker.insert(node(4), Seen { is_full: false, ..worker[&node(4)] });
        assert_eq!(next(&committee(&[1]), &worker, PATIENCE), None);
        assert_eq!(next(&committee(&[1]), &there(1..=4), PATIENCE), Some(Step::Add(node(2))));
    }

    #[test]
    fn who_fails_is_replaced_when_there_is_another_and_by_that_first() {
        let silent = but(&there(1..=5), 4, Reach::Silent, 600);
        let steps = [Step::Add(node(5)), Step::Remove(node(4))];
        assert_eq!(grown(&[1, 2, 3, 4], &silent, 7), (steps.to_vec(), 4));
        // At the most there may be, too.
        assert_eq!(grown(&[1, 2, 3, 4], &silent, 4), (steps.to_vec(), 4));
        let gone = but(&there(1..=5), 4, Reach::Gone, 0);
        assert_eq!(grown(&[1, 2, 3, 4], &gone, 4), (steps.to_vec(), 4));
        let alone = but(&there(1..=4), 4, Reach::Silent, 10_000);
        assert_eq!(next(&committee(&[1, 2, 3, 4]), &alone, PATIENCE), None, "it may come back");
        let a_while = but(&there(1..=5), 4, Reach::Silent, 599);
        assert_eq!(next(&committee(&[1, 2, 3, 4]), &a_while, PATIENCE), None);
    }

    #[test]
    fn a_seat_that_no_table_names_is_failed_once_it_was_missed_for_long_enough() {
        let (mut presence, begin, pause) = (Presence::default(), Instant::now(), Duration::from_secs(10_000));
        let members: Vec<MemberView> = [1, 2, 3, 5].map(there_in_table).into();
        let seats = committee(&[1, 2, 3, 4]).seats;
        let mut at = |second: u64| {
            let nodes = presence.look(begin + Duration::from_secs(second), pause, &members, &seats, &BTreeSet::new());
            next(&committee(&[1, 2, 3, 4]), &nodes, PATIENCE)
        };
        assert_eq!((at(0), at(599)), (None, None), "it may be told of yet");
        assert_eq!(at(600), Some(Step::Add(node(5))));
        let seats = committee(&[1, 2, 3, 4, 5]).seats;
        let nodes = presence.look(begin + Duration::from_secs(601), pause, &members, &seats, &BTreeSet::new());
        assert_eq!(next(&committee(&[1, 2, 3, 4, 5]), &nodes, PATIENCE), Some(Step::Remove(node(4))));
    }

    #[test]
    fn only_what_a_candidate_is_or_does_itself_is_held_against_it() {
        use Code::*;
        for code in [Unavailable, Conflict, Forbidden, NotMember, SecondIdentity, Unsupported] {
            assert!(is_its_fault(code), "{code:?}");
        }
        for code in [Pending, TooMany, Overtaken, Already, ShuttingDown, NoQuorum, NotEntitled, Busy, Full, TooOld] {
            assert!(!is_its_fault(code), "{code:?}");
        }
    }

    #[test]
    fn a_committee_that_stopped_growing_is_mended_too() {
        for seats in [6, 9] {
            let members: Vec<u8> = (1..=seats).collect();
            let nodes = but(&there(1..=seats), seats, Reach::Silent, 600);
            let (steps, size) = grown(&members, &nodes, 31);
            assert_eq!(steps.first(), Some(&Step::Remove(node(seats))), "of {seats}");
            assert_eq!(size, usize::from(seats) - 1, "of {seats}");
        }
        // Then who took nobody's place may take one.
        let two = but(&but(&there(1..=7), 6, Reach::Silent, 600), 5, Reach::Silent, 600);
        assert_eq!(grown(&[1, 2, 3, 4, 5, 6], &two, 4).1, 4);
        let full: Vec<u8> = (1..=31).collect();
        let nodes = but(&there(1..=32), 31, Reach::Silent, 600);
        assert_eq!(grown(&full, &nodes, 31), (vec![Step::Remove(node(31)), Step::Add(node(32))], 31));
    }

    #[test]
    fn who_is_back_does_not_push_out_who_took_its_place() {
        assert_eq!(next(&committee(&[1, 2, 3, 5]), &there(1..=5), PATIENCE), None);
    }

    #[test]
    fn nothing_is_done_while_a_change_waits_or_where_it_is_off() {
        let waiting = Committee { pending: Some(Pending::Remove(node(9))), ..committee(&[1]) };
        assert_eq!(next(&waiting, &there(1..=4), PATIENCE), None);
        let off = Committee { auto: Auto { on: false, max: 7 }, ..committee(&[1]) };
        assert_eq!(next(&off, &there(1..=4), PATIENCE), None);
    }
}
