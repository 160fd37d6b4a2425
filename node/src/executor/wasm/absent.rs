//! In a build without the feature `wasm` there is nothing that runs these programs.

use super::{WasmConfig, WasmMetrics};
use crate::executor::config::ConfigError;
use crate::executor::outcome::Outcome;
use crate::executor::pool::{Desk, Executor};
use crate::executor::run::Run;
use mesh_proto::id::TaskId;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub struct Wasm(Infallible);

impl Wasm {
    pub fn start(_: WasmConfig, _: PathBuf, _: Arc<Desk>, _: WasmMetrics) -> Result<Option<Self>, ConfigError> {
        Ok(None)
    }
}

pub struct Alone(Infallible);

impl Alone {
    pub fn compile(_: &[u8]) -> io::Result<Self> {
        Err(io::Error::other("this build runs no WebAssembly: build it with the feature `wasm`"))
    }

    pub fn run(&self, _: &Path, _: &[String], _: &Path) -> io::Result<Vec<u8>> {
        match self.0 {}
    }
}

impl Executor for Wasm {
    fn run(&self, _: Run) -> Option<Outcome> {
        match self.0 {}
    }

    fn cancel(&self, _: TaskId, _: u32) -> bool {
        match self.0 {}
    }
}
