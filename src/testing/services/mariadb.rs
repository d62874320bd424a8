//! A MariaDB server of its own, without a network.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::process::{Server, user};
use super::program;

/// The password of `root`: a real server wants one, nobody else does.
const PASSWORD: &str = "not-a-real-password";

/// A running server.
pub struct MariaDb {
    home: PathBuf,
    /// Held for its end.
    _server: Server,
}

impl MariaDb {
    /// True if the server and its clients are on this machine.
    pub fn installed() -> bool {
        ["mariadbd", "mariadb-install-db", "mariadb", "mariadb-dump"].iter().all(|name| program(name).is_some())
    }

    /// Starts a server that keeps everything in this folder.
    pub fn start(folder: &Path) -> Self {
        let home = folder.join("mysql");
        std::fs::create_dir_all(&home).expect("a folder can be made");
        let (data, socket) = (home.join("data"), home.join("socket"));
        let made = Command::new("mariadb-install-db")
            // Servers that begin at the same time choose the same names for temporary tables.
            .env("TMPDIR", &home)
            .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .arg(format!("--user={}", user()))
            .arg(format!("--datadir={}", data.display()))
            .output()
            .expect("MariaDB is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut command = Command::new(program("mariadbd").expect("MariaDB is installed"));
        command
            .env("TMPDIR", &home)
            .args(["--no-defaults", "--skip-networking", "--innodb-flush-log-at-trx-commit=0"])
            .arg(format!("--user={}", user()))
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--pid-file={}", home.join("pid").display()));
        let mut ask = Command::new("mariadb");
        ask.args(["--no-defaults", "-u", "root", "-e", "SELECT 1"]).arg("-S").arg(&socket);
        ask.stdout(Stdio::null()).stderr(Stdio::null());
        let server = Server::start(command, &home.join("log"), || ask.status().is_ok_and(|status| status.success()));
        let mut secure = Command::new("mariadb");
        secure.args(["--no-defaults", "-u", "root"]).arg("-S").arg(&socket);
        run(secure, &format!("ALTER USER root@localhost IDENTIFIED BY '{PASSWORD}';"));
        let options = format!("[client]\nuser=root\npassword={PASSWORD}\nsocket={}\n", socket.display());
        std::fs::write(home.join(".my.cnf"), options).expect("written");
        Self { home, _server: server }
    }

    /// The folder where clients find how to connect, as `HOME`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where SQLAlchemy finds a database.
    pub fn uri(&self, database: &str) -> String {
        let socket = self.home.join("socket");
        format!("mysql+pymysql://root:{PASSWORD}@localhost/{database}?unix_socket={}", socket.display())
    }

    /// All rows of a database, in the order of their keys.
    pub fn dump(&self, database: &str) -> String {
        let mut dump = Command::new("mariadb-dump");
        dump.env("HOME", &self.home).args(["--skip-dump-date", "--order-by-primary", database]);
        run(dump, "")
    }

    /// Runs SQL in a database and gives what it printed, without headings.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut client = Command::new("mariadb");
        client.env("HOME", &self.home).args(["-N", "-B", database]);
        run(client, sql)
    }
}

fn run(mut client: Command, sql: &str) -> String {
    let child = client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the client is installed");
    let mut stdin = child.stdin.take().expect("it has an input");
    let sql = sql.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(sql.as_bytes()));
    let output = child.wait_with_output().expect("it can be waited for");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    writer.join().expect("it does not panic").expect("the client reads");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
