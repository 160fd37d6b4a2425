use crate::check::{Rule, Violation};
use crate::siege::line::{Proof, Proposal, Standing};

/// What is proved of a decision is what the ledger says of it.
pub fn proofs(proposals: &[Proposal], proofs: &[Proof]) -> Result<(), Violation> {
    for proof in proofs {
        let said = proposals.iter().find(|proposal| proposal.proposal == proof.proposal).map(|there| &there.state);
        if proof.state.is_none() || proof.state.as_ref() != said {
            return Err(Violation::new(Rule::Decisions, format!("the ledger says {said:?}, and there is {proof:?}")));
        }
    }
    Ok(())
}

/// All replicas go on and have one state.
pub fn standings(nodes: usize, standings: &[Standing]) -> Result<(), Violation> {
    let wrong = |rule, what: &str| Err(Violation::new(rule, format!("{what}: {standings:?}")));
    if standings.iter().any(|standing| standing.halted.is_some()) {
        return wrong(Rule::Halts, "a replica has stopped");
    }
    if standings.len() != nodes {
        return wrong(Rule::Outcomes, &format!("not all of {nodes} replicas say how they stand"));
    }
    let same = |one: &Standing, other: &Standing| one.checkpoint == other.checkpoint;
    if !standings.windows(2).all(|pair| same(&pair[0], &pair[1])) {
        return wrong(Rule::Outcomes, "the replicas do not come to one checkpoint");
    }
    match standings.windows(2).all(|pair| pair[0].digest == pair[1].digest) {
        true => Ok(()),
        false => wrong(Rule::OneOrder, "the states differ"),
    }
}
