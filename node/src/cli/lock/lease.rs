use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::api::Code;
use crate::api::locks::Granted;
use crate::api::locks::hold::{Renewing, Taking};
use crate::api::node::NodeStatus;
use crate::cli::ordering::{Route, drawn, millis};
use crate::cli::results::escape;
use crate::client::{Ask, Client, ClientError};
use crate::executor::lock::{self, Until};
use crate::testnet::length;

/// A lock that is held.
pub(super) struct Lease<'a> {
    client: &'a Client,
    path: String,
    lease: Duration,
    fence: u64,
    /// Before the last grant was asked for: the lease is not over before this and its length.
    asked: Instant,
    /// The same, by the clock that counts the time that the machine slept.
    asked_awake: Duration,
}

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest that one request waits for the committee: another node may reach more of it.
const TRY: Duration = Duration::from_secs(10);

impl<'a> Lease<'a> {
    /// Takes the lock, waiting while another holds it or nothing can be agreed on.
    pub(super) async fn take(
        client: &'a Client,
        name: &str,
        lease: Duration,
        wait: Duration,
    ) -> Result<Self, ClientError> {
        let path = format!("/v1/locks/{}", escape(name));
        let until = Instant::now() + wait;
        let mut request = Taking { lease_ms: whole_ms(lease), holder: None };
        let (mut key, mut asked, mut asked_awake) = (drawn(), Instant::now(), lock::now());
        loop {
            let route = Route::new(&path).and("wait", &millis(TRY));
            let granted = async {
                // It is part of what is asked: a try through another node must say the same.
                if request.holder.is_none() {
                    request.holder = Some(client.ask::<NodeStatus>(&Ask::get("/v1/status")).await?.node);
                }
                client.ask::<Granted>(&Ask::post(route).key(&key).json(&request)).await
            };
            let error = match granted.await {
                Ok(granted) => {
                    let mut taken =
                        Self { client, path: path.clone(), lease, fence: granted.fence, asked, asked_awake };
                    // The grant may be that of an early try, and most of its time over.
                    if asked.elapsed() < lease / 3 || taken.renew(TRY).await.is_ok() {
                        return Ok(taken);
                    }
                    None
                }
                Err(error) => Some(error),
            };
            let is_unknown = error.as_ref().is_some_and(|error| error.is_loss() || is_refused(error, Code::NoQuorum));
            if let Some(error) = error
                && (Instant::now() >= until || !error.is_worth_a_retry())
            {
                return Err(error);
            }
            sleep(PAUSE).await;
            // Under the same key the same answer comes back: wanted where it was not heard, and nowhere else.
            if !is_unknown {
                (key, asked, asked_awake) = (drawn(), Instant::now(), lock::now());
            }
        }
    }

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

    async fn renew(&mut self, wait: Duration) -> Result<(), ClientError> {
        let (asked, asked_awake) = (Instant::now(), lock::now());
        let request = Renewing { fence: self.fence, lease_ms: whole_ms(self.lease) };
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

/// From when a grant was asked for to when a command is asked to end, and to when it is killed.
fn ends(lease: Duration) -> (Duration, Duration) {
    let killed = lease - lease / 10;
    (killed - lock::GRACE.min(lease / 5), killed)
}

fn is_refused(error: &ClientError, code: Code) -> bool {
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
}
