//! Sealing and opening the sections of one object.

use super::CryptoError;
use super::aead::AeadKey;
use crate::format::sealed::{self, Cipher, HEADER_LEN, Header, PREFIX_LEN, SealedKind, Section};

/// The key of one object, with what all of its seals authenticate.
#[derive(Debug)]
pub struct ObjectKey {
    key: AeadKey,
    prefix: [u8; PREFIX_LEN],
}

impl ObjectKey {
    pub(super) fn new(kind: SealedKind, cipher: Cipher, key: &[u8; 32]) -> Self {
        Self { key: AeadKey::new(cipher, key), prefix: sealed::prefix(kind, cipher) }
    }

    fn associated(&self, section: Section, ordinal: u64) -> [u8; PREFIX_LEN + 12] {
        let mut bytes = [0; PREFIX_LEN + 12];
        bytes[..PREFIX_LEN].copy_from_slice(&self.prefix);
        bytes[PREFIX_LEN..].copy_from_slice(&sealed::section_nonce(section, ordinal));
        bytes
    }
}

/// Seals the sections of a new object. Each (section, ordinal) is to be sealed once.
#[derive(Debug)]
pub struct Sealer {
    header: Header,
    key: ObjectKey,
}

impl Sealer {
    pub(super) fn new(header: Header, key: ObjectKey) -> Self {
        Self { header, key }
    }

    /// The stored header of the object.
    pub fn header(&self) -> [u8; HEADER_LEN] {
        self.header.encode()
    }

    /// Seals `object[from..]` where it lies and appends the tag.
    pub fn seal(&self, section: Section, ordinal: u64, object: &mut Vec<u8>, from: usize) {
        let nonce = sealed::section_nonce(section, ordinal);
        self.key.key.seal(nonce, &self.key.associated(section, ordinal), object, from);
    }

    /// The stored bytes of an object whose only section is a record.
    pub fn seal_record(&self, record: &[u8]) -> Vec<u8> {
        let mut object = Vec::with_capacity(HEADER_LEN + record.len() + sealed::TAG_LEN);
        object.extend_from_slice(&self.header());
        object.extend_from_slice(record);
        self.seal(Section::Record, 0, &mut object, HEADER_LEN);
        object
    }
}

/// Opens the sections of a stored object.
#[derive(Debug)]
pub struct Opener {
    key: ObjectKey,
}

impl Opener {
    pub(super) fn new(key: ObjectKey) -> Self {
        Self { key }
    }

    /// Opens a section where it lies; its plaintext is the front of `sealed`.
    pub fn open<'a>(&self, section: Section, ordinal: u64, sealed: &'a mut [u8]) -> Result<&'a mut [u8], CryptoError> {
        let nonce = sealed::section_nonce(section, ordinal);
        self.key.key.open(nonce, &self.key.associated(section, ordinal), sealed)
    }

    /// Opens a section and cuts its tag off.
    pub fn open_vec(&self, section: Section, ordinal: u64, mut sealed: Vec<u8>) -> Result<Vec<u8>, CryptoError> {
        let plain = self.open(section, ordinal, &mut sealed)?.len();
        sealed.truncate(plain);
        Ok(sealed)
    }
}
