//! Folders of file systems that lack something: locks that other machines see, hard links, `/proc`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sfarc::backend::folder::FolderBackend;
use sfarc::backend::{Backend, Key, Kind};
use sfarc::disk::Disk;
use sfarc::engine::collect;
use sfarc::ids::ObjectId;
use sfarc::testing::contract;
use sfarc::testing::disks::{DiskDouble, Links, Moment};
use sfarc::testing::world::World;

use crate::common::{Expected, assert_clean, assert_restores, noise, one, stream};
use crate::power_cuts::scratch;

const WAYS: [Links; 3] = [Links::All, Links::ByName, Links::None];

fn pack(bytes: &[u8]) -> Key {
    Key::Pack(ObjectId::of(bytes))
}

fn unshared(links: Links) -> DiskDouble {
    DiskDouble::default().with_links(links).with_unshared_locks()
}

#[test]
fn a_folder_without_hard_links_or_proc_keeps_the_contract() {
    for links in WAYS {
        let folder = scratch();
        let mut number = 0;
        let broken = contract::run_with_processes(|| {
            number += 1;
            let disk = DiskDouble::default().with_links(links).disk();
            Arc::new(FolderBackend::create_on(&folder.path().join(number.to_string()), disk).expect("created"))
        });
        assert_eq!(broken, Vec::<String>::new(), "{links:?}");
    }
}

/// Another machine sweeps away what A has written, and writes something itself, just before A names it.
#[test]
fn what_a_sweep_takes_away_is_written_again() {
    for links in WAYS {
        for nth in 0..3 {
            let folder = scratch();
            let root = folder.path().join("repo");
            FolderBackend::create(&root).expect("created");
            let double = Arc::new(unshared(links));
            let a = FolderBackend::open_on(&root, Disk::new(Arc::clone(&double) as _));
            let b = FolderBackend::open_on(&root, unshared(links).disk());
            double.ambush(Moment::BeforeName, nth, move || {
                assert_eq!(b.sweep().expect("swept"), 1, "the file of A looks as if its owner were gone");
                b.put(&pack(b"of B"), b"of B").expect("put");
            });
            for bytes in [&b"of A"[..], b"second of A", b"third of A"] {
                a.put(&pack(bytes), bytes).expect("put");
            }
            assert!(!double.is_ambushed());
            for bytes in [&b"of A"[..], b"second of A", b"third of A", b"of B"] {
                assert_eq!(a.get(&pack(bytes), None).expect("read"), bytes, "{links:?} {nth}");
            }
        }
    }
}

/// Two machines that see none of each other's locks write all the time, and a third sweeps all the time.
fn assert_nothing_is_wrong_under_its_name(links: Links, puts: u64) {
    let folder = scratch();
    let root = folder.path().join("repo");
    FolderBackend::create(&root).expect("created");
    let store = || FolderBackend::open_on(&root, unshared(links).disk());
    let done = AtomicBool::new(false);
    let (won, swept) = std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            let (store, mut swept) = (store(), 0);
            while !done.load(Ordering::Relaxed) {
                swept += store.sweep().expect("swept");
            }
            swept
        });
        let write = |machine: u64| {
            let store = store();
            let mut won = 0;
            for number in 0..puts {
                let bytes = noise(machine * puts + number, 2000);
                store.put(&pack(&bytes), &bytes).expect("put");
                assert!(store.get(&pack(&bytes), None).expect("read") == bytes, "what was put reads differently");
                // Both want the same record; what the loser hears must be true.
                let record = noise(machine, 300);
                match store.put(&Key::Gc(number), &record) {
                    Ok(()) => {
                        assert!(store.get(&Key::Gc(number), None).expect("read") == record);
                        won += 1;
                    }
                    Err(error) => assert!(error.is_exists(), "{error}: {}", error.cause),
                }
            }
            won
        };
        let writers: Vec<_> = (0..2).map(|machine| scope.spawn(move || write(machine))).collect();
        let won: u64 = writers.into_iter().map(|writer| writer.join().expect("a writer")).sum();
        done.store(true, Ordering::Relaxed);
        (won, sweeper.join().expect("the sweeper"))
    });
    println!("{links:?}: {won} records, {swept} files swept away from their writers");
    assert_eq!(won, puts, "each record has one writer");
    let listed = store().list(Kind::Packs).expect("listed");
    assert_eq!(listed.len() as u64, 2 * puts);
    for pack in listed {
        let bytes = store().get(&pack.key, None).expect("read");
        assert_eq!(pack.key.content_id(), Some(&ObjectId::of(&bytes)), "{} holds something else", pack.key);
    }
}

#[test]
fn nothing_is_ever_wrong_under_its_name() {
    for links in WAYS {
        assert_nothing_is_wrong_under_its_name(links, 150);
    }
}

/// Every session looks dead to a collector that works all the time.
#[test]
fn snapshots_that_a_collector_takes_for_dead_are_whole_or_refused() {
    let folder = scratch();
    let root = folder.path().join("repo");
    let world = World::new(6);
    world.init_on(Arc::new(FolderBackend::create(&root).expect("created"))).expect("init");
    let open = || {
        let backend = FolderBackend::open_on(&root, unshared(Links::All).disk());
        world.open_on(Arc::new(backend)).expect("opens")
    };
    let done = AtomicBool::new(false);
    let saved: Expected = std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let (repository, mut collected) = (open(), 0);
            while !done.load(Ordering::Relaxed) {
                collected += u32::from(collect::collect(&repository, collect::Options::default()).is_ok());
            }
            collected
        });
        let write = |machine: u64| {
            let (repository, mut saved) = (open(), Vec::new());
            for number in 0..20 {
                let streams = one("db", stream(&[(number % 3, 20 << 10), (100 * machine + number, 30 << 10)]));
                match world.take(&repository, &streams) {
                    Ok(report) => saved.push((report.id.expect("an id"), streams)),
                    Err(error) => println!("refused: {}", sfarc::error::chain(&error)),
                }
            }
            saved
        };
        let writers: Vec<_> = (1..3).map(|machine| scope.spawn(move || write(machine))).collect();
        let saved = writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect();
        done.store(true, Ordering::Relaxed);
        println!("{} collections", collector.join().expect("the collector"));
        saved
    });
    println!("{} snapshots saved", saved.len());
    let repository = open();
    assert_restores(&repository, &saved, "saved beside a collector");
    assert_clean(&repository, "after all");
}

/// Everything below a folder, by name.
fn everything(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = walkdir::WalkDir::new(folder)
        .min_depth(1)
        .into_iter()
        .map(|found| found.expect("readable").path().display().to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn an_init_where_nothing_can_be_named_safely_is_refused_and_leaves_nothing() {
    let folder = scratch();
    fs::create_dir(folder.path().join("empty")).expect("made");
    let before = everything(folder.path());
    for name in ["new/deep/repo", "empty"] {
        let disk = DiskDouble::default().with_links(Links::None).without_noreplace().disk();
        let error = FolderBackend::create_on(&folder.path().join(name), disk).expect_err("refused");
        let text = format!("{error}: {}", error.cause);
        assert!(text.contains("neither hard links nor a rename") && text.contains("another file system"), "{text}");
        assert_eq!(everything(folder.path()), before);
    }
    FolderBackend::create(&folder.path().join("new/deep/repo")).expect("a good file system is good");
}

#[test]
fn an_init_that_was_cut_off_is_begun_anew() {
    let folder = scratch();
    let world = World::new(4);
    let root = folder.path().join("repo");
    let backend = FolderBackend::create(&root).expect("created");
    backend.put(&Key::Slot(ObjectId::of(b"slot")), b"slot").expect("put");
    fs::write(root.join("tmp/half"), b"half").expect("written");
    let repository = world.init_on(Arc::new(FolderBackend::create(&root).expect("created again"))).expect("init");
    assert_eq!(repository.list(Kind::Keys).expect("listed").len(), 1, "the other's slot is gone");
    world.open_on(Arc::new(FolderBackend::open(&root))).expect("opens");
    assert!(FolderBackend::create(&root).is_err(), "a repository is not made anew");
}

#[test]
fn a_folder_in_which_something_is_stays_untouched() {
    for name in ["packs/x", "snapshots/x", "config", "other"] {
        let folder = scratch();
        let root = folder.path().join("repo");
        FolderBackend::create(&root).expect("created");
        fs::write(root.join(name), b"precious").expect("written");
        let before = everything(&root);
        let error = FolderBackend::create(&root).expect_err("refused");
        assert!(error.cause.to_string().contains("not empty"), "{}", error.cause);
        assert_eq!(everything(&root), before, "{name}");
    }
}
