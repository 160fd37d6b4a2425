//! How nodes find each other, what they say of themselves, and how all others hear of it.

use super::{count::Count, event::Event, world::World};
use mesh_coordinator::Input;
use mesh_membership::Member;

impl World {
    /// A node says something new of itself: above what it remembers and what others know, and else by its wall clock.
    pub(super) fn speak(&mut self, node: usize, above: u64) {
        let machine = &mut self.nodes[node];
        let wall = machine.clock.now(self.at).wall;
        machine.me.incarnation = wall.0.max(above + 1);
        let me = machine.word();
        self.deliver(node, Input::Me(me));
    }

    /// Gossip goes along open connections, hop by hop, and loses some.
    pub(super) fn announce(&mut self, node: usize, member: &Member) {
        if self.is_twin(node) {
            return;
        }
        self.count(Count::Announced);
        let mut reached = vec![node];
        let mut left: Vec<usize> = (0..self.nodes.len()).filter(|to| *to != node && !self.is_twin(*to)).collect();
        let mut next = 0;
        let mut times = vec![self.at; self.nodes.len()];
        while let Some(&from) = reached.get(next) {
            next += 1;
            let (hear, rest): (Vec<usize>, Vec<usize>) =
                left.into_iter().partition(|to| self.network.is_open(from, *to) && !self.network.is_cut(from, *to));
            left = rest;
            for to in hear {
                reached.push(to);
                times[to] = times[from] + self.network.connect_time(from, to) / 4;
                match self.dice.chance(100) {
                    true => self.count(Count::AnnouncementLost),
                    false => {
                        let slot = self.rumours.put(member.clone());
                        self.queue.push(times[to], Event::Announced { node: to as u16, slot });
                    }
                }
            }
        }
    }

    /// What was announced arrives, and is judged by the body, which knows what its brain knows.
    pub(super) fn announced(&mut self, node: usize, slot: u32) {
        let Some(member) = self.rumours.take(slot) else { return };
        if self.nodes[node].frozen.is_none() {
            self.deliver(node, Input::Announced(member));
        }
    }

    /// The body of a node that knows nobody tries one of the addresses that it was given.
    pub(super) fn bootstrap(&mut self, node: usize, to: usize, life: u32) {
        if self.is_twin(node) {
            return self.look_for_others(node, life);
        }
        let body = &self.nodes[node].body;
        if self.nodes[node].life != life || body.as_ref().is_none_or(|body| body.brain.members().is_introduced()) {
            return;
        }
        if node != to {
            self.dial(node, to);
        }
        let knows =
            |other: &usize| self.nodes[*other].body.as_ref().is_some_and(|body| body.brain.members().is_introduced());
        let others: Vec<usize> = self.members().into_iter().filter(knows).collect();
        let to = if others.is_empty() { 0 } else { *self.dice.pick(&others) as u16 };
        self.queue.push(self.at + 1_000_000, Event::Bootstrap { node: node as u16, to, life });
    }
}
