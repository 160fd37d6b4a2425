//! The file of a flow: tasks by their names, and what each takes of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::api::terms::{Isolated, Terms, Urgency, Way};
use crate::cli::Failure;
use crate::config::Span;

/// Tasks that start after one another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flow {
    pub(super) name: Option<String>,
    #[serde(default, rename = "task")]
    pub(super) tasks: BTreeMap<String, Task>,
}

/// One of them. One of `exec`, `wasm`, `worker`, `echo`, `sleep` and `sha256`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Task {
    pub(super) exec: Option<Vec<String>>,
    pub(super) wasm: Option<PathBuf>,
    /// The kind of the attached program that it is for.
    pub(super) worker: Option<String>,
    /// Of the WebAssembly program, or for the worker.
    pub(super) args: Vec<String>,
    pub(super) deterministic: bool,
    pub(super) echo: Option<String>,
    pub(super) sleep: Option<Span>,
    /// Of what is this.
    pub(super) sha256: Option<Source>,
    pub(super) stdin: Option<Source>,
    pub(super) files: BTreeMap<String, Source>,
    pub(super) out: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) after: Vec<String>,
    pub(super) retries: Option<u8>,
    pub(super) time_limit: Option<Span>,
    pub(super) unique: Option<bool>,
    pub(super) require: Option<String>,
    pub(super) redundancy: Option<u8>,
    pub(super) strategy: Option<Way>,
    pub(super) on_isolation: Option<Isolated>,
    pub(super) priority: Option<Urgency>,
}

/// Where an input comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Source {
    /// A file here, named from the directory of the flow's file.
    File(PathBuf),
    Text(Text),
    Result(Output),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    pub(super) text: String,
}

/// What another task of the flow writes to standard output, or a file that it keeps.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    pub(super) task: String,
    #[serde(default)]
    pub(super) file: Option<String>,
}

impl Flow {
    /// As JSON where the name ends so, else as TOML.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let unreadable = |error| Failure::Usage(format!("cannot read {shown}: {error}"));
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > LONGEST {
            return Err(Failure::Usage(format!(
                "{shown} has more than {} MiB: make several flows of it",
                LONGEST >> 20
            )));
        }
        let flow = match path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
            true => serde_json::from_str(&text).map_err(|error| error.to_string()),
            false => toml::from_str(&text).map_err(|error| error.to_string()),
        };
        let flow: Self = flow.map_err(|error| Failure::Usage(format!("{shown}: {}", error.trim_end())))?;
        flow.check().map_err(|why| Failure::Usage(format!("{shown}: {why}")))?;
        Ok(flow)
    }

    fn check(&self) -> Result<(), String> {
        if self.tasks.is_empty() {
            return Err("no task: each is a table, like [task.count]".into());
        }
        for (name, task) in &self.tasks {
            let mut parts = Path::new(name).components();
            let is_plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
            if !is_plain || name.ends_with('/') || name.len() > LONGEST_NAME {
                return Err(format!(
                    "task `{name}`: its results go into a directory of its name, so it is to be a plain one"
                ));
            }
            task.check().map_err(|why| format!("task `{name}`: {why}"))?;
            if let Some(other) = task.others().find(|other| !self.tasks.contains_key(*other)) {
                return Err(format!("task `{name}` is to start after `{other}`, which is not there"));
            }
        }
        Ok(())
    }

    /// The names of all tasks, each behind those that it is to start after.
    pub(super) fn in_order(&self) -> Result<Vec<&str>, Failure> {
        let mut open: BTreeMap<&str, BTreeSet<&str>> =
            self.tasks.iter().map(|(name, task)| (name.as_str(), task.others().collect())).collect();
        let mut later: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, others) in &open {
            others.iter().for_each(|other| later.entry(*other).or_default().push(*name));
        }
        // A. B. Kahn, Topological sorting of large networks, 1962: a file may have a hundred thousand.
        let mut ready: BTreeSet<&str> =
            open.iter().filter(|(_, others)| others.is_empty()).map(|(name, _)| *name).collect();
        let mut order: Vec<&str> = Vec::with_capacity(open.len());
        while let Some(next) = ready.pop_first() {
            open.remove(next);
            order.push(next);
            for name in later.remove(next).unwrap_or_default() {
                let Some(others) = open.get_mut(name) else { continue };
                others.remove(next);
                if others.is_empty() {
                    ready.insert(name);
                }
            }
        }
        match open.is_empty() {
            true => Ok(order),
            false => {
                let names: Vec<&str> = open.keys().copied().collect();
                let why = format!("these start after one another in a circle, or after such: {}", names.join(", "));
                Err(Failure::Usage(why))
            }
        }
    }
}

/// Bytes of a flow's file: its tasks become lines of one request.
const LONGEST: u64 = 16 << 20;

/// Bytes of a task's name.
const LONGEST_NAME: usize = 128;

impl Task {
    fn check(&self) -> Result<(), &'static str> {
        let programs = [
            self.exec.is_some(),
            self.wasm.is_some(),
            self.worker.is_some(),
            self.echo.is_some(),
            self.sleep.is_some(),
            self.sha256.is_some(),
        ];
        let is_own = self.exec.is_some() || self.wasm.is_some() || self.worker.is_some();
        match () {
            () if programs.iter().filter(|given| **given).count() != 1 => {
                Err("what it runs is one of exec, wasm, worker, echo, sleep and sha256")
            }
            () if self.wasm.is_none() && self.worker.is_none() && !self.args.is_empty() => {
                Err("args are for wasm and worker; those of exec stand behind the command")
            }
            () if self.wasm.is_none() && self.deterministic => Err("deterministic is for wasm"),
            () if !is_own && (self.stdin.is_some() || !self.files.is_empty()) => {
                Err("stdin and files are for exec, wasm and worker")
            }
            () if !is_own && !self.out.is_empty() => Err("out is for exec, wasm and worker"),
            () if self.exec.is_none() && self.wasm.is_none() && !self.env.is_empty() => Err("env is for exec and wasm"),
            () if self.out.iter().any(|out| ["stdout", "stderr", "exit_code"].contains(&out.as_str())) => {
                Err("out names a file that every result has already: stdout, stderr or exit_code")
            }
            () => Ok(()),
        }
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        self.stdin.iter().chain(&self.sha256).chain(self.files.values())
    }

    /// The tasks that it is to start after.
    pub(super) fn others(&self) -> impl Iterator<Item = &str> {
        self.after.iter().map(String::as_str).chain(self.taken())
    }

    /// Those of which it takes something.
    pub(super) fn taken(&self) -> impl Iterator<Item = &str> {
        self.sources().filter_map(|source| match source {
            Source::Result(output) => Some(output.task.as_str()),
            Source::File(_) | Source::Text(_) => None,
        })
    }

    /// Its own, with those of all where it says nothing; `None` where it says nothing at all.
    pub(super) fn terms(&self, all: &Terms) -> Option<Terms> {
        let Self { retries, time_limit, unique, require, redundancy, strategy, on_isolation, priority, .. } = self;
        let says = retries.is_some() || time_limit.is_some() || unique.is_some() || redundancy.is_some();
        let says_where = require.is_some() || strategy.is_some() || on_isolation.is_some();
        if !says && !says_where && priority.is_none() {
            return None;
        }
        let limit = time_limit.map(|span| u64::try_from(span.get().as_millis()).unwrap_or(u64::MAX));
        Some(Terms {
            retries: retries.unwrap_or(all.retries),
            time_limit_ms: limit.or(all.time_limit_ms),
            unique: unique.unwrap_or(all.unique),
            require: require.clone().or_else(|| all.require.clone()),
            redundancy: redundancy.or(all.redundancy),
            strategy: strategy.unwrap_or(all.strategy),
            on_isolation: on_isolation.unwrap_or(all.on_isolation),
            priority: priority.unwrap_or(all.priority),
            ..all.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Flow, String> {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join(name);
        std::fs::write(&path, text).unwrap();
        Flow::read(&path).map_err(|failure| failure.to_string())
    }

    #[test]
    fn tasks_come_behind_those_that_they_start_after() {
        let text = r#"
            name = "report"
            [task.a]
            exec = ["cat", "x"]
            files = { x = { task = "c", file = "out" }, y = "here", z = { text = "t" } }
            [task.b]
            sleep = "5s"
            after = ["a"]
            [task.c]
            sha256 = { task = "d" }
            [task.d]
            echo = "hello"
        "#;
        let flow = read("a.toml", text).unwrap();
        assert_eq!((flow.name.as_deref(), flow.in_order().unwrap()), (Some("report"), vec!["d", "c", "a", "b"]));
        assert!(flow.tasks["a"].taken().eq(["c"]) && flow.tasks["b"].taken().next().is_none());
        let worker = "[task.a]\nworker = \"words\"\nargs = [\"--fast\"]\nstdin = \"f\"\nout = [\"o\"]";
        assert_eq!(read("w.toml", worker).unwrap().tasks["a"].worker.as_deref(), Some("words"));
        let json = r#"{"task": {"a": {"echo": "x"}, "b": {"exec": ["cat"], "stdin": {"task": "a"}, "retries": 2}}}"#;
        let flow = read("a.json", json).unwrap();
        assert_eq!(flow.in_order().unwrap(), ["a", "b"]);
        let terms = Terms { time_limit_ms: Some(7), ..Terms::default() };
        assert_eq!(flow.tasks["a"].terms(&terms), None);
        assert_eq!(flow.tasks["b"].terms(&terms), Some(Terms { retries: 2, ..terms }));
    }

    /// Whose names are in the other order, so that each look for one that may go would go to the end.
    #[test]
    fn a_flow_of_very_many_tasks_is_put_in_order() {
        let count = 20_000;
        let name = |n: usize| format!("{:05}", count - n);
        let after = |n: usize| if n == 0 { Vec::new() } else { vec![name(n - 1)] };
        let tasks = (0..count).map(|n| (name(n), Task { after: after(n), ..Task::default() })).collect();
        let flow = Flow { name: None, tasks };
        let order = flow.in_order().unwrap();
        assert!(order.iter().enumerate().all(|(n, is)| *is == name(n)) && order.len() == count);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_name_of_the_task() {
        for (text, what) in [
            ("", "no task"),
            ("[task.a]\necho = \"x\"\nafter = [\"b\"]", "task `a` is to start after `b`, which is not there"),
            ("[task.a]", "task `a`: what it runs is one of"),
            ("[task.a]\necho = \"x\"\nsleep = \"1s\"", "task `a`: what it runs is one of"),
            ("[task.a]\necho = \"x\"\nstdin = \"f\"", "stdin and files are for exec, wasm and worker"),
            ("[task.a]\nworker = \"w\"\nenv = { A = \"b\" }", "env is for exec and wasm"),
            ("[task.a]\nworker = \"w\"\ndeterministic = true", "deterministic is for wasm"),
            ("[task.\"../a\"]\necho = \"x\"", "a plain one"),
            ("[task.a]\nexec = [\"x\"]\nout = [\"stdout\"]", "every result has already"),
            ("[task.a]\necho = \"x\"\nafer = [\"b\"]", "afer"),
        ] {
            let error = read("a.toml", text).unwrap_err();
            assert!(error.contains(what) && error.contains("a.toml"), "{text}: {error}");
        }
        let circle = "[task.a]\necho = \"x\"\nafter = [\"b\"]\n[task.b]\necho = \"x\"\nafter = [\"a\"]";
        let error = read("a.toml", circle).unwrap().in_order().unwrap_err().to_string();
        assert!(error.contains("in a circle, or after such: a, b"), "{error}");
    }
}
