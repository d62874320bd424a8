//! What the fields of a manifest must be, beyond their types (format-spec.md, rules R12, R51 and R52).

use std::collections::HashSet;

use super::{Content, FormatError, Manifest, Origin, StreamEntry};
use crate::format::record::{Record, check_elements};
use crate::limits;

fn wrong(why: &'static str) -> FormatError {
    FormatError::malformed(Manifest::WHAT, why)
}

pub(super) fn check(manifest: &Manifest) -> Result<(), FormatError> {
    if manifest.streams.len() > limits::STREAMS {
        return Err(wrong("it has too many streams"));
    }
    for elements in [manifest.tags.len(), manifest.labels.len(), manifest.findings.len()] {
        check_elements(Manifest::WHAT, elements)?;
    }
    manifest.streams.iter().try_for_each(check_stream)?;
    let mut names = HashSet::with_capacity(manifest.streams.len());
    if manifest.streams.iter().all(|stream| names.insert(&stream.name[..])) {
        Ok(())
    } else {
        Err(wrong("two of its streams have one name"))
    }
}

fn check_stream(stream: &StreamEntry) -> Result<(), FormatError> {
    if stream.name.is_empty() || stream.name.contains(&0) || stream.name.contains(&b'\n') {
        return Err(wrong("a stream has a name that none may have"));
    }
    let is_folder = matches!(stream.origin, Origin::Folder(_) | Origin::PodFolder { .. } | Origin::Objects { .. });
    if stream.catalog.is_some() && !is_folder {
        return Err(wrong("a stream has a catalog and is no folder"));
    }
    check_elements(Manifest::WHAT, stream.problems.len().max(stream.facts.len()))?;
    std::iter::once(&stream.content).chain(&stream.catalog).try_for_each(check_content)
}

fn check_content(content: &Content) -> Result<(), FormatError> {
    if content.root.is_some() != (content.len > 0) {
        return Err(wrong("a stream has bytes and no root, or a root and no bytes"));
    }
    let is_deep = content.root.is_some_and(|root| root.depth > limits::LIST_MAX_DEPTH);
    if is_deep || content.len > limits::STREAM_MAX_BYTES {
        return Err(wrong("a stream is too long, or its list too deep"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{ChunkSizes, ListRoot, Proof};
    use super::*;

    fn stream(name: &[u8]) -> StreamEntry {
        let sizes = ChunkSizes { min: 64, avg: 256, max: 1024 };
        let content = Content { len: 3, hash: [0; 32], sizes, root: Some(ListRoot { id: [0; 16], depth: 0 }) };
        StreamEntry {
            name: name.to_vec(),
            origin: Origin::Stdin,
            content,
            catalog: None,
            proof: Proof::P0,
            new_bytes: 0,
            problems: Vec::new(),
            facts: Vec::new(),
        }
    }

    fn manifest(streams: Vec<StreamEntry>) -> Manifest {
        Manifest {
            time: 0,
            duration: 0,
            host: String::new(),
            tags: Vec::new(),
            labels: Vec::new(),
            program: String::new(),
            session: [0; 16],
            added: 0,
            complete: true,
            streams,
            findings: Vec::new(),
        }
    }

    /// Too large for a vector: what else is refused has one in tests/vectors.
    #[test]
    fn as_many_as_the_limits_allow() {
        let named = |count: usize| manifest((0..count).map(|n| stream(n.to_string().as_bytes())).collect());
        assert!(named(limits::STREAMS).check().is_ok());
        assert!(named(limits::STREAMS + 1).check().is_err());
        let tagged = |count| Manifest { tags: vec![String::new(); count], ..manifest(vec![stream(b"a")]) };
        assert!(tagged(limits::LIST_ELEMENTS).check().is_ok());
        assert!(tagged(limits::LIST_ELEMENTS + 1).check().is_err());
        let problems = |count| manifest(vec![StreamEntry { problems: vec![String::new(); count], ..stream(b"a") }]);
        assert!(problems(limits::LIST_ELEMENTS).check().is_ok());
        assert!(problems(limits::LIST_ELEMENTS + 1).check().is_err());
    }
}
