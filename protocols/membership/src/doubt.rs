use std::time::Duration;

/// How little a node trusts what it finds of others, since it may itself be what is slow (local health, Dadgar, Phillips and
/// Currey, *Lifeguard*, 2018, section IV-A): it waits so much longer before it suspects anybody, and for its own probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubt(u32);

/// So that a node that is slow for long still finds out, in nine times the time.
const MOST: u32 = 8;

impl Doubt {
    /// A timer was late, a question was not answered, or others suspect this node.
    pub(crate) fn more(&mut self) {
        self.0 = (self.0 + 1).min(MOST);
    }

    /// A heartbeat was in time.
    pub(crate) fn less(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    pub(crate) fn stretch(self, time: Duration) -> Duration {
        time * (1 + self.0)
    }

    pub(crate) fn score(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_grow_with_doubt_up_to_a_bound_and_shrink_again() {
        let mut doubt = Doubt::default();
        let time = Duration::from_secs(10);
        assert_eq!(doubt.stretch(time), time);
        doubt.more();
        assert_eq!(doubt.stretch(time), 2 * time);
        (0..20).for_each(|_| doubt.more());
        assert_eq!((doubt.stretch(time), doubt.score()), (9 * time, 8));
        (0..20).for_each(|_| doubt.less());
        assert_eq!(doubt.stretch(time), time);
    }
}
