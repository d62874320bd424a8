//! Every store passes the contract suite; the doubles pass everything on.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sfarc::backend::Backend;
use sfarc::backend::folder::FolderBackend;
use sfarc::ids::SessionId;
use sfarc::testing::contract;
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::memory::MemoryBackend;
use sfarc::testing::recording::RecordingBackend;

fn memory() -> Arc<dyn Backend> {
    Arc::new(MemoryBackend::default())
}

#[test]
fn memory_keeps_the_contract() {
    assert_eq!(contract::run_with_processes(memory), Vec::<String>::new());
}

#[test]
fn a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut number = 0;
    let broken = contract::run_with_processes(|| {
        number += 1;
        Arc::new(FolderBackend::create(&folder.path().join(number.to_string())).expect("a new repository"))
    });
    assert_eq!(broken, Vec::<String>::new());
}

/// A process forked while a lock is held has the lock too until it runs its own program.
#[test]
fn a_hold_ends_with_its_drop_while_processes_are_started() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = FolderBackend::create(&folder.path().join("repository")).expect("a new repository");
    let done = AtomicBool::new(false);
    let still_held = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                Command::new("true").status().expect("a process");
            }
        });
        let held = (0..400u16).filter(|number| {
            let id = SessionId::new(std::array::from_fn(|at| number.to_le_bytes()[at % 2]));
            drop(store.announce(&id, b"session").expect("announced"));
            store.is_held(&id).expect("asked")
        });
        let held = held.count();
        done.store(true, Ordering::Relaxed);
        held
    });
    assert_eq!(still_held, 0, "sessions that nobody holds look held");
}

#[test]
fn a_folder_opened_anew_keeps_what_was_put() {
    use sfarc::backend::Key;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("repository");
    FolderBackend::create(&root).expect("created").put(&Key::Gc(1), b"bytes").expect("put");
    assert_eq!(FolderBackend::open(&root).get(&Key::Gc(1), None).expect("read"), b"bytes");
    assert!(FolderBackend::create(&root).is_err(), "a folder that is not empty is refused");
}

#[test]
fn wrappers_keep_the_contract() {
    assert_eq!(contract::run_with_processes(|| Arc::new(RecordingBackend::new(memory()))), Vec::<String>::new());
    assert_eq!(
        contract::run_with_processes(|| Arc::new(FaultyBackend::new(memory(), Fault::None))),
        Vec::<String>::new()
    );
}

#[test]
fn the_suite_can_fail() {
    let broken =
        contract::run_with_processes(|| Arc::new(FaultyBackend::new(memory(), Fault::Once { at: 2, lands: true })));
    assert!(broken.len() > 5, "{broken:?}");
}
