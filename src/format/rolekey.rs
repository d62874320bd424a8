//! Key files of roles, and the registrations of writers.

use wincode::{SchemaRead, SchemaWrite};

use super::FormatError;
use super::record::{Record, check_elements};

/// What a key file of a role holds.
#[derive(Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct RoleKey {
    /// The repository.
    pub repo: [u8; 16],
    /// The role, by its place in the list of limited roles.
    pub role: u8,
    /// What its maker called it.
    pub label: String,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
    /// Secrets and public keys by their names, sorted.
    pub secrets: Vec<(String, [u8; 32])>,
}

impl Drop for RoleKey {
    fn drop(&mut self) {
        self.secrets.iter_mut().for_each(|(_, secret)| zeroize::Zeroize::zeroize(secret));
    }
}

impl std::fmt::Debug for RoleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RoleKey({} secrets)", self.secrets.len())
    }
}

impl Record for RoleKey {
    const WHAT: &'static str = "role key";
    const VERSION: u16 = 1;
}

/// A writer whose signatures count.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct WriterRecord {
    /// Its public key.
    pub public: [u8; 32],
    /// What its maker called it.
    pub label: String,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
    /// Once it may write no more: the snapshots of its that count, sorted.
    pub closed: Option<Vec<[u8; 32]>>,
    /// Of the authority, over all of the above as it is encoded with a signature of zeros.
    pub signature: [u8; 64],
}

impl Record for WriterRecord {
    const WHAT: &'static str = "writer";
    const VERSION: u16 = 1;

    fn check(&self) -> Result<(), FormatError> {
        check_elements(Self::WHAT, self.closed.as_ref().map_or(0, Vec::len))
    }
}
