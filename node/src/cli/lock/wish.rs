//! Asking for a lock until it is had, and giving back one that may have been granted unheard.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::lease::{Lease, TRY, granted_ms};
use crate::api::Code;
use crate::api::locks::Granted;
use crate::api::locks::hold::Taking;
use crate::api::node::NodeStatus;
use crate::api::order::is_undecided;
use crate::cli::ordering::{Route, drawn, millis};
use crate::cli::results::escape;
use crate::client::{Ask, Client, ClientError};
use crate::executor::lock;

/// A lock that is asked for.
pub(super) struct Wish<'a> {
    client: &'a Client,
    path: String,
    lease: Duration,
    request: Taking,
    /// Under the same key the same answer comes back.
    key: String,
    /// When it was drawn, also by the clock that counts the time that the machine slept.
    asked: Instant,
    asked_awake: Duration,
    /// Something was asked under this key, and it is not known what came of it.
    is_open: bool,
}

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest that the last request waits for the committee, of who wants the lock no more.
const LAST_TRY: Duration = Duration::from_secs(5);

impl<'a> Wish<'a> {
    pub(super) fn new(client: &'a Client, name: &str, lease: Duration) -> Self {
        let path = format!("/v1/locks/{}", escape(name));
        let request = Taking { lease_ms: granted_ms(lease), holder: None };
        let (key, asked, asked_awake) = (drawn(), Instant::now(), lock::now());
        Self { client, path, lease, request, key, asked, asked_awake, is_open: false }
    }

    /// Takes the lock, waiting while another holds it or nothing can be agreed on. Whoever does not get one from it, or does not
    /// wait for its end, calls [`Wish::give_up`].
    pub(super) async fn take(&mut self, wait: Duration) -> Result<Lease<'a>, ClientError> {
        let until = Instant::now() + wait;
        loop {
            match self.ask(TRY).await {
                Ok(granted) => {
                    let mut taken = self.granted(&granted);
                    // The grant may be that of an early try, and most of its time over.
                    if self.asked.elapsed() < self.lease / 3 || taken.renew(TRY).await.is_ok() {
                        return Ok(taken);
                    }
                }
                Err(error) if Instant::now() >= until || !error.is_worth_a_retry() => return Err(error),
                // As every verb has it where no node runs. One that has answered before is waited for.
                Err(error @ ClientError::NoNode { .. }) if self.request.holder.is_none() => return Err(error),
                Err(_) => {}
            }
            sleep(PAUSE).await;
            // The answer of before is wanted where it was not heard, and nowhere else.
            if !self.is_open {
                (self.key, self.asked, self.asked_awake) = (drawn(), Instant::now(), lock::now());
            }
        }
    }

    /// What was asked for may have been granted, or may be yet, and would keep all others out until its lease is over. It is
    /// asked for under its key once more, as nothing else tells the number by which it can be given back; if it is only granted
    /// now, that is given back as well.
    pub(super) async fn give_up(mut self) {
        if !self.is_open {
            return;
        }
        match timeout(TRY, self.ask(LAST_TRY)).await {
            Ok(Ok(granted)) => self.granted(&granted).release().await,
            Ok(Err(_)) if !self.is_open => {}
            Ok(Err(_)) | Err(_) => eprintln!("meshd: the lock may have been granted, and then ends by itself"),
        }
    }

    async fn ask(&mut self, wait: Duration) -> Result<Granted, ClientError> {
        // It is part of what is asked: a try through another node must say the same.
        if self.request.holder.is_none() {
            self.request.holder = Some(self.client.ask::<NodeStatus>(&Ask::get("/v1/status")).await?.node);
        }
        let route = Route::new(&self.path).and("wait", &millis(wait));
        let was_open = std::mem::replace(&mut self.is_open, true);
        let answer = self.client.ask::<Granted>(&Ask::post(route).key(&self.key).json(&self.request)).await;
        self.is_open = answer.as_ref().err().is_some_and(|error| is_open(was_open, error));
        answer
    }

    fn granted(&self, granted: &Granted) -> Lease<'a> {
        let (client, path, fence) = (self.client, self.path.clone(), granted.fence);
        Lease { client, path, lease: self.lease, fence, asked: self.asked, asked_awake: self.asked_awake }
    }
}

/// Whether what was asked may have been done, or may be done yet, behind this answer. Under another key a lock that was granted
/// would keep its own taker out for as long as it lasts.
fn is_open(was_open: bool, error: &ClientError) -> bool {
    match error {
        ClientError::Refused(problem) => match problem.code {
            // Of the node alone: what was asked before may be done all the same.
            Code::Busy | Code::Unavailable | Code::ReadOnly => was_open,
            code => is_undecided(code),
        },
        error => error.is_loss(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Problem;
    use axum::extract::RawQuery;
    use axum::http::{HeaderMap, StatusCode};
    use axum::response::IntoResponse as _;
    use axum::routing::post;
    use axum::{Json, Router};
    use mesh_coordinator::Refusal;
    use std::future::ready;
    use std::sync::{Arc, Mutex};

    fn refused(code: Code) -> ClientError {
        ClientError::Refused(Box::new(Problem::new(code, "")))
    }

    #[test]
    fn what_may_have_been_granted_is_asked_for_again_under_its_key() {
        let ahead = ClientError::Refused(Box::new(Problem::from(&Refusal::ClockAhead)));
        assert!(is_open(false, &ahead) && ahead.is_worth_a_retry());
        assert!(is_open(false, &refused(Code::NoQuorum)));
        assert!(is_open(false, &ClientError::Broken(String::new())));
        for (code, says_of_the_try_before) in [
            (Code::Held, true),
            (Code::Full, true),
            (Code::Busy, false),
            (Code::Unavailable, false),
            (Code::ReadOnly, false),
        ] {
            assert!(!is_open(false, &refused(code)), "{code:?}");
            assert_eq!(is_open(true, &refused(code)), !says_of_the_try_before, "{code:?}");
        }
    }

    /// A node that answers the first try with this, and grants the next; and what it was asked.
    async fn node(first: Code) -> (Client, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (takes, releases) = (Arc::clone(&asked), Arc::clone(&asked));
        let take = move |headers: HeaderMap| {
            let mut asked = takes.lock().unwrap();
            asked.push(format!("POST {}", headers["idempotency-key"].to_str().unwrap()));
            let granted = Granted { name: "one".into(), fence: 7, expires: String::new(), index: 1 };
            ready(match asked.len() {
                1 => Problem::new(first, "").into_response(),
                _ => Json(granted).into_response(),
            })
        };
        let release = move |RawQuery(query): RawQuery| {
            releases.lock().unwrap().push(format!("DELETE {}", query.unwrap_or_default()));
            ready(StatusCode::NO_CONTENT)
        };
        let router = Router::new().route("/v1/locks/{name}", post(take).delete(release));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (Client::new(vec![format!("http://{address}")], "secret".into()), asked)
    }

    fn wish(client: &Client) -> Wish<'_> {
        let mut wish = Wish::new(client, "one", Duration::from_secs(15));
        wish.request.holder = Some("a node".into());
        wish
    }

    #[tokio::test]
    async fn what_may_have_been_granted_is_given_back_by_who_gives_up() {
        let (client, asked) = node(Code::NoQuorum).await;
        let mut wish = wish(&client);
        let took = format!("POST {}", wish.key);
        assert!(wish.take(Duration::ZERO).await.is_err());
        wish.give_up().await;
        assert_eq!(asked.lock().unwrap()[..], [took.clone(), took, "DELETE fence=7&wait=5s".into()]);
    }

    #[tokio::test]
    async fn what_was_not_granted_is_not_asked_for_again_by_who_gives_up() {
        let (client, asked) = node(Code::Held).await;
        let mut wish = wish(&client);
        assert!(wish.take(Duration::ZERO).await.is_err());
        wish.give_up().await;
        assert_eq!(asked.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_is_interrupted_while_it_is_asked_for_is_given_back() {
        let (client, asked) = node(Code::NoQuorum).await;
        let mut wish = wish(&client);
        // Sent, and not waited for.
        wish.is_open = true;
        asked.lock().unwrap().push("POST".into());
        wish.give_up().await;
        let asked = asked.lock().unwrap();
        assert!(asked.len() == 3 && asked[2].starts_with("DELETE fence=7"), "{asked:?}");
    }
}
