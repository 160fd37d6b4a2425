//! `[wasm]`.

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Size, Span};

/// WebAssembly programs. They need nobody's leave: what they can do is bounded by their sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wasm {
    /// This node runs them. Default: true.
    pub enabled: bool,
    /// Memory of one program, its tables included. Default: 1 GiB.
    pub memory: Size,
    /// Processor time of one execution. Default: none; its time limit bounds it.
    pub cpu_time: Option<Span>,
    /// The largest program that is compiled. Default: 64 MiB.
    pub module: Size,
    /// Memory of the process that compiles one. Default: 1 GiB.
    pub compiler_memory: Size,
    /// Processor time of one compilation, in whole seconds. Default: 60 s.
    pub compiler_time: Span,
    /// Compiled programs that are kept in memory. Default: 256 MiB.
    pub cache: Size,
}

impl Default for Wasm {
    fn default() -> Self {
        let [memory, module, compiler_memory, cache] = [1024, 64, 1024, 256].map(Size::from_mib);
        let compiler_time = Span::from_secs(60);
        Self { enabled: true, memory, cpu_time: None, module, compiler_memory, compiler_time, cache }
    }
}

/// A page.
const LEAST_MEMORY: Size = Size::from_bytes(64 << 10);
/// Below it not even small programs from a compiler with a library.
const LEAST_MODULE: Size = Size::from_bytes(64 << 10);
/// It is read as a whole, and a compiler needs many times as much.
const MOST_MODULE: Size = Size::from_mib(1024);
/// Its stack, and what the smallest program takes.
const LEAST_COMPILER: Size = Size::from_mib(64);
/// Longer nobody waits for a program.
const COMPILER_TIME: (Span, Span) = (Span::from_secs(1), Span::from_secs(3600));

impl Section for Wasm {
    fn check(&self, report: &mut Report<'_>) {
        report.within("memory", self.memory, LEAST_MEMORY, Size::from_bytes(u64::MAX));
        report.within("module", self.module, LEAST_MODULE, MOST_MODULE);
        report.within("compiler_memory", self.compiler_memory, LEAST_COMPILER, Size::from_bytes(u64::MAX));
        report.within("compiler_time", self.compiler_time, COMPILER_TIME.0, COMPILER_TIME.1);
        if let Some(cpu_time) = self.cpu_time
            && cpu_time.get().as_secs() == 0
        {
            report.wrong("cpu_time", "is less than a second".to_owned());
        }
    }
}
