//! A client of the database that fails, wherever in a swap, loses no table, and no trigger, view, routine or event: the
//! server's own word for each step counts.

use std::ffi::OsString;
use std::path::Path;

use sfarc::env::Env;
use sfarc::process::Environment;
use sfarc::target::database::Database;
use sfarc::target::local::LocalShell;
use sfarc::testing::services::MariaDb;
use sfarc::testing::world::World;

const BEFORE: &str = "
CREATE DATABASE IF NOT EXISTS live; USE live;
CREATE TABLE a (i INT); INSERT INTO a VALUES (1); CREATE TABLE only_old (i INT); CREATE VIEW v AS SELECT i FROM a;
CREATE TABLE `o``dd; -- \\! %41 x` (i INT); CREATE VIEW `--result-file=v` AS SELECT i FROM a;
CREATE TRIGGER `old ``t` BEFORE INSERT ON a FOR EACH ROW SET NEW.i = 5; CREATE PROCEDURE p() SELECT 1;
CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1;
";

/// Triggers, views, routines and events of the live database, and what there was of them.
const CODE: &str = "SELECT (SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = 'live')
    + (SELECT COUNT(*) FROM information_schema.views WHERE table_schema = 'live')
    + (SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = 'live')
    + (SELECT COUNT(*) FROM information_schema.events WHERE event_schema = 'live')";
const CODE_BEFORE: &str = "5";

/// What a restore has loaded beside it.
const LOADED: &str = "
DROP DATABASE IF EXISTS live_sfarc_new; CREATE DATABASE live_sfarc_new; USE live_sfarc_new;
CREATE TABLE a (i INT); INSERT INTO a VALUES (2); CREATE TABLE b (i INT); INSERT INTO b VALUES (3);
CREATE VIEW v AS SELECT i + 10 FROM a; CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.i = 7;
";

/// Fails at the call with the number in `fails`, before it does anything or when it has done it; or loses the last line of
/// what it is given.
const CLIENT: &str = r#"
n=$(($(cat calls) + 1)); echo $n >calls
[ "$n" = "$(cat fails)" ] || exec /usr/bin/mariadb "$@"
case $(cat how) in
before) exit 1 ;;
after) /usr/bin/mariadb "$@"; exit 1 ;;
*) case "$*" in *-e*) exec /usr/bin/mariadb "$@" ;; *) sed '$d' | /usr/bin/mariadb "$@" ;; esac ;;
esac
"#;

struct Swapping<'a> {
    server: &'a MariaDb,
    folder: &'a Path,
    env: &'a Env,
    live: Database,
}

impl Swapping<'_> {
    /// True if the swap says that it is done.
    fn swap(&self, fails: usize, how: &str) -> bool {
        for (name, text) in [("calls", "0"), ("fails", &fails.to_string()), ("how", how)] {
            std::fs::write(self.folder.join(name), text).expect("written");
        }
        let path = format!("{}:{}", self.folder.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        let variables = [("PATH", OsString::from(path)), ("HOME", self.server.home().into())];
        let variables = variables.map(|(name, value)| (OsString::from(name), value));
        let shell = LocalShell { env: self.env, environment: Environment::only(variables) };
        self.live.swap(&shell, "live_old").inspect_err(|error| println!("{fails} {how}: {error}")).is_ok()
    }

    fn calls(&self) -> usize {
        std::fs::read_to_string(self.folder.join("calls")).expect("written").trim().parse().expect("a number")
    }

    fn sql(&self, sql: &str) -> String {
        self.server.sql("mysql", sql)
    }

    fn has(&self, database: &str) -> bool {
        !self.sql(&format!("SHOW DATABASES LIKE '{database}'")).is_empty()
    }

    #[track_caller]
    fn assert_done(&self) {
        assert_eq!(self.sql("SELECT i FROM live.a; SELECT i FROM live.b; SELECT * FROM live.v").trim(), "2\n3\n12");
        assert_eq!(self.sql("SELECT i FROM live_old.a; SHOW TABLES IN live_old LIKE 'only%'").trim(), "1\nonly_old");
        self.sql("INSERT INTO live.a VALUES (1)");
        assert_eq!(self.sql("SELECT i FROM live.a ORDER BY i").trim(), "2\n7", "the trigger is lost");
        assert_eq!(self.sql(CODE).trim(), "2", "code of before is left in the live database");
        assert_eq!(self.sql(&CODE.replace("'live'", "'live_old'")).trim(), CODE_BEFORE, "code is lost");
        assert!(!self.has("live\\_sfarc\\_%"), "something of the swap is left");
    }
}

#[test]
fn a_client_that_fails_anywhere_in_a_swap_loses_no_table() {
    if !MariaDb::installed() {
        println!("MariaDB is not installed: not tested");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = MariaDb::start(folder.path());
    std::fs::create_dir(folder.path().join("bin")).expect("made");
    let client = folder.path().join("bin/mariadb");
    let at = |text: &str| text.replace("cat ", &format!("cat {}/", folder.path().display()));
    let client_text = at(CLIENT).replace(">calls", &format!(">{}/calls", folder.path().display()));
    std::fs::write(&client, format!("#!/bin/sh\n{client_text}")).expect("written");
    std::fs::set_permissions(&client, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it can be run");
    let env = World::new(1).env();
    let swapping =
        Swapping { server: &server, folder: folder.path(), env: &env, live: Database { name: "live".to_owned() } };
    for how in ["before", "after", "less"] {
        // To the first call that is not made any more.
        for fails in 1.. {
            swapping.sql("DROP DATABASE IF EXISTS live; DROP DATABASE IF EXISTS live_old; DROP DATABASE IF EXISTS live_sfarc_new_drop; \
                 DROP DATABASE IF EXISTS live_sfarc_code");
            swapping.sql(BEFORE);
            swapping.sql(LOADED);
            let done = swapping.swap(fails, how);
            if swapping.sql("SHOW TABLES IN live LIKE 'only%'").trim() == "only_old" {
                assert_eq!(swapping.sql(CODE).trim(), CODE_BEFORE, "the live database lacks code, {how} {fails}");
            }
            let calls = swapping.calls();
            if !done && swapping.has("live\\_sfarc\\_new") {
                // As a restore does that is begun again.
                swapping.sql(LOADED);
                assert!(swapping.swap(0, how), "it ends at last");
            }
            swapping.assert_done();
            if calls < fails {
                assert!(done && calls >= 20, "{calls} calls");
                break;
            }
        }
    }
}

/// More tables than one argument of a program may name; and somebody who reads for long holds up nobody else.
#[test]
fn thousands_of_tables_are_swapped_and_a_reader_loses_nothing() {
    if !MariaDb::installed() {
        println!("MariaDB is not installed: not tested");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = MariaDb::start(folder.path());
    let tables = |database: &str| {
        let create = |number: usize| format!("CREATE TABLE {database}.table_with_quite_a_long_name_{number} (i INT);");
        format!("CREATE DATABASE {database}; {}", (0..1500).map(create).collect::<String>())
    };
    server.sql("mysql", &tables("live"));
    server.sql("mysql", &tables("live_sfarc_new"));
    server.sql("live", "CREATE TRIGGER t BEFORE INSERT ON table_with_quite_a_long_name_7 FOR EACH ROW SET NEW.i = 5");
    let env = World::new(1).env();
    let home = [(OsString::from("HOME"), OsString::from(server.home()))];
    let path = [(OsString::from("PATH"), std::env::var_os("PATH").unwrap_or_default())];
    let shell = LocalShell { env: &env, environment: Environment::only(home.into_iter().chain(path)) };
    let live = Database { name: "live".to_owned() };
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            server.sql("live", "START TRANSACTION; SELECT * FROM table_with_quite_a_long_name_1; SELECT SLEEP(9)")
        });
        std::thread::sleep(std::time::Duration::from_secs(1));
        live.swap(&shell, "live_old").expect("it waits for the reader, and gets its turn");
        reader.join().expect("the reader is not disturbed");
    });
    let count = |database: &str| {
        server
            .sql("mysql", &format!("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{database}'"))
    };
    assert_eq!((count("live").trim(), count("live_old").trim()), ("1500", "1500"));
    assert_eq!(server.sql("mysql", "SELECT trigger_schema FROM information_schema.triggers").trim(), "live_old");
}
