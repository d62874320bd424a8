//! Databases of MariaDB or MySQL: a logical dump, and what is known of it from the server.

use std::collections::BTreeMap;
use std::time::Duration;

use super::pod::{self, PodCommand, Run};
use super::{SourceError, Verdict};
use crate::content::dump::{DumpCheck, DumpFacts, Gate};
use crate::content::sought::Sought;
use crate::env::Cancel;
use crate::format::manifest::Proof;
use crate::pipeline::lanes::Lanes;

const DUMP: &str = include_str!("database.sh");
/// Tells what is in the database `$1`; [`Known::parse`] reads what it prints.
pub const COUNTS: &str = include_str!("database_counts.sh");

/// Counting takes a while where tables are large.
const COUNT_LIMIT: Duration = Duration::from_secs(600);

/// True if a name of a database needs no quotes anywhere.
pub fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(is_plain) && !name.starts_with('-')
}

/// The command that dumps a database.
pub(super) fn command(database: &str) -> PodCommand {
    PodCommand::script(DUMP, &[database])
}

/// The command that tells what is in a database; [`Known::parse`] reads what it prints.
pub fn counting(database: &str) -> PodCommand {
    PodCommand::script(COUNTS, &[database])
}

/// Takes a dump between two looks at the tables.
pub(super) fn take(
    run: &Run<'_>,
    database: &str,
    random: &mut dyn FnMut() -> [u8; 48],
    lanes: &mut Lanes,
) -> Result<Verdict, SourceError> {
    let cancel = lanes.cancel().clone();
    let counting = counting(database);
    let counting = Run { command: &counting, ..run.clone() };
    let before = count(&counting, &random(), &cancel)?;
    let mut newest = before.newest.iter().map(|(of, uuid)| (of.clone(), Sought::new(uuid))).collect::<Vec<_>>();
    let ((facts, refused), whole) = pod::run(run, &random(), &cancel, |arriving| {
        let (mut check, mut gate) = (DumpCheck::default(), Gate::default());
        arriving.copy_to(|part| {
            check.push(part);
            gate.push(part);
            newest.iter_mut().for_each(|(_, sought)| sought.push(part));
            Ok(lanes.write(0, part)?)
        })?;
        let facts = check.finish().map_err(|error| SourceError::Content(Box::new(error)))?;
        Ok((facts, gate.finish().err()))
    })?;
    let after = count(&counting, &random(), &cancel)?;
    let mut verdict = Verdict::proven(if whole.proof == Proof::P2 { Proof::P3 } else { whole.proof });
    verdict.findings = before.missing_from(&facts, &after);
    verdict.findings.extend(refused.map(|refused| format!("the dump cannot be restored as it is: {refused}")));
    let lacks = |of: &String| format!("the dump lacks the newest row of {of} that was there before it");
    verdict.findings.extend(newest.iter().filter(|(_, sought)| !sought.is_found()).map(|(of, _)| lacks(of)));
    verdict.facts = facts_of(&facts, &before);
    Ok(verdict)
}

fn count(counting: &Run<'_>, random: &[u8; 48], cancel: &Cancel) -> Result<Known, SourceError> {
    let lines = pod::ask(counting, COUNT_LIMIT, random, cancel)?;
    let cut = || SourceError::Moved(format!("the client in {} told of some of the tables only", counting.pod));
    Known::parse(&lines).ok_or_else(cut)
}

fn facts_of(dump: &DumpFacts, before: &Known) -> Vec<(String, String)> {
    let newest = before.newest.iter().map(|(of, uuid)| (format!("newest/{of}"), uuid.clone()));
    let server = dump.server.iter().map(|version| ("server".to_owned(), version.clone()));
    rows(dump).into_iter().chain(newest).chain(server).collect()
}

/// How many rows of each table are in a dump.
pub(crate) fn rows(dump: &DumpFacts) -> Vec<(String, String)> {
    dump.tables.iter().map(|(table, rows)| (format!("rows/{table}"), rows.to_string())).collect()
}

/// What the server said of its tables.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// The `uuid` of the newest row of tables that have one.
    pub newest: BTreeMap<String, String>,
}

impl Known {
    /// Reads lines of a name and a value, with a tab between; others say nothing. Names of tables are in hex. Nothing if the
    /// line `end` is missing.
    pub fn parse(lines: &[u8]) -> Option<Self> {
        let (mut known, mut has_end) = (Self::default(), false);
        for line in String::from_utf8_lossy(lines).lines() {
            let Some((name, value)) = line.split_once('\t') else { continue };
            if let (Some(table), Ok(rows)) = (name.strip_prefix("rows/"), value.parse()) {
                known.rows.insert(from_hex(table)?, rows);
            } else if let Some(of) = name.strip_prefix("newest/") {
                known.newest.insert(from_hex(of)?, value.to_owned());
            } else {
                has_end |= name == "end";
            }
        }
        has_end.then_some(known)
    }

    /// Tables of which the dump has less than there was both before and after it.
    fn missing_from(&self, dump: &DumpFacts, after: &Self) -> Vec<String> {
        let least = |table: &str, before: u64| after.rows.get(table).map(|after| before.min(*after));
        let finding = |(table, before): (&String, &u64)| {
            let least = least(table, *before)?;
            match dump.tables.get(table) {
                Some(rows) if *rows >= least => None,
                Some(rows) => Some(format!("the dump has {rows} rows of table {table}, which had at least {least}")),
                None => Some(format!("the dump lacks table {table}, which had {before} rows")),
            }
        };
        self.rows.iter().filter_map(finding).collect()
    }
}

/// The name whose bytes these digits are.
fn from_hex(digits: &str) -> Option<String> {
    let digit = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    Some(String::from_utf8_lossy(&bytes?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_hex() {
        let known = Known::parse(b"rows/60603B0A\t1\nrows/C3BC\t2\nend\t\n").expect("an end");
        assert_eq!(known.rows.keys().collect::<Vec<_>>(), ["``;\n", "\u{fc}"]);
        for wrong in ["6", "6x", "+6", "table"] {
            assert_eq!(Known::parse(format!("rows/{wrong}\t1\nend\t\n").as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn lost_rows_and_tables_are_found() {
        let before = Known::parse(
            b"rows/61\t10\nrows/62\t5\nrows/63\t0\nrows/676F6E65\t3\nnewest/7A75756C5F6275696C64\tf00\nother\nend\t\n",
        );
        let before = before.expect("an end");
        assert_eq!(before.newest["zuul_build"], "f00");
        let after = Known::parse(b"rows/61\t12\nrows/62\t4\nrows/63\t0\nend\t\n").expect("an end");
        assert_eq!(Known::parse(b"rows/61\t12\nrows/62\t4\n"), None);
        let tables = [("a", 9), ("b", 4)].map(|(table, rows)| (table.to_owned(), rows)).into();
        let dump = DumpFacts { tables, ..DumpFacts::default() };
        let findings = before.missing_from(&dump, &after);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].contains("9 rows of table a") && findings[1].contains("lacks table c"));
    }
}
