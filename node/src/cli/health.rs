//! `meshd health`.

use clap::Args;

use super::Failure;
use super::exit::LATER;
use super::output::Output;
use super::settings::Global;

#[derive(Debug, Args)]
pub(super) struct Health {
    /// Ask only whether it lives, not whether it is ready for work.
    #[arg(long)]
    live: bool,
}

impl Health {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let (path, good, bad) = match self.live {
            true => ("/livez", "alive", "stalled"),
            false => ("/readyz", "ready", "not ready"),
        };
        let probe = global.prober()?.probe(path).await?;
        output.put(&probe, |probe| {
            let first = if probe.ok { good } else { bad };
            let reasons = probe.reasons.iter().map(|reason| format!("\n{reason}"));
            let warnings = probe.warnings.iter().map(|warning| format!("\nwarning: {warning}"));
            reasons.chain(warnings).fold(first.to_owned(), |text, line| text + &line)
        })?;
        match probe.ok {
            true => Ok(()),
            false => Err(Failure::Ended(LATER)),
        }
    }
}
