//! `meshd vote`.

use clap::Args;

use super::Failure;
use super::ordering::Writing;
use super::output::Output;
use super::results::escape;
use super::settings::Global;
use crate::api::proposals::ChoiceName;
use crate::api::proposals::votes::{VoteRequest, Voted};
use crate::client::Ask;

#[derive(Debug, Args)]
pub(super) struct Vote {
    /// The proposal: its id, or the first 8 digits or more.
    proposal: String,
    /// What the node says.
    choice: ChoiceName,
    #[command(flatten)]
    writing: Writing,
}

impl Vote {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let route = self.writing.route(&format!("/v1/proposals/{}/votes", escape(&self.proposal)));
        let request = VoteRequest { choice: self.choice, round: None };
        // It is signed by the node that is asked: another one's would be somebody else's vote.
        let client = global.client()?.first_alone();
        let voted: Voted = client.ask(&Ask::post(route).key(&self.writing.key()).json(&request)).await?;
        Ok(output.put(&voted, |voted| match &voted.voter {
            Some(voter) => format!("voted, as {voter}; it is {}", voted.state),
            None => format!("voted; it is {}", voted.state),
        })?)
    }
}
