//! What holds for all entries and for all bytes.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn component() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![4 => b'a'..=b'z', 1 => any::<u8>()];
    vec(bytes, 1..120).prop_map(|mut name| {
        name.iter_mut().filter(|byte| **byte == 0 || **byte == b'/').for_each(|byte| *byte = b'_');
        if name == b"." || name == b".." { b"dots".to_vec() } else { name }
    })
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    vec(component(), 1..5).prop_map(|parts| parts.join(&b'/'))
}

fn text(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(1u8..=255, 0..max)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..3000, 2_000_000u64..2_200_000, any::<u64>()]
}

fn kind() -> impl Strategy<Value = EntryKind> {
    use EntryKind::*;
    proptest::sample::select(vec![File, File, File, Dir, Symlink, Hardlink, Fifo, CharDevice, BlockDevice])
}

/// Extents, the size they lie in, and their sum.
fn sparse_map() -> impl Strategy<Value = (Vec<Extent>, u64, u64)> {
    (vec((0u64..1 << 40, 1u64..600), 0..40), 0u64..1 << 40).prop_map(|(gaps, tail)| {
        let (mut at, mut sum, mut map) = (0, 0, Vec::new());
        for (gap, len) in gaps {
            map.push((at + gap, len));
            at += gap + len;
            sum += len;
        }
        (map, at + tail, sum)
    })
}

prop_compose! {
    fn entry()(
        path in path(), kind in kind(), mode in 0u32..0o10000, ids in (number(), number()),
        names in (text(40), text(40)), secs in prop_oneof![0i64..1 << 32, any::<i64>()],
        nanos in prop_oneof![Just(0), 0u32..1_000_000_000], size in 0u64..3000, link in path(), symlink in text(200),
        device: (u32, u32), xattrs in vec((text(30), vec(any::<u8>(), 0..300)), 0..4),
        sparse in proptest::option::of(sparse_map()),
    ) -> Entry {
        let mut entry = Entry {
            mode, uid: ids.0, gid: ids.1, uname: names.0, gname: names.1, mtime: Timestamp { secs, nanos },
            xattrs: xattrs.into_iter().filter(|(name, _)| !name.is_empty()).collect(),
            ..Entry::new(path, kind)
        };
        match (kind, sparse) {
            (EntryKind::File, Some((map, size, stored))) => {
                (entry.sparse, entry.size, entry.stored) = (Some(map), size, stored);
            }
            (EntryKind::File, None) => (entry.size, entry.stored) = (size, size),
            (EntryKind::Hardlink, _) => entry.link = link,
            (EntryKind::Symlink, _) => entry.link = [b"x", &symlink[..]].concat(),
            (EntryKind::CharDevice | EntryKind::BlockDevice, _) => entry.device = device,
            _ => {}
        }
        entry
    }
}

/// Reads a stream to its end or first error, extracting what it holds.
fn devour(stream: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let mut ignore = |_: &[u8], _: ExtractProblem| {};
    let mut extractor = Extractor::new(
        open_folder(dir.path()),
        ExtractOptions { replace: true, holes: true, ..ExtractOptions::default() },
        &mut ignore,
    );
    let mut reader = TarReader::new_part(stream);
    while let Ok(Some((entry, _))) = reader.next_entry() {
        let _ = extractor.extract(&entry, &mut reader);
    }
    extractor.finish().unwrap();
}

proptest! {
    #[test]
    fn entries_survive(entries in vec(entry(), 0..5)) {
        let data = |entry: &Entry| vec![0x5a; entry.stored as usize];
        let datas: Vec<_> = entries.iter().map(data).collect();
        let pairs: Vec<_> = entries.iter().cloned().zip(datas.iter().map(|data| &data[..])).collect();
        let stream = archive(&pairs);
        let back = read_all(TarReader::new(&stream)).unwrap();
        prop_assert_eq!(back.len(), entries.len());
        let mut at = 0;
        for ((entry, header_len, data), (want, want_data)) in back.iter().zip(&pairs) {
            prop_assert_eq!(entry, want);
            prop_assert_eq!(&data[..], *want_data);
            at += (header_len + entry.stored).next_multiple_of(512);
        }
        prop_assert_eq!(at + 1024, stream.len() as u64);
    }

    #[test]
    fn any_bytes_are_safe(stream in vec(any::<u8>(), 0..3000)) {
        devour(&stream);
    }

    #[test]
    fn damaged_archives_are_safe(
        entries in vec(entry(), 1..4),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..20),
        mend: bool,
    ) {
        let mut tar = TarWriter::new(Vec::new());
        for entry in &entries {
            tar.append(entry).unwrap();
            tar.write_data(&vec![1; entry.stored as usize]).unwrap();
        }
        let mut stream = tar.finish().unwrap();
        for (at, byte) in damage {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        if mend {
            mend_checksums(&mut stream);
        }
        devour(&stream);
    }
}

/// Gives every block that looks like a header the right checksum, so that damage gets past it.
fn mend_checksums(stream: &mut [u8]) {
    for block in stream.as_chunks_mut::<512>().0 {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        }
    }
}
