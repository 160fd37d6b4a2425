//! One execution to do: an attempt at a task.

use super::outcome::Failure;
use bytes::Bytes;
use mesh_proto::capability::WorkerKind;
use mesh_proto::id::{BlobId, TaskId};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// One attempt at a task, with all that it needs already on this node.
#[derive(Debug, Clone)]
pub struct Run {
    pub task: TaskId,
    /// From 0 or 1, as the record counts; (task, attempt) names the execution on this node.
    pub attempt: u32,
    /// Given to the command as `MESH_FENCE`, so that a store it writes to can refuse an older attempt.
    pub fence: u64,
    pub program: Program,
    /// What the program reads. For `echo` and `sha256` the payload.
    pub stdin: Source,
    /// Files to place in the task's directory: (relative path there, what it holds). Files of this node are copied
    /// (shared extents where the file system can), never linked, so that a task cannot change a blob through them.
    pub inputs: Vec<(String, Source)>,
    /// Relative paths of regular files to take over when the command has ended. At most 1,024.
    pub outputs: Vec<String>,
    /// The command is killed after this long, by the guard. `sleep` ends as a failure.
    pub time_limit: Duration,
    pub limits: Limits,
}

/// What to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A host command: `argv[0]` is a name that the operator allowed. `env` is added to the clean environment.
    Exec { argv: Vec<String>, env: Vec<(String, String)> },
    /// A WebAssembly program: the blob `id`, which is the file `module`. `argv[0]` is what it takes for its name.
    Wasm { id: BlobId, module: PathBuf, argv: Vec<String>, env: Vec<(String, String)>, fixed: Option<Fixed> },
    /// For whichever worker of this kind takes it.
    Worker { kind: WorkerKind, argv: Vec<String> },
    /// Standard output is the input.
    Echo,
    /// Nothing, for this long.
    Sleep(Duration),
    /// Standard output is the SHA-256 of the input, 64 hexadecimal digits and a newline.
    Sha256,
}

/// What a deterministic execution takes for chance and for time, the same on each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    /// Whose its chance is, and which it is told that it runs: of a replica the task of which it is one.
    pub task: TaskId,
    /// When its clocks begin, since 1970.
    pub born: Duration,
}

/// Where input bytes are.
#[derive(Debug, Clone, Default)]
pub enum Source {
    Inline(Bytes),
    /// Opened read-only.
    File(PathBuf),
    #[default]
    Null,
}

/// What one execution of a command may use. What the operator configured is an upper bound for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of standard output, and of standard error apart. Default 64 MiB.
    pub output_bytes: u64,
    /// Bytes of any one file that the command writes (`RLIMIT_FSIZE`). Default 1 GiB.
    pub file_bytes: u64,
    /// Bytes of all named outputs together. Default 4 GiB.
    pub total_file_bytes: u64,
    /// Processes and threads at a time. Watched by the guard ten times a second: a burst is seen late, not never.
    /// Default 512.
    pub processes: u32,
    /// Open files of each process (`RLIMIT_NOFILE`). Default 1,024.
    pub open_files: u64,
    /// Bytes of memory of all processes of the command together, as far as they are in use: runtimes such as Go's and
    /// Java's reserve far more, which no `RLIMIT_AS` could tell apart. Watched by the guard ten times a second. Default
    /// none; the operator's is half of the machine's.
    pub memory_bytes: Option<u64>,
    /// CPU time of each process (`RLIMIT_CPU`). Default none: the time limit bounds it.
    pub cpu_seconds: Option<u64>,
    /// When the file system of its directory has less than this left, a command that filled a quarter of it is ended; a
    /// sixteenth of it is left for the node, whoever filled the disk. Default 256 MiB.
    pub free_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            output_bytes: 64 << 20,
            file_bytes: 1 << 30,
            total_file_bytes: 4 << 30,
            processes: 512,
            open_files: 1024,
            memory_bytes: None,
            cpu_seconds: None,
            free_bytes: 256 << 20,
        }
    }
}

impl Limits {
    /// The tighter of two in every respect.
    #[must_use]
    pub fn within(self, bound: Self) -> Self {
        let tighter = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        Self {
            output_bytes: self.output_bytes.min(bound.output_bytes),
            file_bytes: self.file_bytes.min(bound.file_bytes),
            total_file_bytes: self.total_file_bytes.min(bound.total_file_bytes),
            processes: self.processes.min(bound.processes),
            open_files: self.open_files.min(bound.open_files),
            memory_bytes: tighter(self.memory_bytes, bound.memory_bytes),
            cpu_seconds: tighter(self.cpu_seconds, bound.cpu_seconds),
            free_bytes: self.free_bytes.max(bound.free_bytes),
        }
    }
}

/// Inputs of one execution, and outputs of one. A task of more files is a job.
pub const MAX_FILES: usize = 1024;
/// Bytes of arguments and environment together; Linux itself takes 2 MiB.
pub const MAX_ARGUMENT_BYTES: usize = 512 << 10;
/// Bytes of one argument, or of one variable with its name; Linux takes 128 KiB, the NUL at the end and the `=` included.
pub const MAX_WORD_BYTES: usize = (128 << 10) - 1;
/// Bytes of inline standard input. The record holds 16 KiB; the rest is for callers without one.
pub const MAX_INLINE_STDIN: usize = 256 << 10;

impl Run {
    /// Refuses what no guard should see: absolute paths, `..`, too many files, NUL bytes, variables that change what
    /// an allowed command is.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.inputs.len() > MAX_FILES || self.outputs.len() > MAX_FILES {
            return Err(Failure::TooManyFiles { count: self.inputs.len().max(self.outputs.len()), limit: MAX_FILES });
        }
        for path in self.inputs.iter().map(|(path, _)| path).chain(&self.outputs) {
            check_relative(path)?;
        }
        if let Source::Inline(bytes) = &self.stdin
            && bytes.len() > MAX_INLINE_STDIN
        {
            return Err(Failure::TooLong { what: "inline input".into(), bytes: bytes.len(), limit: MAX_INLINE_STDIN });
        }
        match &self.program {
            Program::Exec { argv, env } | Program::Wasm { argv, env, .. } => check_command(argv, env),
            // Nothing is started with its words.
            Program::Worker { .. } | Program::Echo | Program::Sleep(_) | Program::Sha256 => Ok(()),
        }
    }
}

/// Refuses a command that no node would start, whatever its operator allows. A gateway asks before it takes a task, which
/// else would be tried on one node after another; an executor asks again, as it need not trust the gateway.
pub fn check_command(argv: &[String], env: &[(String, String)]) -> Result<(), Failure> {
    let variables = env.iter().map(|(name, value)| name.len() + value.len() + 2);
    let words = argv.iter().map(String::len).chain(variables);
    let (bytes, longest) = words.fold((0, 0), |(sum, longest), bytes| (sum + bytes, bytes.max(longest)));
    if bytes > MAX_ARGUMENT_BYTES {
        return Err(Failure::TooLong { what: "arguments".into(), bytes, limit: MAX_ARGUMENT_BYTES });
    }
    if longest > MAX_WORD_BYTES {
        return Err(Failure::TooLong {
            what: "one argument or variable".into(),
            bytes: longest,
            limit: MAX_WORD_BYTES,
        });
    }
    if argv.is_empty() || argv.iter().any(|word| word.contains('\0')) {
        return Err(Failure::BadArguments);
    }
    check_variables(env)
}

/// Refuses variables that a task may not set: those that make an allowed command something else, and those that are the
/// node's to set.
pub fn check_variables(env: &[(String, String)]) -> Result<(), Failure> {
    match env.iter().find(|(name, value)| refused_variable(name) || value.contains('\0')) {
        Some((name, _)) => Err(Failure::BadVariable { name: name.chars().take(80).collect() }),
        None => Ok(()),
    }
}

/// A path that stays where it is put: relative, not empty, no `..`, and written in the one way that names it.
pub(super) fn check_relative(path: &str) -> Result<(), Failure> {
    let parts = Path::new(path).components();
    let plain = parts.clone().all(|part| matches!(part, Component::Normal(_))) && parts.count() > 0;
    if plain && !path.contains('\0') && path.len() <= 1024 {
        Ok(())
    } else {
        Err(Failure::BadPath { path: path.into() })
    }
}

/// Variables that make an allowed command load or run something else; those that glibc ignores in set-user-id
/// programs (`unsecvars.h`), and their like in shells and interpreters. The list is a fence, not a wall: allowing an
/// interpreter allows everything anyhow.
fn refused_variable(name: &str) -> bool {
    name.is_empty()
        || name.contains(['=', '\0'])
        || REFUSED_NAMES.contains(&name)
        || REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

const REFUSED_NAMES: [&str; 26] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "IFS",
    "ENV",
    "BASH_ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "LOCPATH",
    "NIS_PATH",
    "NLSPATH",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "TZDIR",
    "PERL5LIB",
    "PERL5OPT",
    "RUBYLIB",
    "RUBYOPT",
    "NODE_OPTIONS",
    "JAVA_TOOL_OPTIONS",
];
const REFUSED_PREFIXES: [&str; 6] = ["LD_", "DYLD_", "MALLOC_", "MESH_", "PYTHON", "BASH_FUNC_"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_stay_inside_are_taken() {
        for good in ["a", "a/b.txt", "data/x y", ".hidden", "./a"] {
            if good == "./a" {
                assert!(check_relative(good).is_err(), "one file has one name");
            } else {
                assert_eq!(check_relative(good), Ok(()), "{good}");
            }
        }
        for bad in ["", ".", "..", "../a", "a/../b", "/etc/passwd", "a\0b", "/"] {
            assert!(check_relative(bad).is_err(), "{bad:?}");
        }
        assert!(check_relative(&"a/".repeat(600)).is_err());
    }

    #[test]
    fn variables_that_change_the_command_are_refused() {
        for bad in ["LD_PRELOAD", "PATH", "MESH_FENCE", "PYTHONPATH", "", "A=B", "BASH_ENV"] {
            assert!(refused_variable(bad), "{bad}");
        }
        for good in ["LEVEL", "RUST_LOG", "OMP_NUM_THREADS"] {
            assert!(!refused_variable(good), "{good}");
        }
    }

    #[test]
    fn a_command_that_no_node_would_start_is_refused() {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let variable = |name: &str, value: &str| vec![(name.to_string(), value.to_string())];
        assert_eq!(check_command(&words(&["true", "x"]), &variable("LEVEL", "3")), Ok(()));
        assert_eq!(check_command(&[], &[]), Err(Failure::BadArguments));
        assert_eq!(check_command(&words(&["true", "a\0b"]), &[]), Err(Failure::BadArguments));
        for (name, value) in [("PATH", "/x"), ("LEVEL", "a\0b")] {
            let refused = check_command(&words(&["true"]), &variable(name, value));
            assert_eq!(refused, Err(Failure::BadVariable { name: name.into() }));
        }
        let most = "a".repeat(MAX_WORD_BYTES);
        assert_eq!(check_command(&words(&["true", &most]), &[]), Ok(()));
        for (argv, env) in [
            (words(&["true", &format!("{most}a")]), Vec::new()),
            (words(&["true"]), variable("LEVEL", &most)),
            (words(&["true", &most, &most, &most, &most, "a"]), Vec::new()),
        ] {
            assert!(matches!(check_command(&argv, &env), Err(Failure::TooLong { .. })));
        }
    }

    #[test]
    fn the_documents_name_every_variable_that_is_refused() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/http.md")).unwrap();
        let prefixes = REFUSED_PREFIXES.map(|prefix| format!("{prefix}*"));
        for name in REFUSED_NAMES.into_iter().chain(prefixes.iter().map(String::as_str)) {
            assert!(page.split(|c: char| c.is_whitespace() || "`,.;".contains(c)).any(|word| word == name), "{name}");
        }
    }

    #[test]
    fn the_operator_s_limit_is_an_upper_bound() {
        let ours = Limits { output_bytes: 10, memory_bytes: Some(5), ..Limits::default() };
        let theirs = Limits { output_bytes: 20, memory_bytes: None, cpu_seconds: Some(3), ..Limits::default() };
        let both = theirs.within(ours);
        assert_eq!((both.output_bytes, both.memory_bytes, both.cpu_seconds), (10, Some(5), Some(3)));
    }
}
