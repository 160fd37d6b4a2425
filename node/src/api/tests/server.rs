use super::{Scripted, api};
use crate::api::{Api, Hosts, Limits, Listeners, Served, serve};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

fn get(address: SocketAddr, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer secret\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

fn served(api: &Api, work: &tokio::runtime::Runtime) -> Served {
    let listeners = Listeners { api: TcpListener::bind("127.0.0.1:0").unwrap(), metrics: None };
    serve(listeners, api.clone(), work.handle().clone()).unwrap()
}

#[test]
fn probes_answer_while_the_nodes_runtime_hangs() {
    let work = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let api = api(Scripted::new(), Limits { stall: Duration::from_millis(300), ..Limits::default() });
    let served = served(&api, &work);
    let (release, held) = std::sync::mpsc::channel::<()>();
    // Blocks the only worker, as a bug would.
    work.spawn(async move { held.recv() });
    assert!(get(served.address(), "/livez").starts_with("HTTP/1.1 200"));
    assert!(get(served.address(), "/metrics").contains("# EOF"));
    std::thread::sleep(Duration::from_millis(400));
    api.ports.pulse.log_turned();
    let answer = get(served.address(), "/livez");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("the brain has not turned"), "{answer}");
    api.ports.pulse.brain_turned();
    assert!(get(served.address(), "/readyz").starts_with("HTTP/1.1 200"));
    release.send(()).unwrap();
    served.close();
}

#[test]
fn a_panic_in_a_handler_is_one_answer_of_500() {
    let work = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let api = api(Scripted::new(), Limits::default());
    let mut ports = api.ports.clone();
    ports.peers = std::sync::Arc::new(|| panic!("a bug"));
    let api = Api::new(api.network, ports, api.access.clone(), Limits::default(), api.meters.clone());
    let served = served(&api, &work);
    let answer = get(served.address(), "/v1/peers");
    assert!(answer.starts_with("HTTP/1.1 500") && answer.contains("\"code\":\"internal\""), "{answer}");
    assert_eq!(api.meters.panics.get(), 1);
    assert!(get(served.address(), "/v1/config").starts_with("HTTP/1.1 200"), "it goes on");
    served.close();
}

#[test]
fn metrics_have_a_listener_of_their_own_that_answers_nothing_else() {
    let work = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let api = api(Scripted::new(), Limits::default());
    let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
    // Called by a name that the API itself does not answer to.
    let hosts = Hosts::new([127, 0, 0, 1].into(), ["metrics.example".to_string()]);
    let listeners = Listeners { api: bind(), metrics: Some((bind(), hosts)) };
    let served = serve(listeners, api.clone(), work.handle().clone()).unwrap();
    let metrics = served.metrics().unwrap();
    let ask = |address: SocketAddr, request: &str| {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        write!(connection, "{request}Connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    };
    let named = "GET /metrics HTTP/1.1\r\nHost: metrics.example\r\n";
    assert!(ask(metrics, named).contains("# EOF"));
    assert!(ask(served.address(), named).starts_with("HTTP/1.1 421"));
    assert!(ask(metrics, "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n").starts_with("HTTP/1.1 421"));
    for probe in ["livez", "readyz"] {
        let asked = format!("GET /{probe} HTTP/1.1\r\nHost: localhost\r\n");
        assert!(ask(metrics, &asked).starts_with("HTTP/1.1 200"), "{probe}");
    }
    let posted = ask(metrics, "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n");
    assert!(posted.starts_with("HTTP/1.1 405") && posted.contains("method_not_allowed"), "{posted}");
    let token = "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n";
    let answer = ask(metrics, token);
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("no_such_route"), "{answer}");
    served.close();
}

#[test]
fn who_never_finishes_a_request_does_not_keep_others_out() {
    let work = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let limits = Limits { connections: 2, header: Duration::from_millis(200), ..Limits::default() };
    let served = served(&api(Scripted::new(), limits), &work);
    let held: Vec<TcpStream> = ["", "GET /livez HT"]
        .iter()
        .map(|head| {
            let mut connection = TcpStream::connect(served.address()).unwrap();
            connection.write_all(head.as_bytes()).unwrap();
            connection
        })
        .collect();
    // All places are taken, until their time is over.
    assert!(get(served.address(), "/livez").starts_with("HTTP/1.1 200"));
    drop(held);
    served.close();
}

#[test]
fn who_is_refused_while_still_sending_hears_why() {
    let work = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let served = served(&api(Scripted::new(), Limits::default()), &work);
    let address = served.address();
    // More than lies between two sockets, with its length said and without.
    let (megabyte, count) = (vec![b'x'; 1 << 20], 32);
    for (length, before, behind) in [
        (format!("Content-Length: {}", count << 20), String::new(), ""),
        ("Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n", 1 << 20), "\r\n"),
    ] {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("PUT /v1/blobs HTTP/1.1\r\nHost: {address}\r\n{length}\r\nConnection: close\r\n\r\n");
        connection.write_all(head.as_bytes()).unwrap();
        for _ in 0..count {
            connection.write_all(before.as_bytes()).unwrap();
            connection.write_all(&megabyte).unwrap();
            connection.write_all(behind.as_bytes()).unwrap();
        }
        let mut answer = vec![0; 4096];
        let read = connection.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("\"code\":\"unauthorized\""), "{answer}");
    }
    served.close();
}
