//! Environment variables that set configuration: `MESHD_SECTION__KEY`.

use std::ffi::OsString;

/// Variables that may set configuration start so.
const PREFIX: &str = "MESHD_";

/// The variables of `variables` (as of [`std::env::vars_os`]) that name a key, with that key: `MESHD_API__LISTEN` is
/// `api.listen`. Other variables that start with `MESHD_` but hold no `__` belong to flags and are left to these. What
/// is no UTF-8 is replaced, and then refused where its key is.
pub fn read_environment(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(String, String)> {
    let mut found: Vec<_> = variables
        .into_iter()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            name.strip_prefix(PREFIX)?.contains("__").then(|| (name, value.to_string_lossy().into_owned()))
        })
        .collect();
    // The order in which the system lists them says nothing, and two runs should print the same problems.
    found.sort();
    found
}

/// `MESHD_API__METRICS_LISTEN` to `api.metrics_listen`.
pub(super) fn key_of(variable: &str) -> String {
    variable.strip_prefix(PREFIX).unwrap_or(variable).to_ascii_lowercase().replace("__", ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_keys() {
        let given =
            ["MESHD_B__C", "HOME", "MESHD_CONFIG", "MESHD_A__B_C", "XMESHD_A__B"].map(|n| (n.into(), "v".into()));
        let found: Vec<_> = read_environment(given).into_iter().map(|(name, _)| key_of(&name)).collect();
        assert_eq!(found, ["a.b_c", "b.c"]);
    }
}
