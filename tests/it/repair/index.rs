//! The index after a repair: a row for every chunk that can be read, and no other.

use std::collections::BTreeSet;

use sfarc::backend::{Backend, Key, Kind};
use sfarc::engine::collect::{self, collect};
use sfarc::error::chain;
use sfarc::format::index::PackEntry;
use sfarc::ids::{ChunkId, ObjectId};
use sfarc::repo::Repository;
use sfarc::repo::index::Index;
use sfarc::repo::index::build::{FreeRow, GroupWriter};
use sfarc::repo::index::merge::for_each_row;
use sfarc::repo::pack_reader::PackReader;

use super::{ALL, Action, damage, repaired, subject};
use crate::common::{assert_clean, assert_restores};

type Rows = BTreeSet<(ChunkId, ObjectId, u16)>;

fn rows_of_index(repository: &Repository) -> Rows {
    let index = Index::open_whole(repository, &repository.gc_log().expect("read")).expect("whole");
    let mut rows = Rows::new();
    let runs: Vec<_> = index.runs().iter().collect();
    let read = for_each_row(repository, &runs, |row| {
        rows.insert((row.id, row.pack.id, row.ordinal));
        Ok(())
    });
    read.expect("rows");
    rows
}

fn rows_of_packs(repository: &Repository) -> Rows {
    let mut rows = Rows::new();
    for entry in packs(repository) {
        let reader = PackReader::open(&*repository.backend, &repository.keys, entry).expect("opens");
        rows.extend(reader.directory.chunks().iter().zip(0..).map(|(chunk, ordinal)| (chunk.id, entry.id, ordinal)));
    }
    rows
}

fn packs(repository: &Repository) -> Vec<PackEntry> {
    let listed = repository.list(Kind::Packs).expect("listed").into_iter();
    listed
        .filter_map(
            |listed| if let Key::Pack(id) = listed.key { Some(PackEntry { id, len: listed.len as u32 }) } else { None },
        )
        .collect()
}

#[test]
fn every_run_lost() {
    let subject = subject();
    let world = subject.world.after_crash();
    world.store.keys(Kind::Indexes).iter().for_each(|key| damage(&world.store, key, Action::Lose));
    let repository = world.open().expect("opens");
    let report = repaired(&repository, &[], ALL);
    assert!(report.is_healthy(), "{report:?}");
    assert_eq!(report.indexed_packs as usize, packs(&repository).len());
    assert_eq!(rows_of_index(&repository), rows_of_packs(&repository));
    assert_clean(&repository, "after a repair");
}

#[test]
fn a_damaged_run_goes_when_others_name_what_it_named() {
    let subject = subject();
    for key in subject.world.store.keys(Kind::Indexes) {
        let world = subject.world.after_crash();
        damage(&world.store, &key, Action::RotMiddle);
        let repository = world.open().expect("opens");
        let report = repaired(&repository, &[], ALL);
        assert!(report.is_healthy() && report.removed_runs == 1, "{report:?}");
        assert_eq!(world.store.bytes(&key), None);
        assert_eq!(rows_of_index(&repository), rows_of_packs(&repository));
        assert_clean(&repository, "after a repair");
        assert_restores(&repository, &subject.expected, "after a repair");
    }
}

#[test]
fn rows_that_lie_are_dropped_and_right_ones_written() {
    let subject = subject();
    let world = subject.world.after_crash();
    let repository = world.open().expect("opens");
    let right = rows_of_packs(&repository);
    let entry = packs(&repository)[0];
    let &(id, _, ordinal) = right.iter().find(|(_, pack, _)| *pack == entry.id).expect("a row");
    let lies = [
        // Another place than it has, a pack of another length, a chunk that is not there, and a pack that is not.
        FreeRow { id, pack: entry, ordinal: ordinal ^ 1 },
        FreeRow { id, pack: PackEntry { len: entry.len + 1, ..entry }, ordinal },
        FreeRow { id: ChunkId::new([1; 16]), pack: entry, ordinal: 0 },
        FreeRow { id, pack: PackEntry { id: ObjectId::new([9; 32]), len: 900 }, ordinal: 3 },
    ];
    for lie in lies {
        let world = subject.world.after_crash();
        let repository = world.open().expect("opens");
        let mut writer = GroupWriter::new(&repository, 0);
        writer.push(lie).expect("pushed");
        writer.finish().expect("written");
        let report = repaired(&repository, &[], ALL);
        assert!(report.is_healthy() && report.dropped_packs == 1, "{lie:?}: {report:?}");
        assert_eq!(rows_of_index(&repository), right, "{lie:?}");
        assert_restores(&repository, &subject.expected, "after a repair");
        assert_clean(&repository, "after a repair");
    }
}

#[test]
fn merging_keeps_both_of_two_rows_that_disagree() {
    let subject = subject();
    let world = subject.world.after_crash();
    let repository = world.open().expect("opens");
    let entry = packs(&repository)[0];
    let row = |ordinal| FreeRow { id: ChunkId::new([1; 16]), pack: entry, ordinal };
    let mut writer = GroupWriter::new(&repository, 0);
    [row(9), row(2), row(2)].into_iter().for_each(|row| writer.push(row).expect("pushed"));
    writer.finish().expect("written");
    let index = rows_of_index(&repository);
    let of_it: Vec<u16> = index.iter().filter(|row| row.0 == ChunkId::new([1; 16])).map(|row| row.2).collect();
    assert_eq!(of_it, [2, 9], "a row that lies hides the right one");
}

#[test]
fn a_damaged_run_keeps_nobody_from_writing_but_from_pruning() {
    let subject = subject();
    for action in [Action::Cut, Action::RotBegin, Action::RotMiddle, Action::RotEnd, Action::Exchange] {
        let world = subject.world.after_crash();
        let key = world.store.keys(Kind::Indexes)[0];
        damage(&world.store, &key, action);
        let repository = world.open().expect("opens");
        let mut expected = subject.expected.clone();
        for (number, streams) in subject.expected.values().enumerate() {
            let taken = world.take(&repository, streams);
            let taken = taken.unwrap_or_else(|error| panic!("{action:?}, {number}: {}", chain(&error)));
            expected.insert(taken.id.expect("an id"), streams.clone());
        }
        assert_restores(&repository, &expected, "beside a damaged run");
        let error = collect(&repository, collect::Options::default()).expect_err("it prunes");
        assert!(chain(&error).contains("sfarc repair"), "{action:?}: {}", chain(&error));
        let report = repaired(&repository, &[], ALL);
        assert!(report.is_healthy(), "{report:?}");
        crate::common::collect_quietly(&repository, "after a repair");
        assert_restores(&repository, &expected, "after a repair");
        assert_clean(&repository, "after a repair");
        assert!(world.store.list(Kind::Indexes).expect("listed").iter().all(|listed| listed.key != key));
    }
}
