//! The probes of Kubernetes are answered whatever the service does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sfarc::config::Config;
use sfarc::env::Env;
use sfarc::service::{Service, Signal, World, http};

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_repository_that_takes_long_to_open_silences_nothing() {
    let text = "[[target]]\nname = \"t\"\n[[target.stream]]\nname = \"s\"\nhere = true\ncommand = \"true\"\n";
    let config = Config::parse(text, Path::new("sfarc.toml")).expect("it is valid");
    let (opening, is_opening) = std::sync::mpsc::channel();
    let (open, may_open) = std::sync::mpsc::channel::<()>();
    let (opening, may_open) = (Mutex::new(opening), Mutex::new(may_open));
    let world = World {
        open: Box::new(move |_, _| {
            let _ = opening.lock().expect("nobody panics").send(());
            // Ends when the other side is dropped.
            let _ = may_open.lock().expect("nobody panics").recv();
            Err(sfarc::Error::Refused("it does not open".to_owned()))
        }),
        inputs: Box::new(|target| Ok(target.plan.here()?)),
        reload: Box::new(|| Err("nothing to read".to_owned())),
        tell: Arc::new(|_| {}),
        host: "host".to_owned(),
        env: Env::system(),
        grace: Duration::ZERO,
    };
    let service = Arc::new(Service::new(config, world));
    let address = "127.0.0.1:0".parse().expect("an address");
    let address = http::serve(Arc::clone(&service), address, true).expect("it listens");
    let (stop, signals) = crossbeam_channel::unbounded();
    let running = Arc::clone(&service);
    let thread = std::thread::spawn(move || running.run(&signals));
    is_opening.recv().expect("it opens the repository");
    assert!(get(address, "/readyz").starts_with("HTTP/1.1 503"));
    assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(address, "/metrics").contains("sfarc_repository_open 0"));
    assert!(get(address, "/").starts_with("HTTP/1.1 200"));
    drop(open);
    stop.send(Signal::Stop).expect("it listens");
    thread.join().expect("it ends");
}
