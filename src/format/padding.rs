//! Lengths that say little: zeros behind what is sealed, up to the next of a few classes.

use super::FormatError;

/// Bytes of the length that stands before a padded payload.
pub const PREFIX: usize = 4;

/// The class of a length: the next number whose binary form has zeros but for its first few digits.
///
/// Padmé (Nikitin et al.: "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", PoPETs
/// 2019(4)): at most 12 % longer, 6 % from 4 KiB on, 3 % from 64 KiB on. Of a length up to L, log log L bits are left to see.
pub const fn padme(len: usize) -> usize {
    if len < 2 {
        return len;
    }
    let exponent = len.ilog2();
    let zeros = (1 << (exponent - (exponent.ilog2() + 1))) - 1;
    len.saturating_add(zeros) & !zeros
}

/// A payload with its length before it, and zeros up to `len` bytes in all, or none if it is longer.
pub fn wrap(payload: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len.max(PREFIX + payload.len()));
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().max(len), 0);
    bytes
}

/// The payload of what [`wrap`] made. `what` names it in errors.
pub fn unwrap<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a [u8], FormatError> {
    let (len, rest) = bytes.split_first_chunk::<PREFIX>().ok_or(FormatError::Truncated { what })?;
    let len = u32::from_le_bytes(*len) as usize;
    let (payload, zeros) = rest.split_at_checked(len).ok_or(FormatError::Truncated { what })?;
    require_zeros(what, zeros)?;
    Ok(payload)
}

/// Fails if padding is anything but zeros.
pub fn require_zeros(what: &'static str, bytes: &[u8]) -> Result<(), FormatError> {
    if bytes.iter().all(|&byte| byte == 0) {
        Ok(())
    } else {
        Err(FormatError::malformed(what, "its padding is not zero"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_few_close_and_closed() {
        for (len, class) in [(0, 0), (1, 1), (7, 7), (9, 10), (1000, 1024), (65_537, 67_584), (16 << 20, 16 << 20)] {
            assert_eq!(padme(len), class, "{len}");
        }
        for len in (1..5000).chain((1..500).map(|step| step * 99_991)) {
            let class = padme(len);
            assert!(class >= len && (class - len) * 100 <= len * 12, "{len}: {class}");
            assert_eq!(padme(class), class);
            assert!(len < 4096 || (class - len) * 100 <= len * 7, "{len}: {class}");
        }
        let classes: std::collections::BTreeSet<usize> = (1 << 20..2 << 20).map(padme).collect();
        assert!(classes.len() <= 33, "{}", classes.len());
    }

    #[test]
    fn what_is_wrapped_is_unwrapped_and_nothing_else() {
        for (payload, len) in [(&b""[..], 0), (b"", 9), (b"abc", 0), (b"abc", 7), (b"abc\0", 40)] {
            let wrapped = wrap(payload, len);
            assert_eq!(wrapped.len(), len.max(PREFIX + payload.len()));
            assert_eq!(unwrap("it", &wrapped), Ok(payload));
            assert!(unwrap("it", &wrapped[..PREFIX - 1]).is_err());
            assert!(payload.is_empty() || unwrap("it", &wrapped[..PREFIX + payload.len() - 1]).is_err());
            assert!(unwrap("it", &[&wrapped[..], &[1]].concat()).is_err());
        }
    }
}
