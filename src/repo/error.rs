//! What can go wrong with a repository.

use super::objects;
use crate::backend::{BackendError, Key};
use crate::crypto::CryptoError;
use crate::format::FormatError;
use crate::ids::{Fingerprint, ObjectId};

/// What can go wrong with a repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// There is no repository.
    #[error("there is no sfarc repository at {place}")]
    NoRepository {
        /// Where it was looked for.
        place: String,
    },
    /// The store failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// No key slot opens with the credential.
    #[error("wrong password or key file")]
    WrongKey,
    /// The writer that this credential is of was closed.
    #[error(
        "the key of this writer was closed: nothing that it takes counts; use another (`sfarc key export --role writer`)"
    )]
    WriterClosed,
    /// A file opens nothing, whatever the repository.
    #[error("{0} is not an sfarc key file, or damaged")]
    NoKeyFile(String),
    /// An object does not decode.
    #[error("{object} is damaged")]
    Format {
        /// The object.
        object: String,
        /// What is wrong with it.
        #[source]
        source: FormatError,
    },
    /// An object was written by a newer program.
    #[error("{object} cannot be read")]
    TooNew {
        /// The object.
        object: String,
        /// What is newer.
        #[source]
        source: FormatError,
    },
    /// An object does not open.
    #[error("{object} is damaged")]
    Crypto {
        /// The object.
        object: String,
        /// What is wrong with it.
        #[source]
        source: CryptoError,
    },
    /// An object is not what its name says.
    #[error("{object} is damaged: {why}")]
    Damaged {
        /// The object.
        object: String,
        /// What is wrong with it.
        why: String,
    },
    /// A chunk that a snapshot needs is nowhere.
    #[error("chunk {chunk} is missing: no pack holds it; `sfarc check` tells what else is hit")]
    MissingChunk {
        /// The chunk.
        chunk: crate::ids::ChunkId,
    },
    /// The repository uses a feature that this program does not know.
    #[error("the repository uses features that this sfarc does not know, so it cannot {action} it; use a newer sfarc")]
    UnknownFeature {
        /// What cannot be done.
        action: &'static str,
    },
    /// The session was taken for dead by a collector.
    #[error("a garbage collector took this session for dead; nothing was lost and nothing was added: run it again")]
    Fenced,
    /// Garbage must not be collected while something that may need it cannot be read.
    #[error(
        "garbage is not collected while {what} is damaged: what it needs is unknown. `sfarc check` tells more; `sfarc repair` mends what can be mended; `sfarc forget` removes a damaged snapshot"
    )]
    WillNotCollect {
        /// What cannot be read.
        what: String,
        /// Why.
        #[source]
        source: Box<RepoError>,
    },
    /// The key that was given is of a role that cannot do this.
    #[error(transparent)]
    Role(CryptoError),
    /// A snapshot that nobody has signed whose signature counts.
    #[error("{object} is forged: {why}")]
    Forged {
        /// The object.
        object: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Something that belongs to a snapshot was lost on its way into the repository.
    #[error("not everything got into the repository: {0}; nothing was saved, and this is a defect of sfarc: report it")]
    NotWhole(&'static str),
    /// A pack that a snapshot relies on is not what the index says.
    #[error(
        "pack {} {why}; nothing was saved: run it again, and what the pack held is stored anew. `sfarc check` tells which snapshots need it",
        pack.short()
    )]
    PackLost {
        /// The pack.
        pack: ObjectId,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What a session relied on was collected.
    #[error("data that this snapshot shares with removed snapshots was collected meanwhile; run it again")]
    Collected,
    /// A manifest is longer than a reader would accept.
    #[error("the manifest would be larger than 64 MiB: take fewer streams in one snapshot")]
    ManifestTooLarge,
    /// A stream is longer, or its list deeper, than a reader would accept.
    #[error("a stream is too large for the format, which holds at most 2^48 - 1 bytes a stream: divide it")]
    StreamTooLarge,
    /// No snapshot, or several, by that name.
    #[error("{0}")]
    NoSuchSnapshot(String),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// Somebody else's repository, or one whose features somebody has altered.
    #[error(
        "this is not the repository that is meant: its fingerprint is {found}, not {expected}. Somebody else has made it, or has altered its features"
    )]
    OtherRepository {
        /// Its fingerprint.
        found: Fingerprint,
        /// The one that was asked for.
        expected: Fingerprint,
    },
    /// A passphrase could not be made a key, and nothing else opens.
    #[error("no other key slot opens, and for one the password could not be tried")]
    NotStretched(#[source] CryptoError),
    /// A key slot cannot be removed or found.
    #[error("{0}")]
    KeySlot(String),
}

impl From<CryptoError> for RepoError {
    fn from(source: CryptoError) -> Self {
        objects::crypto_error("an object")(source)
    }
}

impl RepoError {
    /// The features in the configuration are not those that a key was made for.
    pub(super) fn altered_features() -> Self {
        let why =
            "the features in it are not those that the repository was made with; somebody has altered it".to_owned();
        Self::Damaged { object: Key::Config.to_string(), why }
    }

    /// Nothing is left that could open the repository.
    pub(super) fn no_slot_left() -> Self {
        let why = "no key slot is left, so that no password opens the repository; `sfarc repair --from MIRROR` with the \
                   password makes one from those of a mirror";
        Self::Damaged { object: "the folder `keys`".to_owned(), why: why.to_owned() }
    }

    /// True if stored bytes are damaged or missing.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Format { .. }
            | Self::Crypto { .. }
            | Self::Damaged { .. }
            | Self::Forged { .. }
            | Self::MissingChunk { .. } => true,
            Self::Backend(error) => error.is_not_found() || error.is_damage(),
            _ => false,
        }
    }
}
