//! `COMMAND… ::: FILE…`, `COMMAND… :::: LIST`, or the list on standard input.

use std::ffi::{OsStr, OsString};
use std::io::BufRead as _;
use std::os::unix::ffi::OsStringExt as _;
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
    /// In these files, after `::::`; `-` is standard input.
    Lists(Vec<PathBuf>),
}

impl Words {
    pub(super) fn parse(words: &[OsString]) -> Result<Self, Failure> {
        let is_mark = |word: &OsStr| word == ":::" || word == "::::";
        let marks: Vec<usize> = (0..words.len()).filter(|at| is_mark(&words[*at])).collect();
        let (command, inputs) = match marks[..] {
            [] => (words, Inputs::Lists(vec!["-".into()])),
            [mark] => {
                let named: Vec<PathBuf> = words[mark + 1..].iter().map(PathBuf::from).collect();
                if named.is_empty() {
                    let mark = words[mark].display();
                    return Err(Failure::Usage(format!("nothing follows `{mark}`: name the inputs")));
                }
                let inputs = if words[mark] == ":::" { Inputs::Here(named) } else { Inputs::Lists(named) };
                (&words[..mark], inputs)
            }
            _ => return Err(Failure::Usage("`:::` or `::::` once, then the inputs".to_string())),
        };
        let text = |word: &OsString| {
            let text = word.to_str().map(str::to_owned);
            text.ok_or_else(|| Failure::Usage(format!("`{}` in the command is not UTF-8", word.display())))
        };
        Ok(Self { command: command.iter().map(text).collect::<Result<_, _>>()?, inputs })
    }
}

impl Inputs {
    /// The inputs' paths, as they were given. In a list each ends with `end`.
    pub(super) fn read(self, end: u8) -> Result<Vec<PathBuf>, Failure> {
        match self {
            Self::Here(paths) => Ok(paths),
            Self::Lists(lists) => {
                let mut paths = Vec::new();
                for list in lists {
                    read_list(&list, end, &mut paths)?;
                }
                Ok(paths)
            }
        }
    }
}

fn read_list(list: &Path, end: u8, paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error| Failure::Usage(format!("cannot read the list {}: {error}", list.display()));
    let reader: Box<dyn std::io::BufRead> = match list.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(std::io::BufReader::new(std::fs::File::open(list).map_err(unreadable)?)),
    };
    for line in reader.split(end) {
        let line = line.map_err(unreadable)?;
        if !line.is_empty() {
            paths.push(OsString::from_vec(line).into());
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
        Words::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
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
    fn a_list_is_one_path_a_line_whatever_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list");
        std::fs::write(&list, b"a\n\nb c\nd\xff").unwrap();
        let paths = Inputs::Lists(vec![list.clone()]).read(b'\n').unwrap();
        assert_eq!(paths, [PathBuf::from("a"), "b c".into(), OsString::from_vec(b"d\xff".to_vec()).into()]);
        std::fs::write(&list, b"a\nb\0\0c").unwrap();
        assert_eq!(Inputs::Lists(vec![list]).read(0).unwrap(), [PathBuf::from("a\nb"), "c".into()]);
    }

    #[test]
    fn a_command_is_text() {
        let words = [OsString::from_vec(vec![0xff]), ":::".into(), "a".into()];
        assert!(Words::parse(&words).unwrap_err().to_string().contains("not UTF-8"));
    }

    #[test]
    fn every_hole_is_filled() {
        let command = ["cp", "{}", "{}.bak"].map(str::to_string);
        assert_eq!(fill(&command, "x", true), ["cp", "x", "x.bak"]);
        assert_eq!(fill(&["wc".to_string()], "x", true), ["wc", "x"]);
        assert_eq!(fill(&["wc".to_string()], "x", false), ["wc"]);
    }
}
