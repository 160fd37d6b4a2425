//! Wires between who is there and the rest: connections, what members say of themselves, and what liveness asks for.

use crate::{
    ControlMessage, Coordinator, Effect, Heartbeat, Query, QueryReply, agreement::Agreement, coordinator::UNASKED,
    tables::holding,
};
use mesh_membership::Standing;
use mesh_proto::{
    agreement::Reply,
    domain::Epoch,
    id::{NodeId, StoreId},
    time::Now,
};
use mesh_tasks::Load;

impl Coordinator {
    pub(crate) fn up(&mut self, now: Now, node: NodeId, store: StoreId, effects: &mut Vec<Effect>) {
        // It was let in a moment before it was known to be out.
        if self.members.get(&node).is_some_and(|member| member.standing == Standing::Forgotten) {
            effects.push(Effect::Disconnect { node });
            return;
        }
        self.members.up(now, node, store);
        self.aggregations.up(&node);
        let Some(member) = self.members.get(&node).cloned() else { return };
        // One of the two begins; a newcomer does not wait for the other.
        if self.node() < node || !self.members.is_introduced() {
            self.compare_with(node);
        }
        let heartbeat = self.heartbeat();
        self.control.push((node, ControlMessage::Heartbeat(heartbeat)));
        self.with_tasks(now, effects, |tasks, cx| {
            tasks.member(cx, node, store, holding(&member));
            tasks.has(node, &member.capabilities);
            tasks.up(cx, node);
        });
    }

    pub(crate) fn control(&mut self, now: Now, from: NodeId, message: ControlMessage, effects: &mut Vec<Effect>) {
        self.members.heard(now, from);
        match message {
            ControlMessage::Heartbeat(Heartbeat { slots, running, queued, epoch, serial }) => {
                self.tasks.load_of(from, Load { slots, running, queued });
                self.note_serial(from, serial);
                self.with_agreement(effects, |agreement, asked| agreement.heard_epoch(from, epoch, asked));
            }
            ControlMessage::Digests(theirs) => self.on_digests(from, &theirs),
            ControlMessage::Marks(theirs) => self.on_marks(from, theirs),
            ControlMessage::Members(members) => self.on_members(now, members, effects),
            ControlMessage::Told { introduced } => {
                self.on_told(introduced, effects);
                self.compared_with(now, from);
            }
            ControlMessage::Query { id, query: Query::Agreement(question) } => {
                self.asked_of_agreement(now, from, id, question, effects);
            }
            ControlMessage::Query { id, query } => self.on_query(now, from, id, query),
            ControlMessage::Reply { id: UNASKED, reply: QueryReply::Agreement(reply) } => {
                if let Reply::Standing(standing) = &reply {
                    self.stands(now, from, standing);
                }
                self.with_agreement(effects, |agreement, asked| agreement.answered(now, from, reply, asked));
            }
            ControlMessage::Reply { id, reply } => self.on_reply(now, from, id, reply),
            ControlMessage::Probe(probe) => {
                let mut asked = Vec::new();
                self.members.probed(now, from, probe, &mut asked);
                self.carry_out(now, asked, effects);
            }
            ControlMessage::Aggregate(said) => self.said_of_aggregation(now, from, said, effects),
        }
    }

    pub(crate) fn carry_out(&mut self, now: Now, asked: Vec<mesh_membership::Effect>, effects: &mut Vec<Effect>) {
        use mesh_membership::Effect as Asked;
        for effect in asked {
            match effect {
                Asked::Changed(member) => {
                    // With the disk that is there: what another one promised or took is not this one's.
                    let store = self.members.get(&member.node).map_or(member.store, |known| known.store);
                    self.with_tasks(now, effects, |tasks, cx| {
                        tasks.member(cx, member.node, store, holding(&member));
                        tasks.has(member.node, &member.capabilities);
                    });
                    let entered = Some(member.node).filter(|node| self.is_of_network(node));
                    self.keep(member, effects);
                    if let Some(node) = entered {
                        self.with_agreement(effects, |agreement, asked| agreement.entered(now, node, asked));
                    }
                }
                Asked::Outdated { incarnation } => effects.push(Effect::Speak { above: incarnation }),
                Asked::Compare(node) => self.compare_with(node),
                Asked::Heartbeat => {
                    let heartbeat = self.heartbeat();
                    self.say_load(now, heartbeat);
                }
                Asked::Silent(node) => {
                    self.queries.gone(node);
                    self.aggregations.down(&node);
                    self.with_tasks(now, effects, |tasks, cx| tasks.silent(cx, node));
                }
                Asked::Say { to, probe } => self.control.push((to, ControlMessage::Probe(probe))),
                Asked::Refute { above } => effects.push(Effect::Speak { above }),
                // For people. Who is gone for good, and what is to be done about it, is said by others.
                Asked::Confirmed(_) => {}
                Asked::Partitioned => self.partitioned(),
                Asked::Healed { since } => self.healed(now, since),
                Asked::Dial { node, addresses } => effects.push(Effect::Dial { node, addresses }),
                Asked::Disconnect(node) => effects.push(Effect::Disconnect { node }),
            }
        }
    }

    pub(crate) fn heartbeat(&self) -> Heartbeat {
        let Load { slots, running, queued } = self.tasks.own_load();
        let epoch = self.agreement.as_ref().map_or_else(Epoch::default, Agreement::epoch);
        let serial = self.own_serial();
        Heartbeat { slots, running, queued, epoch, serial }
    }

    /// How many motions are in force in the ledger here, if there is one.
    fn own_serial(&self) -> u64 {
        self.agreement.as_ref().and_then(Agreement::ledger).map_or(0, mesh_ledger::Ledger::serial)
    }

    /// Only of who is connected: nobody else's word grows this.
    fn note_serial(&mut self, from: NodeId, serial: u64) {
        if serial > 0 && self.members.is_connected(&from) {
            self.serials.insert(from, serial);
        }
    }

    /// How many motions are in force by the word of each, this node's own ledger first.
    pub(crate) fn told_serials(&self) -> Vec<(NodeId, u64)> {
        let own = Some((self.node(), self.own_serial())).filter(|(_, serial)| *serial > 0);
        own.into_iter().chain(self.serials.iter().map(|(node, serial)| (*node, *serial))).collect()
    }
}
