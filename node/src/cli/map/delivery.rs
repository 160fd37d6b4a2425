//! Where the results of a job go: below a directory, or in the order of the inputs to standard output.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::api::result::TaskResult;
use crate::cli::out_dir::OutDir;
use crate::cli::output::Output;
use crate::cli::submit::await_result;
use crate::cli::{Failure, results};
use crate::client::Client;

/// What takes the results of a job.
pub(in crate::cli) struct Delivery {
    target: Target,
    output: Output,
    /// The name of each item; items beyond have their number.
    names: Vec<PathBuf>,
    /// The item whose turn it is to be printed.
    next: u64,
    early: BTreeMap<u64, Early>,
    early_bytes: usize,
}

/// Where they go.
pub(in crate::cli) enum Target {
    Directory(OutDir),
    /// To standard output, in order.
    Print,
    /// Only the end of each counts.
    Nowhere,
}

/// A result that came before its turn. Beyond [`EARLY_LIMIT`] only its id is kept and it is asked for again.
enum Early {
    Kept(Box<TaskResult>),
    Named(String),
}

/// Bytes of results that wait for their turn.
const EARLY_LIMIT: usize = 64 * 1024 * 1024;

impl Delivery {
    pub(in crate::cli) fn new(target: Target, output: Output, names: Vec<PathBuf>) -> Self {
        Self { target, output, names, next: 0, early: BTreeMap::new(), early_bytes: 0 }
    }

    pub(in crate::cli) fn name(&self, index: u64) -> PathBuf {
        let named = usize::try_from(index).ok().and_then(|at| self.names.get(at)).cloned();
        named.unwrap_or_else(|| number(index))
    }

    /// Takes a result; each index once.
    pub(in crate::cli) async fn take(
        &mut self,
        client: &Client,
        index: u64,
        result: TaskResult,
    ) -> Result<(), Failure> {
        match &self.target {
            Target::Directory(out) => out.take(client, &self.name(index), &result).await,
            Target::Nowhere => Ok(()),
            Target::Print => {
                let size = size(&result);
                let early = match self.early_bytes + size <= EARLY_LIMIT {
                    true => {
                        self.early_bytes += size;
                        Early::Kept(Box::new(result))
                    }
                    false => Early::Named(result.task),
                };
                self.early.insert(index, early);
                self.print(client).await
            }
        }
    }

    /// An item of which there will be no result.
    pub(in crate::cli) async fn skip(&mut self, client: &Client, index: u64) -> Result<(), Failure> {
        if index == self.next {
            self.next += 1;
            self.print(client).await?;
        }
        Ok(())
    }

    pub(in crate::cli) async fn finish(&mut self, client: &Client) -> Result<(), Failure> {
        // What stands behind a gap: items of which there is no result.
        while let Some((index, _)) = self.early.first_key_value() {
            self.next = *index;
            self.print(client).await?;
        }
        Ok(())
    }

    /// Prints those whose turn it is.
    async fn print(&mut self, client: &Client) -> Result<(), Failure> {
        while let Some(early) = self.early.remove(&self.next) {
            let result = match early {
                Early::Kept(result) => {
                    self.early_bytes -= size(&result);
                    *result
                }
                Early::Named(task) => await_result(client, &task).await?,
            };
            self.next += 1;
            match self.output.is_text() {
                true => results::print_stdout(client, &result).await?,
                false => self.output.put(&result, |_| String::new())?,
            }
        }
        Ok(())
    }
}

/// The name of an item that has no other.
pub(in crate::cli) fn number(index: u64) -> PathBuf {
    format!("{index:06}").into()
}

fn size(result: &TaskResult) -> usize {
    let texts = [&result.stdout, &result.stdout_b64, &result.stderr, &result.stderr_b64];
    let files = result.files.iter().flat_map(|file| [&file.text, &file.b64]);
    256 + texts.into_iter().chain(files).flatten().map(String::len).sum::<usize>()
}
