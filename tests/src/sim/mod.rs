//! The simulator: whole meshes of the real machines in one deterministic world, with everything going wrong.
//!
//! ```text
//!   seed ──> Options ──> World ── events, one at a time, in order of virtual time
//!                          ├─ Node × N    the real Coordinator, Log and Store; the simulated disk, clocks, executors
//!                          ├─ Network     connections, their delays, cuts and ends
//!                          ├─ Clients     users who submit, retry, follow, cancel, ask
//!                          ├─ Patrons     users of the ledger: memory, locks, awards, proposals, votes
//!                          ├─ nemesis     what goes wrong, and how it ends
//!                          ├─ Liar, Crook members and gateways that lie; twins, two machines with one key
//!                          ├─ bidder, fabricator   members that lie about themselves, and about what they ran
//!                          ├─ Mint, Pin    gateways that members make up, states that they fetch without end
//!                          ├─ Steward     has the committee changed
//!                          └─ Checks      remember everything that was sent, said and on disk, across restarts
//! ```
//!
//! There are two verdicts, after TigerBeetle's: whatever goes wrong, nothing false is ever said or kept
//! ([`check::Rule`]); and when nothing goes wrong any more, everything comes to rest in bounded time. All chance comes
//! from the seed: the same seed gives the same [`Report::hash`].

mod after;
mod bidder;
mod body;
pub mod boundary;
pub mod campaign;
pub mod check;
mod client;
mod clock;
mod consensus;
mod council;
pub mod count;
mod crook;
mod describe;
pub(crate) mod dice;
mod event;
mod execution;
mod executor;
mod fabricator;
mod flood;
mod gossip;
mod healing;
mod liar;
mod life;
mod mint;
mod mutation;
mod needs;
mod nemesis;
mod network;
mod node;
mod nonce;
pub mod options;
mod patron;
mod pin;
mod report;
pub mod scale;
mod signatures;
mod steward;
mod storage;
mod tally;
pub mod trace;
mod twins;
mod wish;
mod world;

pub use report::Report;

use check::{Rule, Violation};
use count::Counts;
use options::{Options, Wanted};
use std::panic::{AssertUnwindSafe, catch_unwind};
use trace::Trace;
use world::World;

/// Runs the world of one seed. A panic in it is a violation like others.
pub fn run(seed: u64, wanted: &Wanted, trace: Trace) -> Report {
    run_drawn(Options::draw(seed, wanted), trace)
}

/// As [`run`], of a world that is drawn already.
fn run_drawn(options: Options, trace: Trace) -> Report {
    let kept = options.clone();
    // Nothing of the world is looked at after a panic.
    catch_unwind(AssertUnwindSafe(|| World::new(options, trace).run())).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "a panic without a message".into());
        let violation = Some(Violation::new(Rule::NoPanic, what));
        let counts = Counts::default();
        Report {
            options: kept,
            violation,
            counts,
            hash: 0,
            events: 0,
            virtual_time: 0,
            tasks: 0,
            writes: 0,
            meter: None,
        }
    })
}
