//! What `submit` and `map` have in common: which program, on what terms.

use std::io::IsTerminal as _;
use std::path::Path;

use clap::Args;
use mesh_proto::capability::{RequirementError, Requirements};
use mesh_proto::time::Wall;
use tokio::io::AsyncReadExt as _;

use super::Failure;
use super::settings::now;
use super::transfer::{Upload, stdin};
use crate::api::content::BlobLink;
use crate::api::submission::{parse_date, show_date};
use crate::api::terms::{Isolated, Terms, Urgency, Way};
use crate::client::{Client, ClientError};
use crate::config::Span;

/// The terms of a task.
#[derive(Debug, Args)]
pub(super) struct TermFlags {
    /// How often to run the program again when it exits with another code than 0.
    #[arg(long, default_value_t = 0, value_name = "N")]
    retries: u8,
    /// End it as failed if it has not ended after so long, counted from now.
    #[arg(long, value_name = "TIME")]
    deadline: Option<Span>,
    /// The longest run of one attempt. Default: 1h.
    #[arg(long, value_name = "TIME")]
    time_limit: Option<Span>,
    /// Have the committee agree on who runs it: at most one execution at a time, also across partitions.
    #[arg(long)]
    unique: bool,
    /// What the node that runs it must have, like 'gpu>=1,arch=x86_64,tool:ffmpeg>=6,mem>=2GiB,zone=eu'. A name alone is to
    /// be there; a trailing ? marks what is only preferred. It waits where no node in reach has it all.
    #[arg(long, value_name = "LIST", value_parser = requirements)]
    require: Option<Requirements>,
    /// Have it run by so many different nodes, drawn by lot, and take what most of them sign: against nodes that lie or
    /// compute wrongly.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "unique", value_parser = clap::value_parser!(u8).range(1..=i64::from(mesh_proto::limits::REDUNDANCY)))]
    redundancy: u8,
    /// How that node is chosen: the nearest holder that has room, the nearest holder, whoever bids best, or the node that it is
    /// given to.
    #[arg(long, value_enum, default_value = "auto")]
    strategy: Way,
    /// What becomes of it where the node that runs it loses the mesh: it goes on, or is stopped, as the others run it elsewhere.
    #[arg(long, value_enum, default_value = "continue")]
    on_isolation: Isolated,
    /// What goes first where there is a queue.
    #[arg(long, value_enum, default_value = "medium")]
    priority: Urgency,
    /// Makes a repeat harmless, through any node: the same key is the same work, for as long as the mesh remembers it
    /// (`tasks.retention`, a day).
    #[arg(long, value_name = "KEY")]
    pub(super) idempotency_key: Option<String>,
    /// When the key was first used, like 2026-11-26T09:30:00Z: a repeat after the mesh has forgotten it is refused, and
    /// not run again. Default: now.
    #[arg(long, value_name = "DATE", requires = "idempotency_key", value_parser = date)]
    key_born: Option<Wall>,
    /// Print the id and leave; do not wait for the end.
    #[arg(long)]
    pub(super) detach: bool,
}

impl TermFlags {
    /// With the date of now as the key's, unless the user knows better: to be made once, before the first attempt.
    pub(super) fn terms(&self) -> Terms {
        let now = now();
        Terms {
            priority: self.priority,
            time_limit_ms: self.time_limit.map(|span| u64::try_from(span.get().as_millis()).unwrap_or(u64::MAX)),
            deadline: self.deadline.map(|span| show_date(now + span.get())),
            retries: self.retries,
            unique: self.unique,
            require: self.require.as_ref().map(Requirements::to_string).filter(|text| !text.is_empty()),
            redundancy: (self.redundancy > 1).then_some(self.redundancy),
            strategy: self.strategy,
            on_isolation: self.on_isolation,
            born: Some(show_date(self.key_born.unwrap_or(now))),
            trace: None,
        }
    }

    /// The user's key, or 128 random bits drawn here, before the first attempt.
    pub(super) fn key(&self) -> String {
        self.idempotency_key.clone().unwrap_or_else(|| {
            let drawn: [u8; 16] = rand::random();
            data_encoding::HEXLOWER.encode(&drawn)
        })
    }
}

fn requirements(text: &str) -> Result<Requirements, String> {
    text.parse().map_err(|error: RequirementError| error.to_string())
}

fn date(text: &str) -> Result<Wall, String> {
    parse_date(text).map_err(|problem| problem.detail)
}

/// Bytes of an input: in the request where they are few, else as a blob put before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Text(String),
    B64(String),
    Blob(BlobLink),
}

/// Reads a file, and puts it as a blob if it is large, with a bar if it `is_watched`.
pub(super) async fn load(client: &Client, path: &Path, is_watched: bool) -> Result<Input, Failure> {
    let unreadable = |error| Failure::Usage(format!("cannot read {}: {error}", path.display()));
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let mut start = Vec::with_capacity(4096);
    let limit = mesh_proto::task::INLINE_LIMIT;
    let mut head = file.take(limit as u64 + 1);
    head.read_to_end(&mut start).await.map_err(unreadable)?;
    if start.len() <= limit {
        return Ok(inline(start));
    }
    put(client, path, is_watched).await.map(Input::Blob)
}

/// As [`load`], with a bar; `-` is standard input, to its end.
pub(super) async fn load_given(client: &Client, path: &Path) -> Result<Input, Failure> {
    if path != Path::new("-") {
        return load(client, path, true).await;
    }
    if std::io::stdin().is_terminal() {
        let why = "`-` is standard input, and that is a terminal: name a file, or feed it one or a pipe";
        return Err(Failure::Usage(why.to_string()));
    }
    let unreadable = |error| Failure::Usage(format!("cannot read standard input: {error}"));
    let mut content = stdin().map_err(unreadable)?;
    let mut start = Vec::with_capacity(4096);
    let limit = mesh_proto::task::INLINE_LIMIT;
    (&mut content).take(limit as u64 + 1).read_to_end(&mut start).await.map_err(unreadable)?;
    if start.len() <= limit {
        return Ok(inline(start));
    }
    let Upload { body, size, transfer } = Upload::of_rest(start, content);
    // What was read of it is gone: a node that has no room for it now is not asked a second time.
    let put = client.put_blob(body, size, false).await;
    transfer.end();
    Ok(Input::Blob(put?))
}

/// Puts a file as a blob, with a bar if it `is_watched`.
pub(super) async fn put(client: &Client, path: &Path, is_watched: bool) -> Result<BlobLink, Failure> {
    let unreadable = |error| Failure::Usage(format!("cannot read {}: {error}", path.display()));
    let mut is_told = false;
    loop {
        let Upload { body, size, transfer } = Upload::of_file(path, is_watched).await.map_err(unreadable)?;
        let put = client.put_blob(body, size, false).await;
        transfer.end();
        match put {
            Ok(blob) => return Ok(blob),
            Err(ClientError::Refused(problem)) if problem.retry_ms.is_some_and(|ms| ms <= 5_000) => {
                // It may take as long as an operator takes, who should know.
                if !std::mem::replace(&mut is_told, true) {
                    eprintln!("meshd: {} waits: {}", path.display(), problem.detail);
                }
                tokio::time::sleep(std::time::Duration::from_millis(problem.retry_ms.unwrap_or(100).into())).await;
            }
            // Of many inputs: which.
            Err(ClientError::Refused(mut problem)) => {
                problem.detail = format!("{}: {}", path.display(), problem.detail);
                return Err(ClientError::Refused(problem).into());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) fn inline(bytes: Vec<u8>) -> Input {
    match String::from_utf8(bytes) {
        Ok(text) => Input::Text(text),
        Err(error) => Input::B64(data_encoding::BASE64.encode(error.as_bytes())),
    }
}
