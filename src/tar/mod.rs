//! Folders as POSIX pax tar streams, and safely back.
//!
//! ```text
//! folder ──> folder.rs ──> writer.rs ──> tar stream ──> reader.rs ──> extract.rs ──> folder
//!            (walk)        (encode)                     (decode)      (create)
//! ```
//!
//! | file | what it knows |
//! |---|---|
//! | `entry.rs` | [`Entry`]: one archive member, and the rules a sound one obeys |
//! | `names.rs` | what a canonical member name is |
//! | `number.rs`, `header.rs` | the 512-byte header block: fields, octal, base-256, checksum |
//! | `pax.rs` | extended records (`"%d key=value\n"`) and what they override |
//! | `sparse.rs` | maps of the data in a file with holes, in all four formats in use |
//! | `writer.rs` | [`TarWriter`]: entries to bytes, ustar where it fits, pax where it does not |
//! | `payload.rs`, `member.rs`, `reader.rs` | [`TarReader`]: bytes to entries, for streams nobody vouches for |
//! | `beneath.rs` | opening objects below a folder without following a symlink |
//! | `xattr.rs` | extended attributes: which ones travel, reading, setting |
//! | `contents.rs` | a file's data: its holes, reading it while others may write to it |
//! | `links.rs`, `store.rs`, `folder.rs` | [`write_folder`]: walks a folder and stores what it finds |
//! | `attributes.rs`, `contents_out.rs` | what an extracted object is given: owner, mode, times; its data |
//! | `special.rs` | [`Special`]: what gives power over a machine, and is left out where others made it |
//! | `extract.rs` | [`Extractor`]: creates what entries describe, below one folder and nowhere else |
//!
//! Two properties carry the rest of the program:
//!
//! * *An unchanged folder gives the same bytes.* Entries are sorted by the raw bytes of their names, depth first, and
//!   nothing in the stream depends on the process, the machine or the moment.
//! * *Input is hostile.* The reader bounds every length before it allocates, and the extractor trusts no name and no
//!   order.
//!
//! The data of an entry starts `header_len` bytes after the end of the (padded) data of the entry before. Everything an
//! entry needs to be understood lies in those bytes: extended headers, its header, and the map of a sparse file. So the
//! bytes from there to the end of its data are a stream of their own, which [`TarReader::new_part`] reads.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod attributes;
mod beneath;
mod contents;
mod contents_out;
mod entry;
mod extract;
mod folder;
mod header;
mod links;
mod member;
mod names;
mod number;
mod pax;
mod payload;
mod reader;
mod sparse;
mod special;
mod store;
mod writer;
mod xattr;

#[cfg(test)]
mod tests;

pub use entry::{Entry, EntryKind, Timestamp, Unsound};
pub use extract::{ExtractError, ExtractOptions, ExtractProblem, Extractor};
pub use folder::{FolderError, FolderObserver, FolderOptions, FolderProblem, write_folder};
pub use reader::{TarError, TarReader};
pub use sparse::Extent;
pub use special::{LeftOut, Special};
pub use writer::{TarWriter, WriteError};

/// Longest name or link target that is read or written, in bytes. Linux allows 4096.
pub const MAX_NAME: usize = 64 << 10;

/// Most bytes of extended headers that one entry may have, together.
pub const MAX_PAX: usize = 1 << 20;

/// Most extents in the map of a sparse file.
pub const MAX_EXTENTS: usize = 1_000_000;
