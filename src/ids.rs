//! Names of stored things. Each is a type of its own, so that one can never be mistaken for another.

use std::fmt;
use std::str::FromStr;

/// Text that is not the hexadecimal form of an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of {digits} hexadecimal digits")]
pub struct ParseIdError {
    text: String,
    digits: usize,
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_value(pair[0])? << 4 | hex_value(pair[1])?;
    }
    Some(bytes)
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The id with these bytes.
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first eight hexadecimal digits: enough for people to tell ids apart.
            pub fn short(&self) -> String {
                let mut text = self.to_string();
                text.truncate(8);
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex(text).map(Self).ok_or_else(|| ParseIdError {
                    text: text.to_owned(),
                    digits: 2 * $len,
                })
            }
        }
    };
}

id_type!(
    /// Name of a chunk or a list node: the first 16 bytes of a keyed BLAKE3 of its plaintext.
    ChunkId,
    16
);
id_type!(
    /// Name of an immutable object (pack, index run, snapshot, key slot): the BLAKE3 of its stored bytes.
    ObjectId,
    32
);
id_type!(
    /// Name of a writer's session: 16 random bytes.
    SessionId,
    16
);
id_type!(
    /// Name of a repository: 16 random bytes, also the salt of its passphrases.
    RepoId,
    16
);

impl ObjectId {
    /// The name that an object with these stored bytes must have.
    pub fn of(stored: &[u8]) -> Self {
        Self(*blake3::hash(stored).as_bytes())
    }
}

/// Hashes an id by taking its first bytes: chunk ids are pseudo-random under a secret key already.
#[derive(Debug, Default, Clone, Copy)]
pub struct IdHasher(u64);

impl std::hash::Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A set of chunk ids.
pub type ChunkSet = std::collections::HashSet<ChunkId, std::hash::BuildHasherDefault<IdHasher>>;

/// What tells a repository from one that somebody else has made: it follows from its root key, its id and its features.
/// No secret; 128 bits, so that nobody finds another repository with the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint with these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    /// In groups that can be read from paper.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pair) in self.0.as_chunks::<2>().0.iter().enumerate() {
            let dash = if place == 0 { "" } else { "-" };
            write!(f, "{dash}{:02x}{:02x}", pair[0], pair[1])?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = ParseIdError;

    /// As people type it: dashes, spaces and capitals do not matter.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let digits: String = text.chars().filter(|c| *c != '-' && !c.is_whitespace()).collect();
        parse_hex(&digits.to_ascii_lowercase())
            .map(Self)
            .ok_or_else(|| ParseIdError { text: text.to_owned(), digits: 32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let id = ChunkId::new([0xa5; 16]);
        assert_eq!(id.to_string().parse::<ChunkId>(), Ok(id));
        assert_eq!(id.short(), "a5a5a5a5");
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "a5", "A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5", "zz".repeat(16).as_str()] {
            assert!(text.parse::<ChunkId>().is_err(), "{text}");
        }
    }
}
