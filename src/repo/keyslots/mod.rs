//! Key slots: several passphrases, key files and recovery keys that open one root key.

mod unlock;

pub use unlock::{COSTS, Stretch, Unlocked, unlock, unlock_with};

use super::gc_log::tombstone;
use super::objects::{check_name, crypto_error, format_error};
use super::{Credential, Meant, RepoError, Repository};
use crate::backend::{Key, Kind};
use crate::crypto::aead::{AeadKey, cipher_from, preferred_cipher};
use crate::crypto::keys::{KeyRing, Secret, fingerprint, key_file_key, slot_commitment};
use crate::crypto::{passphrase, recovery};
use crate::event::Event;
use crate::format::config::ConfigHead;
use crate::format::keyslot::{Binding, KeySlot, PassphraseCost, SlotInfo, SlotKind};
use crate::format::record::{self, Record};
use crate::ids::{Fingerprint, ObjectId};

/// Most key slots that are made. Readers try as many as there are, but earlier versions of this program only so many.
const SLOTS: usize = 64;

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

fn decode(key: &Key, object: &[u8]) -> Result<(KeySlot, Binding), RepoError> {
    check_name(key, object)?;
    KeySlot::decode(object).map_err(format_error(key))
}

impl Repository {
    /// Adds a key slot that the credential opens.
    pub fn add_slot(&self, credential: &Credential, label: &str) -> Result<ObjectId, RepoError> {
        self.require_slot_change()?;
        if self.slots()?.len() >= SLOTS {
            let why = format!("there are {SLOTS} key slots, and no more may be: remove one first");
            return Err(RepoError::KeySlot(why));
        }
        self.put_slot(credential, label)
    }

    /// Where the gc log is damaged a slot is added all the same: without one nobody can open the repository and mend it.
    fn require_slot_change(&self) -> Result<(), RepoError> {
        self.require_write()?;
        self.gc_log_for_reading()?.features().require_write()
    }

    fn head(&self) -> ConfigHead {
        ConfigHead { features: self.features, repo: self.id }
    }

    /// Stores a key slot, the first of a new repository or one more.
    pub(super) fn put_slot(&self, credential: &Credential, label: &str) -> Result<ObjectId, RepoError> {
        let (kind, key) = match credential {
            Credential::Passphrase(text) => {
                let cost = PassphraseCost::RECOMMENDED;
                let key = passphrase::derive(text, &self.id, &cost).map_err(crypto_error("the key slot"))?;
                (SlotKind::Passphrase(cost), key)
            }
            Credential::KeyFile(material) => (SlotKind::KeyFile, key_file_key(material, &self.id)),
            Credential::Recovery(recipient) => {
                let key = Secret::new(self.env.random());
                let file = recovery::seal(recipient, &key).map_err(RepoError::KeySlot)?;
                (SlotKind::Recovery(file), key)
            }
            Credential::Role(_) | Credential::Identity { .. } => {
                let why = "a key slot is for a password, a key file, or a recipient of age (--recovery)".to_owned();
                return Err(RepoError::KeySlot(why));
            }
        };
        self.put_slot_of(kind, &key, label)
    }

    fn put_slot_of(&self, kind: SlotKind, key: &Secret, label: &str) -> Result<ObjectId, RepoError> {
        let object = record::encode(&self.seal_slot(kind, key, label)?);
        if object.len() as u64 > KeySlot::MAX_BYTES {
            return Err(RepoError::KeySlot("the label is too long: a key slot has at most 64 KiB".to_owned()));
        }
        let id = ObjectId::of(&object);
        self.backend.put(&Key::Slot(id), &object)?;
        Ok(id)
    }

    fn seal_slot(&self, kind: SlotKind, key: &Secret, label: &str) -> Result<KeySlot, RepoError> {
        let cipher = preferred_cipher();
        let (nonce, info_nonce) = (self.env.random(), self.env.random());
        let mut sealed_root = self.keys.root()?.to_vec();
        AeadKey::new(cipher, key).seal(nonce, &Binding::Features.associated(&self.head()), &mut sealed_root, 0);
        let sealed_root: [u8; 48] = sealed_root.try_into().expect("32 bytes and a tag");
        let commitment = slot_commitment(key, &nonce);
        let info = SlotInfo { label: label.to_owned(), created: self.env.clock.now() };
        let mut sealed_info = record::encode(&info);
        self.keys.slot_info_key(cipher)?.seal(info_nonce, &info_ad(&commitment, &sealed_root), &mut sealed_info, 0);
        Ok(KeySlot { kind, cipher: cipher as u8, nonce, sealed_root, commitment, info_nonce, sealed_info })
    }

    /// All key slots, oldest first. What is none is passed over: anybody who can write to the store can put it there.
    pub fn slots(&self) -> Result<Vec<SlotSummary>, RepoError> {
        let (slots, damaged) = self.slots_and_damage()?;
        if let Some(first) = damaged.first() {
            let count = damaged.len();
            let text = format!("among the key slots there are {count} that are damaged, or none: {first}");
            self.env.tell(&Event::Warning(&text));
        }
        Ok(slots)
    }

    /// All key slots, oldest first, and what is wrong with those that are damaged, or none.
    pub fn slots_and_damage(&self) -> Result<(Vec<SlotSummary>, Vec<RepoError>), RepoError> {
        let (mut slots, mut damaged) = (Vec::new(), Vec::new());
        for listed in self.backend.list(Kind::Keys)? {
            let Key::Slot(id) = listed.key else { continue };
            match self.read_slot(&listed.key) {
                Ok((kind, info)) => slots.push(SlotSummary { id, kind, label: info.label, created: info.created }),
                // Its bytes are what its name says, so a broken seal means another root key: left by a creation of a
                // repository that did not get as far as its configuration. It opens nothing here.
                Err(RepoError::Crypto { .. }) => {}
                // A slot of a newer version, or junk that begins like one.
                Err(error) if error.is_damage() || matches!(error, RepoError::TooNew { .. }) => damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        slots.sort_by_key(|slot| (slot.created, slot.id));
        Ok((slots, damaged))
    }

    fn read_slot(&self, key: &Key) -> Result<(SlotKind, SlotInfo), RepoError> {
        let (slot, _) = decode(key, &self.backend.get(key, None)?)?;
        let info = self.open_info(key, &slot)?;
        Ok((slot.kind, info))
    }

    /// What tells this repository from any that somebody else makes. Known to whoever has the root key.
    pub fn fingerprint(&self) -> Result<Fingerprint, RepoError> {
        Ok(fingerprint(self.keys.root()?, &self.head()))
    }

    /// Fails if this is another repository than the one that is meant.
    pub fn require_fingerprint(&self, expected: &Fingerprint) -> Result<(), RepoError> {
        let Ok(found) = self.fingerprint() else {
            let why = "only a password, a key file or a recovery key shows the fingerprint of a repository; the key of a \
                       role says itself which repository it is of: give no fingerprint with it";
            return Err(RepoError::KeySlot(why.to_owned()));
        };
        if found == *expected { Ok(()) } else { Err(RepoError::OtherRepository { found, expected: *expected }) }
    }

    /// Fails if a recovery key has opened another repository than the one that is meant: whoever knows the recipient can
    /// make one that it opens.
    pub(super) fn require_meant(&self, meant: Meant) -> Result<(), RepoError> {
        match meant {
            Meant::Fingerprint(expected) => self.require_fingerprint(&expected),
            Meant::Any => {
                let text = format!(
                    "nothing shows whose repository this is: anybody who knows the recipient of the recovery key can make \
                     one that it opens, with any content. Its fingerprint is {}",
                    self.fingerprint()?
                );
                self.env.tell(&Event::Warning(&text));
                Ok(())
            }
        }
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
        self.give_up_slot(&slot.id)?;
        Ok(slot.id)
    }

    /// Removes a slot, and has the gc log say so: mirrors tell by that what was removed from what was lost.
    fn give_up_slot(&self, id: &ObjectId) -> Result<(), RepoError> {
        let noted = self.gc_log().and_then(|mut log| self.append_to_gc_log(&mut log, &[], &[tombstone(id)]));
        match noted {
            Err(error) if error.is_damage() => {
                let text = format!(
                    "the gc log is damaged, so that mirrors do not learn that {} was removed: remove it there by hand",
                    Key::Slot(*id)
                );
                self.env.tell(&Event::Warning(&text));
            }
            other => other?,
        }
        Ok(self.backend.delete(&Key::Slot(*id))?)
    }

    /// Replaces the slot that `old` opens by one that `new` opens.
    pub fn change_slot(&self, old: &Credential, new: &Credential) -> Result<ObjectId, RepoError> {
        let root = self.keys.root()?;
        let is_right = |ring: &KeyRing| ring.root().is_ok_and(|of| of == root);
        let unlocked = unlock(&*self.backend, &self.head(), old, is_right)?;
        if !is_right(&unlocked.keys) {
            return Err(RepoError::WrongKey);
        }
        let old_id = unlocked.id;
        let label = self.slots()?.into_iter().find(|slot| slot.id == old_id).map(|slot| slot.label);
        let id = self.add_slot(new, label.as_deref().unwrap_or_default())?;
        self.give_up_slot(&old_id)?;
        Ok(id)
    }
}
