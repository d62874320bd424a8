//! What somebody does who can write to the store, but has no key.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sfarc::backend::folder::FolderBackend;
use sfarc::backend::{Backend, Key, Kind};
use sfarc::engine::{check, collect};
use sfarc::error::chain;
use sfarc::ids::{ObjectId, SessionId};
use sfarc::repo::Repository;
use sfarc::testing::recording::{Operation, RecordingBackend};
use sfarc::testing::world::{Streams, World};

use crate::common::{Expected, assert_all_visible_restore, assert_restores, one, stream};

/// A world with two snapshots of the same content: what one needs is there as long as the other.
fn twins() -> (World, Repository, Streams, [ObjectId; 2]) {
    let world = World::new(21);
    let repository = world.init().expect("init");
    let streams = one("db", stream(&[(1, 30 << 10)]));
    let ids = [(); 2].map(|()| world.take(&repository, &streams).expect("a snapshot").id.expect("an id"));
    (world, repository, streams, ids)
}

fn collect(repository: &Repository) {
    collect::collect(repository, collect::Options::default()).expect("collected");
}

#[test]
fn a_snapshot_moved_to_the_pending_name_of_another_session_is_not_declared_dead() {
    let (world, repository, streams, [moved, _]) = twins();
    let bytes = world.store.bytes(&Key::Snapshot(moved)).expect("it is there");
    let pending = Key::Pending(SessionId::new([9; 16]));
    world.store.delete(&Key::Snapshot(moved)).expect("removed");
    world.store.tamper(&pending, &bytes);
    collect(&repository);
    assert!(!repository.gc_log().expect("the log").is_dead(&moved), "it was declared dead");
    assert!(world.store.bytes(&pending).is_none(), "what belongs to no session stays");
    world.store.tamper(&Key::Snapshot(moved), &bytes);
    assert_restores(&repository, &Expected::from([(moved, streams)]), "put back");
}

#[test]
fn a_snapshot_copied_to_any_pending_name_stays() {
    let (world, repository, streams, [copied, other]) = twins();
    let bytes = world.store.bytes(&Key::Snapshot(copied)).expect("it is there");
    let session = repository.read_snapshot(copied).expect("readable").manifest.session;
    for id in [session, [9; 16]] {
        world.store.tamper(&Key::Pending(SessionId::new(id)), &bytes);
        collect(&repository);
        let expected = Expected::from([(copied, streams.clone()), (other, streams.clone())]);
        assert_restores(&repository, &expected, "copied");
    }
}

#[test]
fn a_pending_manifest_that_does_not_open_declares_nothing_dead() {
    let (world, repository, _, [damaged, _]) = twins();
    let mut bytes = world.store.bytes(&Key::Snapshot(damaged)).expect("it is there");
    let session = SessionId::new(repository.read_snapshot(damaged).expect("readable").manifest.session);
    bytes[130] ^= 1;
    world.store.tamper(&Key::Pending(session), &bytes);
    collect(&repository);
    assert_eq!(repository.gc_log().expect("the log").epoch(), 0, "something was recorded");
    assert!(world.store.bytes(&Key::Pending(session)).is_none());
    assert_all_visible_restore(&repository, "beside a damaged pending manifest");
}

const HUGE: u64 = 1 << 40;

/// A repository in a folder, with one snapshot.
struct OnDisk {
    world: World,
    folder: tempfile::TempDir,
}

impl OnDisk {
    fn new() -> Self {
        let on_disk = Self { world: World::new(22), folder: tempfile::tempdir().expect("a folder") };
        let backend = FolderBackend::create(&on_disk.root()).expect("created");
        let repository = on_disk.world.init_on(Arc::new(backend)).expect("init");
        on_disk.take(&repository).expect("a snapshot");
        on_disk
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn open(&self) -> (Arc<RecordingBackend>, Repository) {
        let backend = Arc::new(RecordingBackend::new(Arc::new(FolderBackend::open(&self.root()))));
        let repository = self.world.open_on(Arc::clone(&backend) as _).expect("opens");
        (backend, repository)
    }

    fn take(&self, repository: &Repository) -> Result<(), sfarc::Error> {
        self.world.take(repository, &one("db", stream(&[(1, 30 << 10)]))).map(drop)
    }

    /// The only object of a kind.
    fn only(&self, kind: Kind) -> Key {
        let listed = FolderBackend::open(&self.root()).list(kind).expect("a listing");
        assert_eq!(listed.len(), 1);
        listed[0].key
    }
}

/// Stretches an object to a TiB without a byte on the disk, with its trailer where one would look for it.
fn stretch(path: &Path) {
    let bytes = fs::read(path).expect("readable");
    let mut trailer = bytes[bytes.len() - 16..].to_vec();
    // As large as a footer may be, and ending where the trailer begins.
    let len: u32 = 40 << 20;
    trailer[..8].copy_from_slice(&(HUGE - 16 - u64::from(len)).to_le_bytes());
    trailer[8..12].copy_from_slice(&len.to_le_bytes());
    let file = OpenOptions::new().write(true).open(path).expect("opened");
    file.set_len(HUGE).expect("stretched");
    file.write_all_at(&trailer, HUGE - 16).expect("written");
}

fn assert_check_names(repository: &Repository, key: &Key) {
    let report = check::check(repository, &check::ReadData::All).expect("the check goes on");
    let named = report.problems.iter().any(|problem| problem.object.contains(&key.to_string()));
    assert!(named, "{key} is not named: {:?}", report.problems);
}

/// Fails if bytes of the object were asked for at all: its length alone says that it is none.
fn assert_unread(backend: &RecordingBackend, key: &Key) {
    let read = backend.take_calls().into_iter().any(|call| call.operation == Operation::Get && call.key == Some(*key));
    assert!(!read, "{key} was read");
}

#[test]
fn an_index_run_of_a_tebibyte_is_refused_unread() {
    let on_disk = OnDisk::new();
    let key = on_disk.only(Kind::Indexes);
    stretch(&on_disk.root().join(key.to_string()));
    let (backend, repository) = on_disk.open();
    // What only it names is stored again.
    on_disk.take(&repository).expect("taken");
    let refused = collect::collect(&repository, collect::Options::default()).expect_err("refused");
    assert!(chain(&refused).contains(&key.to_string()), "{}", chain(&refused));
    assert_check_names(&repository, &key);
    assert_all_visible_restore(&repository, "beside a huge index run");
    assert_unread(&backend, &key);
}

#[test]
fn a_pack_of_a_tebibyte_is_refused() {
    let on_disk = OnDisk::new();
    let key = on_disk.only(Kind::Packs);
    stretch(&on_disk.root().join(key.to_string()));
    let (_, repository) = on_disk.open();
    assert_check_names(&repository, &key);
    assert_eq!(repository.snapshots().expect("a listing").snapshots.len(), 1);
    let restored = crate::common::one("db", stream(&[(1, 30 << 10)]));
    let snapshot = repository.resolve("latest").expect("it is there");
    if let Ok(read) = sfarc::testing::world::read_streams(&repository, &snapshot) {
        assert!(read == restored, "wrong bytes");
    }
    let _ = on_disk.take(&repository);
}

#[test]
fn a_pack_of_a_tebibyte_that_no_run_names_is_named_by_a_check() {
    let on_disk = OnDisk::new();
    let key = Key::Pack(ObjectId::of(b"huge"));
    let from = on_disk.root().join(on_disk.only(Kind::Packs).to_string());
    let path = on_disk.root().join(key.to_string());
    fs::copy(from, &path).expect("copied");
    stretch(&path);
    let (backend, repository) = on_disk.open();
    assert_check_names(&repository, &key);
    assert_all_visible_restore(&repository, "beside a huge pack");
    on_disk.take(&repository).expect("nobody needs it");
    assert_unread(&backend, &key);
}
