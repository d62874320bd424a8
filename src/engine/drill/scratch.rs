//! A MariaDB server of its own, in a folder that is removed with it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::env::Env;
use crate::source::database::{COUNTS, Known};
use crate::target::database::Expected;

/// The database that the dump is loaded into.
const DATABASE: &str = "drill";

/// How often the server is asked until it answers: two minutes.
const TRIES: usize = 1200;
const POLL: Duration = Duration::from_millis(100);

/// Runs a server until its own standard input ends: it does not outlive this program, however that ends.
const GUARD: &str = "\"$@\" </dev/null & server=$!; cat >/dev/null; kill -9 $server 2>/dev/null; wait $server";

/// A running server with one empty database.
pub(super) struct Scratch {
    folder: PathBuf,
    guard: Option<Child>,
}

/// Programs of the server, where they usually are.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/libexec", "/usr/local/sbin"].map(PathBuf::from);
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(usual).collect();
    let places = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|program| program.is_file())
}

/// True if there is a server to try a dump on.
pub(super) fn is_installed() -> bool {
    program(&["mariadbd", "mysqld"]).is_some() && program(&["mariadb-install-db"]).is_some()
}

fn failed(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

impl Scratch {
    pub(super) fn start(env: &Env) -> io::Result<Self> {
        let name = format!("sfarc-drill-{:016x}", u64::from_le_bytes(env.random()));
        let folder = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let mut scratch = Self { folder, guard: None };
        scratch.install()?;
        scratch.run_server()?;
        scratch.sql(&format!("CREATE DATABASE {DATABASE} CHARACTER SET utf8mb3;"))?;
        Ok(scratch)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn install(&self) -> io::Result<()> {
        let install = program(&["mariadb-install-db"]).ok_or_else(|| failed("mariadb-install-db is not installed"))?;
        let mut command = Command::new(install);
        command.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
        command.arg(format!("--datadir={}", self.at("data").display())).args(user()).env("TMPDIR", &self.folder);
        let output = command.stdin(Stdio::null()).output()?;
        if output.status.success() { Ok(()) } else { Err(failed("mariadb-install-db failed")) }
    }

    fn run_server(&mut self) -> io::Result<()> {
        let server = program(&["mariadbd", "mysqld"]).ok_or_else(|| failed("mariadbd is not installed"))?;
        let log = fs::File::options().create(true).append(true).mode(0o600).open(self.at("log"))?;
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "sh"]).arg(server);
        // Nothing here must survive a power cut, nobody else may connect, and no event may fire.
        command.args([
            "--no-defaults",
            "--skip-networking",
            "--innodb-flush-log-at-trx-commit=0",
            "--event-scheduler=OFF",
        ]);
        command.arg(format!("--datadir={}", self.at("data").display())).args(user());
        command.arg(format!("--socket={}", self.at("socket").display()));
        command.arg(format!("--pid-file={}", self.at("pid").display())).env("TMPDIR", &self.folder);
        self.guard = Some(command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).spawn()?);
        let options = format!("[client]\nuser=root\nsocket={}\n", self.at("socket").display());
        fs::write(self.at(".my.cnf"), options)?;
        for _ in 0..TRIES {
            if self.sql("SELECT 1;").is_ok() {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        Err(failed("the scratch server does not answer"))
    }

    fn client(&self, arguments: &[&str]) -> Command {
        let mut client = Command::new(program(&["mariadb", "mysql"]).unwrap_or_else(|| PathBuf::from("mariadb")));
        client.args(arguments).env("HOME", &self.folder).stdout(Stdio::piped()).stderr(Stdio::piped());
        client
    }

    fn sql(&self, sql: &str) -> io::Result<String> {
        let output = self.client(&["-N", "-B", "-e", sql]).stdin(Stdio::null()).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(failed(&last_line(&output.stderr)))
    }

    /// Loads a dump that `give` writes. The outer error is that of whoever gives, the inner one what the server says.
    pub(super) fn load<E>(
        &self,
        give: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), E>,
    ) -> io::Result<Result<Result<(), E>, String>> {
        let mut client = self.client(&[DATABASE]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let mut stdin = client.stdin.take().ok_or_else(|| failed("the client has no input"))?;
        let given = give(&mut |bytes| stdin.write_all(bytes));
        drop(stdin);
        let output = client.wait_with_output()?;
        if output.status.success() { Ok(Ok(given)) } else { Ok(Err(last_line(&output.stderr))) }
    }

    /// What differs between the loaded database and its dump, in words.
    pub(super) fn mismatch(&self, expected: &Expected) -> io::Result<Option<String>> {
        let mut counts = Command::new("sh");
        counts.args(["-c", COUNTS, "sh", DATABASE]).env("HOME", &self.folder).stdin(Stdio::null());
        let output = counts.output()?;
        if !output.status.success() {
            return Ok(Some(last_line(&output.stderr)));
        }
        if let Some(mismatch) = expected.mismatch(&Known::parse(&output.stdout)) {
            return Ok(Some(mismatch));
        }
        for (of, uuid) in &expected.newest {
            let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            let sql = format!("SELECT 'found' FROM `{of}` WHERE uuid = '{uuid}' LIMIT 1");
            let found =
                is_plain(of) && is_plain(uuid) && self.sql(&format!("USE {DATABASE}; {sql}"))?.contains("found");
            if !found {
                return Ok(Some(format!("the row of {of} is missing that was the newest")));
            }
        }
        Ok(None)
    }

    /// Where it keeps everything.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A server that is started as root wants to be told that this is meant.
fn user() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("--user=root")
}

fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().to_owned()
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            // The end of its input ends the server.
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
        // What stays is named so that its owner sees what it is.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
