//! Streams made to do harm, and streams that are merely damaged.

use super::*;
use crate::tar::header::{BLOCK, Header};
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::{TempDir, tempdir};

/// A target `in` beside which lies a file `secret` that nothing must touch.
struct Target {
    dir: TempDir,
    options: ExtractOptions,
}

impl Target {
    fn new(replace: bool) -> Self {
        let dir = tempdir().unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        Self { dir, options: ExtractOptions { replace, holes: true, ..ExtractOptions::default() } }
    }

    fn inside(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("in").join(name)
    }

    /// Extracts entries one after the other, past errors; gives the outcome of the last one.
    fn extract(&self, entries: &[(Entry, &[u8])]) -> Result<(), ExtractError> {
        let mut ignore = |_: &[u8], _: ExtractProblem| {};
        let mut extractor = Extractor::new(open_folder(&self.dir.path().join("in")), self.options, &mut ignore);
        let mut last = Ok(());
        for (entry, data) in entries {
            last = extractor.extract(entry, &mut &data[..]);
        }
        extractor.finish().unwrap();
        assert_eq!(fs::read(self.dir.path().join("secret")).unwrap(), b"secret");
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 2, "nothing appears beside the target");
        last
    }
}

#[test]
fn names_that_lead_outside_are_refused() {
    let long = format!("a/{}", "x/".repeat(40_000));
    for name in ["../evil", "a/../../evil", "/evil", "a//b", "./a", "a/", "", "..", "a/..", "a\0b", &long] {
        for kind in [EntryKind::File, EntryKind::Dir, EntryKind::Fifo] {
            let outcome = Target::new(true).extract(&[(Entry::new(name, kind), b"")]);
            assert!(matches!(outcome, Err(ExtractError::Refused(_))), "{name:?}");
        }
    }
    let root_as_file = Target::new(true).extract(&[(file(".", b""), b"")]);
    assert!(matches!(root_as_file, Err(ExtractError::Refused(_))));
}

#[test]
fn nothing_goes_through_a_planted_link() {
    for replace in [false, true] {
        for (planted, name) in [("..", "l/secret"), ("/etc", "l/evil"), ("../secret", "l/x"), (".", "l/in")] {
            for kind in [EntryKind::File, EntryKind::Dir, EntryKind::Fifo] {
                let target = Target::new(replace);
                let outcome =
                    target.extract(&[(link("l", EntryKind::Symlink, planted), b""), (Entry::new(name, kind), b"")]);
                assert!(matches!(outcome, Err(ExtractError::NotAFolder)), "{planted} {name} {outcome:?}");
            }
        }
    }
}

#[test]
fn nothing_is_written_through_a_link_of_the_same_name() {
    let entries = [(link("l", EntryKind::Symlink, "../secret"), &b""[..]), (file("l", b"evil"), b"evil")];
    assert!(matches!(Target::new(false).extract(&entries), Err(ExtractError::Exists)));
    let target = Target::new(true);
    target.extract(&entries).unwrap();
    assert_eq!(fs::read(target.inside("l")).unwrap(), b"evil");
    let entries = [(link("l", EntryKind::Symlink, ".."), &b""[..]), (Entry::new("l", EntryKind::Dir), b"")];
    assert!(matches!(Target::new(false).extract(&entries), Err(ExtractError::Exists)));
    let target = Target::new(true);
    target.extract(&entries).unwrap();
    assert!(fs::symlink_metadata(target.inside("l")).unwrap().is_dir());
}

#[test]
fn hard_links_stay_inside() {
    for outside in ["../secret", "/etc/passwd", "", "a/../../secret"] {
        let outcome = Target::new(true).extract(&[(link("h", EntryKind::Hardlink, outside), b"")]);
        assert!(matches!(outcome, Err(ExtractError::Refused(_))), "{outside:?}");
    }
    let up = (link("up", EntryKind::Symlink, ".."), &b""[..]);
    let outcome = Target::new(true).extract(&[up, (link("h", EntryKind::Hardlink, "up/secret"), b"")]);
    assert!(matches!(outcome, Err(ExtractError::NotAFolder)));
    let target = Target::new(true);
    let planted = (link("s", EntryKind::Symlink, "../secret"), &b""[..]);
    let then_write = (file("h", b"evil"), &b"evil"[..]);
    target.extract(&[planted, (link("h", EntryKind::Hardlink, "s"), b""), then_write]).unwrap();
    assert!(target.inside("s").is_symlink());
}

#[test]
fn links_that_were_there_before_are_not_followed_either() {
    let target = Target::new(true);
    symlink("..", target.inside("old")).unwrap();
    let outcome = target.extract(&[(file("old/secret", b"evil"), b"evil")]);
    assert!(matches!(outcome, Err(ExtractError::NotAFolder)));
}

#[test]
fn folders_are_never_replaced_and_never_follow_a_later_link() {
    let target = Target::new(true);
    let entries = [(Entry::new("d", EntryKind::Dir), &b""[..]), (link("d", EntryKind::Symlink, ".."), b"")];
    assert!(matches!(target.extract(&entries), Err(ExtractError::FolderInTheWay)));
    assert!(matches!(target.extract(&[(file("d", b""), b"")]), Err(ExtractError::FolderInTheWay)));
    let below_a_file = [(file("f", b""), &b""[..]), (file("f/x", b""), b"")];
    assert!(matches!(target.extract(&below_a_file), Err(ExtractError::NotAFolder)));
}

#[test]
fn files_are_replaced_only_on_request() {
    let entries = [(file("f", b"old"), &b"old"[..]), (file("f", b"newer"), b"newer")];
    assert!(matches!(Target::new(false).extract(&entries), Err(ExtractError::Exists)));
    let target = Target::new(true);
    target.extract(&entries).unwrap();
    assert_eq!(fs::read(target.inside("f")).unwrap(), b"newer");
}

#[test]
fn closed_folders_are_closed_only_at_the_end() {
    let closed = Entry { mode: 0o500, ..Entry::new("a/b", EntryKind::Dir) };
    let target = Target::new(false);
    target.extract(&[(closed, b""), (file("a/b/c/d", b"x"), b"x"), (Entry::new("a", EntryKind::Dir), b"")]).unwrap();
    let mode = |name: &str| std::os::unix::fs::MetadataExt::mode(&fs::metadata(target.inside(name)).unwrap()) & 0o7777;
    assert_eq!([mode("a"), mode("a/b"), mode("a/b/c")], [0o755, 0o500, 0o700]);
}

#[test]
fn half_a_file_does_not_stay() {
    let target = Target::new(true);
    let outcome = target.extract(&[(Entry { size: 10, stored: 10, ..file("f", b"") }, b"short")]);
    assert!(matches!(outcome, Err(ExtractError::Data(_))));
    assert!(!target.inside("f").exists());
}

/// A header block with the given type and size.
fn header(typeflag: u8, size: u64) -> Header {
    Header { name: b"f".to_vec(), mode: 0o644, size, typeflag, ..Header::default() }
}

/// A stream of one pax header with `records`, then `header`, then `rest`, padded.
fn with_pax(records: &[(&str, &str)], header: &Header, rest: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    records.iter().for_each(|(key, value)| pax::push(&mut text, key.as_bytes(), value.as_bytes()));
    let mut out = self::header(b'x', text.len() as u64).encode().to_vec();
    for part in [&text[..], &header.encode(), rest, &[0; 2 * BLOCK]] {
        out.extend_from_slice(part);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out
}

fn error_of(stream: &[u8]) -> TarError {
    read_all(TarReader::new(stream)).expect_err("a bad stream is refused")
}

#[test]
fn sizes_that_overflow_are_refused() {
    for size in ["9223372036854775808", "18446744073709551615"] {
        assert!(matches!(error_of(&with_pax(&[("size", size)], &header(b'0', 0), b"")), TarError::TooLarge { .. }));
    }
    let too_many_digits = with_pax(&[("size", "99999999999999999999999")], &header(b'0', 0), b"");
    assert!(matches!(error_of(&too_many_digits), TarError::Extension { .. }));
    let absent = with_pax(&[("size", "9223372036854775807")], &header(b'0', 0), b"");
    assert!(matches!(error_of(&absent), TarError::Io(_)));
    for skipped in [b'V', b'D'] {
        let stream = header(skipped, (8 << 30) - 1).encode();
        assert!(matches!(error_of(&stream), TarError::Truncated { .. }));
    }
}

#[test]
fn huge_extended_headers_are_refused_before_they_are_read() {
    for (typeflag, limit) in [(b'x', MAX_PAX), (b'g', MAX_PAX), (b'L', MAX_NAME + 1), (b'K', MAX_NAME + 1)] {
        let stream = header(typeflag, limit as u64 + 1).encode();
        assert!(matches!(error_of(&stream), TarError::TooLarge { .. }), "{}", typeflag as char);
        let stream = header(typeflag, limit as u64).encode();
        assert!(matches!(error_of(&stream), TarError::Truncated { .. }));
    }
    let mut text = Vec::new();
    pax::push(&mut text, b"comment", &vec![b'x'; 400 << 10]);
    let mut one = header(b'x', text.len() as u64).encode().to_vec();
    one.extend_from_slice(&text);
    one.resize(one.len().next_multiple_of(BLOCK), 0);
    assert!(matches!(error_of(&one.repeat(3)), TarError::TooLarge { .. }), "their sum counts");
    let long = with_pax(&[("path", &"x".repeat(MAX_NAME + 1))], &header(b'0', 0), b"");
    assert!(matches!(error_of(&long), TarError::TooLarge { .. }));
}

#[test]
fn sparse_maps_that_lie_are_refused() {
    let old: &[&[(&str, &str)]] = &[
        &[("GNU.sparse.map", "0,513"), ("GNU.sparse.size", "1000")],
        &[("GNU.sparse.map", "0,256,100,256"), ("GNU.sparse.size", "1000")],
        &[("GNU.sparse.map", "600,512"), ("GNU.sparse.size", "1000")],
        &[("GNU.sparse.map", "18446744073709551615,512"), ("GNU.sparse.size", "18446744073709551615")],
        &[("GNU.sparse.map", "0,512,1"), ("GNU.sparse.size", "1000")],
        &[("GNU.sparse.offset", "0"), ("GNU.sparse.numbytes", "100"), ("GNU.sparse.size", "1000")],
        &[("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0")],
    ];
    for records in old {
        let stream = with_pax(records, &header(b'0', 512), &[1; 512]);
        assert!(matches!(error_of(&stream), TarError::Extension { .. }), "{records:?}");
    }
    let v1 = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "1000")];
    for map in ["1\n0\n513\n", "9999999\n", "1\n600\n512\n", "2\n0\n500\n400\n12\n", "no map", "1\n", "1000000\n1\n"] {
        let mut data = map.as_bytes().to_vec();
        data.resize(1024, 0);
        data[512..].fill(1);
        let stream = with_pax(&v1, &header(b'0', 1024), &data);
        assert!(matches!(error_of(&stream), TarError::Extension { .. }), "{map:?}");
    }
    let good = with_pax(&v1, &header(b'0', 522), &[&b"1\n900\n10\n"[..], &[0; 503], &[7; 10]].concat());
    let all = read_all(TarReader::new(&good)).unwrap();
    assert_eq!((all[0].0.sparse.as_deref(), all[0].0.size, all[0].0.stored), (Some(&[(900, 10)][..]), 1000, 10));
}

#[test]
fn unknown_and_malformed_headers_are_refused() {
    assert!(matches!(error_of(&header(b'M', 0).encode()), TarError::UnknownType { flag: 'M', .. }));
    assert!(matches!(error_of(&[b'x'; BLOCK]), TarError::Header { what: "checksum", at: 0 }));
    let mut text = header(b'x', 5).encode().to_vec();
    text.extend_from_slice(&[b'z'; BLOCK]);
    assert!(matches!(error_of(&text), TarError::Extension { .. }));
    let mut reader = TarReader::new(&text[..]);
    assert!(reader.next_entry().is_err());
    assert!(matches!(reader.next_entry(), Err(TarError::GivenUp)));
}

#[test]
fn every_truncation_is_noticed() {
    let sparse = Entry { size: 99_999, stored: 600, sparse: Some(vec![(0, 600)]), ..file("s", b"") };
    let long = file("long/".repeat(60).into_bytes().repeat(2).strip_suffix(b"/").unwrap(), &[5; 1000]);
    let stream =
        archive(&[(file("a", &[1; 700]), &[1; 700]), (sparse, &[2; 600]), (long, &[5; 1000]), (file("e", b""), b"")]);
    let whole = read_all(TarReader::new(&stream)).unwrap();
    assert_eq!(whole.len(), 4);
    for len in 0..=stream.len() - 1024 {
        assert!(read_all(TarReader::new(&stream[..len])).is_err(), "cut at {len}");
    }
    // One block of zeros ends an archive, and what follows does not matter.
    for end in [vec![0; 512], vec![0; 1024], [[0; 512], [9; 512]].concat()] {
        let stream = [&stream[..stream.len() - 1024], &end].concat();
        assert_eq!(read_all(TarReader::new(&stream)).unwrap(), whole);
    }
}

#[test]
fn a_part_may_end_after_any_entry_but_not_inside() {
    let stream = archive(&[(file("a", &[1; 700]), &[1; 700]), (file("x".repeat(200), b""), b"")]);
    let ends = [(0, 0), (512 + 700, 1), (512 + 900, 1), (1536, 1), (1536 + 1536, 2), (stream.len(), 2)];
    for len in (0..stream.len()).step_by(4) {
        let read = read_all(TarReader::new_part(&stream[..len])).map(|all| all.len()).ok();
        let inside_padding = (1212..1536).contains(&len).then_some(1);
        let want = ends.iter().find(|end| end.0 == len).map(|end| end.1).or(inside_padding);
        let after_end_mark = len >= 3072 + 512;
        assert_eq!(read, if after_end_mark { Some(2) } else { want }, "cut at {len}");
    }
}

#[test]
fn no_extension_without_its_entry() {
    let stream = with_pax(&[("path", "x")], &header(b'0', 0), b"");
    let lone = [&stream[..1024], &[0; 1024]].concat();
    assert!(matches!(error_of(&lone), TarError::Truncated { .. }));
    assert!(read_all(TarReader::new_part(&stream[..1024])).is_err());
}
