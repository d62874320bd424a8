//! Databases of MariaDB or MySQL: a logical dump, and what is known of it from the server.

use std::collections::BTreeMap;
use std::time::Duration;

use super::pod::{self, PodCommand, Run};
use super::{SourceError, Verdict};
use crate::content::dump::{DumpCheck, DumpFacts};
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
    let (facts, whole) = pod::run(run, &random(), &cancel, |arriving| {
        let mut check = DumpCheck::default();
        arriving.copy_to(|part| {
            check.push(part);
            newest.iter_mut().for_each(|(_, sought)| sought.push(part));
            Ok(lanes.write(0, part)?)
        })?;
        check.finish().map_err(|error| SourceError::Content(Box::new(error)))
    })?;
    let after = count(&counting, &random(), &cancel)?;
    let mut verdict = Verdict::proven(if whole.proof == Proof::P2 { Proof::P3 } else { whole.proof });
    verdict.findings = before.missing_from(&facts, &after);
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
    /// Reads lines of a name and a value, with a tab between; others say nothing. Nothing if the line `end` is missing.
    pub fn parse(lines: &[u8]) -> Option<Self> {
        let (mut known, mut has_end) = (Self::default(), false);
        for line in String::from_utf8_lossy(lines).lines() {
            let Some((name, value)) = line.split_once('\t') else { continue };
            if let (Some(table), Ok(rows)) = (name.strip_prefix("rows/"), value.parse()) {
                known.rows.insert(table.to_owned(), rows);
            } else if let Some(of) = name.strip_prefix("newest/") {
                known.newest.insert(of.to_owned(), value.to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_rows_and_tables_are_found() {
        let before =
            Known::parse(b"rows/a\t10\nrows/b\t5\nrows/c\t0\nrows/gone\t3\nnewest/zuul_build\tf00\nother\nend\t\n");
        let before = before.expect("an end");
        assert_eq!(before.newest["zuul_build"], "f00");
        let after = Known::parse(b"rows/a\t12\nrows/b\t4\nrows/c\t0\nend\t\n").expect("an end");
        assert_eq!(Known::parse(b"rows/a\t12\nrows/b\t4\n"), None);
        let tables = [("a", 9), ("b", 4)].map(|(table, rows)| (table.to_owned(), rows)).into();
        let dump = DumpFacts { tables, ..DumpFacts::default() };
        let findings = before.missing_from(&dump, &after);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].contains("9 rows of table a") && findings[1].contains("lacks table c"));
    }
}
