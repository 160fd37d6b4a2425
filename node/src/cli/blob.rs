//! `meshd blob add|get|ls|rm`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hyper::{Response, body::Incoming, header};
use serde_json::json;

use super::Failure;
use super::durable::{partial_of, put_in_place};
use super::output::Output;
use super::results::{escape, fetch, of_file};
use super::settings::Global;
use super::transfer::{Transfer, Upload};
use crate::api::blobs::{BlobPage, BlobRow};
use crate::client::{Ask, Client};

#[derive(Debug, Subcommand)]
pub(super) enum Blob {
    /// Store files, or standard input, and print their ids.
    #[command(visible_alias = "put")]
    Add(Add),
    /// Fetch a blob, from whichever node has it.
    Get(Get),
    /// List the blobs on this node's disk.
    #[command(visible_alias = "list")]
    Ls,
    /// Remove a blob on this node, unless something needs it.
    Rm(One),
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The files; `-` is standard input.
    #[arg(required = true)]
    file: Vec<PathBuf>,
    /// Keep them on the node until they are removed, whether or not a task needs them.
    #[arg(long)]
    pin: bool,
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
            Self::Add(Add { file, pin }) => {
                for path in file {
                    let Upload { body, size, transfer } = upload(path).await?;
                    let put = client.put_blob(body, size, *pin).await;
                    transfer.end();
                    let blob = put?;
                    output.put(&blob, |blob| format!("{}  {}", blob.id, path.display()))?;
                }
                Ok(())
            }
            Self::Get(Get { blob, out }) => get(&client, output, blob, out.as_deref()).await,
            Self::Ls => ls(&client, output).await,
            Self::Rm(One { blob }) => {
                drop(client.send(&Ask::delete(format!("/v1/blobs/{}", escape(blob)))).await?);
                let said = json!({ "blob": blob, "removed": true });
                Ok(output.put(&said, |_| format!("let go of {blob}"))?)
            }
        }
    }
}

async fn upload(path: &Path) -> Result<Upload, Failure> {
    if path.to_str() == Some("-") {
        return Ok(Upload::of_stdin()?);
    }
    let upload = Upload::of_file(path, true).await;
    upload.map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))
}

async fn get(client: &Client, output: Output, blob: &str, out: Option<&Path>) -> Result<(), Failure> {
    let response = client.send(&Ask::get(format!("/v1/blobs/{}", escape(blob)))).await?;
    let size = response.headers().get(header::CONTENT_LENGTH).and_then(|size| size.to_str().ok()?.parse::<u64>().ok());
    // Where the bytes themselves go to the terminal a bar would be in their way.
    let transfer = match out {
        Some(_) => Transfer::new(blob, size),
        None => Transfer::hidden(),
    };
    let Some(out) = out else { return fetch(client, response, &mut std::io::stdout().lock(), &transfer).await };
    // Whoever looks finds all of it or nothing.
    let partial = partial_of(out);
    let saved = save(client, response, &partial, &transfer).await;
    transfer.end();
    let placed = match saved {
        Ok(file) => place(file, &partial, out).await,
        Err(failure) => Err(failure),
    };
    if let Err(failure) = placed {
        // Why it failed is worth more than why it is left behind.
        if let Err(error) = std::fs::remove_file(&partial) {
            tracing::debug!(path = %partial.display(), %error, "not removed");
        }
        return Err(failure);
    }
    match output.is_text() {
        true => Ok(()),
        false => Ok(output.put(&json!({ "blob": blob, "bytes": size, "file": out }), |_| String::new())?),
    }
}

async fn save(client: &Client, response: Response<Incoming>, to: &Path, transfer: &Transfer) -> Result<File, Failure> {
    let mut file = File::create(to).map_err(Failure::file("make", to))?;
    fetch(client, response, &mut file, transfer).await.map_err(of_file("write", to))?;
    Ok(file)
}

/// A large file takes a while to reach the disk.
async fn place(file: File, from: &Path, to: &Path) -> Result<(), Failure> {
    let (from, target) = (from.to_owned(), to.to_owned());
    let placed = tokio::task::spawn_blocking(move || put_in_place(&file, &from, &target)).await;
    placed.map_err(io::Error::other).and_then(|placed| placed).map_err(Failure::file("make", to))
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
    Ok(output.rows(["blob", "bytes", "added", "kept by"], &rows, |row| {
        let kept_by = row.kept_by.clone().unwrap_or_default();
        [row.id.clone(), row.size.to_string(), row.added.clone(), kept_by]
    })?)
}
