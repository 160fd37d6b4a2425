//! What a bench prints for programs.

use super::Mesh;
use super::verbs::{lines, meshd, run};

#[tokio::test]
async fn bench_map_says_how_long_results_took_and_under_what() {
    let copies = |options: &mut meshd::testnet::Options| {
        options.more = "[tasks]\ncopies = 1\n".into();
        options.slots = Some(2);
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
