//! Slots that a bidder keeps for those whom it bid to, for a bounded time.

use mesh_proto::{id::NodeId, time::Mono};
use std::collections::BTreeMap;

/// Auctions of all auctioneers that slots are kept for, at most; and of one of them.
const KEPT: usize = 1_024;
const KEPT_FOR_ONE: usize = 64;

/// By auctioneer and its number for the auction.
#[derive(Debug, Default)]
pub struct Reserve {
    kept: BTreeMap<(NodeId, u64), (u32, Mono)>,
    total: u32,
}

impl Reserve {
    /// All slots that are kept.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// Keeps so many until then, instead of what was kept for the same auction.
    pub fn keep(&mut self, auctioneer: NodeId, auction: u64, count: u32, until: Mono) {
        self.release(auctioneer, auction);
        let of_one = self.kept.range((auctioneer, 0)..=(auctioneer, u64::MAX)).count();
        if count > 0 && self.kept.len() < KEPT && of_one < KEPT_FOR_ONE {
            self.kept.insert((auctioneer, auction), (count, until));
            self.total = self.total.saturating_add(count);
        }
    }

    /// The auction is over: at most so many come, by then.
    pub fn settle(&mut self, auctioneer: NodeId, auction: u64, won: u32, until: Mono) {
        if let Some((count, _)) = self.kept.get(&(auctioneer, auction)).copied() {
            self.keep(auctioneer, auction, count.min(won), until);
        }
    }

    /// An attempt came by this auctioneer's word: one slot less is kept for it.
    pub fn arrived(&mut self, auctioneer: NodeId) {
        let mut of_one = self.kept.range_mut((auctioneer, 0)..=(auctioneer, u64::MAX));
        let Some((key, (count, _))) = of_one.next() else { return };
        let key = *key;
        *count -= 1;
        self.total = self.total.saturating_sub(1);
        if *count == 0 {
            self.kept.remove(&key);
        }
    }

    /// Lets go of what nobody came for.
    pub fn expire(&mut self, now: Mono) {
        let over: Vec<(NodeId, u64)> =
            self.kept.iter().filter(|(_, (_, until))| *until <= now).map(|(key, _)| *key).collect();
        for (auctioneer, auction) in over {
            self.release(auctioneer, auction);
        }
    }

    pub fn deadline(&self) -> Option<Mono> {
        self.kept.values().map(|(_, until)| *until).min()
    }

    fn release(&mut self, auctioneer: NodeId, auction: u64) {
        if let Some((count, _)) = self.kept.remove(&(auctioneer, auction)) {
            self.total = self.total.saturating_sub(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use std::time::Duration;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn at(s: u64) -> Mono {
        Mono::default() + Duration::from_secs(s)
    }

    #[test]
    fn what_is_kept_goes_by_arrival_by_the_close_and_by_time() {
        let mut reserve = Reserve::default();
        reserve.keep(node(1), 7, 3, at(5));
        reserve.keep(node(2), 7, 2, at(6));
        assert_eq!((reserve.total(), reserve.deadline()), (5, Some(at(5))));
        reserve.arrived(node(1));
        reserve.settle(node(1), 7, 1, at(9));
        assert_eq!((reserve.total(), reserve.deadline()), (3, Some(at(6))));
        reserve.settle(node(3), 7, 4, at(9));
        reserve.expire(at(6));
        assert_eq!((reserve.total(), reserve.deadline()), (1, Some(at(9))));
        reserve.arrived(node(1));
        reserve.arrived(node(1));
        assert_eq!((reserve.total(), reserve.deadline()), (0, None));
    }

    #[test]
    fn nobody_has_more_than_a_share() {
        let mut reserve = Reserve::default();
        (0..1_000).for_each(|auction| reserve.keep(node(1), auction, 1, at(1)));
        assert_eq!(reserve.total(), u32::try_from(KEPT_FOR_ONE).unwrap());
        (2..=255).for_each(|n| (0..64).for_each(|auction| reserve.keep(node(n), auction, 1, at(1))));
        assert_eq!(reserve.total(), u32::try_from(KEPT).unwrap());
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum(steps in vec((0u8..5, 1u8..4, 0u64..4, 0u32..5, 0u64..20), 0..60)) {
            let mut reserve = Reserve::default();
            for (what, who, auction, count, time) in steps {
                match what {
                    0 | 1 => reserve.keep(node(who), auction, count, at(time)),
                    2 => reserve.settle(node(who), auction, count, at(time)),
                    3 => reserve.arrived(node(who)),
                    _ => reserve.expire(at(time)),
                }
                prop_assert_eq!(reserve.total(), reserve.kept.values().map(|(count, _)| *count).sum::<u32>());
                prop_assert!(reserve.kept.values().all(|(count, _)| *count > 0));
            }
        }
    }
}
