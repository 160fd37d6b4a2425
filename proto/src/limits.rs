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
/// What a node says that it has: the plain things, its commands, and what its operator declares.
pub const CAPABILITIES: usize = 256;
/// All of that as text: 250 commands of the usual length. It is in every node's table, twice.
pub const CAPABILITIES_BYTES: usize = 4 * 1024;
/// What one task asks of its node.
pub const REQUIREMENTS: usize = 32;
/// One of these: a name, a sign of two characters, a value and a question mark.
pub const REQUIREMENT_BYTES: usize = 2 * LABEL_BYTES + 3;
/// A member entry: at most two credentials, sixteen addresses, two labels, its capabilities with 3 bytes before each, and
/// 150 bytes of fields.
pub const MEMBER_BYTES: usize = 16 * 1024;
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
/// By how many members a task may be run, for their results to be counted: seven liars are outvoted.
pub const REDUNDANCY: u8 = 15;
/// Results that are counted for one task: as many again may be asked where the first do not agree.
pub const REPLICAS: usize = 2 * REDUNDANCY as usize;
/// How often a member may be asked again to run a replica, under another id each time: each came to nothing since the disks of
/// most that held it were lost.
pub const ASKED_AGAIN: u8 = 3;
/// Files laid into a task's directory, and files kept from it. A task of more files is a job.
pub const TASK_FILES: usize = 256;
/// Items of a job, and the most that `bench tasks` runs. Who follows a job keeps 8 to 12 bytes for each item that has not
/// ended, of the largest 120 MB; its records take the nodes 40 GB of memory, at three copies of 1.4 KB.
pub const JOB_ITEMS: u64 = 10_000_000;
/// Tasks for whose end one task waits. What comes of more than these is brought together by a task between.
pub const DEPENDENCIES: usize = 64;
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
/// What is aggregated: a metric with a few labels, or a name that a user gave.
pub const AGGREGATE_NAME_BYTES: usize = 256;
/// Numbers in one value that is aggregated: 4,096 take 90 KB in a share, of which each member sends some a round.
pub const AGGREGATE_LENGTH: usize = 4096;
/// Numbers in one share: a vector of them or all buckets, and the weights; 22 bytes each at most.
pub const AGGREGATE_NUMBERS: usize = 4608;
/// Tasks in one reply to a question.
pub const REPLY_TASKS: usize = 1000;
/// Members that are told of as candidates for a task, and what one of them lacks.
pub const CANDIDATES: usize = 64;
pub const LACKED: usize = 4;
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
// The ledger.

/// Who gives a command. As for tasks.
pub const PRINCIPAL_BYTES: usize = 64;
/// An idempotency key. As for tasks.
pub const COMMAND_KEY_BYTES: usize = 128;
/// A namespace of the shared memory.
pub const NAMESPACE_BYTES: usize = 64;
/// A key in it: a path, a URL, not a value.
pub const MEMORY_KEY_BYTES: usize = 256;
/// A value in it. Every member of the committee holds all values in memory; what is larger is a blob.
pub const MEMORY_VALUE_BYTES: usize = 64 * 1024;
/// The name of a lock.
pub const LOCK_NAME_BYTES: usize = 128;
/// The title of a proposal, for a line of a list.
pub const TITLE_BYTES: usize = 200;
/// The body of a proposal.
pub const PROPOSAL_BODY_BYTES: usize = 16 * 1024;
/// What is searched for.
pub const PATTERN_BYTES: usize = 256;
/// Voters of one proposal: 34 bytes each in its record, and a signature each in the proof of its decision.
pub const ELECTORATE: usize = 1024;
/// Contradicting statements: two votes have 300 bytes, two VIEW-CHANGEs certificates for all open slots. Larger ones
/// are shown to people only.
pub const EVIDENCE_BYTES: usize = 60 * 1024;
/// A command: a value of memory, or a proposal with all its voters, and 400 bytes of names.
pub const COMMAND_BYTES: usize = 66 * 1024;
/// Commands in one batch.
pub const BATCH_COMMANDS: usize = 1 << 16;
/// A key of the state, the longest being that of an expiry: a tag, a date, and the key of a value of memory, which is a
/// tag, a namespace, a separator and the user's key.
pub const ENTRY_KEY_BYTES: usize = 9 + 2 + NAMESPACE_BYTES + MEMORY_KEY_BYTES;
/// A value of the state: a value of memory, or a proposal, and their fields.
pub const ENTRY_BYTES: usize = 66 * 1024;
/// Entries of one page. Its digest is over 32 bytes of each: one chunk of BLAKE3.
pub const PAGE_ENTRIES: usize = 32;
/// What the entries of a page weigh together, unless it is one alone. A page is written whole when one of its entries
/// has changed.
pub const PAGE_BYTES: u64 = 16 * 1024;
/// Continuations of a key: it ends, or goes on with one of 16 nibbles.
pub const BRANCH_CHILDREN: usize = 17;
/// An encoded node: a page, or an entry alone.
pub const NODE_BYTES: usize = ENTRY_BYTES + ENTRY_KEY_BYTES + 64;
/// Nodes between a root and a page: each parts two keys at another nibble.
pub const INCLUSION_NODES: usize = 2 * ENTRY_KEY_BYTES + 2;
/// Nodes asked for at once.
pub const FETCHED_NODES: usize = 1024;
/// A question for so many, with short paths; their depth grows with the logarithm of the state, unless somebody chose
/// the keys, and then fewer are asked for at once.
pub const FETCH_BYTES: usize = 64 * 1024;
/// Nodes that a question names as known: of a state of millions of entries three levels or four.
pub const FETCH_KNOWN: usize = 8192;
/// Bytes of a digest by which a known node is named. Whoever makes two nodes of one name costs who fetches one of them a
/// round trip.
pub const FETCH_KNOWN_BYTES: usize = 8;
/// An answer takes no further node above this.
pub const FETCHED_BYTES: usize = 1024 * 1024;
/// The proof of a decision: a proposal, 150 bytes for each voter, and the usual path in the state.
pub const PROOF_BYTES: usize = 512 * 1024;
/// A reply: an id, and of a claim that is held who holds it.
pub const REPLY_BYTES: usize = 1024;
/// A question to the ledger.
pub const QUERY_BYTES: usize = 1024;
/// Rows of one answer.
pub const ANSWER_ROWS: usize = 1024;
/// An answer takes no further row above this: with one more it fits a reply, and stays in the client table for a while.
pub const ANSWER_BYTES: usize = 96 * 1024;
/// What one search looks at before it answers.
pub const SEARCHED_ROWS: usize = 10_000;
/// L, the numbers above a stable checkpoint: bounds what a faulty primary makes others hold, and a VIEW-CHANGE.
pub const PBFT_WINDOW: usize = 4096;
/// Requests of a batch: a PRE-PREPARE of digests stays below 150 KB.
pub const PBFT_BATCH_REQUESTS: usize = 4096;
/// Operations of a batch, and so of a request.
pub const PBFT_BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Gateways in the client table, each a leaf of its tree.
pub const PBFT_CLIENTS: usize = 16 * 1024;
/// Numbers remembered of each gateway.
pub const PBFT_CLIENT_WINDOW: usize = 1024;
/// Bytes of outcomes kept of each gateway, and in one reply.
pub const PBFT_CLIENT_BYTES: usize = 16 * 1024 * 1024;
/// Requests asked for at once.
pub const PBFT_FETCH_DIGESTS: usize = 256;
/// Requests are sent together up to this size, and one more.
pub const PBFT_REQUESTS_BYTES: usize = 1024 * 1024;
/// Ends of epochs sent together; who needs more asks again.
pub const PBFT_EPOCHS: usize = 16;
/// The end of an epoch of 31 members that has 31: certificate 2,300, summary 1,600.
pub const PBFT_EPOCH_CERTIFICATE_BYTES: usize = 4 * 1024;
/// Ends of epochs in one bundle: a change of the committee every day for eleven years.
pub const BUNDLE_EPOCHS: usize = 4096;
/// A bundle: ends of so many epochs, the last checkpoint, a genesis, and the proof of a decision.
pub const BUNDLE_BYTES: usize = (BUNDLE_EPOCHS + 1) * PBFT_EPOCH_CERTIFICATE_BYTES + GENESIS_BYTES + PROOF_BYTES;
/// A piece of the application's state: large enough that a path of 16 digests is nothing beside it.
pub const PBFT_CHUNK_BYTES: usize = 256 * 1024;

/// How far the clock of whoever dated a certificate may be ahead of ours. Machines without time synchronisation drift
/// by seconds a day; five minutes is what Kerberos allows.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
