//! Dumps: of the generator, and of a real MariaDB server where one is installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use proptest::prelude::*;
use sfarc::content::dump::{DumpCheck, DumpError, DumpFacts, Open};
use sfarc::testing::corpus::DumpModel;

fn check<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<DumpFacts, DumpError> {
    let mut check = DumpCheck::default();
    pieces.into_iter().for_each(|piece| check.push(piece));
    check.finish()
}

fn generated(builds: usize) -> Vec<u8> {
    let mut dump = Vec::new();
    DumpModel::new(7, builds).write_to(&mut dump).expect("memory can be written");
    dump
}

/// The bytes cut at these places.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

#[test]
fn rows_of_the_generated_dump_are_counted() {
    let facts = check([&generated(3000)[..]]).expect("the dump is whole");
    assert_eq!(facts.tables.keys().collect::<Vec<_>>(), ["zuul_artifact", "zuul_build", "zuul_buildset", "zuul_ref"]);
    assert_eq!(facts.tables["zuul_build"], 3000);
    assert!(facts.sandbox);
    assert_eq!(facts.client.as_deref(), Some("10.11.18-MariaDB"));
    assert_eq!(facts.server.as_deref(), Some("10.11.18-MariaDB-0+deb12u1"));
}

#[test]
fn a_lost_piece_of_a_dump_is_seen() {
    let dump = generated(3000);
    let (mut lost, mut seen) = (0, 0);
    for start in (0..dump.len() - 40_000).step_by(9973) {
        let verdict = check([&dump[..start], &dump[start + 32_768..]]);
        lost += 1;
        seen += usize::from(verdict.is_err());
    }
    // A piece from one string to another of the same column leaves a row that looks like any other: then only the
    // count of the rows tells.
    assert!(seen * 4 > lost * 3, "{seen} of {lost}");
}

proptest! {
    #[test]
    fn the_verdict_does_not_depend_on_the_pieces(places in prop::collection::vec(any::<prop::sample::Index>(), 0..50)) {
        let dump = generated(50);
        prop_assert_eq!(check(cut(&dump, &places)), check([&dump[..]]));
    }

    #[test]
    fn damage_gives_one_verdict_however_it_is_cut(
        at in any::<prop::sample::Index>(),
        byte in prop::sample::select(b"'\"`\\;(),*/-#! \n\0x".to_vec()),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
    ) {
        let mut dump = generated(5);
        let at = at.index(dump.len());
        dump[at] = byte;
        prop_assert_eq!(check(cut(&dump, &places)), check([&dump[..]]));
    }
}

const SCHEMA: &str = r#"
CREATE DATABASE nasty; USE nasty;
CREATE TABLE empty_one (a int);
CREATE TABLE `we``ird; INSERT INTO x` (`a``b` int, `c;'d` varchar(50) DEFAULT 'a;b''c\\', KEY(`a``b`))
  COMMENT='it''s; -- not a comment /* nor this */';
INSERT INTO `we``ird; INSERT INTO x` VALUES (1,'x'),(2,'),('),(3,'\\'),(4,''''),(5,'\\''),(\\'''),(6,NULL);
CREATE TABLE blobs (id int primary key, b longblob, t longtext, d double, bi bit(9));
INSERT INTO blobs VALUES (1,x'00ff27275c0a','a\nb\r\0\Z\t',-1.5e300,b'101010101'), (2,'','',0,NULL),
  (3,repeat('''),(',1000),repeat('\\',999),1,0), (4,unhex(repeat('5c27005c5c0d0a60',999)),'"`#/*--',-0.1,1);
CREATE TABLE nums (id int primary key auto_increment, v varchar(30));
INSERT INTO nums(v) SELECT concat('row ', seq) FROM seq_1_to_30000;
CREATE VIEW vw AS SELECT concat(id, '; ''(),(*/') AS `x;y``z` FROM nums WHERE v <> 'a;b';
CREATE TABLE trig (a int, n varchar(99));
INSERT INTO trig VALUES (1,';;'),(2,'-- x\n-- Dump completed on'),(3,'/*'),(4,'\nDELIMITER ;\n');
CREATE SEQUENCE sq;
CREATE TABLE gen (a int, b int as (a+1) stored, s set('x','y''z'), g geometry, j json, u uuid, i inet6);
INSERT INTO gen (a,s,g,j) VALUES (1,'x',ST_GeomFromText('POINT(1 1)'),'{"a":"it''s \\"x\\""}'),(-2,'',NULL,NULL);
CREATE TABLE part (a int)
  PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE);
INSERT INTO part VALUES (1),(20);
CREATE TABLE sysv (x int) WITH SYSTEM VERSIONING; INSERT INTO sysv VALUES (1),(2);
DELIMITER //
CREATE TRIGGER tr BEFORE INSERT ON trig FOR EACH ROW BEGIN INSERT INTO nums(v) VALUES ('trig;;'),('b');
 SET NEW.n = 'x;;y'; END//
CREATE PROCEDURE pr(x int) COMMENT 'it''s' BEGIN DECLARE c CHAR DEFAULT "'";
 IF x > 0 THEN INSERT INTO nums(v) VALUES (1),(2); END IF; END//
SET sql_mode='NO_BACKSLASH_ESCAPES'//
CREATE FUNCTION fn(a INT) RETURNS text DETERMINISTIC RETURN concat(a--1, '\')//
CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM nums; INSERT INTO nums(v) VALUES ('e'); END//
DELIMITER ;
"#;

/// A private server in a temporary folder, without a network port.
struct Server {
    folder: tempfile::TempDir,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// `None` where it is not installed.
    fn start() -> Option<Self> {
        let installed = Command::new("mariadbd").arg("--version").stdout(Stdio::null()).status();
        if installed.is_err() {
            eprintln!("not run: mariadbd is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let user = String::from_utf8(run(Command::new("id").arg("-un")).stdout).expect("a name");
        let common = [
            "--no-defaults".to_owned(),
            format!("--user={}", user.trim()),
            format!("--datadir={}", folder.path().join("data").display()),
        ];
        run(Command::new("mariadb-install-db")
            .args(&common)
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"]));
        let process = Command::new("mariadbd")
            .args(&common)
            .arg(format!("--socket={}", folder.path().join("socket").display()))
            .args(["--skip-networking", "--event-scheduler=OFF", "--innodb-flush-log-at-trx-commit=0"])
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let server = Self { folder, process };
        for _ in 0..600 {
            let answer = server.client("mariadb").args(["-e", "SELECT 1"]).output().expect("the client runs");
            if answer.status.success() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not answer");
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let socket: PathBuf = self.folder.path().join("socket");
        command.args(["--no-defaults", "-u", "root", "-S"]).arg(socket);
        command
    }

    fn load(&self, sql: &str) {
        let script: &Path = &self.folder.path().join("script.sql");
        std::fs::write(script, sql).expect("the script is written");
        run(self.client("mariadb").stdin(std::fs::File::open(script).expect("the script is there")));
    }

    fn query(&self, sql: &str) -> String {
        String::from_utf8(run(self.client("mariadb").args(["-N", "-B", "-r", "-e", sql])).stdout).expect("text")
    }

    fn dump(&self, args: &str) -> Vec<u8> {
        run(self.client("mariadb-dump").args(args.split_whitespace())).stdout
    }

    /// What the server itself counts.
    fn counts(&self, database: &str) -> BTreeMap<String, u64> {
        let tables = self.query(&format!(
            "SELECT table_name FROM information_schema.tables \
             WHERE table_schema = '{database}' AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')"
        ));
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM `{database}`.`{}`", table.replace('`', "``"));
            self.query(&sql).trim().parse().expect("a number")
        };
        tables.lines().map(|table| (table.to_owned(), count(table))).collect()
    }
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn dumps_of_a_real_server_are_whole_and_counted() {
    let Some(server) = Server::start() else { return };
    server.load(SCHEMA);
    let expected = server.counts("nasty");
    assert_eq!((expected.len(), expected["nums"], expected["empty_one"]), (8, 30_000, 0), "{expected:?}");
    for args in [
        "--single-transaction --quick --skip-dump-date --order-by-primary --hex-blob --routines --triggers --events nasty",
        "--single-transaction --routines --triggers --events --complete-insert --databases nasty",
        "--skip-extended-insert --insert-ignore nasty",
        "--replace --skip-opt --skip-quote-names --routines nasty",
        "--replace --add-drop-database --databases nasty",
        "--compatible=ansi nasty",
        "--net-buffer-length=4096 --no-create-db --flush-privileges nasty",
        "--no-autocommit --add-locks --delayed-insert --order-by-size nasty",
    ] {
        let dump = server.dump(args);
        let facts = check([&dump[..]]).unwrap_or_else(|error| panic!("{args}: {error}"));
        assert_eq!(facts.tables, expected, "{args}");
        assert_eq!(check(dump.chunks(4099)), Ok(facts), "{args}");
        let cut = check([&dump[..dump.len() / 2]]);
        assert!(matches!(cut, Err(DumpError::Cut { .. })), "{args}: {cut:?}");
    }
    for args in ["--system=all --insert-ignore nasty", "--all-databases --routines --events --system=users"] {
        let facts = check([&server.dump(args)[..]]).unwrap_or_else(|error| panic!("{args}: {error}"));
        let nums = facts.tables.iter().find(|(name, _)| name.ends_with("nums"));
        assert!(nums.is_none_or(|(_, rows)| *rows == 30_000), "{args}: {nums:?}");
    }
    assert_eq!(check([&server.dump("--xml nasty")[..]]), Err(DumpError::NotADump));
    assert_eq!(check([&server.dump("--skip-comments nasty")[..]]), Err(DumpError::NotADump));
    // A server that dies while it is dumped: the tool ends with an error, which a pipe may lose.
    let whole = server.dump("--skip-dump-date nasty nums");
    let cut = whole.windows(8).position(|window| window == b"'row 150").expect("the row is there") + 4;
    let open = Open::Value { table: "nums".to_owned() };
    assert_eq!(check([&whole[..cut]]), Err(DumpError::Cut { after_bytes: cut as u64, last: open }));
}
