//! A power cut at any moment of a restore: what was there before is there, or what was restored, whole; and what was
//! said to be restored is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use sfarc::disk::Disk;
use sfarc::engine::restore::{Options, restore};
use sfarc::engine::snapshot::{self, Input};
use sfarc::repo::Repository;
use sfarc::repo::snapshots::Snapshot;
use sfarc::testing::disks::DiskDouble;
use sfarc::testing::power_cut::{Change, Ledger, RecordingDisk, Tree};
use sfarc::testing::world::World;

use crate::common::noise;
use crate::power_cuts::{scratch, visit};

fn folder(root: &Path, seed: u64) {
    fs::create_dir_all(root.join("sub/closed")).expect("made");
    fs::write(root.join("a"), noise(seed, 280_000)).expect("written");
    fs::write(root.join("sub/b"), noise(seed + 1, 3000)).expect("written");
    fs::write(root.join("sub/closed/empty"), b"").expect("written");
    fs::hard_link(root.join("a"), root.join("sub/twin")).expect("linked");
    symlink("../a", root.join("sub/link")).expect("linked");
    fs::set_permissions(root.join("sub/b"), fs::Permissions::from_mode(0o640)).expect("set");
    fs::set_permissions(root.join("sub/closed"), fs::Permissions::from_mode(0o500)).expect("set");
}

/// What is on the disk, with modes and times.
fn read(path: &Path) -> Tree {
    let metadata = fs::symlink_metadata(path).expect("it is there");
    let modified = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    let attributes = Some((metadata.mode() & 0o7777, modified));
    if metadata.is_symlink() {
        Tree::Symlink(fs::read_link(path).expect("a link").as_os_str().as_bytes().to_vec())
    } else if metadata.is_file() {
        Tree::File(fs::read(path).expect("a file"), attributes)
    } else {
        let entries = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry"));
        let below: BTreeMap<_, _> =
            entries.map(|entry| (entry.file_name().as_bytes().to_vec(), read(&entry.path()))).collect();
        Tree::Folder(below, attributes)
    }
}

/// Two snapshots of a folder `tree` and a file `plain` that differ, and what the folder was.
struct Scene {
    _folder: tempfile::TempDir,
    repository: Repository,
    snapshots: Vec<(Snapshot, Tree, Vec<u8>)>,
}

fn scene() -> Scene {
    let place = scratch();
    let repository = World::new(3).init().expect("init");
    let mut snapshots = Vec::new();
    for seed in [10, 20] {
        let (tree, plain) = (place.path().join(format!("tree{seed}")), place.path().join(format!("plain{seed}")));
        folder(&tree, seed);
        fs::write(&plain, noise(seed, 100_000)).expect("written");
        let from = snapshot::From::Folder { path: tree.clone(), exclude: Vec::new(), one_file_system: false };
        let inputs = vec![Input::new("tree", from), Input::new("plain", snapshot::From::File(plain))];
        let options = snapshot::Options { inputs, ..Default::default() };
        let id = snapshot::snapshot(&repository, &options).expect("taken").id.expect("an id");
        let snapshot = repository.read_snapshot(id).expect("readable");
        snapshots.push((snapshot, read(&tree), noise(seed, 100_000)));
    }
    Scene { _folder: place, repository, snapshots }
}

impl Scene {
    fn restore(&self, number: usize, to: &Path, disk: Disk) {
        let options = Options { to: to.to_owned(), overwrite: true, disk, ..Options::default() };
        let restored = restore(&self.repository, &self.snapshots[number].0, &options).expect("restored");
        for stream in &restored {
            assert!(stream.failure.is_none() && stream.flaws.problems.is_empty(), "{restored:?}");
        }
    }

    /// Which of the two snapshots a state holds.
    fn found(&self, state: &Tree, name: &str) -> Result<Option<usize>, String> {
        let Some(found) = state.at(&format!("srv/out/{name}")) else { return Ok(None) };
        let is_it = |number: &usize| match found {
            Tree::File(bytes, _) => *bytes == self.snapshots[*number].2,
            tree => *tree == self.snapshots[*number].1,
        };
        (0..2).find(is_it).map(Some).ok_or_else(|| format!("{name} is neither of the two"))
    }
}

fn assert_survives(syncs_whole: bool, most: usize) {
    let scene = scene();
    let place = scratch();
    let recorder = Arc::new(RecordingDisk::new(place.path(), syncs_whole).expect("the folder is there"));
    let to = place.path().join("srv/out");
    let mut done = Vec::new();
    for number in 0..2 {
        scene.restore(number, &to, Disk::new(Arc::clone(&recorder) as _));
        done.push(recorder.len());
        assert_eq!(read(&to.join("tree")), scene.snapshots[number].1);
    }
    let changes: Vec<Change> = recorder.changes();
    let syncs = changes.iter().filter(|change| **change == Change::SyncAll).count();
    assert_eq!(syncs > 0, syncs_whole, "{syncs} syncs of everything");
    let (mut opened, mut again) = (0, 0);
    let restored = |moment: usize| done.iter().filter(|at| **at <= moment).count();
    let possible = visit(&changes, most, restored, |moment, state| {
        for name in ["tree", "plain"] {
            let context = format!("power cut after change {moment} of {}, restored at {done:?}", changes.len());
            let found = scene.found(state, name).unwrap_or_else(|error| panic!("{context}: {error}"));
            let least = restored(moment).checked_sub(1);
            assert!(found >= least, "{context}: {name} is of {found:?} instead of {least:?}");
        }
        opened += 1;
        if opened % 97 == 0 {
            let place = scratch();
            state.write(&place.path().join("root")).expect("written");
            scene.restore(1, &place.path().join("root/srv/out"), Disk::default());
            assert_eq!(read(&place.path().join("root/srv/out/tree")), scene.snapshots[1].1);
            again += 1;
        }
    });
    println!(
        "{} changes, {possible} states possible, {opened} different ones opened, {again} restored into again",
        changes.len()
    );
    let mut ledger = Ledger::default();
    changes.iter().for_each(|change| ledger.apply(change));
    assert_eq!(scene.found(&ledger.states().newest(), "tree"), Ok(Some(1)), "the record says what happened");
}

/// As on NFS or FUSE: renames are plain ones.
#[test]
fn a_restore_works_where_names_cannot_be_exchanged() {
    let scene = scene();
    let place = scratch();
    let to = place.path().join("out");
    let disk = DiskDouble::default().without_noreplace().disk();
    scene.restore(0, &to, disk.clone());
    assert_eq!(read(&to.join("tree")), scene.snapshots[0].1);
    assert_eq!(fs::read(to.join("plain")).expect("a file"), scene.snapshots[0].2);
    let options = Options { to: to.clone(), overwrite: true, disk, ..Options::default() };
    for stream in restore(&scene.repository, &scene.snapshots[1].0, &options).expect("tried") {
        let failure = stream.failure.expect("it is in the way");
        assert!(failure.to_string().contains("cannot exchange it"), "{failure}");
    }
    assert_eq!(read(&to.join("tree")), scene.snapshots[0].1, "what was there is untouched");
    assert_eq!(fs::read_dir(&to).expect("a folder").count(), 2, "nothing else is left");
}

#[test]
fn a_restore_survives_power_cuts() {
    assert_survives(true, 16);
}

#[test]
fn a_restore_file_by_file_survives_power_cuts() {
    assert_survives(false, 16);
}

#[test]
#[ignore = "looks at some hundred thousand states: minutes"]
fn a_restore_survives_every_power_cut() {
    assert_survives(true, 2000);
    assert_survives(false, 2000);
}
