//! What this node itself has ordered: that agreed time goes on, and evidence against a member.

use super::{Agreement, Asked};
use crate::Accused;
use mesh_proto::{
    agreement::Operation,
    codec,
    ledger::{self, Body, Command, CommandId},
    limits, pbft,
    time::{Mono, Now},
};
use std::time::Duration;

/// How long a member waits before it asks for a tick that another may have asked for, times its number.
const TICK_STEP: Duration = Duration::from_millis(150);

impl Agreement {
    /// Has it kept in the ledger, for people and for a decision about the member. All that caught it say so under one id.
    /// Two view changes of a wide window are too long for that, and stay with those that have them.
    pub(super) fn accuse(&mut self, evidence: &pbft::Evidence, asked: &mut Vec<Asked>) {
        let epoch = self.gateway.epoch();
        let accused = epoch.member(evidence.replica).filter(|_| epoch.epoch == evidence.epoch);
        if let Some(accused) = accused {
            asked.push(Asked::Accused(accused, Accused::Caught { kind: evidence.conflict.kind() }));
        }
        let proof = codec::encode(evidence);
        let (Some(accused), true, Ok(principal)) = (accused, proof.len() <= limits::EVIDENCE_BYTES, "meshd".parse())
        else {
            return;
        };
        let evidence = ledger::Evidence { accused, proof: proof.into() };
        let id = CommandId { principal, key: evidence.digest().as_bytes().as_slice().into(), born: self.index() };
        let command = Command { id, body: Body::Evidence(evidence) };
        // With so much waiting, it is said again after the next start.
        self.ask(None, &Operation::Command(Box::new(command)));
    }

    /// When this member asks for a tick: something ends that somebody may see. The first of the committee asks first.
    pub(super) fn next_tick(&self, now: Now) -> Option<Mono> {
        let number = match (&self.port, &self.seat) {
            (Some(port), _) => port.rank(self.gateway.epoch())?,
            (None, Some(seat)) => seat.replica.standing().id.filter(|_| seat.halted().is_none())?.index(),
            (None, None) => return None,
        };
        let turn = TICK_STEP * u32::try_from(number).unwrap_or(u32::MAX);
        let left = (self.ledger()?.next_expiry()? + turn).since(now.wall).min(Duration::from_secs(60));
        // Looked at again when more is due: a clock may be set.
        Some((now.mono + left).max(self.tick_pause))
    }

    pub(super) fn tick(&mut self, now: Now) {
        // Asked for again if nothing comes of it.
        self.tick_pause = now.mono + Duration::from_secs(1);
        self.ticks += 1;
        let key = [now.wall.0.to_le_bytes(), self.ticks.to_le_bytes()].concat();
        let Ok(principal) = "meshd".parse() else { return };
        let id = CommandId { principal, key: key.into(), born: self.index() };
        let command = Command { id, body: Body::Tick };
        if !self.ask(None, &Operation::Command(Box::new(command))) {
            // With so much waiting time goes on by itself.
            self.ticks -= 1;
        }
    }
}
