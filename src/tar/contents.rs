//! A file's data on its way into the stream: where its holes are, and reading it while others may be writing to it.

use super::sparse::{self, Extent};
use super::{MAX_EXTENTS, header};
use rustix::fd::AsFd;
use rustix::fs::{SeekFrom, Stat, seek};
use rustix::io::{Errno, pread, retry_on_intr};

/// The sparse form must save at least this many bytes.
const MIN_SAVED: u64 = 4 << 10;

/// The extents of a file that is worth storing without its holes; `None` for all others.
pub(super) fn data_extents(file: impl AsFd, stat: &Stat) -> Option<Vec<Extent>> {
    let size = stat.st_size as u64;
    let allocated = (stat.st_blocks as u64).saturating_mul(512);
    if allocated.saturating_add(MIN_SAVED) > size {
        return None;
    }
    // A file system that cannot tell its holes, or a file changing under our hands, gives a dense file: always right,
    // only larger.
    let map = seek_extents(file, size).ok().flatten()?;
    let stored = sparse::check(&map, size)?;
    let sparse_len = padded(stored) + sparse::encode_text(&map, size).len() as u64;
    (padded(size).saturating_sub(sparse_len) >= MIN_SAVED).then_some(map)
}

fn padded(len: u64) -> u64 {
    len.saturating_add(header::padding(len) as u64)
}

fn seek_extents(file: impl AsFd, size: u64) -> Result<Option<Vec<Extent>>, Errno> {
    let mut map = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match seek(&file, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            start => start?.min(size),
        };
        let end = seek(&file, SeekFrom::Hole(start))?.min(size);
        if end <= start || map.len() == MAX_EXTENTS - 1 {
            return Ok(None);
        }
        map.push((start, end - start));
        at = end;
    }
    Ok(Some(map))
}

/// How reading a file's data went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All announced bytes came.
    Complete,
    /// The file became shorter; zeros stand for the rest.
    Shorter,
    /// Reading failed; zeros stand for the rest.
    Failed(Errno),
}

/// Hands the bytes of all `extents` to `sink`, exactly as many as announced whatever happens to the file. Fails only if
/// `sink` does.
pub(super) fn read_extents<E>(
    file: impl AsFd,
    extents: &[Extent],
    buffer: &mut [u8],
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Outcome, E> {
    let mut outcome = Outcome::Complete;
    for &(mut offset, mut left) in extents {
        while left > 0 {
            let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let piece = &mut buffer[..want];
            let filled = read_piece(&file, piece, offset, &mut outcome);
            sink(&piece[..filled])?;
            offset += filled as u64;
            left -= filled as u64;
        }
    }
    Ok(outcome)
}

/// Fills a piece, or a first part of it: from the file, or with zeros once the file has failed to give what it
/// announced.
fn read_piece(file: impl AsFd, piece: &mut [u8], offset: u64, outcome: &mut Outcome) -> usize {
    if *outcome == Outcome::Complete {
        match retry_on_intr(|| pread(&file, &mut *piece, offset)) {
            Ok(0) => *outcome = Outcome::Shorter,
            Ok(filled) => return filled,
            Err(error) => *outcome = Outcome::Failed(error),
        }
    }
    piece.fill(0);
    piece.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::fs::File;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    fn read(file: &File, extents: &[Extent], buffer: usize) -> (Vec<u8>, Outcome) {
        let mut out = Vec::new();
        let outcome = read_extents(file, extents, &mut vec![0; buffer], |piece| {
            out.extend_from_slice(piece);
            Ok::<_, Infallible>(())
        });
        (out, outcome.unwrap())
    }

    #[test]
    fn extents_in_small_pieces() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        assert_eq!(read(&file, &[(1, 3), (8, 2)], 2), (b"12389".to_vec(), Outcome::Complete));
    }

    #[test]
    fn a_shorter_file_is_padded() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123").unwrap();
        assert_eq!(read(&file, &[(0, 7)], 3), (b"0123\0\0\0".to_vec(), Outcome::Shorter));
    }

    #[test]
    fn a_failing_file_is_padded() {
        let dir = tempfile::tempdir().unwrap();
        let folder = File::open(dir.path()).unwrap();
        assert_eq!(read(&folder, &[(0, 3)], 8), (vec![0; 3], Outcome::Failed(Errno::ISDIR)));
    }

    #[test]
    fn only_large_holes_count() {
        let extents = |size: u64, data: &[u64]| {
            let file = tempfile::tempfile().unwrap();
            file.set_len(size).unwrap();
            data.iter().for_each(|&at| file.write_all_at(&[1; 4096], at).unwrap());
            data_extents(&file, &rustix::fs::fstat(&file).unwrap())
        };
        assert_eq!(extents(1 << 20, &[4096, 8192, 65536]), Some(vec![(4096, 8192), (65536, 4096)]));
        assert_eq!(extents(1 << 20, &[]), Some(vec![]));
        assert_eq!(extents(8192, &[0, 4096]), None);
        assert_eq!(extents(8192, &[0]), None);
        assert_eq!(extents(3000, &[]), None);
    }
}
