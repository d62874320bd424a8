//! Which key slots are tried with a credential, and how often a password is stretched.

use std::cell::RefCell;

use sfarc::backend::{Backend, Key};
use sfarc::crypto::CryptoError;
use sfarc::crypto::aead::{AeadKey, cipher_from};
use sfarc::crypto::keys::{KeyRing, Secret, key_file_key, slot_commitment};
use sfarc::format::config::{ConfigHead, Features};
use sfarc::format::keyslot::{Binding, KeySlot, PassphraseCost, SlotKind};
use sfarc::format::record;
use sfarc::ids::{ObjectId, RepoId};
use sfarc::repo::keyslots::{COSTS, Stretch, Unlocked, unlock, unlock_with};
use sfarc::repo::{Credential, RepoError};
use sfarc::testing::memory::MemoryBackend;
use zeroize::Zeroizing;

const HEAD: ConfigHead =
    ConfigHead { features: Features { read: 2, write: 1, collect: 0 }, repo: RepoId::new([3; 16]) };
const ROOT: [u8; 32] = [9; 32];

fn cost(memory_kib: u32, passes: u32) -> PassphraseCost {
    PassphraseCost { memory_kib, passes, lanes: 1 }
}

/// Fast, and another key for each passphrase and cost.
fn stretched(text: &[u8], cost: &PassphraseCost) -> Secret {
    let cost = [cost.memory_kib, cost.passes, cost.lanes].map(u32::to_le_bytes).concat();
    Secret::new(*blake3::hash(&[text, &cost[..]].concat()).as_bytes())
}

fn slot(kind: SlotKind, key: &Secret, number: u32) -> KeySlot {
    let nonce: [u8; 12] = [[0; 8].as_slice(), &number.to_le_bytes()].concat().try_into().expect("12 bytes");
    let mut sealed = ROOT.to_vec();
    let associated = Binding::Features.associated(&HEAD);
    AeadKey::new(cipher_from(1).expect("known"), key).seal(nonce, &associated, &mut sealed, 0);
    let sealed_root = sealed.try_into().expect("a tag follows");
    let commitment = slot_commitment(key, &nonce);
    KeySlot { kind, cipher: 1, nonce, sealed_root, commitment, info_nonce: [0; 12], sealed_info: vec![0; 34] }
}

fn put(store: &MemoryBackend, slot: &KeySlot) -> ObjectId {
    let object = record::encode(slot);
    let id = ObjectId::of(&object);
    store.put(&Key::Slot(id), &object).expect("stored");
    id
}

/// A slot that opens with this passphrase, at this cost.
fn slot_of(store: &MemoryBackend, text: &[u8], cost: PassphraseCost, number: u32) -> ObjectId {
    put(store, &slot(SlotKind::Passphrase(cost), &stretched(text, &cost), number))
}

/// Opens with `right`; says at which costs it was tried. Costs of this memory or more fail.
fn opened(store: &MemoryBackend, most: u32) -> (Result<Unlocked, RepoError>, Vec<PassphraseCost>) {
    let runs = RefCell::new(Vec::new());
    let stretch = |text: &[u8], _: &RepoId, cost: &PassphraseCost| {
        runs.borrow_mut().push(*cost);
        if cost.memory_kib >= most {
            return Err(CryptoError::Passphrase("out of memory".to_owned()));
        }
        Ok(stretched(text, cost))
    };
    let credential = Credential::Passphrase(Zeroizing::new(b"right".to_vec()));
    let is_right = |keys: &KeyRing| keys.root().is_ok_and(|root| **root == ROOT);
    let opened = unlock_with(store, &HEAD, &credential, &is_right, &stretch);
    (opened, runs.into_inner())
}

#[test]
fn what_others_have_planted_costs_nothing() {
    let store = MemoryBackend::default();
    for number in 0..200 {
        slot_of(&store, b"other", cost(1 << 20, 1 + number % 16), number);
        slot_of(&store, b"other", cost(8 + number, 1), number);
    }
    let id = slot_of(&store, b"right", PassphraseCost::RECOMMENDED, 1000);
    let (unlocked, runs) = opened(&store, u32::MAX);
    assert_eq!((unlocked.expect("it opens").id, runs), (id, vec![PassphraseCost::RECOMMENDED]));
}

#[test]
fn all_slots_of_one_cost_take_one_run() {
    let store = MemoryBackend::default();
    for number in 0..100 {
        slot_of(&store, b"other", cost(64, 1), number);
    }
    let id = slot_of(&store, b"right", cost(64, 1), 1000);
    let (unlocked, runs) = opened(&store, u32::MAX);
    assert_eq!((unlocked.expect("it opens").id, runs), (id, vec![cost(64, 1)]));
}

#[test]
fn a_cost_that_cannot_be_had_is_not_the_end() {
    let store = MemoryBackend::default();
    slot_of(&store, b"other", cost(1 << 10, 1), 1);
    let id = slot_of(&store, b"right", cost(100, 16), 2);
    let (unlocked, runs) = opened(&store, 1 << 10);
    assert_eq!((unlocked.expect("it opens").id, runs), (id, vec![cost(1 << 10, 1), cost(100, 16)]));
    let (store, dear) = (MemoryBackend::default(), cost(1 << 20, 16));
    slot_of(&store, b"right", dear, 3);
    let (error, runs) = opened(&store, 1 << 20);
    assert!(matches!(error, Err(RepoError::NotStretched(_))), "{error:?}");
    assert_eq!(runs, [dear]);
}

#[test]
fn a_wrong_passphrase_ends_after_a_few_costs() {
    let store = MemoryBackend::default();
    slot_of(&store, b"other", PassphraseCost::RECOMMENDED, 0);
    for number in 0..100 {
        slot_of(&store, b"other", cost(8 + number, 1), number);
    }
    let (error, runs) = opened(&store, u32::MAX);
    assert!(matches!(error, Err(RepoError::WrongKey)), "{error:?}");
    assert_eq!((runs.len(), runs[0], runs[1]), (COSTS, PassphraseCost::RECOMMENDED, cost(8, 1)));
    let store = MemoryBackend::default();
    for passes in 4..16 {
        slot_of(&store, b"other", cost(1 << 20, passes), passes);
    }
    let (_, runs) = opened(&store, u32::MAX);
    assert_eq!(runs, [cost(1 << 20, 4), cost(1 << 20, 5)]);
}

#[test]
fn every_slot_of_a_key_file_is_tried_and_nothing_else() {
    let store = MemoryBackend::default();
    let key = |material: &[u8; 32]| key_file_key(material, &HEAD.repo);
    for number in 0..300 {
        put(&store, &slot(SlotKind::KeyFile, &key(&[1; 32]), number));
        slot_of(&store, b"other", cost(1 << 20, 16), number);
        let junk = [&number.to_le_bytes()[..], &[7; 200]].concat();
        store.put(&Key::Slot(ObjectId::of(&junk)), &junk).expect("stored");
    }
    let id = put(&store, &slot(SlotKind::KeyFile, &key(&[2; 32]), 1000));
    let credential = |byte| Credential::KeyFile(Secret::new([byte; 32]));
    let never: Stretch<'_> = &|_, _, _| panic!("a key file needs no passphrase");
    let unlocked = unlock_with(&store, &HEAD, &credential(2), &|_| true, never).expect("it opens");
    assert_eq!(unlocked.id, id);
    assert!(unlock_with(&store, &HEAD, &credential(3), &|_| true, never).is_err());
}

#[test]
fn a_slot_of_other_features_says_that_the_configuration_was_altered() {
    let store = MemoryBackend::default();
    put(&store, &slot(SlotKind::KeyFile, &key_file_key(&[2; 32], &HEAD.repo), 0));
    let credential = Credential::KeyFile(Secret::new([2; 32]));
    for features in [Features::default(), Features { read: 3, ..HEAD.features }, Features { write: 0, ..HEAD.features }]
    {
        let head = ConfigHead { features, ..HEAD };
        let error = unlock(&store, &head, &credential, |_| true).expect_err("refused");
        assert!(error.is_damage() && error.to_string().contains("config"), "{error}");
    }
    unlock(&store, &HEAD, &credential, |_| true).expect("it opens");
}
