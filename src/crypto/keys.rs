//! The root key of a repository and everything that is derived from it.

use zeroize::Zeroizing;

use super::CryptoError;
use super::aead::AeadKey;
use super::lanes::KeyedHasher;
use super::seal::{ObjectKey, Opener, Sealer};
use crate::env::Entropy;
use crate::format::sealed::{self, Cipher, Header, SealedKind};
use crate::ids::RepoId;

/// Thirty-two secret bytes, wiped when dropped.
pub type Secret = Zeroizing<[u8; 32]>;

const ROOT_CONTEXTS: &str = "sfarc 2026-11-22 format 1 ";

fn derive(context: &str, material: &[u8]) -> Secret {
    Zeroizing::new(blake3::derive_key(&format!("{ROOT_CONTEXTS}{context}"), material))
}

/// The key of a key slot from the 32 bytes of a key file; another one in each repository.
pub fn key_file_key(material: &[u8; 32], repo: &RepoId) -> Secret {
    let mut input = Zeroizing::new([0; 32 + RepoId::LEN]);
    input[..32].copy_from_slice(material);
    input[32..].copy_from_slice(repo.as_bytes());
    derive("key file", &input[..])
}

/// The key of a key slot from the output of Argon2id.
pub fn passphrase_key(material: &[u8; 32]) -> Secret {
    derive("passphrase", material)
}

/// What a header stores beside a sealed key: it fits one key only.
pub fn commitment(key: &[u8; 32]) -> [u8; 32] {
    *derive("key commitment", key)
}

/// What a key slot stores beside the sealed root key: it fits the key that opens the slot only. The nonce keeps slots
/// with the same passphrase from being recognised as such.
pub fn slot_commitment(key: &[u8; 32], nonce: &[u8; 12]) -> [u8; 32] {
    let mut input = Zeroizing::new([0; 32 + 12]);
    input[..32].copy_from_slice(key);
    input[32..].copy_from_slice(nonce);
    *derive("slot commitment", &input[..])
}

/// All keys of an open repository.
pub struct KeyRing {
    root: Secret,
    wrap: [(SealedKind, Secret); 7],
    cipher: Cipher,
    /// Names data chunks.
    pub chunk_hasher: KeyedHasher,
    /// Names list nodes.
    pub list_hasher: KeyedHasher,
    /// Gear table of the chunker.
    pub gear: Box<[u64; 256]>,
    /// Key of the pseudo-random function of the chunker that hides sizes.
    pub prf: Zeroizing<[u8; 16]>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyRing(secret)")
    }
}

impl KeyRing {
    /// Derives all keys from the root key.
    pub fn new(root: Secret, cipher: Cipher) -> Self {
        use SealedKind::{Config, Fence, Gc, Index, Pack, Session, Snapshot};
        let wrap = [Config, Pack, Index, Snapshot, Session, Gc, Fence]
            .map(|kind| (kind, derive(&format!("wrap {}", kind as u8), &root[..])));
        Self {
            wrap,
            cipher,
            chunk_hasher: KeyedHasher::new(&derive("chunk id", &root[..])),
            list_hasher: KeyedHasher::new(&derive("list id", &root[..])),
            gear: gear_table(&root),
            prf: Zeroizing::new(*derive("chunker prf", &root[..]).first_chunk().expect("16 of 32 bytes")),
            root,
        }
    }

    /// The root key, to seal it into another key slot.
    pub fn root(&self) -> &Secret {
        &self.root
    }

    /// The key that seals descriptions of key slots.
    pub fn slot_info_key(&self, cipher: Cipher) -> AeadKey {
        AeadKey::new(cipher, &derive("key slot description", &self.root[..]))
    }

    fn wrap_key(&self, kind: SealedKind, cipher: Cipher) -> AeadKey {
        let (_, key) = self.wrap.iter().find(|(of, _)| *of == kind).expect("every kind has a wrapping key");
        AeadKey::new(cipher, key)
    }

    /// Begins a new object: a fresh random key, wrapped into a header.
    pub fn sealer(&self, kind: SealedKind, entropy: &dyn Entropy) -> Sealer {
        let mut key = Zeroizing::new([0; 32]);
        let mut wrap_nonce = [0; 12];
        entropy.fill(&mut key[..]);
        entropy.fill(&mut wrap_nonce);
        let mut wrapped = key.to_vec();
        let prefix = sealed::prefix(kind, self.cipher);
        self.wrap_key(kind, self.cipher).seal(wrap_nonce, &prefix, &mut wrapped, 0);
        let wrapped_key = wrapped.try_into().expect("a sealed key has 48 bytes");
        let commitment = commitment(&key);
        let header = Header { kind, cipher: self.cipher, wrap_nonce, wrapped_key, commitment };
        Sealer::new(header, ObjectKey::new(kind, self.cipher, &key))
    }

    /// Opens the header of an object of the given kind.
    pub fn opener(&self, header: &Header) -> Result<Opener, CryptoError> {
        let mut wrapped = Zeroizing::new(header.wrapped_key);
        let prefix = sealed::prefix(header.kind, header.cipher);
        let key = self
            .wrap_key(header.kind, header.cipher)
            .open(header.wrap_nonce, &prefix, &mut wrapped[..])
            .map_err(|_| CryptoError::ForeignKey)?;
        let key: &[u8; 32] = (&*key).try_into().map_err(|_| CryptoError::ForeignKey)?;
        if commitment(key) != header.commitment {
            return Err(CryptoError::ForeignKey);
        }
        Ok(Opener::new(ObjectKey::new(header.kind, header.cipher, key)))
    }
}

fn gear_table(root: &[u8; 32]) -> Box<[u64; 256]> {
    let mut bytes = Zeroizing::new([0; 256 * 8]);
    blake3::Hasher::new_derive_key(&format!("{ROOT_CONTEXTS}gear table"))
        .update(root)
        .finalize_xof()
        .fill(&mut bytes[..]);
    let mut table = Box::new([0; 256]);
    for (entry, bytes) in table.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *entry = u64::from_le_bytes(*bytes);
    }
    table
}
