//! Every size limit of what crosses a wire, in one place, each with its reason. Sizes are checked before decoding.

use std::time::Duration;

/// Characters of a network's name. It is printed in tables and logs, and is no key: the network id is.
pub const NETWORK_NAME_BYTES: usize = 64;
/// Founding committee members in a genesis record. The largest committee that the design measures is 31.
pub const FOUNDERS: usize = 31;
/// A genesis record: 31 founders of 34 bytes, the name, and 200 bytes of keys and fields.
pub const GENESIS_BYTES: usize = 2 * 1024;

/// One multiaddr as text. The longest legal DNS name is 253 characters, a relayed address has two peer ids of 52.
pub const ADDRESS_BYTES: usize = 512;
/// Addresses of one member. A host with several interfaces, three transports and two relays has fewer; more would let
/// one member make all others dial at random.
pub const ADDRESSES: usize = 16;

/// A credential: two certificates, four keys and signatures; 322 bytes as a rule.
pub const CREDENTIAL_BYTES: usize = 1024;
/// A name or a zone: it stands in a column of a table.
pub const LABEL_BYTES: usize = 64;
/// A member entry: at most two credentials, sixteen addresses, two labels and 150 bytes of fields.
pub const MEMBER_BYTES: usize = 12 * 1024;
/// Member entries in one welcome. Enough to know a small mesh at once; a larger one is learned by anti-entropy.
pub const WELCOME_MEMBERS: usize = 64;

/// A knock or a request to be admitted: a credential, sixteen addresses and 150 bytes of fields. Small, because anybody
/// on the internet may send one.
pub const ADMIT_REQUEST_BYTES: usize = 12 * 1024;
/// The answer: [`WELCOME_MEMBERS`] entries. Usual entries have 500 to 700 bytes; `Welcome::new` takes what fits.
pub const ADMIT_REPLY_BYTES: usize = 128 * 1024;

/// Bootstrap addresses in an invite token. A token is pasted by people and shown as a QR code: it has to stay short.
pub const TOKEN_ADDRESSES: usize = 8;
/// An invite token, decoded: a genesis, eight addresses, an invitation.
pub const TOKEN_BYTES: usize = 8 * 1024;
/// An invite token as text: base32 makes eight characters of five bytes; prefix and checksum.
pub const TOKEN_TEXT_BYTES: usize = TOKEN_BYTES.div_ceil(5) * 8 + 64;

/// The payload of a signed envelope. Envelopes are gossiped, and gossipsub transmits a message whole to each neighbour.
pub const ENVELOPE_PAYLOAD_BYTES: usize = 64 * 1024;
/// A signed envelope: the payload, two keys, a signature, fields.
pub const ENVELOPE_BYTES: usize = ENVELOPE_PAYLOAD_BYTES + 256;

/// Leaves under one batch signature. One flush has at most a few thousand messages; this bounds a path to 16 digests.
pub const BATCH_LEAVES: u32 = 1 << 16;
/// Digests in a path of a tree of [`BATCH_LEAVES`].
pub const PATH_DIGESTS: usize = 16;
/// A leaf's proof: a full path of 34 bytes a digest, key, signature, fields.
pub const SIGNED_LEAF_BYTES: usize = 1024;

/// Holders of a record, a home list, and whom an answer about a task names. A record has 3 of a home list of 5; while
/// holders are replaced, those before and after are named side by side.
pub const HOLDERS: usize = 16;
/// Failed attempts in a record: [`RETRIES`] of the task's own, and those that lost nodes cost it.
pub const FAILED_ATTEMPTS: usize = 64;
/// How often a task may ask to be run again after a failure of its own.
pub const RETRIES: u8 = 50;
/// Files laid into a task's directory, and files kept from it. A task of more files is a job.
pub const TASK_FILES: usize = 256;
/// Arguments of a command. `xargs` makes commands of some thousand.
pub const ARGUMENTS: usize = 4096;
/// Variables set for a command.
pub const VARIABLES: usize = 256;
/// Nodes that a reference to a blob names.
pub const BLOB_NODES: usize = 8;
/// A path on a shared file system, as Linux bounds it.
pub const PATH_BYTES: usize = 4096;
/// Why an attempt failed or was given back, for people: 256 characters of any script.
pub const REASON_BYTES: usize = 1024;
/// An encoded task specification: arguments, environment and some inline files.
pub const SPEC_BYTES: usize = 256 * 1024;
/// Items in one task frame. A frame is closed at [`crate::task::FRAME_TARGET`] and no item weighs less than 32 bytes.
pub const FRAME_ITEMS: usize = 16 * 1024;

/// Parts of a member table, whose digests are compared.
pub const TABLE_PARTS: usize = 64;
/// Entries of members in one control message.
pub const CONTROL_MEMBERS: usize = 64;
/// A control message: [`CONTROL_MEMBERS`] usual entries, or the marks of a table.
pub const CONTROL_BYTES: usize = 256 * 1024;
/// Tasks in one reply to a question.
pub const REPLY_TASKS: usize = 1000;
/// A reply: [`REPLY_TASKS`] summaries, or one record with its outcome.
pub const CONTROL_REPLY_BYTES: usize = 4 * 1024 * 1024;
/// A message about blobs: [`NEEDED_BLOBS`] references.
pub const BLOB_MESSAGE_BYTES: usize = 128 * 1024;
/// Blobs of which one message speaks: each names at most eight nodes and takes 350 bytes.
pub const NEEDED_BLOBS: usize = 256;
/// A blob: 2^48 bytes keep every sum of sizes within 64 bits.
pub const BLOB_BYTES: u64 = 1 << 48;
/// A question for what a task writes.
pub const LOGS_QUESTION_BYTES: usize = 256;

/// How far the clock of whoever dated a certificate may be ahead of ours. Machines without time synchronisation drift
/// by seconds a day; five minutes is what Kerberos allows.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
