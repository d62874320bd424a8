//! Keys of roles: what each can do, what none can, and what is noticed.

use std::sync::Arc;

use proptest::test_runner::{Config, TestRunner};
use sfarc::backend::{Backend, Key, Kind};
use sfarc::crypto::aead::AeadKey;
use sfarc::crypto::recipient::RecipientKey;
use sfarc::crypto::role::Role;
use sfarc::crypto::signature::{Signer, Subject};
use sfarc::engine::audit::{Ledger, Report, audit};
use sfarc::engine::check::{ReadData, check};
use sfarc::engine::collect::{Options, collect};
use sfarc::engine::snapshot::{From, Input};
use sfarc::error::{Category, Error};
use sfarc::format::config::Features;
use sfarc::format::divided::{DividedHeader, Seal, envelope_aad};
use sfarc::format::index::IndexRow;
use sfarc::format::index::PackEntry;
use sfarc::format::manifest::GcRecord;
use sfarc::format::pack::{BlockKind, BlockRow, ChunkRow, Codec, Directory};
use sfarc::format::record;
use sfarc::format::rolekey::RoleKey;
use sfarc::format::sealed::{SealedKind, Section, Trailer, Wrapping, prefix};
use sfarc::format::signature::LogSignature;
use sfarc::ids::{ObjectId, RepoId};
use sfarc::repo::gc_log::tombstone;
use sfarc::repo::index::build::GroupWriter;
use sfarc::repo::pack_reader::PackReader;
use sfarc::repo::{Credential, Meant, RepoError, Repository};
use sfarc::testing::memory::MemoryBackend;
use sfarc::testing::world::{Streams, World, read_streams};
use zeroize::Zeroizing;

use crate::common::noise;

/// A repository with roles, and its reader.
fn made(seed: u64) -> (World, Repository) {
    made_with(seed, false)
}

fn made_with(seed: u64, hides_sizes: bool) -> (World, Repository) {
    let world = World::new(seed);
    let features = Features::chosen(true, hides_sizes);
    let backend = Arc::clone(&world.store) as Arc<dyn Backend>;
    let reader = Repository::init_with(backend, &World::credential(), features, world.env());
    let reader = reader.expect("a repository");
    (world, reader)
}

fn opened(world: &World, key: &RoleKey) -> Repository {
    let backend = Arc::clone(&world.store) as Arc<dyn Backend>;
    let credential = || Ok(Credential::Role(Box::new(key.clone())));
    Repository::open(backend, "memory", credential, world.env()).expect("it opens")
}

fn exported(world: &World, reader: &Repository, role: Role) -> Repository {
    opened(world, &reader.export_key(role, role.name()).expect("exported"))
}

fn streams(seed: u64) -> Streams {
    let words: Vec<u8> = (0..40_000u32).flat_map(|i| format!("row {i} of {seed}\n").into_bytes()).collect();
    [("noise".to_owned(), noise(seed, 700_000)), ("words".to_owned(), words)].into_iter().collect()
}

#[track_caller]
fn restores(world: &World, id: ObjectId, expected: &Streams) {
    let reader = world.open().expect("the reader opens");
    let snapshot = reader.read_snapshot(id).expect("it is there");
    assert!(read_streams(&reader, &snapshot).expect("it restores") == *expected);
}

fn taken(world: &World, repository: &Repository, streams: &Streams) -> ObjectId {
    world.take(repository, streams).expect("taken").id.expect("it is no dry run")
}

fn is_refused<T>(result: Result<T, RepoError>) -> bool {
    matches!(result, Err(RepoError::Role(_)))
}

fn packs(world: &World) -> Vec<PackEntry> {
    let listed = world.store.list(Kind::Packs).expect("listed").into_iter();
    let pack = |key| if let Key::Pack(id) = key { Some(id) } else { None };
    listed.filter_map(|listed| Some(PackEntry { id: pack(listed.key)?, len: listed.len as u32 })).collect()
}

#[test]
fn a_writer_adds_snapshots_and_reads_nothing() {
    let (world, reader) = made(1);
    let first = taken(&world, &reader, &streams(1));
    let writer = exported(&world, &reader, Role::Writer);
    let before = packs(&world).len();
    let again = world.take(&writer, &streams(1)).expect("taken");
    assert_eq!((again.counts.new_bytes, packs(&world).len()), (0, before), "it does not know what is there");
    let second = taken(&world, &writer, &streams(2));
    restores(&world, first, &streams(1));
    restores(&world, second, &streams(2));
    // By another process.
    let writer = exported(&world, &reader, Role::Writer);
    for id in [first, second] {
        assert!(is_refused(writer.read_snapshot(id)) && is_refused(writer.read_roots(&Key::Snapshot(id))));
    }
    let mut blocks = 0;
    for entry in packs(&world) {
        let pack = PackReader::open(&*world.store, &writer.keys, entry).expect("it knows names and lengths");
        for span in pack.spans() {
            assert!(is_refused(pack.read_block(&writer, span)), "it reads a block");
            blocks += 1;
        }
    }
    assert!(blocks >= 4);
    assert!(is_refused(writer.forget(&[first])));
    assert!(matches!(collect(&writer, Options::default()), Err(Error::Repo(RepoError::Role(_)))));
    assert!(is_refused(writer.slots()) && is_refused(writer.export_key(Role::Auditor, "")));
}

/// Every secret that a writer has, and every byte of the bucket: no envelope of a list or of data opens, whoever sealed it.
#[test]
fn with_all_that_a_writer_knows_no_block_opens() {
    let (world, reader) = made(2);
    taken(&world, &reader, &streams(1));
    let key = reader.export_key(Role::Writer, "pod").expect("exported");
    taken(&world, &opened(&world, &key), &streams(2));
    let mut secrets: Vec<[u8; 32]> = key.secrets.iter().map(|(_, secret)| *secret).collect();
    for (_, secret) in &key.secrets {
        // What the program derives from secrets, in case one leads to another.
        for context in ["lists 2", "lists 4", "data 2", "data 4", "lists recipient", "data recipient", "key commitment"]
        {
            secrets.push(blake3::derive_key(&format!("sfarc 2026-11-22 format 1 {context}"), secret));
        }
    }
    let mut tried = 0;
    let kinds = [(Kind::Packs, SealedKind::Pack), (Kind::Snapshots, SealedKind::Snapshot)];
    for (kind, sealed) in kinds {
        for listed in world.store.list(kind).expect("listed") {
            let object = world.store.get(&listed.key, None).expect("read");
            let header = DividedHeader::decode(&object, sealed).expect("a header");
            let front = prefix(sealed, Wrapping::Divided, header.cipher);
            for envelope in &header.envelopes[1..] {
                let aad = envelope_aad(&front, envelope.compartment);
                for secret in &secrets {
                    tried += 1;
                    let opens = match &envelope.seal {
                        Seal::Shared(nonce) => {
                            let mut sealed_key = envelope.sealed_key;
                            AeadKey::new(header.cipher, secret).open(*nonce, &aad, &mut sealed_key).is_ok()
                        }
                        Seal::Recipient(encapsulated) => RecipientKey::new(&Zeroizing::new(*secret))
                            .open(&aad, encapsulated, &envelope.sealed_key)
                            .is_ok(),
                    };
                    assert!(!opens, "{} opens", listed.key);
                }
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

#[test]
fn a_maintainer_collects_without_reading() {
    for hides_sizes in [false, true] {
        collects_without_reading(hides_sizes);
    }
}

fn collects_without_reading(hides_sizes: bool) {
    let (world, reader) = made_with(3, hides_sizes);
    let writer = exported(&world, &reader, Role::Writer);
    let mut ids = Vec::new();
    for seed in 0..6 {
        let by = if seed % 2 == 0 { &reader } else { &writer };
        // Half of each is in the next, too.
        let both: Streams = streams(seed).into_iter().chain([("next".to_owned(), noise(seed + 1, 700_000))]).collect();
        ids.push((taken(&world, by, &both), both));
    }
    let gone: Vec<ObjectId> = ids.iter().step_by(2).map(|(id, _)| *id).collect();
    reader.forget(&gone).expect("forgotten");
    let maintainer = exported(&world, &reader, Role::Maintainer);
    for (id, _) in ids.iter().skip(1).step_by(2) {
        assert!(is_refused(maintainer.read_snapshot(*id)));
    }
    let found = check(&maintainer, &ReadData::All).expect("checked");
    assert!(found.problems.is_empty() && found.hits.is_empty() && found.bytes_read > 0, "{found:?}");
    let before: u64 = packs(&world).iter().map(|pack| u64::from(pack.len)).sum();
    for _ in 0..3 {
        collect(&maintainer, Options { max_unused: 0.0, ..Options::default() }).expect("collected");
    }
    let after: u64 = packs(&world).iter().map(|pack| u64::from(pack.len)).sum();
    assert!(after < before, "{after} of {before} are left");
    let again = collect(&maintainer, Options { max_unused: 0.0, ..Options::default() }).expect("collected");
    assert_eq!((again.repacked, again.written_bytes), (0, 0), "it moves what it cannot make smaller");
    for (id, expected) in ids.iter().skip(1).step_by(2) {
        restores(&world, *id, expected);
    }
    let found = check(&world.open().expect("opens"), &ReadData::All).expect("checked");
    assert!(found.problems.is_empty() && found.hits.is_empty(), "{found:?}");
    // A reader can take blocks apart.
    for _ in 0..3 {
        collect(&reader, Options { max_unused: 0.0, ..Options::default() }).expect("collected");
    }
    let least: u64 = packs(&world).iter().map(|pack| u64::from(pack.len)).sum();
    assert!(least <= after);
    for (id, expected) in ids.iter().skip(1).step_by(2) {
        restores(&world, *id, expected);
    }
}

#[test]
fn a_maintainer_rescues_what_is_condemned_and_needed() {
    let (world, reader) = made(4);
    let id = taken(&world, &reader, &streams(1));
    let maintainer = exported(&world, &reader, Role::Maintainer);
    let condemned: Vec<_> = packs(&world).iter().map(|pack| tombstone(&pack.id)).collect();
    let mut log = maintainer.gc_log().expect("read");
    maintainer.append_to_gc_log(&mut log, &condemned, &[]).expect("a maintainer decides");
    let report = collect(&maintainer, Options::default()).expect("collected");
    assert_eq!(report.deleted as usize, condemned.len());
    restores(&world, id, &streams(1));
    // Blocks that were moved once are moved again.
    let condemned: Vec<_> = packs(&world).iter().map(|pack| tombstone(&pack.id)).collect();
    maintainer.append_to_gc_log(&mut log, &condemned, &[]).expect("a maintainer decides");
    collect(&maintainer, Options::default()).expect("collected");
    restores(&world, id, &streams(1));
}

#[test]
fn what_a_writer_relied_on_and_was_collected_it_takes_again() {
    let (world, reader) = made(5);
    taken(&world, &reader, &streams(1));
    let writer = exported(&world, &reader, Role::Writer);
    let condemned: Vec<_> = packs(&world).iter().map(|pack| tombstone(&pack.id)).collect();
    let mut log = reader.gc_log().expect("read");
    reader.append_to_gc_log(&mut log, &condemned, &[]).expect("condemned");
    // Seen at the beginning: it stores all anew.
    let id = taken(&world, &writer, &streams(1));
    restores(&world, id, &streams(1));
}

#[test]
fn a_writer_cannot_say_that_snapshots_are_forgotten() {
    let (world, reader) = made(6);
    let id = taken(&world, &reader, &streams(1));
    let key = reader.export_key(Role::Writer, "stolen").expect("exported");
    let writer = opened(&world, &key);
    let own = key.secrets.iter().find(|(name, _)| name == "own signature").expect("it signs").1;
    let sealer = writer.keys.sealer(SealedKind::Gc, &*writer.env.entropy).expect("it can seal such records");
    let record = GcRecord { epoch: 1, dead: vec![tombstone(&id)], ..GcRecord::default() };
    let mut object = sealer.seal_record(&record::encode(&record));
    let hash = blake3::hash(&object);
    let signature = Signer::new(&Zeroizing::new(own)).sign(Subject::Log, &reader.id, &[hash.as_bytes()]);
    sealer.append(Section::Signature, &record::encode(&LogSignature { signature }), &mut object);
    world.store.put(&Key::Gc(1), &object).expect("put");
    let reader = world.open().expect("opens");
    assert_eq!(reader.snapshot_ids().expect("listed"), [id]);
    let second = taken(&world, &reader, &streams(2));
    reader.forget(&[second]).expect("the next record is number 2");
    assert_eq!(reader.snapshot_ids().expect("listed"), [id]);
    let (report, _) = audit(&exported(&world, &reader, Role::Auditor), None).expect("audited");
    assert!(finds(&report, "may not decide"), "{report:?}");
}

/// A pack of junk whose directory says that it holds these chunks, by whoever may seal packs.
fn put_junk_pack(by: &Repository, chunks: &[ChunkRow]) -> PackEntry {
    let sealer = by.keys.sealer(SealedKind::Pack, &*by.env.entropy).expect("it seals packs");
    let (mut object, mut directory) = (sealer.header().to_vec(), Directory::default());
    let plain_len: u32 = chunks.iter().map(|chunk| chunk.len).sum();
    let from = object.len();
    object.extend(noise(5, plain_len as usize));
    sealer.seal(Section::Block(BlockKind::Data), 0, &mut object, from);
    let stored_len = (object.len() - from) as u32;
    let row = BlockRow { kind: BlockKind::Data, codec: Codec::Raw, chunks: chunks.len() as u16, stored_len, plain_len };
    directory.push(row, chunks.iter().copied());
    let offset = object.len();
    object.extend(directory.encode());
    sealer.seal(Section::Footer, 0, &mut object, offset);
    object.extend(Trailer { offset: offset as u64, len: (object.len() - offset) as u32 }.encode());
    let entry = PackEntry { id: ObjectId::of(&object), len: object.len() as u32 };
    by.backend.put(&Key::Pack(entry.id), &object).expect("put");
    entry
}

/// Puts runs that say that every chunk lies in this pack; their names are random, so some come before all others.
fn put_lying_runs(world: &World, by: &Repository, pack: PackEntry, chunks: &[ChunkRow]) {
    let mut rows: Vec<IndexRow> =
        chunks.iter().zip(0..).map(|(chunk, ordinal)| IndexRow { id: chunk.id, pack: 0, ordinal }).collect();
    rows.sort_by_key(|row| row.id);
    let first = world.store.keys(Kind::Indexes).into_iter().min().expect("there are runs");
    while world.store.keys(Kind::Indexes).into_iter().min() == Some(first) {
        GroupWriter::of_sorted(by, rows.clone(), vec![pack]).finish().expect("written");
    }
}

/// A stolen writer says that all that others have stored lies elsewhere too: nothing, or junk.
#[test]
fn rows_of_a_writer_delete_nothing() {
    for (is_junk, by_maintainer) in [(false, false), (true, false), (false, true), (true, true)] {
        let (world, reader) = made(20);
        let both: Streams = streams(1).into_iter().chain([("more".to_owned(), noise(7, 700_000))]).collect();
        let first = taken(&world, &reader, &both);
        let second = taken(&world, &reader, &streams(1));
        let chunks: Vec<ChunkRow> = packs(&world)
            .into_iter()
            .flat_map(|entry| {
                let pack = PackReader::open(&*world.store, &reader.keys, entry).expect("it opens");
                let data = pack.spans().iter().filter(|span| span.row.kind == BlockKind::Data);
                data.flat_map(|span| pack.directory.chunks_of(span).to_vec()).collect::<Vec<_>>()
            })
            .collect();
        let mut bytes = 0;
        let fit = chunks.iter().take_while(|chunk| {
            bytes += chunk.len;
            bytes <= 1 << 20
        });
        let some: Vec<ChunkRow> = fit.copied().collect();
        let thief = exported(&world, &reader, Role::Writer);
        let missing = PackEntry { id: ObjectId::new([1; 32]), len: 1 << 20 };
        let (pack, chunks) = if is_junk { (put_junk_pack(&thief, &some), some) } else { (missing, chunks) };
        put_lying_runs(&world, &thief, pack, &chunks);
        reader.forget(&[first]).expect("forgotten");
        let collector = if by_maintainer { exported(&world, &reader, Role::Maintainer) } else { reader.clone() };
        for _ in 0..3 {
            collect(&collector, Options { max_unused: 0.0, ..Options::default() }).expect("collected");
        }
        restores(&world, second, &streams(1));
    }
}

#[test]
fn a_writer_makes_no_records_of_the_program() {
    let (world, reader) = made(21);
    let writer = exported(&world, &reader, Role::Writer);
    let path = std::env::temp_dir().join(format!("sfarc-roles-{}", std::process::id()));
    std::fs::write(&path, b"renewed").expect("written");
    let input = Input::new("locks", From::File(path.clone()));
    let labels = vec![("sfarc/locked-for".to_owned(), "99999999".to_owned())];
    let options = sfarc::engine::snapshot::Options { inputs: vec![input], labels, ..Default::default() };
    let id = sfarc::engine::snapshot::snapshot(&writer, &options).expect("taken").id.expect("an id");
    std::fs::remove_file(path).expect("removed");
    assert!(matches!(world.open().expect("opens").read_snapshot(id), Err(RepoError::Forged { .. })));
}

#[test]
fn a_gc_record_without_its_signature_is_damaged() {
    let (world, reader) = made(22);
    let id = taken(&world, &reader, &streams(1));
    reader.forget(&[id]).expect("forgotten");
    for len in [10, 80, 300] {
        let bytes = world.store.bytes(&Key::Gc(1)).expect("there");
        world.store.tamper(&Key::Gc(1), &bytes[..len.min(bytes.len() - 1)]);
        let error = world.open().expect("opens").gc_log().expect_err("it is cut");
        assert!(error.is_damage() && !matches!(error, RepoError::Forged { .. }), "{error}");
        world.store.tamper(&Key::Gc(1), &bytes);
    }
}

fn finds(report: &Report, text: &str) -> bool {
    report.findings.iter().any(|finding| finding.what.contains(text))
}

#[test]
fn snapshots_of_a_closed_writer_do_not_count_any_more() {
    let (world, reader) = made(7);
    let key = reader.export_key(Role::Writer, "pod").expect("exported");
    let before = taken(&world, &opened(&world, &key), &streams(1));
    let (registered, _) = reader.registrations().expect("read");
    let registration = world.store.bytes(&Key::Writer(registered[0].id)).expect("there");
    let ledger = audit(&reader, None).expect("audited").1;
    // What anybody may put there keeps nobody from being closed.
    let junk = noise(99, 500);
    world.store.put(&Key::Snapshot(ObjectId::of(&junk)), &junk).expect("put");
    reader.close_writer(&registered[0].writer().to_string()).expect("closed");
    world.store.delete(&Key::Snapshot(ObjectId::of(&junk))).expect("deleted");
    let refused = world.take(&opened(&world, &key), &streams(2)).expect_err("it is told");
    assert!(sfarc::error::chain(&refused).contains("was closed") && refused.category() == Category::WrongKey);
    // Whoever has stolen the key does not look.
    let told = Key::Gc(reader.gc_log().expect("read").epoch());
    let record = world.store.bytes(&told).expect("there");
    world.store.delete(&told).expect("deleted");
    let after = taken(&world, &opened(&world, &key), &streams(2));
    world.store.put(&told, &record).expect("put");
    let reader = world.open().expect("opens");
    restores(&world, before, &streams(1));
    assert!(matches!(reader.read_snapshot(after), Err(RepoError::Forged { .. })));
    assert_eq!(Error::from(reader.read_snapshot(after).expect_err("forged")).category(), Category::Damaged);
    let listing = reader.snapshots().expect("listed");
    assert_eq!((listing.snapshots.len(), listing.unreadable.len()), (1, 1));
    let (report, ledger) = audit(&reader, Some(&ledger)).expect("audited");
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert!(finds(&report, "no writer of this repository"));
    assert!(check(&exported(&world, &reader, Role::Maintainer), &ReadData::None).expect("checked").problems.len() == 1);
    // The old registration is brought back, and the new one taken away.
    world.store.put(&Key::Writer(registered[0].id), &registration).expect("put");
    let (report, _) = audit(&reader, Some(&ledger)).expect("audited");
    assert!(finds(&report, "it is there again"), "{report:?}");
    let (closed, _) = reader.registrations().expect("read");
    let closed = closed.iter().find(|one| one.record.closed.is_some()).expect("it is closed");
    world.store.delete(&Key::Writer(closed.id)).expect("deleted");
    let (report, _) = audit(&reader, Some(&ledger)).expect("audited");
    assert!(finds(&report, "that a writer was closed"), "{report:?}");
}

#[test]
fn what_vanishes_is_noticed() {
    let (world, reader) = made(8);
    let writer = exported(&world, &reader, Role::Writer);
    let auditor = reader.export_key(Role::Auditor, "").expect("exported");
    let ids: Vec<ObjectId> = (0..4).map(|seed| taken(&world, &writer, &streams(seed))).collect();
    let seen = |before: Option<&Ledger>| {
        let (report, ledger) = audit(&opened(&world, &auditor), before).expect("audited");
        (report.findings.iter().map(|finding| finding.object.clone()).collect::<Vec<_>>(), ledger)
    };
    let (found, ledger) = seen(None);
    assert!(found.is_empty(), "{found:?}");
    reader.forget(&ids[..1]).expect("forgotten");
    let (found, ledger) = seen(Some(&ledger));
    assert!(found.is_empty(), "what is forgotten has not vanished: {found:?}");
    // One from the middle: the next names it. The last one: only the ledger does.
    let manifests: Vec<Vec<u8>> = ids.iter().filter_map(|id| world.store.bytes(&Key::Snapshot(*id))).collect();
    for (gone, by_itself) in [(ids[2], true), (ids[3], false)] {
        let bytes = world.store.bytes(&Key::Snapshot(gone)).expect("there");
        world.store.delete(&Key::Snapshot(gone)).expect("deleted");
        assert_eq!(seen(None).0.len(), usize::from(by_itself));
        let (found, later) = seen(Some(&ledger));
        assert!(found.contains(&Key::Snapshot(gone).to_string()), "{found:?}");
        assert!(!later.snapshots.contains(&gone.to_string()), "who accepts it is told again");
        world.store.put(&Key::Snapshot(gone), &bytes).expect("put");
    }
    assert_eq!(manifests.len(), 3);
    // An older state of the gc log, and with it what was forgotten.
    world.store.delete(&Key::Gc(1)).expect("deleted");
    let (found, _) = seen(Some(&ledger));
    assert!(found.contains(&"the gc log".to_owned()), "{found:?}");
}

#[test]
fn a_snapshot_of_another_repository_is_none_of_this() {
    let (world, _) = made(9);
    let (other, reader) = made(10);
    let id = taken(&other, &reader, &streams(1));
    let bytes = other.store.bytes(&Key::Snapshot(id)).expect("there");
    world.store.put(&Key::Snapshot(id), &bytes).expect("put");
    let here = world.open().expect("opens");
    assert!(here.read_snapshot(id).expect_err("it is foreign").is_damage());
    let key = reader.export_key(Role::Writer, "").expect("exported");
    let backend = Arc::clone(&world.store) as Arc<dyn Backend>;
    let opened = Repository::open(backend, "memory", || Ok(Credential::Role(Box::new(key))), world.env());
    assert!(matches!(opened, Err(RepoError::WrongKey)));
}

#[test]
fn a_key_that_is_not_whole_opens_nothing() {
    let (world, reader) = made(11);
    for role in Role::LIMITED {
        let key = reader.export_key(role, "").expect("exported");
        for missing in 0..key.secrets.len() {
            if key.secrets[missing].0 == "features" {
                // Keys of earlier versions had none.
                continue;
            }
            let mut less = key.clone();
            less.secrets.remove(missing);
            let backend = Arc::clone(&world.store) as Arc<dyn Backend>;
            let opened = Repository::open(backend, "memory", || Ok(Credential::Role(Box::new(less))), world.env());
            assert!(matches!(opened, Err(RepoError::WrongKey)), "{role} without {}", key.secrets[missing].0);
        }
    }
    let plain = World::new(12);
    let without = plain.init().expect("a repository");
    assert!(matches!(without.export_key(Role::Writer, ""), Err(RepoError::KeySlot(_))));
}

/// Every bit of a divided snapshot counts: for readers, for collectors, or for who verifies.
#[test]
fn no_byte_of_a_snapshot_can_be_changed_unnoticed() {
    let (world, reader) = made(13);
    let writer = exported(&world, &reader, Role::Writer);
    for by in [&reader, &writer] {
        let id = taken(&world, by, &streams(1));
        let bytes = world.store.bytes(&Key::Snapshot(id)).expect("there");
        let mut runner = TestRunner::new_with_rng(
            Config { cases: 200, failure_persistence: None, ..Config::default() },
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        let flips = (0..bytes.len(), 0..8u8);
        runner
            .run(&flips, |(at, bit)| {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let name = ObjectId::of(&changed);
                let store = MemoryBackend::default();
                for kind in Kind::ALL {
                    for key in world.store.keys(kind) {
                        store.put(&key, &world.store.bytes(&key).expect("there")).expect("put");
                    }
                }
                store.put(&Key::Snapshot(name), &changed).expect("put");
                let reader = world.open_on(Arc::new(store)).expect("opens");
                let unread = reader.read_snapshot(name).is_err();
                let uncollected = reader.read_roots(&Key::Snapshot(name)).is_err();
                let unsigned = reader.snapshot_signature(name).is_err();
                assert!(unread, "byte {at}, bit {bit} may be changed: {uncollected}, {unsigned}");
                assert!(unsigned, "the signature does not cover byte {at}");
                Ok(())
            })
            .expect("all are noticed");
    }
}

#[test]
fn signatures_are_of_one_thing_in_one_repository() {
    let signer = Signer::new(&Zeroizing::new([5; 32]));
    let (here, there) = (RepoId::new([1; 16]), RepoId::new([2; 16]));
    let signature = signer.sign(Subject::Log, &here, &[b"a"]);
    let is_signed = |subject, repo: &RepoId, bytes: &[u8]| {
        sfarc::crypto::signature::is_signed(&signer.public(), &signature, subject, repo, &[bytes])
    };
    assert!(is_signed(Subject::Log, &here, b"a"));
    assert!(!is_signed(Subject::Snapshot, &here, b"a") && !is_signed(Subject::Writer, &here, b"a"));
    assert!(!is_signed(Subject::Log, &there, b"a") && !is_signed(Subject::Log, &here, b"b"));
}

#[test]
fn a_recovery_key_of_age_opens_everything() {
    use age::secrecy::ExposeSecret;
    let world = World::new(14);
    let repository = world.init().expect("a repository");
    let id = taken(&world, &repository, &streams(1));
    let (safe, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
    let recipient = Credential::Recovery(safe.to_public().to_string());
    repository.add_slot(&recipient, "in the safe").expect("added");
    let fingerprint = repository.fingerprint().expect("the root key is known");
    let open = |identity: &age::x25519::Identity| {
        let text = Zeroizing::new(identity.to_string().expose_secret().to_owned());
        let backend = Arc::clone(&world.store) as Arc<dyn Backend>;
        Repository::open(
            backend,
            "memory",
            || Ok(Credential::Identity { identity: text, meant: Meant::Fingerprint(fingerprint) }),
            world.env(),
        )
    };
    let recovered = open(&safe).expect("it opens");
    let snapshot = recovered.read_snapshot(id).expect("it is there");
    assert!(read_streams(&recovered, &snapshot).expect("it restores") == streams(1));
    assert!(matches!(open(&other), Err(RepoError::WrongKey)));
    assert!(repository.add_slot(&Credential::Recovery("age1nonsense".to_owned()), "").is_err());
}
