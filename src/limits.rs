//! Every size, count and queue bound in one place, related to each other at compile time.
//!
//! Bounds on *stored* values are part of the format (format-spec.md, section "Limits"): a reader refuses what
//! exceeds them before it allocates anything.

/// Bytes of a stream that one worker scans at a time. A power of two, so that its BLAKE3 is a subtree of the
/// BLAKE3 of the whole stream.
pub const SEGMENT_BYTES: usize = 1 << 20;

/// Plaintext bytes after which a block of new chunks is closed.
pub const BLOCK_TARGET_BYTES: usize = 256 << 10;

/// Largest chunk that any profile may cut, in bytes (format limit).
pub const CHUNK_MAX_BYTES: usize = 1 << 20;

/// Largest plaintext of one block, in bytes (format limit): a full block and one more chunk.
pub const BLOCK_MAX_BYTES: usize = BLOCK_TARGET_BYTES + CHUNK_MAX_BYTES;

/// Chunks after which a block is closed, however small they are.
pub const BLOCK_MAX_CHUNKS: usize = 4096;

/// Stored bytes after which a pack is closed.
pub const PACK_TARGET_BYTES: usize = 16 << 20;

/// Bytes of lists that wait to be stored in one place.
pub const LISTS_TOGETHER: usize = 4 << 20;

/// Largest stored pack, in bytes (format limit).
pub const PACK_MAX_BYTES: usize = 32 << 20;

/// Most chunks in a pack (format limit): an index row numbers them in 16 bits.
pub const PACK_MAX_CHUNKS: usize = u16::MAX as usize;

/// Longest stored block that this program writes, in bytes: with its seal, and padding if there is any.
pub const BLOCK_MAX_STORED: usize = (BLOCK_MAX_BYTES + 64) / 8 * 9;

/// Most packs of which a pack holds blocks that were moved as they were (format limit).
pub const FOREIGN_ENVELOPES: usize = 4096;

/// Most rows in a list node (format limit).
pub const NODE_MAX_ROWS: usize = 64;

/// Deepest chunk list (format limit): 2^15 streams of the largest length would fit.
pub const LIST_MAX_DEPTH: u8 = 24;

/// Longest stream in bytes (format limit): lengths in list nodes have six bytes.
pub const STREAM_MAX_BYTES: u64 = (1 << 48) - 1;

/// Largest sealed record (manifest, session, gc record, config), in bytes (format limit).
pub const RECORD_MAX_BYTES: usize = 64 << 20;

/// Most memory that one list of a record may claim before its elements are read, in bytes.
pub const RECORD_LIST_BYTES: usize = 4 << 20;

/// Most elements of any other list in a record (format limit).
pub const LIST_ELEMENTS: usize = 1 << 16;

/// Largest window of a zstd frame, in bytes (format limit): what a reader needs to decompress it in pieces.
pub const ZSTD_WINDOW_BYTES: u64 = 2 << 20;

/// Most streams of a snapshot (format limit).
pub const STREAMS: usize = 10_000;

/// Largest footer of an index run or directory of a pack, in plaintext bytes (format limit).
pub const FOOTER_MAX_BYTES: usize = 40 << 20;

/// Largest object of any kind, in bytes (format limit).
pub const OBJECT_MAX_BYTES: u64 = RECORD_MAX_BYTES as u64 + 4096;

/// Periods for which objects in a bucket may be locked: long enough to be renewed by upkeep that is late for days, and
/// not so long that a slip costs years.
pub const LOCK_PERIODS: std::ops::RangeInclusive<std::time::Duration> = days(3)..=days(400);

/// How far clocks may be apart, in nanoseconds, before what another has dated is from the future: farther than zones of time
/// are.
pub const CLOCKS_APART: i64 = 86_400 * 1_000_000_000;

const fn days(days: u64) -> std::time::Duration {
    std::time::Duration::from_secs(days * 24 * 3600)
}

/// New rows kept in memory before they are written as an index run.
pub const PENDING_ROWS: usize = 256 << 10;

/// Groups of index runs on one level before a writer merges them into one of the next level.
pub const INDEX_FAN_IN: usize = 8;

/// Most rows in an index run: a merge writes as many runs as it needs.
pub const RUN_MAX_ROWS: usize = 1 << 20;

/// Index pages kept decrypted (4 KiB each).
pub const PAGE_CACHE_PAGES: usize = 3072;

/// Bytes of filters that are kept in memory; an index that needs more goes without and reads pages instead.
pub const FILTER_BYTES: usize = 24 << 20;

/// Pack directories kept decoded.
pub const DIRECTORY_CACHE: usize = 12;

/// Bytes at the end of a pack in which most directories lie: dumps that compress well have 20,000 chunks in a pack, and
/// lists as many again.
pub const DIRECTORY_GUESS: u64 = 768 << 10;

/// Blocks of lists that a restore reads together, of one pack: as many as wait for each other.
pub const LISTS_AHEAD: usize = LISTS_TOGETHER / BLOCK_TARGET_BYTES;

/// Decompressed blocks of lists that a restore keeps: those of a pack that has many, and as many of others.
pub const LIST_CACHE: usize = 2 * LISTS_AHEAD;

/// Decompressed blocks that a restore keeps for chunks that come again.
pub const BLOCK_CACHE: usize = 32;

/// Blocks that a restore has under way ahead of its output.
pub const RESTORE_AHEAD: usize = 16;

/// Packs of a bucket that a restore has in memory or under way: one that it reads, and two that come.
pub const PACKS_AHEAD: usize = 3;

/// Bytes of a stream that a restore from a bucket looks ahead for packs that it will need.
pub const SCOUT_BYTES: u64 = 128 << 20;

/// The same in chunks.
pub const SCOUT_CHUNKS: usize = 32 << 10;

/// Small objects of a bucket that are read at a time.
pub const READS_AT_A_TIME: usize = 16;

/// Packs on their way into a bucket at a time.
pub const UPLOADS: usize = 3;

/// Chunks whose names in two repositories a copy knows at a time.
pub const NAMES: usize = 512 << 10;

/// Objects that are mirrored at a time.
pub const MIRROR_AHEAD: usize = 4;

/// Segments under way between the source and the joiner.
pub const SEGMENTS_AHEAD: usize = 6;

/// Blocks under way between the joiner and the packer.
pub const BLOCKS_AHEAD: usize = 12;

const _: () = assert!(SEGMENT_BYTES.is_power_of_two());
const _: () = assert!(CHUNK_MAX_BYTES <= SEGMENT_BYTES);
const _: () = assert!(CHUNK_MAX_BYTES < 1 << 24, "chunk lengths are stored in three bytes");
/// Bytes of a directory, at most.
const DIRECTORY_BYTES: usize = PACK_MAX_CHUNKS * 38 + FOREIGN_ENVELOPES * 132;
// An eighth more than a pack holds at most: that is what padding adds to it at most.
const _: () = assert!((PACK_TARGET_BYTES + BLOCK_MAX_BYTES + DIRECTORY_BYTES) / 8 * 9 <= PACK_MAX_BYTES);

/// What the buffers of a running snapshot may hold at most, in bytes: the sum behind the memory promise.
pub const SNAPSHOT_BUFFER_BYTES: usize = (2 * SEGMENTS_AHEAD + 4) * SEGMENT_BYTES
    + 2 * BLOCKS_AHEAD * BLOCK_TARGET_BYTES
    + 2 * (PACK_TARGET_BYTES + BLOCK_TARGET_BYTES)
    + LISTS_TOGETHER
    + BLOCK_MAX_BYTES
    + PAGE_CACHE_PAGES * 4096
    + PENDING_ROWS * 64;

const _: () = assert!(SNAPSHOT_BUFFER_BYTES <= 100 << 20);

/// What more a snapshot into a bucket holds, in bytes.
pub const UPLOAD_BUFFER_BYTES: usize = UPLOADS * (PACK_TARGET_BYTES + BLOCK_TARGET_BYTES);

const _: () = assert!(SNAPSHOT_BUFFER_BYTES + UPLOAD_BUFFER_BYTES <= 140 << 20);
