//! Where the results of a job go: below a directory, or in the order of the inputs to standard output.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Items that are not printed.
    quiet: BTreeSet<u64>,
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
    /// There will be none.
    Skipped,
}

/// Bytes of results that wait for their turn.
const EARLY_LIMIT: usize = 64 * 1024 * 1024;

impl Delivery {
    pub(in crate::cli) fn new(target: Target, output: Output, names: Vec<PathBuf>) -> Self {
        Self { target, output, names, quiet: BTreeSet::new(), next: 0, early: BTreeMap::new(), early_bytes: 0 }
    }

    /// Does not print these.
    #[must_use]
    pub(in crate::cli) fn quiet_about(mut self, quiet: BTreeSet<u64>) -> Self {
        self.quiet = quiet;
        self
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
            Target::Print if self.quiet.contains(&index) => self.skip(client, index).await,
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

    /// An item of which there will be no result; those behind it do not wait for it.
    pub(in crate::cli) async fn skip(&mut self, client: &Client, index: u64) -> Result<(), Failure> {
        match self.target {
            Target::Directory(_) | Target::Nowhere => Ok(()),
            Target::Print => {
                self.early.insert(index, Early::Skipped);
                self.print(client).await
            }
        }
    }

    /// There is no more: what has not been delivered yet is, to the disk.
    pub(in crate::cli) async fn finish(&mut self, client: &Client) -> Result<(), Failure> {
        // What stands behind a gap: items of which nothing was heard.
        while let Some((index, _)) = self.early.first_key_value() {
            self.next = *index;
            self.print(client).await?;
        }
        match &self.target {
            Target::Directory(out) => out.settle().await,
            Target::Print | Target::Nowhere => Ok(()),
        }
    }

    /// Prints those whose turn it is.
    async fn print(&mut self, client: &Client) -> Result<(), Failure> {
        while let Some(early) = self.early.remove(&self.next) {
            self.next += 1;
            let result = match early {
                Early::Kept(result) => {
                    self.early_bytes -= size(&result);
                    *result
                }
                Early::Named(task) => await_result(client, &task).await?,
                Early::Skipped => continue,
            };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Format;

    #[tokio::test]
    async fn results_behind_one_that_was_refused_ahead_of_its_turn_are_printed_at_once() {
        let client = Client::new(vec!["http://127.0.0.1:1".into()], String::new());
        let mut delivery = Delivery::new(Target::Print, Output::new(Format::Text), Vec::new());
        let result = || TaskResult { state: "done".into(), ..TaskResult::default() };
        delivery.skip(&client, 2).await.unwrap();
        delivery.take(&client, 3, result()).await.unwrap();
        delivery.take(&client, 0, result()).await.unwrap();
        assert_eq!((delivery.next, delivery.early.len()), (1, 2), "1 is waited for");
        delivery.take(&client, 1, result()).await.unwrap();
        assert_eq!((delivery.next, delivery.early.len(), delivery.early_bytes), (4, 0, 0));
    }
}
