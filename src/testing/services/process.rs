//! A server: started, waited for, ended.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a server may take until it answers.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// A running server; its end kills it.
pub(super) struct Server(Child);

impl Server {
    /// Starts a server whose words go into a file, and waits until it answers.
    pub(super) fn start(mut command: Command, log: &Path, mut answers: impl FnMut() -> bool) -> Self {
        let words = || std::fs::File::options().create(true).append(true).open(log).expect("a log can be written");
        command.stdin(Stdio::null()).stdout(words()).stderr(words());
        let mut server = Self(command.spawn().expect("the server is installed"));
        for _ in 0..TRIES {
            if answers() {
                return server;
            }
            let ended = server.0.try_wait().expect("the server can be waited for");
            assert!(ended.is_none(), "the server has ended: {}", read(log));
            std::thread::sleep(PAUSE);
        }
        panic!("the server does not answer: {}", read(log));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

/// The name of this user, as servers want to have it.
pub(super) fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("`id` is everywhere");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A port of 127.0.0.1 that nobody uses at this moment.
pub(super) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}
