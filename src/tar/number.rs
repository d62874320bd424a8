//! Numbers in header fields: octal text, or base-256 where a GNU program ran out of octal digits.

/// The value of a numeric field. `None` for anything that is neither octal (blank is 0) nor base-256.
pub(super) fn decode(field: &[u8]) -> Option<i128> {
    match field.first() {
        Some(&first) if first & 0x80 != 0 => decode_base256(first, &field[1..]),
        _ => decode_octal(field),
    }
}

fn decode_octal(field: &[u8]) -> Option<i128> {
    let text = &field[field.iter().take_while(|&&b| b == b' ').count()..];
    let end = text.iter().position(|&b| b == b' ' || b == 0).unwrap_or(text.len());
    text[..end].iter().try_fold(0i128, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i128::from(digit - b'0')),
        _ => None,
    })
}

/// Big-endian two's complement; the top bit of the first byte marks the format, the next one is the sign.
fn decode_base256(first: u8, rest: &[u8]) -> Option<i128> {
    let top = i128::from(first & 0x3f) - i128::from(first & 0x40);
    rest.iter().try_fold(top, |value, &byte| value.checked_mul(256)?.checked_add(i128::from(byte)))
}

/// Whether `value` can be written in octal into a field of `width` bytes, the last of which is the NUL that ends it.
pub(super) fn fits_octal(value: u64, width: usize) -> bool {
    let bits = 3 * (width - 1);
    bits >= 64 || value >> bits == 0
}

/// Writes `value` in octal, zero-padded and ended by a NUL; 0 if it does not fit, for then a pax record carries it.
pub(super) fn encode_octal(field: &mut [u8], value: u64) {
    let mut value = if fits_octal(value, field.len()) { value } else { 0 };
    let digits = field.len() - 1;
    field[digits] = 0;
    for digit in field[..digits].iter_mut().rev() {
        *digit = b'0' + (value & 7) as u8;
        value >>= 3;
    }
}

/// Decimal text of digits only, as pax records and sparse maps have it.
pub(super) fn decode_decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, &digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal() {
        for (field, want) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"\0\0\0\0", Some(0)),
            (b"    ", Some(0)),
            (b"", Some(0)),
            (b"12 garbage", Some(0o12)),
            (b"8", None),
            (b"-1", None),
        ] {
            assert_eq!(decode(field), want, "{field:?}");
        }
    }

    #[test]
    fn base256() {
        assert_eq!(decode(b"\x80\0\0\0\0\0\0\0\0\0\x01\x02"), Some(258));
        assert_eq!(decode(&[0xff; 12]), Some(-1));
        assert_eq!(decode(b"\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(-2));
        assert_eq!(decode(b"\xbf\xff\xff\xff\xff\xff\xff\xff"), Some((1 << 62) - 1));
    }

    #[test]
    fn widths() {
        assert!(fits_octal(0o7_777_777, 8) && !fits_octal(0o10_000_000, 8));
        assert!(fits_octal((8 << 30) - 1, 12) && !fits_octal(8 << 30, 12));
        let mut field = [b'x'; 8];
        encode_octal(&mut field, 0o1234);
        assert_eq!(&field, b"0001234\0");
        encode_octal(&mut field, 1 << 40);
        assert_eq!(&field, b"0000000\0");
    }

    #[test]
    fn decimal() {
        assert_eq!(decode_decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b"18446744073709551616"[..], b"", b"+1", b"1 ", b"-1"] {
            assert_eq!(decode_decimal(bad), None);
        }
    }
}
