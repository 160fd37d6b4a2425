use crate::api::{Code, Problem};
use axum::body::BodyDataStream;
use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt};

/// Longest line of a job: the largest task with its payload in base64 and its text escaped.
pub const LINE_LIMIT: usize = 1024 * 1024;

/// The lines of a body. Holds one line and one chunk at most.
pub struct Lines {
    body: BodyDataStream,
    limit: usize,
    buffer: BytesMut,
    /// Bytes of the buffer known to hold no line's end.
    scanned: usize,
    ended: bool,
}

impl Lines {
    /// Lines longer than `limit` bytes are refused.
    pub fn new(body: BodyDataStream, limit: usize) -> Self {
        Self { body, limit, buffer: BytesMut::new(), scanned: 0, ended: false }
    }

    /// The next line that is not empty, without its end; `None` behind the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(line) = self.buffered()? {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            let chunk = self.body.next().await;
            self.take(chunk)?;
        }
    }

    /// The next line if it is here already; `None` if it would have to be waited for, or there is none.
    pub fn next_now(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(line) = self.buffered()? {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            match self.body.next().now_or_never() {
                Some(chunk) => self.take(chunk)?,
                None => return Ok(None),
            }
        }
    }

    fn take(&mut self, chunk: Option<Result<Bytes, axum::Error>>) -> Result<(), Problem> {
        match chunk {
            Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
            Some(Err(error)) => {
                return Err(Problem::malformed(format_args!("the stream broke: {error}")));
            }
            None => self.ended = true,
        }
        Ok(())
    }

    fn buffered(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let end = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n').map(|at| at + self.scanned);
            let line = match end {
                Some(end) => self.buffer.split_to(end + 1).freeze().slice(..end),
                None if self.ended && !self.buffer.is_empty() => self.buffer.split().freeze(),
                None => {
                    self.scanned = self.buffer.len();
                    return match self.scanned <= self.limit {
                        true => Ok(None),
                        false => Err(too_long(self.limit)),
                    };
                }
            };
            self.scanned = 0;
            if line.len() > self.limit {
                return Err(too_long(self.limit));
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(line));
            }
        }
    }
}

fn too_long(limit: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("a line of more than {limit} bytes: put large inputs as blobs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use proptest::prelude::*;

    fn lines(chunks: Vec<Vec<u8>>) -> Lines {
        let chunks = futures::stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
        Lines::new(Body::from_stream(chunks).into_data_stream(), LINE_LIMIT)
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut(
            text in "[a-c\n]{0,60}", cuts in proptest::collection::vec(0usize..60, 0..6)
        ) {
            let mut chunks = Vec::new();
            let mut rest = text.as_bytes().to_vec();
            for cut in cuts {
                let tail = rest.split_off(cut.min(rest.len()));
                chunks.push(std::mem::replace(&mut rest, tail));
            }
            chunks.push(rest);
            let mut lines = lines(chunks);
            let mut found = Vec::new();
            while let Some(line) = futures::executor::block_on(lines.next()).unwrap() {
                found.push(String::from_utf8(line.to_vec()).unwrap());
            }
            let expected: Vec<String> = text.split('\n').filter(|line| !line.is_empty()).map(str::to_string).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let mut lines = lines(vec![vec![b'x'; 700_000]; 3]);
        let problem = futures::executor::block_on(lines.next()).unwrap_err();
        assert_eq!(problem.code, Code::TooLarge);
    }
}
