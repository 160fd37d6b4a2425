//! What went wrong with the items of a job: why, with the end of what the program wrote of it, and the same only once.

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;

/// Complaints of a job. Bounded, whatever fails: some groups with some examples, and the first for programs.
#[derive(Debug, Default)]
pub(in crate::cli) struct Complaints {
    groups: Vec<Group>,
    told: Vec<Complaint>,
    count: u64,
}

/// What went wrong with one item, for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Complaint {
    index: u64,
    /// Its name, below which its result lies.
    input: String,
    why: String,
}

/// Items that failed alike.
#[derive(Debug)]
struct Group {
    /// The reason and the last line of standard error, without the item's own name.
    alike: (String, String),
    count: u64,
    /// At most [`MOST_NAMED`].
    examples: Vec<Example>,
}

#[derive(Debug)]
struct Example {
    name: String,
    why: String,
    said: Vec<String>,
}

/// Reasons that are told apart.
const MOST_GROUPS: usize = 10;
/// So many items that fail alike are each named; of more one stands for all.
const MOST_NAMED: usize = 2;
/// Items that programs are told of.
const MOST_TOLD: usize = 1_000;
/// Lines of standard error that are shown, and characters of each.
const MOST_LINES: usize = 3;
const MOST_CHARS: usize = 200;

impl Complaints {
    pub(in crate::cli) fn count(&self) -> u64 {
        self.count
    }

    /// The first of them, for programs.
    pub(super) fn told(&self) -> Vec<Complaint> {
        self.told.clone()
    }

    /// Takes one; `said`: the last lines that the program wrote of it.
    pub(super) fn add(&mut self, index: u64, name: &Path, why: String, said: Vec<String>) {
        self.count += 1;
        let alike = (without(name, &why), said.last().map(|line| without(name, line)).unwrap_or_default());
        let name = name.display().to_string();
        if self.told.len() < MOST_TOLD {
            self.told.push(Complaint { index, input: name.clone(), why: why.clone() });
        }
        let at = match self.groups.iter().position(|group| group.alike == alike) {
            Some(at) => at,
            None if self.groups.len() == MOST_GROUPS => return,
            None => {
                self.groups.push(Group { alike, count: 0, examples: Vec::new() });
                self.groups.len() - 1
            }
        };
        let group = &mut self.groups[at];
        group.count += 1;
        if group.examples.len() < MOST_NAMED {
            group.examples.push(Example { name, why, said });
        }
    }

    /// For people.
    pub(in crate::cli) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.groups.iter().flat_map(Group::lines).collect();
        let grouped: u64 = self.groups.iter().map(|group| group.count).sum();
        if self.count > grouped {
            lines.push(format!("and {} more", self.count - grouped));
        }
        lines
    }
}

impl Group {
    fn lines(&self) -> Vec<String> {
        let named: Vec<(String, &Example)> = match self.count > MOST_NAMED as u64 {
            true => {
                let one = self.examples.iter().take(1);
                one.map(|one| (format!("{} items, such as {}", self.count, one.name), one)).collect()
            }
            false => self.examples.iter().map(|one| (one.name.clone(), one)).collect(),
        };
        let lines = named.into_iter().flat_map(|(who, one)| {
            let said = one.said.iter().map(|line| format!("  | {line}"));
            std::iter::once(format!("{who}: {}", one.why)).chain(said)
        });
        lines.collect()
    }
}

/// The last lines of what a program wrote. One that draws progress ends its lines with a carriage return.
pub(super) fn last_lines(written: &[u8]) -> Vec<String> {
    let lines = written.rsplit(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.trim_ascii().is_empty());
    let mut last: Vec<String> = lines.take(MOST_LINES).map(|line| cut(&String::from_utf8_lossy(line))).collect();
    last.reverse();
    last
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// A text in which an item's name does not tell it from what others say: the same command fails on each with its own.
fn without(name: &Path, text: &str) -> String {
    let whole = name.to_string_lossy();
    let last = name.file_name().unwrap_or_default().to_string_lossy();
    let replaced = replace_word(text, &whole);
    // Of a program that says less than it was given, or more: an absolute path.
    if replaced == text { replace_word(text, &last) } else { replaced }
}

/// Only where it stands alone: an `a` in the middle of a word is no name.
fn replace_word(text: &str, word: &str) -> String {
    if word.is_empty() {
        return text.to_owned();
    }
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let is_within = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
        let left = before.chars().next_back().or_else(|| replaced.chars().next_back());
        let is_alone = !is_within(left) && !is_within(after.chars().next());
        replaced.push_str(before);
        replaced.push_str(if is_alone { "{}" } else { word });
        rest = after;
    }
    replaced + rest
}

/// A line for a terminal, which would obey what programs and nodes put into it.
pub(super) fn harmless(line: &str) -> Cow<'_, str> {
    // Those that turn the direction of what is read are no control characters to Unicode.
    let is_harmful = |char: char| {
        char.is_control() && char != '\t' || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !line.contains(is_harmful) {
        return Cow::Borrowed(line);
    }
    let shown = line.chars().map(|char| match is_harmful(char) {
        true => char.escape_default().to_string(),
        false => char.to_string(),
    });
    Cow::Owned(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(of: &[(&str, &str, &str)]) -> Complaints {
        let mut complaints = Complaints::default();
        for (index, (name, why, said)) in (0..).zip(of) {
            complaints.add(index, Path::new(name), (*why).to_owned(), last_lines(said.as_bytes()));
        }
        complaints
    }

    #[test]
    fn a_failure_comes_with_the_end_of_what_the_program_wrote() {
        let wrote = "warning\nTraceback\n  File \"x.py\"\nValueError: no\n\n";
        let complaints = complaints(&[("a", "exit code 1", wrote), ("b", "not_allowed: `rm`", "")]);
        let lines =
            ["a: exit code 1", "  | Traceback", "  |   File \"x.py\"", "  | ValueError: no", "b: not_allowed: `rm`"];
        assert_eq!(complaints.lines(), lines);
    }

    #[test]
    fn what_many_fail_by_is_said_once() {
        let many = [
            ("d/a", "exit code 1", "cat: d/a: No such file\n"),
            ("d/b", "exit code 1", "cat: d/b: No such file\n"),
            ("odd", "exit code 1", "cat: odd: Permission denied\n"),
            ("d/cat", "exit code 1", "cat: d/cat: No such file\n"),
            ("x", "refused: x is too large", ""),
            ("y", "refused: y is too large", ""),
        ];
        let complaints = complaints(&many);
        let lines = [
            "3 items, such as d/a: exit code 1",
            "  | cat: d/a: No such file",
            "odd: exit code 1",
            "  | cat: odd: Permission denied",
            "x: refused: x is too large",
            "y: refused: y is too large",
        ];
        assert_eq!(complaints.lines(), lines);
        let told: Vec<(u64, String)> = complaints.told().into_iter().map(|one| (one.index, one.input)).collect();
        assert_eq!(told, (0..).zip(many).map(|(index, (name, ..))| (index, name.to_owned())).collect::<Vec<_>>());
    }

    #[test]
    fn however_much_fails_little_is_kept() {
        let mut complaints = Complaints::default();
        for index in 0..5_000 {
            let why = format!("reason {}", index % 50);
            complaints.add(index, Path::new("n"), why, last_lines(&[b'x'; 10_000]));
        }
        let lines = complaints.lines();
        assert_eq!((complaints.count(), complaints.told().len(), lines.len()), (5_000, MOST_TOLD, 2 * MOST_GROUPS + 1));
        assert_eq!(lines.last().map(String::as_str), Some("and 4000 more"));
        assert!(lines.iter().all(|line| line.chars().count() < MOST_CHARS + 10));
    }

    #[test]
    fn progress_that_was_drawn_over_itself_is_not_a_line_of_all() {
        assert_eq!(last_lines(b"1%\r2%\r3%\r4%\r\nfailed\r\n"), ["3%", "4%", "failed"]);
        assert_eq!(last_lines(b"not\xfftext"), ["not\u{fffd}text"]);
        assert!(last_lines(b"\n \n").is_empty());
    }

    #[test]
    fn a_terminal_is_given_nothing_to_obey() {
        assert_eq!(harmless("plain\tünï"), "plain\tünï");
        assert_eq!(harmless("\u{1b}]0;x\u{7}\u{9b}2J\u{202e}"), r"\u{1b}]0;x\u{7}\u{9b}2J\u{202e}");
        assert_eq!(harmless("two\nlines"), r"two\nlines");
    }
}
