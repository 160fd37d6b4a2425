//! Paths of their own machines are taken only by nodes whose operator allows it.

use super::Mesh;
use super::verbs::{meshd, run};

#[tokio::test]
async fn paths_are_taken_only_where_the_operator_allows_it() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("a"), "a\n").unwrap();
    let words = ["map", "--exec", "--in-place", "--", "cat", ":::", "a"];
    for (allowed, code, said) in [(true, 0, ""), (false, 1, "exec.in_place")] {
        let mesh = Mesh::up_with(1, |options| options.in_place = allowed).await;
        let (ended, stdout, stderr) = run(meshd(&mesh, &[0], here.path(), &words)).await;
        assert_eq!((ended, stdout.as_str()), (code, if allowed { "a\n" } else { "" }), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
}
