//! How a verb ends: exit codes that scripts can tell apart.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::api::Code;
use crate::client::ClientError;
use crate::config::ConfigError;
use crate::identity::IdentityError;
use crate::network::NetworkError;
use crate::run::StartError;
use crate::testnet::{TestnetError, length};

/// A task failed, or the mesh decided against what was asked.
pub(super) const FAILED: u8 = 1;
/// The command line is not as it must be, or names what is not there.
pub(super) const USAGE: u8 = 2;
/// No node answers.
pub(super) const UNREACHABLE: u8 = 69;
/// A bug, or the system refused.
pub(super) const INTERNAL: u8 = 70;
/// Refused for now.
pub(super) const LATER: u8 = 75;
/// Not allowed.
pub(super) const FORBIDDEN: u8 = 77;
/// The deadline passed.
pub(super) const DEADLINE: u8 = 124;
/// Detached by Ctrl-C: the work goes on.
pub(super) const DETACHED: u8 = 130;

/// Why a verb did not do what it was asked, by who must act.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or the configuration is wrong. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The same, of the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory. Exit code 2, or 70 where the file system refused.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The node does not start. Exit code 2, or 70 where the system refused.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A node refused, or none answered. Exit code 69, 70, 75, 77 or 2.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The node of the data directory does not run. Exit code 69.
    #[error("{why}: `meshd run --data-dir {}` starts the node of this directory; --api names another", quoted(dir))]
    NotRunning { dir: PathBuf, why: String },
    /// A testnet. Exit code 2, 69 or 70.
    #[error(transparent)]
    Testnet(#[from] TestnetError),
    /// A task ended otherwise than well, or was left: all has been said. The exit code is this.
    #[error("")]
    Ended(u8),
    /// A file or directory of the user's. Exit code 70.
    #[error("cannot {what} {path}: {error}")]
    File { what: &'static str, path: PathBuf, error: io::Error },
    /// Standard output or input. Exit code 70.
    #[error("standard output or input: {0}")]
    Stream(#[from] io::Error),
}

impl Failure {
    pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { what, path, error }
    }

    /// Prints the reason on standard error.
    pub fn report(&self) -> ExitCode {
        match self {
            // Whoever closed the other end of a pipe has read enough, and wants to hear no more.
            Self::Stream(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Self::Ended(_) => {}
            Self::Client(ClientError::Refused(problem)) => {
                let again = problem.retry_ms.map(|ms| Duration::from_millis(ms.into()));
                let again = again.map(|pause| format!("; try again in {}", length(pause)));
                eprintln!("meshd: {problem}{}", again.unwrap_or_default());
            }
            _ => eprintln!("meshd: {self}"),
        }
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) => USAGE,
            Self::Identity(IdentityError::Io { .. } | IdentityError::Random(_)) => INTERNAL,
            Self::File { .. } | Self::Stream(_) => INTERNAL,
            Self::Identity(_) => USAGE,
            Self::Start(
                StartError::Identity(_)
                | StartError::Allow(_)
                | StartError::Writable { .. }
                | StartError::Listen { .. }
                | StartError::ListenMetrics { .. }
                | StartError::Network(NetworkError::Listen { .. }),
            ) => USAGE,
            Self::Start(_) => INTERNAL,
            Self::NotRunning { .. } => UNREACHABLE,
            Self::Client(error) => code_of(error),
            Self::Testnet(TestnetError::Client(error)) => code_of(error),
            Self::Testnet(error) if error.is_usage() => USAGE,
            Self::Testnet(_) => INTERNAL,
            Self::Ended(code) => *code,
        }
    }
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |char: char| char.is_alphanumeric() || "/._-+:@%,=".contains(char);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

fn code_of(error: &ClientError) -> u8 {
    match error {
        ClientError::NoNode { .. } | ClientError::Silent { .. } | ClientError::Broken(_) => UNREACHABLE,
        ClientError::Answer(_) => INTERNAL,
        ClientError::Request(_) => USAGE,
        ClientError::Refused(problem) => match problem.code {
            Code::Unauthorized
            | Code::Forbidden
            | Code::WrongHost
            | Code::NotElector
            | Code::NotOwner
            | Code::NotEntitled => FORBIDDEN,
            Code::Unavailable
            | Code::ReadOnly
            | Code::Busy
            | Code::ShuttingDown
            | Code::NotEnded
            | Code::NoQuorum
            | Code::ClockAhead
            | Code::Full
            | Code::TooMany
            | Code::Held
            | Code::Pending
            | Code::NotActive => LATER,
            Code::Internal => INTERNAL,
            Code::Malformed
            | Code::TooLarge
            | Code::NotFound
            | Code::Ambiguous
            | Code::NoSuchRoute
            | Code::MethodNotAllowed
            | Code::Conflict
            | Code::TooOld
            | Code::NoAgreement
            | Code::NotCertified => USAGE,
            Code::Cancelled
            | Code::Unverified
            | Code::Gone
            | Code::Mismatch
            | Code::Decided
            | Code::WrongRound
            | Code::AlreadyVoted
            | Code::NotHeld
            | Code::Overtaken
            | Code::Already
            | Code::NotMember
            | Code::SecondIdentity
            | Code::LastSeat
            | Code::Unsupported => FAILED,
        },
    }
}
