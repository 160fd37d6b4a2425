use super::{ClientError, lines};
use crate::api::jobs::Lines;
use hyper::{Response, body::Incoming};

/// A server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub id: Option<String>,
    pub data: String,
}

/// Server-sent events as a meshd sends them: one line of data each, and it comes last.
pub struct Events {
    lines: Lines,
    next: Event,
}

impl Events {
    pub fn new(response: Response<Incoming>) -> Self {
        Self { lines: lines(response), next: Event::default() }
    }

    /// `None` when the node closed the stream.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        while let Some(line) = self.lines.next().await.map_err(|problem| ClientError::Broken(problem.detail))? {
            let line = String::from_utf8_lossy(&line);
            // Lines that begin with a colon keep the connection alive.
            let Some((field, value)) = line.split_once(':') else { continue };
            let value = value.strip_prefix(' ').unwrap_or(value).to_string();
            match field {
                "event" => self.next.name = value,
                "id" => self.next.id = Some(value),
                "data" => return Ok(Some(Event { data: value, ..std::mem::take(&mut self.next) })),
                _ => {}
            }
        }
        Ok(None)
    }
}
