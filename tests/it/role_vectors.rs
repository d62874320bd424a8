//! The test vectors of repositories with roles, made by another implementation, against this one.

use std::sync::Arc;

use sfarc::backend::Backend;
use sfarc::backend::Key;
use sfarc::crypto::keys::{KeyRing, commitment};
use sfarc::crypto::recipient::{Recipient, RecipientKey};
use sfarc::crypto::role::Secrets;
use sfarc::crypto::signature::{Subject, is_signed};
use sfarc::format::codec::Fields;
use sfarc::format::divided::{DividedHeader, Envelope, HEADER_LEN, Seal, envelope_aad};
use sfarc::format::pack::Directory;
use sfarc::format::record;
use sfarc::format::rolekey::{RoleKey, WriterRecord};
use sfarc::format::sealed::{Cipher, Compartment, SealedKind, Wrapping, prefix};
use sfarc::format::signature::Roots;
use sfarc::ids::{ObjectId, RepoId};
use sfarc::repo::{Credential, Repository};
use sfarc::testing::memory::MemoryBackend;
use sfarc::testing::world::World;
use zeroize::Zeroizing;

use crate::vectors::{Ascending, Vectors};

fn keys(vectors: &Vectors) -> KeyRing {
    KeyRing::with_roles(Secrets::Root(Zeroizing::new(vectors.array("root"))), Cipher::Aes256Gcm)
}

fn derived(vectors: &Vectors, context: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(blake3::derive_key(&format!("sfarc 2026-11-22 format 1 {context}"), vectors.get("root")))
}

#[test]
fn keys_of_roles() {
    let vectors = Vectors::load();
    let keys = keys(&vectors);
    assert_eq!(Recipient::of(&derived(&vectors, "lists recipient")).as_bytes(), vectors.get("roles.lists.public"));
    assert_eq!(Recipient::of(&derived(&vectors, "data recipient")).as_bytes(), vectors.get("roles.data.public"));
    assert_eq!(keys.log_public().expect("known")[..], *vectors.get("roles.log.public"));
    assert_eq!(keys.authority_public().expect("known")[..], *vectors.get("roles.authority.public"));
    let gear: Vec<u8> = keys.gear().expect("known").iter().flat_map(|entry| entry.to_le_bytes()).collect();
    assert_eq!(blake3::hash(&gear).as_bytes(), vectors.get("roles.gear.blake3"));
}

#[test]
fn divided_headers_and_envelopes() {
    let vectors = Vectors::load();
    let stored = vectors.get("roles.header.pack");
    let sealer = keys(&vectors).sealer(SealedKind::Pack, &Ascending).expect("a reader seals");
    assert_eq!(sealer.header(), stored);
    assert_eq!(DividedHeader::decode(stored, SealedKind::Pack).expect("it decodes").encode()[..], *stored);
    for place in 0..HEADER_LEN {
        let mut altered = stored.to_vec();
        altered[place] ^= 1;
        let Ok(Ok(opener)) = keys(&vectors).opener(SealedKind::Pack, &altered) else { continue };
        // What is in an envelope shows when it is opened: one of the three does not.
        use sfarc::format::pack::BlockKind::{Data, List};
        use sfarc::format::sealed::Section::{Block, Footer};
        let sections = [Footer, Block(List), Block(Data)];
        let broken = sections.iter().filter(|section| {
            let mut sealed = vec![1; 5];
            sealer.seal(**section, 9, &mut sealed, 0);
            opener.open_vec(**section, 9, sealed).is_err()
        });
        assert_eq!(broken.count(), 1, "byte {place} of the header may be altered");
    }
    let bytes = vectors.get("roles.envelope.recipient");
    let envelope = Envelope::decode(&mut Fields::new("an envelope", bytes)).expect("it decodes");
    assert_eq!((envelope.encode()[..].to_vec(), envelope.compartment), (bytes.to_vec(), Compartment::Data));
    let Seal::Recipient(encapsulated) = envelope.seal else { panic!("it is to a recipient") };
    let private = RecipientKey::new(&derived(&vectors, "data recipient"));
    let aad = envelope_aad(&prefix(SealedKind::Pack, Wrapping::Divided, Cipher::Aes256Gcm), Compartment::Data);
    let key = private.open(&aad, &encapsulated, &envelope.sealed_key).expect("it opens");
    assert_eq!(key[..], *vectors.get("object.key"));
    assert_eq!(envelope.commitment, commitment(&key));
    let directory = vectors.get("roles.directory");
    let decoded = Directory::decode(directory, Wrapping::Divided).expect("it decodes");
    assert_eq!(decoded.encode(), directory);
    assert!(Directory::decode(directory, Wrapping::Whole).is_err());
    let moved: Vec<_> = decoded.spans(Wrapping::Divided).map(|span| span.moved.map(|moved| moved.ordinal)).collect();
    assert_eq!(moved, [Some(77), None]);
}

#[test]
fn records_of_roles() {
    let vectors = Vectors::load();
    let roots: Roots = record::decode(vectors.get("roles.roots")).expect("it decodes");
    assert_eq!(record::encode(&roots), vectors.get("roles.roots"));
    let key: RoleKey = record::decode(vectors.get("roles.record.key")).expect("it decodes");
    assert_eq!((key.role, key.secrets.len(), record::encode(&key)), (2, 2, vectors.get("roles.record.key").to_vec()));
    let writer: WriterRecord = record::decode(vectors.get("roles.record.writer")).expect("it decodes");
    assert_eq!(record::encode(&writer), vectors.get("roles.record.writer"));
    let unsigned = record::encode(&WriterRecord { signature: [0; 64], ..writer.clone() });
    let (public, repo) = (vectors.array("roles.authority.public"), RepoId::new(vectors.array("repo")));
    assert!(is_signed(&public, &writer.signature, Subject::Writer, &repo, &[&unsigned]));
}

#[test]
fn a_foreign_repository_with_roles_is_read() {
    let vectors = Vectors::load();
    let (store, world) = (MemoryBackend::default(), World::new(1));
    let slot = vectors.get("repo.slot");
    let snapshot = vectors.get("roles.snapshot");
    let id = ObjectId::of(snapshot);
    for (key, bytes) in [
        (Key::Config, vectors.get("roles.config")),
        (Key::Slot(ObjectId::of(slot)), slot),
        (Key::Snapshot(id), snapshot),
        (Key::Gc(1), vectors.get("roles.gc1")),
    ] {
        store.put(&key, bytes).expect("put");
    }
    let credential = || Ok(Credential::Passphrase(Zeroizing::new(b"correct horse".to_vec())));
    let repository = Repository::open(Arc::new(store), "memory", credential, world.env()).expect("it opens");
    assert_eq!(repository.snapshot_ids().expect("listed"), [id]);
    let read = repository.read_snapshot(id).expect("it opens");
    assert_eq!(read.manifest.host, "host");
    assert_eq!(repository.read_roots(&Key::Snapshot(id)).expect("they open"), Roots::from(&read.manifest));
    let signature = repository.snapshot_signature(id).expect("it is right");
    assert_eq!(signature.signer[..], *vectors.get("roles.authority.public"));
    let log = repository.gc_log().expect("it is signed");
    assert_eq!((log.epoch(), log.is_dead(&id)), (1, false));
    assert!(log.is_dead(&ObjectId::new(std::array::from_fn(|i| 0x70 + i as u8))));
}
