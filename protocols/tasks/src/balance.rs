//! How many of those that wait here begin sooner elsewhere. Tasks whose next place is as far away as this one are not worth the
//! two durable rounds of a move, and would come back: so both sides compare what waits for each of their slots, and no more moves
//! than makes that even.

use mesh_proto::id::NodeId;

/// What a member has at hand, running and waiting, and in how many slots it begins that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Burden {
    pub slots: u32,
    pub attempts: u32,
}

impl Burden {
    fn free(&self) -> u32 {
        self.slots.saturating_sub(self.attempts)
    }

    /// How many of it the other has a place for sooner: half of the difference where both have as many slots. A free slot is
    /// sooner in any case.
    pub fn sooner_at(&self, other: &Self) -> u32 {
        let slots = u64::from(self.slots) + u64::from(other.slots);
        let even =
            times(self.attempts, other.slots).saturating_sub(times(other.attempts, self.slots)).checked_div(slots);
        u32::try_from(even.unwrap_or(0)).unwrap_or(u32::MAX).max(other.free().min(self.attempts))
    }
}

fn times(a: u32, b: u32) -> u64 {
    u64::from(a) * u64::from(b)
}

/// Somebody who could be given so many, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub node: NodeId,
    pub burden: Burden,
    pub room: u32,
}

/// What each is to be given, for all to have as many at hand for each slot as is left here: who has more already is given
/// nothing. The least busy first.
pub(crate) fn shares(own: Burden, mut others: Vec<Room>) -> Vec<(NodeId, u32)> {
    others.sort_by(|a, b| {
        times(a.burden.attempts, b.burden.slots)
            .cmp(&times(b.burden.attempts, a.burden.slots))
            .then(a.node.cmp(&b.node))
    });
    let (mut attempts, mut slots) = (u128::from(own.attempts), u128::from(own.slots));
    for Room { burden, .. } in &others {
        if u128::from(burden.attempts) * slots >= attempts * u128::from(burden.slots) {
            break;
        }
        attempts += u128::from(burden.attempts);
        slots += u128::from(burden.slots);
    }
    let share = |Room { node, burden, room }| {
        let even = (attempts * u128::from(burden.slots)).checked_div(slots).unwrap_or(0);
        let more = even.saturating_sub(u128::from(burden.attempts));
        let more = u32::try_from(more).unwrap_or(u32::MAX).max(burden.free());
        (node, more.min(room).min(own.attempts))
    };
    others.into_iter().map(share).filter(|(_, share)| *share > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn burden(slots: u32, attempts: u32) -> Burden {
        Burden { slots, attempts }
    }

    fn room(n: u8, burden: Burden) -> Room {
        Room { node: NodeId::from_bytes([n; 32]), burden, room: u32::MAX }
    }

    #[test]
    fn as_many_move_as_begin_sooner() {
        let sooner = |from: Burden, to: Burden| from.sooner_at(&to);
        assert_eq!(sooner(burden(4, 44), burden(4, 4)), 20);
        assert_eq!(sooner(burden(4, 8), burden(4, 35)), 0);
        assert_eq!(sooner(burden(4, 8), burden(4, 7)), 0, "it would be behind as many");
        assert_eq!(sooner(burden(4, 5), burden(4, 3)), 1, "a free slot");
        assert_eq!(sooner(burden(1, 12), burden(8, 8)), 9, "3 and 17");
        assert_eq!(sooner(burden(8, 8), burden(1, 0)), 1);
        assert_eq!(sooner(burden(0, 9), burden(2, 1)), 9, "nothing begins where there is no slot");
        assert_eq!(sooner(burden(2, 9), burden(0, 0)), 0);
        assert_eq!(sooner(burden(0, 9), burden(0, 0)), 0);
        assert_eq!(sooner(burden(u32::MAX, u32::MAX), burden(u32::MAX, 0)), u32::MAX);
    }

    #[test]
    fn what_one_has_is_spread_evenly_over_all() {
        let idle: Vec<Room> = (1..=4).map(|n| room(n, burden(4, 0))).collect();
        let given: Vec<u32> = shares(burden(4, 54), idle).into_iter().map(|(_, share)| share).collect();
        assert_eq!(given, [10; 4], "14 are left");
        let others = vec![room(1, burden(4, 40)), room(2, burden(2, 2)), room(3, burden(4, 12))];
        // 36 for the ten slots of those that have fewer for each than the first.
        assert_eq!(shares(burden(4, 22), others), [(room(2, burden(2, 2)).node, 5), (room(3, burden(4, 12)).node, 2)]);
    }

    proptest! {
        /// Whatever was given, nobody has more for each slot than is left here, but in free slots.
        #[test]
        fn nothing_is_to_come_back(own in (1u32..9, 0u32..500), others in vec((1u32..9, 0u32..500), 0..6)) {
            let own = burden(own.0, own.1);
            let others: Vec<Room> = (1u8..).zip(others).map(|(n, (slots, attempts))| room(n, burden(slots, attempts))).collect();
            let given = shares(own, others.clone());
            let left = own.attempts.saturating_sub(given.iter().map(|(_, share)| *share).sum());
            for (node, share) in given {
                let before = others.iter().find(|other| other.node == node).expect("one of them").burden;
                let after = Burden { attempts: before.attempts + share, ..before };
                let would_return = after.sooner_at(&Burden { attempts: left, ..own }) > 0;
                prop_assert!(after.attempts <= after.slots || !would_return);
                prop_assert!(share <= before.free().max(own.sooner_at(&before)));
            }
        }
    }
}
