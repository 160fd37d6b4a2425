//! Probing a member for those that suspect it, for themselves.

use crate::{Effect, Finding, Members, Standing};
use mesh_proto::{
    id::NodeId,
    probe::Probe,
    time::{Mono, Now, Wall},
};

/// A member that is being probed. One probe answers all that ask meanwhile.
#[derive(Debug)]
pub(crate) struct Errand {
    /// Of the ping, once there is a connection to send it by.
    ping: Option<u64>,
    doubted: u64,
    until: Mono,
    /// Who asked, and under which id.
    askers: Vec<(NodeId, u64)>,
}

/// Members that are probed at once. What is asked beyond that is not answered, and so agrees to nothing.
const ERRANDS: usize = 64;
/// Who may ask about one of them at once: five of each observer's are asked, drawn from all.
const ASKERS: usize = 64;

impl Members {
    /// Something of a member's about who is there.
    pub fn probed(&mut self, now: Now, from: NodeId, probe: Probe, effects: &mut Vec<Effect>) {
        if !self.is_connected(&from) {
            return;
        }
        match probe {
            Probe::Ping { id, doubted } => {
                effects.push(Effect::Say { to: from, probe: Probe::Echo { id } });
                self.refute(now, doubted, effects);
            }
            Probe::Echo { id } => self.echoed(now, from, id, effects),
            Probe::Suspect { id, node, incarnation, silent_ms } => {
                let since = Wall(now.wall.0.saturating_sub(silent_ms));
                self.asked(now, (from, id), (node, incarnation, since), effects);
            }
            Probe::Found { id, is_there } => self.answered(now, from, id, is_there, effects),
        }
    }

    /// Others believe this node gone, as of this word of it: it says a later one. Not above what it has not said, and once in a
    /// time-out: each is written down here and told to all, and who doubts it waits as long before it doubts it again.
    fn refute(&mut self, now: Now, doubted: u64, effects: &mut Vec<Effect>) {
        if doubted == self.me().incarnation && self.refutes_from <= now.mono {
            self.refutes_from = now.mono + self.config.timeout;
            self.doubt.more();
            effects.push(Effect::Refute { above: doubted });
        }
    }

    fn asked(
        &mut self,
        now: Now,
        asker: (NodeId, u64),
        (node, doubted, since): (NodeId, u64, Wall),
        effects: &mut Vec<Effect>,
    ) {
        if node == self.me().node {
            let found = Probe::Found { id: asker.1, is_there: true };
            effects.push(Effect::Say { to: asker.0, probe: found });
            return self.refute(now, doubted, effects);
        }
        let errands = self.errands.len();
        let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.member.standing == Standing::Joined) else {
            return;
        };
        peer.history.note(since, asker.0, Finding::Suspected);
        if !self.errands.contains_key(&node) {
            if errands >= ERRANDS {
                return;
            }
            // Without a connection it is tried to make one.
            peer.next_dial = peer.next_dial.min(now.mono);
            let until = now.mono + self.doubt.stretch(self.config.heartbeat);
            self.errands.insert(node, Errand { ping: None, doubted, until, askers: Vec::new() });
        }
        if let Some(errand) = self.errands.get_mut(&node) {
            errand.doubted = errand.doubted.max(doubted);
            errand.askers.retain(|(other, _)| *other != asker.0);
            if errand.askers.len() < ASKERS {
                errand.askers.push(asker);
            }
        }
        self.next_check = self.next_check.min(now.mono);
    }

    fn echoed(&mut self, now: Now, from: NodeId, id: u64, effects: &mut Vec<Effect>) {
        if self.errands.get(&from).is_some_and(|errand| errand.ping == Some(id)) {
            self.report(now, from, true, effects);
        }
    }

    /// Pings what can be pinged, and reports what does not answer.
    pub(crate) fn run_errands(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let mut silent = Vec::new();
        for (node, errand) in &mut self.errands {
            if errand.until <= now.mono {
                silent.push(*node);
            } else if errand.ping.is_none() && self.peers.get(node).is_some_and(|peer| peer.connected) {
                self.last_id += 1;
                errand.ping = Some(self.last_id);
                let probe = Probe::Ping { id: self.last_id, doubted: errand.doubted };
                effects.push(Effect::Say { to: *node, probe });
            }
        }
        for node in silent {
            self.report(now, node, false, effects);
        }
    }

    fn report(&mut self, now: Now, node: NodeId, is_there: bool, effects: &mut Vec<Effect>) {
        let Some(errand) = self.errands.remove(&node) else { return };
        let me = self.me().node;
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.history.note(now.wall, me, if is_there { Finding::Answers } else { Finding::Silent });
        }
        for (to, id) in errand.askers {
            effects.push(Effect::Say { to, probe: Probe::Found { id, is_there } });
        }
    }
}
