use super::mass::Mass;

/// What passed between this member and another, for one aggregation.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// All that was given to it, and the turn of the last share that said so.
    pub given: Mass,
    pub turn: u64,
    /// The first share that said all of it. Since it was acknowledged, nothing is under way.
    pub since: u64,
    pub is_known: bool,
    /// Which life of the other's this is of: 0 while nothing was heard of it.
    pub life: u64,
    /// All that was taken of that life, and by which share.
    pub taken: Mass,
    pub taken_turn: u64,
    /// What passed counts. It does not while there is no connection, nor from then on until the other is heard: it may have
    /// lost its memory.
    pub is_up: bool,
    /// One of those that this member gives to.
    pub is_drawn: bool,
    /// It takes no part.
    pub is_refused: bool,
}

impl Link {
    /// Nothing has passed yet.
    pub fn begun() -> Self {
        Self { is_known: true, is_up: true, ..Self::default() }
    }

    /// What this member's mass is the smaller by.
    pub fn passed(&self) -> Mass {
        let mut passed = self.given.clone();
        passed.take(&self.taken);
        passed
    }

    pub fn numbers(&self) -> usize {
        self.given.len() + self.taken.len()
    }
}
