//! A running loop, and what it is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::repo::Ran;
use crate::site::Site;

/// A configuration for the deployment of a site; `more` comes before its targets.
pub(crate) fn config(site: &Site, more: &str) -> PathBuf {
    let text = format!(
        "{more}\n[status]\nfile = \"{0}/status.json\"\ntextfile = \"{0}/sfarc.prom\"\npage = true\n[retention]\nkeep-last = 3\n\
         [[target]]\nname = \"sf\"\nnamespace = \"sf\"\nplan = \"software-factory\"\n",
        site.repo.at("").display()
    );
    site.repo.write("sfarc.toml", text.as_bytes())
}

/// A running loop.
pub(crate) struct Loop {
    pub(crate) child: Child,
    lines: Receiver<String>,
    pub(crate) seen: Vec<String>,
}

impl Loop {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
        let (send, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("it is there"));
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that has these words.
    #[track_caller]
    pub(crate) fn says(&mut self, words: &str) -> String {
        let end = Instant::now() + Duration::from_secs(60);
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.seen.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
        panic!("it never said `{words}`: {:#?}", self.seen);
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.expect("it can be told").success());
    }

    pub(crate) fn address(&mut self) -> String {
        self.says("listening at").rsplit(' ').next().expect("an address").to_owned()
    }

    /// Tells it to end, and how it did.
    pub(crate) fn end(mut self) -> (i32, Vec<String>) {
        self.signal("-TERM");
        let code = self.child.wait().expect("it ends").code().expect("not by a signal");
        self.seen.extend(self.lines.iter());
        (code, std::mem::take(&mut self.seen))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (code, body.to_owned())
}

pub(crate) fn command(site: &Site, args: &[&str]) -> Command {
    let mut command = site.repo.command(args);
    command.env("KUBECONFIG", site.factory.kubeconfig("admin")).current_dir(site.repo.at(""));
    command
}

pub(crate) fn run(site: &Site, args: &[&str]) -> Ran {
    Ran::from(command(site, args).output().expect("it starts"))
}
