//! The files that the rules look at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Directories that hold nothing of ours, wherever they are.
const SKIPPED: [&str; 5] = [".git", "target", ".idea", ".vscode", "node_modules"];

/// Paths from the root, with `/`, and what stands in them.
pub struct Tree {
    pub root: PathBuf,
    pub files: BTreeMap<String, String>,
}

impl Tree {
    pub fn of_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in a directory of the root");
        Self::read(root)
    }

    pub fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut directories = vec![root.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(&directory).expect("a directory that can be listed") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                if SKIPPED.contains(&name.as_str()) {
                    continue;
                }
                if path.is_dir() {
                    directories.push(path);
                } else {
                    let relative = path.strip_prefix(root).expect("a path below the root");
                    let bytes = std::fs::read(&path).unwrap_or_default();
                    files.insert(
                        relative.to_string_lossy().replace('\\', "/"),
                        String::from_utf8_lossy(&bytes).into_owned(),
                    );
                }
            }
        }
        Self { root: root.to_owned(), files }
    }

    /// A tree that is on no disk.
    pub fn sample(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        Self { root: PathBuf::from("/nowhere/at/all"), files }
    }

    /// Our Rust sources.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter(|(path, _)| path.ends_with(".rs")).map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub fn text(&self, path: &str) -> &str {
        self.files.get(path).map_or("", String::as_str)
    }
}

/// The lines of a source with their numbers, from 1, without those that are comments.
pub fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line.trim())).filter(|(_, line)| !line.starts_with("//"))
}

#[test]
fn a_tree_is_read_from_disk_without_what_is_not_ours() {
    let dir = tempfile::tempdir().expect("a directory");
    for path in ["a.rs", "deep/er/b.rs", "target/c.rs", "deep/target/d.rs", ".git/e.rs"] {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, "x").expect("written");
    }
    let tree = Tree::read(dir.path());
    assert_eq!(tree.files.keys().collect::<Vec<_>>(), ["a.rs", "deep/er/b.rs"]);
    assert_eq!(Tree::of_repository().sources().filter(|(path, _)| *path == "node/src/main.rs").count(), 1);
}
