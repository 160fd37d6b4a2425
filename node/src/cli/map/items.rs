//! Inputs as lines of a job's request.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};

use super::grammar::fill;
use super::paths::{as_text, stand_in};
use crate::api::jobs::submit::JobHeader;
use crate::api::submission::Item;
use crate::cli::program::{Input, load};
use crate::cli::submit::file_spec;
use crate::cli::{Failure, exit};
use crate::client::Client;

/// How an input reaches its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Way {
    /// As a file in the task's directory, named in the command.
    File,
    /// On standard input.
    Stdin,
    /// By its path, on a file system that all nodes share.
    InPlace,
    /// Items that are made already.
    Made,
}

/// The inputs of a job.
pub(in crate::cli) struct Items {
    pub(in crate::cli) header: JobHeader,
    pub(super) command: Vec<String>,
    /// The program is given words, be it the input's name alone.
    pub(super) takes_words: bool,
    pub(super) way: Way,
    pub(super) paths: Vec<PathBuf>,
    /// One for each item.
    pub(in crate::cli) names: Vec<PathBuf>,
    pub(super) made: Vec<Item>,
    /// Blobs that were put: a second attempt does not put them again.
    pub(super) put: Mutex<BTreeMap<u64, Input>>,
    /// What ended the last request's body early.
    pub(super) broken: Mutex<Option<Failure>>,
}

/// Files read, and blobs put, at once.
const AHEAD: usize = 6;
/// Lines that go out as one chunk of the body.
const CHUNK_LINES: usize = 64;

impl Items {
    /// Of a job whose items are made already.
    pub(in crate::cli) fn made(header: JobHeader, names: Vec<PathBuf>, made: Vec<Item>) -> Self {
        let (command, paths, put, broken) = (Vec::new(), Vec::new(), Mutex::default(), Mutex::default());
        Self { header, command, takes_words: true, way: Way::Made, paths, names, made, put, broken }
    }

    pub(in crate::cli) fn count(&self) -> u64 {
        self.names.len() as u64
    }

    /// The header and the lines of the items in `wanted`, in their order. Ends early where an input cannot be had; why
    /// is in `broken`.
    pub(super) fn lines(
        self: Arc<Self>,
        client: Arc<Client>,
        wanted: Vec<u64>,
    ) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
        let header = serde_json::to_vec(&self.header).map(with_end).map_err(std::io::Error::other);
        let items = futures::stream::iter(wanted).map(move |index| {
            let (this, client) = (self.clone(), client.clone());
            async move { this.line(&client, index).await }
        });
        let lines = items.buffered(AHEAD).ready_chunks(CHUNK_LINES).map(|lines| {
            let lines: Vec<Vec<u8>> = lines.into_iter().collect::<Result<_, _>>()?;
            Ok(Bytes::from(lines.concat()))
        });
        futures::stream::iter([header.map(Bytes::from)]).chain(lines)
    }

    async fn line(&self, client: &Client, index: u64) -> Result<Vec<u8>, std::io::Error> {
        match self.item(client, index).await {
            Ok(item) => serde_json::to_vec(&item).map(with_end).map_err(std::io::Error::other),
            Err(failure) => {
                let error = std::io::Error::other(failure.to_string());
                *lock(&self.broken) = Some(failure);
                Err(error)
            }
        }
    }

    async fn item(&self, client: &Client, index: u64) -> Result<Item, Failure> {
        let at = usize::try_from(index).map_err(|_| Failure::Ended(exit::INTERNAL))?;
        let mut item = Item { index: Some(index), ..Item::default() };
        if self.way == Way::Made {
            return Ok(Item { index: Some(index), ..self.made[at].clone() });
        }
        let (path, name) = (&self.paths[at], &self.names[at]);
        if self.way == Way::InPlace {
            let path = std::path::absolute(path)?;
            let path = path.to_str().ok_or_else(|| Failure::Usage(format!("{} is not UTF-8", path.display())))?;
            item.argv = Some(fill(&self.command, path, true));
            return Ok(item);
        }
        let put = lock(&self.put).get(&index).cloned();
        let input = match put {
            Some(input) => input,
            None => load(client, path, false).await?,
        };
        if matches!(input, Input::Blob(_)) {
            lock(&self.put).insert(index, input.clone());
        }
        match (self.way, input) {
            (Way::Stdin, Input::Text(text)) => item.stdin = Some(text),
            (Way::Stdin, Input::B64(b64)) => item.stdin_b64 = Some(b64),
            (Way::Stdin, Input::Blob(blob)) => item.stdin_blob = Some(blob),
            (Way::File | Way::InPlace | Way::Made, input) => {
                item.files.push(file_spec(as_text(name)?.to_owned(), input))
            }
        }
        if self.takes_words {
            let text = name.to_string_lossy();
            item.argv = Some(fill(&self.command, &stand_in(path, &text), self.way == Way::File));
        }
        Ok(item)
    }
}

fn with_end(mut line: Vec<u8>) -> Vec<u8> {
    line.push(b'\n');
    line
}

/// A lock whose holder panicked still guards plain data.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
