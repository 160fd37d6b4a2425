//! What users of a large world want: tasks of all strategies, one a request, each through whichever node.

use crate::sim::{
    check::{Rule, Violation},
    event::Event,
    node::Place,
    scale::Plan,
    wish::Wish,
    world::World,
};

impl World {
    pub(in crate::sim) fn prepare_plan(&mut self, plan: Plan) {
        for node in 0..plan.nodes {
            self.nodes[node].place = Place::Member;
            self.queue.push(Plan::starts_at(node), Event::Start { node: node as u16, life: 0 });
        }
        self.queue.push(plan.rests_from(), Event::Rest);
        self.queue.push(plan.works_from(), Event::Work);
        self.queue.push(plan.death_at(0), Event::Death);
        self.queue.push(plan.heals_at(), Event::Heal);
    }

    /// All have met, and nobody wants anything yet.
    pub(in crate::sim) fn rest(&mut self) {
        if let Some(meter) = &mut self.meter {
            meter.turn();
        }
    }

    /// The next task is submitted, and behind the last nothing.
    pub(in crate::sim) fn work(&mut self) {
        let Some(plan) = self.options.plan else { return };
        if self.clients.submitted() == 0 {
            self.rest();
            let strangers = self.strangers();
            self.checks.note(strangers);
        }
        let number = self.clients.submitted() as u64;
        if number < plan.tasks {
            let wish = Wish::plain((self.at, number), &self.network_id, &mut self.needs);
            self.with_clients(|clients, reach| {
                let task = clients.want(wish, reach);
                clients.submit_one(task, reach);
            });
            self.queue.push(plan.task_at(number + 1), Event::Work);
        }
    }

    /// Work begins where every node is connected to every other, and not before: else the figures would be of another
    /// mesh.
    fn strangers(&self) -> Result<(), Violation> {
        let others = self.nodes.len() - 1;
        for node in &self.nodes {
            let connected = node.body.as_ref().map_or(0, |body| body.brain.members().connected().count());
            if connected != others {
                let what = format!("n{} is connected to {connected} of {others} others when work begins", node.index);
                return Err(Violation::new(Rule::Heals, what));
            }
        }
        Ok(())
    }
}
