//! What of the log the store has not taken in.

/// The log counts from its last release; what was appended while the store was being written was not taken in by it,
/// and may be much where the store had to wait for the disk.
#[derive(Debug, Default)]
pub struct Backlog {
    /// Not taken in when the log was last released.
    before: u64,
    /// The backlog when the snapshot was begun that is being written.
    begun: u64,
}

impl Backlog {
    /// Bytes, with those that the log has appended since its last release.
    pub fn bytes(&self, since_release: u64) -> u64 {
        self.before.saturating_add(since_release)
    }

    /// A snapshot of all that is in the log is handed to the store.
    pub fn begin(&mut self, since_release: u64) {
        self.begun = self.bytes(since_release);
    }

    /// The store has taken it in, and the log is about to be released.
    pub fn release(&mut self, since_release: u64) {
        self.before = self.bytes(since_release).saturating_sub(std::mem::take(&mut self.begun));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_while_the_store_is_written_is_still_to_be_taken_in() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.bytes(70), 70);
        backlog.begin(70);
        assert_eq!(backlog.bytes(95), 95);
        backlog.release(95);
        assert_eq!((backlog.bytes(0), backlog.bytes(10)), (25, 35));
        backlog.begin(10);
        backlog.release(10);
        assert_eq!(backlog.bytes(0), 0);
    }
}
