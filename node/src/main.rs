//! The `meshd` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    meshd::cli::main()
}
