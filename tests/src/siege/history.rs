use super::line::Line;
use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Where a history is kept while it happens.
pub struct History {
    path: PathBuf,
    out: BufWriter<File>,
}

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("cannot {what} {path}: {error}")]
    Io { what: &'static str, path: PathBuf, error: std::io::Error },
    #[error("line {number} of {path} is none of a history: {error}")]
    Line { number: usize, path: PathBuf, error: serde_json::Error },
}

impl History {
    pub fn create(path: &Path) -> Result<Self, HistoryError> {
        let file = File::create(path).map_err(|error| io("make", path, error))?;
        Ok(Self { path: path.to_owned(), out: BufWriter::new(file) })
    }

    pub fn write(&mut self, line: &Line) -> Result<(), HistoryError> {
        let written = serde_json::to_writer(&mut self.out, line).map_err(std::io::Error::from);
        written.and_then(|()| self.out.write_all(b"\n")).map_err(|error| io("write", &self.path, error))
    }

    /// All of it is in the file.
    pub fn flush(&mut self) -> Result<(), HistoryError> {
        self.out.flush().map_err(|error| io("write", &self.path, error))
    }
}

/// Each line of a history that was kept.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Line, HistoryError>>, HistoryError> {
    let file = File::open(path).map_err(|error| io("read", path, error))?;
    let path = path.to_owned();
    let lines = BufReader::new(file).lines().zip(1..);
    Ok(lines.map(move |(line, number)| {
        let line = line.map_err(|error| io("read", &path, error))?;
        serde_json::from_str(&line).map_err(|error| HistoryError::Line { number, path: path.clone(), error })
    }))
}

fn io(what: &'static str, path: &Path, error: std::io::Error) -> HistoryError {
    HistoryError::Io { what, path: path.to_owned(), error }
}
