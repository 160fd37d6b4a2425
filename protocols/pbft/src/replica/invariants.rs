use super::Replica;

impl Replica {
    /// Slots, votes, checkpoints' numbers and view changes that are kept for others.
    #[cfg(test)]
    pub(crate) fn held_for_others(&self) -> (usize, usize, usize, usize) {
        let votes = |slot: &super::slot::Slot| slot.prepares.iter().count() + slot.commits.iter().count();
        let ballots = self.slots.values().map(votes).sum();
        (self.slots.len(), ballots, self.checkpoint_votes.len(), self.changes.len())
    }

    /// Bytes of bodies that were fetched.
    #[cfg(test)]
    pub(crate) fn stashed_bytes(&self) -> usize {
        self.stash.bytes()
    }

    /// Cheap enough to stay on in release builds: a replica that is wrong stops, and is one of the f.
    pub(super) fn check_invariants(&self) {
        let running = self.running.len() as u64;
        assert_eq!(self.issued.above(self.executed), running, "what was given out and is not done is running");
        assert!(self.executed >= self.durable.held(), "execution is not behind the state that is held");
        let first = self.slots.first_key_value().map(|(sequence, _)| *sequence);
        assert!(first.is_none_or(|first| first > self.durable.low()), "no slot is below the window");
        let last = self.slots.last_key_value().map(|(sequence, _)| *sequence);
        assert!(last.is_none_or(|last| last <= self.durable.high()), "no slot is above the window");
        let log = self.durable.log.last_key_value().map(|(sequence, _)| *sequence);
        assert!(log.is_none_or(|log| log <= self.durable.high()), "nothing was accepted above the window");
    }
}
