//! `meshd lock`.
//!
//! A lock is a lease in agreed time. The command runs while the lease holds by this machine's clock, counted from before
//! the grant was asked for; when the lease is lost the command is ended. Agreed time is the primaries', who may be off as
//! far as the members accept, so the committee is asked for that much more: it ends here before anybody else is let in. A guard between sees to that (`executor::lock`): also where this process is killed or stopped. What the command
//! writes elsewhere is guarded by the fence that it carries: a machine that was stopped meanwhile does not know that its
//! time is over.

mod held;
mod lease;
mod wish;

use clap::Args;

use super::Failure;
use super::exit::FAILED;
use super::settings::Global;
use super::signals::Signals;
use crate::config::Span;
use crate::executor::lock::{ToHolder, shares_terminal};
use held::{Ended, Held};
use lease::Lease;
use wish::Wish;

#[derive(Debug, Args)]
pub(super) struct Lock {
    /// What is locked.
    name: String,
    /// How long the command may run without a word from the committee; it is renewed at a third of that.
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
        lease::check(self.lease.get()).map_err(Failure::Usage)?;
        let client = global.client()?;
        let mut signals = Signals::new()?;
        let mut wish = Wish::new(&client, &self.name, self.lease.get());
        let taken = tokio::select! {
            taken = wish.take(self.wait.get()) => taken.map_err(Failure::from),
            code = signals.next() => Err(Failure::Ended(code)),
        };
        let mut lease = match taken {
            Ok(lease) => lease,
            Err(failure) => {
                tokio::select! {
                    () = wish.give_up() => {}
                    // Who does not wait for that, either, says so.
                    _ = signals.next() => {}
                }
                return Err(failure);
            }
        };
        let code = match Held::start(&self.words, lease.fence(), lease.until()).await {
            Ok(Ok(held)) => Ok(hold(held, &mut lease, &mut signals).await),
            Ok(Err(why)) => Err(Failure::Usage(format!("cannot run {}: {why}", self.words[0]))),
            Err(error) => Err(Failure::Stream(error)),
        };
        lease.release().await;
        match code? {
            0 => Ok(()),
            code => Err(Failure::Ended(code)),
        }
    }
}

/// Runs the command to its end, or ends it when the lock is lost or the user wants it. Its exit code.
async fn hold(mut held: Held, lease: &mut Lease<'_>, signals: &mut Signals) -> u8 {
    let shares_terminal = shares_terminal();
    let (line, mut hearing) = held.split();
    let ended = {
        let mut lost = std::pin::pin!(lease.keep(|until| line.tell(&ToHolder::Until(until))));
        loop {
            tokio::select! {
                biased;
                ended = hearing.ended() => break Over::Ended(ended),
                why = &mut lost => break Over::Lost(why),
                code = signals.next() => match code {
                    // The command has heard it, too, and may want to go on.
                    INTERRUPTED if shares_terminal => {}
                    code => break Over::Wanted(code),
                },
            }
        }
    };
    match ended {
        Over::Ended(Ended { code, by_lease: false }) => code,
        // This process was stopped meanwhile, or could not tell its guard.
        Over::Ended(Ended { code, by_lease: true }) => lost(code, "it was not renewed in time"),
        Over::Lost(why) => {
            let Ended { code, .. } = held.end().await;
            lost(code, &why)
        }
        Over::Wanted(code) => {
            // How the command takes its end is not what the user wants to know: that it was the user's doing is.
            held.end().await;
            code
        }
    }
}

enum Over {
    Ended(Ended),
    Lost(String),
    Wanted(u8),
}

/// Whatever the command makes of its end, it did not run under the lock to it.
fn lost(code: u8, why: &str) -> u8 {
    eprintln!("meshd: the lock is lost, and the command ended: {why}");
    code.max(FAILED)
}

/// As the exit code of who ends by it.
const INTERRUPTED: u8 = 130;
