//! Everything that crosses a wire or is kept on a disk: ids, identities, signed envelopes, messages, and their one
//! canonical CBOR encoding. No behaviour, no clock, no I/O.

pub mod codec;
pub mod id;
pub mod task;
pub mod time;
