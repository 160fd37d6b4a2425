//! `meshd bench`.

use clap::Subcommand;

use super::Failure;
use super::output::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Bench {}

impl Bench {
    pub(super) async fn run(&self, _: Output) -> Result<(), Failure> {
        match *self {}
    }
}
