//! Whatever entries say, and in whatever order they come: nothing outside of the target appears, changes or goes.
#![no_main]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use rustix::fs::{Mode, OFlags};
use sfarc::tar::{Entry, EntryKind, ExtractOptions, Extractor, Special, TarReader, TarWriter, Timestamp};
use sfarc_fuzz::{Choices, sow};

/// `fence` holds what must not change: `outside`, and beside it the folder to extract to.
struct Place {
    fence: PathBuf,
    target: PathBuf,
}

const COMPONENTS: &[&[u8]] =
    &[b"a", b"b", b"c", b"l", b"..", b".", b"", b"a/b", b"a/l", b"../outside", b"../outside/sentinel", b"\0", b"d"];

const KINDS: &[EntryKind] = &[
    EntryKind::File,
    EntryKind::Dir,
    EntryKind::Symlink,
    EntryKind::Symlink,
    EntryKind::Hardlink,
    EntryKind::Hardlink,
    EntryKind::Fifo,
    EntryKind::CharDevice,
    EntryKind::BlockDevice,
];

fuzz_target!(
    init: sow([
        b"\0\x02\x01\x03\x05\0\0\0\0\x02\x03\0\x01\x04".to_vec(),
        b"\x01\x01\x01\0\0\0\0\0\0\x04\x02\x03\x01\x03\x05\0\0\0\0\x02\x03\x0a".to_vec(),
        b"\x03\x02\x01\x03\x09\0\0\0\0\0\x02\x03\0\x05abcde\0\0\0\0\0".to_vec(),
    ]),
    |input: &[u8]| {
        let place = place();
        fs::create_dir(&place.target).expect("the target can be made");
        let before = survey(&place.fence, &place.target);
        extract(input, place);
        assert_eq!(before, survey(&place.fence, &place.target), "something outside changed");
        clear(&place.target);
    }
);

fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let fence = std::env::temp_dir().join(format!("sfarc-fuzz-{}", std::process::id()));
        let target = fence.join("target");
        if target.exists() {
            clear(&target);
        }
        let _ = fs::remove_dir_all(&fence);
        fs::create_dir_all(fence.join("outside/a")).expect("the temporary folder can be written");
        fs::write(fence.join("outside/sentinel"), b"untouched").expect("the temporary folder can be written");
        Place { fence, target }
    })
}

/// Everything about everything in the folder, but for what is in the target and when it was read.
fn survey(folder: &Path, target: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).expect("what is outside can be read");
        let content = if meta.is_file() { fs::read(&path).expect("a file") } else { Vec::new() };
        let mut names = [0; 4096];
        let xattrs = rustix::fs::llistxattr(&path, &mut names[..]).map_or(0, |len| len);
        let (mtime, owner) = ((meta.mtime(), meta.mtime_nsec()), (meta.uid(), meta.gid()));
        found.push(format!("{path:?} {:o} {owner:?} {} {mtime:?} {content:?} {xattrs}", meta.mode(), meta.nlink()));
        if meta.is_dir() {
            let inside = fs::read_dir(&path).expect("a folder").filter_map(Result::ok).map(|entry| entry.path());
            open.extend(inside.filter(|path| path != target));
        }
    }
    found.sort_unstable();
    found
}

/// Removes what was extracted, whatever modes it has.
fn clear(target: &Path) {
    let mut open = vec![target.to_owned()];
    while let Some(folder) = open.pop() {
        let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        let inside = fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        open.extend(inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()));
    }
    fs::remove_dir_all(target).expect("what was extracted can be removed");
}

fn extract(input: &[u8], place: &Place) {
    let mut choices = Choices(input);
    let flags = choices.byte();
    let options = ExtractOptions {
        replace: flags & 1 != 0,
        holes: flags & 4 != 0,
        special: if flags & 16 != 0 { Special::LeaveOut } else { Special::Restore },
        durable: false,
    };
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target = rustix::fs::open(&place.target, folder, Mode::empty()).expect("the target is there");
    let mut on_problem = |_: &[u8], _| {};
    let mut extractor = Extractor::new(target, options, &mut on_problem);
    if flags & 8 != 0 {
        read_and_extract(choices.0, &mut extractor);
    } else {
        let mut tar = TarWriter::new(Vec::new());
        while !choices.is_at_end() {
            let (entry, data) = entry(&mut choices, place);
            if flags & 2 == 0 {
                let _ = extractor.extract(&entry, &mut &data[..]);
            } else if tar.append(&entry).is_ok() {
                tar.write_data(&data[..(entry.stored as usize).min(data.len())]).expect("memory can be written");
                let missing = (entry.stored as usize).saturating_sub(data.len());
                tar.write_data(&vec![0; missing]).expect("memory can be written");
            }
        }
        read_and_extract(&tar.finish().unwrap_or_default(), &mut extractor);
    }
    let _ = extractor.finish();
}

fn read_and_extract(stream: &[u8], extractor: &mut Extractor<'_>) {
    let mut reader = TarReader::new_part(stream);
    while let Ok(Some((entry, _))) = reader.next_entry() {
        let _ = extractor.extract(&entry, &mut reader);
    }
}

fn entry(choices: &mut Choices<'_>, place: &Place) -> (Entry, Vec<u8>) {
    let kind = choices.one_of(KINDS);
    let path = name(choices);
    let mut entry = Entry::new(path, kind);
    let odd = choices.byte();
    let mut data = Vec::new();
    match kind {
        EntryKind::File => {
            let len = choices.below(64);
            data = choices.bytes(len).to_vec();
            entry.size = data.len() as u64;
            entry.stored = entry.size;
            if odd & 1 != 0 {
                // A file with a hole, or with a map that is nonsense.
                entry.size += choices.short() as u64;
                entry.sparse = Some(vec![(choices.byte().into(), entry.stored)]);
            }
        }
        EntryKind::Symlink | EntryKind::Hardlink => entry.link = link(choices, place),
        // Only these devices, in case something opens what it has made.
        EntryKind::CharDevice => entry.device = (1, choices.one_of(&[3, 5, 7])),
        EntryKind::BlockDevice => entry.device = (7, 250),
        _ => {}
    }
    if odd & 2 != 0 {
        entry.mode = choices.short() as u32 & 0o7777;
        entry.uid = choices.byte().into();
        entry.mtime = Timestamp { secs: choices.byte().into(), nanos: 0 };
    }
    if odd & 4 != 0 {
        entry.xattrs.push((b"user.fuzz".to_vec(), choices.bytes(3).to_vec()));
    }
    (entry, data)
}

fn name(choices: &mut Choices<'_>) -> Vec<u8> {
    let parts: Vec<&[u8]> = (0..choices.below(4)).map(|_| choices.one_of(COMPONENTS)).collect();
    parts.join(&b"/"[..])
}

fn link(choices: &mut Choices<'_>, place: &Place) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let outside = place.fence.join("outside");
    match choices.below(8) {
        0 => outside.as_os_str().as_bytes().to_vec(),
        1 => outside.join("sentinel").as_os_str().as_bytes().to_vec(),
        2 => b"../outside".to_vec(),
        3 => b"../outside/sentinel".to_vec(),
        4 => b"../../outside/a".to_vec(),
        5 => b".".to_vec(),
        _ => name(choices),
    }
}
