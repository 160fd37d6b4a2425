//! How a verb ends: exit codes that scripts can tell apart.

use std::io;
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::identity::IdentityError;
use crate::run::StartError;

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
    Start(#[from] crate::run::StartError),
    /// Standard output or input. Exit code 70.
    #[error("standard output or input: {0}")]
    Stream(#[from] io::Error),
}

impl Failure {
    /// Prints the reason on standard error.
    pub fn report(&self) -> ExitCode {
        // Whoever closed the other end of a pipe has read enough, and wants to hear no more.
        if !matches!(self, Self::Stream(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            eprintln!("meshd: {self}");
        }
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        const USAGE: u8 = 2;
        const INTERNAL: u8 = 70;
        match self {
            Self::Usage(_) | Self::Config(_) => USAGE,
            Self::Identity(IdentityError::Io { .. } | IdentityError::Random(_)) | Self::Stream(_) => INTERNAL,
            Self::Identity(_) => USAGE,
            Self::Start(StartError::Identity(_) | StartError::Allow(_) | StartError::Listen { .. }) => USAGE,
            Self::Start(_) => INTERNAL,
        }
    }
}
