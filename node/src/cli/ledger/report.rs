use mesh_ledger::Audit;
use mesh_proto::id::NetworkId;
use mesh_proto::ledger::DecisionProof;
use serde::Serialize;

use super::verdict::{Proved, Refuted};
use crate::api::proposals::{ProposalInfo, VoteRow};
use crate::api::submission::show_date;

/// What was proved.
#[derive(Debug, Serialize)]
pub(super) struct Verified {
    verified: bool,
    network: String,
    name: String,
    epoch: u64,
    members: Vec<String>,
    /// The last batch that the state holds.
    index: u64,
    /// Agreed time, as of it.
    time: String,
    root: String,
    checked: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Decided>,
}

#[derive(Debug, Serialize)]
struct Check {
    step: &'static str,
    what: String,
}

#[derive(Debug, Serialize)]
struct Decided {
    #[serde(flatten)]
    proposal: ProposalInfo,
    votes: Vec<VoteRow>,
}

/// What was not.
#[derive(Debug, Serialize)]
pub(super) struct NotVerified {
    verified: bool,
    network: String,
    failed: &'static str,
    why: String,
}

pub(super) fn refuted(network: &NetworkId, why: &Refuted) -> NotVerified {
    NotVerified { verified: false, network: network.to_string(), failed: why.step(), why: why.to_string() }
}

pub(super) fn verified(proved: &Proved) -> Verified {
    let Proved { bundle, audit } = proved;
    let proof = bundle.certified.proof.as_deref();
    Verified {
        verified: true,
        network: audit.network.to_string(),
        name: audit.name.to_string(),
        epoch: audit.epoch.0,
        members: audit.members.iter().map(ToString::to_string).collect(),
        index: audit.index.0,
        time: show_date(audit.time),
        root: audit.root.to_string(),
        checked: checks(proved),
        decision: proof.map(|proof| decided(proof, audit)),
    }
}

fn decided(proof: &DecisionProof, audit: &Audit) -> Decided {
    let id = proof.proposal.id(&audit.network);
    let proposal = ProposalInfo::new(&id, &proof.proposal, &proof.standing);
    Decided { proposal, votes: proof.votes.iter().map(VoteRow::from).collect() }
}

fn checks(proved: &Proved) -> Vec<Check> {
    let Proved { bundle, audit } = proved;
    let check = |step, what: String| Check { step, what };
    let signed = bundle.certified.checkpoint.certificate.epoch.0;
    let mut checks = vec![
        check("genesis", "its hash is the network's id".into()),
        check(
            "epochs",
            format!(
                "{} changes of the committee, each signed by a quorum of the one before: {} signatures",
                bundle.ends.len(),
                audit.end_signatures
            ),
        ),
        check(
            "checkpoint",
            format!("{} members of epoch {signed} signed it, which are a quorum", audit.checkpoint_signatures),
        ),
        check("state", "its root is what they signed".into()),
    ];
    if let Some(proof) = &bundle.certified.proof {
        let (votes, electors) = (proof.votes.len(), proof.proposal.size());
        let what =
            format!("it is on record under that root; {votes} signed votes of {electors} electors agree with it");
        checks.push(check("decision", what));
    }
    checks
}

pub(super) fn show(verified: &Verified) -> String {
    let checked: Vec<String> = verified.checked.iter().map(|check| format!("{}: {}", check.step, check.what)).collect();
    let decision = verified.decision.as_ref().map_or(String::new(), show_decision);
    format!(
        "network    {} ({})\nepoch      {}\nmembers    {}\nstate      batch {}, as of {}\nroot       {}\nchecked    {}{decision}",
        verified.network,
        verified.name,
        verified.epoch,
        verified.members.join("\n           "),
        verified.index,
        verified.time,
        verified.root,
        checked.join("\n           "),
    )
}

fn show_decision(decided: &Decided) -> String {
    let row = &decided.proposal.row;
    format!(
        "\n\nproposal   {}\ntitle      {}\nbody       {}\ndecision   {}{}\nvotes      {} for, {} against, {} neither, of {}; a share of {} must approve",
        row.proposal,
        row.title,
        decided.proposal.body,
        row.state,
        row.decided.as_ref().map_or(String::new(), |at| format!(" at {at}")),
        row.approve,
        row.reject,
        row.abstain,
        row.electors,
        decided.proposal.threshold,
    )
}
