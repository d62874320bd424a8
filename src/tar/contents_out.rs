//! A file's data on its way out of the stream: into its extents, keeping holes.

use super::Entry;
use crate::disk::Disk;
use rustix::fd::BorrowedFd;
use std::io::{self, Read};

/// Zeros become holes in units of this many bytes, the usual block of a file system.
const HOLE: usize = 4 << 10;

/// Bytes that are moved at a time; a multiple of [`HOLE`].
pub(super) const BUFFER: usize = 256 << 10;

/// How writing a file failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The data could not be read, or ended too early.
    Data(io::Error),
    /// The file could not be written.
    File(io::Error),
}

/// Writes the entry's data into the new, empty `file`, and gives it its size. Aligned blocks of zeros become holes if
/// `holes` is set.
pub(super) fn write(
    disk: &Disk,
    file: BorrowedFd<'_>,
    entry: &Entry,
    data: &mut impl Read,
    buffer: &mut [u8],
    holes: bool,
) -> Result<(), Failure> {
    let whole = [(0, entry.size)];
    for &(mut offset, mut left) in entry.sparse.as_deref().unwrap_or(&whole) {
        while left > 0 {
            // Up to the next multiple of the buffer's size, so that blocks of zeros are found where the file system can
            // use them.
            let room = buffer.len() - (offset % buffer.len() as u64) as usize;
            let len = usize::try_from(left).map_or(room, |left| left.min(room));
            let piece = &mut buffer[..len];
            data.read_exact(piece).map_err(Failure::Data)?;
            write_piece(disk, file, piece, offset, holes).map_err(Failure::File)?;
            offset += len as u64;
            left -= len as u64;
        }
    }
    disk.truncate(file, entry.size).map_err(|error| Failure::File(error.into()))
}

/// Writes the runs of a piece that are not zeros, or all of it.
fn write_piece(disk: &Disk, file: BorrowedFd<'_>, piece: &[u8], offset: u64, holes: bool) -> io::Result<()> {
    if !holes {
        return disk.write_all(file, piece, offset);
    }
    let to_boundary = HOLE - (offset % HOLE as u64) as usize;
    let (mut run, mut at) = (0, 0);
    while at < piece.len() {
        let end = piece.len().min(if at == 0 { to_boundary } else { at + HOLE });
        if end - at == HOLE && piece[at..end].iter().all(|&b| b == 0) {
            disk.write_all(file, &piece[run..at], offset + run as u64)?;
            run = end;
        }
        at = end;
    }
    disk.write_all(file, &piece[run..], offset + run as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::EntryKind;
    use rustix::fd::AsFd;
    use std::io::ErrorKind;
    use std::os::unix::fs::{FileExt, MetadataExt};

    fn written(entry: &Entry, data: &[u8], buffer: usize, holes: bool) -> (Vec<u8>, u64) {
        let file = tempfile::tempfile().unwrap();
        write(&Disk::default(), file.as_fd(), entry, &mut &data[..], &mut vec![0xaa; buffer], holes).unwrap();
        let meta = file.metadata().unwrap();
        let mut content = vec![0; meta.len() as usize];
        file.read_exact_at(&mut content, 0).unwrap();
        (content, meta.blocks() * 512)
    }

    #[test]
    fn zeros_become_holes_on_request() {
        let mut data = vec![0; 300_000];
        data[5000] = 1;
        data[299_999] = 1;
        let entry = Entry { size: 300_000, stored: 300_000, ..Entry::new("f", EntryKind::File) };
        let (dense, dense_len) = written(&entry, &data, 64 << 10, false);
        let (thin, thin_len) = written(&entry, &data, 64 << 10, true);
        assert!(dense == data && thin == data);
        assert!(dense_len >= 300_000 && thin_len <= 16_384, "{dense_len} {thin_len}");
    }

    #[test]
    fn odd_extents_land_where_they_belong() {
        let map = vec![(3, 5), (4090, 9000), (20_000, 1)];
        let data: Vec<u8> = (0..9006).map(|i| if i < 4000 { 7 } else { 0 }).collect();
        let entry = Entry { size: 30_000, stored: 9006, sparse: Some(map), ..Entry::new("f", EntryKind::File) };
        let mut want = vec![0; 30_000];
        want[3..8].fill(7);
        want[4090..4090 + 3995].fill(7);
        for holes in [false, true] {
            assert!(written(&entry, &data, 8192, holes).0 == want);
        }
    }

    #[test]
    fn short_data_is_an_error() {
        let entry = Entry { size: 10, stored: 10, ..Entry::new("f", EntryKind::File) };
        let file = tempfile::tempfile().unwrap();
        let failure = write(&Disk::default(), file.as_fd(), &entry, &mut &b"123"[..], &mut [0; HOLE], false);
        assert!(matches!(failure, Err(Failure::Data(error)) if error.kind() == ErrorKind::UnexpectedEof));
    }
}
