//! What the tasks of a run must give back, so that an answer to the wrong item, or a made up one, counts as lost.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest as _, Sha256};

use crate::api::result::TaskResult;
use crate::testnet::{TestnetError, own_cpu};

/// What a program makes of an input.
pub(super) enum Expected {
    Echo,
    Sha256,
    /// Done, and nothing said.
    Sleep,
    Command(Local),
}

/// What a task takes where nothing is in its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// On a clock.
    wall: Duration,
    /// Of a processor.
    cpu: Duration,
}

impl Work {
    /// How long `count` of them take on so many cores, with so many at once on each node: neither cores nor slots give more.
    pub(super) fn ideal(self, count: usize, cores: usize, slots: &[u32]) -> Duration {
        let slots: u32 = slots.iter().sum();
        let count = count as f64;
        self.cpu.mul_f64(count / cores.max(1) as f64).max(self.wall.mul_f64(count / f64::from(slots.max(1))))
    }
}

/// A command, known by what it does here.
pub(super) struct Local {
    argv: Vec<String>,
    /// What all of [`TRIED`] inputs gave, where that was the same.
    always: Option<Ended>,
    /// All codes with which it ended.
    codes: BTreeSet<Option<i32>>,
    /// One result in so many is compared with a run here, where each may be another.
    step: usize,
    /// Runs here that may still be made for results that are not what all inputs gave.
    left: usize,
    work: Work,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Ended {
    code: Option<i32>,
    stdout: Vec<u8>,
}

/// How long `sleep` sleeps.
pub(super) const SLEEP_MS: u64 = 10;
/// Inputs that a command is tried with before anything is measured.
const TRIED: usize = 64;
/// Runs here when all is over, at most: a second or two.
const COMPARED: usize = 1_000;

impl Expected {
    /// A command is run here on some of the inputs, one after another.
    pub(super) fn of(program: &str, count: usize, input: impl Fn(usize) -> String) -> Result<Self, TestnetError> {
        match program {
            "echo" => Ok(Self::Echo),
            "sha256" => Ok(Self::Sha256),
            "sleep" => Ok(Self::Sleep),
            command => {
                let argv: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
                let tried = TRIED.min(count);
                let (begun, before) = (Instant::now(), own_cpu().1);
                let ended = (0..tried).map(|n| run(&argv, &input(n * count / tried)));
                let ended = ended.collect::<Result<Vec<Ended>, TestnetError>>()?;
                let each = 1.0 / tried.max(1) as f64;
                let (wall, cpu) = (begun.elapsed().mul_f64(each), own_cpu().1.saturating_sub(before).mul_f64(each));
                let work = Work { wall, cpu };
                let always = ended.first().filter(|first| ended.iter().all(|ended| ended == *first)).cloned();
                let codes = ended.iter().map(|ended| ended.code).collect();
                let step = count.div_ceil(COMPARED).max(1);
                Ok(Self::Command(Local { argv, always, codes, step, left: COMPARED, work }))
            }
        }
    }

    /// Where it is known.
    pub(super) fn work(&self) -> Option<Work> {
        match self {
            Self::Echo | Self::Sha256 => None,
            Self::Sleep => Some(Work { wall: Duration::from_millis(SLEEP_MS), cpu: Duration::ZERO }),
            Self::Command(local) => Some(local.work),
        }
    }

    /// Whether that is the result of item `at`, whose input is this.
    pub(super) fn is_right(&mut self, at: usize, result: &TaskResult, input: &str) -> Result<bool, TestnetError> {
        match self {
            Self::Echo => Ok(is_done(result, input.as_bytes())),
            Self::Sha256 => Ok(is_done(result, HEXLOWER.encode(Sha256::digest(input).as_slice()).as_bytes())),
            Self::Sleep => Ok(is_done(result, b"")),
            Self::Command(local) => local.is_right(at, result, input),
        }
    }
}

impl Local {
    fn is_right(&mut self, at: usize, result: &TaskResult, input: &str) -> Result<bool, TestnetError> {
        match &self.always {
            Some(always) if always.is_of(result) => Ok(true),
            // Perhaps no input that was tried is like this one.
            Some(_) if self.left > 0 => {
                self.left -= 1;
                Ok(run(&self.argv, input)?.is_of(result))
            }
            Some(_) => Ok(false),
            None if at.is_multiple_of(self.step) => Ok(run(&self.argv, input)?.is_of(result)),
            None => Ok(self.codes.contains(&result.exit_code)),
        }
    }
}

impl Ended {
    fn is_of(&self, result: &TaskResult) -> bool {
        self.code.is_some() && result.exit_code == self.code && gives(result, &self.stdout)
    }
}

fn is_done(result: &TaskResult, stdout: &[u8]) -> bool {
    result.state == "done" && gives(result, stdout)
}

/// Whether its standard output is this, which may have come as text, in base64 or by its hash.
fn gives(result: &TaskResult, stdout: &[u8]) -> bool {
    match (&result.stdout, &result.stdout_b64, &result.stdout_blob) {
        (Some(text), _, _) => text.as_bytes() == stdout,
        (None, Some(b64), _) => *b64 == BASE64.encode(stdout),
        (None, None, Some(blob)) => blob.id == blake3::hash(stdout).to_hex().as_str(),
        (None, None, None) => stdout.is_empty(),
    }
}

/// The command on this input, with the environment that tasks have, as far as it says something about output.
fn run(argv: &[String], input: &str) -> Result<Ended, TestnetError> {
    let (program, arguments) = argv.split_first().map_or(("", &[][..]), |(program, rest)| (program.as_str(), rest));
    let failed = || TestnetError::io("run", Path::new(program));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(std::env::temp_dir()).env("LANG", "C.UTF-8").env_remove("LC_ALL");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed())?;
    let stdin = child.stdin.take();
    // Beside what it says: a command whose output waits to be read reads no more.
    let (written, output) = std::thread::scope(|scope| {
        let writing = scope.spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output();
        (writing.join().unwrap_or_else(|_| Err(std::io::Error::other("the writer panicked"))), output)
    });
    let output = output.map_err(failed())?;
    match written {
        // It may end without reading.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(failed()(error)),
        Ok(()) | Err(_) => Ok(Ended { code: output.status.code(), stdout: output.stdout }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than lies between two processes.
    #[test]
    fn a_command_is_heard_while_it_is_told() {
        let long = "x".repeat(1 << 20);
        assert_eq!(run(&["cat".to_owned()], &long).unwrap().stdout, long.as_bytes());
        assert_eq!(run(&["true".to_owned()], &long).unwrap().code, Some(0), "it reads nothing");
    }

    fn input(at: usize) -> String {
        format!("{at:08}")
    }

    fn result(code: i32, stdout: &str) -> TaskResult {
        let state = if code == 0 { "done" } else { "failed" };
        let stdout = Some(stdout.to_string()).filter(|text| !text.is_empty());
        TaskResult { state: state.into(), exit_code: Some(code), stdout, ..TaskResult::default() }
    }

    #[track_caller]
    fn judged(program: &str, count: usize, at: usize, result: &TaskResult) -> bool {
        Expected::of(program, count, input).unwrap().is_right(at, result, &input(at)).unwrap()
    }

    #[test]
    fn a_builtin_gives_what_is_computed_here() {
        let hash = |text: &str| HEXLOWER.encode(Sha256::digest(text).as_slice());
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        for (program, right, wrong) in [
            ("echo", result(0, "00000001"), result(0, "00000002")),
            ("sha256", result(0, &hash("00000001")), result(0, &hash("00000002"))),
            ("sha256", result(0, &hash("00000001")), result(0, "")),
            ("sleep", result(0, ""), result(0, "slept")),
            ("sleep", result(0, ""), result(1, "")),
        ] {
            assert!(judged(program, 9, 1, &right), "{program}");
            assert!(!judged(program, 9, 1, &wrong), "{program}: {wrong:?}");
        }
    }

    #[test]
    fn the_ideal_is_what_cores_and_slots_give() {
        let work = |wall, cpu| Work { wall: Duration::from_millis(wall), cpu: Duration::from_millis(cpu) };
        // A mix of 4:1, and tasks that only wait.
        assert_eq!(work(10, 0).ideal(160, 2, &[8, 2, 2, 2, 2]), Duration::from_millis(100));
        // Slots beyond the cores do not help those that compute.
        assert_eq!(work(20, 20).ideal(100, 2, &[8, 8]), Duration::from_secs(1));
        assert_eq!(work(20, 20).ideal(100, 4, &[1]), Duration::from_secs(2));
        let slept = Expected::of("sleep 0.02", 9, input).unwrap().work().unwrap();
        assert!(slept.wall >= Duration::from_millis(20), "{slept:?}");
        assert!(Expected::of("echo", 9, input).unwrap().work().is_none());
    }

    #[test]
    fn a_command_gives_what_it_gives_here() {
        for (program, count, right, wrong) in [
            ("true", 100_000, result(0, ""), result(0, "said")),
            ("true", 100_000, result(0, ""), result(1, "")),
            ("false", 100_000, result(1, ""), result(0, "")),
            ("cat", 900, result(0, "00000005"), result(0, "00000006")),
            ("cat", 900, result(0, "00000005"), result(1, "00000005")),
            // Of so many only one in a hundred is compared, and of the rest the code.
            ("cat", 100_000, result(0, "00000006"), result(1, "00000005")),
            // No input that was tried is like it.
            ("grep 00000005", 100_000, result(0, "00000005\n"), result(0, "")),
        ] {
            assert!(judged(program, count, 5, &right), "{program}: {right:?}");
            assert!(!judged(program, count, 5, &wrong), "{program}: {wrong:?}");
        }
    }

    #[test]
    fn a_result_is_the_same_in_each_form() {
        let bytes = "00000005";
        let none = TaskResult { state: "done".into(), exit_code: Some(0), ..TaskResult::default() };
        let b64 = TaskResult { stdout_b64: Some(BASE64.encode(bytes.as_bytes())), ..none.clone() };
        let link = |of: &str| crate::api::content::BlobLink {
            id: blake3::hash(of.as_bytes()).to_hex().to_string(),
            size: 8,
            nodes: vec![],
        };
        let blob = TaskResult { stdout_blob: Some(link(bytes)), ..none.clone() };
        let other = TaskResult { stdout_blob: Some(link("other")), ..none.clone() };
        assert!(judged("echo", 9, 5, &b64) && judged("echo", 9, 5, &blob));
        assert!(!judged("echo", 9, 5, &other) && !judged("echo", 9, 5, &none));
    }

    #[test]
    fn a_command_that_is_not_here_ends_the_run_before_it_begins() {
        assert!(matches!(Expected::of("no-such-command", 9, input), Err(TestnetError::Io { .. })));
    }
}
