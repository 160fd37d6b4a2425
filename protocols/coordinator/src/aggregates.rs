//! Wires between aggregations and the rest: who asks, who is there, and what this node's values are.

use crate::{Answer, Coordinator, Effect, Refusal, RequestId};
use mesh_gossip::{Asked, Effect as Wanted};
use mesh_membership::Standing;
use mesh_proto::{
    aggregate::{Aggregate, AggregateId},
    control::ControlMessage,
    id::NodeId,
    time::Now,
};

impl Coordinator {
    pub(crate) fn aggregate(&mut self, now: Now, request: RequestId, asked: Asked, effects: &mut Vec<Effect>) {
        let mut wanted = Vec::new();
        match self.aggregations.ask(now, asked, &mut self.rng, &mut wanted) {
            Ok(id) => {
                self.askers.insert(id, request);
                self.see_to(wanted, effects);
            }
            Err(why) => self.requests.refuse(request, 1, &refusal(why)),
        }
    }

    /// Its user is gone: so is the question.
    pub(crate) fn leave_aggregation(&mut self, now: Now, request: RequestId, effects: &mut Vec<Effect>) {
        let left = self.askers.iter().find(|(_, asker)| **asker == request).map(|(id, _)| *id);
        if let Some(id) = left {
            self.askers.remove(&id);
            let mut wanted = Vec::new();
            self.aggregations.leave(now, &id, &mut wanted);
            self.see_to(wanted, effects);
        }
    }

    pub(crate) fn said_of_aggregation(&mut self, now: Now, from: NodeId, said: Aggregate, effects: &mut Vec<Effect>) {
        // What was under way when the connection closed is of no connection that counts.
        if self.members.is_connected(&from) {
            let mut wanted = Vec::new();
            self.aggregations.handle(now, from, said, &mut self.rng, &mut wanted);
            self.see_to(wanted, effects);
        }
    }

    pub(crate) fn measured(&mut self, now: Now, id: &AggregateId, values: Option<&[f64]>) {
        self.aggregations.measured(now, id, values);
    }

    pub(crate) fn aggregation_rounds(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.aggregations.deadline().is_some_and(|due| due <= now.mono) {
            let peers: Vec<NodeId> = self.members.connected().collect();
            let mut wanted = Vec::new();
            self.aggregations.handle_deadline(now, &peers, &mut self.rng, &mut wanted);
            self.see_to(wanted, effects);
        }
    }

    fn see_to(&mut self, wanted: Vec<Wanted>, effects: &mut Vec<Effect>) {
        for wanted in wanted {
            match wanted {
                Wanted::Say { to, said } => self.control.push((to, ControlMessage::Aggregate(said))),
                Wanted::Measure { id, name } => effects.push(Effect::Measure { id, name }),
                Wanted::Answer { id, answer } => {
                    if let Some(request) = self.askers.remove(&id) {
                        let others = self.members.others().filter(|member| member.standing == Standing::Joined);
                        let members = u64::try_from(others.count()).unwrap_or(u64::MAX).saturating_add(1);
                        self.requests.only(request, Answer::Aggregate { answer: Box::new(answer), members });
                    }
                }
            }
        }
    }
}

fn refusal(why: mesh_gossip::Refusal) -> Refusal {
    match why {
        mesh_gossip::Refusal::Busy { retry_ms } => Refusal::Busy { retry_ms },
        mesh_gossip::Refusal::Malformed(why) => Refusal::NoAggregation(why),
    }
}
