//! Entries to bytes: plain ustar headers where everything fits, pax headers before them where it does not.

use super::header::{BLOCK, Header, fits, padding};
use super::{Entry, EntryKind, MAX_PAX, Unsound, pax, sparse};
use std::io::{self, Write};

/// Name of every pax header block. Says nothing, so that the same records are the same bytes everywhere.
const PAX_NAME: &[u8] = b"././@PaxHeader";

const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// An entry could not be written. The stream is then incomplete and of no use.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The entry contradicts itself or has a name that cannot be stored. Nothing of it was written.
    #[error("the entry cannot be stored")]
    Unsound(#[from] Unsound),
    /// Names and attributes of the entry exceed [`MAX_PAX`]. Nothing of it was written.
    #[error("names and extended attributes are longer than {MAX_PAX} bytes")]
    TooLong,
    /// The data is not as long as the entry said.
    #[error("the data of an entry does not have the announced length")]
    Length,
    /// The destination failed.
    #[error("cannot write the tar stream")]
    Io(#[from] io::Error),
}

/// Writes a tar stream: [`append`](Self::append) an entry, write its data, and so on, then [`finish`](Self::finish).
#[derive(Debug)]
pub struct TarWriter<W> {
    out: W,
    /// Data bytes of the current entry that are still to come, and the zeros after them.
    left: u64,
    padding: usize,
}

impl<W: Write> TarWriter<W> {
    /// A writer at the start of a stream.
    pub fn new(out: W) -> Self {
        Self { out, left: 0, padding: 0 }
    }

    /// The destination.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes all that precedes the data of an entry, and returns its length in bytes.
    ///
    /// Then exactly [`Entry::stored`] bytes must follow through [`write_data`](Self::write_data).
    pub fn append(&mut self, entry: &Entry) -> Result<u64, WriteError> {
        if self.left > 0 {
            return Err(WriteError::Length);
        }
        entry.check()?;
        let head = encode_head(entry)?;
        self.out.write_all(&head)?;
        self.left = entry.stored;
        self.padding = padding(entry.stored);
        Ok(head.len() as u64)
    }

    /// Writes a piece of the current entry's data; padding follows the last one by itself.
    pub fn write_data(&mut self, data: &[u8]) -> Result<(), WriteError> {
        let len = data.len() as u64;
        self.left = self.left.checked_sub(len).ok_or(WriteError::Length)?;
        self.out.write_all(data)?;
        if self.left == 0 && len > 0 {
            self.out.write_all(&ZEROS[..self.padding])?;
        }
        Ok(())
    }

    /// Ends the stream with two blocks of zeros, flushes, and hands the destination back.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if self.left > 0 {
            return Err(WriteError::Length);
        }
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// The pax header, if one is needed, the header itself and the map of a sparse file.
fn encode_head(entry: &Entry) -> Result<Vec<u8>, WriteError> {
    let map = entry.sparse.as_ref().map_or(Vec::new(), |map| sparse::encode_text(map, entry.size));
    let header = plain_header(entry, entry.stored + map.len() as u64);
    let records = records(entry, &header);
    if records.len() > MAX_PAX {
        return Err(WriteError::TooLong);
    }
    let mut head = Vec::with_capacity(records.len() + map.len() + 3 * BLOCK);
    if !records.is_empty() {
        let size = records.len() as u64;
        let pax = Header { name: PAX_NAME.to_vec(), mode: 0o644, size, typeflag: b'x', ..Header::default() };
        head.extend_from_slice(&pax.encode());
        head.extend_from_slice(&records);
        head.resize(head.len() + padding(size), 0);
    }
    head.extend_from_slice(&header.encode());
    head.extend_from_slice(&map);
    Ok(head)
}

/// The header as it would be if all values fitted; `size` counts everything between it and the next header but padding.
fn plain_header(entry: &Entry, size: u64) -> Header {
    let name = match (entry.kind, &entry.sparse) {
        (EntryKind::Dir, _) => [&entry.path[..], b"/"].concat(),
        (_, Some(_)) => sparse::substitute_name(&entry.path),
        _ => entry.path.clone(),
    };
    Header {
        name,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        size,
        mtime: entry.mtime.secs,
        typeflag: typeflag(entry.kind),
        link: entry.link.clone(),
        uname: entry.uname.clone(),
        gname: entry.gname.clone(),
        device: entry.device,
    }
}

fn typeflag(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::File => b'0',
        EntryKind::Hardlink => b'1',
        EntryKind::Symlink => b'2',
        EntryKind::CharDevice => b'3',
        EntryKind::BlockDevice => b'4',
        EntryKind::Dir => b'5',
        EntryKind::Fifo => b'6',
    }
}

/// The pax records of what the plain header cannot hold, in a fixed order.
fn records(entry: &Entry, header: &Header) -> Vec<u8> {
    let mut out = Vec::new();
    push_names(&mut out, entry, header);
    push_numbers(&mut out, entry, header);
    for (name, value) in &entry.xattrs {
        pax::push_xattr(&mut out, name, value);
    }
    if entry.sparse.is_some() {
        pax::push(&mut out, b"GNU.sparse.major", b"1");
        pax::push(&mut out, b"GNU.sparse.minor", b"0");
        pax::push(&mut out, b"GNU.sparse.name", &entry.path);
        pax::push(&mut out, b"GNU.sparse.realsize", entry.size.to_string().as_bytes());
    }
    out
}

fn push_names(out: &mut Vec<u8>, entry: &Entry, header: &Header) {
    let is_utf8 = |text: &[u8]| std::str::from_utf8(text).is_ok();
    if ![&header.name, &header.link, &header.uname, &header.gname].into_iter().all(|text| is_utf8(text)) {
        // Pax text is UTF-8 unless this comes first.
        pax::push(out, b"hdrcharset", b"BINARY");
    }
    // A sparse file has its name in a record of its own.
    if entry.sparse.is_none() && !fits::name(&header.name) {
        pax::push(out, b"path", &header.name);
    }
    if !fits::link(&header.link) {
        pax::push(out, b"linkpath", &header.link);
    }
    for (key, name) in [(&b"uname"[..], &header.uname), (b"gname", &header.gname)] {
        if !fits::owner(name) {
            pax::push(out, key, name);
        }
    }
}

fn push_numbers(out: &mut Vec<u8>, entry: &Entry, header: &Header) {
    let (major, minor) = (u64::from(header.device.0), u64::from(header.device.1));
    for (key, value, fits) in [
        (&b"size"[..], header.size, fits::size(header.size)),
        (b"uid", header.uid, fits::id(header.uid)),
        (b"gid", header.gid, fits::id(header.gid)),
        (b"SCHILY.devmajor", major, fits::id(major)),
        (b"SCHILY.devminor", minor, fits::id(minor)),
    ] {
        if !fits {
            pax::push(out, key, value.to_string().as_bytes());
        }
    }
    if entry.mtime.nanos > 0 || !fits::seconds(entry.mtime.secs) {
        pax::push(out, b"mtime", pax::encode_time(entry.mtime).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::Timestamp;

    /// The bytes of a stream decide whether an unchanged folder costs nothing in the next snapshot: they must stay as
    /// they are.
    #[test]
    fn bytes_are_pinned() {
        let mtime = Timestamp { secs: 1, nanos: 5 };
        let plain = Entry { size: 3, stored: 3, uid: 7, ..Entry::new("dir/plain", EntryKind::File) };
        let rich =
            Entry { mtime, xattrs: vec![(b"user.x".to_vec(), b"y".to_vec())], ..Entry::new(b"\xff", EntryKind::Dir) };
        let holes =
            Entry { size: 1 << 34, stored: 3, sparse: Some(vec![(512, 3)]), ..Entry::new("holes", EntryKind::File) };
        let mut tar = TarWriter::new(Vec::new());
        let mut heads = Vec::new();
        for entry in [&plain, &rich, &holes] {
            heads.push(tar.append(entry).unwrap());
            tar.write_data(&b"abc"[..entry.stored as usize]).unwrap();
        }
        let stream = tar.finish().unwrap();
        assert_eq!((heads, stream.len()), (vec![512, 1536, 2048], 6144));
        let records = b"21 hdrcharset=BINARY\n11 path=\xff/\n21 mtime=1.000000005\n25 SCHILY.xattr.user.x=y\n";
        assert!(stream[1536..].starts_with(records));
        assert_eq!(
            blake3::hash(&stream).to_hex().as_str(),
            "47d26f674a11ab85c512f41056275d01466767244d013aba035a5798b6d83f22"
        );
    }
}
