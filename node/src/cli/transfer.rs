//! How far a file has come, for people who watch.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::io::ReaderStream;

/// A bar on standard error, where that is a terminal; nothing elsewhere.
#[derive(Clone)]
pub(super) struct Transfer {
    bar: ProgressBar,
}

/// Bytes that are read from a file at a time.
const CHUNK: usize = 256 * 1024;
/// What is smaller is through before anybody looks.
const WORTH_WATCHING: u64 = 1 << 20;

impl Transfer {
    /// `total`: bytes, if they are known.
    pub(super) fn new(what: &str, total: Option<u64>) -> Self {
        let is_watched = io::stderr().is_terminal() && total.is_none_or(|total| total >= WORTH_WATCHING);
        let bar = match is_watched {
            true => ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(8)),
            false => ProgressBar::hidden(),
        };
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if let Ok(style) = ProgressStyle::with_template(template(total.is_some(), plain)) {
            bar.set_style(style);
        }
        bar.set_message(what.to_string());
        Self { bar }
    }

    /// Nobody watches.
    pub(super) fn hidden() -> Self {
        Self { bar: ProgressBar::hidden() }
    }

    pub(super) fn moved(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn watch<S, E>(&self, bytes: S) -> impl Stream<Item = Result<Bytes, E>> + use<S, E>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let this = self.clone();
        bytes.inspect(move |piece| {
            if let Ok(piece) = piece {
                this.moved(piece.len());
            }
        })
    }
}

fn template(is_known: bool, plain: bool) -> &'static str {
    match (is_known, plain) {
        (true, true) => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left  {wide_msg}",
        (true, false) => "{bar:30.green} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left  {wide_msg}",
        (false, _) => "{bytes} {bytes_per_sec}  {wide_msg}",
    }
}

/// What is sent of a file, its size where it has one, and what to watch it by.
pub(super) struct Upload {
    pub(super) body: Body,
    pub(super) size: Option<u64>,
    pub(super) transfer: Transfer,
}

impl Upload {
    pub(super) async fn of_file(path: &Path, is_watched: bool) -> io::Result<Self> {
        let file = tokio::fs::File::open(path).await?;
        let metadata = file.metadata().await?;
        // A pipe has no size.
        let size = metadata.is_file().then_some(metadata.len());
        let transfer = match is_watched {
            true => Transfer::new(&path.display().to_string(), size),
            false => Transfer::hidden(),
        };
        Ok(Self::of(file, size, transfer))
    }

    pub(super) fn of_stdin() -> io::Result<Self> {
        Ok(Self::of(stdin()?, None, Transfer::new("-", None)))
    }

    /// Of standard input, of which this has been read already.
    pub(super) fn of_rest(read: Vec<u8>, rest: tokio::fs::File) -> Self {
        Self::of(io::Cursor::new(read).chain(rest), None, Transfer::new("-", None))
    }

    fn of(content: impl AsyncRead + Send + 'static, size: Option<u64>, transfer: Transfer) -> Self {
        let bytes = transfer.watch(ReaderStream::with_capacity(content, CHUNK));
        Self { body: Body::from_stream(bytes), size, transfer }
    }
}

/// Standard input as a file: tokio's own needs a feature that nothing else does.
pub(super) fn stdin() -> io::Result<tokio::fs::File> {
    use std::os::fd::AsFd as _;
    let duplicate = io::stdin().as_fd().try_clone_to_owned()?;
    Ok(tokio::fs::File::from_std(duplicate.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_well_formed() {
        for (is_known, plain) in [(true, true), (true, false), (false, true)] {
            assert!(ProgressStyle::with_template(template(is_known, plain)).is_ok());
        }
    }

    #[tokio::test]
    async fn a_file_is_sent_with_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, vec![7; 600_000]).unwrap();
        let upload = Upload::of_file(&path, true).await.unwrap();
        assert_eq!(upload.size, Some(600_000));
        let sent = axum::body::to_bytes(upload.body, usize::MAX).await.unwrap();
        assert_eq!(sent, vec![7; 600_000]);
        assert!(Upload::of_file(&dir.path().join("none"), true).await.is_err());
    }
}
