//! Percent encoding, undone, for stand-ins of servers.

/// Undoes percent encoding; in queries a plus is a space. What is no escape stays as it is.
pub(super) fn decode(text: &str, plus_is_space: bool) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| after.get(..2).and_then(hex_byte)).flatten();
        match escaped {
            Some(value) => decoded.push(value),
            None if byte == b'+' && plus_is_space => decoded.push(b' '),
            None => decoded.push(byte),
        }
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}
