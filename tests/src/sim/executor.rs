//! What the body of a node does with what its brain has it execute; and whether that may be.

use super::{
    check::{Begun, Executor, Rule, Violation},
    count::{Count, Counts},
    event::Event,
    execution::{self, Kind, Running},
    fabricator,
    needs::is_able,
    node::Body,
    world::{End, World},
};
use mesh_coordinator::{Effect, Input};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{Birth, FailureKind, OnIsolation, Outcome, Program, Sealable, Spec, TaskKey},
};
use std::sync::Arc;

/// Of what a brain has just begun: what it may not have begun by what it knew then, of its own node and of the mesh.
pub fn wrongly_begun(id: &NodeId, body: &Body, effects: &[Effect]) -> Option<Violation> {
    effects.iter().find_map(|effect| {
        let Effect::Execute { birth, attempt, .. } = effect else { return None };
        let fault = |rule, what: &str| Some(Violation::new(rule, format!("{} attempt {attempt} {what}", birth.task)));
        let Ok(spec) = Spec::decode(&birth.spec) else { return fault(Rule::Able, "is of what is no task") };
        if !is_able(id, &body.told, &spec.requirements) {
            return fault(Rule::Able, "begins where what it requires is lacking");
        }
        if spec.on_isolation == OnIsolation::Stop && is_isolated(id, body) {
            return fault(Rule::Isolated, "begins where the mesh is lost");
        }
        None
    })
}

/// Of what a brain has just begun: what has overtaken others too often.
pub fn out_of_turn(body: &mut Body, effects: &[Effect], counts: &mut Counts) -> Option<Violation> {
    let begun: Vec<(TaskId, u32)> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Execute { birth, attempt, .. } if waits_for_a_slot(birth) => Some((birth.task, *attempt)),
            _ => None,
        })
        .collect();
    let Body { turns, brain, .. } = body;
    match turns.look(&begun, brain.tasks().waiting()) {
        Ok(Begun { overtaking, in_turn }) => {
            counts.add_many(Count::Overtook, overtaking);
            counts.add_many(Count::InTurn, in_turn);
            None
        }
        Err(violation) => Some(violation),
    }
}

/// What only says what is known begins as soon as it comes.
fn waits_for_a_slot(birth: &Birth) -> bool {
    Spec::decode(&birth.spec).is_ok_and(|spec| {
        let is_instant = matches!(spec.program, Program::Echo | Program::Manifest { .. });
        !is_instant || spec.after.iter().any(|other| !other.takes.is_empty())
    })
}

/// Whether most of the others are gone, as far as that brain knows.
fn is_isolated(id: &NodeId, body: &Body) -> bool {
    let others = body.brain.tasks().roster().iter().filter(|(node, seat)| *node != id && seat.holds);
    let (gone, there): (Vec<_>, Vec<_>) = others.partition(|(_, seat)| !seat.connected && seat.silent_since.is_some());
    gone.len() > there.len()
}

impl World {
    /// What is to stop without the mesh has stopped once its brain has nothing to do that is due.
    pub(super) fn look_at_isolation(&mut self, node: usize) {
        let machine = &self.nodes[node];
        let Some(body) = &machine.body else { return };
        let Some(running) = body.executions.iter().find(|running| running.stops) else { return };
        let now = machine.clock.now(self.at).mono;
        let is_at_rest =
            body.inbox.is_empty() && body.gated.is_empty() && body.brain.deadline().is_none_or(|due| due > now);
        if is_at_rest && is_isolated(&machine.id, body) {
            let what =
                format!("n{node} has lost the mesh and goes on with attempt {} of {}", running.attempt, running.task);
            self.fail(Rule::Isolated, what);
        }
    }

    pub(super) fn execute(&mut self, node: usize, birth: &Arc<Birth>, attempt: u32) {
        let Ok(Spec { program, requirements, on_isolation, .. }) = Spec::decode(&birth.spec) else {
            return self.fail(Rule::Able, format!("n{node} begins attempt {attempt} of what is no task"));
        };
        if self.never_begins(node) {
            return;
        }
        let lies = self.trick_of(node).is_some();
        // Between the brain's word and this it may have lost it. Who claims what it does not have runs it all the same.
        if !lies && !is_able(&self.nodes[node].id, &self.nodes[node].me.capabilities, &requirements) {
            self.count(Count::ExecutionGivenBack);
            let outcome = Outcome::failed(FailureKind::GivenBack, "this node does not have what it requires any more");
            return self.deliver(node, Input::Executed { task: birth.task, attempt, outcome: Arc::new(outcome) });
        }
        self.serial += 1;
        let mut course = execution::course(birth, self.serial, &mut self.dice, &self.options, self.healed.is_some());
        self.twist_course(node, &mut course);
        let spec = Spec::decode(&birth.spec).ok();
        let is_again = spec.as_ref().is_some_and(|spec| matches!(spec.key, TaskKey::Again(..)));
        if let Some((work, (of, _))) = spec.and_then(|spec| Some((spec.work(), spec.replica_of()?))) {
            if is_again {
                self.count(Count::ReplicaAgain);
            }
            let fabricates = node < self.options.fabricators;
            self.count(if fabricates { Count::ReplicaFabricated } else { Count::ReplicaRan });
            course.outcome = fabricator::said_of(&of, fabricates, course.outcome);
            // What a node says of itself is no result of the task.
            if !course.outcome.is_of_the_node() {
                course.outcome.seal(&self.nodes[node].key, &self.network_id, &Sealable { task: of, work });
            }
        }
        self.count(Count::ExecutionStarted);
        match course.kind {
            Kind::Well => {}
            Kind::Long => self.count(Count::ExecutionLong),
            Kind::Hangs => self.count(Count::ExecutionHangs),
            Kind::Exits => self.count(Count::ExecutionExits),
            Kind::Lost => self.count(Count::ExecutionLost),
            Kind::Refused => self.count(Count::ExecutionRefused),
        }
        let (takes, instant) = (course.takes, course.instant);
        let task = birth.task;
        let slot = self.ends.put(End { task, attempt, course });
        let machine = &mut self.nodes[node];
        let (id, slots, life) = (machine.id, machine.slots, machine.life);
        let able = is_able(&id, &machine.me.capabilities, &requirements);
        if !able && lies {
            self.counts.add(Count::BidderUnable);
        }
        let attended = matches!(program, Program::Worker(_));
        let Some(body) = &mut machine.body else { return };
        let stops = on_isolation == OnIsolation::Stop;
        body.executions.push(Running { task, attempt, slot, instant, attended, stops });
        let running = body.executions.iter().filter(|running| !running.instant).count();
        // What never ends is ended by others.
        if takes < u64::MAX {
            self.queue.push(self.at.saturating_add(takes), Event::Executed { node: node as u16, life, slot });
        }
        let executor = Executor { node: id, running, slots, able: able || lies };
        self.checks.starts(birth, attempt, &executor, &mut self.counts);
        if self.healed.is_some_and(|healed| self.at > healed + EXECUTES_ENDED)
            && self.checks.registers.chosen(&task).is_some()
            && !self.may_have_two_drivers(&task)
        {
            self.fail(Rule::Outbox, format!("n{node} begins attempt {attempt} of {task}, which has ended"));
        }
    }

    pub(super) fn executed(&mut self, node: usize, slot: u32) {
        let Some(body) = &mut self.nodes[node].body else { return };
        let Some(place) = body.executions.iter().position(|running| running.slot == slot) else { return };
        body.executions.swap_remove(place);
        if let Some(End { task, attempt, course }) = self.ends.take(slot) {
            self.end_execution(node, task, attempt, course.outcome);
        }
    }

    fn end_execution(&mut self, node: usize, task: TaskId, attempt: u32, outcome: Outcome) {
        let outcome = Arc::new(outcome);
        self.checks.finished(task, attempt, self.nodes[node].id, outcome.clone());
        self.deliver(node, Input::Executed { task, attempt, outcome });
    }

    /// There is no worker any more.
    pub(super) fn workers_go(&mut self, node: usize) {
        let Some(body) = &mut self.nodes[node].body else { return };
        let attended: Vec<Running> = body.executions.extract_if(.., |running| running.attended).collect();
        for running in attended {
            self.ends.take(running.slot);
            self.count(Count::ExecutionUnattended);
            let kind = if self.needs.chance(500) { FailureKind::Lost } else { FailureKind::GivenBack };
            let outcome = Outcome::failed(kind, "its worker is gone");
            self.end_execution(node, running.task, running.attempt, outcome);
        }
    }

    pub(super) fn cancel(&mut self, node: usize, task: TaskId, attempt: u32) {
        let id = self.nodes[node].id;
        let Some(body) = &mut self.nodes[node].body else { return };
        let wanted = |running: &Running| running.task == task && running.attempt == attempt;
        let Some(place) = body.executions.iter().position(wanted) else { return };
        let running = body.executions.swap_remove(place);
        self.ends.take(running.slot);
        let isolated = running.stops && is_isolated(&id, body);
        self.count(if isolated { Count::ExecutionIsolated } else { Count::ExecutionCancelled });
        if self.dice.chance(500) {
            self.end_execution(node, task, attempt, Outcome::failed(FailureKind::Cancelled, "cancelled"));
        }
    }
}

/// For so long after the faults an execution may still begin that was granted before its task ended elsewhere.
const EXECUTES_ENDED: u64 = 30_000_000;
