//! Frames of zstd (RFC 8878) as the format allows them, told by their headers: readers of the format agree on what is
//! one, whatever their libraries accept.

use super::FormatError;
use super::codec::Fields;
use crate::limits;

const WHAT: &str = "compressed block";
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const CHECKSUM_LEN: usize = 4;

/// Fails unless `bytes` are one frame and nothing else: not skippable, without a dictionary, with a window within the
/// limit. What its blocks hold is not looked at.
pub fn check(bytes: &[u8]) -> Result<(), FormatError> {
    let mut fields = Fields::new(WHAT, bytes);
    if fields.array()? != MAGIC {
        return Err(FormatError::malformed(WHAT, "it is no zstd frame"));
    }
    let descriptor = fields.u8()?;
    check_header(&mut fields, descriptor)?;
    while !pass_block(&mut fields)? {}
    if descriptor & 4 != 0 {
        fields.bytes(CHECKSUM_LEN)?;
    }
    fields.end()
}

fn check_header(fields: &mut Fields<'_>, descriptor: u8) -> Result<(), FormatError> {
    if descriptor & 8 != 0 {
        return Err(FormatError::malformed(WHAT, "a reserved bit is set"));
    }
    let is_single_segment = descriptor & 32 != 0;
    let window = if is_single_segment { None } else { Some(window(fields.u8()?)) };
    let dictionary = fields.bytes([0, 1, 2, 4][usize::from(descriptor & 3)])?;
    if dictionary.iter().any(|byte| *byte != 0) {
        return Err(FormatError::malformed(WHAT, "it needs a dictionary"));
    }
    let size = fields.bytes(match descriptor >> 6 {
        0 => usize::from(is_single_segment),
        flag => 1 << flag,
    })?;
    let size = size.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte));
    // A frame of one segment has its content as window. Sizes of two bytes are stored less 256.
    if window.unwrap_or(size) > limits::ZSTD_WINDOW_BYTES {
        return Err(FormatError::malformed(WHAT, "its window is too large"));
    }
    Ok(())
}

fn window(descriptor: u8) -> u64 {
    let base = 1 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 7)
}

/// Passes over a block of a frame; true if it is the last.
fn pass_block(fields: &mut Fields<'_>) -> Result<bool, FormatError> {
    let header = fields.u24()?;
    let len = match header >> 1 & 3 {
        0 | 2 => header >> 3,
        1 => 1,
        _ => return Err(FormatError::malformed(WHAT, "it has a block of a reserved kind")),
    };
    fields.bytes(len as usize)?;
    Ok(header & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Vec<u8>> {
        let inputs = [Vec::new(), b"a".to_vec(), vec![7; 300], (0..=255).cycle().take(400_000).collect()];
        let levels = inputs.iter().flat_map(|input| [1, 3, 19].map(|level| (input, level)));
        levels.map(|(input, level)| zstd::bulk::compress(input, level).expect("it compresses")).collect()
    }

    #[test]
    fn frames_of_the_library_are_accepted_whole_only() {
        for frame in frames() {
            assert_eq!(check(&frame), Ok(()));
            assert!(check(&frame[..frame.len() - 1]).is_err());
            assert!(check(&[&frame[..], &[0]].concat()).is_err());
            assert!(check(&[&frame[..], &frame].concat()).is_err());
            assert!(check(&[&b"\x50\x2a\x4d\x18\x00\x00\x00\x00"[..], &frame].concat()).is_err());
        }
    }

    #[test]
    fn a_checksum_is_part_of_the_frame() {
        let mut compressor = zstd::bulk::Compressor::new(1).expect("it starts");
        compressor.include_checksum(true).expect("it is set");
        let frame = compressor.compress(&[1; 5000]).expect("it compresses");
        assert_eq!(check(&frame), Ok(()));
        assert!(check(&frame[..frame.len() - 4]).is_err());
    }

    #[test]
    fn windows_and_dictionaries_are_bounded() {
        let block = [1, 0, 0];
        let frame = |header: &[u8]| [&MAGIC[..], header, &block].concat();
        for (header, accepted) in [
            (&[0, 11 << 3][..], true),
            (&[0, 11 << 3 | 1], false),
            (&[0, 31 << 3 | 7], false),
            (&[2 << 6 | 32, 0, 0, 32, 0], true),
            (&[2 << 6 | 32, 1, 0, 32, 0], false),
            (&[3 << 6 | 32, 0, 0, 0, 0, 0, 0, 0, 1], false),
            (&[32, 0], true),
            (&[32 | 1, 0, 0], true),
            (&[32 | 1, 7, 0], false),
            (&[32 | 8, 0], false),
        ] {
            assert_eq!(check(&frame(header)).is_ok(), accepted, "{header:?}");
        }
    }
}
