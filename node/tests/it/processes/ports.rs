//! A port that another node listens on: a clear word and an end, not a second listener beside the first.

use std::process::Command;

fn meshd(dir: &std::path::Path, args: &[&str]) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_meshd")).arg("--data-dir").arg(dir).args(args).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_port_that_is_taken_is_named_and_ends_the_start() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(meshd(dir.path(), &["init", "--name", "ports"]).0, Some(0));
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (tcp_port, udp_port) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    let free = "/ip4/127.0.0.1/tcp/0".to_owned();
    for (listen, api) in [
        (format!("/ip4/127.0.0.1/tcp/{tcp_port}"), "127.0.0.1:0".to_owned()),
        (format!("/ip4/127.0.0.1/udp/{udp_port}/quic-v1"), "127.0.0.1:0".to_owned()),
        (free, format!("127.0.0.1:{tcp_port}")),
    ] {
        let (code, said) = meshd(dir.path(), &["run", "--mdns=false", "--listen", &listen, "--api-listen", &api]);
        assert_eq!(code, Some(2), "{listen} {api}: {said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("meshd: cannot ") && last.contains("in use"), "{said}");
    }
}
