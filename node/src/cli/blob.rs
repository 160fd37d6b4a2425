//! `meshd blob add|get|ls|rm`.

use std::path::PathBuf;

use axum::body::Body;
use clap::{Args, Subcommand};

use super::Failure;
use super::output::Output;
use super::results::fetch;
use super::settings::Global;
use crate::api::blobs::{BlobPage, BlobRow};
use crate::client::{Ask, Client};

#[derive(Debug, Subcommand)]
pub(super) enum Blob {
    /// Store files, or standard input, and print their ids.
    Add(Add),
    /// Fetch a blob, from whichever node has it.
    Get(Get),
    /// List the blobs on this node's disk.
    Ls,
    /// Let go of a blob on this node.
    Rm(One),
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The files; `-` is standard input.
    #[arg(required = true)]
    file: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Get {
    /// The blob: its id, or a unique prefix of one that is on the node.
    blob: String,
    /// Where to write it. Default: standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// The blob: its id, or a unique prefix of one that is on the node.
    blob: String,
}

impl Blob {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let client = global.client()?;
        match self {
            Self::Add(Add { file }) => {
                for path in file {
                    let blob = client.put_blob(body(path).await?).await?;
                    output.put(&blob, |blob| format!("{}  {}", blob.id, path.display()))?;
                }
                Ok(())
            }
            Self::Get(Get { blob, out }) => get(&client, blob, out.as_ref()).await,
            Self::Ls => ls(&client, output).await,
            Self::Rm(One { blob }) => {
                drop(client.send(&Ask::delete(format!("/v1/blobs/{blob}"))).await?);
                let said = serde_json::json!({ "blob": blob, "removed": true });
                Ok(output.put(&said, |_| format!("let go of {blob}"))?)
            }
        }
    }
}

async fn body(path: &PathBuf) -> Result<Body, Failure> {
    const CHUNK: usize = 256 * 1024;
    if path.to_str() == Some("-") {
        return Ok(Body::from_stream(tokio_util::io::ReaderStream::with_capacity(stdin()?, CHUNK)));
    }
    let file = tokio::fs::File::open(path).await;
    let file = file.map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
    Ok(Body::from_stream(tokio_util::io::ReaderStream::with_capacity(file, CHUNK)))
}

/// Standard input as a file: tokio's own needs a feature that nothing else does.
fn stdin() -> std::io::Result<tokio::fs::File> {
    use std::os::fd::AsFd as _;
    let duplicate = std::io::stdin().as_fd().try_clone_to_owned()?;
    Ok(tokio::fs::File::from_std(duplicate.into()))
}

async fn get(client: &Client, blob: &str, out: Option<&PathBuf>) -> Result<(), Failure> {
    let response = client.send(&Ask::get(format!("/v1/blobs/{blob}"))).await?;
    let Some(out) = out else { return fetch(client, response, &mut std::io::stdout().lock()).await };
    // Whoever looks finds all of it or nothing.
    let partial = out.with_extension("partial");
    fetch(client, response, &mut std::fs::File::create(&partial)?).await?;
    Ok(std::fs::rename(&partial, out)?)
}

async fn ls(client: &Client, output: Output) -> Result<(), Failure> {
    let mut rows: Vec<BlobRow> = Vec::new();
    let mut route = "/v1/blobs?limit=1000".to_string();
    loop {
        let page: BlobPage = client.ask(&Ask::get(route)).await?;
        rows.extend(page.blobs);
        let Some(next) = page.next else { break };
        route = format!("/v1/blobs?limit=1000&cursor={next}");
    }
    Ok(output.rows(["blob", "bytes", "added", "needed"], &rows, |row| {
        let needed = if row.referenced { "yes" } else { "no" };
        [row.id.clone(), row.size.to_string(), row.added.clone(), needed.to_string()]
    })?)
}
