use super::{Scripted, api};
use crate::api::{Api, Limits, serve};
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

fn served(api: &Api, work: &tokio::runtime::Runtime) -> crate::api::Served {
    serve(TcpListener::bind("127.0.0.1:0").unwrap(), api.clone(), work.handle().clone()).unwrap()
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
