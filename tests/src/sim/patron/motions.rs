//! What changes the committee, asked for as anything else is.

use super::{Patrons, State, Want, Wish, command};
use crate::sim::{
    check::{Rule, Violation},
    client::Reach,
    count::Count,
};
use mesh_proto::{
    agreement::Ran,
    ledger::{Body, Done, Outcome, Rejection},
};

impl Patrons {
    /// Which wish it is.
    pub fn govern(&mut self, body: Body, reach: &mut Reach<'_>) -> u32 {
        let want = self.wants.len() as u32;
        let operation = command(0, want, body);
        self.wants.push(Want { wish: Wish::Govern, operation, asked: None, state: State::Wanted, told: None, step: 0 });
        reach.counts.add(Count::OrderGovern);
        self.ask(vec![want], reach);
        self.plan_patience(want, reach);
        want
    }

    /// Whether it is known of all of these that they have changed nothing, and will not.
    pub fn came_to_nothing(&self, wants: &[u32]) -> bool {
        wants.iter().all(|want| {
            let told = &self.wants[*want as usize].told;
            matches!(told, Some(Ran::Outcome(Outcome::Rejected(_) | Outcome::Done(Done::Seconded { .. }))))
        })
    }

    pub(super) fn governed(&mut self, want: u32, outcome: &Outcome, reach: &mut Reach<'_>) -> Result<(), Violation> {
        reach.counts.add(match outcome {
            Outcome::Done(Done::Kept) => Count::RanKept,
            Outcome::Done(Done::Moved { .. }) => Count::RanMoved,
            Outcome::Done(Done::Seconded { .. }) => Count::RanSeconded,
            // Signed by its signer: all but this may be said of it.
            Outcome::Rejected(rejection) if *rejection != Rejection::Invalid => Count::RanNotMoved,
            _ => {
                let operation = &self.wants[want as usize].operation;
                return Err(Violation::new(Rule::ExactlyOnce, format!("{operation:?} came to {outcome:?}")));
            }
        });
        Ok(())
    }
}
