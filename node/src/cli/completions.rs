//! `meshd completions`.

use clap::Args;
use clap_complete::Shell;

use super::Failure;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell to complete in.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<(), Failure> {
        // Into memory first: the generator panics where it cannot write, as when the other end of a pipe closes.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "meshd", &mut script);
        Ok(std::io::Write::write_all(&mut std::io::stdout().lock(), &script)?)
    }
}
