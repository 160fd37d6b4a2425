//! `meshd ledger verify`, and the files that it reads.

mod file;
mod report;
mod verdict;
mod verify;

use clap::Subcommand;

use super::Failure;
use super::output::Output;
use super::settings::Global;

pub(super) use verdict::save_proof;

#[derive(Debug, Subcommand)]
pub(super) enum Ledger {
    /// Check what the mesh agreed on, from the network's birth on, trusting no node.
    Verify(verify::Verify),
}

impl Ledger {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let Self::Verify(verify) = self;
        verify.run(global, output).await
    }
}
