//! Who this node is: the data directory with its key, its network and its credential.
//!
//! ```text
//! lock        held by the running process, with its process id      peers       members met, for the next start
//! format      the version of this layout                            bootstrap   addresses from the invite token
//! key         ed25519 secret, mode 0600                             api-token   what HTTP clients must show, mode 0600
//! genesis     the network's birth record                            credential  what let this node in
//! roll        what the ledger said of members and inviters
//! ```
//!
//! A credential is written last: where there is one, the rest is on disk. Everything is synced, file and directory,
//! before the function that wrote it returns. Only the holder of the lock writes; reading needs no lock, so that
//! `meshd invite` works beside a running node.

mod api_token;
mod bootstrap;
mod data_dir;
mod durable;
mod error;
mod founding;
mod key;
mod membership;
mod peers;
mod place;
mod roll;

pub use api_token::ApiToken;
pub use bootstrap::read_bootstrap;
pub use data_dir::DataDir;
pub use error::IdentityError;
pub use founding::Founding;
pub use membership::{Identity, InviteTerms, genesis, init, init_on, invite, join};
pub use peers::{KnownPeer, Peers};
pub use place::default_data_dir;
pub use roll::{Anchors, Roll};
