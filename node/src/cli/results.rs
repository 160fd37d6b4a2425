//! Bringing results to where the user wants them.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use hyper::{Response, body::Incoming};

use super::Failure;
use super::durable::{partial_of, put_in_place};
use super::exit::{DEADLINE, FAILED};
use super::transfer::Transfer;
use crate::api::content::BlobLink;
pub(super) use crate::api::content::escape;
use crate::api::result::{FileResult, TaskResult};
use crate::client::{Ask, Client, piece};

/// Bytes of a standard error that are fetched to show its end.
const SHORT: u64 = 1024 * 1024;

/// What one stream or file of a result is.
enum Content<'a> {
    Bytes(Vec<u8>),
    /// To be fetched from this path of the API.
    Remote(String),
    Text(&'a str),
}

fn content<'a>(
    text: Option<&'a String>,
    b64: Option<&String>,
    blob: Option<&BlobLink>,
    route: impl FnOnce() -> String,
) -> Result<Content<'a>, Failure> {
    match (text, b64, blob) {
        (_, _, Some(_)) => Ok(Content::Remote(route())),
        (_, Some(b64), _) => {
            let bytes = data_encoding::BASE64.decode(b64.as_bytes());
            bytes.map(Content::Bytes).map_err(|error| Failure::Stream(io::Error::other(error)))
        }
        (text, None, None) => Ok(Content::Text(text.map_or("", String::as_str))),
    }
}

/// One of the two streams of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Stdout,
    Stderr,
}

impl Part {
    fn of(self, result: &TaskResult) -> Result<Content<'_>, Failure> {
        let route = |name: &str| format!("/v1/tasks/{}/{name}", result.task);
        match self {
            Self::Stdout => {
                let TaskResult { stdout, stdout_b64, stdout_blob, .. } = result;
                content(stdout.as_ref(), stdout_b64.as_ref(), stdout_blob.as_ref(), || route("stdout"))
            }
            Self::Stderr => {
                let TaskResult { stderr, stderr_b64, stderr_blob, .. } = result;
                content(stderr.as_ref(), stderr_b64.as_ref(), stderr_blob.as_ref(), || route("stderr"))
            }
        }
    }
}

/// Passes a task's standard output on to ours.
pub(super) async fn print_stdout(client: &Client, result: &TaskResult) -> Result<(), Failure> {
    copy(client, Part::Stdout.of(result)?, &mut io::stdout()).await
}

/// Passes a task's standard error on to ours.
pub(super) async fn print_stderr(client: &Client, result: &TaskResult) -> Result<(), Failure> {
    copy(client, Part::Stderr.of(result)?, &mut io::stderr()).await
}

/// A task's standard error where it is at hand or soon fetched, and can be had.
pub(super) async fn short_stderr(client: &Client, result: &TaskResult) -> Option<Vec<u8>> {
    if result.stderr_blob.as_ref().is_some_and(|blob| blob.size > SHORT) {
        return None;
    }
    let mut written = Vec::new();
    copy(client, Part::Stderr.of(result).ok()?, &mut written).await.ok()?;
    Some(written)
}

/// Writes a stream of a result to a file.
pub(super) async fn save(client: &Client, result: &TaskResult, part: Part, path: &Path) -> Result<(), Failure> {
    write(client, part.of(result)?, path).await.map(drop)
}

/// Writes named output files below `out`, a directory that is not used before it is whole.
pub(super) async fn save_files(client: &Client, out: &Path, result: &TaskResult) -> Result<(), Failure> {
    for file in &result.files {
        let target = below(out, file)?;
        write(client, of_output(result, file)?, &target).await?;
    }
    Ok(())
}

/// Puts named output files below a directory of the user's: what was there under such a name stays until all of the new one
/// is on the disk.
pub(super) async fn put_files(client: &Client, out: &Path, result: &TaskResult) -> Result<(), Failure> {
    for file in &result.files {
        let target = below(out, file)?;
        let partial = partial_of(&target);
        let written = match write(client, of_output(result, file)?, &partial).await {
            Ok(written) => put_in_place(&written, &partial, &target).map_err(Failure::file("make", &target)),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = written {
            match std::fs::remove_file(&partial) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    eprintln!("meshd: cannot remove {}: {error}", partial.display());
                }
                Ok(()) | Err(_) => {}
            }
            return Err(failure);
        }
    }
    Ok(())
}

/// Where an output file goes, whose directories are made.
fn below(out: &Path, file: &FileResult) -> Result<PathBuf, Failure> {
    let target = out.join(inside(&file.name)?);
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(Failure::file("make", parent))?;
    }
    Ok(target)
}

fn of_output<'a>(result: &TaskResult, file: &'a FileResult) -> Result<Content<'a>, Failure> {
    let route = || format!("/v1/tasks/{}/files/{}", result.task, escape(&file.name));
    content(file.text.as_ref(), file.b64.as_ref(), file.blob.as_ref(), route)
}

/// The exit code by which a verb passes a result on.
pub(super) fn exit_code(result: &TaskResult) -> u8 {
    if unverified(result).is_some() {
        return FAILED;
    }
    match (result.state.as_str(), result.exit_code, result.signal) {
        ("done", _, _) => 0,
        ("deadline_passed", _, _) => DEADLINE,
        // Codes beyond a byte cannot be passed on, and 0 would be taken for success.
        (_, Some(code), _) => u8::try_from(code & 0xff).ok().filter(|code| *code != 0).unwrap_or(FAILED),
        (_, None, Some(signal)) => u8::try_from(128 + signal).unwrap_or(FAILED),
        _ => FAILED,
    }
}

/// Why a task did not end well, in a line for people; `None` if it did, or says it by its own code.
pub(super) fn complaint(result: &TaskResult) -> Option<String> {
    if let Some(why) = unverified(result) {
        return Some(format!("not to be trusted, by the count of the node asked: {why}"));
    }
    match (result.state.as_str(), &result.failure) {
        (_, Some(failure)) => Some(format!("{}: {}", failure.kind, failure.message)),
        ("done", None) => None,
        ("failed", None) => result.signal.map(|signal| format!("killed by signal {signal}")),
        (state, None) => Some(state.to_string()),
    }
}

/// Of what several nodes were to run: why their agreement is not proven.
fn unverified(result: &TaskResult) -> Option<&str> {
    result.count.as_ref().filter(|count| !count.verified).map(|count| count.why.as_deref().unwrap_or("not counted"))
}

pub(super) fn exit_text(result: &TaskResult) -> String {
    match (result.exit_code, result.signal) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => complaint(result).unwrap_or_else(|| result.state.clone()),
    }
}

async fn write(client: &Client, content: Content<'_>, path: &Path) -> Result<File, Failure> {
    let mut file = File::create(path).map_err(Failure::file("make", path))?;
    copy(client, content, &mut file).await.map_err(of_file("write", path))?;
    Ok(file)
}

/// What went wrong while a file was written, with the file's name.
pub(super) fn of_file(what: &'static str, path: &Path) -> impl FnOnce(Failure) -> Failure {
    move |failure| match failure {
        Failure::Stream(error) => Failure::file(what, path)(error),
        failure => failure,
    }
}

async fn copy(client: &Client, content: Content<'_>, to: &mut impl io::Write) -> Result<(), Failure> {
    match content {
        Content::Bytes(bytes) => to.write_all(&bytes)?,
        Content::Text(text) => to.write_all(text.as_bytes())?,
        Content::Remote(route) => {
            let response = client.send(&Ask::get(route)).await?;
            fetch(client, response, to, &Transfer::hidden()).await?;
        }
    }
    Ok(to.flush()?)
}

/// Writes an answer's body as it comes; one that is shorter than announced is an error.
pub(super) async fn fetch(
    client: &Client,
    mut response: Response<Incoming>,
    to: &mut impl io::Write,
    transfer: &Transfer,
) -> Result<(), Failure> {
    while let Some(bytes) = client.hear(piece(&mut response)).await? {
        to.write_all(&bytes)?;
        transfer.moved(bytes.len());
    }
    Ok(())
}

/// A name that a node gave, as a path that stays inside: the mesh is not to be trusted with our file system.
fn inside(name: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(name);
    match !name.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(path.to_path_buf()),
        false => Err(Failure::Stream(io::Error::other(format!("a node named an output file {name:?}")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::count::CountInfo;

    #[test]
    fn a_name_from_a_node_stays_inside() {
        assert!(inside("a/b").is_ok());
        for bad in ["", "/etc/passwd", "../x", "a/../../x"] {
            assert!(inside(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_failure_never_looks_like_success() {
        let result = |state: &str, exit_code, signal| TaskResult {
            state: state.into(),
            exit_code,
            signal,
            ..TaskResult::default()
        };
        assert_eq!(exit_code(&result("done", Some(0), None)), 0);
        let counted = |verified| {
            let count =
                Some(CountInfo { verified, why: (!verified).then(|| "a reason".into()), ..CountInfo::default() });
            TaskResult { count, ..result("done", Some(0), None) }
        };
        assert_eq!((exit_code(&counted(true)), complaint(&counted(true))), (0, None));
        assert_eq!(exit_code(&counted(false)), FAILED);
        assert!(complaint(&counted(false)).unwrap().contains("a reason"));
        assert_eq!(exit_code(&result("failed", Some(3), None)), 3);
        assert_eq!(exit_code(&result("failed", Some(256), None)), FAILED);
        assert_eq!(exit_code(&result("failed", None, Some(9))), 137);
        assert_eq!(exit_code(&result("cancelled", None, None)), FAILED);
        assert_eq!(exit_code(&result("deadline_passed", None, None)), DEADLINE);
    }

    #[test]
    fn names_are_escaped_into_one_part_of_a_path() {
        assert_eq!(escape("a b/c?%"), "a%20b%2Fc%3F%25");
    }
}
