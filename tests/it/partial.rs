//! Parts of a folder stream are checked file by file.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sfarc::backend::Key;
use sfarc::engine::restore::{Options, Restored, restore};
use sfarc::engine::snapshot::{self, Input};
use sfarc::error::chain;
use sfarc::format::catalog::{self, CatalogDecoder, CatalogEntry};
use sfarc::format::manifest::{Content, ListRoot};
use sfarc::format::pack::BlockKind;
use sfarc::format::sealed::SealedKind;
use sfarc::ids::ObjectId;
use sfarc::pipeline::egress::Egress;
use sfarc::repo::Repository;
use sfarc::repo::index::Index;
use sfarc::repo::pool::Pool;
use sfarc::repo::snapshots::Snapshot;
use sfarc::repo::store::ChunkStore;
use sfarc::testing::world::World;

use crate::common::noise;

/// A folder `tree` with some files, among them an empty one, a sparse one and a hard link to one that sorts before it.
fn tree(folder: &Path) {
    fs::create_dir_all(folder.join("dir")).expect("made");
    for (name, len) in [("a", 1000), ("dir/b", 70_000), ("dir/c", 512), ("dir/empty", 0), ("z", 3)] {
        fs::write(folder.join(name), noise(len as u64, len)).expect("written");
    }
    fs::File::create(folder.join("dir/sparse")).and_then(|file| file.set_len(1 << 20)).expect("written");
    fs::hard_link(folder.join("a"), folder.join("dir/link")).expect("linked");
}

struct Scene {
    folder: tempfile::TempDir,
    repository: Repository,
    snapshot: Snapshot,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().expect("a folder");
    tree(&folder.path().join("tree"));
    let repository = World::new(51).init().expect("init");
    let from = snapshot::From::Folder { path: folder.path().join("tree"), exclude: Vec::new(), one_file_system: false };
    let inputs = vec![Input::new("tree", from)];
    let report = snapshot::snapshot(&repository, &snapshot::Options { inputs, ..Default::default() }).expect("taken");
    let snapshot = repository.read_snapshot(report.id.expect("an id")).expect("readable");
    Scene { folder, repository, snapshot }
}

impl Scene {
    fn entries(&self) -> Vec<CatalogEntry> {
        let (mut decoder, mut entries) = (CatalogDecoder::default(), Vec::new());
        let catalog = self.snapshot.manifest.streams[0].catalog.as_ref().expect("a catalog");
        let mut egress = Egress::open(&self.repository).expect("opened");
        egress.write_all(catalog, |bytes| decoder.push(bytes, |entry| entries.push(entry))).expect("read");
        entries
    }

    /// The same snapshot with another catalog.
    fn with_catalog(&self, entries: &[CatalogEntry]) -> Snapshot {
        let bytes: Vec<u8> = entries.iter().flat_map(catalog::encode).collect();
        let id = self.repository.keys.chunk_hasher().expect("the key ring is whole").id(&bytes);
        let index = Index::open(&self.repository, &self.repository.gc_log().expect("the log")).expect("the index");
        let pool = Arc::new(Pool::new(1).expect("started"));
        let mut store = ChunkStore::new(&self.repository, index, pool, false).expect("started");
        store.store(BlockKind::Data, id, &bytes).expect("stored");
        store.flush().expect("flushed");
        let mut manifest = self.snapshot.manifest.clone();
        let stream = &mut manifest.streams[0];
        let root = Some(ListRoot { id: *id.as_bytes(), depth: 0 });
        let hash = *blake3::hash(&bytes).as_bytes();
        stream.catalog = Some(Content { len: bytes.len() as u64, hash, sizes: stream.content.sizes, root });
        let object = self.repository.seal_record(SealedKind::Snapshot, &manifest).expect("sealed");
        let id = ObjectId::of(&object);
        self.repository.backend.put(&Key::Snapshot(id), &object).expect("stored");
        self.repository.read_snapshot(id).expect("readable")
    }

    fn restore(&self, snapshot: &Snapshot, path: &str, to: &str) -> Restored {
        let options =
            Options { to: self.folder.path().join(to), paths: vec![path.as_bytes().to_vec()], ..Default::default() };
        restore(&self.repository, snapshot, &options).expect("begun").pop().expect("one stream")
    }
}

#[test]
fn a_part_of_a_folder_restores() {
    let scene = scene();
    let restored = scene.restore(&scene.snapshot, "dir", "out");
    assert!(restored.failure.is_none() && restored.flaws.problems.is_empty(), "{restored:?}");
    let read = |root: &str, name: &str| fs::read(scene.folder.path().join(root).join(name)).expect("readable");
    for name in ["dir/b", "dir/c", "dir/empty", "dir/sparse", "dir/link"] {
        assert!(read("tree", name) == read("out/tree", name), "{name}");
    }
    assert!(!scene.folder.path().join("out/tree/z").exists());
}

#[test]
fn a_file_that_is_not_what_the_catalog_says_is_named() {
    let scene = scene();
    for (wanted, wrong) in [("dir", "dir/c"), ("dir", "dir/empty"), ("dir/link", "a"), ("", "z")] {
        let mut entries = scene.entries();
        let place = entries.iter().position(|entry| entry.path == wrong.as_bytes()).expect("it is there");
        entries[place].hash[7] ^= 1;
        let to = format!("out {wrong}");
        let restored = scene.restore(&scene.with_catalog(&entries), wanted, &to);
        let failure = restored.failure.unwrap_or_else(|| panic!("{wrong} passes"));
        assert_eq!(failure.category(), sfarc::Category::Damaged);
        assert!(chain(&failure).contains(&format!("`{wrong}`")), "{}", chain(&failure));
        assert!(!scene.folder.path().join(to).join("tree").exists(), "what is wrong was put in place");
    }
}

#[test]
fn a_wrong_file_does_not_matter_to_those_who_do_not_want_it() {
    let scene = scene();
    let mut entries = scene.entries();
    let place = entries.iter().position(|entry| entry.path == b"a").expect("it is there");
    entries[place].hash[7] ^= 1;
    let restored = scene.restore(&scene.with_catalog(&entries), "dir/b", "out");
    assert!(restored.failure.is_none(), "{restored:?}");
}
