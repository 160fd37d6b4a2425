//! Figures of a mesh of real processes on this machine: one JSON object a run, with what it was measured under.
//!
//! The client is this process, on the HTTP API; the nodes are others. Of `consensus` the clients are further processes. A run warms up first: connections, allocators and
//! the files of the log are as they are in a mesh that has been up for a while.

pub mod consensus;
mod expected;
mod figures;
mod map;
mod probe;
mod tasks;

use std::path::{Path, PathBuf};

pub use figures::{Figures, Settings};
pub use map::{MapFigures, MapPlan};
pub use tasks::{Fault, TasksPlan, What};

use crate::testnet::{Options, Scratch, Testnet, TestnetError};

/// Where the nodes of a run are.
#[derive(Clone, Debug)]
pub struct Place {
    /// The program that the nodes run.
    pub binary: PathBuf,
    pub nodes: usize,
    /// A testnet that is up; without it, one is made and taken down again.
    pub testnet: Option<PathBuf>,
    /// Where to make it. Default: the system's directory for temporary files, which may be memory: then nothing that
    /// is measured is durable, and the figures say so.
    pub dir: Option<PathBuf>,
    /// As [`Options::slots`].
    pub slots: Vec<u32>,
}

/// A testnet for the time of a run.
struct Ground {
    net: Testnet,
    scratch: Option<Scratch>,
}

impl Place {
    async fn set_up(&self) -> Result<Ground, TestnetError> {
        if let Some(dir) = &self.testnet {
            let mut net = Testnet::open(dir)?;
            net.wait_whole().await?;
            return Ok(Ground { net, scratch: None });
        }
        let scratch = Scratch::new(self.dir.as_deref(), "meshd-bench")?;
        let mut options = Options::new(self.binary.clone());
        options.slots.clone_from(&self.slots);
        let net = Testnet::up(&scratch.path().join("net"), self.nodes, &options).await?;
        Ok(Ground { net, scratch: Some(scratch) })
    }
}

impl Ground {
    fn take_down(self) -> Result<(), TestnetError> {
        match self.scratch {
            None => Ok(()),
            Some(scratch) => {
                self.net.down()?;
                drop(scratch);
                Ok(())
            }
        }
    }

    fn dir(&self) -> &Path {
        self.net.dir()
    }
}
