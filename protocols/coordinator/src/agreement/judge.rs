//! Signatures inside commands, checked before the commands are executed, by whoever in the body has time for it: the
//! brain's thread finds what came of it, and checks by itself what it does not find.
//!
//! Only what is a fact of a command's bytes and of the genesis is judged ahead: so it makes no difference to an outcome who
//! judged, or when, or whether the verdict was forgotten. Evidence is for the committee of the moment, and stays where it
//! is executed.

use mesh_pbft::Verified;
use mesh_proto::{
    agreement::Operation,
    genesis::Genesis,
    id::Digest,
    ledger::{Body, Checked, Command, Put},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Whether the signatures in an operation are its signers'. Made here alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Of the operation, as it is ordered.
    operation: Digest,
    holds: bool,
}

/// Of operations that users of this node ask for; of those that bear no signature nothing.
#[must_use]
pub fn judge(genesis: &Genesis, operations: &[Operation]) -> Vec<Verdict> {
    let commands = operations.iter().filter_map(|operation| match operation {
        Operation::Command(command) if is_signed(&command.body) => {
            let holds = holds(genesis, Command::clone(command));
            Some(Verdict { operation: name(&operation.encode()), holds })
        }
        Operation::Command(_) | Operation::Query(_) => None,
    });
    commands.collect()
}

/// Judges what messages bring. A request comes more than once, from its gateway and from those that relay it, and is judged
/// once.
#[derive(Debug)]
pub struct Judge {
    genesis: Arc<Genesis>,
    repeats: Verdicts,
}

impl Judge {
    #[must_use]
    pub fn new(genesis: Arc<Genesis>) -> Self {
        Self { genesis, repeats: Verdicts::new(REPEATS) }
    }

    /// Of each operation in it that bears a signature.
    pub fn requests(&mut self, verified: &Verified) -> Vec<Verdict> {
        let operations = verified.requests().iter().flat_map(|body| body.request.operations.iter());
        operations.filter_map(|bytes| self.operation(bytes)).collect()
    }

    fn operation(&mut self, bytes: &[u8]) -> Option<Verdict> {
        // Nearly all are these.
        if Put::read(bytes).is_some() {
            return None;
        }
        let Ok(Operation::Command(command)) = Operation::decode(bytes) else { return None };
        if !is_signed(&command.body) {
            return None;
        }
        let operation = name(bytes);
        let holds = self.repeats.of(&operation).unwrap_or_else(|| holds(&self.genesis, *command));
        let verdict = Verdict { operation, holds };
        self.repeats.note(verdict);
        Some(verdict)
    }
}

/// The latest verdicts; the oldest gives way.
#[derive(Debug)]
pub struct Verdicts {
    held: BTreeMap<Digest, bool>,
    order: VecDeque<Digest>,
    most: usize,
}

impl Verdicts {
    pub fn new(most: usize) -> Self {
        Self { held: BTreeMap::new(), order: VecDeque::new(), most }
    }

    pub fn note(&mut self, verdict: Verdict) {
        if self.held.insert(verdict.operation, verdict.holds).is_some() {
            return;
        }
        self.order.push_back(verdict.operation);
        while self.order.len() > self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.held.remove(&oldest);
            }
        }
    }

    /// Of an operation that bears a signature. Nothing if it was not judged, or so many others were since.
    pub fn on(&self, operation: &[u8], body: &Body) -> Option<bool> {
        if !is_signed(body) {
            return None;
        }
        self.of(&name(operation))
    }

    fn of(&self, operation: &Digest) -> Option<bool> {
        self.held.get(operation).copied()
    }
}

/// Of the latest requests, so that a relay of one costs no signature.
const REPEATS: usize = 1 << 12;

/// Whether it bears signatures that hold or do not whoever asks, and whenever.
fn is_signed(body: &Body) -> bool {
    match body {
        Body::Vote(_) | Body::Motion(_) | Body::Support(_) | Body::Admit(_) => true,
        // Evidence is judged by the committee of the moment. The others bear none.
        Body::Evidence(_)
        | Body::Propose(_)
        | Body::Close(_)
        | Body::MemoryPut { .. }
        | Body::MemoryDelete { .. }
        | Body::MemoryCompareAndSwap { .. }
        | Body::ActivateVersion(_)
        | Body::Award { .. }
        | Body::Lock { .. }
        | Body::Renew { .. }
        | Body::Unlock { .. }
        | Body::Tick => false,
    }
}

fn holds(genesis: &Genesis, command: Command) -> bool {
    Checked::check(command, genesis, |_| false).is_ok()
}

fn name(operation: &[u8]) -> Digest {
    Digest::of("meshd v1 judged operation", &[operation])
}

#[cfg(test)]
mod tests;
