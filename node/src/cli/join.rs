//! `meshd join`.

use std::io::Read as _;

use clap::Args;
use mesh_proto::limits;
use mesh_proto::role::Role;
use zeroize::Zeroizing;

use super::Failure;
use super::init::Membership;
use super::output::Output;
use super::settings::{Global, now};
use crate::identity::{self, DataDir};

#[derive(Debug, Args)]
pub(super) struct Join {
    /// What `meshd invite` printed, or - to read it from standard input, where other users cannot see it.
    token: String,
    /// Be less than the token allows.
    #[arg(long)]
    role: Option<Role>,
}

impl Join {
    pub(super) fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let config = global.load(Vec::new())?.config;
        let mut token = Zeroizing::new(self.token.clone());
        if *token == "-" {
            token.clear();
            // Spaces and line breaks of a paste come on top of the token's own length.
            std::io::stdin().lock().take(4 * limits::TOKEN_TEXT_BYTES as u64).read_to_string(&mut token)?;
        }
        let dir = DataDir::lock(&config.node.data_dir)?;
        let identity = identity::join(&dir, &token, self.role, now())?;
        Ok(output.put(&Membership::of(&identity, &dir), Membership::text)?)
    }
}
