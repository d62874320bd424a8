//! Version 1 of the manifest's record: without facts and findings.

use wincode::{SchemaRead, SchemaWrite};

use super::{Content, Origin, Proof};

#[derive(SchemaRead, SchemaWrite)]
pub(super) struct StreamEntry {
    name: Vec<u8>,
    origin: Origin,
    content: Content,
    catalog: Option<Content>,
    proof: Proof,
    new_bytes: u64,
    problems: Vec<String>,
}

#[derive(SchemaRead, SchemaWrite)]
pub(super) struct Manifest {
    time: i64,
    duration: u64,
    host: String,
    tags: Vec<String>,
    labels: Vec<(String, String)>,
    program: String,
    session: [u8; 16],
    added: u64,
    complete: bool,
    streams: Vec<StreamEntry>,
}

impl From<StreamEntry> for super::StreamEntry {
    fn from(old: StreamEntry) -> Self {
        let StreamEntry { name, origin, content, catalog, proof, new_bytes, problems } = old;
        Self { name, origin, content, catalog, proof, new_bytes, problems, facts: Vec::new() }
    }
}

impl From<Manifest> for super::Manifest {
    fn from(old: Manifest) -> Self {
        let Manifest { time, duration, host, tags, labels, program, session, added, complete, streams } = old;
        let streams = streams.into_iter().map(Into::into).collect();
        Self { time, duration, host, tags, labels, program, session, added, complete, streams, findings: Vec::new() }
    }
}
