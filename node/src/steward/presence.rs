use mesh_coordinator::MemberView;
use mesh_proto::{id::NodeId, ledger::Seat};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// What one member has seen of one node, without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub reach: Reach,
    pub lasts: Duration,
    /// Its role lets it sit in the committee.
    pub is_full: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    There,
    /// Of a seat also: it answers, and says that it does not vote.
    Silent,
    /// It left, or was forgotten: it does not come back. Of a seat also: the disk that it is of was lost, and another never
    /// votes in its place.
    Gone,
}

/// Who is in reach, and since when.
#[derive(Debug, Default)]
pub struct Presence {
    since: BTreeMap<NodeId, (Reach, Instant)>,
    last: Option<Instant>,
}

impl Presence {
    /// What the member table says now. One of the `seats` that it does not name is silent from when it was first missed: a
    /// node that lost its disk may never hear of it. So is who answers, and says itself that it does not vote (`idle`). Between two
    /// looks this process must not have stood still for longer than `pause`: else it begins anew, since it has heard nobody
    /// meanwhile.
    pub fn look(
        &mut self,
        now: Instant,
        pause: Duration,
        members: &[MemberView],
        seats: &[Seat],
        idle: &BTreeSet<NodeId>,
    ) -> BTreeMap<NodeId, Seen> {
        if self.last.replace(now).is_some_and(|last| now.saturating_duration_since(last) > pause) {
            self.since.clear();
        }
        let named = members.iter().map(|member| {
            let seat = seats.iter().find(|seat| seat.node == member.node);
            let is_other_disk = seat.and_then(|seat| seat.store).is_some_and(|store| store != member.store);
            let reach = match member.state.as_str() {
                _ if is_other_disk => Reach::Gone,
                "self" | "alive" if idle.contains(&member.node) => Reach::Silent,
                "self" | "alive" => Reach::There,
                "left" | "forgotten" => Reach::Gone,
                _ => Reach::Silent,
            };
            (member.node, reach, member.role == "full")
        });
        let is_missing = |seat: &&Seat| members.iter().all(|member| member.node != seat.node);
        let missing = seats.iter().filter(is_missing).map(|seat| (seat.node, Reach::Silent, false));
        let mut seen = BTreeMap::new();
        let mut since = BTreeMap::new();
        for (node, reach, is_full) in named.chain(missing) {
            let before = self.since.get(&node).filter(|(before, _)| *before == reach);
            let begun = before.map_or(now, |(_, begun)| *begun);
            since.insert(node, (reach, begun));
            let lasts = now.saturating_duration_since(begun);
            seen.insert(node, Seen { reach, lasts, is_full });
        }
        self.since = since;
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{capability::Capabilities, id::StoreId};

    fn member(state: &str) -> MemberView {
        MemberView {
            node: NodeId::from_bytes([1; 32]),
            store: StoreId(1),
            role: "full".into(),
            dated: mesh_proto::time::Wall(0),
            state: state.into(),
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

    #[test]
    fn a_break_begins_the_count_anew_and_so_does_a_pause_of_this_process() {
        let (mut presence, begin, pause) = (Presence::default(), Instant::now(), Duration::from_secs(3));
        let mut lasts = |second: u64, state: &str| {
            let now = begin + Duration::from_secs(second);
            let seen = presence.look(now, pause, &[member(state)], &[], &BTreeSet::new());
            seen[&NodeId::from_bytes([1; 32])].lasts.as_secs()
        };
        assert_eq!((lasts(0, "alive"), lasts(1, "alive"), lasts(3, "alive")), (0, 1, 3));
        assert_eq!((lasts(4, "silent"), lasts(6, "silent"), lasts(7, "alive")), (0, 2, 0));
        assert_eq!((lasts(8, "alive"), lasts(12, "alive"), lasts(13, "alive")), (1, 0, 1));
    }

    #[test]
    fn a_seat_whose_node_answers_and_never_votes_is_not_there() {
        let node = NodeId::from_bytes([1; 32]);
        let reach = |store: Option<u64>, idle: &[NodeId]| {
            let seat = Seat { node, store: store.map(StoreId) };
            let idle = idle.iter().copied().collect();
            let seen = Presence::default().look(Instant::now(), Duration::MAX, &[member("alive")], &[seat], &idle);
            seen[&node].reach
        };
        assert_eq!(reach(Some(1), &[]), Reach::There);
        assert_eq!(reach(None, &[]), Reach::There, "of a founder's disk nothing is known");
        assert_eq!(reach(Some(2), &[]), Reach::Gone, "its disk was lost");
        assert_eq!(reach(None, &[node]), Reach::Silent, "it says itself that it does not vote");
        let other = NodeId::from_bytes([2; 32]);
        assert_eq!(reach(Some(1), &[other]), Reach::There);
    }
}
