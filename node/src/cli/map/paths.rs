//! The name of an input inside its task and below `--out-dir`: the given path without what leads outside.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::cli::Failure;

/// `data/a.txt` stays so, `/data/a.txt` and `../data/a.txt` become `data/a.txt`: what the program prints of a relative
/// path is what it would print here.
pub(super) fn inside(path: &Path) -> Result<PathBuf, Failure> {
    let is_name = |part: &Component<'_>| matches!(part, Component::Normal(_));
    let name: PathBuf = path.components().filter(is_name).collect();
    match name.components().next() {
        None => Err(Failure::Usage(format!("`{}` names no file", path.display()))),
        Some(_) => Ok(name),
    }
}

/// A name as the task has it: there it must be text.
pub(super) fn as_text(name: &Path) -> Result<&str, Failure> {
    name.to_str().ok_or_else(|| {
        Failure::Usage(format!(
            "the name of {} is not UTF-8: rename it, or feed its content by --stdin",
            name.display()
        ))
    })
}

/// What stands for an input in the command: as it was given, if that leads to it in the task's directory too, so that
/// what the program prints is what it would print here. One that looks like a flag is made to look like a path.
pub(super) fn stand_in(path: &Path, name: &str) -> String {
    let leads_there = path.is_relative() && path.components().all(|part| part != Component::ParentDir);
    let text = path.to_str().filter(|_| leads_there).unwrap_or(name);
    match text.starts_with('-') {
        true => format!("./{text}"),
        false => text.to_owned(),
    }
}

/// Refuses inputs that cannot be read, before anything is submitted.
pub(super) fn check_readable(paths: &[PathBuf]) -> Result<(), Failure> {
    for path in paths {
        let checked = std::fs::metadata(path).and_then(|data| match data.is_dir() {
            true => Err(std::io::ErrorKind::IsADirectory.into()),
            false => Ok(rustix::fs::access(path, rustix::fs::Access::READ_OK)?),
        });
        checked.map_err(|error| {
            Failure::Usage(format!("cannot read {}: {error}; nothing was submitted", path.display()))
        })?;
    }
    Ok(())
}

/// The names of all inputs. Refuses two that would be laid over one another, before anything is submitted.
pub(super) fn names(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let names: Vec<PathBuf> = paths.iter().map(|path| inside(path)).collect::<Result<_, _>>()?;
    let mut taken: BTreeMap<&Path, &Path> = BTreeMap::new();
    for (name, path) in names.iter().zip(paths) {
        if let Some(other) = taken.insert(name, path) {
            return Err(collision(other, path, name));
        }
    }
    // A result is a directory: an input `a` leaves `a/stdout`, so that there must be no input below `a`.
    for (name, path) in &taken {
        if let Some(other) = name.ancestors().skip(1).find_map(|above| taken.get(above)) {
            return Err(collision(other, path, name));
        }
    }
    Ok(names)
}

fn collision(one: &Path, other: &Path, name: &Path) -> Failure {
    Failure::Usage(format!(
        "the results of {} and {} would both go to {}: submit them as two jobs",
        one.display(),
        other.display(),
        name.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(paths: &[&str]) -> Result<Vec<PathBuf>, Failure> {
        names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    fn texts(paths: &[&str]) -> Vec<String> {
        named(paths).unwrap().iter().map(|name| name.display().to_string()).collect()
    }

    #[test]
    fn a_plain_path_stays_as_it_is() {
        assert_eq!(texts(&["data/a.txt", "b"]), ["data/a.txt", "b"]);
        assert_eq!(texts(&["/x/../a", "./b/./c", "../../d"]), ["x/a", "b/c", "d"]);
    }

    #[test]
    fn what_would_be_laid_over_one_another_is_refused() {
        for both in [["a", "a"], ["a", "./a"], ["/a", "a"], ["../a", "a"], ["a", "../a/stdout"], ["b/a/c", "/b"]] {
            let error = named(&both).unwrap_err().to_string();
            assert!(error.contains("would both go to"), "{both:?}: {error}");
        }
        for nothing in ["", "/", "..", "."] {
            assert!(named(&[nothing]).is_err(), "{nothing}");
        }
    }

    #[test]
    fn a_command_sees_an_input_as_it_was_given_and_never_as_a_flag() {
        for (given, seen) in [
            ("data/a", "data/a"),
            ("./a", "./a"),
            ("/data/a", "data/a"),
            ("../a", "a"),
            ("-a", "./-a"),
            ("./-a", "./-a"),
            ("/-a", "./-a"),
        ] {
            let name = inside(Path::new(given)).unwrap();
            assert_eq!(stand_in(Path::new(given), as_text(&name).unwrap()), seen, "{given}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, "").unwrap();
        assert!(check_readable(std::slice::from_ref(&file)).is_ok());
        for bad in [dir.path().join("b"), dir.path().to_path_buf()] {
            let error = check_readable(&[file.clone(), bad]).unwrap_err().to_string();
            assert!(error.contains("nothing was submitted"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_name_leads_outside_and_the_tail_is_kept(path in "[a-c./]{1,20}") {
            if let Ok(name) = inside(Path::new(&path)) {
                let text = as_text(&name).unwrap();
                let parts: Vec<_> = text.split('/').collect();
                prop_assert!(parts.iter().all(|part| !part.is_empty() && *part != "." && *part != ".."));
                // The path's own last name is the name's; a path that ends in `..` has none.
                if let Some(last) = Path::new(&path).file_name() {
                    prop_assert_eq!(parts.last().copied(), last.to_str());
                }
                prop_assert_eq!(inside(&name).unwrap(), name.clone());
                // What the command sees leads to the same place in the task's directory.
                prop_assert_eq!(inside(Path::new(&stand_in(Path::new(&path), text))).unwrap(), name);
            }
        }

        #[test]
        fn accepted_names_are_apart(paths in proptest::collection::vec("[ab]/?[ab]?/?[ab]?", 1..6)) {
            let paths: Vec<PathBuf> = paths.into_iter().map(PathBuf::from).collect();
            if let Ok(names) = names(&paths) {
                for (at, one) in names.iter().enumerate() {
                    for other in names.iter().skip(at + 1) {
                        prop_assert!(!one.starts_with(other) && !other.starts_with(one));
                    }
                }
            }
        }
    }
}
