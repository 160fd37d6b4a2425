//! What is counted of what machines say to each other, have on disk, and tell their users.

use super::count::{Count, Counts};
use mesh_coordinator::{Answer, Refusal};
use mesh_proto::task::{Item, State};
use mesh_tasks::Fact;

impl Counts {
    pub fn item(&mut self, item: &Item) {
        if matches!(item, Item::NotRunning { why, .. } if why.starts_with("it does not have")) {
            self.add(Count::Unable);
        }
        self.add(match item {
            Item::Place { supersedes: None, .. } => Count::Place,
            Item::Place { supersedes: Some(_), .. } => Count::PlaceAgain,
            Item::Placed { .. } => Count::Placed,
            Item::Taken { .. } => Count::Taken,
            Item::NotMine { .. } => Count::NotMine,
            Item::Busy { .. } => Count::Busy,
            Item::TooOld { .. } => Count::TooOld,
            Item::Born { .. } => Count::Born,
            Item::Abandon { .. } => Count::Abandon,
            Item::Prepare { .. } => Count::Prepare,
            Item::Promise { held: Some(_), .. } => Count::Promise,
            Item::Promise { held: None, .. } => Count::PromiseEmpty,
            Item::Refused { .. } => Count::Refused,
            Item::Write { birth: None, .. } => Count::Write,
            Item::Write { birth: Some(_), .. } => Count::WriteWithBirth,
            Item::Wrote { .. } => Count::Wrote,
            Item::LacksBirth { .. } => Count::LacksBirth,
            Item::Pull { .. } => Count::Pull,
            Item::NotDriven { .. } => Count::NotDriven,
            Item::InForce { .. } => Count::InForce,
            Item::Assign { .. } => Count::Assign,
            Item::Ask { .. } => Count::Ask,
            Item::Running { .. } => Count::Running,
            Item::NotRunning { .. } => Count::NotRunning,
            Item::Report { .. } => Count::Report,
            Item::Settled { .. } => Count::Settled,
            Item::DrivenBy { .. } => Count::DrivenBy,
            Item::Follow { .. } => Count::Follow,
            Item::Needed { .. } => Count::Needed,
            Item::Following { .. } => Count::Following,
            Item::Unknown { .. } => Count::Unknown,
            Item::Ended { .. } => Count::Ended,
            Item::Cancel { .. } => Count::Cancel,
            Item::Steal { .. } => Count::Steal,
            Item::Yielded { count: 0 } => Count::YieldedNothing,
            Item::Yielded { .. } => Count::Yielded,
            Item::Retract { .. } => Count::Retract,
            Item::Handed { .. } => Count::Handed,
            Item::Keep { .. } => Count::Keep,
            Item::Announce(_) => Count::Announce,
            Item::Bid { bid: Some(_), .. } => Count::Bid,
            Item::Bid { bid: None, .. } => Count::NoBid,
            Item::Closed { won: 0, .. } => Count::ClosedLost,
            Item::Closed { .. } => Count::ClosedWon,
        });
    }

    pub fn fact(&mut self, fact: &Fact) {
        let count = match fact {
            Fact::Held { register, .. } => {
                if register.state == State::Waiting {
                    self.add(Count::HeldWaiting);
                }
                Count::FactHeld
            }
            Fact::Written { register, ballot, .. } => {
                if ballot.term > 0 {
                    self.add(Count::Takeover);
                }
                if register.joint.is_some() {
                    self.add(Count::HoldersChange);
                } else if ballot.term > 0 {
                    self.add(Count::HoldersChanged);
                }
                if let State::Assigned(attempt) = &register.state
                    && attempt.number > 1
                {
                    self.add(Count::Reassigned);
                }
                Count::FactWritten
            }
            Fact::Promised { .. } => Count::FactPromised,
            Fact::Dropped { .. } => Count::FactDropped,
            Fact::Outlived { .. } => Count::FactOutlived,
            Fact::Floor { .. } => Count::FactFloor,
            Fact::Kept { .. } => Count::FactKept,
            Fact::Settled { .. } => Count::FactSettled,
        };
        self.add(count);
    }

    pub fn answer(&mut self, answer: &Answer) {
        let count = match answer {
            Answer::Placed { degraded, existing, .. } => {
                if *degraded {
                    self.add(Count::AnswerDegraded);
                }
                match existing {
                    true => Count::AnswerExisting,
                    false => Count::AnswerPlaced,
                }
            }
            Answer::Refused { why, .. } => match why {
                Refusal::Conflict => Count::AnswerConflict,
                Refusal::TooOld { .. } => Count::AnswerTooOld,
                Refusal::Unavailable { .. } => Count::AnswerUnavailable,
                Refusal::Unintroduced { .. } => Count::AnswerUnintroduced,
                Refusal::ReadOnly { .. } => Count::AnswerReadOnly,
                Refusal::Busy { .. } => Count::AnswerBusy,
                Refusal::Malformed(_) => Count::AnswerMalformed,
                // Counted as what users of the ledger are told.
                Refusal::NoAgreement | Refusal::ClockAhead | Refusal::Forgotten | Refusal::NoAggregation(_) => return,
            },
            Answer::Ended { .. } => Count::AnswerEnded,
            Answer::Missing { .. } => Count::AnswerMissing,
            Answer::CancelAsked { .. } => Count::AnswerCancelAsked,
            Answer::Task(_) => Count::AnswerTask,
            Answer::Tasks(_) => Count::AnswerTasks,
            Answer::Matches(_) => Count::AnswerMatches,
            Answer::Status(_) => Count::AnswerStatus,
            Answer::Referenced(_) | Answer::Named(_) => Count::AnswerReferenced,
            Answer::Members(_) => Count::AnswerMembers,
            Answer::Ordered { .. }
            | Answer::Looked(_)
            | Answer::Certified(_)
            | Answer::Agreement(_)
            | Answer::Recruited(_)
            | Answer::Aggregate { .. } => return,
            Answer::Finished => Count::AnswerFinished,
        };
        self.add(count);
    }
}
