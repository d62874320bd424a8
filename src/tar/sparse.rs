//! Maps of the data in sparse files, as the formats in use write them.
//!
//! Pax 1.0 (the one sfarc writes) puts a text map before the data, pax 0.0 and 0.1 put it into records, and old GNU
//! archives into the header and blocks after it. All of them end with an empty extent at the file's size if the file
//! ends with a hole.

use super::header::{BLOCK, Block, padding};
use super::number::{self, decode_decimal};
use super::{MAX_EXTENTS, names};

/// Where data lies in a file: offset and length in bytes.
pub type Extent = (u64, u64);

/// Longest line in a text map: the digits of `u64::MAX`.
const MAX_DIGITS: usize = 20;

/// The sum of the extents, if they are ordered, do not overlap and lie within `size`.
pub(super) fn check(map: &[Extent], size: u64) -> Option<u64> {
    if map.len() > MAX_EXTENTS {
        return None;
    }
    let (end, sum) = map.iter().try_fold((0u64, 0u64), |(end, sum), &(offset, len)| {
        (offset >= end).then_some((offset.checked_add(len)?, sum.checked_add(len)?))
    })?;
    (end <= size).then_some(sum)
}

/// The pax 1.0 map of a file of `size` bytes, padded to whole blocks.
pub(super) fn encode_text(map: &[Extent], size: u64) -> Vec<u8> {
    let data_end = map.last().map_or(0, |&(offset, len)| offset + len);
    let hole_at_end = (data_end < size || map.is_empty()).then_some((size, 0));
    let mut out = format!("{}\n", map.len() + usize::from(hole_at_end.is_some())).into_bytes();
    for (offset, len) in map.iter().copied().chain(hole_at_end) {
        out.extend_from_slice(format!("{offset}\n{len}\n").as_bytes());
    }
    out.resize(out.len() + padding(out.len() as u64), 0);
    out
}

/// The name in the header of a sparse file, for programs that would take map and data for a file.
pub(super) fn substitute_name(path: &[u8]) -> Vec<u8> {
    let (dir, base) = names::split(path);
    let dir = if dir.is_empty() { names::ROOT } else { dir };
    [dir, b"/GNUSparseFile.0/", base].concat()
}

/// The map of pax 0.1: numbers with commas between them.
pub(super) fn decode_list(list: &[u8]) -> Option<Vec<Extent>> {
    if list.is_empty() {
        return Some(Vec::new());
    }
    let mut numbers = list.split(|&b| b == b',').map(decode_decimal);
    let mut map = Vec::new();
    while let Some(offset) = numbers.next() {
        map.push((offset?, numbers.next()??));
    }
    Some(map)
}

/// The map of pax 1.0, block by block as it arrives.
#[derive(Debug, Default)]
pub(super) struct TextMap {
    line: Vec<u8>,
    /// Numbers still to come; `None` before the count, which is the first line.
    left: Option<usize>,
    offset: Option<u64>,
    map: Vec<Extent>,
}

impl TextMap {
    /// Takes the next block. `Some(true)` when the map is complete, `None` if it is not a map.
    pub(super) fn take(&mut self, block: &Block) -> Option<bool> {
        for &byte in block {
            if self.left == Some(0) {
                return Some(true);
            }
            match byte {
                b'\n' => self.number()?,
                _ if self.line.len() < MAX_DIGITS => self.line.push(byte),
                _ => return None,
            }
        }
        Some(self.left == Some(0))
    }

    /// The map read so far.
    pub(super) fn into_map(self) -> Vec<Extent> {
        self.map
    }

    fn number(&mut self) -> Option<()> {
        let value = decode_decimal(&self.line)?;
        self.line.clear();
        match (self.left, self.offset.take()) {
            (None, _) => {
                let extents = usize::try_from(value).ok().filter(|&extents| extents <= MAX_EXTENTS)?;
                self.left = Some(extents * 2);
                return Some(());
            }
            (Some(_), None) => self.offset = Some(value),
            (Some(_), Some(offset)) => self.map.push((offset, value)),
        }
        self.left = self.left.map(|left| left - 1);
        Some(())
    }
}

/// Fields of an old GNU sparse header: up to four extents, the flag for more, the logical size.
pub(super) fn decode_gnu_header(block: &Block) -> Option<(Vec<Extent>, bool, u64)> {
    let mut map = Vec::new();
    gnu_extents(&block[386..482], &mut map)?;
    let size = u64::try_from(number::decode(&block[483..495])?).ok()?;
    Some((map, block[482] != 0, size))
}

/// Appends the extents of a block that continues the map of an old GNU header; tells whether another such block
/// follows.
pub(super) fn decode_gnu_more(block: &Block, map: &mut Vec<Extent>) -> Option<bool> {
    gnu_extents(&block[..504], map)?;
    (map.len() <= MAX_EXTENTS).then_some(block[BLOCK - 8] != 0)
}

fn gnu_extents(fields: &[u8], map: &mut Vec<Extent>) -> Option<()> {
    for extent in fields.chunks_exact(24) {
        let (offset, len) = extent.split_at(12);
        if len[0] == 0 {
            break;
        }
        let value = |field| u64::try_from(number::decode(field)?).ok();
        map.push((value(offset)?, value(len)?));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_text(text: &[u8]) -> Option<Vec<Extent>> {
        let mut map = TextMap::default();
        for block in text.as_chunks::<BLOCK>().0 {
            if map.take(block)? {
                return Some(map.into_map());
            }
        }
        None
    }

    fn block_of(text: &str) -> Vec<u8> {
        let mut block = text.as_bytes().to_vec();
        block.resize(BLOCK, 0);
        block
    }

    #[test]
    fn maps_that_lie() {
        assert_eq!(check(&[(0, 1), (1, 2), (10, 0)], 10), Some(3));
        assert_eq!(check(&[], 0), Some(0));
        assert_eq!(check(&[(5, 1), (0, 1)], 10), None);
        assert_eq!(check(&[(0, 5), (4, 1)], 10), None);
        assert_eq!(check(&[(0, 11)], 10), None);
        assert_eq!(check(&[(u64::MAX, 2)], u64::MAX), None);
        assert_eq!(check(&vec![(0, 0); MAX_EXTENTS + 1], 10), None);
    }

    #[test]
    fn text_maps_that_are_none() {
        for bad in [
            "",
            "x\n",
            "1\n5\n",
            "\n",
            "1000001\n",
            "99999999999999999999\n",
            "999999999999999999999\n",
            "1\n-1\n5\n",
            "1\n1 \n5\n",
        ] {
            assert_eq!(decode_text(&block_of(bad)), None, "{bad:?}");
        }
        assert_eq!(decode_text(&block_of("1\n0\n5\n")), Some(vec![(0, 5)]));
        assert_eq!(decode_text(&block_of("0\n")), Some(vec![]));
    }

    #[test]
    fn lists() {
        assert_eq!(decode_list(b"0,5,10,0"), Some(vec![(0, 5), (10, 0)]));
        assert_eq!(decode_list(b""), Some(vec![]));
        for bad in [&b"1"[..], b"1,", b"1,2,", b",", b"a,b"] {
            assert_eq!(decode_list(bad), None);
        }
    }

    #[test]
    fn a_map_may_fill_its_blocks_exactly() {
        let map: Vec<_> = (0..1000).map(|i| (i * 10, 5)).collect();
        for len in 1..map.len() {
            let end = len as u64 * 10 - 5;
            let text = encode_text(&map[..len], end);
            assert_eq!(decode_text(&text).as_deref(), Some(&map[..len]));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_safe(text: Vec<u8>, list: Vec<u8>) {
            let _ = decode_text(&text);
            let _ = decode_list(&list);
        }
    }
}
