//! `--out-dir`: a result is a directory of it, which is there as a whole or not at all, whenever this process dies.
//!
//! Over a loss of power that holds from [`OutDir::settle`] on, that is once the verb has ended well. *Rejected:* to sync
//! each file before its result is laid down. Three files a result are a thousand commits of a journal that the nodes of
//! this machine wait for too, and all that they would save is a repeat of the command, which lays every result anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Failure;
use super::durable::sync_file_system;
use super::results::{self, Part};
use crate::api::result::TaskResult;
use crate::client::Client;

/// What every result has: by these it is known as one.
const MARKS: [&str; 3] = ["stdout", "stderr", "exit_code"];
/// How the directories begin in which results are put together.
const PARTIAL: &str = ".partial";

/// A directory that takes the results of a job.
#[derive(Debug)]
pub(super) struct OutDir {
    dir: PathBuf,
    /// Where results are put together: of this process alone, as others may lay theirs into the same directory.
    partial: PathBuf,
}

impl OutDir {
    /// Makes the directory, and sees before anything runs that `names` can be laid into it: what is in the way there and
    /// is no result of ours is refused, and so is what holds one of `inputs`.
    pub(super) fn open(dir: &Path, names: &[PathBuf], inputs: &[PathBuf]) -> Result<Self, Failure> {
        check(dir, names, inputs)?;
        let mark = format!("{PARTIAL}-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let partial = dir.join(mark);
        std::fs::create_dir_all(&partial).map_err(|error| {
            Failure::Usage(format!("cannot lay results into {}: {error}; nothing was submitted", dir.display()))
        })?;
        Ok(Self { dir: dir.to_owned(), partial })
    }

    /// Lays a result into `name`: `stdout`, `stderr`, `exit_code` and the named files.
    pub(super) async fn take(&self, client: &Client, name: &Path, result: &TaskResult) -> Result<(), Failure> {
        let partial = self.partial.join(&result.task);
        std::fs::create_dir_all(&partial).map_err(Failure::file("make", &partial))?;
        results::save(client, result, Part::Stdout, &partial.join("stdout")).await?;
        results::save(client, result, Part::Stderr, &partial.join("stderr")).await?;
        results::save_files(client, &partial, result).await?;
        let code = partial.join("exit_code");
        std::fs::write(&code, format!("{}\n", results::exit_text(result))).map_err(Failure::file("write", &code))?;
        let target = self.dir.join(name);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(Failure::file("make", parent))?;
        }
        // The result of an earlier run of the same command; what else has come here meanwhile stays.
        if is_result(&target) {
            std::fs::remove_dir_all(&target).map_err(Failure::file("replace", &target))?;
        }
        std::fs::rename(&partial, &target).map_err(Failure::file("lay a result into", &target))
    }

    /// All results that were laid down are on the disk.
    pub(super) async fn settle(&self) -> Result<(), Failure> {
        // This process's own, which it may read for sure.
        let partial = self.partial.clone();
        let synced = tokio::task::spawn_blocking(move || sync_file_system(&partial)).await;
        synced.map_err(std::io::Error::other).and_then(|synced| synced).map_err(Failure::file("sync", &self.dir))
    }
}

impl Drop for OutDir {
    fn drop(&mut self) {
        match std::fs::remove_dir_all(&self.partial) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                eprintln!("meshd: cannot remove {}: {error}", self.partial.display());
            }
            Ok(()) | Err(_) => {}
        }
    }
}

fn check(dir: &Path, names: &[PathBuf], inputs: &[PathBuf]) -> Result<(), Failure> {
    let refuse = |target: &Path, why: &str| {
        let target = target.display();
        Err(Failure::Usage(format!("{target} is in the way of a result: {why}; nothing was submitted")))
    };
    // Looked up where there is an earlier result at all: mostly there is none.
    let mut real_inputs: Option<BTreeSet<PathBuf>> = None;
    for name in names {
        for above in name.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            let above = dir.join(above);
            if above.symlink_metadata().is_ok() && !above.is_dir() {
                return refuse(&above, "it is no directory");
            }
        }
        let target = dir.join(name);
        if target.symlink_metadata().is_err() {
            continue;
        }
        if !is_result(&target) {
            return refuse(&target, "it is not of an earlier run, and would be replaced");
        }
        let Ok(real) = target.canonicalize() else { continue };
        let real_inputs =
            real_inputs.get_or_insert_with(|| inputs.iter().filter_map(|input| input.canonicalize().ok()).collect());
        if real_inputs.range(real.clone()..).next().is_some_and(|input| input.starts_with(&real)) {
            return refuse(&target, "an input is in it");
        }
    }
    Ok(())
}

/// Whether a result was laid here: nothing else is ever removed.
fn is_result(path: &Path) -> bool {
    let is_plain = |path: &Path| path.symlink_metadata().is_ok_and(|data| data.is_file());
    path.symlink_metadata().is_ok_and(|data| data.is_dir()) && MARKS.iter().all(|mark| is_plain(&path.join(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(task: &str) -> TaskResult {
        TaskResult { task: task.into(), state: "done".into(), exit_code: Some(0), ..TaskResult::default() }
    }

    fn client() -> Client {
        Client::new(vec!["http://127.0.0.1:1".into()], String::new())
    }

    fn entries(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn an_earlier_result_is_replaced_and_nothing_else_is() {
        let here = tempfile::tempdir().unwrap();
        let names = ["a".into(), "b/c".into()];
        for task in ["1", "2"] {
            let out = OutDir::open(here.path(), &names, &[]).unwrap();
            for name in &names {
                out.take(&client(), name, &result(task)).await.unwrap();
            }
            out.settle().await.unwrap();
        }
        assert_eq!(entries(here.path()), ["a", "b"]);
        assert_eq!(entries(&here.path().join("b/c")), ["exit_code", "stderr", "stdout"]);

        let out = OutDir::open(here.path(), &[], &[]).unwrap();
        for (name, file) in [("dir", "mine"), ("other", "exit_code")] {
            std::fs::create_dir(here.path().join(name)).unwrap();
            std::fs::write(here.path().join(name).join(file), "precious").unwrap();
            assert!(OutDir::open(here.path(), &[name.into()], &[]).unwrap_err().to_string().contains("in the way"));
            // Nor if it came while the job ran.
            assert!(out.take(&client(), Path::new(name), &result("3")).await.is_err());
            assert_eq!(std::fs::read_to_string(here.path().join(name).join(file)).unwrap(), "precious");
        }
        std::fs::write(here.path().join("file"), "precious").unwrap();
        std::os::unix::fs::symlink("a", here.path().join("link")).unwrap();
        for name in ["file", "file/below", "link"] {
            let error = OutDir::open(here.path(), &[name.into()], &[]).unwrap_err().to_string();
            assert!(error.contains("in the way") && error.contains("nothing was submitted"), "{name}: {error}");
        }
    }

    #[tokio::test]
    async fn a_result_that_is_an_input_stays() {
        let here = tempfile::tempdir().unwrap();
        let out = OutDir::open(here.path(), &[], &[]).unwrap();
        out.take(&client(), Path::new("a"), &result("1")).await.unwrap();
        std::fs::create_dir(here.path().join("b")).unwrap();
        let name = || ["a".into()];
        let input = |path: &str| [here.path().join(path)];
        for inputs in [input("a"), input("b/../a"), input("a/stdout")] {
            assert!(OutDir::open(here.path(), &name(), &inputs).is_err(), "{inputs:?}");
        }
        assert!(OutDir::open(here.path(), &name(), &input("b")).is_ok());
    }

    #[tokio::test]
    async fn two_jobs_lay_their_results_into_one_directory() {
        let here = tempfile::tempdir().unwrap();
        let one = OutDir::open(here.path(), &[], &[]).unwrap();
        let other = OutDir::open(here.path(), &[], &[]).unwrap();
        one.take(&client(), Path::new("a"), &result("1")).await.unwrap();
        drop(one);
        other.take(&client(), Path::new("b"), &result("2")).await.unwrap();
        drop(other);
        assert_eq!(entries(here.path()), ["a", "b"]);
    }

    #[test]
    fn what_cannot_be_written_is_found_before_anything_runs() {
        let here = tempfile::tempdir().unwrap();
        std::fs::write(here.path().join("file"), "").unwrap();
        let error = OutDir::open(&here.path().join("file/out"), &["a".into()], &[]).unwrap_err().to_string();
        assert!(error.contains("file/out") && error.contains("nothing was submitted"), "{error}");
    }
}
