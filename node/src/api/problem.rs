use super::brain::BrainGone;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mesh_coordinator::Refusal;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Why a request was not carried out, as RFC 9457 has it. `code` is stable; programs act on it, people read `detail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    pub code: Code,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// When to try again, in milliseconds; also in `Retry-After`, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u32>,
}

/// The stable names of problems. Names are only ever added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No token, or one that this node does not know.
    Unauthorized,
    /// The token's holder may not do this.
    Forbidden,
    /// The `Host` header names a host that this node does not answer for.
    WrongHost,
    /// Not what this route takes.
    Malformed,
    /// Larger than this route takes.
    TooLarge,
    /// Nobody in reach knows it.
    NotFound,
    /// More than one id begins so.
    Ambiguous,
    NoSuchRoute,
    MethodNotAllowed,
    /// It does not go together with what is there, such as another task under the same key.
    Conflict,
    /// The key is older than what the mesh remembers.
    TooOld,
    /// The job was cancelled while it was submitted; the task that a worker has is not to go on.
    Cancelled,
    /// The worker is not attached any more.
    Gone,
    /// It has not ended yet.
    NotEnded,
    /// Several nodes ran it, and by this node's own count what is there is not what most of them did.
    Unverified,
    /// Too few holders answered, or this node has not heard yet who they are.
    Unavailable,
    /// This node is on the side of a cut that cannot decide: nothing of it was done. It is taken again once the cut heals.
    ReadOnly,
    /// No room now.
    Busy,
    /// Too few members of the committee answered in time: what was asked may be done, and a repeat is harmless.
    NoQuorum,
    /// This network has no committee.
    NoAgreement,
    /// Members of this network's committee trust each other, and certify nothing.
    NotCertified,
    /// This node's clock is ahead of agreed time by more than it allows. What was asked may be done all the same, and a
    /// repeat is harmless.
    ClockAhead,
    /// The key of the shared memory holds another version.
    Mismatch,
    /// The ledger's state is full.
    Full,
    /// There are as many of these as there may be at once.
    TooMany,
    /// The proposal is decided.
    Decided,
    /// Another round is being voted.
    WrongRound,
    NotElector,
    AlreadyVoted,
    /// It is another's.
    NotOwner,
    /// The lock has a holder.
    Held,
    /// The lock is not held any more under this number; the worker does not have the task.
    NotHeld,
    /// This node's key may not move this.
    NotEntitled,
    /// Another motion was in force first.
    Overtaken,
    /// Another change waits for the next checkpoint.
    Pending,
    /// It is so already.
    Already,
    /// No full member that the ledger knows.
    NotMember,
    /// The key was in the committee with another disk.
    SecondIdentity,
    /// The committee cannot be empty.
    LastSeat,
    /// Not all of the committee can execute that.
    Unsupported,
    /// The mesh does not execute that yet.
    NotActive,
    ShuttingDown,
    Internal,
}

impl Code {
    pub fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::NotElector | Self::NotOwner | Self::NotEntitled => StatusCode::FORBIDDEN,
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound | Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Ambiguous
            | Self::Conflict
            | Self::Cancelled
            | Self::NotEnded
            | Self::Unverified
            | Self::Mismatch
            | Self::Decided
            | Self::WrongRound
            | Self::AlreadyVoted
            | Self::Held
            | Self::NotHeld
            | Self::Overtaken
            | Self::Pending
            | Self::Already
            | Self::NotMember
            | Self::SecondIdentity
            | Self::LastSeat
            | Self::Unsupported
            | Self::NotActive => StatusCode::CONFLICT,
            Self::TooOld | Self::Gone => StatusCode::GONE,
            Self::Unavailable
            | Self::ReadOnly
            | Self::Busy
            | Self::NoQuorum
            | Self::ClockAhead
            | Self::TooMany
            | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoAgreement | Self::NotCertified => StatusCode::NOT_IMPLEMENTED,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Unauthorized => "A token is needed",
            Self::Forbidden => "Not allowed",
            Self::WrongHost => "Not a name of this node",
            Self::Malformed => "Malformed request",
            Self::TooLarge => "Request too large",
            Self::NotFound => "Not known here",
            Self::Ambiguous => "More than one id begins so",
            Self::NoSuchRoute => "No such route",
            Self::MethodNotAllowed => "Method not allowed",
            Self::Conflict => "In conflict with what is there",
            Self::TooOld => "Key too old",
            Self::Cancelled => "Cancelled",
            Self::Gone => "Not here any more",
            Self::NotEnded => "Not ended yet",
            Self::Unverified => "Not to be trusted",
            Self::Unavailable => "Too few nodes answered",
            Self::ReadOnly => "Cut off",
            Self::Busy => "No room now",
            Self::NoQuorum => "Too few of the committee answered",
            Self::NoAgreement => "No committee",
            Self::NotCertified => "Nothing is certified",
            Self::ClockAhead => "Clock ahead",
            Self::Mismatch => "Another version is there",
            Self::Full => "The ledger is full",
            Self::TooMany => "Too many at once",
            Self::Decided => "Decided",
            Self::WrongRound => "Another round",
            Self::NotElector => "Not of the electorate",
            Self::AlreadyVoted => "Voted already",
            Self::NotOwner => "Another's",
            Self::Held => "Held",
            Self::NotHeld => "Not held any more",
            Self::NotEntitled => "Not this node's to move",
            Self::Overtaken => "Overtaken by another motion",
            Self::Pending => "Another change is pending",
            Self::Already => "So already",
            Self::NotMember => "No full member",
            Self::SecondIdentity => "Another disk under this key",
            Self::LastSeat => "The last seat",
            Self::Unsupported => "Not supported by all",
            Self::NotActive => "Not executed yet",
            Self::ShuttingDown => "Shutting down",
            Self::Internal => "Internal error",
        }
    }
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            title: code.title().to_string(),
            status: code.status().as_u16(),
            detail: detail.into(),
            retry_ms: None,
        }
    }

    #[must_use]
    pub fn retry_after_ms(mut self, ms: u32) -> Self {
        self.retry_ms = Some(ms);
        self
    }

    /// An outcome of another kind of command: of a build that differs from this one.
    pub fn unforeseen() -> Self {
        Self::new(Code::Internal, "the committee answered what this build does not understand")
    }

    pub fn malformed(detail: impl fmt::Display) -> Self {
        Self::new(Code::Malformed, detail.to_string())
    }
}

impl From<BrainGone> for Problem {
    fn from(gone: BrainGone) -> Self {
        Self::new(Code::ShuttingDown, gone.to_string()).retry_after_ms(2_000)
    }
}

/// Before another try at a node whose clock is ahead: it may be set right, or another node asked.
const CLOCK_RETRY_MS: u32 = 1_000;

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let (code, retry) = match refusal {
            Refusal::Conflict => (Code::Conflict, None),
            Refusal::TooOld { .. } | Refusal::Forgotten => (Code::TooOld, None),
            Refusal::Unavailable { retry_ms, .. } | Refusal::Unintroduced { retry_ms } => {
                (Code::Unavailable, Some(*retry_ms))
            }
            Refusal::ReadOnly { retry_ms, .. } => (Code::ReadOnly, Some(*retry_ms)),
            Refusal::Busy { retry_ms } => (Code::Busy, Some(*retry_ms)),
            Refusal::NoAgreement => (Code::NoAgreement, None),
            Refusal::ClockAhead => (Code::ClockAhead, Some(CLOCK_RETRY_MS)),
            Refusal::Malformed(_) | Refusal::NoAggregation(_) => (Code::Malformed, None),
        };
        Self { retry_ms: retry, ..Self::new(code, refusal.to_string()) }
    }
}

/// What the framework refuses by itself, such as a path that is no UTF-8, it says in plain text: as a problem it has a
/// code as all others.
pub async fn only_problems(response: Response) -> Response {
    let status = response.status();
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM_TYPE);
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::NOT_FOUND => Code::NoSuchRoute,
        _ if status.is_client_error() => Code::Malformed,
        _ => Code::Internal,
    };
    let said = axum::body::to_bytes(response.into_body(), 1024).await.unwrap_or_default();
    Problem::new(code, String::from_utf8_lossy(&said)).into_response()
}

const PROBLEM_TYPE: &str = "application/problem+json";

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = self.retry_ms;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_TYPE));
        if let Some(ms) = retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000).max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
