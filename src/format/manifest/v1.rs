//! Version 1 of the manifest's record: without facts and findings.

use wincode::{SchemaRead, SchemaWrite};

use super::{Content, FormatError, Origin, Proof};
use crate::format::record::Record;

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

impl Manifest {
    /// The same as a manifest of today; nothing of this version comes out of a cluster.
    pub(super) fn into_current(self) -> Result<super::Manifest, FormatError> {
        let Self { time, duration, host, tags, labels, program, session, added, complete, streams } = self;
        let is_newer = |stream: &StreamEntry| {
            matches!(stream.origin, Origin::Pod { .. } | Origin::PodFolder { .. } | Origin::Objects { .. })
        };
        if streams.iter().any(is_newer) {
            return Err(FormatError::malformed(
                super::Manifest::WHAT,
                "it has an origin that its version does not know",
            ));
        }
        let streams = streams.into_iter().map(Into::into).collect();
        let findings = Vec::new();
        Ok(super::Manifest { time, duration, host, tags, labels, program, session, added, complete, streams, findings })
    }
}
