//! Where the data directory is.

use std::ffi::OsString;
use std::path::PathBuf;

/// The data directory where none is named: what systemd made for the service (`$STATE_DIRECTORY`, with
/// `StateDirectory=meshd` that is `/var/lib/meshd`), else `$XDG_DATA_HOME/meshd`, else `$HOME/.local/share/meshd`, else
/// `/var/lib/meshd`. `variable` reads an environment variable.
pub fn default_data_dir(variable: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    // A relative path would move with the working directory, and the XDG specification says to ignore one.
    let directory = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // systemd separates several by colons; a unit of ours has one.
    directory("STATE_DIRECTORY")
        .or_else(|| directory("XDG_DATA_HOME").map(|path| path.join("meshd")))
        .or_else(|| directory("HOME").map(|path| path.join(".local/share/meshd")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/meshd"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_to_the_operator_wins() {
        let dir = |set: &[(&str, &str)]| {
            let set: Vec<_> = set.iter().map(|(n, v)| ((*n).to_owned(), OsString::from(v))).collect();
            default_data_dir(&move |name| set.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()))
        };
        let (state, xdg, home) = (("STATE_DIRECTORY", "/var/lib/meshd"), ("XDG_DATA_HOME", "/x"), ("HOME", "/h"));
        assert_eq!(dir(&[state, xdg, home]), PathBuf::from("/var/lib/meshd"));
        assert_eq!(dir(&[xdg, home]), PathBuf::from("/x/meshd"));
        assert_eq!(dir(&[("XDG_DATA_HOME", "relative"), home]), PathBuf::from("/h/.local/share/meshd"));
        assert_eq!(dir(&[]), PathBuf::from("/var/lib/meshd"));
    }
}
