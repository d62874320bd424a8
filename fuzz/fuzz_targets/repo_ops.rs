//! A repository in memory, with faults and crashes, against a map from snapshots to their streams.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sfarc::backend::Kind;
use sfarc::engine::check::{ReadData, check};
use sfarc::engine::collect::{self, collect};
use sfarc::error::chain;
use sfarc::ids::ObjectId;
use sfarc::repo::Repository;
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::world::{Streams, World, read_streams};
use sfarc_fuzz::{Choices, noise, sow};

/// Most operations of one life: they are slow, and few are enough to go wrong.
const OPERATIONS: usize = 12;

fuzz_target!(
    init: sow([
        b"\0\0\x03\x01\x20\x02\x10\x01\0\x02\x03\x08\x04\0\x02\0\x02\0\x05\0".to_vec(),
        b"\0\0\x12\x01\x20\x02\x40\0\x85\x12\x03\x20\x04\x40\x41\0\x82\x09\x02\0\x04\0".to_vec(),
        b"\0\0\x01\x01\x08\0\0\x01\x02\x08\0\0\x01\x03\x08\0\0\x01\x04\x08\x01\0\x01\x01\x02\0\x02\0".to_vec(),
    ]),
    |input: &[u8]| {
        let mut choices = Choices(input);
        let mut life = Life::new();
        for _ in 0..OPERATIONS {
            if choices.is_at_end() {
                break;
            }
            life.step(&mut choices);
        }
        life.examine();
        life.end();
    }
);

struct Life {
    world: World,
    /// Snapshots that there must be.
    kept: BTreeMap<ObjectId, Streams>,
    /// Snapshots that there may be: whoever forgot them saw an error.
    perhaps: BTreeMap<ObjectId, Streams>,
    /// Streams of snapshots that failed: they may have been committed all the same, once each.
    tried: Vec<Streams>,
}

fn describe(error: &dyn std::error::Error) -> String {
    chain(error)
}

impl Life {
    fn new() -> Self {
        let world = World::new(1);
        world.init().expect("a repository in memory");
        Self { world, kept: BTreeMap::new(), perhaps: BTreeMap::new(), tried: Vec::new() }
    }

    /// One operation. The top bits of its first byte choose a fault, the low ones what is done.
    fn step(&mut self, choices: &mut Choices<'_>) {
        let what = choices.byte();
        let lands = what & 0x20 != 0;
        let fault = match what >> 6 {
            2 => Fault::Once { at: 1 + choices.below(64) as u64, lands },
            3 => Fault::Crash { at: 1 + choices.below(64) as u64, lands },
            _ => Fault::None,
        };
        let backend = Arc::new(FaultyBackend::new(Arc::clone(&self.world.store) as _, fault));
        if let Ok(repository) = self.world.open_on(backend) {
            let done = self.run(what & 0x1f, &repository, choices);
            if let (Err(error), Fault::None) = (done, fault) {
                panic!("without a fault: {error}");
            }
        } else {
            assert_ne!(fault, Fault::None, "the repository does not open");
        }
        if matches!(fault, Fault::Crash { .. }) {
            self.world = self.world.after_crash();
        }
        self.learn();
    }

    fn run(&mut self, what: u8, repository: &Repository, choices: &mut Choices<'_>) -> Result<(), String> {
        match what % 8 {
            0..=2 => self.take(repository, choices),
            3 => self.forget(repository, choices),
            4 | 5 => {
                let max_unused = if choices.byte() & 1 == 0 { 0.4 } else { 0.0 };
                let options = collect::Options { max_unused, ..collect::Options::default() };
                collect(repository, options).map(drop).map_err(|error| describe(&error))
            }
            6 => check(repository, &ReadData::None).map(drop).map_err(|error| describe(&error)),
            _ => {
                self.examine();
                Ok(())
            }
        }
    }

    fn take(&mut self, repository: &Repository, choices: &mut Choices<'_>) -> Result<(), String> {
        let mut streams = Streams::new();
        for name in ["db", "files"].iter().take(1 + choices.below(2)) {
            // Stretches of a few contents, so that snapshots share chunks.
            let mut bytes = Vec::new();
            for _ in 0..choices.below(5) {
                let (seed, len) = (choices.below(8) as u64, choices.below(256) << 8);
                bytes.extend(noise(seed, len));
            }
            streams.insert((*name).to_owned(), bytes);
        }
        match self.world.take(repository, &streams) {
            Ok(report) => {
                self.kept.insert(report.id.expect("not a dry run"), streams);
                Ok(())
            }
            Err(error) => {
                self.tried.push(streams);
                Err(describe(&error))
            }
        }
    }

    fn forget(&mut self, repository: &Repository, choices: &mut Choices<'_>) -> Result<(), String> {
        let ids: Vec<ObjectId> = self.kept.keys().chain(self.perhaps.keys()).copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let id = choices.one_of(&ids);
        let streams = self.kept.remove(&id).or_else(|| self.perhaps.remove(&id)).expect("it is in one of them");
        repository.forget(&[id]).map_err(|error| {
            self.perhaps.insert(id, streams);
            describe(&error)
        })
    }

    /// Learns what became of operations that failed.
    fn learn(&mut self) {
        let repository = self.world.open().expect("the repository opens");
        let listing = repository.snapshots().expect("snapshots can be listed");
        assert!(listing.unreadable.is_empty(), "unreadable: {:?}", listing.unreadable);
        for snapshot in &listing.snapshots {
            if self.kept.contains_key(&snapshot.id) || self.perhaps.contains_key(&snapshot.id) {
                continue;
            }
            let read = read_streams(&repository, snapshot).unwrap_or_else(|error| panic!("{}", describe(&error)));
            let place = self.tried.iter().position(|streams| *streams == read);
            let streams = self.tried.swap_remove(place.expect("a snapshot that nobody took, or took twice"));
            self.kept.insert(snapshot.id, streams);
        }
        let there = |id: &ObjectId| listing.snapshots.iter().any(|snapshot| snapshot.id == *id);
        assert!(self.kept.keys().all(there), "a snapshot is gone");
        self.perhaps.retain(|id, _| there(id));
    }

    /// Everything that must be there restores, and a check of every byte finds nothing wrong.
    fn examine(&self) {
        let repository = self.world.open().expect("the repository opens");
        let report = check(&repository, &ReadData::All).expect("a check runs");
        assert!(report.problems.is_empty() && report.hits.is_empty(), "{:?} {:?}", report.problems, report.hits);
        for (id, streams) in self.kept.iter().chain(&self.perhaps) {
            let snapshot = repository.read_snapshot(*id).unwrap_or_else(|error| panic!("{}", describe(&error)));
            let read = read_streams(&repository, &snapshot).unwrap_or_else(|error| panic!("{}", describe(&error)));
            assert!(read == *streams, "a snapshot restores to something else");
        }
    }

    /// A repository whose snapshots are forgotten is empty after its garbage is collected.
    fn end(self) {
        let world = self.world.after_crash();
        let repository = world.open().expect("the repository opens");
        let ids = repository.snapshot_ids().expect("snapshots can be listed");
        repository.forget(&ids).expect("snapshots can be forgotten");
        for _ in 0..3 {
            collect(&repository, collect::Options::default()).unwrap_or_else(|error| panic!("{}", describe(&error)));
        }
        for kind in [Kind::Packs, Kind::Snapshots, Kind::Sessions] {
            let left = world.store.keys(kind);
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }
}
