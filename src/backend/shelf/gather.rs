//! Gathers: many small objects in one, so that whoever comes to a bucket for the first time need not ask for each
//! (format-spec.md, section 15). What is in one is as it is stored on its own, sealed, and counts for nothing until it
//! is proven like that: a gather may be old, or lost.

use std::collections::BTreeMap;

use crate::backend::{Key, Kind};
use crate::format::FormatError;
use crate::format::codec::Fields;
use crate::ids::ObjectId;

/// What a gather begins with.
const MAGIC: &[u8; 8] = b"sfarcgt1";

/// Most objects in a gather.
pub(super) const OBJECTS: usize = 4096;

/// Bytes of objects after which a gather is closed.
pub(super) const BYTES: usize = 8 << 20;

/// Before the directory: the magic and the number of rows.
const HEAD: usize = MAGIC.len() + 4;

/// A row of the directory: kind, name, length.
const ROW: usize = 1 + 32 + 4;

/// Bytes in which every directory ends.
pub(super) const DIRECTORY: u64 = (HEAD + OBJECTS * ROW) as u64;

const WHAT: &str = "gather";

/// An object in a gather, and its length in bytes.
pub(super) type Row = (Key, usize);

/// The bytes of a gather of these objects; of keys that a gather does not hold, none.
pub(super) fn encode(objects: &BTreeMap<Key, Vec<u8>>) -> Vec<u8> {
    let named: Vec<_> = objects.iter().filter_map(|(key, bytes)| Some((name(key)?, bytes))).collect();
    let mut gather = MAGIC.to_vec();
    gather.extend((named.len() as u32).to_le_bytes());
    for ((kind, name), bytes) in &named {
        gather.push(*kind);
        gather.extend(name);
        gather.extend((bytes.len() as u32).to_le_bytes());
    }
    named.iter().for_each(|(_, bytes)| gather.extend_from_slice(bytes));
    gather
}

/// True if gathers hold objects of this kind.
pub(super) fn holds(key: &Key) -> bool {
    name(key).is_some()
}

fn name(key: &Key) -> Option<(u8, [u8; 32])> {
    match key {
        Key::Snapshot(id) => Some((0, *id.as_bytes())),
        Key::Gc(epoch) => {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&epoch.to_le_bytes());
            Some((1, name))
        }
        _ => None,
    }
}

fn key(kind: u8, name: [u8; 32]) -> Option<Key> {
    match kind {
        0 => Some(Key::Snapshot(ObjectId::new(name))),
        1 if name[8..] == [0; 24] => {
            let epoch = u64::from_le_bytes(*name.first_chunk()?);
            // Only names that an object may have.
            crate::backend::layout::parse(Kind::Gc, &format!("{epoch:016x}"))
        }
        _ => None,
    }
}

/// The directory at the beginning of a gather, and where its objects begin.
pub(super) fn directory(bytes: &[u8]) -> Result<(Vec<Row>, usize), FormatError> {
    let malformed = |why| FormatError::malformed(WHAT, why);
    let mut fields = Fields::new(WHAT, bytes);
    if fields.array()? != *MAGIC {
        return Err(malformed("it begins with something else"));
    }
    let count = u32::from_le_bytes(fields.array()?) as usize;
    if count > OBJECTS {
        return Err(malformed("it has too many objects"));
    }
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let [kind] = fields.array()?;
        let key = key(kind, fields.array()?).ok_or_else(|| malformed("a row names no object"))?;
        rows.push((key, u32::from_le_bytes(fields.array()?) as usize));
    }
    Ok((rows, HEAD + count * ROW))
}

/// The objects of a gather.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<(Key, &[u8])>, FormatError> {
    let (rows, mut from) = directory(bytes)?;
    let mut objects = Vec::with_capacity(rows.len());
    for (key, len) in rows {
        let end = from.checked_add(len);
        let object = end.and_then(|end| bytes.get(from..end));
        objects.push((key, object.ok_or_else(|| FormatError::malformed(WHAT, "it is too short"))?));
        from += len;
    }
    if from == bytes.len() { Ok(objects) } else { Err(FormatError::malformed(WHAT, "it is too long")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> BTreeMap<Key, Vec<u8>> {
        let snapshot = b"a manifest".to_vec();
        BTreeMap::from([
            (Key::Snapshot(ObjectId::of(&snapshot)), snapshot),
            (Key::Gc(7), b"a record".to_vec()),
            (Key::Config, b"not gathered".to_vec()),
        ])
    }

    #[test]
    fn what_is_gathered_comes_back() {
        let gather = encode(&some());
        let objects = decode(&gather).expect("it decodes");
        let back: BTreeMap<Key, Vec<u8>> = objects.into_iter().map(|(key, bytes)| (key, bytes.to_vec())).collect();
        let mut expected = some();
        expected.remove(&Key::Config);
        assert_eq!(back, expected);
        assert_eq!(directory(&gather[..gather.len() - 3]).expect("the directory is whole").0.len(), 2);
    }

    fn from_hex(value: &serde_json::Value) -> Vec<u8> {
        let digits = value.as_str().expect("hexadecimal digits").as_bytes();
        let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
        digits.as_chunks::<2>().0.iter().map(|&[high, low]| digit(high) << 4 | digit(low)).collect()
    }

    /// The vectors of format-spec.md, made by another implementation.
    #[test]
    fn what_others_have_made_is_read_or_refused() {
        let read = |text| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        let whole = from_hex(&read(include_str!("../../../tests/vectors/format.json"))["bundle"]);
        let objects = decode(&whole).expect("it decodes");
        let expected: [(Key, &[u8]); 2] =
            [(Key::Snapshot(ObjectId::of(b"a manifest")), b"a manifest"), (Key::Gc(7), b"a record")];
        assert_eq!(objects, expected);
        let refused = read(include_str!("../../../tests/vectors/refused.json"));
        let cases = refused["values"].as_array().expect("values").iter().filter(|case| case["kind"] == "bundle");
        let mut ran = 0;
        for case in cases {
            assert_eq!(decode(&from_hex(&case["value"])).is_err(), case["refused"] == true, "{}", case["name"]);
            ran += 1;
        }
        assert!(ran > 5, "{ran}");
    }

    #[test]
    fn other_bytes_are_refused() {
        let gather = encode(&some());
        assert!((0..gather.len()).all(|len| decode(&gather[..len]).is_err()), "cut short");
        assert!(decode(&[&gather[..], b"x"].concat()).is_err(), "too long");
        for (at, byte) in [(0, 0), (8, 0xff), (11, 0xff), (12, 9), (12 + ROW * 2 - 4, 0xff)] {
            let mut bytes = gather.clone();
            bytes[at] = byte;
            assert!(decode(&bytes).is_err(), "byte {at}");
        }
    }
}
