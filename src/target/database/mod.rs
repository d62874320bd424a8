//! A dump into a database beside the live one, and then the swap.
//!
//! MariaDB cannot rename a database, but one `RENAME TABLE` moves all tables of one to another and those of a third to
//! the first: for whoever reads there are the old tables, then the new ones, and nothing between. Views, triggers,
//! routines and events have no such statement; `swap.sh` says what becomes of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::TargetError;
use super::feed::{FeedError, Patience, Sender};
use super::shell::Shell;
use crate::source::database::{Known, counting};
use crate::source::pod::PodCommand;

/// Finds the client: `$client`; what other scripts begin with.
pub(crate) const CLIENT: &str = include_str!("client.sh");
const LOOK: &str = include_str!("look.sh");
const SCRATCH: &str = include_str!("scratch.sh");
const CODE: &str = include_str!("code.sh");
const SWAP: &str = include_str!("swap.sh");
const HAS: &str = include_str!("has.sh");
const DROP: &str = include_str!("drop.sh");

/// The swap copies nothing, but it waits for whoever still reads.
const LIMIT: Duration = Duration::from_secs(600);

/// A database of a server that clients reach where commands run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its name.
    pub name: String,
}

/// What a dump must have become, from the manifest of its snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// The newest entry of tables that have one, by its `uuid`.
    pub newest: BTreeMap<String, String>,
}

impl Expected {
    /// What the manifest says of the dump of a stream.
    pub fn of(facts: &[(String, String)]) -> Self {
        let mut expected = Self::default();
        for (name, value) in facts {
            if let (Some(table), Ok(rows)) = (name.strip_prefix("rows/"), value.parse()) {
                expected.rows.insert(table.to_owned(), rows);
            } else if let Some(of) = name.strip_prefix("newest/") {
                expected.newest.insert(of.to_owned(), value.clone());
            }
        }
        expected
    }

    /// A table with other rows than expected, in words.
    pub fn mismatch(&self, known: &Known) -> Option<String> {
        self.rows.iter().find_map(|(table, rows)| match known.rows.get(table) {
            Some(found) if found == rows => None,
            Some(found) => Some(format!("table {table} has {found} rows, not {rows}")),
            None => Some(format!("table {table} is missing")),
        })
    }
}

impl Database {
    /// The database that a dump is loaded into.
    pub fn scratch(&self) -> String {
        format!("{}_sfarc_new", self.name)
    }

    /// The name under which the database of before is kept; `stamp` tells one restore from another.
    pub fn old(&self, stamp: &str) -> String {
        format!("{}_sfarc_old_{stamp}", self.name)
    }

    /// Which databases of this one there are: itself, and those that restores have made.
    pub fn look(&self, shell: &impl Shell) -> Result<Vec<String>, TargetError> {
        let found = self.ask(shell, LOOK, &[&self.name])?;
        let name = |line: &str| line.strip_prefix("database\t").map(str::to_owned);
        Ok(found.lines().filter_map(name).collect())
    }

    /// True for a name under which an old database is kept.
    pub fn is_old(&self, name: &str) -> bool {
        name.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with("_sfarc_old_"))
    }

    /// Makes the empty scratch database. True if the client understands the line that sandboxes a dump.
    pub fn make_scratch(&self, shell: &impl Shell) -> Result<bool, TargetError> {
        Ok(self.ask(shell, SCRATCH, &[&self.name, &self.scratch()])?.contains("sandbox\tyes"))
    }

    /// Loads a dump of `len` bytes into the scratch database.
    pub fn load<E: Send>(
        &self,
        shell: &impl Shell,
        len: u64,
        patience: Patience,
        give: impl FnOnce(&mut Sender) -> Result<(), E>,
    ) -> Result<(), FeedError<E>> {
        shell.feed(format!("{CLIENT}\nexec \"$client\" {}", self.scratch()), len, patience, give)
    }

    /// Compares a database with what its dump said.
    pub fn compare(&self, shell: &impl Shell, name: &str, expected: &Expected) -> Result<(), TargetError> {
        let known = Known::parse(self.run(shell, &counting(name))?.as_bytes());
        let wrong = |why: String| Err(TargetError::Wrong { what: format!("database {name}"), why });
        let Some(known) = known else {
            return wrong("the client told of some of the tables only".to_owned());
        };
        if let Some(why) = expected.mismatch(&known) {
            return wrong(why);
        }
        // Rows may have come between the look at the tables and the dump: the one that was the newest must be there.
        for (of, uuid) in expected.newest.iter().filter(|(of, uuid)| known.newest.get(*of) != Some(uuid)) {
            if !self.ask(shell, HAS, &[name, of, uuid])?.starts_with("found") {
                return wrong(format!("the row of {of} is missing that was the newest"));
            }
        }
        Ok(())
    }

    /// Puts the scratch database in the place of the live one, which is kept as `old`. Once done, there is no scratch
    /// database any more.
    pub fn swap(&self, shell: &impl Shell, old: &str) -> Result<(), TargetError> {
        self.ask(shell, CODE, &[&self.name, &self.scratch(), old])?;
        self.ask(shell, SWAP, &[&self.name, &self.scratch(), old]).map(drop)
    }

    /// Drops databases that restores have made or kept.
    pub fn drop_made(&self, shell: &impl Shell, names: &[String]) -> Result<(), TargetError> {
        let mut words = vec![&self.name[..]];
        words.extend(names.iter().map(|name| &name[..]));
        self.ask(shell, DROP, &words).map(drop)
    }

    fn ask(&self, shell: &impl Shell, script: &str, arguments: &[&str]) -> Result<String, TargetError> {
        self.run(shell, &PodCommand::script(&compact(&format!("{CLIENT}{script}")), arguments))
    }

    fn run(&self, shell: &impl Shell, command: &PodCommand) -> Result<String, TargetError> {
        Ok(String::from_utf8_lossy(&shell.ask(command, LIMIT)?).into_owned())
    }
}

/// A script without its comments and indentation. It goes to the server in the address of a request, and proxies take
/// addresses of 8 KiB.
fn compact(script: &str) -> String {
    let lines = script.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_fit_into_an_address() {
        for script in [LOOK, SCRATCH, CODE, SWAP, HAS, DROP] {
            let compact = compact(&format!("{CLIENT}{script}"));
            let encoded: usize = compact
                .bytes()
                .map(|byte| if byte.is_ascii_alphanumeric() || b" -_.".contains(&byte) { 1 } else { 3 })
                .sum();
            // Room for the wrapper, the names of the pod and of the databases.
            assert!(encoded < 8192 - 2048, "{encoded} bytes: {compact}");
        }
    }
}
