use std::path::PathBuf;

use clap::Args;
use mesh_ledger::audit::Step;
use mesh_proto::id::NetworkId;

use super::verdict::{self, Refuted};
use super::{file, report};
use crate::cli::Failure;
use crate::cli::exit::FAILED;
use crate::cli::ordering::{Route, millis};
use crate::cli::output::Output;
use crate::cli::settings::Global;
use crate::config::Span;

#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// The network's id: all that is trusted. Default: that of the data directory.
    #[arg(long, value_name = "ID")]
    network: Option<NetworkId>,
    /// Check this file, and ask nobody.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["proof", "save"])]
    bundle: Option<PathBuf>,
    /// Check the decision that this file is to prove, and ask nobody.
    #[arg(long, value_name = "FILE", conflicts_with = "save")]
    proof: Option<PathBuf>,
    /// Write what was checked into this file.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// How long the committee is waited for.
    #[arg(long, value_name = "TIME", default_value = "30s")]
    wait: Span,
}

impl Verify {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let network = verdict::network(global, self.network)?;
        let bytes = match self.proof.as_ref().or(self.bundle.as_ref()) {
            Some(path) => file::read(path)?,
            None => {
                let route = Route::new("/v1/ledger/bundle").and("wait", &millis(self.wait.get()));
                verdict::fetch(&global.client()?, route).await?
            }
        };
        match verdict::judge(&bytes, &network, self.proof.is_some()) {
            Ok(proved) => {
                if let Some(path) = &self.save {
                    file::write(path, &bytes)?;
                }
                Ok(output.put(&report::verified(&proved), report::show)?)
            }
            Err(why) => Err(self.refute(&network, &why, output)?),
        }
    }

    fn refute(&self, network: &NetworkId, why: &Refuted, output: Output) -> Result<Failure, Failure> {
        if !output.is_text() {
            output.put(&report::refuted(network, why), |_| String::new())?;
        }
        let advice = match (why.step() == Step::Genesis.name(), self.proof.is_some() || self.bundle.is_some()) {
            (true, _) => {
                "if that other network is meant, and its id comes from somebody you trust, name it with --network"
            }
            (false, true) => "have it saved anew, from a node of that network",
            (false, false) => "do not rely on this node; ask another with --api",
        };
        eprintln!("meshd: not verified: {}: {why}; {advice}", why.step());
        Ok(Failure::Ended(FAILED))
    }
}
