//! Signatures: Ed25519 (RFC 8032) over a context, the repository and a message.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::keys::Secret;
use crate::ids::RepoId;

/// Length of a signature in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// What a signature is about. One of another thing is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A snapshot.
    Snapshot,
    /// A record of the gc log.
    Log,
    /// A writer whose signatures count.
    Writer,
}

impl Subject {
    const fn context(self) -> &'static [u8] {
        match self {
            Self::Snapshot => b"sfarc 2026-11-28 snapshot\0",
            Self::Log => b"sfarc 2026-11-28 gc record\0",
            Self::Writer => b"sfarc 2026-11-28 writer\0",
        }
    }

    fn message(self, repo: &RepoId, parts: &[&[u8]]) -> Vec<u8> {
        [&[self.context(), repo.as_bytes()], parts].concat().concat()
    }
}

/// A private key that signs.
pub struct Signer(Ed25519KeyPair);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(secret)")
    }
}

impl Signer {
    /// The key with this seed.
    pub fn new(seed: &Secret) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&seed[..]).expect("any 32 bytes are a seed"))
    }

    /// Its public key.
    pub fn public(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().expect("a public key has 32 bytes")
    }

    /// Signs parts whose lengths are fixed by what they are.
    pub fn sign(&self, subject: Subject, repo: &RepoId, parts: &[&[u8]]) -> [u8; SIGNATURE_LEN] {
        let signature = self.0.sign(&subject.message(repo, parts));
        signature.as_ref().try_into().expect("a signature has 64 bytes")
    }
}

/// True if the owner of this public key has signed these parts.
pub fn is_signed(public: &[u8; 32], signature: &[u8], subject: Subject, repo: &RepoId, parts: &[&[u8]]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(&subject.message(repo, parts), signature).is_ok()
}
