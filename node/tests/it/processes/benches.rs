//! What a bench prints for programs.

use super::Mesh;
use super::verbs::{lines, meshd, run};

#[tokio::test]
async fn bench_map_says_how_long_results_took_and_under_what() {
    let copies = |options: &mut meshd::testnet::Options| {
        options.more = "[tasks]\ncopies = 1\n".into();
        options.slots = vec![2];
    };
    let mesh = Mesh::up_with(2, copies).await;
    let dir = mesh.net.dir().display().to_string();
    let words = ["bench", "map", "--files", "4", "--size", "1KiB", "--command", "cat", "--output", "json"];
    let words = [&words[..], &["--testnet", &dir]].concat();
    let (code, stdout, stderr) = run(meshd(&mesh, &[0], mesh.net.dir(), &words)).await;
    assert_eq!(code, 0, "{stderr}");
    let figures = &lines(&stdout)[0];
    let number = |key: &str| figures[key].as_f64().unwrap_or_else(|| panic!("no {key}: {figures}"));
    assert!(number("p50_ms") > 0.0 && number("p50_ms") <= number("p90_ms"), "{figures}");
    assert!(number("p90_ms") <= number("p99_ms") && number("p99_ms") <= number("wall_ms"), "{figures}");
    assert_eq!((&figures["replicas"], &figures["nodes"], &figures["lost"]), (&1.into(), &2.into(), &0.into()));
    let settings = &figures["settings"];
    assert_eq!((&settings["program"], &settings["slots"]), (&"cat".into(), &2.into()), "{figures}");
    assert_eq!(settings["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn bench_map_compares_a_program_of_webassembly_with_its_engine_alone() {
    let mesh = Mesh::up(2).await;
    let dir = mesh.net.dir().display().to_string();
    let words = |program: &str| {
        let program = format!("{}/examples/wasm/{program}", env!("CARGO_MANIFEST_DIR"));
        let words = ["bench", "map", "--files", "3", "--size", "1KiB", "--wasm", &program, "--testnet", &dir];
        [&words[..], &["--output", "json"]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let bench = async |program: &str| {
        let words = words(program);
        run(meshd(&mesh, &[0], mesh.net.dir(), &words.iter().map(String::as_str).collect::<Vec<_>>())).await
    };
    for program in ["wc.wasm", "wc.component.wasm"] {
        let (code, stdout, stderr) = bench(program).await;
        assert_eq!(code, 0, "{program}: {stderr}");
        let figures = &lines(&stdout)[0];
        // What each file's task wrote is what the program writes by its engine alone.
        assert_eq!((&figures["lost"], &figures["count"], &figures["nodes"]), (&0.into(), &3.into(), &2.into()));
        let settings = &figures["settings"];
        assert!(settings["program"].as_str().is_some_and(|title| title.ends_with(program)), "{figures}");
        assert_eq!((&settings["warm_up"], &figures["in_place"]), (&3.into(), &false.into()), "{figures}");
        let number = |key: &str| figures[key].as_f64().unwrap_or_else(|| panic!("no {key}: {figures}"));
        assert!(number("p50_ms") > 0.0 && number("p99_ms") <= number("wall_ms"), "{figures}");
        assert!(number("serial_cpu_ms") < number("wall_ms"), "{figures}");
    }
    // A program that fails alone is not measured.
    let (code, stdout, stderr) = bench("thumbnail.wasm").await;
    assert!(code != 0 && stdout.is_empty() && stderr.contains("thumbnail.wasm"), "{code} {stdout}{stderr}");
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn bench_consensus_counts_what_was_agreed_on_and_compares_the_replicas() {
    let _turn = super::TURN.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let words = ["bench", "consensus", "--rate", "200", "--seconds", "6", "--warm-up", "1", "--payload", "128"];
    let more = ["--gateways", "2", "--kill-primary-at", "2", "--output", "json", "--dir"];
    let mut bench = std::process::Command::new(env!("CARGO_BIN_EXE_meshd"));
    bench.args(words).args(more).arg(dir.path());
    let (code, stdout, stderr) = run(bench).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    let figures = &lines(&stdout)[0];
    let number = |key: &str| figures[key].as_f64().unwrap_or_else(|| panic!("no {key}: {figures}"));
    assert_eq!(
        (&figures["replicas"], &figures["nodes"], &figures["payload_bytes"]),
        (&4.into(), &6.into(), &128.into())
    );
    assert_eq!((number("due"), number("wrong"), number("unanswered")), (1200.0, 0.0, 0.0), "{figures}");
    assert!(number("count") > 0.0 && number("read_back") > 0.0, "{figures}");
    assert!(number("p50_ms") <= number("p90_ms") && number("p90_ms") <= number("p99_ms"), "{figures}");
    // Nobody offered less while there was no primary: who was due first after it was killed has waited until the first
    // answer, but for the time until it was due: the rest of a slice of 5 ms, and 10 ms at 100 a second from each gateway.
    let waited = number("max_ms") + 20.0;
    assert!(number("view_changes") >= 1.0 && waited >= number("first_commit_ms"), "{figures}");
    assert_eq!(figures["digests_equal"], true, "{figures}");
    assert_eq!(figures["standings"].as_array().map(Vec::len), Some(3), "{figures}");
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "something is left");

    assert_eq!(figures["settings"]["engine"], "pbft", "{figures}");

    let mut alone = std::process::Command::new(env!("CARGO_BIN_EXE_meshd"));
    alone.args(["bench", "gateway", "--data-dir"]).arg(dir.path()).stdin(std::process::Stdio::null());
    let (code, _, stderr) = run(alone).await;
    assert!(code == 2 && stderr.contains("bench consensus"), "{code} {stderr}");
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn bench_consensus_measures_raft_as_well() {
    let _turn = super::TURN.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let words = ["bench", "consensus", "--engine", "raft", "--rate", "200", "--seconds", "6", "--warm-up", "1"];
    let more = ["--gateways", "1", "--kill-primary-at", "2", "--output", "json", "--dir"];
    let mut bench = std::process::Command::new(env!("CARGO_BIN_EXE_meshd"));
    bench.args(words).args(more).arg(dir.path());
    let (code, stdout, stderr) = run(bench).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    let figures = &lines(&stdout)[0];
    let number = |key: &str| figures[key].as_f64().unwrap_or_else(|| panic!("no {key}: {figures}"));
    assert_eq!((&figures["settings"]["engine"], &figures["replicas"]), (&"raft".into(), &3.into()), "{figures}");
    assert_eq!((number("due"), number("wrong"), number("unanswered")), (1200.0, 0.0, 0.0), "{figures}");
    assert!(number("count") > 0.0 && number("read_back") > 0.0 && number("view_changes") >= 1.0, "{figures}");
    assert!(number("first_commit_ms") > 0.0 && figures["checkpoints"].is_null(), "{figures}");
    let standings = figures["standings"].as_array().expect("standings");
    let said = |key: &str| standings.iter().map(|standing| standing[key].clone()).collect::<Vec<_>>();
    assert!(standings.len() == 2 && said("executed")[0] == said("executed")[1], "{figures}");
    assert!(said("digest")[0].is_string() && said("digest")[0] == said("digest")[1], "{figures}");
    assert_eq!(figures["digests_equal"], true, "{figures}");
}
