//! Which key slot opens.
//!
//! Anybody who can write to the store can put slots there. So only what is a slot and fits the credential counts, every
//! one of those is tried, and what is slow is done once for all slots that ask for the same.

use zeroize::Zeroizing;

use super::decode;
use crate::backend::{Backend, Key, Kind, Listed};
use crate::crypto::CryptoError;
use crate::crypto::aead::{AeadKey, cipher_from};
use crate::crypto::keys::{KeyRing, Secret, key_file_key, slot_commitment};
use crate::crypto::{passphrase, recovery};
use crate::format::config::ConfigHead;
use crate::format::keyslot::{Binding, KeySlot, PassphraseCost, SlotKind};
use crate::ids::{ObjectId, RepoId};
use crate::repo::{Credential, RepoError};

/// Bytes of key slots that are read: about a hundred thousand slots.
const READ_BYTES: u64 = 1 << 24;

/// Most costs of passphrases that are tried.
pub const COSTS: usize = 16;

/// A cost that takes so many times the work of the recommended one is far above it.
const FAR: u64 = 16;

/// Most costs far above the recommended one that are tried.
const FAR_COSTS: usize = 2;

/// What opened the repository.
#[derive(Debug)]
pub struct Unlocked {
    /// The key slot.
    pub id: ObjectId,
    /// The keys in it.
    pub keys: KeyRing,
    /// What its seal authenticates.
    pub binding: Binding,
}

/// How a passphrase becomes a key. An argument, so that tests count how often that is done.
pub type Stretch<'a> = &'a dyn Fn(&[u8], &RepoId, &PassphraseCost) -> Result<Secret, CryptoError>;

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
) -> Result<Unlocked, RepoError> {
    unlock_with(backend, head, credential, &is_right, &passphrase::derive)
}

/// The same with another way to make keys of passphrases.
pub fn unlock_with(
    backend: &dyn Backend,
    head: &ConfigHead,
    credential: &Credential,
    is_right: &dyn Fn(&KeyRing) -> bool,
    stretch: Stretch<'_>,
) -> Result<Unlocked, RepoError> {
    let mut attempt = Attempt { head, is_right, found: Found::default() };
    let opened = match credential {
        Credential::KeyFile(material) => {
            let key = key_file_key(material, &head.repo);
            attempt.each(backend, |kind| matches!(kind, SlotKind::KeyFile).then(|| key.clone()))?
        }
        Credential::Identity { identity, .. } => attempt.each(backend, |kind| match kind {
            SlotKind::Recovery(file) => recovery::open(file, identity),
            _ => None,
        })?,
        Credential::Passphrase(text) => attempt.passphrase(backend, text, stretch)?,
        Credential::Role(_) | Credential::Recovery(_) => None,
    };
    opened.map_or_else(|| attempt.found.into_answer(), Ok)
}

/// What was found that is not the right slot.
#[derive(Default)]
struct Found {
    /// The first slot that opens and has another root key.
    other_root: Option<Unlocked>,
    /// True if the credential is that of a slot that was made for other features.
    other_features: bool,
    /// The first passphrase that could not be made a key.
    not_stretched: Option<CryptoError>,
    /// The first slot that is damaged.
    damage: Option<RepoError>,
    /// True if there is no slot.
    is_empty: bool,
}

impl Found {
    /// The answer if no slot is the right one.
    fn into_answer(self) -> Result<Unlocked, RepoError> {
        if let Some(unlocked) = self.other_root {
            return Ok(unlocked);
        }
        if self.other_features {
            return Err(RepoError::altered_features());
        }
        let not_stretched = self.not_stretched.map(RepoError::NotStretched);
        let none_left = || if self.is_empty { RepoError::no_slot_left() } else { RepoError::WrongKey };
        Err(not_stretched.or(self.damage).unwrap_or_else(none_left))
    }
}

struct Attempt<'a> {
    head: &'a ConfigHead,
    is_right: &'a dyn Fn(&KeyRing) -> bool,
    found: Found,
}

/// A slot, and what its seal authenticates.
type Candidate = (ObjectId, KeySlot, Binding);

impl Attempt<'_> {
    /// Calls `visit` with the slots that are there, short ones first, until it gives something.
    fn slots<T>(
        &mut self,
        backend: &dyn Backend,
        mut visit: impl FnMut(&mut Self, Candidate) -> Option<T>,
    ) -> Result<Option<T>, RepoError> {
        let is_slot = |listed: &Listed| (KeySlot::MIN_BYTES..=KeySlot::MAX_BYTES).contains(&listed.len);
        let (mut listed, others): (Vec<Listed>, Vec<Listed>) =
            backend.list_lately(Kind::Keys)?.into_iter().partition(is_slot);
        self.found.is_empty = listed.is_empty() && others.is_empty();
        self.found.damage = others.first().map(|listed| {
            let why = "it has not the length of a key slot".to_owned();
            RepoError::Damaged { object: listed.key.to_string(), why }
        });
        listed.sort_by_key(|listed| (listed.len, listed.key));
        let mut left = READ_BYTES;
        for listed in listed {
            let Key::Slot(id) = listed.key else { continue };
            let Some(rest) = left.checked_sub(listed.len) else { break };
            left = rest;
            let read = backend.get(&listed.key, None).map_err(RepoError::from);
            match read.and_then(|object| decode(&listed.key, &object)) {
                Ok((slot, binding)) => {
                    if let Some(visited) = visit(self, (id, slot, binding)) {
                        return Ok(Some(visited));
                    }
                }
                Err(error) => self.found.damage = self.found.damage.take().or(Some(error)),
            }
        }
        Ok(None)
    }

    /// Tries every slot for which there is a key.
    fn each(
        &mut self,
        backend: &dyn Backend,
        key: impl Fn(&SlotKind) -> Option<Secret>,
    ) -> Result<Option<Unlocked>, RepoError> {
        self.slots(backend, |attempt, candidate| {
            let key = key(&candidate.1.kind)?;
            attempt.open(&candidate, &key)
        })
    }

    /// Tries the slots of passphrases, one cost after the other: what this program makes as soon as one is read, then what
    /// is cheap first, since anybody can name a cost.
    fn passphrase(
        &mut self,
        backend: &dyn Backend,
        text: &[u8],
        stretch: Stretch<'_>,
    ) -> Result<Option<Unlocked>, RepoError> {
        let (mut usual, mut others): (Option<Option<Secret>>, Vec<(PassphraseCost, Candidate)>) = (None, Vec::new());
        let opened = self.slots(backend, |attempt, (id, mut slot, binding)| {
            let SlotKind::Passphrase(cost) = slot.kind else { return None };
            // There may be many, and nobody asks what they are called.
            slot.sealed_info = Vec::new();
            let candidate = (id, slot, binding);
            if cost == PassphraseCost::RECOMMENDED {
                let key = usual.get_or_insert_with(|| attempt.stretched(text, &cost, stretch));
                return key.as_ref().and_then(|key| attempt.open(&candidate, key));
            }
            others.push((cost, candidate));
            None
        })?;
        if opened.is_some() {
            return Ok(opened);
        }
        others.sort_by_key(|(cost, _)| order(cost));
        let (mut tried, mut far) = (usize::from(usual.is_some()), 0);
        for same in others.chunk_by(|(one, _), (other, _)| one == other) {
            let Some((cost, _)) = same.first() else { continue };
            far += usize::from(cost.work() > FAR * PassphraseCost::RECOMMENDED.work());
            tried += 1;
            if tried > COSTS || far > FAR_COSTS {
                break;
            }
            let Some(key) = self.stretched(text, cost, stretch) else { continue };
            let opened = same.iter().find_map(|(_, candidate)| self.open(candidate, &key));
            if opened.is_some() {
                return Ok(opened);
            }
        }
        Ok(None)
    }

    /// The key of a passphrase at a cost. Nothing if there is not the memory for it: others may ask for less, or it is
    /// nobody's.
    fn stretched(&mut self, text: &[u8], cost: &PassphraseCost, stretch: Stretch<'_>) -> Option<Secret> {
        match stretch(text, &self.head.repo, cost) {
            Ok(key) => Some(key),
            Err(error) => {
                self.found.not_stretched = self.found.not_stretched.take().or(Some(error));
                None
            }
        }
    }

    /// Opens a slot with its key. Nothing if it is another's key, or what is in it is not right.
    fn open(&mut self, (id, slot, binding): &Candidate, key: &Secret) -> Option<Unlocked> {
        if slot_commitment(key, &slot.nonce) != slot.commitment {
            return None;
        }
        let mut sealed = Zeroizing::new(slot.sealed_root);
        let (aead, associated) = (AeadKey::new(cipher_from(slot.cipher)?, key), binding.associated(self.head));
        let Ok(root) = aead.open(slot.nonce, &associated, &mut sealed[..]) else {
            // Only who has this key can make a slot with this commitment.
            match binding {
                Binding::Features => self.found.other_features = true,
                Binding::Repository => {
                    let why = "its key fits, and what it holds does not open".to_owned();
                    let damaged = RepoError::Damaged { object: Key::Slot(*id).to_string(), why };
                    self.found.damage = self.found.damage.take().or(Some(damaged));
                }
            }
            return None;
        };
        let root: [u8; 32] = (&*root).try_into().ok()?;
        let keys = crate::repo::ring(Zeroizing::new(root), self.head.features);
        let unlocked = Unlocked { id: *id, keys, binding: *binding };
        if (self.is_right)(&unlocked.keys) {
            return Some(unlocked);
        }
        self.found.other_root = self.found.other_root.take().or(Some(unlocked));
        None
    }
}

/// In which order costs are tried: by what they take.
fn order(cost: &PassphraseCost) -> (u64, u32, u32, u32) {
    (cost.work(), cost.memory_kib, cost.passes, cost.lanes)
}
