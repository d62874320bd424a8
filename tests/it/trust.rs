//! Who is believed what: repositories that somebody else has made, configurations that a role has altered, snapshots of
//! writers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use age::secrecy::ExposeSecret;
use sfarc::backend::folder::FolderBackend;
use sfarc::backend::{Backend, Key, Kind};
use sfarc::crypto::role::Role;
use sfarc::engine::collect::{Options, collect};
use sfarc::engine::restore::{cat, cat_len};
use sfarc::engine::snapshot::{self, From, Input};
use sfarc::engine::{copy, pin};
use sfarc::env::Env;
use sfarc::error::Category;
use sfarc::format::config::{ConfigHead, ConfigRecord, Features};
use sfarc::format::manifest::{COPY_OF, GcRecord, Manifest};
use sfarc::format::record;
use sfarc::format::rolekey::RoleKey;
use sfarc::format::sealed::SealedKind;
use sfarc::ids::{Fingerprint, ObjectId};
use sfarc::pipeline::egress::Egress;
use sfarc::repo::gc_log::tombstone;
use sfarc::repo::snapshots::Snapshot;
use sfarc::repo::{Credential, Meant, RepoError, Repository};
use sfarc::testing::world::{Streams, World, read_streams};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::capture::Warnings;
use crate::common::{noise, one};

/// A repository with roles, and its reader.
fn made(seed: u64) -> (World, Repository) {
    let world = World::new(seed);
    let features = Features::chosen(true, false);
    let reader = Repository::init_with(Arc::clone(&world.store) as _, &World::credential(), features, world.env());
    let reader = reader.expect("a repository");
    (world, reader)
}

fn open_as(backend: Arc<dyn Backend>, world: &World, key: &RoleKey) -> Result<Repository, RepoError> {
    Repository::open(backend, "memory", || Ok(Credential::Role(Box::new(key.clone()))), world.env())
}

fn opened(world: &World, key: &RoleKey) -> Repository {
    open_as(Arc::clone(&world.store) as _, world, key).expect("it opens")
}

/// The configuration that the holder of these keys can make.
fn config_with(by: &Repository, features: Features) -> Vec<u8> {
    let record = ConfigRecord { features, repo: *by.id.as_bytes(), created: 0, program: String::new() };
    let mut object = ConfigHead { features, repo: by.id }.encode().to_vec();
    object.extend(by.seal_record(SealedKind::Config, &record).expect("every role can"));
    object
}

/// Opens with what `identity` opens, and tells what was said.
fn recovered(world: &World, identity: &str, meant: Meant) -> (Result<Repository, RepoError>, Arc<Warnings>) {
    let warnings = Arc::new(Warnings::default());
    let env = Env { observer: Arc::clone(&warnings) as _, ..world.env() };
    let credential = Credential::Identity { identity: Zeroizing::new(identity.to_owned()), meant };
    (Repository::open(Arc::clone(&world.store) as _, "memory", || Ok(credential), env), warnings)
}

#[test]
fn a_repository_that_somebody_else_sealed_to_the_recipient_is_refused() {
    let identity = age::x25519::Identity::generate();
    let recipient = Credential::Recovery(identity.to_public().to_string());
    let text = identity.to_string().expose_secret().to_owned();
    let world = World::new(40);
    let repository = world.init().expect("a repository");
    repository.add_slot(&recipient, "safe").expect("added");
    let fingerprint = repository.fingerprint().expect("known");
    // Whoever knows the public key makes this one, under the true one's id if he likes.
    let forger = World::new(41);
    let forged = forger.init().expect("a repository");
    forged.add_slot(&recipient, "safe").expect("added");
    forger.take(&forged, &one("db.sql", b"drop everything".to_vec())).expect("taken");
    let meant = Meant::Fingerprint(fingerprint);
    let (refused, _) = recovered(&forger, &text, meant);
    let error = refused.expect_err("it is another repository");
    assert!(matches!(error, RepoError::OtherRepository { .. }), "{error}");
    assert_eq!(sfarc::Error::from(error).category(), Category::WrongKey);
    recovered(&world, &text, meant).0.expect("it is the one");
    let (opened, warnings) = recovered(&forger, &text, Meant::Any);
    opened.expect("it was said that it may be any");
    let said = warnings.all().join("\n");
    let found = forged.fingerprint().expect("known").to_string();
    assert!(said.contains("anybody who knows the recipient") && said.contains(&found), "{said}");
    // A slot of the forger's among those of the true repository is passed over.
    for key in forger.store.keys(Kind::Keys) {
        world.store.put(&key, &forger.store.bytes(&key).expect("there")).expect("put");
    }
    recovered(&world, &text, meant).0.expect("it is the one");
}

#[test]
fn a_fingerprint_is_read_as_people_type_it() {
    let world = World::new(42);
    let fingerprint = world.init().expect("a repository").fingerprint().expect("known");
    let text = fingerprint.to_string();
    assert_eq!(text.len(), 39);
    for typed in [text.clone(), text.replace('-', ""), text.replace('-', " ").to_uppercase()] {
        assert_eq!(typed.parse::<Fingerprint>().expect("typed"), fingerprint);
    }
    assert!(text[..38].parse::<Fingerprint>().is_err() && "x".parse::<Fingerprint>().is_err());
    let other = World::new(43).init().expect("a repository").fingerprint().expect("known");
    assert_ne!(fingerprint, other);
}

#[test]
fn a_configuration_that_a_role_has_altered_opens_nothing() {
    let (world, reader) = made(44);
    let id = world.take(&reader, &one("a", noise(1, 100_000))).expect("taken").id.expect("an id");
    let keys: Vec<RoleKey> = Role::LIMITED.map(|role| reader.export_key(role, "").expect("exported")).to_vec();
    let config = world.store.bytes(&Key::Config).expect("there");
    let altered = [
        Features::default(),
        Features { read: Features::READ_PADDING, ..Features::default() },
        Features { read: Features::READ_ROLES | Features::READ_PADDING, ..Features::default() },
        Features { write: Features::WRITE_PRF_CHUNKER, ..Features::chosen(true, false) },
    ];
    for by in &keys {
        let by = opened(&world, by);
        for features in altered {
            world.store.tamper(&Key::Config, &config_with(&by, features));
            let error = world.open().expect_err("the reader is not fooled");
            assert!(error.is_damage() && error.to_string().contains("altered"), "{error}");
            for key in &keys {
                let error = open_as(Arc::clone(&world.store) as _, &world, key).expect_err("nobody is");
                assert!(error.is_damage(), "{error}");
            }
            // What is brought back is as good as before.
            world.store.tamper(&Key::Config, &config);
        }
    }
    assert!(world.open().expect("opens").read_snapshot(id).is_ok());
    // Keys of earlier versions do not say which features there are, but each is of a repository with roles.
    for key in &keys {
        let mut old = key.clone();
        old.secrets.retain(|(name, _)| name != "features");
        open_as(Arc::clone(&world.store) as _, &world, &old).expect("it opens");
        world.store.tamper(&Key::Config, &config_with(&opened(&world, &old), Features::default()));
        assert!(open_as(Arc::clone(&world.store) as _, &world, &old).is_err());
        world.store.tamper(&Key::Config, &config);
    }
}

/// A repository with roles as earlier versions made them, in a folder of its own.
struct Golden {
    folder: TempDir,
    world: World,
}

impl Golden {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1-roles");
        for kind in ["gc", "indexes", "keys", "packs", "snapshots", "writers", "sessions", "tmp"] {
            fs::create_dir_all(folder.path().join(kind)).expect("made");
            let Ok(listed) = fs::read_dir(from.join("repository").join(kind)) else { continue };
            for entry in listed.map(|entry| entry.expect("readable")) {
                fs::copy(entry.path(), folder.path().join(kind).join(entry.file_name())).expect("copied");
            }
        }
        fs::copy(from.join("repository/config"), folder.path().join("config")).expect("copied");
        Self { folder, world: World::new(seed) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> Arc<dyn Backend> {
        Arc::new(FolderBackend::open(self.folder.path()))
    }

    fn open(&self) -> Result<Repository, RepoError> {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1-roles/key-file"));
        let text = text.expect("readable");
        let key: ObjectId = text.trim_end().rsplit(' ').next().expect("digits").parse().expect("64 digits");
        let credential = Credential::KeyFile(Zeroizing::new(*key.as_bytes()));
        Repository::open(self.store(), "golden", || Ok(credential), self.world.env())
    }

    fn alter_config(&self, by: &RoleKey) {
        let by = open_as(self.store(), &self.world, by).expect("it opens");
        let config = config_with(&by, Features::default());
        fs::remove_file(self.path("config")).expect("removed");
        fs::write(self.path("config"), config).expect("written");
    }
}

#[test]
fn a_repository_of_an_earlier_version_whose_roles_were_taken_out_is_noticed() {
    for role in Role::LIMITED {
        let golden = Golden::new(45);
        let reader = golden.open().expect("it opens for ever");
        let key = reader.export_key(role, "").expect("exported");
        golden.alter_config(&key);
        let error = golden.open().expect_err("there are writers");
        assert!(error.is_damage() && error.to_string().contains("altered"), "{error}");
        // Whoever takes these away, too, gets no further than reading.
        fs::remove_dir_all(golden.path("writers")).expect("removed");
        fs::create_dir(golden.path("writers")).expect("made");
        let packs = || fs::read_dir(golden.path("packs")).expect("listed").count();
        let before = packs();
        let fooled = golden.open().expect("nothing shows it");
        let ids: Vec<ObjectId> = fooled
            .list(Kind::Snapshots)
            .expect("listed")
            .iter()
            .filter_map(|one| one.key.content_id().copied())
            .collect();
        let refusals = [
            fooled.forget(&ids[..1]).map_err(sfarc::Error::from),
            pin::forget(&fooled, &ids[..1]),
            collect(&fooled, Options::default()).map(drop),
        ];
        for refused in refusals {
            assert_eq!(refused.expect_err("refused").category(), Category::Damaged);
        }
        assert_eq!(packs(), before);
    }
}

#[test]
fn an_old_key_slot_becomes_one_that_binds_the_features() {
    let golden = Golden::new(46);
    let reader = golden.open().expect("it opens for ever");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1-roles/key-file"));
    let text = text.expect("readable");
    let key: ObjectId = text.trim_end().rsplit(' ').next().expect("digits").parse().expect("64 digits");
    let old = Credential::KeyFile(Zeroizing::new(*key.as_bytes()));
    reader.change_slot(&old, &World::credential()).expect("changed");
    let auditor = reader.export_key(Role::Auditor, "").expect("exported");
    let open = || Repository::open(golden.store(), "golden", || Ok(World::credential()), golden.world.env());
    assert_eq!(open().expect("it opens").snapshots().expect("listed").unreadable.len(), 0);
    golden.alter_config(&auditor);
    fs::remove_dir_all(golden.path("writers")).expect("removed");
    assert!(open().expect_err("refused").to_string().contains("altered"));
}

/// Records of the log that nobody has signed who decides say nothing: they did not even after the roles were taken out.
#[test]
fn what_a_writer_puts_into_the_log_never_counts() {
    let (world, reader) = made(47);
    let id = world.take(&reader, &one("a", noise(1, 100_000))).expect("taken").id.expect("an id");
    let writer = opened(&world, &reader.export_key(Role::Writer, "").expect("exported"));
    let record = GcRecord { epoch: 1, dead: vec![tombstone(&id)], ..GcRecord::default() };
    let sealer = writer.keys.sealer(SealedKind::Gc, &*writer.env.entropy).expect("it can");
    world.store.put(&Key::Gc(1), &sealer.seal_record(&record::encode(&record))).expect("put");
    let config = world.store.bytes(&Key::Config).expect("there");
    world.store.tamper(&Key::Config, &config_with(&writer, Features::default()));
    assert!(world.open().is_err());
    world.store.tamper(&Key::Config, &config);
    assert_eq!(world.open().expect("opens").snapshot_ids().expect("listed"), [id]);
}

/// Puts a snapshot by this writer whose only stream is what `forge` makes of the stream of another.
fn forged(writer: &Repository, honest: &Snapshot, forge: impl FnOnce(&mut Manifest)) -> ObjectId {
    let mut manifest = honest.manifest.clone();
    forge(&mut manifest);
    let object = writer.seal_manifest(&manifest).expect("sealed");
    let id = ObjectId::of(&object);
    writer.backend.put(&Key::Snapshot(id), &object).expect("put");
    id
}

/// What comes out before it fails, as a whole and in parts.
fn given_out(repository: &Repository, snapshot: &Snapshot) -> usize {
    let mut given = 0;
    let stream = &snapshot.manifest.streams[0];
    let mut count = |bytes: &[u8]| {
        given += bytes.len();
        Ok(())
    };
    cat(repository, snapshot, stream, b"", &mut count).expect_err("its hash is wrong");
    let mut egress = Egress::of(repository, snapshot).expect("opens");
    for _ in 0..2 {
        egress.write_range(&stream.content, 10, 100, &mut count).expect_err("its hash is wrong");
    }
    given
}

#[test]
fn nothing_is_given_of_a_snapshot_that_a_writer_made_of_the_chunks_of_others() {
    let (world, reader) = made(48);
    let secret = noise(7, 300_000);
    let victim = world.take(&reader, &one("db.sql", secret.clone())).expect("taken").id.expect("an id");
    let victim = reader.read_snapshot(victim).expect("readable");
    let writer = opened(&world, &reader.export_key(Role::Writer, "pod").expect("exported"));
    let own = noise(8, 200_000);
    let honest = world.take(&writer, &one("mine", own.clone())).expect("taken").id.expect("an id");
    let honest = reader.read_snapshot(honest).expect("readable");
    // The list of another's stream, and any hash: that of one of its own streams, to begin with.
    let hash = honest.manifest.streams[0].content.hash;
    let stolen = forged(&writer, &honest, |manifest| {
        manifest.streams[0].content = victim.manifest.streams[0].content.clone();
        manifest.streams[0].content.hash = hash;
    });
    let stolen = reader.read_snapshot(stolen).expect("its signature is right");
    assert_eq!(given_out(&reader, &stolen), 0);
    // One that was proven proves nothing of another that claims the same hash.
    let mut egress = Egress::of(&reader, &honest).expect("opens");
    let mut out = Vec::new();
    let mut take = |bytes: &[u8]| -> Result<(), std::io::Error> {
        out.extend_from_slice(bytes);
        Ok(())
    };
    egress.write_range(&honest.manifest.streams[0].content, 5, 1000, &mut take).expect("it is right");
    egress.write_range(&stolen.manifest.streams[0].content, 5, 1000, &mut take).expect_err("it is not");
    assert_eq!(out, own[5..1005]);
    // A copy is signed by whoever copied it, and no better for that.
    let elsewhere = World::new(49);
    let there = elsewhere.init().expect("a repository");
    copy::copy(&reader, &there, |_| true, copy::Options::default()).expect("copied");
    let copies = there.snapshots().expect("listed").snapshots;
    let stolen = copies.iter().find(|one| one.manifest.label(COPY_OF) == Some(&stolen.id.to_string()));
    assert_eq!(given_out(&there, stolen.expect("it was copied")), 0);
    assert_eq!(copies.iter().filter(|one| one.is_by_writer()).count(), 2);
    for copy in &copies {
        let read = read_streams(&there, copy);
        assert_eq!(read.is_ok(), Some(copy.id) != stolen.map(|one| one.id));
    }
}

#[test]
fn a_file_in_a_folder_of_a_writer_is_given_when_the_folder_is_right() {
    let (world, reader) = made(50);
    let folder = tempfile::tempdir().expect("there is room");
    fs::write(folder.path().join("file"), "a file\n").expect("written");
    fs::write(folder.path().join("other"), noise(3, 50_000)).expect("written");
    let take = |repository: &Repository| {
        let path = folder.path().to_path_buf();
        let from = From::Folder { path, exclude: Vec::new(), one_file_system: false };
        let options = snapshot::Options { inputs: vec![Input::new("f", from)], ..Default::default() };
        let taken = snapshot::snapshot(repository, &options).expect("taken");
        reader.read_snapshot(taken.id.expect("an id")).expect("readable")
    };
    let writer = opened(&world, &reader.export_key(Role::Writer, "").expect("exported"));
    let honest = take(&writer);
    let give = |snapshot: &Snapshot| {
        let mut out = Vec::new();
        let stream = &snapshot.manifest.streams[0];
        let given = cat(&reader, snapshot, stream, b"file", |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        (given.is_ok(), out)
    };
    assert_eq!(cat_len(&reader, &honest, &honest.manifest.streams[0], b"file").expect("known"), 7);
    assert_eq!(give(&honest), (true, b"a file\n".to_vec()));
    // The catalog is right, and the file is: but not the stream as a whole.
    let bent = forged(&writer, &honest, |manifest| manifest.streams[0].content.hash = [1; 32]);
    let bent = reader.read_snapshot(bent).expect("its signature is right");
    assert_eq!(give(&bent), (false, Vec::new()));
    // A folder stream that another has made is as it always was.
    assert_eq!(give(&take(&reader)), (true, b"a file\n".to_vec()));
}

#[test]
fn latest_is_of_one_writer_and_not_from_the_future() {
    let (world, reader) = made(51);
    let [first, second] =
        ["pod-1", "pod-2"].map(|label| opened(&world, &reader.export_key(Role::Writer, label).expect("exported")));
    let take = |by: &Repository, seed| world.take(by, &one("s", noise(seed, 1000))).expect("taken").id.expect("an id");
    let honest = take(&first, 1);
    assert_eq!(reader.resolve("latest").expect("there is one writer").id, honest);
    let theirs = take(&second, 2);
    let error = reader.resolve("latest").expect_err("of whom?").to_string();
    assert!(error.contains("latest@pod-1") && error.contains("latest@pod-2"), "{error}");
    assert_eq!(reader.resolve("latest@pod-1").expect("named").id, honest);
    assert_eq!(reader.resolve("latest@pod-2").expect("named").id, theirs);
    let key = reader.read_snapshot(theirs).expect("readable").maker.expect("a writer").public;
    let key = ObjectId::new(key).to_string();
    assert_eq!(reader.resolve(&format!("latest@{}", &key[..12])).expect("named").id, theirs);
    let again = take(&first, 3);
    assert_eq!(reader.resolve("latest@pod-1").expect("named").id, again);
    assert_eq!(reader.resolve("latest@pod-1~1").expect("named").id, honest);
    // Whoever steals the key of a writer dates a snapshot far ahead.
    let stolen = reader.read_snapshot(again).expect("readable");
    forged(&first, &stolen, |manifest| manifest.time = i64::MAX - 5);
    assert_eq!(reader.resolve("latest@pod-1").expect("named").id, again);
    for wrong in ["latest@pod-3", "latest@pod-1~9", "latest@pod-1~x", "latest~x", "latestx", "latest@reader"] {
        assert!(matches!(reader.resolve(wrong), Err(RepoError::NoSuchSnapshot(_))), "{wrong}");
    }
    let mine = take(&reader, 4);
    assert_eq!(reader.resolve("latest@reader").expect("named").id, mine);
}

#[test]
fn a_writer_cannot_keep_a_snapshot_from_being_copied() {
    let (world, reader) = made(52);
    let writer = opened(&world, &reader.export_key(Role::Writer, "").expect("exported"));
    let victim = world.take(&reader, &one("s", noise(1, 50_000))).expect("taken").id.expect("an id");
    let own = world.take(&writer, &one("s", noise(2, 50_000))).expect("taken").id.expect("an id");
    let own = reader.read_snapshot(own).expect("readable");
    let label = (COPY_OF.to_owned(), victim.to_string());
    forged(&writer, &own, |manifest| {
        manifest.labels = vec![label.clone()];
        manifest.time = 0;
    });
    let there = World::new(53).init().expect("a repository");
    let report = copy::copy(&reader, &there, |_| true, copy::Options::default()).expect("copied");
    assert_eq!((report.copied.len(), report.present), (3, 0));
    let copies = there.snapshots().expect("listed").snapshots;
    let is_copy = |one: &&Snapshot| one.manifest.label(COPY_OF) == Some(&label.1);
    let victims: Vec<&Snapshot> = copies.iter().filter(is_copy).collect();
    assert_eq!(victims.len(), 1);
    let streams: Streams = read_streams(&there, victims[0]).expect("it restores");
    assert_eq!(streams, one("s", noise(1, 50_000)));
}

#[test]
fn a_collector_keeps_what_does_not_count_for_now() {
    for by_maintainer in [false, true] {
        let (world, reader) = made(54);
        let writer = opened(&world, &reader.export_key(Role::Writer, "").expect("exported"));
        let maintainer = reader.export_key(Role::Maintainer, "").expect("exported");
        let streams = one("s", noise(1, 400_000));
        let id = world.take(&writer, &streams).expect("taken").id.expect("an id");
        drop(writer);
        let hidden: Vec<(Key, Vec<u8>)> = world
            .store
            .keys(Kind::Writers)
            .into_iter()
            .map(|key| (key, world.store.bytes(&key).expect("there")))
            .collect();
        assert_eq!(hidden.len(), 1);
        hidden.iter().for_each(|(key, _)| world.store.delete(key).expect("deleted"));
        let collector = if by_maintainer { opened(&world, &maintainer) } else { world.open().expect("opens") };
        assert!(world.open().expect("opens").read_snapshot(id).is_err(), "it does not count");
        for _ in 0..2 {
            let report = collect(&collector, Options { max_unused: 0.0, ..Options::default() }).expect("collected");
            assert_eq!((report.condemned, report.deleted), (0, 0));
        }
        hidden.iter().for_each(|(key, bytes)| world.store.put(key, bytes).expect("put"));
        let reader = world.open().expect("opens");
        let snapshot = reader.read_snapshot(id).expect("it counts again");
        assert_eq!(read_streams(&reader, &snapshot).expect("it restores"), streams);
    }
}

#[test]
fn a_gap_in_the_log_is_told_to_who_only_reads() {
    let world = World::new(55);
    let repository = world.init().expect("a repository");
    let ids: Vec<ObjectId> = (0..3)
        .map(|seed| world.take(&repository, &one("s", noise(seed, 1000))).expect("taken").id.expect("an id"))
        .collect();
    repository.forget(&ids[..1]).expect("forgotten");
    repository.forget(&ids[1..2]).expect("forgotten");
    let warnings = Arc::new(Warnings::default());
    let env = Env { observer: Arc::clone(&warnings) as _, ..world.env() };
    let open = || Repository::open(Arc::clone(&world.store) as _, "memory", || Ok(World::credential()), env.clone());
    assert_eq!(open().expect("opens").snapshot_ids().expect("listed"), ids[2..]);
    assert!(warnings.all().is_empty());
    world.store.delete(&Key::Gc(1)).expect("deleted");
    assert_eq!(open().expect("opens").snapshot_ids().expect("listed"), ids[2..]);
    let said = warnings.all().join("\n");
    assert!(said.contains("gc log is not whole") && said.contains("features"), "{said}");
}
