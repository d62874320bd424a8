//! One member of an archive being read: its header, what preceded it, and what they amount to.

use super::header::{BLOCK, Block, Header};
use super::pax::{Pax, SparseRecords};
use super::payload::Payload;
use super::reader::TarError;
use super::sparse::{self, Extent, TextMap};
use super::{Entry, EntryKind, MAX_NAME, Timestamp, names};
use std::io::Read;

/// What [`TarError::Extension`] calls a bad map.
const MAP: &str = "map of a sparse file";

/// What was said about an entry before its header.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) pax: Pax,
    /// Bytes of extended headers so far.
    pub(super) pax_len: u64,
    pub(super) gnu_name: Option<Vec<u8>>,
    pub(super) gnu_link: Option<Vec<u8>>,
    /// Something was said, so the entry must follow.
    pub(super) is_pending: bool,
}

/// The header of an entry, as a block and decoded, and its position in the stream.
pub(super) struct Member {
    pub(super) at: u64,
    pub(super) block: Block,
    pub(super) header: Header,
    pub(super) before: Before,
}

impl Member {
    /// The entry, after reading whatever lies between its header and its data.
    pub(super) fn read<R: Read>(mut self, payload: &mut Payload<R>, global: &Pax) -> Result<Entry, TarError> {
        let mut entry = self.entry(global)?;
        let stored = bounded_size(self.before.pax.size.unwrap_or(self.header.size))?;
        if self.header.typeflag == b'D' {
            // The list of names that GNU tar puts into incremental archives.
            skip_data(payload, stored)?;
        }
        if entry.kind == EntryKind::File {
            (entry.size, entry.stored) = (stored, stored);
            self.read_sparse(payload, &mut entry)?;
        }
        Ok(entry)
    }

    /// The entry as far as its headers tell, without sizes.
    fn entry(&mut self, global: &Pax) -> Result<Entry, TarError> {
        let (header, pax) = (&mut self.header, &mut self.before.pax);
        let sparse_name = pax.sparse.name.take();
        let name =
            sparse_name.or(pax.path.take()).or(self.before.gnu_name.take()).unwrap_or(std::mem::take(&mut header.name));
        let link = pax.link.take().or(self.before.gnu_link.take()).unwrap_or(std::mem::take(&mut header.link));
        if name.len().max(link.len()) > MAX_NAME {
            return Err(TarError::TooLarge { what: "name" });
        }
        let unknown = TarError::UnknownType { flag: header.typeflag.into(), at: self.at };
        let kind = kind(header.typeflag, &name).ok_or(unknown)?;
        let text = |own: &mut Option<Vec<u8>>, global: &Option<Vec<u8>>, plain: &[u8]| {
            own.take().or_else(|| global.clone()).unwrap_or_else(|| plain.to_vec())
        };
        let mtime = Timestamp { secs: header.mtime, nanos: 0 };
        Ok(Entry {
            path: names::normalise(&name),
            mode: header.mode,
            uid: pax.uid.or(global.uid).unwrap_or(header.uid),
            gid: pax.gid.or(global.gid).unwrap_or(header.gid),
            uname: text(&mut pax.uname, &global.uname, &header.uname),
            gname: text(&mut pax.gname, &global.gname, &header.gname),
            mtime: pax.mtime.or(global.mtime).unwrap_or(mtime),
            link: link_target(kind, link),
            device: device(kind, header, pax),
            xattrs: std::mem::take(&mut pax.xattrs),
            ..Entry::new(Vec::new(), kind)
        })
    }

    /// Completes the entry of a file if it is stored without its holes.
    fn read_sparse<R: Read>(&mut self, payload: &mut Payload<R>, entry: &mut Entry) -> Result<(), TarError> {
        let SparseRecords { major, size, map, .. } = std::mem::take(&mut self.before.pax.sparse);
        let (map, size) = match (self.header.typeflag, major, map) {
            (b'S', ..) => self.read_gnu_map(payload)?,
            (_, Some(1), _) => (self.read_text_map(payload, entry)?, size.unwrap_or(entry.size)),
            (_, Some(2..), _) => return Err(self.bad("format of a sparse file")),
            (.., Some(map)) => (map, size.unwrap_or(entry.size)),
            (.., None) => return Ok(()),
        };
        if sparse::check(&map, size) != Some(entry.stored) {
            return Err(self.bad(MAP));
        }
        entry.size = bounded_size(size)?;
        entry.sparse = Some(map.into_iter().filter(|&(_, len)| len > 0).collect());
        Ok(())
    }

    /// The map in an old GNU header and the blocks after it, and the logical size.
    fn read_gnu_map<R: Read>(&self, payload: &mut Payload<R>) -> Result<(Vec<Extent>, u64), TarError> {
        let header = sparse::decode_gnu_header(&self.block);
        let (mut map, mut has_more, size) = header.ok_or_else(|| self.bad(MAP))?;
        while has_more {
            let block = payload.expect_block()?;
            has_more = sparse::decode_gnu_more(&block, &mut map).ok_or_else(|| self.bad(MAP))?;
        }
        Ok((map, size))
    }

    /// The map in front of the data, as whose first part it counts until it is read.
    fn read_text_map<R: Read>(&self, payload: &mut Payload<R>, entry: &mut Entry) -> Result<Vec<Extent>, TarError> {
        let mut text = TextMap::default();
        loop {
            entry.stored = entry.stored.checked_sub(BLOCK as u64).ok_or_else(|| self.bad(MAP))?;
            let block = payload.expect_block()?;
            if text.take(&block).ok_or_else(|| self.bad(MAP))? {
                return Ok(text.into_map());
            }
        }
    }

    fn bad(&self, what: &'static str) -> TarError {
        TarError::Extension { what, at: self.at }
    }
}

/// Reads past `size` bytes of data and their padding.
pub(super) fn skip_data<R: Read>(payload: &mut Payload<R>, size: u64) -> Result<(), TarError> {
    payload.begin(bounded_size(size)?);
    payload.skip(false)
}

/// What an entry is; `None` if the flag is unknown. Version 7 had no flag for folders, only a `/` after the name.
fn kind(typeflag: u8, name: &[u8]) -> Option<EntryKind> {
    Some(match typeflag {
        0 if name.ends_with(b"/") => EntryKind::Dir,
        0 | b'0' | b'7' | b'S' => EntryKind::File,
        b'1' => EntryKind::Hardlink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' | b'D' => EntryKind::Dir,
        b'6' => EntryKind::Fifo,
        _ => return None,
    })
}

/// Hard links name members of the archive; symbolic links hold any text.
fn link_target(kind: EntryKind, link: Vec<u8>) -> Vec<u8> {
    match kind {
        EntryKind::Hardlink => names::normalise(&link),
        EntryKind::Symlink => link,
        _ => Vec::new(),
    }
}

fn device(kind: EntryKind, header: &Header, pax: &Pax) -> (u32, u32) {
    if !matches!(kind, EntryKind::CharDevice | EntryKind::BlockDevice) {
        return (0, 0);
    }
    let (major, minor) = header.device;
    (pax.device.0.unwrap_or(major), pax.device.1.unwrap_or(minor))
}

/// No file is larger than file systems can address; beyond that lies arithmetic that overflows.
fn bounded_size(size: u64) -> Result<u64, TarError> {
    if size > i64::MAX as u64 { Err(TarError::TooLarge { what: "size" }) } else { Ok(size) }
}
