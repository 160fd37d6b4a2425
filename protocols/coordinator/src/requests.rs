//! Open requests of users, and what is to be said to them with the next flush.

use crate::{Answer, Refusal, RequestId};
use mesh_tasks::Waiter;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Requests {
    /// Answers still owed, by request.
    open: BTreeMap<RequestId, Open>,
    said: BTreeMap<RequestId, Vec<Answer>>,
}

#[derive(Debug)]
struct Open {
    owed: usize,
    follow: bool,
}

impl Requests {
    /// A request of so many items, each to be answered once, or twice where it is followed to its end.
    pub fn open(&mut self, request: RequestId, items: usize, follow: bool) {
        if items == 0 {
            self.said.entry(request).or_default().push(Answer::Finished);
            return;
        }
        self.open.insert(request, Open { owed: items, follow });
    }

    /// The whole answer to a request.
    pub fn only(&mut self, request: RequestId, answer: Answer) {
        self.said.entry(request).or_default().extend([answer, Answer::Finished]);
    }

    /// Nothing of it is done.
    pub fn refuse(&mut self, request: RequestId, items: usize, why: &Refusal) {
        let refused = |index| Answer::Refused { index, task: None, why: why.clone() };
        let said = self.said.entry(request).or_default();
        said.extend((0..u32::try_from(items).unwrap_or(u32::MAX)).map(refused));
        said.push(Answer::Finished);
    }

    /// Nobody listens any more.
    pub fn close(&mut self, request: RequestId) {
        self.open.remove(&request);
        self.said.remove(&request);
    }

    pub fn answer(&mut self, answer: mesh_tasks::Answer) {
        let (to, answer) = translate(answer);
        self.item(RequestId(to.request), answer);
    }

    /// The answer to one item.
    pub fn item(&mut self, request: RequestId, answer: Answer) {
        let Some(open) = self.open.get_mut(&request) else { return };
        let is_last = match answer {
            Answer::Placed { .. } => !open.follow,
            _ => true,
        };
        let said = self.said.entry(request).or_default();
        said.push(answer);
        if is_last {
            open.owed = open.owed.saturating_sub(1);
            if open.owed == 0 {
                said.push(Answer::Finished);
                self.open.remove(&request);
            }
        }
    }

    pub fn take(&mut self) -> BTreeMap<RequestId, Vec<Answer>> {
        std::mem::take(&mut self.said)
    }
}

fn translate(answer: mesh_tasks::Answer) -> (Waiter, Answer) {
    use mesh_tasks::Answer as Theirs;
    match answer {
        Theirs::Placed { to, task, copies, degraded, existing } => {
            (to, Answer::Placed { index: to.index, task, copies, degraded, existing })
        }
        Theirs::Refused { to, task, why } => (to, Answer::Refused { index: to.index, task, why: refusal(why) }),
        Theirs::Ended { to, task, register } => (to, Answer::Ended { task, register }),
        Theirs::Missing { to, task } => (to, Answer::Missing { task }),
        Theirs::CancelAsked { to, task } => (to, Answer::CancelAsked { task }),
    }
}

fn refusal(why: mesh_tasks::Refusal) -> Refusal {
    use mesh_tasks::Refusal as Theirs;
    match why {
        Theirs::Conflict => Refusal::Conflict,
        Theirs::TooOld { born, floor } => Refusal::TooOld { born, floor },
        Theirs::Unavailable { reached, needed, retry_ms } => Refusal::Unavailable { reached, needed, retry_ms },
        Theirs::Busy { retry_ms } => Refusal::Busy { retry_ms },
        Theirs::Malformed(why) => Refusal::Malformed(why),
    }
}
