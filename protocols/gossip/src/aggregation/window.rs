use super::estimate::Estimate;
use std::collections::VecDeque;

/// What this member and others have found of late: what they still differ by is what is known of how wrong each may be. The
/// whole truth is a mean of what all find, each by its weight; here is what some find, as drawn by chance.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// By round, the last one open; none for a finding that says nothing yet.
    rounds: VecDeque<Vec<Option<Estimate>>>,
}

/// How far apart findings are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub value: f64,
    pub covers: f64,
    pub reached: f64,
    /// How many of others' there are.
    pub heard: usize,
}

/// As long as a word of one member takes to some thousand others.
const ROUNDS: usize = 3;

impl Window {
    /// Another's finding.
    pub fn note(&mut self, found: Option<Estimate>) {
        match self.rounds.back_mut() {
            Some(round) => round.push(found),
            None => self.rounds.push_back(vec![found]),
        }
    }

    /// The round is over, in which this member found that itself.
    pub fn close(&mut self, own: Option<Estimate>) {
        self.note(own);
        self.rounds.push_back(Vec::new());
        // The one that begins does not count.
        while self.rounds.len() > ROUNDS + 1 {
            self.rounds.pop_front();
        }
    }

    pub fn is_full(&self) -> bool {
        self.rounds.len() > ROUNDS
    }

    /// From what this member finds now.
    pub fn spread(&self, now: &Estimate) -> Spread {
        let mut spread = Spread { value: 0.0, covers: 0.0, reached: 0.0, heard: 0 };
        for found in self.rounds.iter().flatten() {
            let (value, covers, reached) = match found {
                Some(found) => {
                    (now.distance(found), (now.covers - found.covers).abs(), (now.reached - found.reached).abs())
                }
                None => (f64::INFINITY, f64::INFINITY, f64::INFINITY),
            };
            spread.value = spread.value.max(value);
            spread.covers = spread.covers.max(covers);
            spread.reached = spread.reached.max(reached);
        }
        let own = self.rounds.len().saturating_sub(1);
        spread.heard = self.rounds.iter().map(Vec::len).sum::<usize>().saturating_sub(own);
        spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: f64) -> Option<Estimate> {
        Some(Estimate { values: vec![value], covers: 3.0, reached: 4.0, size: 1.0 })
    }

    #[test]
    fn the_furthest_of_the_last_three_rounds_counts() {
        let mut window = Window::default();
        let now = found(10.0).unwrap();
        window.note(None);
        window.close(found(50.0));
        assert!(!window.is_full() && window.spread(&now).value.is_infinite());
        window.note(found(12.0));
        window.close(found(9.0));
        window.close(found(10.0));
        assert!(window.is_full() && window.spread(&now).value.is_infinite());
        window.close(found(10.5));
        assert_eq!(window.spread(&now), Spread { value: 2.0, covers: 0.0, reached: 0.0, heard: 1 });
        window.close(found(10.5));
        assert_eq!(window.spread(&now).value, 0.5, "two rounds are out of it");
    }

    #[test]
    fn findings_of_another_shape_are_infinitely_far_apart() {
        let mut window = Window::default();
        window.note(Some(Estimate { values: vec![], ..found(0.0).unwrap() }));
        assert!(window.spread(&found(1.0).unwrap()).value.is_infinite());
    }
}
