//! Which host commands tasks may name, and which file each name is.

use super::outcome::Failure;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Command names resolved once, at start, to absolute paths: what `PATH` says later changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    commands: BTreeMap<String, PathBuf>,
    warnings: Vec<String>,
}

/// The operator allowed something that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    #[error("allowed command `{name}` was not found as an executable file in {path}; install it, or remove the name")]
    NotFound { name: String, path: String },
    #[error("allowed command `{name}`: give a bare name, or an absolute path to an executable file")]
    NotExecutable { name: String },
    #[error("two allowed commands have the name `{name}`: {first} and {second}")]
    Twice { name: String, first: PathBuf, second: PathBuf },
}

impl Allowed {
    /// Finds each name in `path` (as the variable `PATH`: directories between colons; relative ones are skipped). An
    /// absolute path allows that file under its last part as name.
    pub fn resolve(names: &[String], path: &str) -> Result<Self, AllowError> {
        let mut allowed = Self::default();
        for entry in names {
            let (name, file) = if entry.contains('/') { absolute(entry)? } else { (entry.clone(), find(entry, path)?) };
            if let Some(warning) = warning(&name) {
                allowed.warnings.push(warning);
            }
            if let Some(first) = allowed.commands.insert(name.clone(), file.clone())
                && first != file
            {
                return Err(AllowError::Twice { name, first, second: file });
            }
        }
        Ok(allowed)
    }

    /// What the operator should know about what was allowed, one sentence each; for the log at start.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Each name and the file it is, for `config show`.
    pub fn commands(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.commands.iter().map(|(name, path)| (name.as_str(), path.as_path()))
    }

    /// The file to execute for `argv[0]`; an absolute path is taken when it is exactly an allowed file.
    pub fn get(&self, name: &str) -> Result<&Path, Failure> {
        if let Some(path) = self.commands.get(name) {
            return Ok(path);
        }
        if let Some(path) = self.commands.values().find(|path| path.as_os_str() == name) {
            return Ok(path);
        }
        let hint = if self.commands.is_empty() {
            "the operator of this node allows no commands".to_string()
        } else {
            let names: Vec<&str> = self.commands.keys().map(String::as_str).take(20).collect();
            format!("the operator of this node allows {}", names.join(", "))
        };
        Err(Failure::NotAllowed { name: name.chars().take(200).collect(), hint })
    }
}

fn absolute(entry: &str) -> Result<(String, PathBuf), AllowError> {
    let path = Path::new(entry);
    let name = path.file_name().and_then(|name| name.to_str());
    match name {
        Some(name) if path.is_absolute() && is_executable(path) => Ok((name.to_string(), path.to_path_buf())),
        _ => Err(AllowError::NotExecutable { name: entry.to_string() }),
    }
}

fn find(name: &str, path: &str) -> Result<PathBuf, AllowError> {
    let directories = std::env::split_paths(path).filter(|directory| directory.is_absolute());
    directories
        .map(|directory| directory.join(name))
        .find(|file| !name.is_empty() && is_executable(file))
        .ok_or_else(|| AllowError::NotFound { name: name.to_string(), path: path.to_string() })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Commands that run whatever they are told: to allow one is to allow all.
fn warning(name: &str) -> Option<String> {
    const SHELLS: [&str; 10] = ["sh", "bash", "dash", "zsh", "ksh", "fish", "busybox", "csh", "tcsh", "pwsh"];
    const RUNNERS: [&str; 14] = [
        "env", "xargs", "find", "sudo", "su", "doas", "nohup", "nice", "timeout", "setsid", "ssh", "make", "awk",
        "gawk",
    ];
    const INTERPRETERS: [&str; 9] = ["python", "perl", "ruby", "node", "php", "lua", "tclsh", "java", "deno"];
    let is_interpreter = INTERPRETERS
        .iter()
        .any(|known| name.strip_prefix(known).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.')));
    (SHELLS.contains(&name) || RUNNERS.contains(&name) || is_interpreter).then(|| {
        format!("allowing `{name}` lets every member of the mesh run any program as this user, not only `{name}`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "relative:/usr/bin:/bin";

    #[test]
    fn names_become_absolute_paths_and_the_rest_is_refused_by_name() {
        let allowed = Allowed::resolve(&["true".into()], PATH).unwrap();
        assert!(allowed.get("true").unwrap().is_absolute());
        assert!(allowed.warnings().is_empty());
        let refused = allowed.get("rm").unwrap_err().to_string();
        assert!(refused.contains("`rm`") && refused.contains("allows true"), "{refused}");
    }

    #[test]
    fn an_unknown_name_is_the_operator_s_error() {
        let error = Allowed::resolve(&["no-such-command".into()], PATH).unwrap_err();
        assert!(matches!(error, AllowError::NotFound { .. }));
        assert!(Allowed::resolve(&["bin/true".into()], PATH).is_err());
        assert!(Allowed::resolve(&["/etc/passwd".into()], PATH).is_err());
    }

    #[test]
    fn shells_and_interpreters_warn() {
        for name in ["sh", "env", "python3", "python3.12", "perl"] {
            assert!(warning(name).is_some(), "{name}");
        }
        for name in ["gzip", "sha256sum", "pythonic", "nodeinfo"] {
            assert!(warning(name).is_none(), "{name}");
        }
    }
}
