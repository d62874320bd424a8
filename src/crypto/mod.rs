//! Keys, seals and hashes. What is derived from what, and under which context, is in format-spec.md, "Keys".

pub mod aead;
pub mod keys;
pub mod lanes;
pub mod passphrase;
pub mod seal;
pub mod stream_hash;

/// A seal that does not open, or a key that fits nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The bytes are not what was sealed: damaged, or somebody else's.
    #[error("its seal is broken: the bytes were damaged or exchanged")]
    Broken,
    /// The object key does not open under this repository's key.
    #[error("it was not sealed with this repository's key")]
    ForeignKey,
    /// No key slot opens with what was given.
    #[error("wrong password or key file")]
    WrongKey,
    /// Argon2 refused to run.
    #[error("the passphrase could not be turned into a key: {0}")]
    Passphrase(String),
}
