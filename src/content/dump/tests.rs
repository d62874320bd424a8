use super::*;

const HEAD: &str = "-- MariaDB dump 10.19  Distrib 10.11.18-MariaDB, for debian-linux-gnu (x86_64)\n--\n\
    -- Server version\t10.11.18-MariaDB-0+deb12u1\n\n/*!40101 SET NAMES utf8mb4 */;\n";
const END: &str = "\n-- Dump completed on 2024-01-01  0:00:00\n";

fn check(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<DumpFacts, DumpError> {
    let mut check = DumpCheck::default();
    pieces.into_iter().for_each(|piece| check.push(piece.as_ref()));
    check.finish()
}

/// The verdict, which must not depend on how the dump is cut.
fn checked(bytes: &[u8]) -> Result<DumpFacts, DumpError> {
    let verdict = check([bytes]);
    for piece in [1, 2, 3, 7, 64] {
        assert_eq!(check(bytes.chunks(piece)), verdict, "in pieces of {piece}");
    }
    verdict
}

fn body(body: &str) -> Result<DumpFacts, DumpError> {
    checked(format!("{HEAD}{body}{END}").as_bytes())
}

fn assert_counts(text: &str, expected: &[(&str, u64)]) {
    let facts = body(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let expected = expected.iter().map(|(table, rows)| ((*table).to_owned(), *rows)).collect();
    assert_eq!(facts.tables, expected, "{text}");
}

#[test]
fn rows_are_counted() {
    for (text, rows) in [
        ("INSERT INTO `t` VALUES (1),(2),(3);", 3),
        ("INSERT INTO `t` VALUES\n(1,'x'),\n(2,NULL);\n", 2),
        ("INSERT  IGNORE INTO `t` VALUES (1);insert into t values(2) , (3) ;", 3),
        ("REPLACE INTO `t` VALUES (-1.5e+300,- 2,0x00FF,b'101',_binary 'x');", 1),
        ("INSERT INTO `t` (`a`, `b``),(`, c) VALUES (1,2,3),(4,5,6);", 2),
        (r"INSERT INTO `t` VALUES ('),('),('\'),('),('\\'),(''''),('a''),(''b');", 5),
        ("INSERT INTO `t` VALUES ('a\nb;\n-- c\n/* '),('\u{fc}\t#`\"');", 2),
        ("INSERT INTO `t` VALUES (1) ON DUPLICATE KEY UPDATE a=VALUES(a), b=('x');", 1),
        ("INSERT INTO `t` VALUES (POINT(1,2),'x'),(POINT(3,4),'y');", 2),
        ("INSERT INTO `t` VALUES (1),/* ),( */(2) -- ),(\n,(3)#),(\n;", 3),
        ("INSERT INTO `t` VALUES (\"it's\"),(\"\\\"),(\");", 2),
        (
            "CREATE TABLE `t` (\n  `a;b` int COMMENT 'it''s; INSERT INTO `x` VALUES (1)'\n) /*!50100 PARTITION BY x */;",
            0,
        ),
        ("INSERT INTO `t` VALUES (1);\nINSERT INTO `t` VALUES (2);\nINSERT INTO `t` VALUES/**/(3),\n(4);", 4),
        ("INSERT INTO t /* a */ VALUES (1);INSERT INTO t /* VALUES (2);*/ VALUES (3);", 2),
        ("INSERT INTO t VALUES (1);INSERT INTO t VALUES_ (2);INSERT INTO t\nVALUES(3);", 2),
        ("CREATE TABLE IF NOT EXISTS t;", 0),
        ("CREATE TABLE \"t\" (a int);INSERT INTO \"t\" (\"a\") VALUES ('\"'),(2);", 2),
        ("CREATE OR REPLACE TABLE t (a int);INSERT INTO t SELECT 1;", 0),
    ] {
        assert_counts(text, &[("t", rows)]);
    }
}

#[test]
fn what_is_no_table_is_passed_over() {
    for text in [
        "",
        ";",
        "/*!50001 CREATE VIEW `v` AS SELECT\n 1 AS `x;y``z`, 'a*/b' AS `c` */;",
        "/*!50001 CREATE TABLE `v` (\n `a` tinyint NOT NULL\n) ENGINE=MyISAM */;",
        "/* plain ** ' comment; **/;/**//***/",
        "DELIMITER ;;\nINSERT INTO `t` VALUES (1);\n it's -- '\nDELIMITERS ;\n DELIMITER ;\nDELIMITER ;\n",
        "DELIMITER |\nEND */|\nDELIMITER ;  \r\n",
        "DELIMITER ;\n",
        "SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'a:1-5,\nb:1';set autocommit=0;",
        "SELECT a--1, 2/3 * 4, `x``y`;",
    ] {
        assert_counts(text, &[]);
    }
}

#[test]
fn tables_of_several_databases_are_told_apart() {
    let first = "USE `a`;CREATE TABLE `t` (a int);INSERT INTO `t` VALUES (1);";
    assert_counts(first, &[("t", 1)]);
    let between = "INSERT INTO t VALUES (1);USE b;INSERT INTO t VALUES (2),(3);";
    assert_counts(&format!("USE a;{between}USE a;{between}"), &[("a.t", 2), ("b.t", 4)]);
    let second = "USE `b.c`;INSERT INTO `t` VALUES (1),(2);INSERT INTO a.t VALUES (3);";
    assert_counts(&format!("{first}{second}"), &[("a.t", 2), ("`b.c`.t", 2)]);
}

#[test]
fn the_head_is_read() {
    let facts = body("").expect("a whole dump");
    assert_eq!((facts.sandbox, facts.client.as_deref()), (false, Some("10.11.18-MariaDB")));
    assert_eq!(facts.server.as_deref(), Some("10.11.18-MariaDB-0+deb12u1"));
    for sandbox in [r"/*M!999999\- enable the sandbox mode */ ", r"/*!999999\- enable the sandbox mode */"] {
        let facts = checked(format!("{sandbox}\n{HEAD}{END}").as_bytes()).expect("a whole dump");
        assert!(facts.sandbox && facts.server.is_some());
    }
    let mysql =
        checked(b"-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)\n-- Dump completed").expect("a whole dump");
    assert_eq!((mysql.client.as_deref(), mysql.server), (Some("8.0.36"), None));
}

#[test]
fn what_begins_otherwise_is_no_dump() {
    let long = format!("-- MariaDB dump {}\n", "1".repeat(1000));
    for bytes in [&b""[..], b"\n", b"--", b"<?xml version=\"1.0\"?>\n", b"INSERT INTO t VALUES (1);\n", long.as_bytes()]
    {
        assert_eq!(checked(bytes), Err(DumpError::NotADump), "{}", String::from_utf8_lossy(bytes));
    }
    assert!(matches!(checked(b"-- MariaDB dump 10"), Err(DumpError::Cut { after_bytes: 18, .. })));
}

#[test]
fn a_dump_that_is_cut_anywhere_is_not_whole() {
    let text = format!(
        "{HEAD}CREATE TABLE `t` (a int);\nINSERT INTO `t` (`a`,b) VALUES (1,'x\\'y'),\n(-2,0x00);\n/* a */ \
         /*!5 SET x='y' */;\nDELIMITER ;;\nx;;\nDELIMITER ;\n{END}"
    );
    let end = text.find("-- Dump completed").expect("it has an end") + "-- Dump completed".len();
    for len in 0..end {
        match checked(&text.as_bytes()[..len]) {
            Err(DumpError::NotADump) if len < "-- MariaDB dump ".len() => {}
            Err(DumpError::Cut { after_bytes, .. }) => assert_eq!(after_bytes, len as u64),
            verdict => panic!("cut at {len}: {verdict:?}"),
        }
    }
    assert!(checked(&text.as_bytes()[..end]).is_ok());
}

#[test]
fn the_error_says_what_was_open() {
    let table = || "t".to_owned();
    for (text, open) in [
        ("INSERT INTO `t` VALUES (1,'x", Open::Value { table: table() }),
        ("INSERT INTO `t` VALUES (1,'x\\", Open::Value { table: table() }),
        ("INSERT INTO `t` VALUES (1,'x'),", Open::Rows { table: table() }),
        ("INSERT INTO `t` VALUES (1)", Open::Rows { table: table() }),
        ("INSERT INTO `t", Open::Name),
        ("INSERT", Open::Statement),
        ("CREATE TABLE t (a int DEFAULT 'x", Open::Text),
        ("CREATE TABLE t (a int", Open::Statement),
        ("/* x", Open::Comment),
        ("/*!40101 SET x ", Open::Comment),
        ("DELIMITER ;;\nCREATE", Open::Routine),
        ("SET x=1;\n", Open::Nothing),
    ] {
        let verdict = checked(format!("{HEAD}{text}").as_bytes());
        assert_eq!(
            verdict,
            Err(DumpError::Cut { after_bytes: (HEAD.len() + text.len()) as u64, last: open }),
            "{text}"
        );
    }
    // A last line does not help where something is open before it.
    let verdict = body("INSERT INTO `t` VALUES (1)");
    assert!(matches!(verdict, Err(DumpError::Cut { last: Open::Rows { .. }, .. })), "{verdict:?}");
    assert!(matches!(body("CREATE TABLE t (a int"), Err(DumpError::Cut { last: Open::Statement, .. })));
}

#[test]
fn nothing_follows_the_end() {
    let whole = format!("{HEAD}{END}");
    assert!(checked(format!("{whole} \n\r\n").as_bytes()).is_ok());
    for more in ["x", "\n-- more\n", HEAD, "\0"] {
        let verdict = checked(format!("{whole}{more}").as_bytes());
        let at = (whole.len() + usize::from(more.starts_with('\n'))) as u64;
        assert_eq!(verdict, Err(DumpError::Trailing { at }), "{more:?}");
    }
}

#[test]
fn what_cannot_stand_somewhere_is_seen() {
    for (before, wrong) in [
        ("INSERT INTO `t` VALUES (1),(2", ";"),
        ("INSERT INTO `t` VALUES (1),", ";"),
        ("INSERT INTO `t` VALUES", ";"),
        ("INSERT INTO `t` VALUES (1,2),(3", ")"),
        ("INSERT INTO `t` VALUES (1)", "("),
        ("INSERT INTO `t` VALUES ('a'", "b"),
        ("INSERT INTO `t` VALUES (1", "\0"),
        ("INSERT INTO `t` VALUES (1", "{"),
        ("INSERT INTO `t` VALUES (1", "`"),
        ("INSERT INTO `t` VALUES 1", ""),
        ("INSERT INTO 'x'", ""),
        ("INSERT INTO", ";"),
        ("SET x", "\0"),
        ("", "("),
        ("`x`", ""),
        ("USE ``", ";"),
    ] {
        let verdict = body(&format!("{before}{wrong}"));
        assert!(matches!(verdict, Err(DumpError::Malformed { .. })), "{before}{wrong}: {verdict:?}");
        if let (Err(DumpError::Malformed { at, .. }), false) = (verdict, wrong.is_empty()) {
            assert_eq!(at, (HEAD.len() + before.len()) as u64, "{before}{wrong}");
        }
    }
}

#[test]
fn names_and_tables_are_bounded() {
    let long = |name: &str| [format!("USE `{name}`;"), format!("INSERT INTO {name} VALUES (1);")];
    for text in long(&"\u{e4}".repeat(NAME_CHARS)) {
        assert!(body(&text).is_ok(), "{text}");
    }
    for text in long(&"x".repeat(NAME_CHARS + 1)).into_iter().chain(long(&"x".repeat(100_000))) {
        assert!(matches!(check([format!("{HEAD}{text}{END}")]), Err(DumpError::LongName { .. })));
    }
    let tables = |count: usize| (0..count).map(|number| format!("CREATE TABLE t{number} (a int);")).collect::<String>();
    assert!(check([HEAD, &tables(TABLES), END]).is_ok());
    assert!(matches!(check([HEAD, &tables(TABLES + 1), END]), Err(DumpError::TooManyTables { .. })));
}

#[test]
fn errors_do_not_quote_the_data() {
    let secret = "hunter2";
    for text in [
        format!("INSERT INTO `t` VALUES ('{secret}"),
        format!("INSERT INTO `t` VALUES ('x'{secret}"),
        format!("SET PASSWORD = '{secret}';\0"),
    ] {
        let error = body(&text).expect_err("it is not whole");
        assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
    }
}
