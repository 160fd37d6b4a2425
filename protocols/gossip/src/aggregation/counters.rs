/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Aggregations under way here, wherever they began.
    pub open: u64,
    /// Numbers held for them.
    pub numbers: u64,
    /// Begun here, and begun elsewhere and joined.
    pub asked: u64,
    pub joined: u64,
    /// Begun here and answered: with the accuracy that was asked for, and without it at the deadline.
    pub settled: u64,
    pub unsettled: u64,
    /// Not taken part in, or not begun, for lack of room; and shares that were no shares.
    pub refused: u64,
    pub malformed: u64,
    /// Shares sent, and how many of them once more.
    pub shares: u64,
    pub again: u64,
}
