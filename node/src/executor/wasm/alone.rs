//! A program by its engine, with nothing of a node around it: what a mesh that runs it is measured against.

use super::engine::{self, Compiled, Engines};
use super::limiter::Tally;
use super::sandbox;
use super::streams::Tap;
use crate::executor::outcome::Failure;
use crate::executor::protocol::Kept;
use crate::executor::run::{Limits, Program, Run, Source};
use mesh_proto::id::{BlobId, TaskId};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Compiled once, as a node does.
pub struct Alone {
    program: Compiled,
    runtime: Runtime,
}

/// Standard output that is kept, in bytes.
const OUTPUT: u64 = 1 << 20;

impl Alone {
    pub fn compile(module: &[u8]) -> io::Result<Self> {
        let other = |failure: Failure| io::Error::other(failure.to_string());
        let engines = Engines::new().map_err(|error| io::Error::other(error.to_string()))?;
        // Who measures a program trusts it with the memory of the measurement.
        let code = engine::compile(module, false).map_err(other)?.ok_or(io::ErrorKind::OutOfMemory)?;
        let program = engines.load(&code, false).map_err(other)?;
        Ok(Self { program, runtime: Builder::new_current_thread().enable_all().build()? })
    }

    /// Runs it in `work` with these arguments and this file for its standard input, and returns its standard output. Not from
    /// within a runtime.
    pub fn run(&self, work: &Path, arguments: &[String], stdin: &Path) -> io::Result<Vec<u8>> {
        let id = BlobId::from_bytes([0; 32]);
        let program = Program::Wasm {
            id,
            module: PathBuf::new(),
            argv: std::iter::once("program".to_owned()).chain(arguments.iter().cloned()).collect(),
            env: Vec::new(),
            fixed: None,
        };
        let run = Run {
            task: TaskId::from_bytes([0; 32]),
            attempt: 1,
            fence: 1,
            program,
            stdin: Source::File(stdin.to_owned()),
            inputs: Vec::new(),
            outputs: Vec::new(),
            time_limit: Duration::MAX,
            limits: Limits::default(),
        };
        let other = |error: wasmtime::Error| io::Error::other(error.to_string());
        self.runtime.block_on(async {
            let (stdout, stderr) = (Tap::new("stdout", work, OUTPUT), Tap::new("stderr", work, OUTPUT));
            let taps = [stdout.clone(), stderr];
            let tally = Arc::<Tally>::default();
            let mut store = sandbox::store(self.program.engine(), &run, work, taps, &run.limits, tally)?;
            let started = self.program.start(&mut store).await.map_err(other)?;
            match started.call(&mut store).await.map_err(other)? {
                0 => {}
                code => return Err(io::Error::other(format!("the program ended with {code}"))),
            }
            match stdout.end().0 {
                Kept::Inline(bytes) => Ok(bytes),
                Kept::File { .. } => Err(io::Error::other("the program says more than is compared")),
            }
        })
    }
}
