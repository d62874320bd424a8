//! One stream: its bytes, and what they say by themselves.

use super::{Report, read};
use crate::content::dump::{DumpCheck, DumpFacts, Gate};
use crate::content::json::JsonCheck;
use crate::content::sought::Sought;
use crate::content::zuul_keys::ZuulKeys;
use crate::engine::deployment::{SMALL, SavedObjects, read_small};
use crate::engine::name_of;
use crate::error::Error;
use crate::format::manifest::{Origin, Proof, StreamEntry};
use crate::pipeline::egress::Egress;
use crate::repo::snapshots::Snapshot;
use crate::source::zuul_keys::{PASSWORD, command};

/// What a stream is, as far as it can be checked.
enum Kind {
    Dump,
    Keys,
    Json,
    Bytes,
}

fn kind(stream: &StreamEntry) -> Kind {
    let line = match &stream.origin {
        Origin::Pod { command, .. } => &command[..],
        _ => "",
    };
    match () {
        () if has_rows(stream) || line.starts_with("mariadb-dump ") => Kind::Dump,
        () if line == command().line() || (stream.name == b"keys" && stream.proof == Proof::P3) => Kind::Keys,
        () if line.starts_with("nodepool export-image-data") => Kind::Json,
        () => Kind::Bytes,
    }
}

/// True for a dump that was taken as one of a database.
fn has_rows(stream: &StreamEntry) -> bool {
    stream.facts.iter().any(|(name, _)| name.starts_with("rows/"))
}

pub(super) fn verify(
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    report: &mut Report,
) -> Result<(), Error> {
    let name = name_of(stream);
    let (mut dump, mut json, mut gate) = (DumpCheck::default(), JsonCheck::default(), Gate::default());
    let kind = kind(stream);
    let mut newest = newest(stream);
    let damage = read(egress, snapshot, stream, &stream.content, |bytes| match kind {
        Kind::Dump => {
            dump.push(bytes);
            gate.push(bytes);
            newest.iter_mut().for_each(|(_, sought)| sought.push(bytes));
        }
        Kind::Json => json.push(bytes),
        Kind::Keys | Kind::Bytes => {}
    })?;
    let is_whole = damage.is_none();
    report.good_if(&name, format!("all {} bytes", stream.content.len), damage);
    if let Some(catalog) = &stream.catalog {
        let damage = read(egress, snapshot, stream, catalog, |_| {})?;
        report.good_if(&name, "its catalog", damage);
    }
    match kind {
        _ if !is_whole => {}
        Kind::Dump => {
            let facts = dump.finish();
            report.good_if(&name, "the dump is whole", facts.as_ref().err().map(ToString::to_string));
            if let Ok(facts) = facts {
                compare(&name, stream, &facts, &newest, report);
            }
            if has_rows(stream) {
                report.good_if(&name, "it may be loaded", gate.finish().err().map(|refused| refused.to_string()));
            }
        }
        Kind::Json => report.good_if(&name, "one JSON value", json.finish().err().map(|error| error.to_string())),
        Kind::Keys => keys(egress, snapshot, stream, report)?,
        Kind::Bytes => {}
    }
    Ok(())
}

fn newest(stream: &StreamEntry) -> Vec<(String, Sought)> {
    let sought = |(name, text): &(String, String)| Some((name.strip_prefix("newest/")?.to_owned(), Sought::new(text)));
    stream.facts.iter().filter_map(sought).collect()
}

/// What the dump holds against what its snapshot says.
fn compare(name: &str, stream: &StreamEntry, dump: &DumpFacts, newest: &[(String, Sought)], report: &mut Report) {
    let mut tables = 0;
    for (fact, value) in &stream.facts {
        let Some(table) = fact.strip_prefix("rows/") else { continue };
        tables += 1;
        let found = dump.tables.get(table).map(u64::to_string);
        if found.as_ref() != Some(value) {
            let found = found.unwrap_or_else(|| "no".to_owned());
            report.good_if(name, format!("table {table}"), Some(format!("{found} rows, and there were {value}")));
        }
    }
    report.good_if(name, format!("the rows of {tables} tables were looked at"), None);
    for (of, sought) in newest {
        let lacks = || "it is not in the dump".to_owned();
        report.good_if(name, format!("the newest row of {of}"), (!sought.is_found()).then(lacks));
    }
}

fn keys(egress: &mut Egress<'_>, snapshot: &Snapshot, stream: &StreamEntry, report: &mut Report) -> Result<(), Error> {
    let name = name_of(stream);
    if stream.content.len > SMALL {
        report.good_if(&name, "the export", Some("it is too long for one".to_owned()));
        return Ok(());
    }
    let bytes = read_small(egress, snapshot, stream)?;
    let keys = match ZuulKeys::parse(&bytes) {
        Ok(keys) => keys,
        Err(error) => {
            report.good_if(&name, "the export", Some(error.to_string()));
            return Ok(());
        }
    };
    let counted = crate::engine::deployment::fact(stream, "keys");
    let other = counted.filter(|counted| *counted != keys.len().to_string());
    report.good_if(
        &name,
        format!("{} keys", keys.len()),
        other.map(|counted| format!("{counted} were counted when it was taken")),
    );
    let password = SavedObjects::read(egress, snapshot)?.secret(PASSWORD, PASSWORD);
    let fault = match password {
        Some(password) => keys.prove(&password).err().map(|error| error.to_string()),
        None => Some(format!("Secret {PASSWORD} is not in the snapshot")),
    };
    report.good_if(&name, "every key opens with the password of the snapshot", fault);
    Ok(())
}
