//! `meshd memory put|get|list|delete|cas|search`.

use std::io::{Read, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use hyper::{HeaderMap, header};
use mesh_proto::limits;

use super::Failure;
use super::ordering::{Reading, Route, Writing, millis};
use super::output::Output;
use super::results::{escape, fetch};
use super::settings::Global;
use super::transfer::Transfer;
use crate::api::memory::MemoryRow;
use crate::api::memory::get::{EXPIRES, WRITTEN};
use crate::api::memory::list::MemoryPage;
use crate::api::memory::write::{Deleted, Written};
use crate::client::{Ask, Client};
use crate::config::Span;

#[derive(Debug, Subcommand)]
pub(super) enum Memory {
    /// Write a value to a key.
    Put(Put),
    /// Print the value at a key.
    Get(Get),
    /// List keys.
    List(List),
    /// Delete what is at a key.
    Delete(Delete),
    /// Write or delete only if what is there is as expected.
    Cas(Cas),
    /// Find keys and values that hold a text.
    Search(Search),
}

/// Where it is.
#[derive(Debug, Args)]
struct Place {
    /// A room of keys.
    #[arg(long, value_name = "NAME")]
    namespace: String,
    /// The key in it.
    key: String,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("content").required(true).args(["value", "file"]))]
pub(super) struct Put {
    #[command(flatten)]
    place: Place,
    /// The value; `-` is standard input.
    value: Option<String>,
    /// The value is in this file.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How long it stays. Default: until it is deleted.
    #[arg(long, value_name = "TIME")]
    ttl: Option<Span>,
    #[command(flatten)]
    writing: Writing,
}

#[derive(Debug, Args)]
pub(super) struct Get {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// A room of keys.
    #[arg(long, value_name = "NAME")]
    namespace: String,
    /// Only keys that begin so.
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    writing: Writing,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("content").required(true).args(["value", "file", "delete"]))]
pub(super) struct Cas {
    #[command(flatten)]
    place: Place,
    /// What must be there: `absent`, a version, or the BLAKE3 hash of a value.
    #[arg(long, value_name = "WHAT")]
    expect: String,
    /// The value; `-` is standard input.
    value: Option<String>,
    /// The value is in this file.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Delete it.
    #[arg(long)]
    delete: bool,
    /// How long it stays. Default: until it is deleted.
    #[arg(long, value_name = "TIME", conflicts_with = "delete")]
    ttl: Option<Span>,
    #[command(flatten)]
    writing: Writing,
}

#[derive(Debug, Args)]
pub(super) struct Search {
    /// A room of keys.
    #[arg(long, value_name = "NAME")]
    namespace: String,
    /// What keys or values hold; `*` stands for any text between.
    pattern: String,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    reading: Reading,
}

impl Memory {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let client = global.client()?;
        match self {
            Self::Put(Put { place, value, file, ttl, writing }) => {
                let content = content(value.as_deref(), file.as_ref())?;
                write(&client, output, place, writing.route(&place.path()), writing, content, *ttl).await
            }
            Self::Get(Get { place, reading }) => get(&client, output, place, reading).await,
            Self::List(List { namespace, prefix, limit, reading }) => {
                let route = reading.route(&path(namespace)).and_if("prefix", prefix.as_deref());
                list(&client, output, route, *limit).await
            }
            Self::Delete(Delete { place, writing }) => {
                delete(&client, output, place, writing.route(&place.path()), writing).await
            }
            Self::Cas(Cas { place, expect, value, file, delete: is_delete, ttl, writing }) => {
                let route = writing.route(&place.path()).and("expect", expect);
                if *is_delete {
                    return delete(&client, output, place, route, writing).await;
                }
                let content = content(value.as_deref(), file.as_ref())?;
                write(&client, output, place, route, writing, content, *ttl).await
            }
            Self::Search(Search { namespace, pattern, limit, reading }) => {
                list(&client, output, reading.route(&path(namespace)).and("pattern", pattern), *limit).await
            }
        }
    }
}

impl Place {
    fn path(&self) -> String {
        format!("{}/{}", path(&self.namespace), escape(&self.key))
    }
}

fn path(namespace: &str) -> String {
    format!("/v1/memory/{}", escape(namespace))
}

fn content(value: Option<&str>, file: Option<&PathBuf>) -> Result<Vec<u8>, Failure> {
    match (value, file) {
        (Some("-"), _) => Ok(value_of(std::io::stdin().lock())?),
        (Some(value), _) => Ok(value.as_bytes().to_vec()),
        (None, Some(path)) => std::fs::File::open(path)
            .and_then(value_of)
            .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display()))),
        (None, None) => Ok(Vec::new()),
    }
}

/// With one byte more than a value may have, so that the node refuses it: whatever else comes is not read.
fn value_of(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limits::MEMORY_VALUE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn write(
    client: &Client,
    output: Output,
    place: &Place,
    route: Route,
    writing: &Writing,
    content: Vec<u8>,
    ttl: Option<Span>,
) -> Result<(), Failure> {
    let ttl = ttl.map(|ttl| millis(ttl.get()));
    let ask = Ask::put(route.and_if("ttl", ttl.as_deref())).key(&writing.key()).bytes(content);
    let written: Written = client.ask(&ask).await?;
    Ok(output.put(&written, |written| format!("{} is at version {}", place.key, written.version))?)
}

async fn delete(
    client: &Client,
    output: Output,
    place: &Place,
    route: Route,
    writing: &Writing,
) -> Result<(), Failure> {
    let deleted: Deleted = client.ask(&Ask::delete(route).key(&writing.key())).await?;
    Ok(output.put(&deleted, |deleted| match deleted.found {
        true => format!("deleted {}", place.key),
        false => format!("nothing was at {}", place.key),
    })?)
}

/// The value as it is, for pipes; in JSON with what is known of it.
async fn get(client: &Client, output: Output, place: &Place, reading: &Reading) -> Result<(), Failure> {
    let response = client.send(&Ask::get(reading.route(&place.path()))).await?;
    let headers = response.headers().clone();
    let mut bytes = Vec::new();
    fetch(client, response, &mut bytes, &Transfer::hidden()).await?;
    if output.is_text() {
        return Ok(std::io::stdout().lock().write_all(&bytes)?);
    }
    Ok(output.put(&described(&place.key, &headers, &bytes), |_| String::new())?)
}

fn described(key: &str, headers: &HeaderMap, bytes: &[u8]) -> MemoryRow {
    let text = |name: &header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let version = text(&header::ETAG).and_then(|tag| tag.trim_matches('"').parse().ok());
    MemoryRow {
        version: version.unwrap_or_default(),
        written: text(&WRITTEN).unwrap_or_default().to_owned(),
        expires: text(&EXPIRES).map(str::to_owned),
        ..MemoryRow::of_value(key, bytes)
    }
}

async fn list(client: &Client, output: Output, route: Route, limit: usize) -> Result<(), Failure> {
    let mut rows: Vec<MemoryRow> = Vec::new();
    let mut after: Option<String> = None;
    let mut is_cut = false;
    while rows.len() < limit {
        let left = (limit - rows.len()).min(1_000).to_string();
        let page: MemoryPage =
            client.ask(&Ask::get(route.clone().and("limit", &left).and_if("after", after.as_deref()))).await?;
        rows.extend(page.items);
        after = page.next;
        is_cut = after.is_some();
        if !is_cut {
            break;
        }
    }
    if is_cut {
        eprintln!("meshd: there are more than these {}: --limit", rows.len());
    }
    Ok(output.rows(["key", "version", "bytes", "written", "expires"], &rows, |row| {
        let expires = row.expires.clone().unwrap_or_default();
        [row.key.clone(), row.version.to_string(), row.bytes.to_string(), row.written.clone(), expires]
    })?)
}
