use crate::executor::run::Limits;

/// WebAssembly programs.
#[derive(Debug, Clone)]
pub struct WasmConfig {
    /// Upper bounds for what a task may use. Of `processes` there are none.
    pub limits: Limits,
    /// Bytes of the largest program that is compiled. Default 64 MiB: a compiler needs many times as much.
    pub module_bytes: u64,
    /// Bytes of compiled programs that are kept in memory. Default 256 MiB.
    pub cache_bytes: u64,
}

impl Default for WasmConfig {
    fn default() -> Self {
        let limits = Limits { memory_bytes: Some(1 << 30), open_files: 512, ..Limits::default() };
        Self { limits, module_bytes: 64 << 20, cache_bytes: 256 << 20 }
    }
}
