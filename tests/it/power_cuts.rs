//! A power cut at any moment of writing, in every state that it may leave: nothing that was promised is lost, and the
//! next run works.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use sfarc::backend::folder::FolderBackend;
use sfarc::disk::Disk;
use sfarc::ids::ObjectId;
use sfarc::repo::{RepoError, Repository};
use sfarc::testing::disks::{DiskDouble, Moment};
use sfarc::testing::entropy::SeededEntropy;
use sfarc::testing::power_cut::{Change, Ledger, RecordingDisk, Tree};
use sfarc::testing::world::{World, read_streams};
use tempfile::TempDir;

use crate::common::{assert_clean, one, stream};
use crate::crash::{Journal, LIFE, Step, assert_repository_goes_on};

/// A folder in memory, where there is one: syncs cost nothing there.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder")
}

/// Calls `each` with every different state of every moment, and gives the number of those that are possible at all. The
/// same state is another one when more is `promised`.
pub(crate) fn visit(
    changes: &[Change],
    most: usize,
    promised: impl Fn(usize) -> usize,
    mut each: impl FnMut(usize, &Tree),
) -> u128 {
    let (mut ledger, mut possible, mut seen) = (Ledger::default(), 0u128, HashSet::new());
    let chance = SeededEntropy::new(19);
    for (before, change) in changes.iter().enumerate() {
        ledger.apply(change);
        let moment = before + 1;
        let states = ledger.states();
        possible = possible.saturating_add(states.count());
        for tree in states.choose(most, &chance) {
            let mut hasher = DefaultHasher::new();
            (&tree, promised(moment)).hash(&mut hasher);
            if seen.insert(hasher.finish()) {
                each(moment, &tree);
            }
        }
    }
    possible
}

/// A life that was recorded, and what was promised when so many changes had been made.
struct Life {
    changes: Vec<Change>,
    promises: Vec<(usize, Option<Journal>)>,
}

impl Life {
    fn record(steps: &[Step]) -> Self {
        let folder = scratch();
        let recorder = Arc::new(RecordingDisk::new(folder.path(), true).expect("the folder is there"));
        let disk = Disk::new(Arc::clone(&recorder) as _);
        let world = World::new(1);
        let backend = FolderBackend::create_on(&folder.path().join("srv/repo"), disk).expect("created");
        let mut promises = vec![(0, None)];
        let repository = world.init_on(Arc::new(backend)).expect("init");
        let mut journal = Journal::default();
        promises.push((recorder.len(), Some(journal.clone())));
        for &step in steps {
            if matches!(step, Step::Forget) {
                let rest = journal.taken[1..].to_vec();
                promises.push((recorder.len(), Some(Journal { taken: rest })));
            }
            journal.step(&world, &repository, step).expect("nothing fails");
            promises.push((recorder.len(), Some(journal.clone())));
        }
        Self { changes: recorder.changes(), promises }
    }

    /// Which promise holds at this moment.
    fn promise(&self, moment: usize) -> usize {
        self.promises.iter().filter(|(from, _)| *from <= moment).count() - 1
    }

    /// What must be there at this moment, if there must be a repository.
    fn promised(&self, moment: usize) -> Option<Journal> {
        self.promises[self.promise(moment)].1.clone()
    }

    fn check(&self, moment: usize, tree: &Tree) {
        let context = format!("power cut after change {moment} of {}", self.changes.len());
        let folder = scratch();
        tree.write(&folder.path().join("root")).expect("written");
        let root = folder.path().join("root/srv/repo");
        let world = World::new(77);
        let opened = world.open_on(Arc::new(FolderBackend::open(&root)));
        let (repository, journal) = match (opened, self.promised(moment)) {
            (Ok(repository), journal) => (repository, journal.unwrap_or_default()),
            (Err(RepoError::NoRepository { .. }), None) => {
                let backend = FolderBackend::create(&root);
                let backend = backend.unwrap_or_else(|error| panic!("{context}: init again: {error}: {}", error.cause));
                (world.init_on(Arc::new(backend)).expect("init again"), Journal::default())
            }
            (Err(error), _) => panic!("{context}: open: {}", sfarc::error::chain(&error)),
        };
        assert_repository_goes_on(&world, &repository, journal, &context);
    }
}

/// Opens so many of the states, by chance, or all of those that are looked at.
fn assert_survives(steps: &[Step], most: usize, opened: Option<usize>) {
    let life = Life::record(steps);
    let mut different = 0usize;
    let possible = visit(&life.changes, most, |moment| life.promise(moment), |_, _| different += 1);
    let stride = opened.map_or(1, |opened| different.div_ceil(opened).max(1));
    let (mut number, mut tried) = (0, 0);
    visit(
        &life.changes,
        most,
        |moment| life.promise(moment),
        |moment, tree| {
            if number % stride == 0 {
                life.check(moment, tree);
                tried += 1;
            }
            number += 1;
        },
    );
    println!(
        "{} changes, {possible} states possible, {different} different ones made, {tried} opened",
        life.changes.len()
    );
    assert!(tried > 50, "{tried}");
}

#[test]
fn a_repository_survives_power_cuts() {
    assert_survives(LIFE, 4, Some(250));
}

#[test]
fn an_init_survives_power_cuts() {
    assert_survives(&[], 512, Some(100));
}

#[test]
#[ignore = "opens some ten thousand states: minutes"]
fn a_repository_survives_every_power_cut() {
    assert_survives(&[], 1 << 16, None);
    assert_survives(LIFE, 4096, None);
}

/// B takes a snapshot while A is about to make something durable, in the `nth` folder.
fn snapshot_within_another(nth: usize) -> Option<(Vec<Change>, usize, ObjectId)> {
    let folder = scratch();
    let root = folder.path().join("repo");
    let recorder = Arc::new(RecordingDisk::new(folder.path(), true).expect("the folder is there"));
    let disk = Disk::new(Arc::clone(&recorder) as _);
    let world = Arc::new(World::new(1));
    world.init_on(Arc::new(FolderBackend::create_on(&root, disk.clone()).expect("created"))).expect("init");
    let double = Arc::new(DiskDouble::new(disk.clone()));
    let open = |disk| world.open_on(Arc::new(FolderBackend::open_on(&root, disk))).expect("opens");
    let (a, b): (Repository, Repository) = (open(Disk::new(Arc::clone(&double) as _)), open(disk));
    let promise = Arc::new(Mutex::new(None));
    double.ambush(Moment::BeforeFolderSync, nth, {
        let (world, promise, recorder) = (Arc::clone(&world), Arc::clone(&promise), Arc::clone(&recorder));
        move || {
            let id = world.take(&b, &shared()).expect("taken").id.expect("an id");
            *promise.lock().expect("not poisoned") = Some((recorder.len(), id));
        }
    });
    // B may get in its way; what A says then is another test's matter.
    let _ = world.take(&a, &shared());
    let promise = promise.lock().expect("not poisoned").take();
    promise.map(|(from, id)| (recorder.changes(), from, id))
}

fn shared() -> sfarc::testing::world::Streams {
    one("db", stream(&[(1, 20 << 10), (2, 60 << 10)]))
}

#[test]
fn a_snapshot_outlasts_what_it_saw_of_an_unfinished_one() {
    let (mut nth, mut opened) = (0, 0);
    while let Some((changes, from, id)) = snapshot_within_another(nth) {
        let mut ledger = Ledger::default();
        changes[..from].iter().for_each(|change| ledger.apply(change));
        for tree in ledger.states().choose(16, &SeededEntropy::new(7)) {
            let folder = scratch();
            tree.write(&folder.path().join("root")).expect("written");
            let world = World::new(77);
            let context = format!("power cut before sync {nth} of a folder");
            let backend = Arc::new(FolderBackend::open(&folder.path().join("root/repo")));
            let repository = world.open_on(backend).expect("opens");
            let snapshot = repository.read_snapshot(id).unwrap_or_else(|error| panic!("{context}: {error}"));
            let read = read_streams(&repository, &snapshot);
            let read = read.unwrap_or_else(|error| panic!("{context}: {}", sfarc::error::chain(&error)));
            assert!(read == shared(), "{context}");
            assert_clean(&repository, &context);
            opened += 1;
        }
        nth += 1;
    }
    println!("{nth} moments, {opened} states opened");
    assert!(nth > 3, "{nth}");
}
