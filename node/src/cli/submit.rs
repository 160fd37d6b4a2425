//! `meshd submit`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::Failure;
use super::exit::{DETACHED, quoted};
use super::output::Output;
use super::program::{Input, TermFlags, inline, load, load_given};
use super::results;
use super::settings::Global;
use super::waiting::Waiting;
use super::wasm::Module;
use crate::api::after::{ResultLink, TaskLink};
use crate::api::result::TaskResult;
use crate::api::submission::{Command, FileSpec, ProgramSpec, TaskRequest, WasmProgram, WorkerProgram};
use crate::api::tasks::submit::Submitted;
use crate::client::{Ask, Client, ClientError};
use crate::config::Span;

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("program").required(true).args(["exec", "wasm", "worker", "echo", "sleep", "sha256"]))]
#[command(group = clap::ArgGroup::new("own").args(["exec", "wasm", "worker"]))]
#[command(group = clap::ArgGroup::new("in_process").args(["exec", "wasm"]))]
pub(super) struct Submit {
    /// Run a host command: what follows `--`. Its name must be allowed on the nodes.
    #[arg(long, requires = "words")]
    exec: bool,
    /// Run a WebAssembly program for WASI, a module or a component. What follows `--` are its arguments.
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,
    /// Give it to a program of this kind that is attached to a node. What follows `--` are its arguments.
    #[arg(long, value_name = "KIND")]
    worker: Option<String>,
    /// Give this text back.
    #[arg(long, value_name = "TEXT")]
    echo: Option<String>,
    /// Hold a slot for so long.
    #[arg(long, value_name = "TIME")]
    sleep: Option<Span>,
    /// The SHA-256 of a file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    sha256: Option<PathBuf>,
    /// Feed this file to the program's standard input; `-` is standard input here.
    #[arg(long, value_name = "FILE", requires = "own")]
    stdin: Option<PathBuf>,
    /// Lay this file into the program's directory, under its own name or as NAME=FILE; may be repeated.
    #[arg(long, value_name = "FILE", requires = "own")]
    file: Vec<String>,
    /// Start once this task has ended well, and be cancelled if it does not; may be repeated.
    #[arg(long, value_name = "TASK")]
    after: Vec<String>,
    /// Feed the program what this task writes to standard output, or a file that it keeps, once it has ended well.
    #[arg(long, value_name = "TASK[/FILE]", requires = "own", conflicts_with = "stdin")]
    stdin_from: Option<String>,
    /// Lay what this task writes to standard output, or a file that it keeps, into the program's directory as NAME, once it has
    /// ended well; may be repeated.
    #[arg(long, value_name = "NAME=TASK[/FILE]", requires = "own")]
    file_from: Vec<String>,
    /// Bring back this file from the program's directory, to the same name here; may be repeated.
    #[arg(long, value_name = "NAME", requires = "own")]
    out: Vec<String>,
    /// Where the files of --out go. Default: here.
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// Set a variable in the program's environment, as NAME=VALUE; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", requires = "in_process")]
    env: Vec<String>,
    /// Fix clocks and randomness, so that each execution comes to the same.
    #[arg(long, requires = "wasm")]
    deterministic: bool,
    #[command(flatten)]
    terms: TermFlags,
    /// The command and its arguments; those of a WebAssembly program, or of a worker.
    #[arg(last = true, value_name = "COMMAND")]
    words: Vec<String>,
}

/// How long one request waits; the client asks again until the end.
const WAIT: &str = "60s";
/// How long nodes may be lost before waiting is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before another try.
const PAUSE: Duration = Duration::from_millis(300);

/// How long the id of a task is asked for that is left.
const NAMING: Duration = Duration::from_secs(5);

/// How far it has come, for who leaves on the way.
#[derive(Debug)]
enum Stage {
    /// Inputs are read and put.
    Reading,
    /// The task was asked for; this asks for it again, and for its id alone.
    Asked(Ask),
    Taken(String),
    Ended(String),
}

impl Submit {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let client = global.client()?;
        let key = self.terms.key();
        let stage = RefCell::new(Stage::Reading);
        tokio::select! {
            // First, so that it is heard from the start.
            biased;
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            ended = self.carry(&client, output, &key, &stage) => return ended,
        }
        self.leave(&client, &key, stage.into_inner()).await
    }

    async fn carry(&self, client: &Client, output: Output, key: &str, stage: &RefCell<Stage>) -> Result<(), Failure> {
        let request = self.request(client).await?;
        let waiting = Waiting::new();
        let at_once = Ask::post("/v1/tasks").key(key).json(&request);
        // Whoever watches is to see more than that it takes time: for that its id is needed.
        let ask = match self.terms.detach || waiting.is_watched() {
            true => at_once.clone(),
            false => Ask::post(format!("/v1/tasks?wait={WAIT}")).key(key).json(&request),
        };
        stage.replace(Stage::Asked(at_once));
        let submitted = submit(client, &ask, key).await?;
        let task = submitted.task.clone();
        if self.terms.detach {
            return Ok(output.put(&submitted, |submitted| submitted.task.clone())?);
        }
        stage.replace(Stage::Taken(task.clone()));
        let result = tokio::select! {
            result = finish(client, submitted) => result?,
            never = waiting.watch(client, &task) => match never {},
        };
        stage.replace(Stage::Ended(task));
        waiting.end();
        let out = self.out_dir.as_deref().unwrap_or(Path::new("."));
        if let Err(failure) = results::put_files(client, out, &result).await {
            eprintln!("meshd: its files again: meshd task result {} --out-dir DIR", result.task);
            return Err(failure);
        }
        report(client, output, &result).await
    }

    /// Ctrl-C: says what becomes of the task, and how to come back to it.
    async fn leave(&self, client: &Client, key: &str, stage: Stage) -> Result<(), Failure> {
        let task = match stage {
            Stage::Reading => {
                eprintln!("given up; nothing was submitted");
                return Err(Failure::Ended(DETACHED));
            }
            Stage::Ended(task) => {
                eprintln!("given up; the task has ended. Its result again: meshd task result {task}{}", self.files());
                return Err(Failure::Ended(DETACHED));
            }
            Stage::Taken(task) => Some(task),
            // The answer that was waited for comes with the end. The same without waiting is the same task, by its key.
            Stage::Asked(ask) => tokio::select! {
                told = tokio::time::timeout(NAMING, client.ask::<Submitted>(&ask)) => match told {
                    Ok(Ok(submitted)) => Some(submitted.task),
                    Ok(Err(_)) | Err(_) => None,
                },
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted?;
                    None
                }
            },
        };
        match task {
            Some(task) => {
                let files = self.files();
                eprintln!(
                    "detached; task {task} goes on. To attach: meshd task result {task} --wait{files}; to end it: meshd task cancel {task}"
                );
            }
            None => eprintln!(
                "detached; the task's id is not known yet, nor whether it was taken: if so, it goes on. The same command with --idempotency-key {key} finds it"
            ),
        }
        Err(Failure::Ended(DETACHED))
    }

    /// Where the files of a task that brings some go, as `task result` takes it.
    fn files(&self) -> String {
        match (self.out.is_empty(), &self.out_dir) {
            (true, _) => String::new(),
            (false, None) => " --out-dir .".to_owned(),
            (false, Some(dir)) => format!(" --out-dir {}", quoted(dir)),
        }
    }

    async fn request(&self, client: &Client) -> Result<TaskRequest, Failure> {
        let mut request = TaskRequest {
            program: self.program(client).await?,
            terms: self.terms.terms(),
            stdin: None,
            stdin_b64: None,
            stdin_blob: None,
            stdin_path: None,
            stdin_result: self.stdin_from.as_deref().map(result_link),
            files: Vec::new(),
            after: self.after.iter().map(|task| TaskLink::task(task)).collect(),
        };
        let stdin = match (&self.echo, self.stdin.as_ref().or(self.sha256.as_ref())) {
            (Some(text), _) => Some(inline(text.clone().into_bytes())),
            (None, Some(path)) => Some(load_given(client, path).await?),
            (None, None) => None,
        };
        match stdin {
            Some(Input::Text(text)) => request.stdin = Some(text),
            Some(Input::B64(b64)) => request.stdin_b64 = Some(b64),
            Some(Input::Blob(blob)) => request.stdin_blob = Some(blob),
            None => {}
        }
        for given in &self.file {
            let (name, path) = named(given)?;
            request.files.push(file_spec(name, load(client, &path, true).await?));
        }
        for given in &self.file_from {
            let (name, from) = given.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                Failure::Usage(format!("--file-from takes NAME=TASK or NAME=TASK/FILE, not `{given}`"))
            })?;
            let result = Some(result_link(from));
            request.files.push(FileSpec { name: name.to_owned(), result, ..FileSpec::default() });
        }
        Ok(request)
    }

    async fn program(&self, client: &Client) -> Result<ProgramSpec, Failure> {
        if self.deterministic && self.wasm.is_none() {
            return Err(Failure::Usage("--deterministic is for programs of --wasm".to_string()));
        }
        if let Some(span) = self.sleep {
            return Ok(ProgramSpec::Sleep { ms: u64::try_from(span.get().as_millis()).unwrap_or(u64::MAX) });
        }
        if self.echo.is_some() {
            return Ok(ProgramSpec::Echo);
        }
        if self.sha256.is_some() {
            return Ok(ProgramSpec::Sha256);
        }
        let env = environment(&self.env)?;
        if let Some(kind) = &self.worker {
            let (kind, argv, outputs) = (kind.clone(), self.words.clone(), self.out.clone());
            return Ok(ProgramSpec::Worker(WorkerProgram { kind, argv, outputs }));
        }
        if let Some(path) = &self.wasm {
            let module = Module::read(path)?;
            let argv = module.name().chain(self.words.iter().cloned()).collect();
            let (outputs, deterministic) = (self.out.clone(), self.deterministic);
            let module = module.put(client, true).await?;
            return Ok(ProgramSpec::Wasm(WasmProgram { module, argv, env, outputs, deterministic }));
        }
        Ok(ProgramSpec::Exec(Command { argv: self.words.clone(), env, outputs: self.out.clone(), in_place: false }))
    }
}

/// Variables given as NAME=VALUE.
pub(super) fn environment(given: &[String]) -> Result<std::collections::BTreeMap<String, String>, Failure> {
    let pairs = given.iter().map(|pair| match pair.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_string(), value.to_string())),
        _ => Err(Failure::Usage(format!("--env takes NAME=VALUE, not `{pair}`"))),
    });
    pairs.collect()
}

/// `TASK`, whose standard output it is, or `TASK/FILE`.
fn result_link(given: &str) -> ResultLink {
    let (task, file) = match given.split_once('/') {
        Some((task, file)) => (task, Some(file.to_owned())),
        None => (given, None),
    };
    ResultLink { task: Some(task.to_owned()), item: None, file }
}

/// An input file of a task.
pub(super) fn file_spec(name: String, input: Input) -> FileSpec {
    let mut file = FileSpec { name, ..FileSpec::default() };
    match input {
        Input::Text(text) => file.text = Some(text),
        Input::B64(b64) => file.b64 = Some(b64),
        Input::Blob(blob) => file.blob = Some(blob),
    }
    file
}

/// `NAME=FILE`, or a file under its own name, in which there may be a `=` too: what is there as a whole is meant so. A
/// directory in front of the `=` is one of this machine, unless FILE is there.
fn named(given: &str) -> Result<(String, PathBuf), Failure> {
    let path = PathBuf::from(given);
    if let Some((name, file)) = given.split_once('=')
        && !path.is_file()
        && (!name.contains('/') || Path::new(file).is_file())
    {
        return Ok((name.to_string(), file.into()));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Failure::Usage(format!("`{given}` has no name to give the file in the task")))?;
    Ok((name.to_string(), path))
}

/// Submits, again when the node is lost after it may have heard: the key makes that harmless.
async fn submit(client: &Client, ask: &Ask, key: &str) -> Result<Submitted, Failure> {
    let begun = Instant::now();
    let mut may_be_taken = false;
    loop {
        let error = match client.ask(ask).await {
            Ok(submitted) => return Ok(submitted),
            Err(error) => error,
        };
        may_be_taken |= matches!(error, ClientError::Broken(_) | ClientError::Silent { .. });
        if may_be_taken && begun.elapsed() > PATIENCE {
            eprintln!("meshd: the task may have been taken. The same command with --idempotency-key {key} finds it");
        }
        if !(may_be_taken && error.is_loss()) || begun.elapsed() > PATIENCE {
            return Err(error.into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits for the end.
async fn finish(client: &Client, submitted: Submitted) -> Result<TaskResult, Failure> {
    match submitted.result {
        Some(result) => Ok(result),
        None => await_result(client, &submitted.task).await,
    }
}

/// Asks for a task's result until there is one.
pub(super) async fn await_result(client: &Client, task: &str) -> Result<TaskResult, Failure> {
    let mut heard = Instant::now();
    loop {
        match client.ask(&Ask::get(format!("/v1/tasks/{}/result?wait={WAIT}", results::escape(task)))).await {
            Ok(result) => return Ok(result),
            Err(error) if error.is_loss() => {
                if heard.elapsed() > PATIENCE {
                    eprintln!("meshd: the task goes on. Its result: meshd task result {task} --wait");
                    return Err(error.into());
                }
            }
            // Not ended yet, or too few nodes for now.
            Err(error) if error.is_worth_a_retry() => heard = Instant::now(),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Passes a result on: its bytes and its code.
pub(super) async fn report(client: &Client, output: Output, result: &TaskResult) -> Result<(), Failure> {
    if output.is_text() {
        results::print_stdout(client, result).await?;
        results::print_stderr(client, result).await?;
        if let Some(complaint) = results::complaint(result) {
            eprintln!("meshd: task {} failed: {complaint}", &result.task[..16.min(result.task.len())]);
        }
    } else {
        output.put(result, |_| String::new())?;
    }
    match results::exit_code(result) {
        0 => Ok(()),
        code => Err(Failure::Ended(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_an_equals_sign_in_it_is_a_path() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path().to_str().unwrap();
        std::fs::write(dir.path().join("x=1.csv"), "").unwrap();
        std::fs::write(dir.path().join("in"), "").unwrap();
        for (given, name, path) in [
            (format!("{here}/x=1.csv"), "x=1.csv", format!("{here}/x=1.csv")),
            // Missing: what is said of it names it as it was given.
            (format!("{here}/x=2.csv"), "x=2.csv", format!("{here}/x=2.csv")),
            (format!("a={here}/in"), "a", format!("{here}/in")),
            (format!("data/a={here}/in"), "data/a", format!("{here}/in")),
            ("a=missing".into(), "a", "missing".into()),
            (format!("{here}/in"), "in", format!("{here}/in")),
        ] {
            assert_eq!(named(&given).unwrap(), (name.to_string(), path.into()), "{given}");
        }
        assert!(named("..").is_err());
    }
}
