use std::time::Duration;

/// Times and bounds of aggregations.
#[derive(Clone, Debug)]
pub struct Config {
    /// Between two rounds. Default 200 ms.
    pub round: Duration,
    /// After which what was not acknowledged is sent again; a round trip is to take less. Default 100 ms: what is lost three
    /// times is two rounds old when it comes, and sets back who takes it by as much.
    pub again: Duration,
    /// Members that are given a part in each round. Default 4: what is left to even out is a fifth of the variance after each.
    pub fanout: usize,
    /// Members that one gives to at all, drawn as it goes: each costs memory for the length of the aggregation. Default 16, with
    /// which one in ten million is drawn by nobody.
    pub neighbours: usize,
    /// Members that one takes from and gives to. Default 64: where each draws 16, so many do not draw the same.
    pub links_max: usize,
    /// Shares that were not acknowledged and are sent again, at once. Default 8.
    pub again_max: usize,
    /// The longest that one may take. Default 60 s.
    pub longest: Duration,
    /// Aggregations that one member takes part in at once. Default 32.
    pub open_max: usize,
    /// Of these, the ones that began at one member, and the ones that this heard of from one first. Default 8 and 16: one
    /// member that asks without end leaves room for the others.
    pub of_origin_max: usize,
    pub by_teller_max: usize,
    /// Numbers that are held for all of them, of up to 40 bytes each. Default 2 million.
    pub numbers_max: usize,
    /// Ends that are remembered, so that late shares do not begin anew what is over. Default 1,024.
    pub ends_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            round: Duration::from_millis(200),
            again: Duration::from_millis(100),
            fanout: 4,
            neighbours: 16,
            links_max: 64,
            again_max: 8,
            longest: Duration::from_secs(60),
            open_max: 32,
            of_origin_max: 8,
            by_teller_max: 16,
            numbers_max: 2_000_000,
            ends_max: 1024,
        }
    }
}
