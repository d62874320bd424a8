//! The manifest of a snapshot, and the small records beside it: sessions and what collectors published.

use wincode::{SchemaRead, SchemaWrite};

mod rules;
mod v1;

use super::FormatError;
use super::config::Features;
use super::record::{self, Record, check_elements};
use super::sealed::{HEADER_LEN, TAG_LEN};

/// Chunker of a stream: FastCDC 2020 with the repository's gear table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ChunkSizes {
    /// Smallest chunk in bytes (but for the last).
    pub min: u32,
    /// Size in bytes around which chunks gather.
    pub avg: u32,
    /// Largest chunk in bytes.
    pub max: u32,
}

/// The root of a chunk list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ListRoot {
    /// The topmost node, or the only chunk where `depth` is 0.
    pub id: [u8; 16],
    /// Levels of nodes above the data chunks.
    pub depth: u8,
}

/// Bytes kept in the repository: their length, their hash and where their chunk list begins.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Content {
    /// Length in bytes.
    pub len: u64,
    /// BLAKE3 of all bytes.
    pub hash: [u8; 32],
    /// How it was cut.
    pub sizes: ChunkSizes,
    /// The chunk list; nothing where the length is 0.
    pub root: Option<ListRoot>,
}

/// Where a stream came from.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Origin {
    /// Standard input of the program.
    Stdin,
    /// A file; its path as bytes.
    File(Vec<u8>),
    /// A folder; its path as bytes.
    Folder(Vec<u8>),
    /// A shell command's standard output; the command.
    Command(String),
    /// The standard output of a shell command in a container of a pod.
    Pod {
        /// The namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// The container; the pod's default one, if nothing is said.
        container: Option<String>,
        /// The command.
        command: String,
    },
    /// A folder in a container of a pod, as a pax tar stream.
    PodFolder {
        /// The namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// The container; the pod's default one, if nothing is said.
        container: Option<String>,
        /// The path in the container.
        path: String,
    },
    /// Objects of the cluster, as a pax tar stream with a file for each.
    Objects {
        /// The namespace.
        namespace: String,
    },
}

/// How well the end of a stream is proven (design section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, SchemaRead, SchemaWrite)]
pub enum Proof {
    /// The source says that it succeeded.
    P0,
    /// The tail is there and the exit code is real.
    P1,
    /// A digest made at the source agrees.
    P2,
    /// The content was checked by its own rules.
    P3,
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::P0 => "p0",
            Self::P1 => "p1",
            Self::P2 => "p2",
            Self::P3 => "p3",
        })
    }
}

/// One stream of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct StreamEntry {
    /// Its name, unique in the snapshot; bytes, usually UTF-8.
    pub name: Vec<u8>,
    /// Where it came from.
    pub origin: Origin,
    /// Its bytes: the stream itself, or a pax tar stream of a folder.
    pub content: Content,
    /// For a folder: the catalog of the tar stream.
    pub catalog: Option<Content>,
    /// How well its end is proven.
    pub proof: Proof,
    /// Bytes of chunks that the repository did not have before.
    pub new_bytes: u64,
    /// What went wrong without ending the stream, one sentence each.
    pub problems: Vec<String>,
    /// What is known of the content, by name, such as the number of rows in a table.
    pub facts: Vec<(String, String)>,
}

/// The manifest of one moment.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Manifest {
    /// The moment, in nanoseconds since 1970.
    pub time: i64,
    /// How long the snapshot took, in nanoseconds.
    pub duration: u64,
    /// The host whose data it is.
    pub host: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Keys and values to find it by, sorted by key.
    pub labels: Vec<(String, String)>,
    /// The program that took it.
    pub program: String,
    /// The session that wrote it.
    pub session: [u8; 16],
    /// Stored bytes that it added: packs.
    pub added: u64,
    /// True if everything that was asked for is in it.
    pub complete: bool,
    /// The streams, in the order in which they were asked for.
    pub streams: Vec<StreamEntry>,
    /// What does not fit together, one sentence each; empty if the streams are consistent with each other.
    pub findings: Vec<String>,
}

/// Labels with this prefix mark snapshots that the program has taken for its own purposes.
pub const OWN_LABEL: &str = "sfarc/";

/// The label of a copy: the id of the snapshot that was copied, in its own repository. It marks no purpose: a copy is
/// what the original is.
pub const COPY_OF: &str = "sfarc/copy-of";

/// The label of a copy: 64 digits that only a reader of the repository that was copied from can make, of what was copied
/// and of what it is here. It marks no purpose, either.
pub const COPY_PROOF: &str = "sfarc/copy-proof";

/// The fact of a stream in a copy that says which writer had made it. What the writer said of it holds only as far as it
/// is proven.
pub const WRITER_FACT: &str = "sfarc/writer";

impl Manifest {
    /// True for a snapshot that nobody has asked for: one before a restore, or the record of a drill.
    pub fn is_own(&self) -> bool {
        let is_own = |key: &str| key.starts_with(OWN_LABEL) && key != COPY_OF && key != COPY_PROOF;
        self.labels.iter().any(|(key, _)| is_own(key))
    }

    /// True if a snapshot holds all that it was to hold, and that fits together.
    pub fn is_good(&self) -> bool {
        self.complete && self.findings.is_empty()
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == key).map(|(_, value)| &value[..])
    }
}

impl Record for Manifest {
    const WHAT: &'static str = "snapshot manifest";
    const VERSION: u16 = 2;
    const MAY_BE_PADDED: bool = true;

    fn check(&self) -> Result<(), FormatError> {
        rules::check(self)
    }

    fn decode_old(version: u16, fields: &[u8]) -> Option<Result<Self, FormatError>> {
        (version == 1).then(|| record::fields::<v1::Manifest>(Self::WHAT, fields)?.into_current())
    }
}

/// A writer at work.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct SessionRecord {
    /// Its name, as in its key.
    pub id: [u8; 16],
    /// The highest gc epoch that it saw before it began; 0 for none.
    pub epoch: u64,
    /// The host that it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// When it began, in nanoseconds since 1970. For people only: nothing is decided by it.
    pub started: i64,
}

impl Record for SessionRecord {
    const WHAT: &'static str = "session";
    const VERSION: u16 = 1;
    const MAY_BE_PADDED: bool = true;
}

/// One record of the gc log. What it says holds for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct GcRecord {
    /// Its epoch, as in its key.
    pub epoch: u64,
    /// Features that are in use from here on, beside those of the configuration.
    pub features: Features,
    /// Packs whose chunks no writer may use again; the first 16 bytes of their names.
    pub condemned: Vec<[u8; 16]>,
    /// Snapshots that are forgotten or will never be; the first 16 bytes of their names.
    pub dead: Vec<[u8; 16]>,
}

/// What is put in the place of a snapshot that a dead writer must not commit any more.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct FenceRecord {
    /// The snapshot, as in the key.
    pub snapshot: [u8; 32],
}

impl FenceRecord {
    /// Length of a stored fence in bytes: shorter than any snapshot.
    pub const STORED_LEN: u64 = (HEADER_LEN + 2 + 32 + TAG_LEN) as u64;
}

impl Record for FenceRecord {
    const WHAT: &'static str = "fence";
    const VERSION: u16 = 1;
}

impl Record for GcRecord {
    const WHAT: &'static str = "gc record";
    const VERSION: u16 = 1;
    const MAY_BE_PADDED: bool = true;

    fn check(&self) -> Result<(), FormatError> {
        check_elements(Self::WHAT, self.condemned.len().max(self.dead.len()))
    }
}
