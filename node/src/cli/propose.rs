//! `meshd propose`.

use std::io::Read as _;

use clap::Args;

use super::Failure;
use super::ordering::Writing;
use super::output::Output;
use super::settings::Global;
use crate::api::proposals::propose::{Group, ProposalRequest, Proposed, Voters};
use crate::client::Ask;
use crate::config::Span;

/// Bytes of a body as they are typed.
const MOST_BODY: u64 = 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct Propose {
    /// What people call it.
    #[arg(long)]
    title: String,
    /// What is to be decided: a JSON object; `-` is standard input.
    #[arg(long, value_name = "JSON")]
    body: String,
    /// Who may vote: committee, all (members that the ledger knows), or peer ids with commas between.
    #[arg(long, default_value = "committee", value_name = "WHO")]
    electorate: String,
    /// The share of them that must approve, above 0 and up to 1.
    #[arg(long, default_value_t = 0.67, value_name = "SHARE")]
    threshold: f64,
    /// How long a round lasts.
    #[arg(long, default_value = "60s", value_name = "TIME")]
    deadline: Span,
    /// How many rounds there are at most.
    #[arg(long, default_value_t = 1, value_name = "N")]
    rounds: u16,
    #[command(flatten)]
    writing: Writing,
}

impl Propose {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let client = global.client()?;
        let ask = Ask::post(self.writing.route("/v1/proposals")).key(&self.writing.key()).json(&self.request()?);
        let proposed: Proposed = client.ask(&ask).await?;
        Ok(output.put(&proposed, |proposed| proposed.proposal.clone())?)
    }

    fn request(&self) -> Result<ProposalRequest, Failure> {
        let mut body = self.body.clone();
        if body == "-" {
            body.clear();
            // Spaces do not count there, so that more may come than is kept; a stream without an end may not.
            std::io::stdin().lock().take(MOST_BODY).read_to_string(&mut body)?;
        }
        let body = serde_json::from_str(&body)
            .map_err(|error| Failure::Usage(format!("the body of a proposal is a JSON object: {error}")))?;
        Ok(ProposalRequest {
            title: self.title.clone(),
            body,
            electorate: voters(&self.electorate),
            threshold: Some(self.threshold),
            round_ms: Some(u64::try_from(self.deadline.get().as_millis()).unwrap_or(u64::MAX)),
            rounds: Some(self.rounds),
        })
    }
}

fn voters(text: &str) -> Voters {
    match text {
        "committee" => Voters::Group(Group::Committee),
        "all" => Voters::Group(Group::All),
        ids => Voters::Ids(ids.split(',').map(|id| id.trim().to_owned()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_electorate_is_typed_as_a_word_or_as_ids() {
        assert_eq!(voters("all"), Voters::Group(Group::All));
        assert_eq!(voters("committee"), Voters::default());
        assert_eq!(voters("12D3a, 12D3b"), Voters::Ids(vec!["12D3a".into(), "12D3b".into()]));
    }
}
