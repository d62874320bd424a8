//! The rows of each table.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fault, NAME_BYTES, NAME_CHARS, TABLES};

/// A table: its database, if the dump names one, and its own name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TableName {
    pub(super) database: Option<Vec<u8>>,
    pub(super) table: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Tables(BTreeMap<TableName, u64>);

impl Tables {
    /// Counts rows of a table, which exists from now on even if there are none.
    pub(super) fn add(&mut self, name: &TableName, rows: u64) -> Result<(), Fault> {
        if let Some(count) = self.0.get_mut(name) {
            *count += rows;
            return Ok(());
        }
        if self.0.len() == TABLES {
            return Err(Fault::TooManyTables);
        }
        self.0.insert(name.clone(), rows);
        Ok(())
    }

    /// All counts, by the names that people use.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let databases: BTreeSet<Option<&[u8]>> = self.0.keys().map(|name| name.database.as_deref()).collect();
        let mut counts = BTreeMap::new();
        for (name, rows) in &self.0 {
            let table = match &name.database {
                Some(database) if databases.len() > 1 => format!("{}.{}", quoted(database), quoted(&name.table)),
                _ => String::from_utf8_lossy(&name.table).into_owned(),
            };
            *counts.entry(table).or_default() += rows;
        }
        counts
    }
}

fn quoted(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    if name.contains(['.', '`']) { format!("`{}`", name.replace('`', "``")) } else { name.into_owned() }
}

/// A name that a server would take.
pub(super) fn checked(name: &[u8]) -> Result<Vec<u8>, Fault> {
    if name.is_empty() {
        return Err(Fault::Malformed);
    }
    let chars = name.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
    if name.len() > NAME_BYTES || chars > NAME_CHARS {
        return Err(Fault::LongName);
    }
    Ok(name.to_vec())
}
