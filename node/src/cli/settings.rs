//! The flags that every verb takes, and the configuration that they lead to.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use mesh_proto::time::Wall;

use super::Failure;
use super::output::Format;
use crate::config::{self, FileSource, Loaded, Override, Sources};

/// The flags that every verb takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// The directory of key, network, log and blobs.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration file; without it, meshd.toml in the data directory if there is one.
    #[arg(long, global = true, value_name = "FILE", env = "MESHD_CONFIG")]
    config: Option<PathBuf>,
    /// The node to ask, like http://127.0.0.1:7441; several are tried in turn. Default: MESHD_API, unless --data-dir is
    /// given; else the node of the data directory.
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',')]
    api: Vec<String>,
    /// The file with the API's token. Default: MESHD_TOKEN_FILE, unless --data-dir is given; else api-token in the data
    /// directory.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The format of what is printed.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(super) output: Format,
}

/// The configuration file, where none is named.
const FILE: &str = "meshd.toml";
/// The variable that sets `node.data_dir`.
const DATA_DIR: &str = "MESHD_NODE__DATA_DIR";

impl Global {
    /// The configuration in force, with `flags` on top.
    pub(super) fn load(&self, flags: Vec<Override>) -> Result<Loaded, Failure> {
        let mut sources = self.sources()?;
        sources.flags.extend(flags);
        if let Some(path) = &self.config {
            sources.file = Some(FileSource::read(path)?);
            return Ok(config::load(&sources)?);
        }
        let directory = config::load(&sources)?.config.node.data_dir;
        let path = directory.join(FILE);
        sources.file = FileSource::read_if_present(&path)?;
        let loaded = config::load(&sources)?;
        if loaded.config.node.data_dir != directory {
            let message = format!(
                "{} sets node.data_dir to another directory than the one it is in; name the file with --config",
                path.display()
            );
            return Err(Failure::Usage(message));
        }
        Ok(loaded)
    }

    /// The nodes to ask, if any are named.
    pub(super) fn apis(&self) -> Vec<String> {
        match self.api.is_empty() {
            false => self.api.clone(),
            true => {
                let given = self.variable("MESHD_API").unwrap_or_default();
                let given = given.to_string_lossy();
                given.split(',').filter(|url| !url.is_empty()).map(str::to_owned).collect()
            }
        }
    }

    /// The file with the API's token, if it is named.
    pub(super) fn token_file(&self) -> Option<PathBuf> {
        self.token_file.clone().or_else(|| self.variable("MESHD_TOKEN_FILE").map(PathBuf::from))
    }

    /// What a shell was told once gives way to a directory that is named for this verb alone.
    fn variable(&self, name: &str) -> Option<OsString> {
        match self.data_dir {
            Some(_) => None,
            None => std::env::var_os(name).filter(|value| !value.is_empty()),
        }
    }

    /// The file that `config check` looks at when none is named: the one that would be read.
    pub(super) fn file(&self) -> Result<PathBuf, Failure> {
        match &self.config {
            Some(path) => Ok(path.clone()),
            None => {
                let mut sources = self.sources()?;
                // Only what says where it is: the rest is not what is checked.
                sources.environment.retain(|(name, _)| name == DATA_DIR);
                Ok(config::load(&sources)?.config.node.data_dir.join(FILE))
            }
        }
    }

    /// The environment, and the flags that every verb takes.
    fn sources(&self) -> Result<Sources, Failure> {
        let mut sources = Sources { environment: config::read_environment(std::env::vars_os()), ..Sources::default() };
        match &self.data_dir {
            Some(path) => {
                sources.flags.push(Override::text("node.data_dir", as_text(path, "--data-dir")?, "--data-dir"))
            }
            // Read as text it would be another directory.
            None => {
                std::env::var_os(DATA_DIR).iter().try_for_each(|path| as_text(path.as_ref(), DATA_DIR).map(drop))?
            }
        }
        Ok(sources)
    }
}

/// A path as the configuration takes it, which is a text file.
fn as_text<'a>(path: &'a Path, given_by: &str) -> Result<&'a str, Failure> {
    path.to_str().ok_or_else(|| {
        Failure::Usage(format!("{given_by} {}: the name is no UTF-8; name another directory", path.display()))
    })
}

/// The date. A clock before 1970 is set wrong, and certificates will say so.
pub(super) fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    fn global(data_dir: &Path) -> Global {
        Global {
            data_dir: Some(data_dir.to_owned()),
            config: None,
            api: vec![],
            token_file: None,
            output: Format::Text,
        }
    }

    #[test]
    fn the_file_in_the_data_directory_is_read_and_flags_go_over_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meshd.toml");
        assert_eq!(global(dir.path()).load(Vec::new()).unwrap().origin("tasks.copies"), Origin::Default);
        std::fs::write(&path, "[tasks]\ncopies = 2\nblob_copies = 1").unwrap();
        let loaded = global(dir.path()).load(vec![Override::text("tasks.copies", 1, "--copies")]).unwrap();
        assert_eq!((loaded.config.tasks.copies, loaded.config.tasks.blob_copies), (1, 1));
        assert_eq!(loaded.origin("tasks.blob_copies"), Origin::File(path));
        assert_eq!(loaded.origin("node.data_dir"), Origin::Flag("--data-dir".to_owned()));
    }

    #[cfg(unix)]
    #[test]
    fn a_data_directory_that_is_no_text_is_refused_and_not_mistaken_for_another() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/tmp/mesh-\xff"));
        for refused in [global(path).load(Vec::new()).map(drop), global(path).file().map(drop)] {
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("--data-dir") && said.contains("UTF-8"), "{said}");
        }
    }

    #[test]
    fn a_named_file_may_set_the_data_directory_and_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("elsewhere.toml");
        let named =
            Global { data_dir: None, config: Some(path.clone()), api: vec![], token_file: None, output: Format::Text };
        assert!(matches!(named.load(Vec::new()), Err(Failure::Config(config::ConfigError::Read { .. }))));
        std::fs::write(&path, "[node]\ndata_dir = \"/srv/mesh\"").unwrap();
        assert_eq!(named.load(Vec::new()).unwrap().config.node.data_dir, PathBuf::from("/srv/mesh"));
    }
}
