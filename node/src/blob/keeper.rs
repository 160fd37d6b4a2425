//! What others need here: who holds a record that names this node says so, again and again, and so each node can tell
//! by itself what it keeps a blob for, although it holds no such record.
//!
//! A statement lasts for [`BlobConfig::keep_lease`](super::BlobConfig::keep_lease), and holders repeat it three times
//! as often. Silence is no word: only a holder that was in reach for long enough and did not repeat it has let go. One
//! that is out of reach may hold the only record, and is waited for
//! [`BlobConfig::silent_keep`](super::BlobConfig::silent_keep). Nothing of this is on the disk. After a restart every
//! blob counts as needed until the holders have had the time to say what they need.

use super::config::BlobConfig;
use mesh_proto::id::NodeId;
use std::{collections::BTreeMap, time::Instant};

/// Whom this node can talk to, and since when without a break. What it does not know of it takes for out of reach.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    pub since: BTreeMap<NodeId, Instant>,
    /// Every member that may hold records, since then.
    pub all_since: Option<Instant>,
}

/// Who needs one blob, and until when their last word holds.
#[derive(Debug, Default)]
pub(super) struct Keepers {
    named: Vec<(NodeId, Instant)>,
    /// Whoever is not named: those above the bound, and everybody after a restart.
    others: Option<Instant>,
}

/// Keepers that are told apart: a record has three holders, and a program that many records name is kept by any of
/// them. Bounds the memory of a blob.
const NAMED: usize = 8;

impl Keepers {
    /// As after a restart: anybody may need it.
    pub(super) fn anybody(until: Option<Instant>) -> Self {
        Self { named: Vec::new(), others: until }
    }

    pub(super) fn state(&mut self, who: NodeId, until: Instant) {
        if let Some((_, end)) = self.named.iter_mut().find(|(node, _)| *node == who) {
            *end = until.max(*end);
        } else if self.named.len() < NAMED {
            self.named.push((who, until));
        } else {
            self.others = self.others.max(Some(until));
        }
    }

    /// Whether somebody needs the blob, as far as can be told.
    pub(super) fn need(&self, now: Instant, reach: &Reach, config: &BlobConfig) -> bool {
        let lasts = |end: Instant, since: Option<Instant>| match since {
            _ if now < end => true,
            // It was in reach for long enough to say it again.
            Some(since) if since + config.keep_settle <= now => false,
            _ => now < end + config.silent_keep,
        };
        self.named.iter().any(|(node, end)| lasts(*end, reach.since.get(node).copied()))
            || self.others.is_some_and(|end| lasts(end, reach.all_since))
    }

    /// Forgets those whose word no longer counts.
    pub(super) fn tidy(&mut self, now: Instant, reach: &Reach, config: &BlobConfig) {
        let alone = |node: &(NodeId, Instant)| Self { named: vec![*node], others: None }.need(now, reach, config);
        self.named.retain(alone);
        if !Self::anybody(self.others).need(now, reach, config) {
            self.others = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    fn config() -> BlobConfig {
        BlobConfig {
            keep_lease: 60 * MINUTE,
            keep_settle: 5 * MINUTE,
            silent_keep: 24 * 60 * MINUTE,
            ..BlobConfig::default()
        }
    }

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn reach(nodes: &[u8], since: Instant) -> Reach {
        Reach { since: nodes.iter().map(|n| (node(*n), since)).collect(), all_since: None }
    }

    #[test]
    fn a_holder_in_reach_lets_go_by_not_repeating_itself() {
        let (start, mut keepers) = (Instant::now(), Keepers::default());
        assert!(!keepers.need(start, &Reach::default(), &config()), "nobody said anything");
        keepers.state(node(1), start + 60 * MINUTE);
        let reach = reach(&[1], start);
        assert!(keepers.need(start + 59 * MINUTE, &reach, &config()));
        keepers.state(node(1), start + 80 * MINUTE);
        assert!(keepers.need(start + 79 * MINUTE, &reach, &config()));
        assert!(!keepers.need(start + 81 * MINUTE, &reach, &config()));
        keepers.tidy(start + 81 * MINUTE, &reach, &config());
        assert!(keepers.named.is_empty());
    }

    #[test]
    fn a_holder_out_of_reach_is_waited_for_and_one_that_is_back_has_time_to_speak() {
        let (start, mut keepers) = (Instant::now(), Keepers::default());
        keepers.state(node(1), start + 60 * MINUTE);
        let away = Reach::default();
        assert!(keepers.need(start + 20 * 60 * MINUTE, &away, &config()));
        keepers.tidy(start + 20 * 60 * MINUTE, &away, &config());
        assert!(!keepers.need(start + 26 * 60 * MINUTE, &away, &config()), "not for ever");
        let back = reach(&[1], start + 20 * 60 * MINUTE);
        assert!(keepers.need(start + (20 * 60 + 4) * MINUTE, &back, &config()));
        assert!(!keepers.need(start + (20 * 60 + 6) * MINUTE, &back, &config()));
    }

    #[test]
    fn after_a_restart_all_are_waited_for() {
        let start = Instant::now();
        let keepers = Keepers::anybody(Some(start));
        let whole = Reach { since: BTreeMap::new(), all_since: Some(start + MINUTE) };
        assert!(keepers.need(start + 5 * MINUTE, &whole, &config()));
        assert!(!keepers.need(start + 7 * MINUTE, &whole, &config()));
        assert!(keepers.need(start + 7 * MINUTE, &Reach::default(), &config()), "one is away");
    }

    #[test]
    fn keepers_above_the_bound_count_without_their_names() {
        let (start, mut keepers) = (Instant::now(), Keepers::default());
        for n in 0..50 {
            keepers.state(node(n), start + 60 * MINUTE);
        }
        assert_eq!(keepers.named.len(), NAMED);
        let named: Vec<u8> = (0..NAMED as u8).collect();
        let some = Reach { all_since: None, ..reach(&named, start) };
        assert!(keepers.need(start + 61 * MINUTE, &some, &config()));
        let all = Reach { all_since: Some(start), ..reach(&named, start) };
        assert!(!keepers.need(start + 61 * MINUTE, &all, &config()));
    }
}
