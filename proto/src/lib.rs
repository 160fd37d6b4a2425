//! Everything that crosses a wire or is kept on a disk: ids, identities, signed envelopes, messages, and their one
//! canonical CBOR encoding. No behaviour, no clock, no I/O.

pub mod address;
pub mod admit;
pub mod aggregate;
pub mod agreement;
pub mod batch;
pub mod blob;
pub mod bounded;
pub mod capability;
pub mod certificate;
pub mod codec;
pub mod control;
pub mod credential;
pub mod domain;
pub mod envelope;
pub mod fixed;
#[doc(hidden)]
pub mod fuzz;
pub mod genesis;
pub mod id;
pub mod key;
pub mod label;
pub mod ledger;
pub mod limits;
pub mod logs;
pub mod member;
pub mod merkle;
pub mod outlook;
pub mod pbft;
pub mod probe;
pub mod role;
pub mod table;
pub mod task;
pub mod time;
pub mod token;
pub mod verified;
pub mod version;
