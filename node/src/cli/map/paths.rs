//! The name of an input inside its task and below `--out-dir`: the given path without what leads outside.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::cli::Failure;

/// `data/a.txt` stays so, `/data/a.txt` and `../data/a.txt` become `data/a.txt`: what the program prints of a relative
/// path is what it would print here.
pub(super) fn inside(path: &Path) -> Result<String, Failure> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str().ok_or_else(|| {
                Failure::Usage(format!("{} is not UTF-8: rename it, or feed it by --stdin from a link", path.display()))
            })?),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {}
        }
    }
    match parts.is_empty() {
        true => Err(Failure::Usage(format!("`{}` names no file", path.display()))),
        false => Ok(parts.join("/")),
    }
}

/// The names of all inputs. Refuses two that would be laid over one another, before anything is submitted.
pub(super) fn names(paths: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let names: Vec<String> = paths.iter().map(|path| inside(path)).collect::<Result<_, _>>()?;
    let mut taken: BTreeMap<&str, &Path> = BTreeMap::new();
    for (name, path) in names.iter().zip(paths) {
        if let Some(other) = taken.insert(name, path) {
            return Err(collision(other, path, name));
        }
    }
    // A result is a directory: an input `a` leaves `a/stdout`, so that there must be no input below `a`.
    for (name, path) in &taken {
        let above = name.match_indices('/').find_map(|(at, _)| taken.get(&name[..at]));
        if let Some(other) = above {
            return Err(collision(other, path, name));
        }
    }
    Ok(names)
}

fn collision(one: &Path, other: &Path, name: &str) -> Failure {
    Failure::Usage(format!(
        "the results of {} and {} would both go to {name}: submit them as two jobs",
        one.display(),
        other.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(paths: &[&str]) -> Result<Vec<String>, Failure> {
        names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_plain_path_stays_as_it_is() {
        assert_eq!(named(&["data/a.txt", "b"]).unwrap(), ["data/a.txt", "b"]);
        assert_eq!(named(&["/x/../a", "./b/./c", "../../d"]).unwrap(), ["x/a", "b/c", "d"]);
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

    proptest! {
        #[test]
        fn no_name_leads_outside_and_the_tail_is_kept(path in "[a-c./]{1,20}") {
            if let Ok(name) = inside(Path::new(&path)) {
                let parts: Vec<_> = name.split('/').collect();
                prop_assert!(parts.iter().all(|part| !part.is_empty() && *part != "." && *part != ".."));
                // The path's own last name is the name's; a path that ends in `..` has none.
                if let Some(last) = Path::new(&path).file_name() {
                    prop_assert_eq!(parts.last().copied(), last.to_str());
                }
                prop_assert_eq!(inside(Path::new(&name)).unwrap(), name);
            }
        }

        #[test]
        fn accepted_names_are_apart(paths in proptest::collection::vec("[ab]/?[ab]?/?[ab]?", 1..6)) {
            let paths: Vec<PathBuf> = paths.into_iter().map(PathBuf::from).collect();
            if let Ok(names) = names(&paths) {
                for (at, one) in names.iter().enumerate() {
                    for other in names.iter().skip(at + 1) {
                        prop_assert!(!Path::new(one).starts_with(other) && !Path::new(other).starts_with(one));
                    }
                }
            }
        }
    }
}
