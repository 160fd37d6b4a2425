use super::line::{Operation, Told, Wish};
use jiff::Timestamp;
use meshd::{
    api::{
        Code, Problem,
        locks::{
            Granted,
            hold::{Renewing, Taking},
        },
        memory::{
            get::INDEX,
            write::{Deleted, Written},
        },
        proposals::{
            ChoiceName,
            propose::{ProposalRequest, Proposed, Voters},
            votes::{VoteRequest, Voted},
        },
    },
    client::{Ask, Client, ClientError, piece},
};
use std::time::Duration;

/// What one attempt came to.
#[derive(Clone, Debug)]
pub enum Heard {
    /// And the batch, where it was told.
    Told(Told, Option<u64>),
    /// Nobody took it.
    Refused(String),
    /// It may have been done, or be done later.
    Lost,
    /// The mesh does not know any more whether it ran.
    Forgotten,
}

/// How operations of one siege are asked for.
pub struct Asking {
    pub seed: u64,
    /// Whom locks are for, whichever node is asked: a repeat must be the same command.
    pub holder: String,
}

/// How one attempt is made.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// A batch that was told of before the operation's key was drawn.
    pub born: Option<u64>,
    /// How long the node waits for the committee.
    pub wait: Duration,
}

/// The room of all keys.
pub const NAMESPACE: &str = "siege";
/// Beyond what the node waits for: it may be frozen, and say nothing.
const GRACE: Duration = Duration::from_millis(500);

impl Asking {
    /// Asks once, at one node.
    pub async fn attempt(&self, client: &Client, operation: &Operation, terms: Terms) -> Heard {
        let attempt = self.ask(client, operation, terms);
        match tokio::time::timeout(terms.wait + GRACE, attempt).await {
            Ok(Ok((told, index))) => Heard::Told(told, index),
            Ok(Err(error)) => Heard::of(&operation.wish, &error),
            Err(_) => Heard::Lost,
        }
    }

    async fn ask(
        &self,
        client: &Client,
        operation: &Operation,
        terms: Terms,
    ) -> Result<(Told, Option<u64>), ClientError> {
        let wait = format!("wait={}ms", terms.wait.as_millis());
        let terms = terms.born.map_or_else(|| wait.clone(), |born| format!("{wait}&born={born}"));
        let id = format!("{:x}-{}", self.seed, operation.number);
        let memory = |key: &str| format!("/v1/memory/{NAMESPACE}/{key}?{terms}");
        let written = |Written { version, index }| (Told::Written { version }, Some(index));
        let deleted = |Deleted { found, index }| (Told::Deleted { found }, Some(index));
        match &operation.wish {
            Wish::Put { key } => {
                let ask = Ask::put(memory(key)).bytes(value(operation.number, 0)).key(&id);
                Ok(written(client.ask(&ask).await?))
            }
            Wish::Get { key } => get(client, &format!("/v1/memory/{NAMESPACE}/{key}?{wait}")).await,
            Wish::Delete { key } => Ok(deleted(client.ask(&Ask::delete(memory(key)).key(&id)).await?)),
            Wish::Swap { key, expect, writes, count } => {
                let expect = expect.map_or_else(|| "absent".to_owned(), |version| version.to_string());
                let path = format!("{}&expect={expect}", memory(key));
                match writes {
                    true => {
                        let ask = Ask::put(path).bytes(value(operation.number, *count)).key(&id);
                        Ok(written(client.ask(&ask).await?))
                    }
                    false => Ok(deleted(client.ask(&Ask::delete(path).key(&id)).await?)),
                }
            }
            Wish::Lock { lock, lease_ms } => {
                let taking = Taking { lease_ms: *lease_ms, holder: Some(self.holder.clone()) };
                let ask = Ask::post(format!("/v1/locks/lock-{lock}?{terms}")).json(&taking).key(&id);
                granted(client.ask(&ask).await?)
            }
            Wish::Renew { lock, fence, lease_ms } => {
                let renewing = Renewing { fence: *fence, lease_ms: *lease_ms };
                let ask = Ask::put(format!("/v1/locks/lock-{lock}?{terms}")).json(&renewing).key(&id);
                granted(client.ask(&ask).await?)
            }
            Wish::Unlock { lock, fence } => {
                let ask = Ask::delete(format!("/v1/locks/lock-{lock}?{terms}&fence={fence}")).key(&id);
                client.send(&ask).await?;
                Ok((Told::Released, None))
            }
            Wish::Propose => {
                let request = ProposalRequest {
                    title: operation.number.to_string(),
                    body: serde_json::json!({ "number": operation.number }),
                    electorate: Voters::default(),
                    threshold: None,
                    round_ms: Some(30_000),
                    rounds: None,
                };
                let ask = Ask::post(format!("/v1/proposals?{terms}")).json(&request).key(&id);
                let Proposed { proposal, index } = client.ask(&ask).await?;
                Ok((Told::Proposed { proposal }, Some(index)))
            }
            Wish::Vote { proposal, approve, .. } => {
                let choice = if *approve { ChoiceName::Approve } else { ChoiceName::Reject };
                let request = VoteRequest { choice, round: Some(1) };
                let ask = Ask::post(format!("/v1/proposals/{proposal}/votes?{terms}")).json(&request).key(&id);
                let Voted { state, index, .. } = client.ask(&ask).await?;
                Ok((Told::Voted { state }, Some(index)))
            }
        }
    }
}

/// What a write of this number puts at a key: whose it is, and how far it counts.
fn value(number: u32, count: u64) -> Vec<u8> {
    format!("{number} {count}").into_bytes()
}

/// Who wrote a value, and how far it counts; what nobody wrote is of nobody's number.
pub fn writer(value: &str) -> (u32, u64) {
    let parts = value.split_once(' ');
    parts.and_then(|(number, count)| Some((number.parse().ok()?, count.parse().ok()?))).unwrap_or((u32::MAX, 0))
}

async fn get(client: &Client, path: &str) -> Result<(Told, Option<u64>), ClientError> {
    let mut response = client.send(&Ask::get(path)).await?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok().map(str::to_owned));
    let (tag, index) = (header("etag"), header(INDEX.as_str()));
    let mut bytes = Vec::new();
    while let Some(more) = piece(&mut response).await? {
        bytes.extend_from_slice(&more);
    }
    let version = tag.as_deref().and_then(|tag| tag.trim_matches('"').parse().ok());
    let version = version.ok_or_else(|| ClientError::Answer(format!("no version in {tag:?}")))?;
    let (write, count) = writer(&String::from_utf8_lossy(&bytes));
    Ok((Told::Value { version, write, count }, index.and_then(|index| index.parse().ok())))
}

fn granted(granted: Granted) -> Result<(Told, Option<u64>), ClientError> {
    let date: Timestamp =
        granted.expires.parse().map_err(|error| ClientError::Answer(format!("{}: {error}", granted.expires)))?;
    let expires_ms = u64::try_from(date.as_millisecond()).unwrap_or_default();
    Ok((Told::Granted { fence: granted.fence, expires_ms }, Some(granted.index)))
}

impl Heard {
    fn of(wish: &Wish, error: &ClientError) -> Self {
        match error {
            ClientError::NoNode { .. } => Self::Refused("no node".to_owned()),
            ClientError::Silent { .. } | ClientError::Broken(_) => Self::Lost,
            ClientError::Request(why) | ClientError::Answer(why) => {
                Self::Told(Told::Rejected { code: why.clone() }, None)
            }
            ClientError::Refused(problem) => Self::problem(wish, problem),
        }
    }

    fn problem(wish: &Wish, problem: &Problem) -> Self {
        let code = || serde_json::to_value(problem.code).ok().and_then(|code| code.as_str().map(str::to_owned));
        let told = match (problem.code, wish) {
            (Code::Busy | Code::ReadOnly, _) => return Self::Refused(code().unwrap_or_default()),
            // Of a clock that is ahead those who refused need not be all: others may have taken it.
            (Code::NoQuorum | Code::ClockAhead | Code::ShuttingDown | Code::Unavailable, _) => return Self::Lost,
            (Code::TooOld, _) => return Self::Forgotten,
            (Code::NotFound, Wish::Get { .. }) => Told::Nothing,
            (Code::Mismatch, _) => match mismatch(&problem.detail) {
                Some(version) => Told::Mismatch { version },
                None => Told::Rejected { code: problem.detail.clone() },
            },
            (Code::Held, _) => Told::Held,
            (Code::NotHeld, _) => Told::NotHeld,
            _ => Told::Rejected { code: code().unwrap_or_default() },
        };
        Self::Told(told, None)
    }
}

/// The version that is there instead, as the problem words it: it has no field of its own.
fn mismatch(detail: &str) -> Option<Option<u64>> {
    match detail.strip_prefix("the key holds ")? {
        "nothing" => Some(None),
        version => version.strip_prefix("version ")?.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::ledger::Rejection;

    #[test]
    fn what_is_there_instead_is_read_from_what_a_node_says() {
        for version in [None, Some(7)] {
            let problem = Problem::from(&Rejection::Mismatch { version });
            assert_eq!(mismatch(&problem.detail), Some(version), "{}", problem.detail);
        }
    }

    #[test]
    fn what_others_may_have_taken_is_not_refused() {
        let heard = |code| {
            let wish = Wish::Get { key: String::new() };
            Heard::problem(&wish, &Problem::new(code, ""))
        };
        for code in [Code::NoQuorum, Code::ClockAhead] {
            assert!(matches!(heard(code), Heard::Lost), "{code:?}");
        }
        assert!(matches!(heard(Code::Busy), Heard::Refused(_)));
    }

    #[test]
    fn a_value_names_its_writer() {
        assert_eq!(writer(&String::from_utf8(value(7, 9)).unwrap()), (7, 9));
        assert_eq!(writer("something else"), (u32::MAX, 0));
    }
}
