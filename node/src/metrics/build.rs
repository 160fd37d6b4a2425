//! Which build runs.

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// The commit that was built, where whoever built it said so in `MESHD_COMMIT`.
pub const COMMIT: &str = match option_env!("MESHD_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Registers `mesh_build_info`.
pub(super) fn register(registry: &mut Registry) {
    let labels = Info::new(vec![("version", env!("CARGO_PKG_VERSION")), ("commit", COMMIT)]);
    registry.register("mesh_build", "Version and commit of this build", labels);
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;

    #[test]
    fn the_version_is_told() {
        let body = Metrics::new().encode().unwrap();
        let line = body.lines().find(|line| line.starts_with("mesh_build_info{")).unwrap();
        assert!(line.contains(env!("CARGO_PKG_VERSION")) && line.contains("commit="), "{line}");
    }
}
