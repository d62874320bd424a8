//! Servers as processes of this machine.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::{ASK_LIMIT, Bench, JARS, MARIADB, Part, ZOOKEEPER};
use crate::env::Env;
use crate::process::{Environment, shell};
use crate::target::local::LocalShell;
use crate::target::shell::Shell;

/// Runs a server until its own standard input ends: neither it nor its files outlive this program, however that ends.
/// What the server itself has started may write for a moment longer.
const GUARD: &str = "\"$@\" </dev/null & server=$!; cat >/dev/null; kill -9 $server 2>/dev/null; wait $server
    for try in 1 2 3 4 5 6 7 8 9; do rm -rf -- \"$HOME\" \"$DATA\" && [ ! -e \"$DATA\" ] && break; sleep 0.3; done";

/// A folder in memory, where there is one.
const MEMORY: &str = "/dev/shm";

/// Running servers.
pub(in crate::engine::drill) struct Here<'a> {
    env: &'a Env,
    path: OsString,
    port: u16,
    // What is named first ends first: servers before their folders.
    database: Result<Guard, String>,
    zookeeper: Result<Guard, String>,
    zuul: Result<(), String>,
    home: Folder,
    data: Folder,
}

impl<'a> Here<'a> {
    /// Starts servers; programs are found by `path`, a list of folders as in the variable `PATH`.
    pub(in crate::engine::drill) fn start(
        env: &'a Env,
        path: &OsStr,
        needs: impl Fn(Part) -> bool,
    ) -> io::Result<Self> {
        let name = format!("sfarc-drill-{:016x}", u64::from_le_bytes(env.random()));
        let data = Folder::make(std::env::temp_dir().join(&name))?;
        let home = Folder::make(Path::new(MEMORY).join(&name)).or_else(|_| Folder::make(data.0.join("home")))?;
        // Nobody else listens there at this moment; if somebody does a moment later, the keys are not found again.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let path = usual(path);
        let not_needed = || Err("it is not needed".to_owned());
        let mut here =
            Self { env, path, home, data, port, database: not_needed(), zookeeper: not_needed(), zuul: Ok(()) };
        if needs(Part::Database) {
            here.database = here.guard(MARIADB, &["mariadbd", "mysqld"], "a MariaDB server")?;
        }
        if needs(Part::ZooKeeper) {
            here.zookeeper = if here.has_zookeeper() {
                here.guard(ZOOKEEPER, &["java"], "Java")?
            } else {
                Err("there is no ZooKeeper on this machine".to_owned())
            };
            here.zuul = here.find(&["zuul-admin"], "zuul-admin").map(drop);
        }
        Ok(here)
    }

    fn has_zookeeper(&self) -> bool {
        self.shell(Part::ZooKeeper).script(&format!("{JARS}jars"), &[], ASK_LIMIT).is_ok()
    }

    fn find(&self, names: &[&str], what: &str) -> Result<PathBuf, String> {
        let folders: Vec<PathBuf> = std::env::split_paths(&self.path).collect();
        let mut places = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        places.find(|program| program.is_file()).ok_or_else(|| format!("there is no {what} on this machine"))
    }

    fn guard(&self, script: &str, programs: &[&str], what: &str) -> io::Result<Result<Guard, String>> {
        if let Err(lacks) = self.find(programs, what) {
            return Ok(Err(lacks));
        }
        let mut command = shell(GUARD, &self.environment());
        let script = format!("{JARS}{script}");
        command.args(["sh", "/bin/sh", "-c", &script, "sh"]).arg(self.port.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(|child| Ok(Guard(child)))
    }

    fn environment(&self) -> Environment {
        let (home, data) = (self.home.0.as_os_str(), self.data.0.as_os_str());
        Environment::only([]).with("PATH", &self.path).with("HOME", home).with("DATA", data).with("TMPDIR", data)
    }
}

impl Bench for Here<'_> {
    fn lacks(&self, part: Part) -> Option<&str> {
        match part {
            Part::Database => self.database.as_ref().err(),
            Part::ZooKeeper => self.zookeeper.as_ref().err(),
            Part::Zuul => self.zuul.as_ref().err(),
        }
        .map(|lacks| &lacks[..])
    }

    fn shell(&self, _part: Part) -> impl Shell {
        LocalShell { env: self.env, environment: self.environment() }
    }

    fn home(&self) -> &str {
        self.home.0.to_str().unwrap_or_default()
    }

    fn port(&self) -> u16 {
        self.port
    }
}

/// Servers are often where users do not look for programs.
fn usual(path: &OsStr) -> OsString {
    let mut path = path.to_owned();
    path.push(":/usr/sbin:/usr/libexec:/usr/local/sbin");
    path
}

/// A folder for this user only, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn make(path: PathBuf) -> io::Result<Self> {
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is named so that its owner sees what it is.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server, and the shell that ends it.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // The end of its input ends the server.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
