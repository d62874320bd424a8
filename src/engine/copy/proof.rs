//! What makes a snapshot there count as a copy of one here.
//!
//! Whoever may write there can label anything a copy, and claim any hash. So whoever copies leaves a proof that only a
//! reader of the repository that was copied from can make: a keyed hash of what was copied, and of what it is there. The
//! names of chunk lists are hashes of what they hold, so the proof binds every chunk. All else that a copy says must be
//! what the original says, which is at hand when a copy is looked at.

use blake3::Hasher;

use crate::crypto::keys::Secret;
use crate::format::manifest::{COPY_OF, COPY_PROOF, Content, Manifest, StreamEntry, WRITER_FACT};
use crate::ids::{ObjectId, RepoId};
use crate::repo::snapshots::Snapshot;
use crate::repo::{RepoError, Repository};

/// Makes and compares proofs of copies from one repository into another.
pub(super) struct Prover {
    key: Secret,
    to: RepoId,
}

impl Prover {
    pub(super) fn new(from: &Repository, to: &Repository) -> Result<Self, RepoError> {
        Ok(Self { key: from.keys.copy_proof_key()?, to: to.id })
    }

    /// The proof that these streams there are those of a snapshot here.
    pub(super) fn proof(&self, snapshot: &Snapshot, streams: &[StreamEntry]) -> blake3::Hash {
        let mut hasher = Hasher::new_keyed(&self.key);
        hasher.update(self.to.as_bytes()).update(snapshot.id.as_bytes());
        add_bytes(&mut hasher, original_of(snapshot).as_bytes());
        add_number(&mut hasher, streams.len());
        for stream in streams {
            add_bytes(&mut hasher, &stream.name);
            add_content(&mut hasher, &stream.content);
            hasher.update(&[u8::from(stream.catalog.is_some())]);
            stream.catalog.iter().for_each(|catalog| add_content(&mut hasher, catalog));
        }
        hasher.finalize()
    }

    /// True if whoever can read both repositories has made one snapshot of the other.
    pub(super) fn is_proven(&self, here: &Snapshot, there: &Manifest) -> bool {
        let said = there.label(COPY_PROOF).and_then(|said| blake3::Hash::from_hex(said).ok());
        said == Some(self.proof(here, &there.streams))
    }
}

fn add_number(hasher: &mut Hasher, number: usize) {
    hasher.update(&(number as u64).to_le_bytes());
}

fn add_bytes(hasher: &mut Hasher, bytes: &[u8]) {
    add_number(hasher, bytes.len());
    hasher.update(bytes);
}

fn add_content(hasher: &mut Hasher, content: &Content) {
    hasher.update(&content.len.to_le_bytes()).update(&content.hash);
    hasher.update(&[u8::from(content.root.is_some())]);
    if let Some(root) = &content.root {
        hasher.update(&root.id).update(&[root.depth]);
    }
}

/// The id of what a snapshot is a copy of, or its own: copies of copies are copies of the first.
pub(super) fn original(id: ObjectId, manifest: &Manifest) -> String {
    manifest.label(COPY_OF).map_or_else(|| id.to_string(), str::to_owned)
}

/// The same for a snapshot that is copied. Of a writer's it is always its own: whoever may only add snapshots does not
/// say which need not be copied.
pub(super) fn original_of(snapshot: &Snapshot) -> String {
    match snapshot.maker {
        Some(_) => snapshot.id.to_string(),
        None => original(snapshot.id, &snapshot.manifest),
    }
}

/// What people and programs have labelled, without what makes it a copy.
fn own_labels(manifest: &Manifest) -> Vec<(String, String)> {
    let is_own = |(key, _): &&(String, String)| key != COPY_OF && key != COPY_PROOF;
    manifest.labels.iter().filter(is_own).cloned().collect()
}

/// The manifest of a copy, but for its session: what the original says, of streams that lie elsewhere.
pub(super) fn manifest_of_copy(prover: &Prover, here: &Snapshot, streams: Vec<StreamEntry>) -> Manifest {
    let mut labels = own_labels(&here.manifest);
    labels.push((COPY_OF.to_owned(), original_of(here)));
    labels.push((COPY_PROOF.to_owned(), prover.proof(here, &streams).to_hex().to_string()));
    labels.sort();
    Manifest { labels, streams, ..here.manifest.clone() }
}

/// True if a manifest says what another says, but for where it is stored and what that took.
pub(super) fn says_the_same(one: &Manifest, other: &Manifest) -> bool {
    plain(one) == plain(other)
}

/// A manifest without what differs between a snapshot and its copy.
fn plain(manifest: &Manifest) -> Manifest {
    let content = |content: &Content| Content { root: None, ..content.clone() };
    let stream = |stream: &StreamEntry| StreamEntry {
        content: content(&stream.content),
        catalog: stream.catalog.as_ref().map(content),
        new_bytes: 0,
        facts: stream.facts.iter().filter(|(name, _)| name != WRITER_FACT).cloned().collect(),
        ..stream.clone()
    };
    Manifest {
        labels: own_labels(manifest),
        session: [0; 16],
        added: 0,
        streams: manifest.streams.iter().map(stream).collect(),
        ..manifest.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::manifest::{ChunkSizes, ListRoot, Origin, Proof};

    /// A test vector of the specification.
    fn vector(name: &str) -> Vec<u8> {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/format.json")).expect("JSON");
        let digits = all[name].as_str().expect("a vector");
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits");
        (0..digits.len()).step_by(2).map(byte).collect()
    }

    fn stream(name: &str, bytes: &[u8], root: Option<ListRoot>) -> StreamEntry {
        let sizes = ChunkSizes { min: 1024, avg: 4096, max: 32768 };
        let content = Content { len: bytes.len() as u64, hash: *blake3::hash(bytes).as_bytes(), sizes, root };
        let (name, origin, proof) = (name.as_bytes().to_vec(), Origin::Stdin, Proof::P0);
        StreamEntry {
            name,
            origin,
            content,
            catalog: None,
            proof,
            new_bytes: 0,
            problems: Vec::new(),
            facts: Vec::new(),
        }
    }

    #[test]
    fn a_proof_is_that_of_the_specification() {
        let root = vector("list.root");
        let root = ListRoot { id: *root.first_chunk().expect("an id"), depth: root[root.len() - 1] };
        let counter: Vec<u8> = (0..40u32).flat_map(u32::to_le_bytes).collect();
        let streams = vec![stream("counter", &counter, Some(root)), stream("empty", b"", None)];
        let manifest = Manifest {
            time: 0,
            duration: 0,
            host: String::new(),
            tags: Vec::new(),
            labels: Vec::new(),
            program: String::new(),
            session: [0; 16],
            added: 0,
            complete: true,
            streams: streams.clone(),
            findings: Vec::new(),
        };
        let id = ObjectId::of(&vector("repo.snapshot"));
        let snapshot = Snapshot { id, manifest, stored_len: 0, maker: None };
        let key = Secret::new(vector("key.copy_proof").try_into().expect("32 bytes"));
        let prover = Prover { key, to: RepoId::new(std::array::from_fn(|at| 0x80 + at as u8)) };
        assert_eq!(prover.proof(&snapshot, &streams).as_bytes()[..], vector("copy_proof"));
    }
}
