//! What happened, as a number that tells two runs apart, and as text when somebody wants to read it.

use std::fmt;

/// Who reads the text, a line at a time.
pub type Reader = Box<dyn FnMut(&str) + Send>;

/// Takes in every event of a world.
pub struct Trace {
    hash: u64,
    events: u64,
    text: Option<Reader>,
}

impl Trace {
    pub fn new(text: Option<Reader>) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, events: 0, text }
    }

    /// Mixes one number in. Not cryptographic: two runs that differ shall differ here, that is all.
    pub fn mix(&mut self, value: u64) {
        let mixed = (self.hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = mixed ^ (mixed >> 29);
    }

    /// One event, by what it is and where; `line` is only made if somebody reads.
    pub fn event(&mut self, at: u64, kind: u64, node: u64, line: impl FnOnce() -> String) {
        self.events += 1;
        self.mix(at);
        self.mix(kind << 8 | node);
        self.say(at, node as usize, line);
    }

    /// One event more.
    pub fn count(&mut self) {
        self.events += 1;
    }

    /// Text that goes with an event and is not part of the hash.
    pub fn say(&mut self, at: u64, node: usize, line: impl FnOnce() -> String) {
        if let Some(text) = &mut self.text {
            text(&format!("{:>12.6} {:>3} {}", at as f64 / 1e6, NodeName(node), line()));
        }
    }

    pub fn reads(&self) -> bool {
        self.text.is_some()
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn events(&self) -> u64 {
        self.events
    }
}

/// `n3`, or `-` for what belongs to no node.
struct NodeName(usize);

/// The node of an event that belongs to none.
pub const NOBODY: u64 = 255;

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 as u64 {
            NOBODY => f.pad("-"),
            node => f.pad(&format!("n{node}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn order_and_content_change_the_hash_and_text_does_not() {
        let run = |events: &[(u64, u64)], text| {
            let mut trace = Trace::new(text);
            for (kind, node) in events {
                trace.event(9, *kind, *node, || "something".into());
            }
            trace.hash()
        };
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let read = run(&[(1, 2), (3, 4)], Some(Box::new(move |line| sink.lock().unwrap().push(line.to_owned()))));
        assert_eq!(read, run(&[(1, 2), (3, 4)], None));
        assert_ne!(read, run(&[(3, 4), (1, 2)], None));
        assert_eq!(lines.lock().unwrap()[0], "    0.000009  n2 something");
    }
}
