//! Member names: bytes, relative, in one canonical spelling.

/// Name of the root folder itself.
pub(super) const ROOT: &[u8] = b".";

/// The canonical spelling of a name found in an archive: without `.` and empty components, so without `./` in front and
/// `/` behind.
///
/// Purely lexical. What no spelling can make harmless is kept for [`fault`] to find: a leading `/`, `..` components,
/// NUL bytes.
pub(super) fn normalise(name: &[u8]) -> Vec<u8> {
    if name.is_empty() {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(name.len());
    if name.starts_with(b"/") {
        out.push(b'/');
    }
    for part in name.split(|&b| b == b'/') {
        if part.is_empty() || part == b"." {
            continue;
        }
        if !out.is_empty() && out != b"/" {
            out.push(b'/');
        }
        out.extend_from_slice(part);
    }
    if out.is_empty() { ROOT.to_vec() } else { out }
}

/// What keeps `name` from naming something below the folder that is archived or restored; `None` for a canonical name.
pub(super) fn fault(name: &[u8]) -> Option<&'static str> {
    if name == ROOT {
        return None;
    }
    if name.is_empty() {
        return Some("the name is empty");
    }
    if name.starts_with(b"/") {
        return Some("the name is absolute");
    }
    if name.contains(&0) {
        return Some("the name contains a NUL byte");
    }
    if name.len() > super::MAX_NAME {
        return Some("the name is too long");
    }
    name.split(|&b| b == b'/').find_map(component_fault)
}

fn component_fault(part: &[u8]) -> Option<&'static str> {
    match part {
        b"" => Some("the name has an empty component"),
        b"." => Some("the name has a \".\" component"),
        b".." => Some("the name has a \"..\" component"),
        _ => None,
    }
}

/// The folder part and the last component; the folder part is empty for a name without `/`.
pub(super) fn split(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&name[..slash], &name[slash + 1..]),
        None => (b"", name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling() {
        for (found, want) in [
            (&b"./a/b/"[..], &b"a/b"[..]),
            (b"./", b"."),
            (b".", b"."),
            (b"a//b/./c", b"a/b/c"),
            (b"//etc/", b"/etc"),
            (b"/", b"/"),
            (b"../a", b"../a"),
            (b"", b""),
            (b"...", b"..."),
        ] {
            assert_eq!(normalise(found), want);
        }
    }

    #[test]
    fn faults() {
        for good in [&b"."[..], b"a", b"a/b", b"..a/b..", b"...", b"\xff"] {
            assert_eq!(fault(good), None);
        }
        for bad in [&b""[..], b"/", b"/a", b"..", b"a/..", b"../a", b"a//b", b"a/", b"./a", b"a\0"] {
            assert!(fault(bad).is_some(), "{bad:?}");
        }
        assert!(fault(&vec![b'a'; crate::tar::MAX_NAME + 1]).is_some());
    }

    #[test]
    fn splitting() {
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
    }
}
