use crate::executor::config::own_program;
use crate::executor::run::Limits;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// WebAssembly programs.
#[derive(Debug, Clone)]
pub struct WasmConfig {
    /// Upper bounds for what a task may use. Of `processes` there are none.
    pub limits: Limits,
    /// Bytes of the largest program that is compiled. Default 64 MiB: a compiler needs many times as much.
    pub module_bytes: u64,
    /// What one compilation may use. Default 1 GiB and 60 s.
    pub compilation: Compilation,
    /// What is started for each of them.
    pub compiler: Compiler,
    /// Bytes of compiled programs that are kept in memory. Default 256 MiB.
    pub cache_bytes: u64,
}

impl Default for WasmConfig {
    fn default() -> Self {
        let limits = Limits { memory_bytes: Some(1 << 30), open_files: 512, ..Limits::default() };
        let compilation = Compilation::new(1 << 30, 60);
        Self { limits, module_bytes: 64 << 20, compilation, compiler: Compiler::default(), cache_bytes: 256 << 20 }
    }
}

/// Bounds of one compilation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compilation {
    /// Addresses that it takes besides those that its process has at its start.
    pub memory_bytes: u64,
    /// Processor time.
    pub cpu_seconds: u64,
    /// By the clock, from its start. As long a task waits for its program's turn.
    pub patience: Duration,
}

/// Shorter nobody waits: a machine has more to do than to compile.
const LEAST_PATIENCE: Duration = Duration::from_secs(120);

impl Compilation {
    /// By the clock it has twice its processor time, and at least 120 s.
    #[must_use]
    pub fn new(memory_bytes: u64, cpu_seconds: u64) -> Self {
        let patience = LEAST_PATIENCE.max(Duration::from_secs(cpu_seconds.saturating_mul(2)));
        Self { memory_bytes, cpu_seconds, patience }
    }
}

/// The first argument that makes this binary a compiler.
pub const COMPILER_ARGUMENT: &str = "__compile";

/// The program that compiles, and its arguments. Default: this binary, whose `main` calls [`crate::executor::guard_main`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiler {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

impl Default for Compiler {
    fn default() -> Self {
        Self { program: own_program(), arguments: vec![COMPILER_ARGUMENT.into()] }
    }
}
