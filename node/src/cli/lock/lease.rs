use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::api::Code;
use crate::api::locks::Granted;
use crate::api::locks::hold::Renewing;
use crate::cli::ordering::{Route, drawn, millis};
use crate::client::{Ask, Client, ClientError};
use crate::executor::lock::{self, Until};
use crate::testnet::length;

/// A lock that is held.
pub(super) struct Lease<'a> {
    pub(super) client: &'a Client,
    pub(super) path: String,
    pub(super) lease: Duration,
    pub(super) fence: u64,
    /// Before the last grant was asked for: nobody else is let in before this and the length of the lease.
    pub(super) asked: Instant,
    /// The same, by the clock that counts the time that the machine slept.
    pub(super) asked_awake: Duration,
}

/// What the committee is asked for beyond the lease: twice what each of its members lets agreed time be away from its own
/// clock (`mesh_pbft::Config::time_bound`). The grant may be dated so much too early, and the batch that comes when the
/// lease is looked at so much too late. Counted once: a member that is in both quorums has one clock.
const APART: Duration = Duration::from_secs(20);
/// Shortest and longest lease: with what comes on top no longer than the ledger grants (`mesh_ledger`, `LEASE_MS`).
const LEASES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60 - 20);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest that one request waits for the committee: another node may reach more of it.
pub(super) const TRY: Duration = Duration::from_secs(10);

impl Lease<'_> {
    /// The number of the grant.
    pub(super) fn fence(&self) -> u64 {
        self.fence
    }

    /// Until when the command may run, which is to be gone before anybody else is let in: a tenth of the lease before its
    /// end, for clocks of another pace. It is asked to end before that, by a grace or a fifth of the lease.
    pub(super) fn until(&self) -> Until {
        let (asked, killed) = ends(self.lease);
        Until { asked: self.asked_awake + asked, killed: self.asked_awake + killed }
    }

    /// Renews it until it is lost, and tells of each renewal; then says why.
    pub(super) async fn keep(&mut self, mut renewed: impl FnMut(Until)) -> String {
        let third = self.lease / 3;
        let mut due = self.asked + third;
        loop {
            let over = self.asked + ends(self.lease).0;
            sleep_until(due.min(over)).await;
            let now = Instant::now();
            if now >= over {
                return format!("it was not renewed within {}", length(self.lease));
            }
            match timeout_at(over.min(now + third), self.renew(third.min(TRY))).await {
                Ok(Ok(())) => {
                    due = self.asked + third;
                    renewed(self.until());
                }
                Ok(Err(error)) if !error.is_worth_a_retry() => return error.to_string(),
                Ok(Err(_)) | Err(_) => due = Instant::now() + PAUSE,
            }
        }
    }

    pub(super) async fn renew(&mut self, wait: Duration) -> Result<(), ClientError> {
        let (asked, asked_awake) = (Instant::now(), lock::now());
        let request = Renewing { fence: self.fence, lease_ms: granted_ms(self.lease) };
        let route = Route::new(&self.path).and("wait", &millis(wait));
        self.client.ask::<Granted>(&Ask::put(route).json(&request)).await?;
        (self.asked, self.asked_awake) = (asked, asked_awake);
        Ok(())
    }

    /// Gives it back. Where that fails it is free when the lease is over.
    pub(super) async fn release(&self) {
        let route = Route::new(&self.path).and("fence", &self.fence.to_string()).and("wait", "5s");
        match timeout(TRY, self.client.send(&Ask::delete(route).key(&drawn()))).await {
            Ok(Ok(_)) => {}
            // It was lost, which was said.
            Ok(Err(error)) if is_refused(&error, Code::NotHeld) => {}
            Ok(Err(error)) => eprintln!("meshd: the lock was not released, and ends by itself: {error}"),
            Err(_) => eprintln!("meshd: the lock was not released, and ends by itself: no answer"),
        }
    }
}

/// What is to be said of a lease that cannot be had.
pub(super) fn check(lease: Duration) -> Result<(), String> {
    match LEASES.contains(&lease) {
        true => Ok(()),
        false => Err(format!("--lease is from {} to a day less {}", length(*LEASES.start()), length(APART))),
    }
}

/// What the committee is asked for, so that nobody else is let in within the lease whatever agreed time makes of it.
pub(super) fn granted_ms(lease: Duration) -> u64 {
    whole_ms(lease + APART)
}

/// From when a grant was asked for to when a command is asked to end, and to when it is killed.
fn ends(lease: Duration) -> (Duration, Duration) {
    let killed = lease - lease / 10;
    (killed - lock::GRACE.min(lease / 5), killed)
}

pub(super) fn is_refused(error: &ClientError, code: Code) -> bool {
    matches!(error, ClientError::Refused(problem) if problem.code == code)
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_gone_before_its_lease_is_over_and_outlives_a_renewal_that_comes_late() {
        for ms in [100, 1_000, 5_000, 15_000, 86_400_000] {
            let lease = Duration::from_millis(ms);
            let (asked, killed) = ends(lease);
            assert!(asked < killed && killed < lease && asked > lease / 3 * 2, "{lease:?}: {asked:?}, {killed:?}");
        }
        assert_eq!(ends(Duration::from_secs(15)), (Duration::from_millis(11_500), Duration::from_millis(13_500)));
    }

    /// The grant is dated by one primary and its end by another, each as far from the clock of a member that accepted both
    /// as that lets pass; and this machine's clock is slower by a tenth.
    #[test]
    fn nobody_else_is_let_in_while_agreed_time_is_off_by_what_members_accept() {
        let off = mesh_pbft::Config::default().time_bound;
        for lease in [*LEASES.start(), Duration::from_secs(15), *LEASES.end()] {
            let killed_at_the_members = ends(lease).1 * 10 / 9;
            let free_at_the_members = Duration::from_millis(granted_ms(lease)) - off - off;
            assert!(killed_at_the_members <= free_at_the_members, "{lease:?}");
        }
    }

    #[test]
    fn a_lease_is_one_that_the_ledger_grants() {
        let ms = Duration::from_millis(1);
        for lease in [*LEASES.start(), *LEASES.end()] {
            assert!(check(lease).is_ok() && granted_ms(lease) <= 24 * 60 * 60 * 1000, "{lease:?}");
        }
        assert!(check(*LEASES.start() - ms).is_err() && check(*LEASES.end() + ms).is_err());
    }
}
