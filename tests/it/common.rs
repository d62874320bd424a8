//! What several tests need: streams, and what must be true of a repository.

use std::collections::{BTreeMap, HashSet};

use sfarc::backend::{Key, Kind};
use sfarc::engine::{check, collect};
use sfarc::format::manifest::Content;
use sfarc::ids::ObjectId;
use sfarc::repo::Repository;
use sfarc::repo::gc_log::GcLog;
use sfarc::repo::index::Index;
use sfarc::repo::list::ListWalker;
use sfarc::repo::loader::{ChunkLoader, LoaderCache};
use sfarc::testing::entropy::SeededEntropy;
use sfarc::testing::recording::{Call, Operation};
use sfarc::testing::world::{Streams, read_streams};

/// What snapshots must hold.
pub(crate) type Expected = BTreeMap<ObjectId, Streams>;

/// Bytes that do not compress.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    SeededEntropy::new(seed).bytes(len)
}

/// One stream of some stretches of noise, by seed and length. Equal stretches are shared between snapshots.
pub(crate) fn stream(stretches: &[(u64, usize)]) -> Vec<u8> {
    // Six bits of noise a byte, so that no stream looks compressed and all are cut into small chunks.
    stretches.iter().flat_map(|&(seed, len)| noise(seed, len)).map(|byte| byte & 0x3f).collect()
}

/// A set of one stream.
pub(crate) fn one(name: &str, bytes: Vec<u8>) -> Streams {
    Streams::from([(name.to_owned(), bytes)])
}

/// Every expected snapshot is there and restores byte for byte.
pub(crate) fn assert_restores(repository: &Repository, expected: &Expected, context: &str) {
    for (id, streams) in expected {
        let snapshot =
            repository.read_snapshot(*id).unwrap_or_else(|error| panic!("{context}: {}: {error}", id.short()));
        match read_streams(repository, &snapshot) {
            Ok(read) => assert!(read == *streams, "{context}: snapshot {} restores other bytes", id.short()),
            Err(error) => panic!("{context}: snapshot {}: {}", id.short(), sfarc::error::chain(&error)),
        }
    }
}

/// Whatever snapshot can be seen can be restored (its hashes say that it is right).
pub(crate) fn assert_all_visible_restore(repository: &Repository, context: &str) {
    let listing = repository.snapshots().unwrap_or_else(|error| panic!("{context}: listing: {error}"));
    assert!(listing.unreadable.is_empty(), "{context}: {:?}", listing.unreadable);
    for snapshot in listing.snapshots {
        if let Err(error) = read_streams(repository, &snapshot) {
            panic!("{context}: visible snapshot {}: {}", snapshot.id.short(), sfarc::error::chain(&error));
        }
    }
}

/// A check that reads every byte finds nothing.
pub(crate) fn assert_clean(repository: &Repository, context: &str) {
    let report = check::check(repository, &check::ReadData::All);
    let report = report.unwrap_or_else(|error| panic!("{context}: check: {}", sfarc::error::chain(&error)));
    assert!(report.problems.is_empty(), "{context}: {:?}", report.problems);
    assert!(report.hits.is_empty(), "{context}: {:?}", report.hits);
}

/// The packs that hold something that a visible snapshot needs.
pub(crate) fn needed_packs(repository: &Repository) -> HashSet<ObjectId> {
    let mut needed = HashSet::new();
    for snapshot in repository.snapshots().expect("the snapshots are readable").snapshots {
        needed.extend(packs_of(repository, &snapshot));
    }
    needed
}

/// The packs that hold something that this snapshot needs.
pub(crate) fn packs_of(repository: &Repository, snapshot: &sfarc::repo::snapshots::Snapshot) -> HashSet<ObjectId> {
    let mut index = Index::open(repository, &GcLog::default()).expect("the index opens");
    let mut packs = HashSet::new();
    for stream in &snapshot.manifest.streams {
        for content in std::iter::once(&stream.content).chain(&stream.catalog) {
            add_packs(repository, &mut index, content, &mut packs);
        }
    }
    packs
}

fn add_packs(repository: &Repository, index: &mut Index, content: &Content, packs: &mut HashSet<ObjectId>) {
    let mut cache = LoaderCache::default();
    let mut walker = ListWalker::new(content.root, content.len).expect("the list is sound");
    while let Some((depth, row)) = walker.next_item() {
        let found = index.find_all(repository, &row.id).expect("the index is readable");
        packs.extend(found.iter().map(|location| location.pack.id));
        if depth > 0 {
            let mut loader = ChunkLoader::new(repository, index, &mut cache);
            walker.descend(depth, row, &mut loader).expect("the list is readable");
        }
    }
}

/// Collects garbage once, while nobody else is there; then nothing unneeded is left.
pub(crate) fn collect_quietly(repository: &Repository, context: &str) -> collect::Report {
    let report = collect::collect(repository, collect::Options::default());
    let report = report.unwrap_or_else(|error| panic!("{context}: collect: {}", sfarc::error::chain(&error)));
    assert_no_garbage(repository, context);
    report
}

fn assert_no_garbage(repository: &Repository, context: &str) {
    let list = |kind| repository.list(kind).expect("the store lists");
    let needed = needed_packs(repository);
    let packs: HashSet<ObjectId> = list(Kind::Packs)
        .iter()
        .map(|listed| if let Key::Pack(id) = listed.key { id } else { panic!("{context}: {:?}", listed.key) })
        .collect();
    let garbage: Vec<_> = packs.difference(&needed).collect();
    assert!(garbage.is_empty(), "{context}: packs that nobody needs: {garbage:?}");
    assert!(list(Kind::Sessions).is_empty(), "{context}: {:?}", list(Kind::Sessions));
    let visible = repository.snapshot_ids().expect("the snapshots list").len();
    assert_eq!(list(Kind::Snapshots).len(), visible, "{context}: fences or dead snapshots are left");
    let index = Index::open(repository, &GcLog::default()).expect("the index opens");
    let named: HashSet<ObjectId> = index.packs().into_keys().collect();
    assert!(named.is_subset(&packs), "{context}: rows of removed packs are left");
}

/// True for the call with this number of those that are of this kind.
pub(crate) fn nth(number: usize, operation: Operation, kind: Kind) -> impl Fn(&Call) -> bool + Send + 'static {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    move |call| {
        (call.operation, call.kind) == (operation, Some(kind))
            && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == number
    }
}
