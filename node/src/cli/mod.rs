//! The command line, one verb a file.

mod aggregate;
mod auction;
mod bench;
mod blob;
mod committee;
mod completions;
mod config;
mod connect;
mod consensus;
mod demo;
mod drain;
mod durable;
mod examples;
mod exit;
mod explain;
mod flow;
mod health;
mod init;
mod invite;
mod inviter;
mod job;
mod join;
mod ledger;
mod lock;
mod map;
mod member;
mod memory;
mod ordering;
mod out_dir;
mod output;
mod peer;
mod program;
mod proposal;
mod propose;
mod results;
mod run;
mod settings;
mod signals;
mod status;
mod story;
mod submit;
mod task;
mod testnet;
mod transfer;
mod vote;
mod waiting;
mod wasm;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use exit::Failure;
use output::Output;
use settings::Global;

/// A decentralized node for coordinating work: start one on each machine, and any of them takes a task.
#[derive(Debug, Parser)]
#[command(name = "meshd", version = version::text(), arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a key and a network of which this node is the first member.
    Init(init::Init),
    /// Print a token by which another machine can join.
    Invite(invite::Invite),
    /// Run a node of the network that its data directory belongs to.
    Run(run::Run),
    /// Join the network of a token.
    Join(join::Join),
    /// Run one task and wait for its end.
    Submit(submit::Submit),
    /// Run one program over many inputs.
    Map(map::Map),
    /// Run tasks that start after one another, as one job.
    Flow(flow::Flow),
    /// Look at tasks, or end them.
    #[command(subcommand)]
    Task(task::Task),
    /// Look at how tasks were auctioned.
    #[command(subcommand)]
    Auction(auction::Auction),
    /// Look at jobs, attach to them, or end them.
    #[command(subcommand)]
    Job(job::Job),
    /// Look at this node.
    Status(status::Status),
    /// Say by the exit code whether this node is ready for work, or lives: for health checks.
    Health(health::Health),
    /// Look at the connections of this node.
    #[command(subcommand)]
    Peer(peer::Peer),
    /// Look at who belongs to the network, or take somebody out.
    #[command(subcommand)]
    Member(member::Member),
    /// Look at whose invitations are good, or change it.
    #[command(subcommand)]
    Inviter(inviter::Inviter),
    /// Look at the programs that are attached to this node.
    #[command(subcommand)]
    Worker(worker::Worker),
    /// Store and fetch bytes by their hash.
    #[command(subcommand)]
    Blob(blob::Blob),
    /// Share small values that the whole mesh agrees on.
    #[command(subcommand)]
    Memory(memory::Memory),
    /// Compute something over all nodes, each of which has a value.
    #[command(subcommand)]
    Aggregate(aggregate::Aggregate),
    /// Put something to the vote.
    Propose(propose::Propose),
    /// Vote on a proposal with the key of the node.
    Vote(vote::Vote),
    /// Look at what is put to the vote, or take it back.
    #[command(subcommand)]
    Proposal(proposal::Proposal),
    /// Run a command while this node holds a lock of the mesh.
    Lock(lock::Lock),
    /// Look at who agrees for the mesh, or change it.
    #[command(subcommand)]
    Committee(committee::Committee),
    /// Look at how agreement stands.
    #[command(subcommand)]
    Consensus(consensus::Consensus),
    /// Check what was agreed on.
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Give what this node has to the others, and take nothing new.
    Drain(drain::Drain),
    /// Take work again after draining.
    Undrain(drain::Undrain),
    /// See the mesh at work: five nodes on this machine, real tasks, and one node killed mid-way.
    Demo(demo::Demo),
    /// Play with a mesh of several nodes on this machine.
    #[command(subcommand)]
    Testnet(testnet::Testnet),
    /// Measure a mesh on this machine.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(config::Config),
    /// Print a script that completes meshd's verbs and flags in a shell.
    Completions(completions::Completions),
}

/// The whole tree of verbs and flags, for completions, manual pages and the test that compares it with `docs/cli.md`.
pub fn command() -> clap::Command {
    examples::add(Cli::command())
}

/// Runs what the process's arguments say.
pub fn main() -> ExitCode {
    let parsed = command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => cli.global.explain(failure).report(),
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let output = Output::new(cli.global.output);
    match &cli.verb {
        Verb::Init(verb) => verb.run(&cli.global, output),
        Verb::Invite(verb) => verb.run(&cli.global, output),
        Verb::Run(verb) => verb.run(&cli.global),
        Verb::Join(verb) => verb.run(&cli.global, output),
        Verb::Submit(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Map(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Flow(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Task(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Auction(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Job(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Status(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Health(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Peer(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Member(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Inviter(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Worker(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Blob(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Memory(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Aggregate(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Propose(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Vote(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Proposal(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Lock(verb) => connect::block_on(verb.run(&cli.global)),
        Verb::Committee(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Consensus(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Ledger(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Drain(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Undrain(verb) => connect::block_on(verb.run(&cli.global, output)),
        Verb::Demo(verb) => connect::block_on(verb.run(output)),
        Verb::Testnet(verb) => connect::block_on(verb.run(output)),
        Verb::Bench(verb) => verb.run(&cli.global, output),
        Verb::Config(verb) => verb.run(&cli.global, output),
        Verb::Completions(verb) => verb.run(),
    }
}

#[cfg(test)]
mod tests;
mod version;
