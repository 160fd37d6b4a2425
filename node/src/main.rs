<<<<<<< HEAD
//! The `meshd` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    meshd::cli::main()
=======
fn main() {
    // Before all else: a guard has one thread and no runtime.
    if let Some(code) = meshd::executor::guard_main() {
        std::process::exit(code);
    }
>>>>>>> executor
}
