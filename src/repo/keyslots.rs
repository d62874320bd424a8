//! Key slots: several passphrases and key files that open one root key.

use zeroize::Zeroizing;

use super::objects::{check_name, crypto_error, format_error};
use super::{Credential, RepoError, Repository};
use crate::backend::{Backend, Key, Kind};
use crate::crypto::aead::{AeadKey, cipher_from, preferred_cipher};
use crate::crypto::keys::{KeyRing, Secret, key_file_key, slot_commitment};
use crate::crypto::{passphrase, recovery};
use crate::format::config::ConfigHead;
use crate::format::keyslot::{KeySlot, PassphraseCost, SlotInfo, SlotKind};
use crate::format::record::{self, Record};
use crate::ids::{ObjectId, RepoId};

/// Most key slots that are tried, and so the most there may be: each may cost a passphrase computation.
const SLOTS: usize = 64;

/// What the seal of the root key authenticates: the repository.
fn root_ad(repo: &RepoId) -> Vec<u8> {
    [&b"sfarc key slot root"[..], repo.as_bytes()].concat()
}

/// What the seal of a description authenticates: the slot that it describes.
fn info_ad(commitment: &[u8; 32], sealed_root: &[u8; 48]) -> Vec<u8> {
    [&b"sfarc key slot description"[..], commitment, sealed_root].concat()
}

/// A key slot as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSummary {
    /// Its name.
    pub id: ObjectId,
    /// What opens it.
    pub kind: SlotKind,
    /// What its maker called it.
    pub label: String,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
}

fn decode(key: &Key, object: &[u8]) -> Result<KeySlot, RepoError> {
    check_name(key, object)?;
    let slot: KeySlot = record::decode(object).map_err(format_error(key))?;
    if let SlotKind::Passphrase(cost) = &slot.kind {
        cost.check().map_err(format_error(key))?;
    }
    Ok(slot)
}

/// Keys of slots, made once for each cost that slots name: Argon2 is slow on purpose.
struct SlotKeys<'a> {
    credential: &'a Credential,
    salt: &'a RepoId,
    made: Vec<(PassphraseCost, Secret)>,
}

impl SlotKeys<'_> {
    fn key(&mut self, kind: &SlotKind) -> Result<Option<Secret>, RepoError> {
        match (kind, self.credential) {
            (SlotKind::KeyFile, Credential::KeyFile(material)) => Ok(Some(key_file_key(material, self.salt))),
            (SlotKind::Passphrase(cost), Credential::Passphrase(text)) => {
                if let Some((_, key)) = self.made.iter().find(|(made, _)| made == cost) {
                    return Ok(Some(key.clone()));
                }
                let key = passphrase::derive(text, self.salt, cost).map_err(crypto_error("the key slot"))?;
                self.made.push((*cost, key.clone()));
                Ok(Some(key))
            }
            (SlotKind::Recovery(file), Credential::Identity(identity)) => Ok(recovery::open(file, identity)),
            _ => Ok(None),
        }
    }
}

fn open_slot(slot: &KeySlot, key: &Secret, head: &ConfigHead) -> Option<KeyRing> {
    if slot_commitment(key, &slot.nonce) != slot.commitment {
        return None;
    }
    let mut sealed = Zeroizing::new(slot.sealed_root);
    let cipher = cipher_from(slot.cipher)?;
    let root = AeadKey::new(cipher, key).open(slot.nonce, &root_ad(&head.repo), &mut sealed[..]).ok()?;
    let root: [u8; 32] = (&*root).try_into().ok()?;
    Some(super::ring(Zeroizing::new(root), head.features))
}

/// Finds the slot that the credential opens and whose root key is the right one.
///
/// A slot with another root key was left by a creation of a repository that did not get as far as its configuration.
/// Damaged slots are passed over while another opens; only if none does, their damage is the answer. If slots open
/// but none is right, the first of them is given.
pub fn unlock(
    backend: &dyn Backend,
    head: &ConfigHead,
    credential: &Credential,
    is_right: impl Fn(&KeyRing) -> bool,
) -> Result<(ObjectId, KeyRing), RepoError> {
    let mut keys = SlotKeys { credential, salt: &head.repo, made: Vec::new() };
    let (mut damage, mut opened) = (None, None);
    let mut listed = backend.list_lately(Kind::Keys)?;
    listed.sort_by_key(|listed| listed.key);
    for listed in listed.into_iter().take(SLOTS) {
        let Key::Slot(id) = listed.key else { continue };
        let read = backend.get(&listed.key, None).map_err(RepoError::from);
        let slot = match read.and_then(|object| decode(&listed.key, &object)) {
            Ok(slot) => slot,
            Err(error) => {
                damage = Some(error);
                continue;
            }
        };
        match keys.key(&slot.kind)?.and_then(|key| open_slot(&slot, &key, head)) {
            Some(ring) if is_right(&ring) => return Ok((id, ring)),
            Some(ring) => opened = opened.or(Some((id, ring))),
            None => {}
        }
    }
    opened.ok_or_else(|| damage.unwrap_or(RepoError::WrongKey))
}

impl Repository {
    /// Adds a key slot that the credential opens.
    pub fn add_slot(&self, credential: &Credential, label: &str) -> Result<ObjectId, RepoError> {
        self.require_slot_change()?;
        if self.backend.list(Kind::Keys)?.len() >= SLOTS {
            let why = format!("there are {SLOTS} key slots, and no more are tried: remove one first");
            return Err(RepoError::KeySlot(why));
        }
        self.put_slot(credential, label)
    }

    fn require_slot_change(&self) -> Result<(), RepoError> {
        self.require_write()?;
        self.gc_log()?.features().require_write()
    }

    /// Stores a key slot, the first of a new repository or one more.
    pub(super) fn put_slot(&self, credential: &Credential, label: &str) -> Result<ObjectId, RepoError> {
        let kind = match credential {
            Credential::Passphrase(_) => SlotKind::Passphrase(PassphraseCost::RECOMMENDED),
            Credential::KeyFile(_) => SlotKind::KeyFile,
            Credential::Recovery(recipient) => return self.put_recovery_slot(recipient, label),
            Credential::Role(_) | Credential::Identity(_) => {
                let why = "a key slot is for a password, a key file, or a recipient of age (--recovery)".to_owned();
                return Err(RepoError::KeySlot(why));
            }
        };
        let mut keys = SlotKeys { credential, salt: &self.id, made: Vec::new() };
        let key = keys.key(&kind)?.expect("the kind was chosen for the credential");
        self.put_slot_of(kind, &key, label)
    }

    fn put_recovery_slot(&self, recipient: &str, label: &str) -> Result<ObjectId, RepoError> {
        let key = Secret::new(self.env.random());
        let file = recovery::seal(recipient, &key).map_err(RepoError::KeySlot)?;
        self.put_slot_of(SlotKind::Recovery(file), &key, label)
    }

    fn put_slot_of(&self, kind: SlotKind, key: &Secret, label: &str) -> Result<ObjectId, RepoError> {
        let object = record::encode(&self.seal_slot(kind, key, label)?);
        let id = ObjectId::of(&object);
        self.backend.put(&Key::Slot(id), &object)?;
        Ok(id)
    }

    fn seal_slot(&self, kind: SlotKind, key: &Secret, label: &str) -> Result<KeySlot, RepoError> {
        let cipher = preferred_cipher();
        let (nonce, info_nonce) = (self.env.random(), self.env.random());
        let mut sealed_root = self.keys.root()?.to_vec();
        AeadKey::new(cipher, key).seal(nonce, &root_ad(&self.id), &mut sealed_root, 0);
        let sealed_root: [u8; 48] = sealed_root.try_into().expect("32 bytes and a tag");
        let commitment = slot_commitment(key, &nonce);
        let info = SlotInfo { label: label.to_owned(), created: self.env.clock.now() };
        let mut sealed_info = record::encode(&info);
        self.keys.slot_info_key(cipher)?.seal(info_nonce, &info_ad(&commitment, &sealed_root), &mut sealed_info, 0);
        Ok(KeySlot { kind, cipher: cipher as u8, nonce, sealed_root, commitment, info_nonce, sealed_info })
    }

    /// All key slots, oldest first.
    pub fn slots(&self) -> Result<Vec<SlotSummary>, RepoError> {
        let mut slots = Vec::new();
        for listed in self.backend.list(Kind::Keys)? {
            let Key::Slot(id) = listed.key else { continue };
            let slot = decode(&listed.key, &self.backend.get(&listed.key, None)?)?;
            // Its bytes are what its name says, so a broken seal means another root key: left by a creation of a
            // repository that did not get as far as its configuration. It opens nothing here.
            let info = match self.open_info(&listed.key, &slot) {
                Err(RepoError::Crypto { .. }) => continue,
                other => other?,
            };
            slots.push(SlotSummary { id, kind: slot.kind, label: info.label, created: info.created });
        }
        slots.sort_by_key(|slot| (slot.created, slot.id));
        Ok(slots)
    }

    fn open_info(&self, key: &Key, slot: &KeySlot) -> Result<SlotInfo, RepoError> {
        let unknown = || RepoError::Damaged { object: key.to_string(), why: "it names an unknown cipher".to_owned() };
        let cipher = cipher_from(slot.cipher).ok_or_else(unknown)?;
        let mut sealed = slot.sealed_info.clone();
        let plain = self.keys.slot_info_key(cipher)?.open(
            slot.info_nonce,
            &info_ad(&slot.commitment, &slot.sealed_root),
            &mut sealed,
        );
        record::decode(plain.map_err(crypto_error(key))?).map_err(format_error(key))
    }

    /// Removes the key slot whose name begins with `prefix`. The last one stays.
    pub fn remove_slot(&self, prefix: &str) -> Result<ObjectId, RepoError> {
        self.require_slot_change()?;
        let slots = self.slots()?;
        let mut matching = slots.iter().filter(|slot| slot.id.to_string().starts_with(prefix));
        let (Some(slot), None) = (matching.next(), matching.next()) else {
            let why = format!("`{prefix}` is not the beginning of exactly one {}; see `sfarc key list`", KeySlot::WHAT);
            return Err(RepoError::KeySlot(why));
        };
        if slots.len() == 1 {
            let why = "this is the last key slot: without it nobody could ever open the repository again".to_owned();
            return Err(RepoError::KeySlot(why));
        }
        self.backend.delete(&Key::Slot(slot.id))?;
        Ok(slot.id)
    }

    /// Replaces the slot that `old` opens by one that `new` opens.
    pub fn change_slot(&self, old: &Credential, new: &Credential) -> Result<ObjectId, RepoError> {
        let root = self.keys.root()?;
        let is_right = |ring: &KeyRing| ring.root().is_ok_and(|of| of == root);
        let head = ConfigHead { features: self.features, repo: self.id };
        let (old_id, ring) = unlock(&*self.backend, &head, old, is_right)?;
        if !is_right(&ring) {
            return Err(RepoError::WrongKey);
        }
        let label = self.slots()?.into_iter().find(|slot| slot.id == old_id).map(|slot| slot.label);
        let id = self.add_slot(new, label.as_deref().unwrap_or_default())?;
        self.backend.delete(&Key::Slot(old_id))?;
        Ok(id)
    }
}
