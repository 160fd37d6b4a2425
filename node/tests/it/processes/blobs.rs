//! Blobs between real nodes: a task's input outlives a disk that held it, and what tasks need is not removed.

use super::{
    Mesh, until,
    verbs::{meshd, run},
};
use meshd::api::blobs::{BlobPage, BlobRow};
use meshd::api::content::BlobLink;
use meshd::api::submission::{ProgramSpec, TaskRequest};
use meshd::api::tasks::submit::Submitted;
use meshd::api::terms::Terms;
use meshd::client::{Ask, Client, ClientError};
use meshd::testnet::Testnet;

const SIZE: usize = 3 << 20;

fn content(seed: u8) -> Vec<u8> {
    (0..SIZE).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8 ^ seed).collect()
}

async fn put(client: &Client, bytes: &[u8]) -> BlobLink {
    client.put_blob(bytes.to_vec().into(), Some(bytes.len() as u64), false).await.unwrap()
}

/// Submits, and waits for the end.
async fn sha256_of(client: &Client, blob: &BlobLink) -> Result<Submitted, ClientError> {
    let request = TaskRequest {
        program: ProgramSpec::Sha256,
        terms: Terms::default(),
        stdin: None,
        stdin_b64: None,
        stdin_blob: Some(blob.clone()),
        stdin_path: None,
        files: Vec::new(),
        stdin_result: None,
        after: Vec::new(),
    };
    client.ask(&Ask::post("/v1/tasks?wait=60s").json(&request)).await
}

#[track_caller]
fn check_hash(submitted: &Submitted, bytes: &[u8]) {
    use sha2::Digest as _;
    let result = submitted.result.as_ref().expect("it ended");
    let hash = data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes));
    assert!(result.stdout.as_deref().is_some_and(|stdout| stdout.starts_with(&hash)), "{result:?}");
}

/// The blob, as one node has it.
async fn row(net: &Testnet, node: usize, id: &str) -> Option<BlobRow> {
    let page: BlobPage = net.gateways(&[node]).ok()?.client().ask(&Ask::get("/v1/blobs")).await.ok()?;
    page.blobs.into_iter().find(|row| row.id == id)
}

#[tokio::test]
async fn what_a_task_names_outlives_a_disk_and_cannot_be_removed() {
    let mut mesh = Mesh::up(4).await;
    let bytes = content(1);
    let gateways = mesh.net.gateways(&[0]).unwrap();
    let client = gateways.client();
    let blob = put(client, &bytes).await;
    assert_eq!(blob.nodes.len(), 2, "{blob:?}");
    check_hash(&sha256_of(client, &blob).await.unwrap(), &bytes);

    // Through another node, by somebody who has it from hearsay: the task names the nodes that really have it.
    let hearsay = BlobLink { nodes: Vec::new(), ..blob.clone() };
    let other = mesh.net.gateways(&[3]).unwrap();
    check_hash(&sha256_of(other.client(), &hearsay).await.unwrap(), &bytes);
    // What nobody has is refused, and not acknowledged and failed.
    let nowhere = BlobLink { id: "7".repeat(64), ..hearsay };
    let refused = sha256_of(other.client(), &nowhere).await.unwrap_err().to_string();
    assert!(refused.contains("put it again"), "{refused}");

    // A part of it.
    let answer = part(&mesh.net, 3, &blob.id, "bytes=1000000-1000009").await;
    let (head, body) = answer.split_at(answer.len() - 10);
    let head = String::from_utf8_lossy(head);
    assert!(head.starts_with("HTTP/1.1 206 ") && head.contains(&format!("bytes 1000000-1000009/{SIZE}")), "{head}");
    assert_eq!(body, &bytes[1_000_000..1_000_010]);

    // The records need it: it stays, wherever they are.
    let holder = blob.nodes.iter().filter_map(|node| mesh.net.number_of(node)).find(|node| *node != 0).unwrap();
    let net = &mesh.net;
    until("the holders have said that they need it", || async {
        row(net, holder, &blob.id).await.is_some_and(|row| row.kept_by.is_some_and(|by| by.starts_with("record")))
            || remove(net, holder, &blob.id).await.contains("stays")
    })
    .await;
    let said = remove(net, holder, &blob.id).await;
    assert!(said.contains("stays: a record"), "{said}");

    // A disk is lost: the holders of the records have the copy made anew.
    let killed = mesh.net.kill(holder);
    mesh.check(killed);
    std::fs::remove_dir_all(mesh.net.nodes()[holder].data_dir.join("blobs")).unwrap();
    let started = mesh.net.start(holder);
    mesh.check(started);
    let whole = mesh.net.wait_whole().await;
    mesh.check(whole);
    let net = &mesh.net;
    until("the copy is made anew", || async { row(net, holder, &blob.id).await.is_some() }).await;
}

/// The whole answer of a node to a request for a part of a blob.
async fn part(net: &Testnet, node: usize, id: &str, range: &str) -> Vec<u8> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = format!("127.0.0.1:{}", net.nodes()[node].api_port);
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let token = net.token().unwrap();
    let head = format!(
        "GET /v1/blobs/{id} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nRange: {range}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

/// What a node says to that.
async fn remove(net: &Testnet, node: usize, id: &str) -> String {
    let gateways = net.gateways(&[node]).unwrap();
    match gateways.client().send(&Ask::delete(format!("/v1/blobs/{id}"))).await {
        Ok(_) => "removed".into(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn what_finds_no_room_says_so_though_its_size_was_not_told() {
    let mesh = Mesh::up_with(1, |options| options.more = "[blob]\nquota = \"4MiB\"\n".into()).await;
    let here = tempfile::tempdir().unwrap();
    // More than lies between two sockets.
    std::fs::write(here.path().join("big"), vec![7; 48 << 20]).unwrap();
    let mut add = meshd(&mesh, &[0], here.path(), &["blob", "add", "-"]);
    add.stdin(std::fs::File::open(here.path().join("big")).unwrap());
    let (code, stdout, stderr) = run(add).await;
    assert!(code == 2 || code == 75, "{code}: {stderr}");
    assert!(stdout.is_empty() && stderr.contains("blob.quota"), "{stderr}");
    let (code, _, stderr) = run(meshd(&mesh, &[0], here.path(), &["blob", "add", "big"])).await;
    assert!(code == 2 && stderr.contains("blob.quota"), "{code}: {stderr}");
    // A job of which one input finds no room says which, and ends there.
    std::fs::write(here.path().join("small"), "small").unwrap();
    let (code, stdout, stderr) =
        run(meshd(&mesh, &[0], here.path(), &["map", "--sha256", "--", ":::", "small", "big"])).await;
    assert!(code != 0 && stderr.contains("big") && stderr.contains("blob.quota"), "{code}: {stderr}");
    assert!(stdout.is_empty() || stdout.starts_with(&super::hash_line("small")[..64]), "{stdout}");
}

#[tokio::test]
async fn a_node_that_is_cut_off_does_not_take_its_own_disk_for_enough() {
    let mut mesh = Mesh::up(2).await;
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("big"), vec![3; 1 << 20]).unwrap();
    let other = mesh.net.nodes()[1].node.clone();
    mesh.net.kill(1).unwrap();
    let add = async |mesh: &Mesh| run(meshd(mesh, &[0], here.path(), &["blob", "add", "big"])).await;
    until("it is seen that the other is gone", || async { mesh.net.status(0).await.is_ok_and(|it| it.reachable == 1) })
        .await;
    let (code, stdout, stderr) = add(&mesh).await;
    assert!(code == 75 && stdout.is_empty() && stderr.contains("member forget"), "{code}: {stdout}{stderr}");

    let (code, _, stderr) = run(meshd(&mesh, &[0], here.path(), &["member", "forget", &other])).await;
    assert_eq!(code, 0, "{stderr}");
    let (code, stdout, stderr) = add(&mesh).await;
    assert!(code == 0 && !stdout.is_empty(), "{code}: {stderr}");
}
