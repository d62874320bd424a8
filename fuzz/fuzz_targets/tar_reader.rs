//! Streams nobody vouches for: the reader never panics or runs away, and sound entries survive writing and reading.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use sfarc::tar::{Entry, EntryKind, TarReader, TarWriter};
use sfarc_fuzz::{Choices, Counting, peak_of, sow};

#[global_allocator]
static COUNTING: Counting = Counting;

const BLOCK: usize = 512;

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    let mut choices = Choices(input);
    let mode = choices.byte();
    let mut stream = choices.0.to_vec();
    if mode & 1 != 0 {
        fix_checksums(&mut stream);
    }
    let peak = peak_of(|| drop(read(&stream, mode)));
    assert!(peak <= (24 << 20) + 64 * stream.len(), "{} bytes made it allocate {peak}", stream.len());
    let entries = read(&stream, mode);
    let sound: Vec<_> = entries.into_iter().filter(|(entry, data)| is_writable(entry, data)).collect();
    assert_eq!(read(&written(&sound), 0), sound);
});

/// All entries with their data; an entry whose data ends too early is the last.
fn read(stream: &[u8], mode: u8) -> Vec<(Entry, Vec<u8>)> {
    let mut reader = if mode & 2 == 0 { TarReader::new(stream) } else { TarReader::new_part(stream) };
    let mut entries = Vec::new();
    while let Ok(Some((entry, header_len))) = reader.next_entry() {
        assert!(reader.position() <= stream.len() as u64 && header_len <= reader.position());
        let mut data = Vec::new();
        if mode & 4 == 0 && reader.by_ref().take(entry.stored).read_to_end(&mut data).is_err() {
            break;
        }
        assert!(data.len() as u64 <= entry.stored);
        entries.push((entry, data));
    }
    assert!(!matches!(reader.next_entry(), Ok(Some(_))), "there is an entry after the end");
    entries
}

fn is_writable(entry: &Entry, data: &[u8]) -> bool {
    entry.check().is_ok() && entry.stored == data.len() as u64
}

fn written(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (entry, data) in entries {
        tar.append(entry).expect("a sound entry can be written");
        tar.write_data(data).expect("its data can be written");
    }
    tar.finish().expect("the archive is complete")
}

/// Gives every block that looks like a header the checksum that it should have: random ones are never right.
fn fix_checksums(stream: &mut [u8]) {
    for block in stream.chunks_exact_mut(BLOCK).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// A block as other programs write it.
fn header(name: &[u8], kind: u8, size: usize, magic: &[u8; 8]) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = kind;
    block[257..265].copy_from_slice(magic);
    block
}

/// An extension and a file after it.
fn extended(kind: u8, magic: &[u8; 8], body: &[u8]) -> Vec<u8> {
    let mut stream = header(b"ext", kind, body.len(), magic);
    stream.extend(body);
    stream.resize(stream.len().next_multiple_of(BLOCK), 0);
    stream.extend(header(b"file", b'0', 3, magic));
    stream.extend(b"abc");
    stream.resize(stream.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    stream
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let record = |(key, value): &(&str, &str)| {
        let rest = format!(" {key}={value}\n");
        let len = (1..).find(|len| len.to_string().len() + rest.len() == *len).unwrap_or_default();
        format!("{len}{rest}").into_bytes()
    };
    records.iter().flat_map(record).collect()
}

fn seeds() -> Vec<Vec<u8>> {
    const POSIX: &[u8; 8] = b"ustar\x0000";
    const GNU: &[u8; 8] = b"ustar  \0";
    let sparse =
        Entry { size: 9000, stored: 5, sparse: Some(vec![(100, 2), (8000, 3)]), ..Entry::new("s", EntryKind::File) };
    let ours = [
        (Entry::new(".", EntryKind::Dir), Vec::new()),
        (Entry { size: 5, stored: 5, ..Entry::new("a/file", EntryKind::File) }, b"hello".to_vec()),
        (Entry { link: b"a/file".to_vec(), ..Entry::new("hard", EntryKind::Hardlink) }, Vec::new()),
        (Entry { link: b"/else/where".to_vec(), ..Entry::new("soft", EntryKind::Symlink) }, Vec::new()),
        (
            Entry {
                xattrs: vec![(b"user.x".to_vec(), b"\0y".to_vec())],
                ..Entry::new("x".repeat(300), EntryKind::Dir)
            },
            Vec::new(),
        ),
        (Entry { device: (1, 3), ..Entry::new("null", EntryKind::CharDevice) }, Vec::new()),
        (sparse, b"abcde".to_vec()),
    ];
    let mut old_sparse = header(b"old", b'S', 512, GNU);
    old_sparse[386..398].copy_from_slice(b"00000001000\0");
    old_sparse[398..410].copy_from_slice(b"00000001000\0");
    old_sparse[483..495].copy_from_slice(b"00000002000\0");
    old_sparse.extend([7; 512]);
    old_sparse.extend([0; 1024]);
    let v1_0 = pax(&[
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "n"),
        ("GNU.sparse.realsize", "9"),
    ]);
    let streams = [
        (0, written(&ours)),
        (2, written(&ours[1..2])),
        (
            1,
            extended(
                b'x',
                POSIX,
                &pax(&[("path", "long/name"), ("size", "3"), ("mtime", "-1.5"), ("uid", "70000000000")]),
            ),
        ),
        (1, extended(b'g', POSIX, &pax(&[("gname", "all"), ("mtime", "1")]))),
        (
            1,
            extended(
                b'x',
                POSIX,
                &pax(&[
                    ("SCHILY.xattr.user.a", "b"),
                    ("GNU.sparse.map", "0,3"),
                    ("GNU.sparse.size", "9"),
                    ("GNU.sparse.numblocks", "1"),
                ]),
            ),
        ),
        (1, extended(b'x', POSIX, &v1_0)),
        (1, extended(b'L', GNU, b"a/long/name/of/gnu\0")),
        (1, extended(b'K', GNU, b"target\0")),
        (1, old_sparse),
    ];
    streams.into_iter().map(|(mode, stream)| [vec![mode], stream].concat()).collect()
}
