//! Index runs as their writer makes them and their readers find rows in them.

use sfarc::format::index::PackEntry;
use sfarc::ids::{ChunkId, ObjectId};
use sfarc::repo::gc_log::GcLog;
use sfarc::repo::index::Index;
use sfarc::repo::index::build::{FreeRow, GroupWriter};
use sfarc::testing::world::World;

fn row(first: u8, last: u8, pack: u8) -> FreeRow {
    let mut id = [0; 16];
    (id[0], id[15]) = (first, last);
    FreeRow { id: ChunkId::new(id), pack: PackEntry { id: ObjectId::new([pack; 32]), len: 1 }, ordinal: 7 }
}

/// A group of three runs whose ids touch: the same id, and ids that only begin alike, on both sides of a border.
#[test]
fn runs_of_a_group_are_found_up_to_their_borders() {
    let world = World::new(1);
    let repository = world.init().expect("a repository");
    let runs = [
        vec![row(3, 0, 1), row(5, 1, 1)],
        vec![row(5, 1, 2), row(5, 2, 1), row(9, 0, 2)],
        vec![row(9, 1, 1), row(200, 0, 2)],
    ];
    let mut writer = GroupWriter::new(&repository, 0);
    for rows in &runs {
        rows.iter().for_each(|row| writer.push(*row).expect("memory"));
        writer.flush().expect("memory");
    }
    writer.finish().expect("memory");
    let mut index = Index::open(&repository, &GcLog::default()).expect("it opens");
    assert_eq!((index.runs().len(), index.packs().len()), (3, 2));
    for row in runs.iter().flatten() {
        let found = index.find_all(&repository, &row.id).expect("memory");
        assert!(found.iter().any(|place| place.pack == row.pack && place.ordinal == 7), "{}", row.id);
        let same = runs.iter().flatten().filter(|other| other.id == row.id).count();
        assert_eq!(found.len(), same, "{}", row.id);
    }
    for (first, last) in [(0, 0), (3, 1), (5, 0), (5, 3), (7, 0), (9, 2), (255, 0)] {
        assert!(index.find_all(&repository, &row(first, last, 0).id).expect("memory").is_empty(), "{first} {last}");
    }
}
