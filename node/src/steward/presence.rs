use mesh_coordinator::MemberView;
use mesh_proto::id::NodeId;
use std::{
    collections::BTreeMap,
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
    Silent,
    /// It left, or was forgotten: it does not come back.
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
    /// node that lost its disk may never hear of it. Between two looks this process must not have stood still for longer than `pause`:
    /// else it begins anew, since it has heard nobody meanwhile.
    pub fn look(
        &mut self,
        now: Instant,
        pause: Duration,
        members: &[MemberView],
        seats: &[NodeId],
    ) -> BTreeMap<NodeId, Seen> {
        if self.last.replace(now).is_some_and(|last| now.saturating_duration_since(last) > pause) {
            self.since.clear();
        }
        let named = members.iter().map(|member| {
            let reach = match member.state.as_str() {
                "self" | "alive" => Reach::There,
                "left" | "forgotten" => Reach::Gone,
                _ => Reach::Silent,
            };
            (member.node, reach, member.role == "full")
        });
        let is_missing = |seat: &&NodeId| members.iter().all(|member| member.node != **seat);
        let missing = seats.iter().filter(is_missing).map(|seat| (*seat, Reach::Silent, false));
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
            state: state.into(),
            addresses: Vec::new(),
            name: None,
            zone: None,
            capabilities: Capabilities::default(),
            load: None,
            heard_ms: None,
        }
    }

    #[test]
    fn a_break_begins_the_count_anew_and_so_does_a_pause_of_this_process() {
        let (mut presence, begin, pause) = (Presence::default(), Instant::now(), Duration::from_secs(3));
        let mut lasts = |second: u64, state: &str| {
            let now = begin + Duration::from_secs(second);
            let seen = presence.look(now, pause, &[member(state)], &[]);
            seen[&NodeId::from_bytes([1; 32])].lasts.as_secs()
        };
        assert_eq!((lasts(0, "alive"), lasts(1, "alive"), lasts(3, "alive")), (0, 1, 3));
        assert_eq!((lasts(4, "silent"), lasts(6, "silent"), lasts(7, "alive")), (0, 2, 0));
        assert_eq!((lasts(8, "alive"), lasts(12, "alive"), lasts(13, "alive")), (1, 0, 1));
    }
}
