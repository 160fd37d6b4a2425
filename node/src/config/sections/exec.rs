//! `[exec]`.

use std::path::PathBuf;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Size};

/// Host commands. Off unless commands are allowed by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exec {
    /// Commands that tasks may run, by name or absolute path. Allowing a shell or an interpreter allows everything.
    /// Default: none.
    pub allow: Vec<String>,
    /// Tasks that say so may take paths of this node (`--in-place`), for meshes that share a file system. Default: false.
    pub in_place: bool,
    /// Commands that run at once. Default: the number of processors.
    pub slots: u32,
    /// Memory that one command may use with all that it starts. Default: half of the machine's, or of this process's
    /// control group.
    pub memory: Size,
    /// Directories below which commands may write besides their own, where the kernel has Landlock. Default: none.
    pub writable: Vec<PathBuf>,
}

impl Default for Exec {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
        Self {
            allow: Vec::new(),
            in_place: false,
            slots: u32::try_from(processors).unwrap_or(1).clamp(1, MOST_SLOTS),
            memory: Size::from_mib(u32::try_from(*MACHINE_MEMORY >> 21).unwrap_or(u32::MAX)).max(LEAST_MEMORY),
            writable: Vec::new(),
        }
    }
}

/// Bytes of RAM that this process may hope for.
static MACHINE_MEMORY: LazyLock<u64> = LazyLock::new(|| {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let whole = system.total_memory();
    system.cgroup_limits().map_or(whole, |group| group.total_memory.min(whole))
});

/// Below it hardly a program starts.
const LEAST_MEMORY: Size = Size::from_mib(16);
/// Each running command costs a guard process and its pipes.
const MOST_SLOTS: u32 = 4_096;
/// Each name is resolved at start and held.
const MOST_COMMANDS: usize = 1_024;

impl Section for Exec {
    fn check(&self, report: &mut Report<'_>) {
        report.within("slots", self.slots, 1, MOST_SLOTS);
        report.within("memory", self.memory, LEAST_MEMORY, Size::from_bytes(u64::MAX));
        for path in self.writable.iter().filter(|path| !path.is_absolute()) {
            report.wrong("writable", format!("{} is not an absolute path", path.display()));
        }
        if self.allow.len() > MOST_COMMANDS {
            report.wrong("allow", format!("names {} commands; {MOST_COMMANDS} are the most", self.allow.len()));
        }
        for command in &self.allow {
            let relative = command.contains('/') && !command.starts_with('/');
            if command.is_empty() || relative || command.chars().any(|c| c.is_whitespace() || c.is_control()) {
                report.wrong("allow", format!("{command:?} is neither a command's name nor an absolute path"));
            }
        }
    }
}
