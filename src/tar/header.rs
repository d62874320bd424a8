//! The 512-byte header block. Pure and total: any 512 bytes give a header or an error.

use super::number;

/// Size of a block, the unit of a tar stream.
pub(super) const BLOCK: usize = 512;

/// One block of a tar stream.
pub(super) type Block = [u8; BLOCK];

/// Bytes that a name field and the prefix field hold.
const NAME_LEN: usize = 100;
const PREFIX_LEN: usize = 155;

const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const UID: std::ops::Range<usize> = 108..116;
const GID: std::ops::Range<usize> = 116..124;
const SIZE: std::ops::Range<usize> = 124..136;
const MTIME: std::ops::Range<usize> = 136..148;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const TYPEFLAG: usize = 156;
const LINK: std::ops::Range<usize> = 157..257;
const MAGIC: std::ops::Range<usize> = 257..265;
const UNAME: std::ops::Range<usize> = 265..297;
const GNAME: std::ops::Range<usize> = 297..329;
const DEV_MAJOR: std::ops::Range<usize> = 329..337;
const DEV_MINOR: std::ops::Range<usize> = 337..345;
const PREFIX: std::ops::Range<usize> = 345..500;

const POSIX_MAGIC: &[u8; 8] = b"ustar\x0000";

/// Why a block is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The checksum is not that of the block: this is not a tar stream, or it is damaged.
    Checksum,
    /// The named field does not hold a number, or one out of range.
    Number(&'static str),
}

/// The fields of a header block. Names are raw bytes up to the first NUL, `name` with its prefix.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    /// Bytes of data after the header, before padding.
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) typeflag: u8,
    pub(super) link: Vec<u8>,
    pub(super) uname: Vec<u8>,
    pub(super) gname: Vec<u8>,
    /// Read for devices only: other entries have been seen with rubbish there.
    pub(super) device: (u32, u32),
}

impl Header {
    /// Reads a header: POSIX ustar, GNU or version 7.
    pub(super) fn decode(block: &Block) -> Result<Self, Fault> {
        if !checksum_matches(block) {
            return Err(Fault::Checksum);
        }
        let typeflag = block[TYPEFLAG];
        let has_owner_names = block[MAGIC].starts_with(b"ustar");
        let text = |range| if has_owner_names { until_nul(&block[range]) } else { &[] };
        Ok(Self {
            name: full_name(block),
            // Some programs put the file type there as well.
            mode: field::<u64>(block, MODE, "mode")? as u32 & 0o7777,
            uid: field(block, UID, "uid")?,
            gid: field(block, GID, "gid")?,
            size: field(block, SIZE, "size")?,
            mtime: field(block, MTIME, "mtime")?,
            typeflag,
            link: until_nul(&block[LINK]).to_vec(),
            uname: text(UNAME).to_vec(),
            gname: text(GNAME).to_vec(),
            device: decode_device(block, typeflag)?,
        })
    }

    /// The block of this header. What does not fit its field is cut (names) or 0 (numbers): see [`Header::fits`].
    pub(super) fn encode(&self) -> Block {
        let mut block = [0; BLOCK];
        let (prefix, name) = split_name(&self.name).unwrap_or((b"", &self.name));
        put(&mut block[PREFIX], prefix);
        put(&mut block[NAME], name);
        put(&mut block[LINK], &self.link);
        put(&mut block[UNAME], &self.uname);
        put(&mut block[GNAME], &self.gname);
        number::encode_octal(&mut block[MODE], u64::from(self.mode));
        number::encode_octal(&mut block[UID], self.uid);
        number::encode_octal(&mut block[GID], self.gid);
        number::encode_octal(&mut block[SIZE], self.size);
        number::encode_octal(&mut block[MTIME], u64::try_from(self.mtime).unwrap_or(0));
        number::encode_octal(&mut block[DEV_MAJOR], u64::from(self.device.0));
        number::encode_octal(&mut block[DEV_MINOR], u64::from(self.device.1));
        block[TYPEFLAG] = self.typeflag;
        block[MAGIC].copy_from_slice(POSIX_MAGIC);
        let sum = checksums(&block).0;
        number::encode_octal(&mut block[CHECKSUM.start..CHECKSUM.end - 1], u64::from(sum));
        block[CHECKSUM.end - 1] = b' ';
        block
    }
}

/// Whether a plain header can hold a value exactly; if not, a pax record has to.
pub(super) mod fits {
    use super::{GNAME, LINK, MTIME, SIZE, UID, UNAME, number, split_name};

    /// A member name: ASCII, and short enough in one piece or cut at a `/`.
    pub(in super::super) fn name(name: &[u8]) -> bool {
        name.is_ascii() && split_name(name).is_some()
    }

    /// A link target.
    pub(in super::super) fn link(link: &[u8]) -> bool {
        link.is_ascii() && link.len() <= LINK.len()
    }

    /// The name of an owner or a group, which must end with a NUL.
    pub(in super::super) fn owner(name: &[u8]) -> bool {
        name.is_ascii() && name.len() < UNAME.len().min(GNAME.len())
    }

    /// A user, group or device number.
    pub(in super::super) fn id(id: u64) -> bool {
        number::fits_octal(id, UID.len())
    }

    /// A length in bytes.
    pub(in super::super) fn size(size: u64) -> bool {
        number::fits_octal(size, SIZE.len())
    }

    /// A whole second.
    pub(in super::super) fn seconds(secs: i64) -> bool {
        u64::try_from(secs).is_ok_and(|secs| number::fits_octal(secs, MTIME.len()))
    }
}

/// Whether the block is all zeros, as the two are that end an archive.
pub(super) fn is_zero(block: &Block) -> bool {
    block.iter().all(|&b| b == 0)
}

/// Bytes from `len` to the next block boundary, 0 to 511.
pub(super) fn padding(len: u64) -> usize {
    let over = (len % BLOCK as u64) as usize;
    if over == 0 { 0 } else { BLOCK - over }
}

fn decode_device(block: &Block, typeflag: u8) -> Result<(u32, u32), Fault> {
    if !matches!(typeflag, b'3' | b'4') {
        return Ok((0, 0));
    }
    Ok((field(block, DEV_MAJOR, "device")?, field(block, DEV_MINOR, "device")?))
}

fn field<T: TryFrom<i128>>(block: &Block, range: std::ops::Range<usize>, what: &'static str) -> Result<T, Fault> {
    let value = number::decode(&block[range]).ok_or(Fault::Number(what))?;
    T::try_from(value).map_err(|_| Fault::Number(what))
}

/// Only POSIX headers have the prefix field: a GNU header keeps other things there.
fn full_name(block: &Block) -> Vec<u8> {
    let name = until_nul(&block[NAME]);
    let prefix = until_nul(&block[PREFIX]);
    if prefix.is_empty() || !block[MAGIC].starts_with(b"ustar\0") {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// Cuts a name into what goes into the prefix and the name field; `None` if it cannot be done.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME_LEN {
        return Some((b"", name));
    }
    // A `/` at the very end cannot be the cut: nothing would be left for the name field.
    let last = PREFIX_LEN.min(name.len() - 2);
    let slash = (1..=last).rev().find(|&at| name[at] == b'/')?;
    let (prefix, rest) = (&name[..slash], &name[slash + 1..]);
    (rest.len() <= NAME_LEN).then_some((prefix, rest))
}

fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    &field[..end]
}

fn put(field: &mut [u8], value: &[u8]) {
    let len = value.len().min(field.len());
    field[..len].copy_from_slice(&value[..len]);
}

fn checksum_matches(block: &Block) -> bool {
    let (unsigned, signed) = checksums(block);
    let stored = number::decode(&block[CHECKSUM]);
    stored == Some(i128::from(unsigned)) || stored == Some(i128::from(signed))
}

/// Sum of all bytes with blanks for the checksum itself. Some old programs summed them as signed.
fn checksums(block: &Block) -> (u32, i32) {
    let mut sums = (0u32, 0i32);
    for (at, &byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&at) { b' ' } else { byte };
        sums = (sums.0 + u32::from(byte), sums.1 + i32::from(byte as i8));
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Header {
        Header {
            name: b"dir/file".to_vec(),
            mode: 0o4755,
            uid: 1000,
            gid: 1001,
            size: 77,
            mtime: 1_700_000_000,
            typeflag: b'0',
            ..Header::default()
        }
    }

    #[test]
    fn round_trip() {
        let header = sample();
        assert_eq!(Header::decode(&header.encode()), Ok(header));
        let device = Header { typeflag: b'4', device: (8, 17), size: 0, ..sample() };
        assert_eq!(Header::decode(&device.encode()), Ok(device));
    }

    #[test]
    fn long_names_use_the_prefix() {
        for (dirs, base) in [(100, 100), (155, 100), (50, 60), (10, 98)] {
            let name = [vec![b'd'; dirs], b"/".to_vec(), vec![b'f'; base]].concat();
            assert!(fits::name(&name));
            let header = Header { name, ..sample() };
            assert_eq!(Header::decode(&header.encode()), Ok(header));
        }
        assert!(!fits::name(&[vec![b'd'; 156], b"/f".to_vec()].concat()));
        assert!(!fits::name(&[b'f'; 101]));
        assert!(!fits::name(&[vec![b'd'; 154], b"/".to_vec()].concat()));
        assert!(!fits::name("é".as_bytes()));
    }

    #[test]
    fn damage_is_noticed() {
        let mut block = sample().encode();
        block[3] ^= 1;
        assert_eq!(Header::decode(&block), Err(Fault::Checksum));
    }

    #[test]
    fn signed_checksums_of_old_programs_are_accepted() {
        let mut block = Header { name: b"\xe9t\xe9".to_vec(), ..sample() }.encode();
        let signed = checksums(&block).1;
        number::encode_octal(&mut block[CHECKSUM.start..CHECKSUM.end - 1], signed as u64);
        assert!(Header::decode(&block).is_ok());
    }

    #[test]
    fn padding_to_blocks() {
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
    }
}
