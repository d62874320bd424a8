//! Whoever connects and says nothing keeps nobody from an answer.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::looped::{Loop, get};
use crate::repo::Repo;

/// Longer than any limit of the server.
const LONG: Duration = Duration::from_secs(60);

fn start() -> (Repo, Loop, String) {
    let repo = Repo::new();
    let text = "every = \"1h\"\n[[target]]\nname = \"words\"\n[[target.stream]]\nname = \"words\"\nhere = true\n\
                command = \"echo some words\"\n";
    repo.write("sfarc.toml", text.as_bytes());
    let mut looped = Loop::start(repo.command(["run", "--listen", "127.0.0.1:0"]));
    let address = looped.address();
    (repo, looped, address)
}

fn connect(address: &str) -> TcpStream {
    TcpStream::connect(address).expect("it listens")
}

/// True while the server has not closed a connection on which nothing was answered.
fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    matches!(stream.read(&mut [0; 16]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn idle_connections_do_not_silence_the_probes() {
    let (_repo, looped, address) = start();
    let idle: Vec<TcpStream> = (0..40).map(|_| connect(&address)).collect();
    assert_eq!(get(&address, "/healthz"), (200, "ok\n".to_owned()));
    assert!(idle.iter().all(is_open), "it was answered once some of them were closed");
    assert_eq!(looped.end().0, 0);
}

#[test]
fn hundreds_of_idle_and_slow_connections_do_not_silence_the_probes() {
    let (_repo, looped, address) = start();
    let (mut slow, mut idle) = (Vec::new(), Vec::new());
    for round in 0..8 {
        idle.extend((0..40).map(|_| connect(&address)));
        slow.extend((0..20).map(|_| connect(&address)));
        for byte in b"GET /healthz HTTP/1.1\r\nX-Slow: " {
            // Those that were closed for newer ones do not take any more.
            slow.retain_mut(|stream| stream.write_all(&[*byte]).is_ok());
        }
        assert_eq!(get(&address, "/healthz").0, 200, "round {round}");
        assert_eq!(get(&address, "/metrics").0, 200, "round {round}");
    }
    assert!(idle.iter().any(|stream| !is_open(stream)), "of hundreds, not all can be open");
    assert_eq!(looped.end().0, 0);
}

#[test]
fn who_never_asks_is_not_waited_for() {
    let (_repo, looped, address) = start();
    let mut silent = connect(&address);
    let mut endless = connect(&address);
    silent.set_read_timeout(Some(LONG)).expect("a socket");
    let mut head = b"GET /healthz HTTP/1.1\r\nX: ".to_vec();
    head.resize(1 << 20, b'x');
    // It stops reading before the end.
    let _ = endless.write_all(&head);
    endless.set_read_timeout(Some(LONG)).expect("a socket");
    let mut answer = Vec::new();
    // The end of the connection, in one way or the other, and no answer to what was not asked.
    if endless.read_to_end(&mut answer).is_ok() {
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    let mut answer = Vec::new();
    let read = silent.read_to_end(&mut answer);
    let is_late = read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    assert!(!is_late, "it is waited for for ever");
    assert_eq!(looped.end().0, 0);
}
