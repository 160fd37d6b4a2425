//! `COMMAND… ::: FILE…`, `COMMAND… :::: LIST`, or the list on standard input.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};

use crate::cli::Failure;

/// What stands for the input in a command.
pub(super) const HOLE: &str = "{}";

/// What follows `--`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) command: Vec<String>,
    pub(super) inputs: Inputs,
}

/// Where the inputs are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inputs {
    /// After `:::`.
    Here(Vec<PathBuf>),
    /// In these files, one a line, after `::::`; `-` is standard input.
    Lists(Vec<PathBuf>),
}

impl Words {
    pub(super) fn parse(words: &[String]) -> Result<Self, Failure> {
        let marks: Vec<usize> = (0..words.len()).filter(|at| matches!(words[*at].as_str(), ":::" | "::::")).collect();
        let (command, inputs) = match marks[..] {
            [] => (words, Inputs::Lists(vec!["-".into()])),
            [mark] => {
                let named: Vec<PathBuf> = words[mark + 1..].iter().map(PathBuf::from).collect();
                if named.is_empty() {
                    return Err(Failure::Usage(format!("nothing follows `{}`: name the inputs", words[mark])));
                }
                let inputs = if words[mark] == ":::" { Inputs::Here(named) } else { Inputs::Lists(named) };
                (&words[..mark], inputs)
            }
            _ => return Err(Failure::Usage("`:::` or `::::` once, then the inputs".to_string())),
        };
        Ok(Self { command: command.to_vec(), inputs })
    }
}

impl Inputs {
    /// The inputs' paths, as they were given.
    pub(super) fn read(self) -> Result<Vec<PathBuf>, Failure> {
        match self {
            Self::Here(paths) => Ok(paths),
            Self::Lists(lists) => {
                let mut paths = Vec::new();
                for list in lists {
                    read_list(&list, &mut paths)?;
                }
                Ok(paths)
            }
        }
    }
}

fn read_list(list: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error| Failure::Usage(format!("cannot read the list {}: {error}", list.display()));
    let reader: Box<dyn std::io::BufRead> = match list.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(std::io::BufReader::new(std::fs::File::open(list).map_err(unreadable)?)),
    };
    for line in reader.lines() {
        let line = line.map_err(unreadable)?;
        if !line.is_empty() {
            paths.push(line.into());
        }
    }
    Ok(())
}

/// The command with `name` in the place of every hole; behind it where there is none and `append` says so.
pub(super) fn fill(command: &[String], name: &str, append: bool) -> Vec<String> {
    let mut argv: Vec<String> = command.iter().map(|word| word.replace(HOLE, name)).collect();
    if append && !command.iter().any(|word| word.contains(HOLE)) {
        argv.push(name.to_string());
    }
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Words, Failure> {
        Words::parse(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn the_mark_tells_command_from_inputs() {
        let words = parse(&["sha256sum", "{}", ":::", "a", "b c"]).unwrap();
        assert_eq!(words.command, ["sha256sum", "{}"]);
        assert_eq!(words.inputs, Inputs::Here(vec!["a".into(), "b c".into()]));
        let words = parse(&[":::", "a"]).unwrap();
        assert!(words.command.is_empty());
        assert_eq!(parse(&["x", "::::", "list"]).unwrap().inputs, Inputs::Lists(vec!["list".into()]));
        assert_eq!(parse(&["x"]).unwrap().inputs, Inputs::Lists(vec!["-".into()]));
        assert!(parse(&["x", ":::"]).is_err());
        assert!(parse(&["x", ":::", "a", ":::", "b"]).is_err());
    }

    #[test]
    fn a_list_is_one_path_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list");
        std::fs::write(&list, "a\n\nb c\nd").unwrap();
        let paths = Inputs::Lists(vec![list]).read().unwrap();
        assert_eq!(paths, [PathBuf::from("a"), "b c".into(), "d".into()]);
    }

    #[test]
    fn every_hole_is_filled() {
        let command = ["cp", "{}", "{}.bak"].map(str::to_string);
        assert_eq!(fill(&command, "x", true), ["cp", "x", "x.bak"]);
        assert_eq!(fill(&["wc".to_string()], "x", true), ["wc", "x"]);
        assert_eq!(fill(&["wc".to_string()], "x", false), ["wc"]);
    }
}
