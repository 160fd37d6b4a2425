//! `meshd consensus status`.

use clap::Subcommand;

use super::Failure;
use super::output::Output;
use super::settings::Global;
use super::task::short_node;
use crate::api::consensus::{ConsensusStatus, EvidenceStatus, MemberStanding, ReplicaStatus};
use crate::client::Ask;

#[derive(Debug, Subcommand)]
pub(super) enum Consensus {
    /// How agreement stands; needs no quorum.
    Status,
}

impl Consensus {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let Self::Status = self;
        let status: ConsensusStatus = global.client()?.ask(&Ask::get("/v1/consensus")).await?;
        Ok(output.put(&status, show)?)
    }
}

fn show(status: &ConsensusStatus) -> String {
    let mut text = format!(
        "epoch      {}\nexecuted   batch {}, as far as this node knows\nunder way  {}\nquorum     {} of {} members; {} say that they take part\nfaults     {} tolerated; {} more may fail now",
        status.epoch,
        status.index,
        status.under_way,
        status.quorum,
        status.members.len(),
        status.active,
        status.faults_tolerated,
        status.faults_tolerated_now,
    );
    text.extend(status.warnings.iter().map(|warning| format!("\nwarning    {warning}")));
    text.extend(status.evidence.iter().map(|evidence| format!("\nevidence   {}", convicts(evidence))));
    text.extend(
        status.caught.iter().map(|found| format!("\ncaught     {}; found here, not agreed on", convicts(found))),
    );
    let reign = reign(status);
    if let Some(primary) = status.primary.as_deref().filter(|_| status.replica.is_none()) {
        text += &format!("\nprimary    {}, as members say", short_node(primary));
    }
    if let Some(replica) = &status.replica {
        let what = if replica.voting { "a member" } else { "follows" };
        let primary = if replica.primary.is_empty() { "nobody".to_owned() } else { short_node(&replica.primary) };
        text += &format!(
            "\nreplica    {what}, {reign} {} under {primary}, batch {}, state of {} bytes",
            replica.view, replica.executed, replica.state_bytes
        );
        text += &marks(status, replica);
        if let Some(why) = &replica.halted {
            text += &format!("\nhalted     {why}");
        }
    }
    for (at, member) in status.members.iter().enumerate() {
        let head = if at == 0 { "members   " } else { "          " };
        text += &format!("\n{head} {}  {}", short_node(&member.node), stands(member, reign));
    }
    text
}

/// What a member is convicted of.
fn convicts(evidence: &EvidenceStatus) -> String {
    let EvidenceStatus { accused, kind, epoch, view, index } = evidence;
    let place = [("view", view), ("batch", index)].into_iter();
    let place = place.filter_map(|(what, number)| Some(format!(", {what} {}", (*number)?)));
    format!(
        "{} signed two {} that contradict each other, epoch {epoch}{}",
        short_node(accused),
        kind.replace('_', " "),
        place.collect::<String>()
    )
}

/// What bounds the order at this replica, and what it has been through.
fn marks(status: &ConsensusStatus, replica: &ReplicaStatus) -> String {
    let ReplicaStatus { low, high, .. } = replica;
    if status.engine == "raft" {
        return format!("\nlog        to entry {high}; the last snapshot covers {low}");
    }
    let checkpoint = match (replica.checkpoint, &replica.digest) {
        (Some(checkpoint), Some(digest)) => format!("{checkpoint}, of state {}", digest.get(..16).unwrap_or(digest)),
        (Some(checkpoint), None) => checkpoint.to_string(),
        (None, _) => "none yet".to_owned(),
    };
    let changes = status.counters.get("entered_views").copied().unwrap_or_default();
    format!(
        "\nmarks      batches above {low}, up to {high}\ncheckpoint {checkpoint}\nviews      {changes} changes since the start"
    )
}

/// What the reign of one member over the order is called.
fn reign(status: &ConsensusStatus) -> &'static str {
    if status.engine == "raft" { "term" } else { "view" }
}

fn stands(member: &MemberStanding, reign: &str) -> String {
    let (Some(view), Some(executed)) = (member.view, member.executed) else {
        return if member.answered { "has no replica" } else { "does not answer" }.to_string();
    };
    let state = match (member.halted, member.active, member.voting) {
        (Some(true), ..) => "halted",
        (_, Some(true), Some(true)) => "takes part",
        (_, _, Some(false)) => "follows",
        _ if reign == "term" => "knows no leader",
        _ => "changes the view",
    };
    let behind = member.lag.filter(|lag| *lag > 0).map(|lag| format!(", {lag} behind")).unwrap_or_default();
    format!("{state}, {reign} {view}, batch {executed}{behind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_fail_and_what_may_fail_now_are_told_apart() {
        let status = ConsensusStatus { faults_tolerated: 2, faults_tolerated_now: 1, ..ConsensusStatus::default() };
        assert!(show(&status).contains("\nfaults     2 tolerated; 1 more may fail now"), "{}", show(&status));
    }

    #[test]
    fn what_is_to_be_mended_is_shown() {
        let status = ConsensusStatus { warnings: vec!["too few".into()], ..ConsensusStatus::default() };
        assert!(show(&status).contains("\nwarning    too few"), "{}", show(&status));
        assert!(!show(&ConsensusStatus::default()).contains("warning"));
    }

    /// Checklist item 40 of pBFT.
    #[test]
    fn each_piece_of_evidence_has_a_line() {
        let votes = EvidenceStatus {
            accused: "n".into(),
            kind: "pre_prepares".into(),
            epoch: 2,
            view: Some(3),
            index: Some(130),
        };
        let whole = EvidenceStatus { kind: "new_views".into(), index: None, ..votes.clone() };
        let caught = vec![whole.clone()];
        let text = show(&ConsensusStatus { evidence: vec![votes, whole], ..ConsensusStatus::default() });
        let said = "signed two pre prepares that contradict each other, epoch 2, view 3, batch 130\n";
        assert!(text.contains("\nevidence   ") && text.contains(said), "{text}");
        assert!(text.ends_with("signed two new views that contradict each other, epoch 2, view 3"), "{text}");
        assert!(!text.contains("caught"), "{text}");
        let text = show(&ConsensusStatus { caught, ..ConsensusStatus::default() });
        let said = "signed two new views that contradict each other, epoch 2, view 3; found here, not agreed on";
        assert!(text.contains("\ncaught     ") && text.ends_with(said) && !text.contains("evidence"), "{text}");
    }

    #[test]
    fn what_a_replica_is_bounded_by_is_shown() {
        let (low, high, checkpoint) = (128, 384, Some(256));
        let digest = Some("0123456789abcdef0123".to_owned());
        let replica = ReplicaStatus { low, high, checkpoint, digest, ..ReplicaStatus::default() };
        let counters = [("entered_views".to_owned(), 2)].into();
        let status = ConsensusStatus { replica: Some(replica), counters, ..ConsensusStatus::default() };
        let text = show(&status);
        assert!(text.contains("\nmarks      batches above 128, up to 384\n"), "{text}");
        assert!(text.contains("\ncheckpoint 256, of state 0123456789abcdef\n"), "{text}");
        assert!(text.contains("\nviews      2 changes since the start"), "{text}");
        let raft = show(&ConsensusStatus { engine: "raft".into(), ..status });
        assert!(raft.contains("\nlog        to entry 384; the last snapshot covers 128"), "{raft}");
        assert!(!raft.contains("checkpoint"), "{raft}");
    }

    #[test]
    fn the_primary_is_shown_without_a_replica() {
        let status = ConsensusStatus { primary: Some("12D3KooWabcdefgh".into()), ..ConsensusStatus::default() };
        assert!(show(&status).contains("\nprimary    "), "{}", show(&status));
        assert!(!show(&ConsensusStatus::default()).contains("primary"));
    }

    #[test]
    fn a_member_is_shown_as_it_says_that_it_stands() {
        let silent = MemberStanding { node: "n".into(), ..MemberStanding::default() };
        assert_eq!(stands(&silent, "view"), "does not answer");
        let up = MemberStanding {
            answered: true,
            view: Some(2),
            executed: Some(9),
            active: Some(true),
            voting: Some(true),
            ..silent
        };
        assert_eq!(stands(&up, "view"), "takes part, view 2, batch 9");
        let late = MemberStanding { active: Some(false), lag: Some(3), ..up.clone() };
        assert_eq!(stands(&late, "term"), "knows no leader, term 2, batch 9, 3 behind");
        assert_eq!(
            stands(&MemberStanding { active: Some(false), ..up.clone() }, "view"),
            "changes the view, view 2, batch 9"
        );
        assert_eq!(stands(&MemberStanding { halted: Some(true), ..up }, "view"), "halted, view 2, batch 9");
    }
}
