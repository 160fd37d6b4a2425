//! What the operator decides about executions.

use super::allow::AllowError;
use super::allow::Allowed;
use super::outcome::Level;
use super::run::Limits;
use super::wasm::WasmConfig;
use super::worker::WorkersConfig;
use mesh_proto::capability::Capabilities;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct ExecutorConfig {
    /// Executions at a time, of all kinds that do not end at once. Default: the number of CPUs.
    pub slots: usize,
    /// Where tasks have their directories. Emptied at start: it belongs to the executors alone.
    pub directory: PathBuf,
    /// Host commands; `None` refuses them all. Default `None`.
    pub exec: Option<ExecConfig>,
    /// WebAssembly programs; `None` refuses them all, as does a build without them. Default `None`.
    pub wasm: Option<WasmConfig>,
    /// Programs that attach themselves; `None` lets none in. Default `None`.
    pub workers: Option<WorkersConfig>,
    /// What this node has without these. Default nothing.
    pub has: Capabilities,
}

impl ExecutorConfig {
    /// Builtins only, as many slots as CPUs.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        let slots = std::thread::available_parallelism().map_or(1, usize::from);
        Self { slots, directory, exec: None, wasm: None, workers: None, has: Capabilities::default() }
    }
}

/// Host commands.
#[derive(Debug, Clone)]
pub struct ExecConfig {
    pub allowed: Allowed,
    /// Upper bounds for what a task may use.
    pub limits: Limits,
    /// A task is killed when meshd did not renew for this long: stopped, stuck, or suspended. Counted by a clock that
    /// runs on while the machine sleeps. Default 10 s; renewed four times as often.
    pub lease: Duration,
    /// Between `SIGTERM` and `SIGKILL` of a cancelled task. Default 2 s.
    pub grace: Duration,
    /// Given to commands as `PATH`. Default: meshd's own at start.
    pub path: String,
    /// The binary whose `main` calls [`super::guard_main`]. Default: this one, by a name that stays right when the
    /// file is replaced under a running node.
    pub guard: PathBuf,
    /// The best containment to try; the next best follows when the system refuses it. Default: the best there is.
    pub level: Level,
    /// Let commands write below their own directory only, where the kernel has Landlock. Default true.
    pub fenced: bool,
    /// Directories below which they may write as well. Default none.
    pub writable: Vec<PathBuf>,
    /// Files and directories that are empty for commands, where these have a namespace: what is the node's own secret.
    /// They must be there. Default none.
    pub hidden: Vec<PathBuf>,
}

impl ExecConfig {
    #[must_use]
    pub fn new(allowed: Allowed) -> Self {
        Self {
            allowed,
            limits: Limits::default(),
            lease: Duration::from_secs(10),
            grace: Duration::from_secs(2),
            path: std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into()),
            guard: own_program(),
            level: Level::best(),
            fenced: true,
            writable: Vec::new(),
            hidden: Vec::new(),
        }
    }
}

/// This binary, by a name that stays right when the file is replaced under a running node.
pub(super) fn own_program() -> PathBuf {
    let own = match cfg!(target_os = "linux") {
        true => Some(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe().ok(),
    };
    own.unwrap_or_else(|| PathBuf::from("meshd"))
}

/// The operator must change something.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("executor slots must be 1 to 4096, not {0}")]
    Slots(usize),
    #[error("the lease must be 100 ms to 1 h, not {0:?}")]
    Lease(Duration),
    #[error("the directory of tasks, {path}: {error}")]
    Directory { path: PathBuf, error: std::io::Error },
    #[error("WebAssembly on this machine: {0}")]
    Wasm(String),
    #[error(transparent)]
    Allow(#[from] AllowError),
}

impl ExecutorConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !(1..=4096).contains(&self.slots) {
            return Err(ConfigError::Slots(self.slots));
        }
        match &self.exec {
            Some(exec) if !(Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&exec.lease) => {
                Err(ConfigError::Lease(exec.lease))
            }
            _ => Ok(()),
        }
    }
}
