//! Keys, seals and hashes. What is derived from what, and under which context, is in format-spec.md, "Keys".

pub mod aead;
pub mod keys;
pub mod lanes;
pub mod passphrase;
pub mod recipient;
pub mod recovery;
pub mod role;
pub mod seal;
pub mod signature;
pub mod stream_hash;

use crate::format::sealed::Compartment;

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
    /// The role of the key does not open this.
    #[error("the key that was given does not open {}: that takes a password or key file of a reader", match .0 {
        Compartment::Names => "names of chunks and signatures",
        Compartment::Lists => "what leads from a snapshot to its chunks",
        Compartment::Data => "what was stored",
    })]
    NotForRole(Compartment),
    /// A public key is none.
    #[error("nothing can be sealed to this public key")]
    Recipient,
    /// The role of the key cannot do this.
    #[error("the key that was given is of a role that cannot {0}")]
    CannotDo(&'static str),
    /// Argon2 refused to run.
    #[error("the passphrase could not be turned into a key: {0}")]
    Passphrase(String),
}
