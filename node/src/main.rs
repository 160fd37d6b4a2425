//! The `meshd` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before all else: a guard has one thread and no runtime.
    if let Some(code) = meshd::executor::guard_main() {
        return ExitCode::from(u8::try_from(code).unwrap_or(70));
    }
    meshd::cli::main()
}
