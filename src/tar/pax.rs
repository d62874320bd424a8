//! Pax extended headers: records of the form `"%d key=value\n"`, and what they say about the entry that follows.

use super::number::decode_decimal;
use super::sparse::{self, Extent};
use super::{Timestamp, xattr};

/// Key prefix of an extended attribute, as star and GNU tar write them.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// Appends one record.
pub(super) fn push(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let body = key.len() + value.len() + 3;
    // The length counts its own digits, so adding them may add one more.
    let mut len = body + digits(body);
    if digits(len) > digits(body) {
        len = body + digits(len);
    }
    out.extend_from_slice(len.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Appends the record of an extended attribute.
pub(super) fn push_xattr(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    push(out, &[XATTR, &xattr::escape(name)].concat(), value);
}

fn digits(value: usize) -> usize {
    value.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Splits the first record off: key, value and what follows. `None` if it is malformed.
fn split_record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = text.iter().take(20).position(|&b| b == b' ')?;
    let len = usize::try_from(decode_decimal(&text[..space])?).ok()?;
    let record = text.get(space + 1..len)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&b| b == b'=')?;
    (equals > 0).then(|| (&record[..equals], &record[equals + 1..], &text[len..]))
}

/// The text of a time: decimal, with as many digits behind the point as it needs.
pub(super) fn encode_time(time: Timestamp) -> String {
    let before_1970 = time.secs < 0;
    // -1.25 s is kept as -2 s and 750 000 000 ns: the text counts away from zero.
    let (secs, nanos) = match (before_1970, time.nanos) {
        (true, 1..) => (time.secs.wrapping_add(1).unsigned_abs(), 1_000_000_000 - time.nanos),
        (_, nanos) => (time.secs.unsigned_abs(), nanos),
    };
    let sign = if before_1970 { "-" } else { "" };
    let text = format!("{sign}{secs}.{nanos:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads the text of a time; digits beyond nanoseconds are dropped.
pub(super) fn decode_time(text: &[u8]) -> Option<Timestamp> {
    let (before_1970, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let point = text.iter().position(|&b| b == b'.').unwrap_or(text.len());
    let secs = i128::from(decode_decimal(&text[..point])?);
    let nanos = i128::from(decode_nanos(text.get(point + 1..).unwrap_or(b""))?);
    let total = secs * 1_000_000_000 + nanos;
    let total = if before_1970 { -total } else { total };
    Some(Timestamp {
        secs: i64::try_from(total.div_euclid(1_000_000_000)).ok()?,
        nanos: total.rem_euclid(1_000_000_000) as u32,
    })
}

fn decode_nanos(fraction: &[u8]) -> Option<u32> {
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |at: usize| fraction.get(at).map_or(0, |&b| u32::from(b - b'0'));
    Some((0..9).fold(0, |nanos, at| nanos * 10 + digit(at)))
}

/// What extended headers say about an entry. A field that is `Some` overrides the header's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) uname: Option<Vec<u8>>,
    pub(super) gname: Option<Vec<u8>>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) size: Option<u64>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) device: (Option<u32>, Option<u32>),
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: SparseRecords,
}

/// The `GNU.sparse.*` records of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SparseRecords {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    /// The file's name, where `path` is a substitute for programs that do not know sparse files.
    pub(super) name: Option<Vec<u8>>,
    /// Logical size: `realsize`, or `size` in the older formats.
    pub(super) size: Option<u64>,
    /// The map of the formats 0.0 and 0.1; in format 1.0 it precedes the data.
    pub(super) map: Option<Vec<Extent>>,
    /// Format 0.0 gives an offset, then a length.
    offset: Option<u64>,
}

impl Pax {
    /// Applies the records of one extended header. `None` if any is malformed.
    pub(super) fn apply(&mut self, mut text: &[u8]) -> Option<()> {
        while !text.is_empty() {
            let (key, value, rest) = split_record(text)?;
            self.apply_record(key, value)?;
            text = rest;
        }
        Some(())
    }

    /// What a global header may say about all entries that follow. The rest of it (comments, names, sizes) is about no
    /// entry.
    pub(super) fn as_global(&self) -> Self {
        let all = self.clone();
        Self { uname: all.uname, gname: all.gname, uid: all.uid, gid: all.gid, mtime: all.mtime, ..Self::default() }
    }

    fn apply_record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"path" => self.path = text(value),
            b"linkpath" => self.link = text(value),
            b"uname" => self.uname = text(value),
            b"gname" => self.gname = text(value),
            b"uid" => self.uid = decimal(value)?,
            b"gid" => self.gid = decimal(value)?,
            b"size" => self.size = decimal(value)?,
            b"mtime" => self.mtime = unless_empty(value, decode_time)?,
            b"SCHILY.devmajor" => self.device.0 = device(value)?,
            b"SCHILY.devminor" => self.device.1 = device(value)?,
            _ => return self.apply_extension(key, value),
        }
        Some(())
    }

    fn apply_extension(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        if let Some(name) = key.strip_prefix(XATTR) {
            self.xattrs.push((xattr::unescape(name), value.to_vec()));
        } else if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.apply(key, value);
        }
        // Everything else (atime, comment, hdrcharset: names are bytes here in any case) changes nothing.
        Some(())
    }
}

impl SparseRecords {
    fn apply(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"major" => self.major = decimal(value)?,
            b"minor" => self.minor = decimal(value)?,
            b"name" => self.name = text(value),
            b"realsize" | b"size" => self.size = decimal(value)?,
            b"map" => self.map = Some(sparse::decode_list(value)?),
            b"offset" => self.offset = Some(decode_decimal(value)?),
            b"numbytes" => {
                let extent = (self.offset.take()?, decode_decimal(value)?);
                self.map.get_or_insert_default().push(extent);
            }
            // Announces a map, which may turn out to be empty.
            b"numblocks" => drop(self.map.get_or_insert_default()),
            _ => {}
        }
        Some(())
    }
}

/// A record with an empty value takes back what an earlier one said.
fn unless_empty<T>(value: &[u8], decode: impl Fn(&[u8]) -> Option<T>) -> Option<Option<T>> {
    if value.is_empty() { Some(None) } else { decode(value).map(Some) }
}

fn text(value: &[u8]) -> Option<Vec<u8>> {
    (!value.is_empty()).then(|| value.to_vec())
}

fn decimal(value: &[u8]) -> Option<Option<u64>> {
    unless_empty(value, decode_decimal)
}

fn device(value: &[u8]) -> Option<Option<u32>> {
    unless_empty(value, |value| u32::try_from(decode_decimal(value)?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(key: &str, value: &str) -> String {
        let mut out = Vec::new();
        push(&mut out, key.as_bytes(), value.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lengths_count_themselves() {
        assert_eq!(record("a", "b"), "6 a=b\n");
        assert_eq!(record("abc", "de"), "9 abc=de\n");
        assert_eq!(record("abc", "def"), "11 abc=def\n");
        for len in 0..2000 {
            let text = record("path", &"x".repeat(len));
            assert!(text.starts_with(&format!("{} ", text.len())));
        }
    }

    #[test]
    fn malformed_records() {
        for bad in [
            "",
            "6 a=b",
            "7 a=b\n",
            "5 a=b\n",
            "x a=b\n",
            "6  a=b\n",
            "5 ab\n",
            "5 =b\n",
            "99999999999999999999999 a=b\n",
            "0 \n",
            "2 \n",
        ] {
            assert_eq!(split_record(bad.as_bytes()), None, "{bad:?}");
        }
        assert!(Pax::default().apply(b"9 uid=-1\n").is_none());
        assert!(Pax::default().apply(b"25 GNU.sparse.numbytes=1\n").is_none());
    }

    #[test]
    fn later_records_override_and_empty_ones_withdraw() {
        let mut pax = Pax::default();
        let text = [record("path", "a"), record("path", "b"), record("uid", "7"), record("uid", "")].concat();
        pax.apply(text.as_bytes()).unwrap();
        assert_eq!((pax.path.as_deref(), pax.uid), (Some(&b"b"[..]), None));
    }

    #[test]
    fn global_headers_rename_nothing() {
        let mut pax = Pax::default();
        pax.apply([record("path", "a"), record("size", "9"), record("gid", "5")].concat().as_bytes()).unwrap();
        assert_eq!(pax.as_global(), Pax { gid: Some(5), ..Pax::default() });
    }

    #[test]
    fn times() {
        for (secs, nanos, text) in [
            (0, 0, "0"),
            (10, 0, "10"),
            (1, 500_000_000, "1.5"),
            (-1, 0, "-1"),
            (-2, 750_000_000, "-1.25"),
            (-1, 999_999_999, "-0.000000001"),
            (i64::MIN, 0, "-9223372036854775808"),
            (i64::MAX, 1, "9223372036854775807.000000001"),
        ] {
            let time = Timestamp { secs, nanos };
            assert_eq!(encode_time(time), text);
            assert_eq!(decode_time(text.as_bytes()), Some(time));
        }
        assert_eq!(decode_time(b"1.0000000019"), Some(Timestamp { secs: 1, nanos: 1 }));
        for bad in [&b""[..], b".5", b"-", b"1e5", b"1.5x", b"9223372036854775808", b"+1"] {
            assert_eq!(decode_time(bad), None);
        }
    }

    proptest! {
        #[test]
        fn any_time_survives(secs: i64, nanos in 0u32..1_000_000_000) {
            let time = Timestamp { secs, nanos };
            prop_assert_eq!(decode_time(encode_time(time).as_bytes()), Some(time));
        }

        #[test]
        fn any_bytes_are_safe(text: Vec<u8>) {
            let _ = Pax::default().apply(&text);
        }
    }
}
