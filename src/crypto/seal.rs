//! Sealing and opening the sections of one object.

use std::sync::{Arc, OnceLock};

use super::CryptoError;
use super::aead::AeadKey;
use super::keys::{Secret, commitment};
use super::recipient::RecipientKey;
use crate::format::divided::{Envelope, Seal, envelope_aad};
use crate::format::sealed::{self, Cipher, Compartment, PREFIX_LEN, SealedKind, Section, Wrapping};

/// The key of one object, or of a compartment of it, with what all of its seals authenticate.
#[derive(Debug)]
pub struct ObjectKey {
    key: AeadKey,
    prefix: [u8; PREFIX_LEN],
}

impl ObjectKey {
    pub(super) fn new(kind: SealedKind, wrapping: Wrapping, cipher: Cipher, key: &[u8; 32]) -> Self {
        Self { key: AeadKey::new(cipher, key), prefix: sealed::prefix(kind, wrapping, cipher) }
    }

    fn associated(&self, section: Section, ordinal: u64) -> [u8; PREFIX_LEN + 12] {
        let mut bytes = [0; PREFIX_LEN + 12];
        bytes[..PREFIX_LEN].copy_from_slice(&self.prefix);
        bytes[PREFIX_LEN..].copy_from_slice(&sealed::section_nonce(section, ordinal));
        bytes
    }
}

/// A thing for the whole object, or one for each of its compartments.
#[derive(Debug)]
pub(super) enum Per<T> {
    Object(T),
    Compartment([T; Compartment::ALL.len()]),
}

impl<T> Per<T> {
    fn of(&self, section: Section) -> &T {
        match self {
            Self::Object(one) => one,
            Self::Compartment(all) => &all[section.compartment() as usize - 1],
        }
    }
}

/// Seals the sections of a new object. Each (section, ordinal) is to be sealed once.
#[derive(Debug)]
pub struct Sealer {
    header: Vec<u8>,
    keys: Per<ObjectKey>,
}

impl Sealer {
    pub(super) fn new(header: Vec<u8>, keys: Per<ObjectKey>) -> Self {
        Self { header, keys }
    }

    /// The stored header of the object.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Seals `object[from..]` where it lies and appends the tag.
    pub fn seal(&self, section: Section, ordinal: u64, object: &mut Vec<u8>, from: usize) {
        let (key, nonce) = (self.keys.of(section), sealed::section_nonce(section, ordinal));
        key.key.seal(nonce, &key.associated(section, ordinal), object, from);
    }

    /// The stored bytes of an object whose only section is a record.
    pub fn seal_record(&self, record: &[u8]) -> Vec<u8> {
        let mut object = Vec::with_capacity(self.header.len() + record.len() + sealed::TAG_LEN);
        object.extend_from_slice(&self.header);
        self.append(Section::Record, record, &mut object);
        object
    }

    /// Appends a section, sealed.
    pub fn append(&self, section: Section, plain: &[u8], object: &mut Vec<u8>) {
        let from = object.len();
        object.extend_from_slice(plain);
        self.seal(section, 0, object, from);
    }
}

/// What opens envelopes of one kind: a secret that both sides have, a private key, or neither.
#[derive(Clone, Default)]
pub(super) struct Unsealer {
    pub shared: Option<Secret>,
    pub private: Option<Arc<RecipientKey>>,
}

impl std::fmt::Debug for Unsealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unsealer(secret)")
    }
}

/// A key that is taken out of its envelope when it is needed first.
#[derive(Debug)]
pub(super) struct LazyKey {
    kind: SealedKind,
    cipher: Cipher,
    envelope: Envelope,
    unsealer: Unsealer,
    opened: OnceLock<Result<ObjectKey, CryptoError>>,
}

impl LazyKey {
    pub(super) fn new(kind: SealedKind, cipher: Cipher, envelope: Envelope, unsealer: Unsealer) -> Self {
        Self { kind, cipher, envelope, unsealer, opened: OnceLock::new() }
    }

    fn open(&self) -> Result<ObjectKey, CryptoError> {
        let Envelope { compartment, seal, sealed_key, commitment: expected } = &self.envelope;
        let prefix = sealed::prefix(self.kind, Wrapping::Divided, self.cipher);
        let aad = envelope_aad(&prefix, *compartment);
        let missing = || CryptoError::NotForRole(*compartment);
        let key = match seal {
            Seal::Shared(nonce) => {
                let shared = self.unsealer.shared.as_ref().ok_or_else(missing)?;
                open_shared(self.cipher, shared, *nonce, &aad, sealed_key)?
            }
            Seal::Recipient(encapsulated) => {
                let private = self.unsealer.private.as_ref().ok_or_else(missing)?;
                private.open(&aad, encapsulated, sealed_key)?
            }
        };
        if commitment(&key) != *expected {
            return Err(CryptoError::ForeignKey);
        }
        Ok(ObjectKey::new(self.kind, Wrapping::Divided, self.cipher, &key))
    }

    fn get(&self) -> Result<&ObjectKey, CryptoError> {
        self.opened.get_or_init(|| self.open()).as_ref().map_err(Clone::clone)
    }
}

/// Opens a key that is sealed under a secret.
pub(super) fn open_shared(
    cipher: Cipher,
    secret: &Secret,
    nonce: [u8; 12],
    aad: &[u8],
    sealed_key: &[u8; 48],
) -> Result<Secret, CryptoError> {
    let mut sealed = zeroize::Zeroizing::new(*sealed_key);
    let key = AeadKey::new(cipher, secret).open(nonce, aad, &mut sealed[..]).map_err(|_| CryptoError::ForeignKey)?;
    <[u8; 32]>::try_from(&*key).map(Secret::new).map_err(|_| CryptoError::ForeignKey)
}

/// Opens the sections of a stored object.
#[derive(Debug)]
pub struct Opener(Keys);

#[derive(Debug)]
enum Keys {
    Whole(ObjectKey),
    Divided(Box<Per<LazyKey>>),
}

impl Opener {
    pub(super) fn whole(key: ObjectKey) -> Self {
        Self(Keys::Whole(key))
    }

    pub(super) fn divided(keys: Per<LazyKey>) -> Self {
        Self(Keys::Divided(Box::new(keys)))
    }

    fn key(&self, section: Section) -> Result<&ObjectKey, CryptoError> {
        match &self.0 {
            Keys::Whole(key) => Ok(key),
            Keys::Divided(keys) => keys.of(section).get(),
        }
    }

    /// The envelope of the key that a section is sealed under; nothing if the object is not divided.
    pub fn envelope(&self, section: Section) -> Option<(Cipher, &Envelope)> {
        match &self.0 {
            Keys::Whole(_) => None,
            Keys::Divided(keys) => {
                let key = keys.of(section);
                Some((key.cipher, &key.envelope))
            }
        }
    }

    /// True if the key of a section was sealed by somebody who could not open it.
    pub fn is_by_stranger(&self, section: Section) -> bool {
        self.envelope(section).is_some_and(|(_, envelope)| matches!(envelope.seal, Seal::Recipient(_)))
    }

    /// True if the credential is of a role that does not open a section.
    pub fn is_closed(&self, section: Section) -> bool {
        matches!(self.key(section), Err(CryptoError::NotForRole(_)))
    }

    /// Opens a section where it lies; its plaintext is the front of `sealed`.
    pub fn open<'a>(&self, section: Section, ordinal: u64, sealed: &'a mut [u8]) -> Result<&'a mut [u8], CryptoError> {
        let (key, nonce) = (self.key(section)?, sealed::section_nonce(section, ordinal));
        key.key.open(nonce, &key.associated(section, ordinal), sealed)
    }

    /// Opens a section and cuts its tag off.
    pub fn open_vec(&self, section: Section, ordinal: u64, mut sealed: Vec<u8>) -> Result<Vec<u8>, CryptoError> {
        let plain = self.open(section, ordinal, &mut sealed)?.len();
        sealed.truncate(plain);
        Ok(sealed)
    }
}
