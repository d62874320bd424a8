//! "Saved" means that it restores, "no damage" that all of it does, and nothing removes the last good copy.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use sfarc::Error;
use sfarc::backend::{Backend, Key, Kind};
use sfarc::engine::check::{self, ReadData};
use sfarc::engine::collect::{self, Options};
use sfarc::event::Task;
use sfarc::format::manifest::{ChunkSizes, Content, Manifest};
use sfarc::format::pack::BlockKind;
use sfarc::ids::{ChunkId, ObjectId};
use sfarc::limits::SEGMENT_BYTES;
use sfarc::pipeline::egress::Egress;
use sfarc::pipeline::ingest::{IngestError, Job, StoredStream, ingest};
use sfarc::pipeline::lanes::Lanes;
use sfarc::repo::list::ListBuilder;
use sfarc::repo::pool::Pool;
use sfarc::repo::session::Session;
use sfarc::repo::store::ChunkStore;
use sfarc::repo::{RepoError, Repository};
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::recording::{Call, Operation};
use sfarc::testing::world::World;

use crate::common::{Expected, assert_clean, assert_restores, one, packs_of, stream};

const SIZES: ChunkSizes = ChunkSizes { min: 1024, avg: 4096, max: 32768 };

fn store_of(repository: &Repository) -> ChunkStore {
    let mut session = Session::begin(repository).expect("begun");
    session.announce().expect("announced");
    let index = session.open_index().expect("opened");
    let pool = Arc::new(Pool::new(2).expect("started"));
    ChunkStore::new(repository, index, pool, false).expect("started").of(session)
}

/// What becomes of one stream that a source writes.
fn ingested(
    repository: &Repository,
    source: impl FnOnce(&mut Lanes) -> io::Result<()> + Send,
) -> Result<StoredStream, IngestError<io::Error>> {
    let mut store = store_of(repository);
    let job = Job { task: Task(0), sizings: vec![Box::new(|_| SIZES)], source: Box::new(source) };
    let mut done = ingest(repository, &mut store, vec![job], 1)?;
    store.flush()?;
    Ok(done.remove(0).1.remove(0))
}

fn read(repository: &Repository, content: &Content) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut egress = Egress::open(repository).expect("opened");
    let sink = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok::<(), Infallible>(())
    };
    egress.write_all(content, sink).expect("it restores");
    bytes
}

/// An attempt that ends in the middle of a segment, at its end, at once; one after the other, without a pause.
#[test]
fn a_source_that_begins_anew_loses_nothing() {
    let world = World::new(71);
    let repository = world.init().expect("init");
    let whole = stream(&[(1, 5 * SEGMENT_BYTES + 777)]);
    for broken in [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, 3 * SEGMENT_BYTES + 5, whole.len()] {
        for attempts in [1, 2, 4] {
            let stored = ingested(&repository, |lanes| {
                for _ in 0..attempts {
                    lanes.write(0, &whole[..broken])?;
                    lanes.restart()?;
                }
                lanes.write(0, &whole)
            });
            let stored = stored.expect("stored");
            assert_eq!(stored.content().len, whole.len() as u64);
            assert!(read(&repository, stored.content()) == whole, "{attempts} attempts broken at {broken}");
        }
    }
    let nothing = ingested(&repository, |lanes| {
        lanes.write(0, &whole)?;
        lanes.restart()
    });
    assert_eq!(read(&repository, nothing.expect("stored").content()), b"");
}

/// The first attempt is cut into chunks of other sizes than the second: what its first bytes ask for.
#[test]
fn each_attempt_is_cut_by_its_own_first_bytes() {
    let world = World::new(72);
    let repository = world.init().expect("init");
    let mut store = store_of(&repository);
    let bulk = ChunkSizes { min: 16 << 10, avg: 64 << 10, max: 512 << 10 };
    let whole = stream(&[(9, 4 * SEGMENT_BYTES)]);
    let sizing = move |first: &[u8]| if first.first() == Some(&0xff) { bulk } else { SIZES };
    let source = |lanes: &mut Lanes| -> io::Result<()> {
        lanes.write(0, &vec![0xff; 3 * SEGMENT_BYTES])?;
        lanes.restart()?;
        lanes.write(0, &whole)
    };
    let job = Job { task: Task(0), sizings: vec![Box::new(sizing)], source: Box::new(source) };
    let done = ingest(&repository, &mut store, vec![job], 1).map_err(|error: IngestError<io::Error>| error);
    let stored = done.expect("stored").remove(0).1.remove(0);
    store.flush().expect("flushed");
    assert_eq!(stored.content().sizes, SIZES);
    assert!(read(&repository, stored.content()) == whole);
}

#[test]
fn a_source_that_panics_is_an_error() {
    let world = World::new(73);
    let repository = world.init().expect("init");
    let ended = ingested(&repository, |lanes| {
        lanes.write(0, &[7; 3 * SEGMENT_BYTES])?;
        panic!("a source that panics");
    });
    assert!(matches!(ended, Err(IngestError::Source { .. })), "{ended:?}");
}

/// Whoever puts packs, makes them, or puts the index panics: there is no snapshot, and the next one is whole.
#[test]
fn a_lost_thread_is_no_shorter_success() {
    for seed in 0..3 {
        let world = World::new(seed);
        world.init().expect("init");
        let faulty = Arc::new(FaultyBackend::new(Arc::clone(&world.store) as Arc<dyn Backend>, Fault::None));
        let repository = world.open_on(Arc::clone(&faulty) as Arc<dyn Backend>).expect("opens");
        let streams = one("s", stream(&[(seed, 20 << 20)]));
        faulty.ambush(is_put(Kind::Packs), || panic!("an uploader that panics"));
        let failed = world.take(&repository, &streams);
        let error = failed.expect_err("a pack was lost");
        assert!(matches!(error, Error::Repo(RepoError::NotWhole(_))), "{error:?}");
        assert!(repository.snapshot_ids().expect("listed").is_empty());
        let id = world.take(&repository, &streams).expect("the next is whole").id.expect("an id");
        assert_restores(&repository, &Expected::from([(id, streams)]), "after a lost thread");
    }
}

fn is_put(kind: Kind) -> impl Fn(&Call) -> bool + Send + 'static {
    move |call| call.operation == Operation::Put && call.kind == Some(kind)
}

/// What is done to a pack.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Lose,
    Cut,
    /// Two bytes of it are wrong, this share of its length behind its beginning.
    Rot(f64),
    /// Its directory has rotted.
    RotDirectory,
    /// It is on a bad sector.
    Hide,
}

fn harm(world: &World, pack: &Key, harm: Harm) {
    let mut bytes = world.store.bytes(pack).expect("there");
    match harm {
        Harm::Lose => return world.store.delete(pack).expect("removed"),
        Harm::Hide => return world.store.make_unreadable(pack),
        Harm::Cut => bytes.truncate(bytes.len() / 2),
        Harm::Rot(share) => {
            let at = ((bytes.len() - 2) as f64 * share) as usize;
            bytes[at] ^= 0x21;
            bytes[at + 1] ^= 0x12;
        }
        Harm::RotDirectory => {
            let trailer = bytes.last_chunk::<16>().expect("a trailer");
            let offset = u64::from_le_bytes(*trailer.first_chunk().expect("an offset")) as usize;
            bytes[offset + 1] ^= 0x21;
        }
    }
    world.store.tamper(pack, &bytes);
}

const HARMS: [Harm; 7] =
    [Harm::Lose, Harm::Cut, Harm::Hide, Harm::Rot(0.0), Harm::Rot(0.3), Harm::Rot(0.98), Harm::Rot(1.0)];

/// A pack whose directory does not open is passed over by whoever writes beside it, without a check before.
#[test]
fn a_pack_that_does_not_open_is_passed_over() {
    for is_hidden in [false, true] {
        for what in [Harm::Hide, Harm::Rot(0.0), Harm::RotDirectory, Harm::Rot(1.0)] {
            let world = World::new(32);
            let repository = if is_hidden { world.init_hiding() } else { world.init() }.expect("init");
            let streams = one("s", stream(&[(1, 900 << 10), (2, 300 << 10)]));
            let first = world.take(&repository, &streams).expect("taken").id.expect("an id");
            let snapshot = repository.read_snapshot(first).expect("there");
            for pack in packs_of(&repository, &snapshot) {
                harm(&world, &Key::Pack(pack), what);
            }
            let again = world.take(&repository, &streams).expect("taken").id.expect("an id");
            let expected = Expected::from([(first, streams.clone()), (again, streams)]);
            assert_restores(&repository, &expected, &format!("{what:?}, hidden: {is_hidden}"));
        }
    }
}

/// A pack is lost, cut, or rots, and a check has found what cannot be seen: the next snapshot of the same data stores what
/// is missing, and the older one restores again.
#[test]
fn the_next_snapshot_heals_the_older_ones() {
    for is_hidden in [false, true] {
        for what in HARMS {
            let world = World::new(31);
            let repository = if is_hidden { world.init_hiding() } else { world.init() }.expect("init");
            let streams = one("s", stream(&[(1, 900 << 10), (2, 300 << 10)]));
            let first = world.take(&repository, &streams).expect("taken").id.expect("an id");
            let other = world.take(&repository, &one("o", stream(&[(3, 40 << 10)]))).expect("taken").id.expect("an id");
            let snapshot = repository.read_snapshot(first).expect("there");
            for pack in packs_of(&repository, &snapshot) {
                harm(&world, &Key::Pack(pack), what);
            }
            if matches!(what, Harm::Rot(_) | Harm::Hide) {
                let report = check::check(&repository, &ReadData::All).expect("checked");
                assert!(!report.problems.is_empty() && !report.hits.is_empty(), "{what:?}");
                assert!(!report.distrusted.is_empty(), "{what:?}");
            }
            let context = format!("{what:?}, hidden: {is_hidden}");
            let again = world.take(&repository, &streams).expect("taken").id.expect("an id");
            let expected = Expected::from([(first, streams.clone()), (again, streams)]);
            assert_restores(&repository, &expected, &context);
            let others = one("o", stream(&[(3, 40 << 10)]));
            assert_restores(&repository, &Expected::from([(other, others)]), &context);
            // What was found before and hits nothing any more is no damage: the loop goes on by itself.
            if matches!(what, Harm::Rot(_) | Harm::Hide) {
                assert_clean(&repository, &context);
            }
            // And whatever is left of the bad packs goes, which makes nothing worse.
            collect::collect(&repository, Options::default()).expect("collected");
            assert_restores(&repository, &expected, &context);
            check::check(&repository, &ReadData::All).expect("checked");
            collect::collect(&repository, Options::default()).expect("collected");
            assert_clean(&repository, &context);
            assert_restores(&repository, &expected, &context);
        }
    }
}

/// Forgetting everything and collecting frees the index of what is lost, too.
#[test]
fn after_all_is_forgotten_nothing_leads_to_lost_packs() {
    let world = World::new(32);
    let repository = world.init().expect("init");
    let streams = one("s", stream(&[(1, 500 << 10)]));
    let first = world.take(&repository, &streams).expect("taken").id.expect("an id");
    world.store.keys(Kind::Packs).iter().for_each(|pack| world.store.delete(pack).expect("removed"));
    repository.forget(&[first]).expect("forgotten");
    collect::collect(&repository, Options::default()).expect("collected");
    assert!(world.store.keys(Kind::Indexes).is_empty(), "rows that lead nowhere are left");
    let again = world.take(&repository, &streams).expect("taken").id.expect("an id");
    assert_restores(&repository, &Expected::from([(again, streams)]), "into an emptied repository");
    assert_clean(&repository, "into an emptied repository");
}

/// A pack that is lost while a snapshot is taken that relies on it: it is refused by name, and the next one is whole.
#[test]
fn a_pack_lost_before_the_commit_is_refused() {
    let world = World::new(33);
    world.init().expect("init");
    let faulty = Arc::new(FaultyBackend::new(Arc::clone(&world.store) as Arc<dyn Backend>, Fault::None));
    let repository = world.open_on(Arc::clone(&faulty) as Arc<dyn Backend>).expect("opens");
    let streams = one("s", stream(&[(1, 500 << 10)]));
    world.take(&repository, &streams).expect("taken");
    let (store, pack) = (Arc::clone(&world.store), world.store.keys(Kind::Packs)[0]);
    let is_pending = |call: &Call| matches!(call.key, Some(Key::Pending(_))) && call.operation == Operation::Put;
    faulty.ambush(is_pending, move || store.delete(&pack).expect("removed"));
    let error = world.take(&repository, &streams).expect_err("a pack is gone");
    assert!(matches!(error, Error::Repo(RepoError::PackLost { .. })), "{error:?}");
    let again = world.take(&repository, &streams).expect("taken").id.expect("an id");
    assert_restores(&repository, &Expected::from([(again, streams)]), "after a refused snapshot");
}

/// A snapshot whose list says of a chunk that it is shorter, or longer, or of which the sum is not that of the stream: it
/// does not restore, and a check says so.
#[test]
fn a_check_compares_lists_with_chunks_and_streams() {
    for (chunk_len, stream_len) in [(999, 999), (1001, 1001), (1000, 1000), (1000, 1500), (1000, 1)] {
        let world = World::new(34);
        let repository = world.init().expect("init");
        let like = world.take(&repository, &one("s", stream(&[(1, 5000)]))).expect("taken").manifest;
        let mut store = store_of(&repository);
        let bytes = stream(&[(7, 1000)]);
        let id: ChunkId = repository.keys.chunk_hasher().expect("a key").id(&bytes);
        store.store(BlockKind::Data, id, &bytes).expect("stored");
        let mut list = ListBuilder::default();
        list.push(id, chunk_len, &mut (&repository, &mut store)).expect("listed");
        let root = list.finish(&mut (&repository, &mut store)).expect("listed");
        store.flush().expect("flushed");
        let content = Content { len: stream_len, hash: *blake3_of(&bytes).as_bytes(), sizes: SIZES, root };
        let mut manifest = Manifest { time: like.time + 1, ..like.clone() };
        manifest.streams[0].content = content;
        let mut session = store.end().expect("its session");
        let (name, object) = session.seal(&manifest).expect("sealed");
        session.publish(&object).expect("published");
        session.commit(name, &object).expect("committed");
        let report = check::check(&repository, &ReadData::All).expect("checked");
        let is_right = (chunk_len, stream_len) == (1000, 1000);
        assert_eq!(
            report.hits.is_empty() && report.problems.is_empty(),
            is_right,
            "{chunk_len} {stream_len} {report:?}"
        );
    }
}

fn blake3_of(bytes: &[u8]) -> ObjectId {
    ObjectId::of(bytes)
}

/// Two writers store the same at the same time. One of the two packs rots: whichever it is, a collector that removes what
/// is there twice reads the copy that it keeps.
#[test]
fn what_is_there_twice_is_read_before_one_goes() {
    for rotten in 0..2 {
        for what in HARMS {
            let world = Arc::new(World::new(35));
            world.init().expect("init");
            let faulty = Arc::new(FaultyBackend::new(Arc::clone(&world.store) as Arc<dyn Backend>, Fault::None));
            let repository = world.open_on(Arc::clone(&faulty) as Arc<dyn Backend>).expect("opens");
            let streams = one("s", stream(&[(1, 700 << 10)]));
            let other = world.open().expect("opens");
            let (world_of_other, same) = (Arc::clone(&world), streams.clone());
            let (sender, second) = std::sync::mpsc::channel();
            faulty.ambush(is_put(Kind::Indexes), move || {
                let id = world_of_other.take(&other, &same).expect("taken").id.expect("an id");
                sender.send(id).expect("awaited");
            });
            let first = world.take(&repository, &streams).expect("taken").id.expect("an id");
            let second = second.recv().expect("taken");
            let packs = world.store.keys(Kind::Packs);
            assert_eq!(packs.len(), 2);
            harm(&world, &packs[rotten], what);
            let repository = world.open().expect("opens");
            let expected = Expected::from([(first, streams.clone()), (second, streams)]);
            let context = format!("{what:?} of pack {rotten}");
            assert_restores(&repository, &expected, &context);
            for _ in 0..3 {
                // It may refuse; what it does must not make anything worse.
                let collected = collect::collect(&repository, Options { max_unused: 0.0, ..Options::default() });
                assert_restores(&repository, &expected, &context);
                if let Err(error) = collected {
                    panic!("{context}: {}", sfarc::error::chain(&error));
                }
            }
        }
    }
}

/// A run that is served under another's name opens, and lacks the other's rows: nothing is removed by what it says.
#[test]
fn exchanged_index_runs_remove_nothing() {
    let world = World::new(36);
    let repository = world.init().expect("init");
    let mut expected = Expected::new();
    for seed in 0..4 {
        let streams = one("s", stream(&[(seed, 60 << 10)]));
        expected.insert(world.take(&repository, &streams).expect("taken").id.expect("an id"), streams);
    }
    let runs = world.store.keys(Kind::Indexes);
    let bytes = world.store.bytes(&runs[1]).expect("there");
    world.store.tamper(&runs[0], &bytes);
    let packs = world.store.keys(Kind::Packs);
    let repository = world.open().expect("opens");
    let error = collect::collect(&repository, Options::default()).expect_err("a run is not what its name says");
    assert!(sfarc::error::chain(&error).contains("hash to its name"), "{}", sfarc::error::chain(&error));
    assert_eq!(world.store.keys(Kind::Packs), packs);
    assert_restores(&repository, &expected, "beside an exchanged run");
}
