use mesh_proto::time::Mono;
use std::time::Duration;

/// What is true once it has been so for a while, and false at once: so that what comes and goes is not told each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lasting {
    since: Option<Mono>,
    holds: bool,
}

impl Lasting {
    /// Whether it holds, now that this is so; it does after `patience` in which it was so at each look.
    pub fn look(&mut self, now: Mono, is_so: bool, patience: Duration) -> bool {
        self.since = is_so.then(|| self.since.unwrap_or(now));
        self.holds = self.since.is_some_and(|since| self.holds || now.since(since) >= patience);
        self.holds
    }

    /// As of the last look.
    pub fn holds(&self) -> bool {
        self.holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_does_not_hold_and_what_holds_ends_at_once() {
        let mut lasting = Lasting::default();
        let mut look = |ms: u64, is_so| lasting.look(Mono(ms * 1000), is_so, Duration::from_millis(100));
        assert!(!look(0, true) && !look(99, true));
        assert!(!look(100, false) && !look(150, true) && !look(249, true));
        assert!(look(250, true) && look(1_000, true));
        assert!(!look(1_001, false) && !look(1_002, true) && look(1_102, true));
    }
}
