//! What opens a repository.

use zeroize::Zeroizing;

use crate::crypto::keys::Secret;
use crate::format::rolekey::RoleKey;
use crate::ids::Fingerprint;

/// What opens a repository.
#[derive(Clone)]
pub enum Credential {
    /// A passphrase.
    Passphrase(Zeroizing<Vec<u8>>),
    /// The 32 bytes of a key file.
    KeyFile(Secret),
    /// The key of a role in one repository.
    Role(Box<RoleKey>),
    /// An identity of `age`, which opens what is sealed to its recipient.
    Identity {
        /// The identity.
        identity: Zeroizing<String>,
        /// Which repository: anybody can seal another one to the recipient.
        meant: Meant,
    },
    /// A recipient of `age`, to seal to. Opens nothing.
    Recovery(String),
}

/// Which repository somebody means to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// The one with this fingerprint.
    Fingerprint(Fingerprint),
    /// Whatever is there, if need be somebody else's.
    Any,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(secret)")
    }
}
