//! The root key of a repository and everything that is derived from it.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::CryptoError;
use super::aead::AeadKey;
use super::lanes::KeyedHasher;
use super::recipient::{Recipient, RecipientKey};
use super::role::{self, Role, Secrets};
use super::seal::{LazyKey, ObjectKey, Opener, Per, Sealer, Unsealer, open_shared};
use super::signature::Signer;
use crate::env::Entropy;
use crate::format::FormatError;
use crate::format::config::ConfigHead;
use crate::format::divided::{DividedHeader, Envelope, ForeignEnvelope, Seal, envelope_aad};
use crate::format::sealed::{self, Cipher, Compartment, Header, SealedKind, Wrapping};
use crate::ids::{Fingerprint, RepoId};

/// Thirty-two secret bytes, wiped when dropped.
pub type Secret = Zeroizing<[u8; 32]>;

const ROOT_CONTEXTS: &str = "sfarc 2026-11-22 format 1 ";

pub(super) fn derive(context: &str, material: &[u8]) -> Secret {
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

/// The fingerprint of a repository.
pub fn fingerprint(root: &Secret, head: &ConfigHead) -> Fingerprint {
    let mut input = Zeroizing::new([0; 32 + RepoId::LEN + 24]);
    input[..32].copy_from_slice(&root[..]);
    input[32..32 + RepoId::LEN].copy_from_slice(head.repo.as_bytes());
    input[32 + RepoId::LEN..].copy_from_slice(&head.features.to_bytes());
    Fingerprint::new(*derive("fingerprint", &input[..]).first_chunk().expect("32 bytes are derived"))
}

/// What a key slot stores beside the sealed root key: it fits the key that opens the slot only. The nonce keeps slots
/// with the same passphrase from being recognised as such.
pub fn slot_commitment(key: &[u8; 32], nonce: &[u8; 12]) -> [u8; 32] {
    let mut input = Zeroizing::new([0; 32 + 12]);
    input[..32].copy_from_slice(key);
    input[32..].copy_from_slice(nonce);
    *derive("slot commitment", &input[..])
}

/// What seals and opens the keys of one compartment, for packs and for snapshots.
#[derive(Debug, Default)]
struct Division {
    packs: Unsealer,
    snapshots: Unsealer,
    public: Option<Recipient>,
}

impl Division {
    fn of(secrets: &Secrets, name: &str, pair: Option<&str>) -> Self {
        let private = pair.and_then(|pair| secrets.get(pair)).map(|private| Arc::new(RecipientKey::new(&private)));
        let unsealer = |kind: SealedKind| Unsealer {
            shared: secrets.get(&format!("{name} {}", kind as u8)),
            private: private.clone(),
        };
        Self {
            packs: unsealer(SealedKind::Pack),
            snapshots: unsealer(SealedKind::Snapshot),
            public: pair.and_then(|pair| secrets.public(pair)).map(Recipient::new),
        }
    }

    fn unsealer(&self, kind: SealedKind) -> &Unsealer {
        if kind == SealedKind::Pack { &self.packs } else { &self.snapshots }
    }
}

/// All keys of an open repository that the credential gives.
pub struct KeyRing {
    secrets: Secrets,
    /// The keys of kinds of objects that are not divided.
    wrap: Vec<(SealedKind, Secret)>,
    /// In a repository with roles: what opens the compartments.
    divisions: Option<[Division; Compartment::ALL.len()]>,
    cipher: Cipher,
    chunk_hasher: Option<KeyedHasher>,
    list_hasher: Option<KeyedHasher>,
    gear: Option<Box<[u64; 256]>>,
    prf: Option<Zeroizing<[u8; 16]>>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyRing(secret)")
    }
}

impl KeyRing {
    /// Derives all keys from the root key of a repository without roles.
    pub fn new(root: Secret, cipher: Cipher) -> Self {
        let gear = gear_table(&root);
        Self::of(Secrets::Root(root), cipher, Some(gear), None)
    }

    /// The keys of a repository with roles.
    pub fn with_roles(secrets: Secrets, cipher: Cipher) -> Self {
        let gear = secrets.get("gear seed").map(|seed| gear_table(&seed));
        let divisions = [
            Division::of(&secrets, "names", None),
            Division::of(&secrets, "lists", Some(role::LISTS)),
            Division::of(&secrets, "data", Some(role::DATA)),
        ];
        Self::of(secrets, cipher, gear, Some(divisions))
    }

    fn of(
        secrets: Secrets,
        cipher: Cipher,
        gear: Option<Box<[u64; 256]>>,
        divisions: Option<[Division; Compartment::ALL.len()]>,
    ) -> Self {
        let wrap = SealedKind::ALL.into_iter();
        let wrap = wrap.filter_map(|kind| Some((kind, secrets.get(&format!("wrap {}", kind as u8))?))).collect();
        let hasher = |name: &str| secrets.get(name).map(|key| KeyedHasher::new(&key));
        Self {
            wrap,
            divisions,
            cipher,
            chunk_hasher: hasher("chunk id"),
            list_hasher: hasher("list id"),
            gear,
            prf: secrets.get("chunker prf").and_then(|key| key.first_chunk().copied().map(Zeroizing::new)),
            secrets,
        }
    }

    /// What the credential may do.
    pub fn role(&self) -> Role {
        self.secrets.role()
    }

    /// The secrets that there are.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The root key, to seal it into another key slot.
    pub fn root(&self) -> Result<&Secret, CryptoError> {
        self.secrets.root().ok_or(CryptoError::CannotDo("change who opens the repository"))
    }

    /// True if the repository has roles.
    pub fn has_roles(&self) -> bool {
        self.divisions.is_some()
    }

    /// Names data chunks.
    pub fn chunk_hasher(&self) -> Result<&KeyedHasher, CryptoError> {
        self.chunk_hasher.as_ref().ok_or(CryptoError::CannotDo("name what is stored"))
    }

    /// Names list nodes.
    pub fn list_hasher(&self) -> Result<&KeyedHasher, CryptoError> {
        self.list_hasher.as_ref().ok_or(CryptoError::CannotDo("name chunk lists"))
    }

    /// Gear table of the chunker.
    pub fn gear(&self) -> Result<&[u64; 256], CryptoError> {
        self.gear.as_deref().ok_or(CryptoError::CannotDo("cut streams"))
    }

    /// Key of the pseudo-random function of the chunker that hides sizes.
    pub fn prf(&self) -> Result<&[u8; 16], CryptoError> {
        self.prf.as_deref().ok_or(CryptoError::CannotDo("cut streams"))
    }

    /// Signs snapshots: the key of this writer, or for readers that of the authority.
    pub fn signer(&self) -> Result<Signer, CryptoError> {
        let seed = self.secrets.get(role::OWN).or_else(|| self.secrets.get(role::AUTHORITY));
        seed.map(|seed| Signer::new(&seed)).ok_or(CryptoError::CannotDo("sign snapshots"))
    }

    /// Signs writers.
    pub fn authority(&self) -> Result<Signer, CryptoError> {
        let seed = self.secrets.get(role::AUTHORITY);
        seed.map(|seed| Signer::new(&seed)).ok_or(CryptoError::CannotDo("say who may write"))
    }

    /// The public key of the authority.
    pub fn authority_public(&self) -> Result<[u8; 32], CryptoError> {
        self.secrets.public(role::AUTHORITY).ok_or(CryptoError::CannotDo("tell who may write"))
    }

    /// Signs gc records.
    pub fn log_signer(&self) -> Result<Signer, CryptoError> {
        let seed = self.secrets.get(role::LOG);
        seed.map(|seed| Signer::new(&seed)).ok_or(CryptoError::CannotDo("forget snapshots or collect garbage"))
    }

    /// The public key that gc records must be signed with.
    pub fn log_public(&self) -> Result<[u8; 32], CryptoError> {
        self.secrets.public(role::LOG).ok_or(CryptoError::CannotDo("read the gc log"))
    }

    /// The key that seals descriptions of key slots.
    pub fn slot_info_key(&self, cipher: Cipher) -> Result<AeadKey, CryptoError> {
        let key = self.secrets.get("key slot description");
        key.map(|key| AeadKey::new(cipher, &key)).ok_or(CryptoError::CannotDo("read who opens the repository"))
    }

    /// The key that proves of copies elsewhere that a reader of this repository made them.
    pub fn copy_proof_key(&self) -> Result<Secret, CryptoError> {
        self.secrets.get("copy proof").ok_or(CryptoError::CannotDo("prove what it has copied"))
    }

    fn wrap_key(&self, kind: SealedKind) -> Result<&Secret, CryptoError> {
        let found = self.wrap.iter().find(|(of, _)| *of == kind);
        found.map(|(_, key)| key).ok_or(CryptoError::CannotDo(match kind {
            SealedKind::Writer => "tell who may write",
            SealedKind::Fence => "put fences",
            SealedKind::Session => "begin sessions",
            SealedKind::Index => "read the index",
            _ => "open this kind of object",
        }))
    }

    /// How objects of a kind are wrapped in this repository.
    pub fn wrapping(&self, kind: SealedKind) -> Wrapping {
        match kind {
            SealedKind::Pack | SealedKind::Snapshot if self.has_roles() => Wrapping::Divided,
            _ => Wrapping::Whole,
        }
    }

    /// Begins a new object: fresh random keys, wrapped into a header. Fails if the credential may not make such objects.
    pub fn sealer(&self, kind: SealedKind, entropy: &dyn Entropy) -> Result<Sealer, CryptoError> {
        match &self.divisions {
            Some(divisions) if self.wrapping(kind) == Wrapping::Divided => {
                self.divided_sealer(divisions, kind, entropy)
            }
            _ => self.whole_sealer(kind, entropy),
        }
    }

    fn whole_sealer(&self, kind: SealedKind, entropy: &dyn Entropy) -> Result<Sealer, CryptoError> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut key[..]);
        let prefix = sealed::prefix(kind, Wrapping::Whole, self.cipher);
        let (wrap_nonce, wrapped_key) = seal_shared(self.cipher, self.wrap_key(kind)?, &prefix, &key, entropy);
        let header = Header { kind, cipher: self.cipher, wrap_nonce, wrapped_key, commitment: commitment(&key) };
        let key = ObjectKey::new(kind, Wrapping::Whole, self.cipher, &key);
        Ok(Sealer::new(header.encode().to_vec(), Per::Object(key)))
    }

    fn divided_sealer(
        &self,
        divisions: &[Division],
        kind: SealedKind,
        entropy: &dyn Entropy,
    ) -> Result<Sealer, CryptoError> {
        let mut next = Compartment::ALL.into_iter().zip(divisions);
        let mut seal = || {
            let (compartment, division) = next.next().expect("there are as many divisions as compartments");
            self.fresh_envelope(division, kind, compartment, entropy)
        };
        let [(names, names_key), (lists, lists_key), (data, data_key)] = [seal()?, seal()?, seal()?];
        let header = DividedHeader { kind, cipher: self.cipher, envelopes: [names, lists, data] };
        Ok(Sealer::new(header.encode().to_vec(), Per::Compartment([names_key, lists_key, data_key])))
    }

    /// A fresh key in an envelope: shared if this side has the secret, else to those who may open it.
    fn fresh_envelope(
        &self,
        division: &Division,
        kind: SealedKind,
        compartment: Compartment,
        entropy: &dyn Entropy,
    ) -> Result<(Envelope, ObjectKey), CryptoError> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut key[..]);
        let aad = envelope_aad(&sealed::prefix(kind, Wrapping::Divided, self.cipher), compartment);
        let (seal, sealed_key) = match (&division.unsealer(kind).shared, &division.public) {
            (Some(shared), _) => {
                let (nonce, sealed_key) = seal_shared(self.cipher, shared, &aad, &key, entropy);
                (Seal::Shared(nonce), sealed_key)
            }
            (None, Some(public)) => {
                let (encapsulated, sealed_key) = public.seal(&aad, &key)?;
                (Seal::Recipient(encapsulated), sealed_key)
            }
            (None, None) => return Err(CryptoError::CannotDo("add to the repository")),
        };
        let envelope = Envelope { compartment, seal, sealed_key, commitment: commitment(&key) };
        Ok((envelope, ObjectKey::new(kind, Wrapping::Divided, self.cipher, &key)))
    }

    /// Opens the header of an object of the given kind: the front of the object.
    pub fn opener(&self, kind: SealedKind, object: &[u8]) -> Result<Result<Opener, CryptoError>, FormatError> {
        let Some(divisions) = self.divisions.as_ref().filter(|_| self.wrapping(kind) == Wrapping::Divided) else {
            return Header::decode(object, kind).map(|header| self.whole_opener(&header));
        };
        let DividedHeader { cipher, envelopes, .. } = DividedHeader::decode(object, kind)?;
        let mut divisions = divisions.iter();
        let keys = envelopes.map(|envelope| {
            let division = divisions.next().expect("there are as many divisions as compartments");
            LazyKey::new(kind, cipher, envelope, division.unsealer(kind).clone())
        });
        Ok(Ok(Opener::divided(Per::Compartment(keys))))
    }

    fn whole_opener(&self, header: &Header) -> Result<Opener, CryptoError> {
        let prefix = sealed::prefix(header.kind, Wrapping::Whole, header.cipher);
        let wrap = self.wrap_key(header.kind)?;
        let key = open_shared(header.cipher, wrap, header.wrap_nonce, &prefix, &header.wrapped_key)?;
        if commitment(&key) != header.commitment {
            return Err(CryptoError::ForeignKey);
        }
        Ok(Opener::whole(ObjectKey::new(header.kind, Wrapping::Whole, header.cipher, &key)))
    }

    /// Opens blocks that were moved out of another pack as they were. Nothing in a repository without roles.
    pub fn foreign_opener(&self, foreign: &ForeignEnvelope) -> Option<Opener> {
        let division = &self.divisions.as_ref()?[foreign.envelope.compartment as usize - 1];
        let unsealer = division.packs.clone();
        let key = LazyKey::new(SealedKind::Pack, foreign.cipher, foreign.envelope.clone(), unsealer);
        Some(Opener::divided(Per::Object(key)))
    }
}

/// Seals a key under a secret, with a random nonce.
fn seal_shared(
    cipher: Cipher,
    secret: &Secret,
    aad: &[u8],
    key: &Secret,
    entropy: &dyn Entropy,
) -> ([u8; 12], [u8; 48]) {
    let mut nonce = [0; 12];
    entropy.fill(&mut nonce);
    let mut sealed = key.to_vec();
    AeadKey::new(cipher, secret).seal(nonce, aad, &mut sealed, 0);
    (nonce, sealed.try_into().expect("a sealed key has 48 bytes"))
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
