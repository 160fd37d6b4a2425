//! Precedence, origins, and what is said of mistakes.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn file(text: &str) -> Sources {
    Sources {
        file: Some(FileSource { path: PathBuf::from("meshd.toml"), text: text.to_owned() }),
        ..Sources::default()
    }
}

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { environment, ..Sources::default() }
}

fn problems(sources: &Sources) -> Vec<String> {
    match load(sources) {
        Err(ConfigError::Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn the_defaults_are_valid_and_survive_a_file() {
    let loaded = load(&Sources::default()).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.entries().iter().all(|entry| entry.origin == Origin::Default));
    // What `config show` prints can be written into a file.
    let lines: Vec<_> = loaded
        .entries()
        .iter()
        .filter(|entry| !entry.value.is_null())
        .map(|entry| format!("{} = {}", entry.key, entry.text()))
        .collect();
    assert_eq!(load(&file(&lines.join("\n"))).unwrap().config, Config::default());
}

#[test]
fn every_section_is_checked() {
    let Ok(serde_json::Value::Object(values)) = serde_json::to_value(Config::default()) else { panic!("no object") };
    let mut checked: Vec<_> = Config::default().sections().iter().map(|(name, _)| (*name).to_owned()).collect();
    checked.sort();
    assert_eq!(checked, values.keys().cloned().collect::<Vec<_>>());
}

#[test]
fn later_sources_win_and_are_named() {
    let mut sources = file("[api]\nlisten = \"127.0.0.1:1\"\n[tasks]\ncopies = 1\n[blob]\nquota = \"1GiB\"");
    sources.environment = vec![
        ("MESHD_API__LISTEN".to_owned(), "127.0.0.1:2".to_owned()),
        ("MESHD_TASKS__COPIES".to_owned(), "2".to_owned()),
    ];
    sources.flags = vec![Override::text("api.listen", "127.0.0.1:3", "--api-listen")];
    let loaded = load(&sources).unwrap();
    assert_eq!(loaded.config.api.listen.port(), 3);
    assert_eq!(loaded.config.tasks.copies, 2);
    assert_eq!(loaded.config.blob.quota, Size::from_gib(1));
    assert_eq!(loaded.origin("api.listen"), Origin::Flag("--api-listen".to_owned()));
    assert_eq!(loaded.origin("tasks.copies"), Origin::Environment("MESHD_TASKS__COPIES".to_owned()));
    assert_eq!(loaded.origin("blob.quota"), Origin::File(PathBuf::from("meshd.toml")));
    assert_eq!(loaded.origin("blob.upload_lease"), Origin::Default);
}

#[test]
fn texts_are_read_as_the_key_wants_them() {
    let config = load(&environment(&[
        ("MESHD_NETWORK__MDNS", "false"),
        ("MESHD_NETWORK__IDLE_TIMEOUT", "1m30s"),
        ("MESHD_EXEC__ALLOW", "gzip, sha256sum"),
        ("MESHD_API__METRICS_LISTEN", "127.0.0.1:9"),
        ("MESHD_NODE__NAME", "7"),
        ("MESHD_TRACING__FORMAT", "json"),
    ]))
    .unwrap()
    .config;
    assert!(!config.network.mdns);
    assert_eq!(config.network.idle_timeout, Span::from_secs(90));
    assert_eq!(config.exec.allow, ["gzip", "sha256sum"]);
    assert_eq!(config.api.metrics_listen.map(|address| address.port()), Some(9));
    assert_eq!(config.node.name.as_deref(), Some("7"));
    assert_eq!(config.tracing.format, sections::LogFormat::Json);
}

#[test]
fn a_repeated_flag_replaces_the_list() {
    let mut sources = file("[exec]\nallow = [\"gzip\"]");
    sources.flags = vec![Override::list("exec.allow", ["true", "false"], "--allow")];
    assert_eq!(load(&sources).unwrap().config.exec.allow, ["true", "false"]);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest() {
    for (text, expected) in [
        ("[api]\nlistne = \"x\"", "api.listne: there is no such key; did you mean api.listen?"),
        ("[netwrok]\nmdns = true", "netwrok: there is no such key; did you mean network?"),
        ("mdns = true", "mdns: there is no such key; did you mean network.mdns?"),
        ("[api]\nmdns = true", "api.mdns: there is no such key; did you mean network.mdns?"),
        ("[weather]\nrain = true", "weather: there is no such key; `meshd config show` lists them all"),
        ("api = 3", "api: is a section; write its keys under [api]"),
    ] {
        assert_eq!(problems(&file(text)), [format!("{expected} (from file meshd.toml)")]);
    }
    let found = problems(&environment(&[("MESHD_API__LISTNE", "x")]));
    assert_eq!(
        found,
        ["api.listne: there is no such key; did you mean api.listen? (from environment MESHD_API__LISTNE)"]
    );
}

#[test]
fn every_problem_is_named_at_once_with_its_origin() {
    let mut sources = file("[tasks]\ncopies = 9\n[log]\nsegment_size = \"64\"\n[network]\nidle_timeout = 3");
    sources.flags = vec![Override::text("api.listen", "nowhere", "--api-listen")];
    let found = problems(&sources).join("\n");
    for part in [
        "tasks.copies: 9 is outside 1 to 5 (from file meshd.toml)",
        "log.segment_size: \"64\" lacks a unit; write it like \"2GiB\"",
        "network.idle_timeout: invalid type: integer `3`, expected a text with a number and a unit",
        "api.listen: invalid socket address syntax (from flag --api-listen)",
    ] {
        assert!(found.contains(part), "{part:?} is not in:\n{found}");
    }
}

#[test]
fn who_lives_does_not_count_as_silent_by_configuration() {
    let of = |heartbeat: &str, timeout: &str| {
        environment(&[("MESHD_MEMBERSHIP__HEARTBEAT", heartbeat), ("MESHD_MEMBERSHIP__TIMEOUT", timeout)])
    };
    assert!(load(&of("5s", "10s")).is_ok());
    for (heartbeat, timeout, wrong) in
        [("6s", "10s", "timeout"), ("100ms", "10s", "heartbeat"), ("3s", "2h", "timeout")]
    {
        let found = problems(&of(heartbeat, timeout));
        assert!(found.len() == 1 && found[0].starts_with(&format!("membership.{wrong}: ")), "{found:?}");
    }
}

#[test]
fn a_profile_says_both_times_itself() {
    let lan = ("MESHD_MEMBERSHIP__PROFILE", "lan");
    assert!(load(&environment(&[lan])).is_ok());
    let found = problems(&environment(&[lan, ("MESHD_MEMBERSHIP__TIMEOUT", "20s")]));
    assert!(found.len() == 1 && found[0].starts_with("membership.profile: "), "{found:?}");
}

#[test]
fn elections_are_not_held_while_a_leader_lives_by_configuration() {
    let of = |heartbeat: &str, least: &str, most: &str| {
        environment(&[
            ("MESHD_RAFT__HEARTBEAT", heartbeat),
            ("MESHD_RAFT__ELECTION_MIN", least),
            ("MESHD_RAFT__ELECTION_MAX", most),
        ])
    };
    assert!(load(&of("20ms", "30ms", "40ms")).is_ok());
    assert!(load(&of("5s", "20s", "60s")).is_ok());
    for (heartbeat, least, most, expected) in [
        ("1s", "1s", "3s", "raft.election_min: is not longer than raft.heartbeat, 1s: who follows would stand"),
        ("200ms", "500ms", "500ms", "raft.election_max: is not longer than raft.election_min, 500ms: all would stand"),
        ("300ms", "350ms", "599ms", "raft.election_max: is shorter than two heartbeats, 600ms: one that is late"),
        ("200ms", "350ms", "2m", "raft.election_max: 2m is outside 40ms to 1m"),
        ("10ms", "350ms", "500ms", "raft.heartbeat: 10ms is outside 20ms to 5s"),
        ("20500us", "350ms", "500ms", "raft.heartbeat: 20ms500us is no whole number of milliseconds"),
    ] {
        let found = problems(&of(heartbeat, least, most));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:#?}");
    }
    // A heartbeat alone, against the defaults of the others: the one that does not fit is named, with who gave it.
    let found = problems(&file("[raft]\nheartbeat = \"1s\""));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("raft.election_min: ") && found[1].starts_with("raft.election_max: "), "{found:#?}");
}

#[test]
fn what_raft_keeps_has_bounds() {
    let found = problems(&file(
        "[raft]\nsnapshot_bytes = \"512KiB\"\nsnapshot_entries = 10\nkept_log = \"1MiB\"\ninstall_timeout = \"0s\"",
    ));
    let keys: Vec<_> = found.iter().filter_map(|problem| problem.split(':').next()).collect();
    let expected = ["raft.snapshot_bytes", "raft.snapshot_entries", "raft.kept_log", "raft.install_timeout"];
    assert_eq!(keys, expected, "{found:#?}");
    let mut sources = file("raft.snapshot_entries = 2000\nraft.kept_log = \"1MiB\"");
    sources.environment = vec![("MESHD_RAFT__SNAPSHOT_ENTRIES".to_owned(), "3000".to_owned())];
    let loaded = load(&sources).unwrap();
    assert_eq!((loaded.config.raft.snapshot_entries, loaded.config.raft.kept_log), (3_000, Size::from_mib(1)));
    let variable = Origin::Environment("MESHD_RAFT__SNAPSHOT_ENTRIES".to_owned());
    assert_eq!(loaded.origin("raft.snapshot_entries"), variable);
}

#[test]
fn what_types_let_through_is_checked() {
    let mut sources = environment(&[
        ("MESHD_NETWORK__LISTEN", ""),
        ("MESHD_API__METRICS_LISTEN", "127.0.0.1:7441"),
        ("MESHD_LOG__SEGMENT_SIZE", "1048577B"),
        ("MESHD_EXEC__ALLOW", "bin/sh"),
        ("MESHD_NODE__NAME", ""),
        ("MESHD_TRACING__FILTER", "meshd=loud"),
    ]);
    sources.flags = vec![Override::text("blob.free_floor", "1B", "--free-floor")];
    let found = problems(&sources);
    let keys: Vec<_> = found.iter().filter_map(|problem| problem.split(':').next()).collect();
    let expected =
        ["node.name", "network.listen", "api.metrics_listen", "log.segment_size", "exec.allow", "blob.free_floor"];
    assert_eq!(keys[..6], expected, "{found:#?}");
    assert_eq!(keys[6..], ["tracing.filter"]);
}

#[test]
fn a_syntax_error_names_file_and_place() {
    let error = load(&file("[api\nlisten = 3")).unwrap_err().to_string();
    assert!(error.starts_with("meshd.toml: ") && error.contains("line 1"), "{error}");
}

#[test]
fn a_missing_file_is_an_error_only_where_it_was_named() {
    let path = tempfile::tempdir().unwrap().path().join("meshd.toml");
    assert!(matches!(FileSource::read(&path), Err(ConfigError::Read { .. })));
    assert!(FileSource::read_if_present(&path).unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_file_panics(text in "(?s).{0,200}") {
        drop(load(&file(&text)));
    }

    #[test]
    fn no_value_of_any_key_panics(key in prop::sample::select(leaf_keys(&Config::default()).into_keys().collect::<Vec<_>>()), value in ".{0,60}") {
        let flags = vec![Override::text(&key, &value, "--any")];
        drop(load(&Sources { flags, ..Sources::default() }));
        drop(load(&file(&format!("{key} = {value}"))));
    }

    #[test]
    fn the_latest_source_that_speaks_wins(from_file in prop::option::of(1u32..=5), from_env in prop::option::of(1u32..=5), from_flag in prop::option::of(1u32..=5)) {
        let mut sources = file(&from_file.map_or(String::new(), |copies| format!("tasks.copies = {copies}")));
        sources.environment = from_env.iter().map(|copies| ("MESHD_TASKS__COPIES".to_owned(), copies.to_string())).collect();
        sources.flags = from_flag.iter().map(|copies| Override::text("tasks.copies", copies, "--copies")).collect();
        let expected = from_flag.or(from_env).or(from_file).unwrap_or(Config::default().tasks.copies);
        prop_assert_eq!(load(&sources).unwrap().config.tasks.copies, expected);
    }
}

#[test]
fn the_weights_of_an_auction_are_shares_of_one() {
    let weights = |capability: &str, load: &str| {
        environment(&[("MESHD_AUCTION__CAPABILITY", capability), ("MESHD_AUCTION__LOAD", load)])
    };
    let loaded = load(&weights("0.5", "0.2")).unwrap();
    assert_eq!((loaded.config.auction.capability, loaded.config.auction.load), (0.5, 0.2));
    for (capability, load, expected) in [
        ("0.5", "0.3", "auction.capability: and load, performance and resources sum to 1.1, and not to 1"),
        ("1.2", "-0.5", "auction.capability: 1.2 is not between 0 and 1"),
    ] {
        let found = problems(&weights(capability, load));
        assert!(found.first().is_some_and(|problem| problem.starts_with(expected)), "{found:#?}");
    }
    let found = problems(&file("[auction]\nbidding_time = \"0s\""));
    assert!(found.len() == 1 && found[0].starts_with("auction.bidding_time: "), "{found:#?}");
}
