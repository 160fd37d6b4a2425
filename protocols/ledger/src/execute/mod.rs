//! Commands, each looking before it writes: what is rejected leaves nothing behind.

pub mod claims;
pub mod committee;
pub mod evidence;
pub mod members;
pub mod memory;
pub mod proposals;
pub mod versions;
pub mod votes;

use crate::{
    state::State,
    validate::{self, validate},
};
use mesh_proto::ledger::{Body, Claim, Command, Done, Outcome, Put, Rejection};

pub fn run(state: &mut State, command: &Command) -> Outcome {
    match execute(state, command) {
        Ok(done) => Outcome::Done(done),
        Err(rejection) => Outcome::Rejected(rejection),
    }
}

/// What [`run`] does with the command that it is a look at, which is of version 1.
pub fn put(state: &mut State, put: &Put<'_>) -> Outcome {
    let ran = match validate::put(put.id, put.ttl_ms) {
        Ok(()) => memory::put(state, put.namespace, put.key, put.value, put.ttl_ms),
        Err(_) => Err(Rejection::Invalid),
    };
    match ran {
        Ok(done) => Outcome::Done(done),
        Err(rejection) => Outcome::Rejected(rejection),
    }
}

fn execute(state: &mut State, command: &Command) -> Result<Done, Rejection> {
    let (since, active) = (command.body.since(), state.meta.version);
    if since > active {
        return Err(Rejection::NotActive { since, active });
    }
    validate(command).map_err(|_| Rejection::Invalid)?;
    let owner = &command.id.principal;
    match &command.body {
        Body::Propose(propose) => proposals::propose(state, &command.id, propose),
        Body::Vote(vote) => votes::vote(state, vote),
        Body::Close(proposal) => proposals::close(state, owner, proposal),
        Body::MemoryPut { namespace, key, value, ttl_ms } => {
            memory::put(state, namespace.as_str(), key.as_str(), value, *ttl_ms)
        }
        Body::MemoryDelete { namespace, key } => Ok(memory::delete(state, namespace, key)),
        Body::MemoryCompareAndSwap { namespace, key, expect, value, ttl_ms } => {
            memory::compare_and_swap(state, namespace, key, *expect, value.as_ref(), *ttl_ms)
        }
        Body::Admit(credential) => members::admit(state, credential),
        Body::Motion(motion) => committee::motion(state, motion),
        Body::Evidence(evidence) => evidence::record(state, evidence),
        Body::Support(support) => versions::support(state, support),
        Body::ActivateVersion(version) => versions::activate(state, *version),
        Body::Award { task, to, lease_ms } => claims::take(state, owner, Claim::Task(*task), *to, *lease_ms),
        Body::Lock { name, holder, lease_ms } => {
            claims::take(state, owner, Claim::Lock(name.clone()), *holder, *lease_ms)
        }
        Body::Renew { claim, fence, lease_ms } => claims::renew(state, owner, claim, *fence, *lease_ms),
        Body::Unlock { claim, fence } => claims::release(state, owner, claim, *fence),
        Body::Tick => Ok(Done::Kept),
    }
}
