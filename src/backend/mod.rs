//! Objects in, objects out. Knows nothing of packs or snapshots.
//!
//! The seam is blocking: the middle of sfarc is plain threads, and a folder has no asynchronous interface. An
//! adapter for buckets drives its own runtime behind it.

pub mod bucket;
pub mod folder;
pub mod layout;
pub mod loose;
pub mod overlay;
pub mod place;
pub mod read_only;
pub mod shelf;
pub mod traffic;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{ObjectId, SessionId};

/// Kinds of objects; each has a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The repository's configuration: one object.
    Config,
    /// Key slots.
    Keys,
    /// Packs.
    Packs,
    /// Index runs.
    Indexes,
    /// Snapshots.
    Snapshots,
    /// Writers at work, and their snapshots before they are committed.
    Sessions,
    /// The gc log.
    Gc,
    /// Writers whose signatures count.
    Writers,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Config,
        Self::Keys,
        Self::Packs,
        Self::Indexes,
        Self::Snapshots,
        Self::Sessions,
        Self::Gc,
        Self::Writers,
    ];
}

/// Names an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The configuration.
    Config,
    /// A key slot, named by the hash of its bytes.
    Slot(ObjectId),
    /// A pack, named by the hash of its bytes.
    Pack(ObjectId),
    /// An index run, named by the hash of its bytes.
    Index(ObjectId),
    /// A snapshot, named by the hash of its bytes.
    Snapshot(ObjectId),
    /// An announced session.
    Session(SessionId),
    /// The snapshot that a session is about to commit.
    Pending(SessionId),
    /// A record of the gc log, by epoch.
    Gc(u64),
    /// The registration of a writer, named by the hash of its bytes.
    Writer(ObjectId),
}

impl Key {
    /// The kind of the object.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Config => Kind::Config,
            Self::Slot(_) => Kind::Keys,
            Self::Pack(_) => Kind::Packs,
            Self::Index(_) => Kind::Indexes,
            Self::Snapshot(_) => Kind::Snapshots,
            Self::Session(_) | Self::Pending(_) => Kind::Sessions,
            Self::Gc(_) => Kind::Gc,
            Self::Writer(_) => Kind::Writers,
        }
    }

    /// The name that the bytes of a content-addressed object must hash to.
    pub const fn content_id(&self) -> Option<&ObjectId> {
        match self {
            Self::Slot(id) | Self::Pack(id) | Self::Index(id) | Self::Snapshot(id) | Self::Writer(id) => Some(id),
            Self::Config | Self::Session(_) | Self::Pending(_) | Self::Gc(_) => None,
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&layout::path(self))
    }
}

/// What a store says of an object when it lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// The object.
    pub key: Key,
    /// Its length in bytes.
    pub len: u64,
    /// When it was stored by the store's own clock, in nanoseconds since 1970. Good for sparing work, never for
    /// deciding what is safe.
    pub modified: i64,
}

/// A failed operation on an object or a kind.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {object}")]
pub struct BackendError {
    /// What was being done.
    pub action: &'static str,
    /// To which object.
    pub object: String,
    /// Why it failed.
    #[source]
    pub cause: Cause,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// There is no such object.
    #[error("it does not exist")]
    NotFound,
    /// There is one already.
    #[error("it exists already")]
    Exists,
    /// The object is too short.
    #[error("it is shorter than it must be")]
    TooShort,
    /// The object is longer than any may be.
    #[error("it is larger than any object of a repository may be")]
    TooLong,
    /// The object is there, and its bytes cannot be read: a sector is bad, or the file system is damaged there.
    #[error("its bytes cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The bucket refused to lock what is put.
    #[error("it cannot be locked: ask for no locks (`--lock-for`), or use a bucket that was made with Object Lock")]
    Unlockable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bucket refused, or could not be reached.
    #[error(transparent)]
    Store(Box<dyn std::error::Error + Send + Sync>),
}

impl BackendError {
    /// A failed operation.
    pub fn new(action: &'static str, object: impl ToString, cause: Cause) -> Self {
        Self { action, object: object.to_string(), cause }
    }

    /// True if the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self.cause, Cause::NotFound)
    }

    /// True if the object is there and cannot be what it was: it is too short, too long, or cannot be read.
    pub fn is_damage(&self) -> bool {
        matches!(self.cause, Cause::TooShort | Cause::TooLong | Cause::Unreadable(_))
    }

    /// True if the object was to be created and exists.
    pub fn is_exists(&self) -> bool {
        matches!(self.cause, Cause::Exists)
    }
}

/// Keeps an announced session alive for as long as it is held; its end needs no clean-up to be noticed.
pub trait Hold: Send + Sync + std::fmt::Debug {}

/// A store of immutable objects.
///
/// Every implementation passes the contract suite of `testing::contract`.
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// Stores an object, all or nothing, durable on return. Never replaces one: if the key is taken, fails with
    /// `Exists`, and of several that try at once one succeeds.
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError>;

    /// Puts an object in the place of the one that is there, or where none is: atomically, so that whoever reads
    /// meanwhile gets one or the other as a whole, and durable on return.
    ///
    /// Only for a whole object in the place of a damaged one of the same name. Everything else is put: what one writer
    /// has stored no other may overwrite, and the gc protocol relies on that. Sessions are never replaced. A store that
    /// keeps objects for a time may refuse: then it fails with `Exists`, and the object stays as it was.
    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError>;

    /// The bytes of an object, or of a range of it.
    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Vec<u8>, BackendError>;

    /// Several parts of an object, where that is dear in one round.
    fn get_parts(&self, key: &Key, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>, BackendError> {
        ranges.iter().map(|range| self.get(key, Some(range.clone()))).collect()
    }

    /// The length of an object in bytes.
    fn len(&self, key: &Key) -> Result<u64, BackendError>;

    /// All objects of a kind, in no order. What is being written is not among them.
    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError>;

    /// Removes an object. Removing what is not there succeeds. A store that keeps objects for a time may refuse; then the
    /// object stays and is counted (`retained`), and somebody asks again later. Of key slots, that is an error: one that
    /// stays still opens the repository.
    fn delete(&self, key: &Key) -> Result<(), BackendError>;

    /// Stores an object like `put`, and gives the buffer back.
    fn put_buffer(&self, key: &Key, bytes: Vec<u8>) -> Result<Vec<u8>, BackendError> {
        self.put(key, &bytes).map(|()| bytes)
    }

    /// Removes objects, and says which of them the store has refused to remove. If it fails, some may be gone.
    fn delete_all(&self, keys: &[Key]) -> Result<Vec<Key>, BackendError> {
        keys.iter().try_for_each(|key| self.delete(key)).map(|()| Vec::new())
    }

    /// How often the store has refused to remove an object since it was opened.
    fn retained(&self) -> u64 {
        0
    }

    /// For how long what is put is locked, if it is: nobody can remove it sooner.
    fn lock_period(&self) -> Option<Duration> {
        None
    }

    /// Locks these objects anew, for the whole period from now on, and says of how many that moved the end. No lock ever
    /// ends sooner than before. What is not there any more is passed over.
    fn extend_locks(&self, _keys: &[Key]) -> Result<u64, BackendError> {
        Ok(0)
    }

    /// Like `list`, but what it says may be as old as this opened store: for whoever begins, and looks again before
    /// it counts.
    fn list_lately(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        self.list(kind)
    }

    /// True if each request costs time, and perhaps money: better few that are large.
    fn is_remote(&self) -> bool {
        false
    }

    /// Says that much of this pack will be read soon.
    fn expect(&self, _pack: &ObjectId) {}

    /// Says that what was expected is not needed any more.
    fn expect_no_more(&self) {}

    /// Forgets a copy of an object, so that it is read from where it is stored; true if there was one.
    fn drop_copy(&self, _key: &Key) -> bool {
        false
    }

    /// The store itself, if this one answers from copies: for whoever wants to know what is stored.
    fn without_copies(&self) -> Option<Arc<dyn Backend>> {
        None
    }

    /// Says that these objects will all be read soon.
    fn expect_all(&self, _keys: &[Key]) {}

    /// Sees to it that these snapshots and gc records can be read in few requests, where requests are dear.
    fn gather(&self, _keys: &[Key]) -> Result<(), BackendError> {
        Ok(())
    }

    /// Stores the object of a session, and marks it as alive until the hold is dropped or the process ends.
    fn announce(&self, session: &SessionId, bytes: &[u8]) -> Result<Box<dyn Hold>, BackendError>;

    /// True if a session may still be alive. When in doubt, it is.
    fn is_held(&self, session: &SessionId) -> Result<bool, BackendError>;

    /// The folder of this machine that holds the objects, if there is one.
    fn folder(&self) -> Option<&Path> {
        None
    }

    /// Removes what crashed writers left behind halfway, and says how many things that were.
    fn sweep(&self) -> Result<usize, BackendError>;
}
