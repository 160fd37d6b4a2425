//! `meshd lock`.
//!
//! A lock is a lease in agreed time. The command runs while the lease holds by this machine's clock, counted from before
//! the grant was asked for, so that it ends here before anybody else is let in; when the lease is lost the command is
//! ended. What it writes elsewhere is guarded by the fence that it carries: a machine that was stopped meanwhile does not
//! know that its time is over.

mod group;
mod lease;

use clap::Args;

use super::Failure;
use super::exit::FAILED;
use super::settings::Global;
use super::signals::Signals;
use crate::config::Span;
use group::Group;
use lease::Lease;

#[derive(Debug, Args)]
pub(super) struct Lock {
    /// What is locked.
    name: String,
    /// How long it stays locked without a word from here; it is renewed at a third of that.
    #[arg(long, value_name = "TIME", default_value = "15s")]
    lease: Span,
    /// How long to wait while another holds it.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    wait: Span,
    /// The command and its arguments; MESH_FENCE in its environment is the number of the grant.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    words: Vec<String>,
}

impl Lock {
    pub(super) async fn run(&self, global: &Global) -> Result<(), Failure> {
        let client = global.client()?;
        let mut signals = Signals::new()?;
        let mut lease = tokio::select! {
            taken = Lease::take(&client, &self.name, self.lease.get(), self.wait.get()) => taken?,
            code = signals.next() => return Err(Failure::Ended(code)),
        };
        let code = match Group::start(&self.words, lease.fence()) {
            Ok(group) => hold(group, &mut lease, &mut signals).await,
            Err(error) => Err(Failure::Usage(format!("cannot run {}: {error}", self.words[0]))),
        };
        lease.release().await;
        match code? {
            0 => Ok(()),
            code => Err(Failure::Ended(code)),
        }
    }
}

/// Runs the command to its end, or ends it when the lock is lost or the user wants it. Its exit code.
async fn hold(mut group: Group, lease: &mut Lease<'_>, signals: &mut Signals) -> Result<u8, Failure> {
    tokio::select! {
        ended = group.ended() => Ok(ended?),
        lost = lease.keep() => {
            eprintln!("meshd: the lock is lost, and the command ended: {lost}");
            // Whatever the command makes of its end, it did not run under the lock to it.
            Ok(group.end().await?.max(FAILED))
        }
        code = signals.next() => {
            // How the command takes its end is not what the user wants to know: that it was the user's doing is.
            group.end().await?;
            Ok(code)
        }
    }
}
