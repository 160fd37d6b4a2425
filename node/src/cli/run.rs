//! `meshd run`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use libp2p::Multiaddr;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::Failure;
use super::join::join_once;
use super::settings::Global;
use crate::config::{Loaded, Override, sections::LogFormat};
use crate::run::{Node, Options};

#[derive(Debug, Args)]
pub(super) struct Run {
    /// Where the data directory belongs to no network yet, join by the token in this file first.
    #[arg(long, value_name = "FILE")]
    invitation: Option<PathBuf>,
    /// An address to listen on, such as /ip4/0.0.0.0/tcp/7440. May be repeated.
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<Multiaddr>,
    /// A member to dial first, such as /dns4/seed.example/tcp/7440/p2p/12D3Koo…. May be repeated.
    #[arg(long, value_name = "MULTIADDR")]
    bootstrap: Vec<Multiaddr>,
    /// An address to tell others, where this node cannot know it. May be repeated.
    #[arg(long, value_name = "MULTIADDR")]
    external: Vec<Multiaddr>,
    /// Where the HTTP API listens.
    #[arg(long, value_name = "ADDRESS")]
    api_listen: Option<SocketAddr>,
    /// Where /metrics, /livez and /readyz are answered as well, without a token.
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
    /// Find members on the local network.
    #[arg(long, value_name = "BOOL")]
    mdns: Option<bool>,
    /// A command that tasks may run, by name. May be repeated.
    #[arg(long, value_name = "COMMAND")]
    allow: Vec<String>,
    /// Tasks that run at once.
    #[arg(long, value_name = "N")]
    slots: Option<u32>,
    /// The format of the log.
    #[arg(long, value_name = "text|json")]
    log_format: Option<String>,
    /// End when this process ends: of testnets, which leave nothing behind.
    #[arg(long, value_name = "PID", hide = true)]
    die_with: Option<i32>,
}

impl Run {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        if let Some(parent) = self.die_with {
            die_with(parent)?;
        }
        let loaded = global.load(self.overrides())?;
        start_log(&loaded);
        if let Some(file) = &self.invitation {
            join_once(&loaded.config.node.data_dir, file)?;
        }
        let runtime = body()?;
        let node = runtime.block_on(async {
            // From the first: to be told to stop while one starts is no failure.
            let (mut interrupted, mut terminated) =
                (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let told = async {
                tokio::select! {
                    _ = interrupted.recv() => {}
                    _ = terminated.recv() => {}
                }
                tracing::info!("stopping");
            };
            tokio::pin!(told);
            let node = tokio::select! {
                node = Node::start(Options { loaded }) => node?,
                () = &mut told => return Ok(None),
            };
            tracing::info!(api = %node.api(), "ready");
            tokio::select! {
                () = told => {}
                () = node.left() => {}
            }
            Ok::<_, Failure>(Some(node))
        })?;
        if let Some(node) = node {
            node.stop();
        }
        runtime.shutdown_timeout(std::time::Duration::from_secs(1));
        Ok(())
    }

    fn overrides(&self) -> Vec<Override> {
        let mut flags = Vec::new();
        for (key, values, flag) in [
            ("network.listen", &self.listen, "--listen"),
            ("network.bootstrap", &self.bootstrap, "--bootstrap"),
            ("network.external", &self.external, "--external"),
        ] {
            if !values.is_empty() {
                flags.push(Override::list(key, values, flag));
            }
        }
        if !self.allow.is_empty() {
            flags.push(Override::list("exec.allow", &self.allow, "--allow"));
        }
        if let Some(address) = self.api_listen {
            flags.push(Override::text("api.listen", address, "--api-listen"));
        }
        if let Some(address) = self.metrics_listen {
            flags.push(Override::text("api.metrics_listen", address, "--metrics-listen"));
        }
        if let Some(mdns) = self.mdns {
            flags.push(Override::text("network.mdns", mdns, "--mdns"));
        }
        if let Some(slots) = self.slots {
            flags.push(Override::text("exec.slots", slots, "--slots"));
        }
        if let Some(format) = &self.log_format {
            flags.push(Override::text("tracing.format", format, "--log-format"));
        }
        flags
    }
}

/// What carries a node.
pub(super) fn body() -> Result<tokio::runtime::Runtime, Failure> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).thread_name("body").enable_all().build().map_err(Failure::Stream)
}

/// Logs go to standard error: standard output is for what a verb prints.
pub(super) fn start_log(loaded: &Loaded) {
    let section = &loaded.config.tracing;
    let filter = EnvFilter::try_new(&section.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && !super::output::no_color();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    match section.format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// Asks the system for a signal when `parent` dies; ends at once if it is dead already.
fn die_with(parent: i32) -> Result<(), Failure> {
    use rustix::process::{Signal, getppid};
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(std::io::Error::from)?;
    match getppid().map(rustix::process::Pid::as_raw_pid) {
        Some(pid) if pid == parent => Ok(()),
        _ => Err(Failure::Usage(format!("process {parent}, which started this node, has ended"))),
    }
}
