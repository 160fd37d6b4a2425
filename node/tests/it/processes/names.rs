//! What people name: nodes, tasks and jobs as lists show them, the node to ask, the file to look at.

use super::verbs::{lines, meshd, run};
use super::{Mesh, until};
use std::process::Command;

#[tokio::test]
async fn what_a_list_shows_names_it_everywhere() {
    let mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("a"), "a\n").unwrap();
    let ask = async |words: &str| run(meshd(&mesh, &[1], here.path(), &words.split(' ').collect::<Vec<_>>())).await;
    for text in ["one", "two", "three", "four", "five"] {
        assert_eq!(ask(&format!("submit --echo {text}")).await.0, 0);
    }
    assert_eq!(ask("map --exec --name short -- cat ::: a").await.0, 0);

    // The job by the digits of the list, and a node by the end of its id.
    let (_, jobs, _) = ask("job list").await;
    let job = jobs.lines().nth(1).and_then(|row| row.split_whitespace().next()).expect(&jobs).to_owned();
    assert_eq!(job.len(), 12);
    let (code, tasks, stderr) = ask(&format!("task list --job {job} --output json")).await;
    assert_eq!((code, lines(&tasks).len()), (0, 2), "its record and its item: {tasks}{stderr}");
    let executor = lines(&tasks).iter().find_map(|row| row["node"].as_str().map(str::to_owned)).expect(&tasks);
    let (code, tasks, stderr) =
        ask(&format!("task list --node {} --output json", &executor[executor.len() - 8..])).await;
    assert!(code == 0 && !tasks.is_empty(), "{stderr}");
    assert!(lines(&tasks).iter().all(|row| row["node"] == executor.as_str()), "{tasks}");
    assert_eq!(ask("task list --node 2short").await.0, 2);

    // In the order in which they were placed, and it is said when there are more.
    let placed =
        |tasks: &str| lines(tasks).iter().map(|row| row["placed"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let (_, tasks, stderr) = ask("task list --output json").await;
    let times: Vec<jiff::Timestamp> = placed(&tasks).iter().map(|date| date.parse().unwrap()).collect();
    assert!(times.len() == 7 && times.is_sorted() && stderr.is_empty(), "{times:?}{stderr}");
    let (_, tasks, stderr) = ask("task list --output json --limit 3").await;
    assert!(lines(&tasks).len() == 3 && stderr.contains("more than these 3"), "{tasks}{stderr}");

    // Dead letters: no node could run it.
    assert_eq!(ask("submit --exec -- rm x").await.0, 1);
    assert_eq!(ask("submit --exec -- false").await.0, 1);
    let (_, dead, _) = ask("task list --state dead --output json").await;
    let programs: Vec<String> = lines(&dead).iter().map(|row| row["program"].as_str().unwrap().to_owned()).collect();
    assert_eq!(programs, ["rm x"]);
    assert_eq!(lines(&ask("task list --state failed --output json").await.1).len(), 2);

    // The maker stays, unless it is meant.
    let maker = mesh.net.nodes()[0].node.clone();
    let (code, _, stderr) = ask(&format!("member forget {maker}")).await;
    assert!(code == 2 && stderr.contains("--force") && stderr.contains("invited"), "{stderr}");
    let (code, _, stderr) = ask(&format!("member forget {}", mesh.net.nodes()[1].node)).await;
    assert!(code == 2 && stderr.contains("ask another"), "{stderr}");
    assert_eq!(ask(&format!("member forget --force {maker}")).await.0, 0);
    until("it is forgotten", || async {
        let (_, members, _) = ask("member list --output json").await;
        lines(&members).iter().any(|row| row["node"] == maker.as_str() && row["state"] == "forgotten")
    })
    .await;
}

#[tokio::test]
async fn a_directory_that_is_named_is_asked_whatever_the_shell_was_told() {
    let mesh = Mesh::up(1).await;
    let here = tempfile::tempdir().unwrap();
    let node = &mesh.net.nodes()[0];
    let plain = |words: &[&str]| {
        let mut meshd = Command::new(env!("CARGO_BIN_EXE_meshd"));
        meshd.args(words).current_dir(here.path()).env_remove("MESHD_NODE__DATA_DIR");
        meshd.env("MESHD_API", "http://127.0.0.1:1").env("MESHD_TOKEN_FILE", "gone");
        meshd
    };
    let data_dir = node.data_dir.to_str().unwrap();
    let (code, status, stderr) = run(plain(&["--data-dir", data_dir, "status", "--output", "json"])).await;
    assert!(code == 0 && status.contains(&node.node), "{stderr}");
    // What is named for this verb alone goes over both.
    let words = ["--data-dir", data_dir, "--api", "http://127.0.0.1:2", "status"];
    assert_eq!(run(plain(&words)).await.0, 69);
    let (code, _, stderr) = run(plain(&["status"])).await;
    assert!(code == 2 && stderr.contains("gone"), "{stderr}");

    let at = |url: &str| meshd(&mesh, &[0], here.path(), &["status", "--api", url]);
    for (url, said) in [("https://127.0.0.1:1", "no TLS"), ("http://127.0.0.1:x", "http://HOST:PORT")] {
        let (code, _, stderr) = run(at(url)).await;
        assert!(code == 2 && stderr.contains(said), "{url}: {stderr}");
    }
    for words in [["task", "show", "a b"], ["job", "show", "a/../b"], ["task", "cancel", "ä?"], ["blob", "get", "a#b"]]
    {
        let (code, _, stderr) = run(meshd(&mesh, &[0], here.path(), &words)).await;
        assert!(code == 2 && stderr.contains("is no id"), "{words:?}: {stderr}");
    }

    // The file that would be read is the one that is checked.
    let elsewhere = here.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("meshd.toml"), "[tasks]\ncopies = 9\n").unwrap();
    let mut check = plain(&["config", "check"]);
    check.env("MESHD_NODE__DATA_DIR", &elsewhere).env("MESHD_TASKS__COPIES", "many");
    let (code, _, stderr) = run(check).await;
    assert!(code == 2 && stderr.contains("tasks.copies") && stderr.contains("elsewhere"), "{stderr}");
}

#[tokio::test]
async fn verbs_that_say_little_say_it_to_programs_as_well() {
    let mesh = Mesh::up(1).await;
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("a"), "a\n").unwrap();
    let ask = async |words: &str| {
        let (code, stdout, stderr) = run(meshd(&mesh, &[0], here.path(), &words.split(' ').collect::<Vec<_>>())).await;
        assert_eq!(code, 0, "{words}: {stderr}");
        lines(&stdout)
    };
    let done = ask("submit --output json --exec --file a -- cat a").await;
    let logs = ask(&format!("task logs --output json {}", done[0]["task"].as_str().unwrap())).await;
    assert_eq!(logs, [serde_json::json!({ "stream": "stdout", "text": "a\n" })]);
    let map = ask("map --output json --exec -- cat ::: a").await;
    let summary = map.last().unwrap().clone();
    let job = summary["job"].as_str().unwrap();
    assert_eq!(ask(&format!("job attach --output json {job}")).await, std::slice::from_ref(&summary));
    assert_eq!(ask(&format!("job result --output json --out-dir out {job}")).await, std::slice::from_ref(&summary));

    let dir = mesh.net.dir().display().to_string();
    for (verb, state) in [("stop", "silent"), ("cont", "ready"), ("kill", "down"), ("restart", "")] {
        let said = ask(&format!("testnet {verb} 0 --output json --dir {dir}")).await;
        assert_eq!((said.len(), &said[0]["node"]), (1, &0.into()));
        assert!(said[0]["state"].as_str().is_some_and(|said| state.is_empty() || said == state), "{verb}: {said:?}");
    }
    let down = ask(&format!("testnet down --output json --dir {dir}")).await;
    assert_eq!(down, [serde_json::json!({ "node": 0, "state": "down" })]);
}
