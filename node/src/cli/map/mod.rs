//! `meshd map`: one program over many inputs.

pub(super) mod carry;
mod complaints;
pub(super) mod delivery;
pub(super) mod follow;
mod grammar;
pub(super) mod items;
mod paths;
pub(super) mod progress;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Args;

use self::carry::Carrier;
use self::delivery::{Delivery, Target};
use self::grammar::{Words, fill};
use self::items::{Items, Way};
use super::Failure;
use super::out_dir::OutDir;
use super::output::Output;
use super::program::TermFlags;
use super::settings::Global;
use super::submit::environment;
use super::wasm::Module;
use crate::api::after::TaskLink;
use crate::api::jobs::submit::JobHeader;
use crate::api::submission::{Command, ProgramSpec, WasmProgram, WorkerProgram};
use crate::config::Span;

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("program").required(true).args(["exec", "wasm", "worker", "echo", "sleep", "sha256"]))]
#[command(group = clap::ArgGroup::new("own").args(["exec", "wasm", "worker"]))]
#[command(group = clap::ArgGroup::new("in_process").args(["exec", "wasm"]))]
pub(super) struct Map {
    /// Run a host command on each input: what follows `--`, with `{}` for the input.
    #[arg(long)]
    exec: bool,
    /// Run a WebAssembly program for WASI, a module or a component, on each input. What follows `--` are its arguments,
    /// with `{}` for the input.
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,
    /// Give each input to a program of this kind that is attached to a node. What follows `--` are its arguments, with `{}`
    /// for the input.
    #[arg(long, value_name = "KIND")]
    worker: Option<String>,
    /// Give each input back.
    #[arg(long)]
    echo: bool,
    /// Hold a slot for so long, for each input.
    #[arg(long, value_name = "TIME")]
    sleep: Option<Span>,
    /// The SHA-256 of each input.
    #[arg(long)]
    sha256: bool,
    /// Feed each input to standard input, instead of laying it into the task's directory.
    #[arg(long)]
    stdin: bool,
    /// Pass each input's path itself: for nodes that share a file system, and allow it (`exec.in_place`).
    #[arg(long, conflicts_with = "stdin", requires = "exec")]
    in_place: bool,
    /// Lay results into DIR/INPUT/{stdout,stderr,exit_code,files}. Default: print standard output in the order of the
    /// inputs.
    #[arg(long, value_name = "DIR", conflicts_with = "detach")]
    out_dir: Option<PathBuf>,
    /// Bring back this file from each task's directory: a plain name, the same for all; may be repeated.
    #[arg(long, value_name = "NAME", requires = "own")]
    out: Vec<String>,
    /// Set a variable in the program's environment, as NAME=VALUE; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", requires = "in_process")]
    env: Vec<String>,
    /// Fix clocks and randomness, so that each execution comes to the same.
    #[arg(long, requires = "wasm")]
    deterministic: bool,
    /// Start once this task has ended well, and be cancelled if it does not; may be repeated.
    #[arg(long, value_name = "TASK")]
    after: Vec<String>,
    /// End the job at its first failure.
    #[arg(long, conflicts_with = "detach")]
    fail_fast: bool,
    /// What people call the job. Default: the command.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    terms: TermFlags,
    /// The command, then `:::` and the inputs, or `::::` and files that list them. Without either the list is read from
    /// standard input.
    #[arg(last = true, value_name = "COMMAND ::: INPUT")]
    words: Vec<OsString>,
    /// Names in lists end with a NUL, as `find -print0` writes them.
    #[arg(long, short = '0')]
    null: bool,
}

impl Map {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let key = self.terms.key();
        let (mut items, module) = self.items(&key)?;
        let client = Arc::new(global.client()?);
        let count = items.count();
        if let Some(module) = module.filter(|_| count > 0) {
            items.header.program.runs(module.put(&client, std::io::stderr().is_terminal()).await?);
        }
        let items = Arc::new(items);
        if count == 0 {
            eprintln!("meshd: no inputs, nothing to do: name them behind `:::`, or a line each on standard input");
        }
        let job = Carrier {
            client,
            items: items.clone(),
            key: &key,
            output,
            fail_fast: self.fail_fast,
            out_dir: self.out_dir.as_deref(),
        };
        if self.terms.detach && count > 0 {
            return job.submit().await;
        }
        let target = match &self.out_dir {
            Some(dir) => Target::Directory(OutDir::open(dir, &items.names, &items.paths)?),
            None => Target::Print,
        };
        job.run(Delivery::new(target, output, items.names.clone())).await
    }

    /// The items, and the program that is to be put first.
    fn items(&self, key: &str) -> Result<(Items, Option<Module>), Failure> {
        let Words { mut command, inputs } = Words::parse(&self.words)?;
        let module = self.wasm.as_deref().map(Module::read).transpose()?;
        if let Some(module) = &module {
            command.splice(..0, module.name());
        }
        let takes_words = self.exec || module.is_some() || self.worker.is_some();
        // A worker knows what to do without any.
        if takes_words == command.is_empty() && self.worker.is_none() {
            let what = match self.exec {
                true => "--exec needs a command before `:::`",
                false => "only --exec, --wasm and --worker take words before `:::`",
            };
            return Err(Failure::Usage(what.to_string()));
        }
        if self.deterministic && module.is_none() {
            return Err(Failure::Usage("--deterministic is for programs of --wasm".to_string()));
        }
        let paths = inputs.read(if self.null { 0 } else { b'\n' })?;
        let names = paths::names(&paths)?;
        let way = match (self.in_place, self.stdin || !takes_words) {
            (true, _) => Way::InPlace,
            (false, true) => Way::Stdin,
            (false, false) => Way::File,
        };
        match way {
            Way::InPlace => paths.iter().try_for_each(|path| paths::as_text(path).map(drop))?,
            Way::File | Way::Stdin | Way::Made => paths::check_readable(&paths)?,
        }
        if way == Way::File || command.iter().any(|word| word.contains(grammar::HOLE)) {
            names.iter().try_for_each(|name| paths::as_text(name).map(drop))?;
        }
        if let Some(out) = self.out.iter().find(|out| ["stdout", "stderr", "exit_code"].contains(&out.as_str())) {
            return Err(Failure::Usage(format!("--out {out}: a result has a file of this name already")));
        }
        if self.out.iter().any(|out| out.contains(grammar::HOLE)) {
            return Err(Failure::Usage("--out takes a plain name: all items of a job bring back the same".to_string()));
        }
        let program = match (self.sleep, self.echo, self.sha256) {
            (Some(span), ..) => ProgramSpec::Sleep { ms: u64::try_from(span.get().as_millis()).unwrap_or(u64::MAX) },
            (None, true, _) => ProgramSpec::Echo,
            (None, false, true) => ProgramSpec::Sha256,
            (None, false, false) => {
                let argv = fill(&command, grammar::HOLE, false);
                let (env, outputs) = (environment(&self.env)?, self.out.clone());
                match (&module, &self.worker) {
                    (None, Some(kind)) => ProgramSpec::Worker(WorkerProgram { kind: kind.clone(), argv, outputs }),
                    (Some(Module { link, .. }), _) => {
                        let (module, deterministic) = (link.clone(), self.deterministic);
                        ProgramSpec::Wasm(WasmProgram { module, argv, env, outputs, deterministic })
                    }
                    (None, None) => ProgramSpec::Exec(Command { argv, env, outputs, in_place: self.in_place }),
                }
            }
        };
        let name = self.name.clone().unwrap_or_else(|| match command.is_empty() {
            true => self.worker.clone().unwrap_or_else(|| "map".to_string()),
            false => command.join(" ").chars().take(60).collect(),
        });
        let count = Some(paths.len() as u64);
        let after = self.after.iter().map(|task| TaskLink::task(task)).collect();
        let header = JobHeader { name, key: Some(key.to_string()), program, terms: self.terms.terms(), count, after };
        let items = Items {
            header,
            command,
            takes_words,
            way,
            paths,
            names,
            made: Vec::new(),
            put: Mutex::default(),
            broken: Mutex::default(),
        };
        Ok((items, module))
    }
}
