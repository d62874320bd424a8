//! What may be loaded: statements that a dump of one database is made of, and no others.
//!
//! A dump comes from a container that somebody may have taken over, or from a thief of a writer's key. Whoever loads it runs
//! what it says: commands of the client, files that the server reads and writes, other databases, accounts. So each
//! statement is held against a list of what the tools write. What is in conditional comments is read like everything else,
//! as servers do. Bodies of routines, triggers and events are not read: loading does not run them, since rows come only for
//! the table that was made last, and for none that has a trigger.

use super::statements::{Allowed, Judge};

/// Why a dump is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, before byte {at}: {why}")]
pub struct Refused {
    /// The line, counted from 1.
    pub line: u64,
    /// A byte at which this is known, counted from 0.
    pub at: u64,
    /// What is there that no dump has.
    pub why: &'static str,
}

/// The first line of newer tools, in which a backslash is meant.
const SANDBOX: [&[u8]; 2] = [br"/*M!999999\- enable the sandbox mode */", br"/*!999999\- enable the sandbox mode */"];

const COMMAND: &str = "a command of the client";

/// The one command that clients take wherever it stands, even in a statement and as the end of a word.
const DELIMITER: &[u8] = b"DELIMITER";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// In the first line.
    #[default]
    First,
    Code,
    /// After `-`.
    Dash,
    /// After `--`.
    DashDash,
    /// After `/`.
    Slash,
    /// After `/*`.
    SlashStar,
    /// After `/*M`.
    SlashStarM,
    /// After `*`, where it may end a conditional comment.
    Star,
    /// In a comment that ends with its line.
    Line,
    Comment,
    /// After `*` in a comment.
    CommentStar,
    /// In a string with this quote.
    String(u8),
    /// After a backslash in one.
    Escape(u8),
    /// In a name between backquotes.
    Name,
    /// In the line that sets the delimiter.
    Delimiter,
    /// After `;`, where two of them end a statement.
    Semicolon,
}

/// Reads a dump as it streams by, and says whether it may be loaded.
#[derive(Debug, Default)]
pub struct Gate {
    state: State,
    /// The first line, or the one that sets the delimiter.
    line: Vec<u8>,
    word: Vec<u8>,
    /// How much of [`DELIMITER`] the bytes of the word end with: a word may be long.
    delimiter: usize,
    name: Vec<u8>,
    is_conditional: bool,
    /// Statements end with two semicolons.
    is_block: bool,
    judge: Judge,
    lines: u64,
    seen: u64,
    refused: Option<Refused>,
}

impl Gate {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.refused.is_some() {
                return;
            }
            self.lines += u64::from(byte == b'\n');
            self.seen += 1;
            if let Err(why) = self.step(byte) {
                self.refused = Some(Refused { line: self.lines + u64::from(byte != b'\n'), at: self.seen, why });
            }
        }
    }

    /// The verdict, after the last byte.
    pub fn finish(self) -> Result<(), Refused> {
        self.refused.map_or(Ok(()), Err)
    }

    fn step(&mut self, byte: u8) -> Allowed {
        self.state = match (self.state, byte) {
            (State::First, b'\n') => self.end_first_line()?,
            (State::First, _) if self.line.len() < 64 => {
                self.line.push(byte);
                State::First
            }
            (State::First, _) => {
                self.state = State::Code;
                let line = std::mem::take(&mut self.line);
                line.into_iter().chain([byte]).try_for_each(|byte| self.step(byte))?;
                self.state
            }
            (State::Line, b'\n') => State::Code,
            (State::Comment | State::CommentStar, b'*') => State::CommentStar,
            (State::CommentStar, b'/') => State::Code,
            (State::CommentStar, _) => State::Comment,
            // Servers that pass over the comment look for its end in strings and names, too.
            (State::String(_) | State::Escape(_) | State::Name, b'*') if self.judge.is_uncertain() => {
                return Err("a comment that not all servers end at the same place");
            }
            (State::Escape(quote), _) => State::String(quote),
            (State::String(_), b'\\') if self.judge.is_ambiguous() => {
                return Err("a backslash in a string, where the SQL mode may have made it a character like others");
            }
            (State::String(quote), b'\\') => State::Escape(quote),
            (State::String(quote), _) if byte == quote => State::Code,
            (State::String(quote), _) => {
                self.judge.text(byte)?;
                State::String(quote)
            }
            (State::Name, b'`') => {
                self.judge.name(&self.name)?;
                self.name.clear();
                State::Code
            }
            (State::Name, _) => {
                if self.name.len() < 4 * super::NAME_CHARS {
                    self.name.push(byte);
                }
                State::Name
            }
            (State::Delimiter, b'\n') => self.end_delimiter()?,
            (State::Delimiter, _) if self.line.len() < 8 => {
                self.line.push(byte);
                State::Delimiter
            }
            (State::Delimiter, _) => return Err("a delimiter that the tools do not use"),
            (state @ (State::Line | State::Comment), _) => state,
            (state, byte) => self.code(state, byte)?,
        };
        Ok(())
    }

    /// A byte that is in no string, name or comment.
    fn code(&mut self, state: State, byte: u8) -> Result<State, &'static str> {
        match (state, byte) {
            (State::Dash, b'-') => return Ok(State::DashDash),
            (State::DashDash, 0..=b' ') => return Ok(if byte == b'\n' { State::Code } else { State::Line }),
            (State::Slash, b'*') => return Ok(State::SlashStar),
            (State::SlashStar, b'M') => return Ok(State::SlashStarM),
            (State::SlashStar | State::SlashStarM, b'!') if self.is_conditional => {
                return Err("a conditional comment in another");
            }
            (State::SlashStar | State::SlashStarM, b'!') => {
                self.is_conditional = true;
                self.judge.begin_conditional(state == State::SlashStarM);
                return Ok(State::Code);
            }
            (State::SlashStar | State::SlashStarM, b'*') => return Ok(State::CommentStar),
            (State::SlashStar | State::SlashStarM, _) => return Ok(State::Comment),
            (State::Star, b'/') => {
                self.is_conditional = false;
                self.judge.end_conditional();
                return Ok(State::Code);
            }
            (State::Semicolon, b';') => {
                self.judge.end()?;
                return Ok(State::Code);
            }
            // A single one in a block is part of a body.
            (State::Semicolon, _) => self.judge.symbol(b';')?,
            (State::Dash | State::DashDash, _) => self.judge.symbol(b'-')?,
            (State::Slash, _) => self.judge.symbol(b'/')?,
            (State::Star, _) => self.judge.symbol(b'*')?,
            _ => {}
        }
        if byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'_' | b'$' | b'@') {
            let byte = byte.to_ascii_uppercase();
            self.delimiter = match DELIMITER.get(self.delimiter) {
                Some(expected) if byte == *expected => self.delimiter + 1,
                _ => usize::from(byte == DELIMITER[0]),
            };
            // No word that means anything is that long.
            if self.word.len() < 64 {
                self.word.push(byte);
            }
            return Ok(State::Code);
        }
        if !self.word.is_empty() {
            let word = std::mem::take(&mut self.word);
            let ends_in_command = std::mem::take(&mut self.delimiter) == DELIMITER.len();
            if self.judge.is_between() && word == DELIMITER && !self.is_conditional {
                self.line.clear();
                return if byte == b'\n' { Err("a delimiter that the tools do not use") } else { Ok(State::Delimiter) };
            }
            if ends_in_command && byte == b' ' {
                return Err(COMMAND);
            }
            self.judge.word(&word)?;
        }
        Ok(match byte {
            b' ' | b'\t' | b'\n' | b'\r' => State::Code,
            b'\\' => return Err(COMMAND),
            0..=0x1f | 0x7f => return Err("a control character"),
            b'\'' | b'"' => {
                self.judge.string()?;
                State::String(byte)
            }
            b'`' => State::Name,
            b'-' => State::Dash,
            b'/' => State::Slash,
            b'#' => State::Line,
            b'*' if self.is_conditional => State::Star,
            b';' if self.is_block => State::Semicolon,
            b';' => {
                self.judge.end()?;
                State::Code
            }
            _ => {
                self.judge.symbol(byte)?;
                State::Code
            }
        })
    }

    fn end_first_line(&mut self) -> Result<State, &'static str> {
        self.state = State::Code;
        let line = std::mem::take(&mut self.line);
        if !SANDBOX.contains(&line.trim_ascii_end()) {
            line.into_iter().chain([b'\n']).try_for_each(|byte| self.step(byte))?;
        }
        Ok(self.state)
    }

    fn end_delimiter(&mut self) -> Result<State, &'static str> {
        self.is_block = match self.line.trim_ascii() {
            b";;" => true,
            b";" => false,
            _ => return Err("a delimiter that the tools do not use"),
        };
        Ok(State::Code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<(), Refused> {
        let whole = format!("-- MariaDB dump\n/*!40101 SET NAMES utf8mb4 */;\n{text}\n-- Dump completed\n");
        let mut verdicts = [1, 3, 1 << 20].map(|len| {
            let mut gate = Gate::default();
            whole.as_bytes().chunks(len).for_each(|piece| gate.push(piece));
            gate.finish()
        });
        assert!(verdicts[0] == verdicts[1] && verdicts[1] == verdicts[2], "{text}");
        std::mem::replace(&mut verdicts[0], Ok(()))
    }

    #[test]
    fn what_the_tools_write_is_let_through() {
        for text in [
            "DROP TABLE IF EXISTS `t`;\n/*!40101 SET @saved_cs_client     = @@character_set_client */;\n\
             CREATE TABLE `t` (\n  `a` int(11) NOT NULL DEFAULT 0.5,\n  `system` varchar(9) DEFAULT 'x\\\\ \\! y',\n  KEY `k` (`a`)\n) \
             ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COMMENT='it''s; \\\\! x';\n\
             LOCK TABLES `t` WRITE;\n/*!40000 ALTER TABLE `t` DISABLE KEYS */;\nINSERT INTO `t` VALUES\n(1,'a\\'; \\! b'),\n(-2.5e+3,NULL),\
             (0x41,_binary 'x'),(b'101','SELECT LOAD_FILE(1)');\n/*!40000 ALTER TABLE `t` ENABLE KEYS */;\nUNLOCK TABLES;",
            "CREATE TABLE `we``ird` (`a` int);\nINSERT INTO `we``ird` (`a`) VALUES (1);",
            "CREATE TABLE t (a int) ENGINE=Aria;INSERT  IGNORE INTO t VALUES (1);\nset autocommit=0;commit;",
            "/*!50003 SET @saved_sql_mode = @@sql_mode */ ;\n/*!50003 SET sql_mode = 'ANSI_QUOTES,STRICT_TRANS_TABLES' */ ;\n\
             DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `g` BEFORE INSERT ON `t` FOR EACH ROW \
             BEGIN SET NEW.a = 1; SELECT 1 INTO OUTFILE 'x'; END */;;\nDELIMITER ;\n/*!50003 SET sql_mode = @saved_sql_mode */ ;",
            "DELIMITER ;;\nCREATE DEFINER=`root`@`localhost` PROCEDURE `p`()\nBEGIN GRANT ALL ON *.* TO x; END ;;\nDELIMITER ;",
            "DELIMITER ;;\nCREATE AGGREGATE FUNCTION `f`(x INT) RETURNS int(11)\nRETURN 1 ;;\nDELIMITER ;",
            "/*!50106 DROP EVENT IF EXISTS `e` */;\nDELIMITER ;;\n/*!50106 CREATE*/ /*!50117 DEFINER=`a`@`%`*/ /*!50106 EVENT `e` ON \
             SCHEDULE EVERY 1 DAY DO SELECT 1 */ ;;\nDELIMITER ;",
            "SET @saved_cs_client     = @@character_set_client;\nSET character_set_client = utf8mb4;\n/*!50001 CREATE VIEW `v` AS SELECT\n \
             1 AS `a`*/;\nSET character_set_client = @saved_cs_client;\n/*!50001 DROP VIEW IF EXISTS `v`*/;\n/*!50001 CREATE ALGORITHM=UNDEFINED \
             */\n/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select `o`.`t`.`a` AS `a` from `o`.`t` */;",
            "DROP SEQUENCE IF EXISTS `s`;\nCREATE SEQUENCE `s` start with 1 minvalue 1 maxvalue 9 increment by 1 cache 1000 nocycle \
             ENGINE=InnoDB;\nDO SETVAL(`s`, 1, 0);\nSELECT SETVAL(`s`, 1, 0);",
            "/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;\n/*M!100616 SET @OLD_NOTE_VERBOSITY=@@NOTE_VERBOSITY, \
             NOTE_VERBOSITY=0 */;\n/*!40103 SET TIME_ZONE='+00:00' */;",
            "CREATE TABLE `i` (`a` int /*!80023 INVISIBLE */);\n/*!80000 SET SESSION information_schema_stats_expiry=0 */;\n/*! SET @a=1 */;",
            "CREATE TABLE `c` (`a` int, CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `other`.`t` (`a`) ON DELETE SET NULL, CHECK (`a` > 1))\n\
             /*!50100 PARTITION BY HASH (`a`) PARTITIONS 2 */;",
        ] {
            assert_eq!(verdict(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_line() {
        for text in [
            "\\! id > /tmp/x",
            "SET @a=1\n\\! id",
            "/*!50001 SET @a=1 \\! id */;",
            "-- \n\\. /etc/passwd",
            "system id",
            "source /etc/passwd;",
            "tee /tmp/x\n;",
            "USE mysql;",
            "CREATE DATABASE `x`;",
            "/*!40000 DROP DATABASE IF EXISTS `x`*/;",
            "ALTER DATABASE `shop` CHARACTER SET latin1;",
            "GRANT ALL ON *.* TO `x`@`%`;",
            "CREATE USER x;",
            "/*!80000 CREATE*/ /*!80000 USER x*/;",
            "INSTALL SONAME 'x';",
            "CREATE FUNCTION f RETURNS STRING SONAME 'x.so';",
            "LOAD DATA INFILE '/etc/passwd' INTO TABLE t;",
            "SELECT 1 INTO OUTFILE '/tmp/x';",
            "SELECT SETVAL(`s`, (SELECT 1 INTO OUTFILE '/tmp/x'), 0);",
            "DO SLEEP(5);",
            "CALL p();",
            "SET GLOBAL general_log=1;",
            "SET @@GLOBAL.GTID_PURGED='x';",
            "SET @x=1, @@global.general_log_file='/tmp/x';",
            "SET STATEMENT max_statement_time=1 FOR GRANT ALL ON *.* TO x;",
            "SET PASSWORD = 'x';",
            "SET @x = LOAD_FILE('/etc/passwd');",
            "SET sql_mode = 'NO_BACKSLASH_ESCAPES';\nCREATE TABLE `t` (`a` int COMMENT '\\');\n\\! id\n');",
            "SET sql_mode = 'NO_BACK' 'SLASH_ESCAPES';CREATE TABLE `t` (`a` int COMMENT '\\\\');",
            "SET sql_mode = 1048576;",
            "SET sql_mode = 0x4E4F;",
            "CREATE TABLE `mysql`.`x` (a int);",
            "CREATE TABLE `t` (a int) DATA DIRECTORY='/tmp';",
            "CREATE TABLE `t` (a int) ENGINE=CONNECT TABLE_TYPE=DOS FILE_NAME='/etc/passwd';",
            "CREATE TABLE `t` (a int) ENGINE=FEDERATED CONNECTION='mysql://x';",
            "CREATE TABLE `t` (a int) ENGINE=MERGE UNION=(`mysql`.`x`);",
            "CREATE TABLE `t` AS SELECT LOAD_FILE('/etc/passwd');",
            "CREATE TABLE `t` LIKE `mysql`.`user`;\nINSERT INTO `mysql`.`user` VALUES (1);",
            "INSERT INTO `t` VALUES (1);",
            "CREATE TABLE `t` (a int);CREATE TABLE `u` (a int);INSERT INTO `t` VALUES (1);",
            "CREATE TABLE `t` (a int);INSERT INTO `t` SELECT 1;",
            "CREATE TABLE `t` (a int);INSERT INTO `t` VALUES (LOAD_FILE('/etc/passwd'));",
            "CREATE TABLE `t` (a int);INSERT INTO `t` VALUES (1) ON DUPLICATE KEY UPDATE a=SLEEP(1);",
            "CREATE TABLE `t` (a int);\nDELIMITER ;;\nCREATE TRIGGER g BEFORE INSERT ON `t` FOR EACH ROW DELETE FROM mysql.user ;;\nDELIMITER ;\n\
             INSERT INTO `t` VALUES (1);",
            "CREATE VIEW `mysql`.`v` AS SELECT 1;",
            "DROP TABLE `mysql`.`user`;",
            "DROP USER root;",
            "LOCK TABLES `mysql`.`user` WRITE;",
            "ALTER TABLE `mysql`.`user` DISABLE KEYS;",
            "DELIMITER //\nx//\nDELIMITER ;",
            "DELIMITER ;;\nGRANT ALL ON *.* TO x ;;\nDELIMITER ;",
            "DELIMITER ;;\nCREATE PROCEDURE p()\nBEGIN\ndelimiter ;\nGRANT ALL ON *.* TO x;\nEND ;;\nDELIMITER ;",
            "DELIMITER ;;\nCREATE PROCEDURE p()\nSELECT aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaddelimiter ;\nGRANT ALL ON \
             *.* TO x;\n;;\nDELIMITER ;",
            "/*!99999 SET @a = */ GRANT ALL ON *.* TO x;",
            "/*!99999 SET @a = */ /*!40000 GRANT ALL ON *.* TO x */;",
            "/*M!999999 SET @a = */ GRANT ALL ON *.* TO x;",
            "/*!99999 CREATE TABLE t */ GRANT ALL PRIVILEGES ON mysql TO x;",
            "SET /*!50003GLOBAL*/ general_log=1;",
            "SET @a=1 /*!99999 , @b=' */ ; GRANT ALL ON *.* TO x; -- '*/;",
            "/*!99999 SET @a=' */ ; GRANT ALL ON *.* TO x; -- ' */;",
            "CREATE TABLE `t` (a int /*!99999 COMMENT ' */); GRANT ALL ON *.* TO x; -- '*/);",
            "/*!50003 SET @a=1 /*!50003 , @b=1 */;",
            "DELETE FROM t;",
            "UPDATE t SET a = 1;",
            "PREPARE x FROM 'y';",
            "EXECUTE IMMEDIATE 'y';",
            "SHUTDOWN;",
            "XA START 'x';",
            "BEGIN NOT ATOMIC SELECT 1; END;",
        ] {
            let refused = verdict(text).expect_err(text);
            assert!(refused.line >= 3 && refused.at > 40, "{text}: {refused}");
        }
    }
}
