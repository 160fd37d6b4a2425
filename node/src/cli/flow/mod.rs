//! `meshd flow`: tasks that start after one another, as one job.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use self::file::{Flow as File, Source, Task};
use super::Failure;
use super::map::carry::Carrier;
use super::map::delivery::{Delivery, Target};
use super::map::items::Items;
use super::out_dir::OutDir;
use super::output::Output;
use super::program::{Input, TermFlags, inline, load};
use super::settings::Global;
use super::submit::file_spec;
use super::wasm::Module;
use crate::api::after::{ResultLink, TaskLink};
use crate::api::jobs::submit::JobHeader;
use crate::api::submission::{Command, FileSpec, Item, ProgramSpec, WasmProgram, WorkerProgram};
use crate::api::terms::Terms;
use crate::client::Client;

#[derive(Debug, Args)]
pub(super) struct Flow {
    /// The tasks: a table for each in TOML, or in JSON where the name ends in `.json`.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Lay results into DIR/TASK/{stdout,stderr,exit_code,files}. Default: print the standard output of the tasks of which no
    /// other takes anything.
    #[arg(long, value_name = "DIR", conflicts_with = "detach")]
    out_dir: Option<PathBuf>,
    /// Start once this task has ended well, and be cancelled if it does not; may be repeated.
    #[arg(long, value_name = "TASK")]
    after: Vec<String>,
    /// End the job at its first failure, and not only what is to start after it.
    #[arg(long, conflicts_with = "detach")]
    fail_fast: bool,
    /// What people call the job. Default: the name in the file, or the file's own.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    terms: TermFlags,
}

impl Flow {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let key = self.terms.key();
        let flow = File::read(&self.file)?;
        let names = flow.in_order()?;
        let client = Arc::new(global.client()?);
        let terms = self.terms.terms();
        let numbers: BTreeMap<&str, u64> = names.iter().copied().zip(0..).collect();
        let maker = Maker { client: &client, directory: self.directory(), numbers: &numbers, terms: &terms };
        let mut made = Vec::with_capacity(names.len());
        for name in &names {
            made.push(maker.item(&flow.tasks[*name]).await?);
        }
        let header = JobHeader {
            name: self.name_of(&flow),
            key: Some(key.clone()),
            program: ProgramSpec::Echo,
            terms: terms.clone(),
            count: Some(made.len() as u64),
            after: self.after.iter().map(|task| TaskLink::task(task)).collect(),
        };
        let paths: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
        let target = match &self.out_dir {
            Some(dir) => Target::Directory(OutDir::open(dir, &paths, &[])?),
            None => Target::Print,
        };
        let delivery = Delivery::new(target, output, paths.clone());
        let delivery = if output.is_text() { delivery.quiet_about(taken(&flow, &numbers)) } else { delivery };
        let items = Arc::new(Items::made(header, paths, made));
        let (fail_fast, out_dir) = (self.fail_fast, self.out_dir.as_deref());
        let job = Carrier { client, items, key: &key, output, fail_fast, out_dir };
        match self.terms.detach {
            true => job.submit().await,
            false => job.run(delivery).await,
        }
    }

    fn directory(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    fn name_of(&self, flow: &File) -> String {
        let own = self.file.file_stem().map(|name| name.to_string_lossy().into_owned());
        self.name.clone().or_else(|| flow.name.clone()).or(own).unwrap_or_default()
    }
}

/// Those of which others take something.
fn taken(flow: &File, numbers: &BTreeMap<&str, u64>) -> BTreeSet<u64> {
    flow.tasks.values().flat_map(Task::taken).filter_map(|name| numbers.get(name).copied()).collect()
}

/// Makes items of tasks: files are read, and large ones put, where the flow's file is.
struct Maker<'a> {
    client: &'a Client,
    directory: &'a Path,
    numbers: &'a BTreeMap<&'a str, u64>,
    terms: &'a Terms,
}

/// What an input is in an item.
enum Given {
    Bytes(Input),
    Result(ResultLink),
}

impl Maker<'_> {
    async fn item(&self, task: &Task) -> Result<Item, Failure> {
        let mut item = Item {
            program: Some(self.program(task).await?),
            terms: task.terms(self.terms),
            after: task.after.iter().map(|name| TaskLink { task: None, item: self.number(name) }).collect(),
            ..Item::default()
        };
        let stdin = match (task.stdin.as_ref().or(task.sha256.as_ref()), &task.echo) {
            (Some(source), _) => Some(self.given(source).await?),
            (None, Some(text)) => Some(Given::Bytes(inline(text.clone().into_bytes()))),
            (None, None) => None,
        };
        match stdin {
            Some(Given::Bytes(Input::Text(text))) => item.stdin = Some(text),
            Some(Given::Bytes(Input::B64(b64))) => item.stdin_b64 = Some(b64),
            Some(Given::Bytes(Input::Blob(blob))) => item.stdin_blob = Some(blob),
            Some(Given::Result(result)) => item.stdin_result = Some(result),
            None => {}
        }
        for (name, source) in &task.files {
            item.files.push(match self.given(source).await? {
                Given::Bytes(input) => file_spec(name.clone(), input),
                Given::Result(result) => FileSpec { name: name.clone(), result: Some(result), ..FileSpec::default() },
            });
        }
        Ok(item)
    }

    async fn program(&self, task: &Task) -> Result<ProgramSpec, Failure> {
        let (env, outputs) = (task.env.clone(), task.out.clone());
        if let Some(argv) = &task.exec {
            return Ok(ProgramSpec::Exec(Command { argv: argv.clone(), env, outputs, in_place: false }));
        }
        if let Some(kind) = &task.worker {
            return Ok(ProgramSpec::Worker(WorkerProgram { kind: kind.clone(), argv: task.args.clone(), outputs }));
        }
        if let Some(path) = &task.wasm {
            let module = Module::read(&self.directory.join(path))?;
            let argv = module.name().chain(task.args.iter().cloned()).collect();
            let module = module.put(self.client, std::io::stderr().is_terminal()).await?;
            let deterministic = task.deterministic;
            return Ok(ProgramSpec::Wasm(WasmProgram { module, argv, env, outputs, deterministic }));
        }
        Ok(match task.sleep {
            Some(span) => ProgramSpec::Sleep { ms: u64::try_from(span.get().as_millis()).unwrap_or(u64::MAX) },
            None if task.sha256.is_some() => ProgramSpec::Sha256,
            None => ProgramSpec::Echo,
        })
    }

    async fn given(&self, source: &Source) -> Result<Given, Failure> {
        Ok(match source {
            Source::File(path) => Given::Bytes(load(self.client, &self.directory.join(path), true).await?),
            Source::Text(text) => Given::Bytes(inline(text.text.clone().into_bytes())),
            Source::Result(output) => {
                let (item, file) = (self.number(&output.task), output.file.clone());
                Given::Result(ResultLink { task: None, item, file })
            }
        })
    }

    /// Each is known: the file was checked.
    fn number(&self, name: &str) -> Option<u64> {
        self.numbers.get(name).copied()
    }
}
