//! What can be wrong with a data directory. All of it is the operator's to mend, so each line says what to do.

use std::io;
use std::path::{Path, PathBuf};

use mesh_proto::credential::CredentialError;
use mesh_proto::genesis::NetworkName;
use mesh_proto::id::NodeId;
use mesh_proto::token::TokenError;

/// Why there is no identity to run with, or none could be made. Nothing was changed, except where a variant says so.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file system refused. What was being written is either wholly there or not at all.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Another process has the directory.
    #[error("{} is in use by {}; stop that one or give this one another --data-dir", path.display(), holder(pid))]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// Its process id, unless it is just starting.
        pid: Option<u32>,
    },
    /// Another version of meshd made the directory.
    #[error("{} has data format {found}, and this meshd knows format {known}; run the version that made it", path.display())]
    Format {
        /// The data directory.
        path: PathBuf,
        /// What its `format` file says.
        found: String,
        /// What this build reads and writes.
        known: u32,
    },
    /// The directory holds something, and no format file.
    #[error("{} is not empty and not a meshd data directory; name another --data-dir", path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
    },
    /// A secret that others can read is none.
    #[error("{} can be read by others (mode {mode:04o}); if nobody copied it, `chmod 600` it, else make a new one", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file of ours does not hold what it must.
    #[error("{} is damaged: {what}; restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// There is no network here yet.
    #[error("{} belongs to no network; `meshd init` makes one, `meshd join TOKEN` joins one", path.display())]
    NoNetwork {
        /// The data directory.
        path: PathBuf,
    },
    /// `init` where that or `join` was done before.
    #[error("{} is a member of network {network} already", path.display())]
    AlreadyMember {
        /// The data directory.
        path: PathBuf,
        /// Its network.
        network: NetworkName,
    },
    /// `join` where that was done by this invitation or a later one, or where nobody was invited.
    #[error("{} is a member of network {network} already, and this token is not of later; if it was forgotten, ask for a new one", path.display())]
    NotLater {
        /// The data directory.
        path: PathBuf,
        /// Its network.
        network: NetworkName,
    },
    /// `join` where another network is.
    #[error("{} is a member of network {present}, and the token is for {invited}; networks never merge, so join with another --data-dir", path.display())]
    OtherNetwork {
        /// The data directory.
        path: PathBuf,
        /// The network that it is in.
        present: NetworkName,
        /// The network of the token.
        invited: NetworkName,
    },
    /// `invite` on a node whose invitations nobody would honour.
    #[error(
        "this node may not invite into network {network}: {maker} may, which made it, and who is named by the ledger"
    )]
    NotTheMaker {
        /// The network.
        network: NetworkName,
        /// Who can invite.
        maker: NodeId,
    },
    /// The token is not good.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The credential in the directory is not, or no longer, good.
    #[error("the credential in {} is not good: {error}; ask for a new invitation and `meshd join` with it", path.display())]
    Credential {
        /// The data directory.
        path: PathBuf,
        /// Why not.
        #[source]
        error: CredentialError,
    },
    /// The operating system gives no random numbers, without which there is no key.
    #[error("the operating system gives no random numbers: {0}")]
    Random(String),
}

impl IdentityError {
    /// For `map_err` on a file operation.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { action, path, error }
    }

    /// For `map_err` on what should have decoded.
    pub(super) fn damaged(path: &Path, what: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.to_string() }
    }
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
