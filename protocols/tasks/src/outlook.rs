//! Why a task is where it is, for people: whom its driver may grant it to, and what it thinks of each.

use crate::{
    auction::score::{Criteria, WHOLE, idle_share},
    capability,
    driver::Driver,
    seeking::asked_of,
    tasks::Tasks,
    timers::Kind,
};
use mesh_proto::{
    id::TaskId,
    limits,
    outlook::{Candidate, Outlook},
    time::Now,
};
use std::cmp::Reverse;

impl Tasks {
    /// Of a task that this node drives and that has not ended.
    pub fn outlook_of(&self, now: Now, task: &TaskId) -> Option<Outlook> {
        let Some(Driver::Driving(reign)) = self.drivers.get(task) else { return None };
        let copy = self.shelf.live_copy(task)?;
        let (requirements, _) = asked_of(&copy.birth);
        let failed = reign.pausing.as_ref().unwrap_or(&copy.register.failed);
        let mut candidates: Vec<Candidate> = Vec::new();
        for (node, seat) in self.roster.iter().filter(|(_, seat)| seat.holds) {
            let lacked: Vec<_> =
                capability::lacked(&requirements, &seat.capabilities).take(limits::LACKED).cloned().collect();
            let busy = seat.burden();
            let capability =
                capability::rate(&requirements, &seat.capabilities).map_or(0, |score| score.parts_per_million());
            // How much memory it has free it says when it bids.
            let idle = idle_share(seat.load.slots, busy);
            let criteria = Criteria { capability, idle, performance: seat.performance, resources: WHOLE };
            let tried = failed.iter().rfind(|failed| failed.attempt.executor == *node);
            candidates.push(Candidate {
                node: *node,
                reached: self.roster.can_send(node),
                slots: seat.load.slots,
                busy,
                tried: tried.map_or(0, |failed| failed.attempt.number),
                capability_ppm: capability,
                performance_ppm: seat.performance,
                worth_ppm: criteria.score(&self.config.auction.weights),
                lacked,
            });
        }
        candidates
            .sort_by_key(|one| (!one.lacked.is_empty(), !one.reached, one.tried, Reverse(one.worth_ppm), one.node));
        let more = u32::try_from(candidates.len().saturating_sub(limits::CANDIDATES)).unwrap_or(u32::MAX);
        candidates.truncate(limits::CANDIDATES);
        let due = self.timers.due(task, Kind::Backoff).filter(|_| reign.pausing.is_some());
        let again_ms = due.map(|due| u64::try_from(due.since(now.mono).as_millis()).unwrap_or(u64::MAX));
        Some(Outlook { again_ms, candidates, more })
    }
}
