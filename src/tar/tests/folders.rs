//! Folders to streams and back.

use super::*;
use rustix::fs::{
    AtFlags, CWD, Gid, Timespec, Timestamps, Uid, XattrFlags, chownat, lgetxattr, lsetxattr, mkfifoat, utimensat,
};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use tempfile::{TempDir, tempdir};

fn set_mtime(path: &Path, tv_sec: i64, tv_nsec: i64) {
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// One of everything that a folder can hold.
pub(super) fn rich_folder() -> TempDir {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("sub/deep/er")).unwrap();
    fs::create_dir(at("closed")).unwrap();
    fs::write(at("closed/inside"), "kept").unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("block"), [7; 512]).unwrap();
    fs::write(at("large"), vec![42; 700_001]).unwrap();
    fs::write(at("sub/deep/er/é"), "utf-8").unwrap();
    fs::write(dir.path().join(OsStr::from_bytes(b"bad\xff\xfename")), "bytes").unwrap();
    fs::write(at(&"n".repeat(250)), "long").unwrap();
    let deep = at(&"d".repeat(200));
    fs::create_dir(&deep).unwrap();
    fs::write(deep.join("f".repeat(100)), "longer than ustar").unwrap();
    fs::hard_link(at("large"), at("zz-hard")).unwrap();
    symlink("sub/deep", at("link")).unwrap();
    symlink("x/".repeat(150), at("long-link")).unwrap();
    symlink(OsStr::from_bytes(b"\xff/nowhere"), at("bad-link")).unwrap();
    fs::hard_link(at("link"), at("zz-link")).unwrap();
    mkfifoat(CWD, at("fifo"), Mode::from_raw_mode(0o640)).unwrap();
    let holes = File::create(at("holes")).unwrap();
    holes.write_all_at(b"start", 0).unwrap();
    holes.write_all_at(&[9; 5000], 1 << 20).unwrap();
    holes.set_len(10 << 20).unwrap();
    File::create(at("all-hole")).unwrap().set_len(1 << 20).unwrap();
    set_mode(&at("block"), 0o4755);
    set_mode(&at("empty"), 0o1400);
    for (name, value) in [("user.one", &b"1"[..]), ("user.bin", b"\0\xff\n="), ("user.a=b%c", b""), ("user.", b"")] {
        let _ = lsetxattr(at("large"), name, value, XattrFlags::empty());
    }
    lsetxattr(at("sub"), "user.dir", b"d", XattrFlags::empty()).unwrap();
    set_mtime(&at("empty"), -86_400, 0);
    set_mtime(&at("large"), 1_500_000_000, 123_456_789);
    set_mtime(&at("fifo"), -2, 750_000_000);
    set_mtime(&at("link"), 1_000_000_000, 5);
    set_mtime(&at("sub/deep"), 1_234_567_890, 0);
    set_mtime(&at("closed"), 1_111_111_111, 1);
    set_mode(&at("closed"), 0o500);
    set_mode(dir.path(), 0o751);
    set_mtime(dir.path(), 999_999_999, 0);
    dir
}

/// Everything about every object below a folder, as text.
pub(super) fn describe(root: &Path) -> Vec<String> {
    let walk = walkdir::WalkDir::new(root).sort_by_file_name();
    walk.into_iter()
        .map(|found| {
            let found = found.unwrap();
            let path = found.path();
            let meta = fs::symlink_metadata(path).unwrap();
            let content = match () {
                () if meta.is_file() => blake3::hash(&fs::read(path).unwrap()).to_string(),
                () if meta.is_symlink() => format!("-> {:?}", fs::read_link(path).unwrap()),
                () => String::new(),
            };
            let size = if meta.is_dir() { 0 } else { meta.len() };
            let nlink = if meta.is_dir() { 0 } else { meta.nlink() };
            let name = path.strip_prefix(root).unwrap();
            let time = (meta.mtime(), meta.mtime_nsec());
            let owner = (meta.uid(), meta.gid());
            format!("{name:?} {:o} {owner:?} {size} {nlink} {time:?} {:?} {content}", meta.mode(), xattrs(path))
        })
        .collect()
}

fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0; 65536];
    let len = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let mut all = Vec::new();
    for name in names[..len].split(|&b| b == 0).filter(|name| name.starts_with(b"user.")) {
        let mut value = vec![0; 65536];
        let len = lgetxattr(path, name, &mut value[..]).unwrap();
        value.truncate(len);
        all.push((String::from_utf8_lossy(name).into_owned(), value));
    }
    all.sort();
    all
}

#[test]
fn a_rich_folder_comes_back() {
    let (from, to) = (rich_folder(), tempdir().unwrap());
    let before = describe(from.path());
    let (stream, seen) = pack(from.path());
    assert_eq!(seen.problems, []);
    assert_eq!(unpack(&stream, to.path()), [""; 0]);
    assert_eq!(describe(to.path()), before);
    let blocks = fs::metadata(to.path().join("holes")).unwrap().blocks();
    assert!(blocks <= 32, "holes are kept: {blocks}");
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let (from, to) = (rich_folder(), tempdir().unwrap());
    let (first, _) = pack(from.path());
    assert!(first == pack(from.path()).0);
    unpack(&first, to.path());
    assert!(first == pack(to.path()).0, "and so does its copy");
}

#[test]
fn entries_come_in_the_order_of_raw_bytes() {
    let dir = tempdir().unwrap();
    for name in ["b/x", "a/z", "a/b/c", "a-", "B", "a.", "é"] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let (_, seen) = pack(dir.path());
    assert_eq!(seen.paths(), [".", "B", "a", "a/b", "a/b/c", "a/z", "a-", "a.", "b", "b/x", "é"]);
}

#[test]
fn the_observer_can_find_every_entry_in_the_stream() {
    let dir = rich_folder();
    let (stream, seen) = pack(dir.path());
    let mut at = 0;
    for (entry, header_len, hash, changed) in &seen.entries {
        assert!(!changed);
        let (data, end) = (at + *header_len as usize, at + (header_len + entry.stored) as usize);
        assert_eq!(blake3::hash(&stream[data..end]).as_bytes(), hash);
        let part = read_all(TarReader::new_part(&stream[at..end])).unwrap();
        assert_eq!(part, [(entry.clone(), *header_len, stream[data..end].to_vec())]);
        at = end.next_multiple_of(512);
    }
    assert_eq!(stream.len(), at + 1024);
    let all = read_all(TarReader::new(&stream)).unwrap();
    assert!(all.iter().map(|(entry, ..)| entry).eq(seen.entries.iter().map(|(entry, ..)| entry)));
}

#[test]
fn sparse_files_are_stored_without_their_holes() {
    let dir = rich_folder();
    let (_, seen) = pack(dir.path());
    let find = |name: &str| seen.entries.iter().find(|(entry, ..)| entry.path == name.as_bytes()).unwrap().0.clone();
    assert_eq!(find("holes").sparse, Some(vec![(0, 4096), (1 << 20, 8192)]));
    assert_eq!((find("holes").size, find("holes").stored), (10 << 20, 12_288));
    assert_eq!((find("all-hole").sparse, find("all-hole").stored), (Some(vec![]), 0));
    assert_eq!(find("large").sparse, None);
}

#[test]
fn what_is_excluded_is_not_there() {
    let dir = rich_folder();
    let absolute = dir.path().canonicalize().unwrap().join("closed/inside");
    let exclude = ["sub/deep/", "./large", "/elsewhere", "no-such"].map(PathBuf::from).into_iter().chain([absolute]);
    let options = FolderOptions { exclude: exclude.collect(), one_file_system: true };
    let (mut out, mut seen) = (Vec::new(), Seen::default());
    write_folder(dir.path(), &options, &mut out, &mut seen).unwrap();
    let has = |name: &[u8]| seen.entries.iter().any(|(entry, ..)| entry.path == name);
    assert!(has(b"sub") && has(b"closed") && has(b"zz-hard"));
    assert!(!has(b"sub/deep") && !has(b"sub/deep/er") && !has(b"large") && !has(b"closed/inside"));
}

#[test]
fn sockets_are_named_and_left_out() {
    let dir = tempdir().unwrap();
    let _socket = UnixListener::bind(dir.path().join("sock")).unwrap();
    fs::write(dir.path().join("z"), "z").unwrap();
    let (stream, seen) = pack(dir.path());
    assert_eq!(seen.problems, [(b"sock".to_vec(), FolderProblem::Socket.to_string())]);
    assert_eq!(read_all(TarReader::new(&stream)).unwrap().len(), 2);
}

#[test]
fn the_root_must_be_a_folder() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    for name in ["file", "missing"] {
        let result =
            write_folder(&dir.path().join(name), &FolderOptions::default(), &mut Vec::new(), &mut Seen::default());
        assert!(matches!(result, Err(FolderError::Root { .. })));
    }
}

/// A destination that does something once a number of bytes have come through.
struct Trap<F: FnMut()> {
    out: Vec<u8>,
    after: usize,
    act: Option<F>,
}

impl<F: FnMut()> io::Write for Trap<F> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(data);
        if self.out.len() >= self.after
            && let Some(mut act) = self.act.take()
        {
            act();
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Packs a folder with one file of a million bytes, which `act` changes when half of it is in the stream.
fn pack_while(act: impl FnMut(&File)) -> (Vec<u8>, Seen) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, vec![1; 1_000_000]).unwrap();
    set_mtime(&path, 1000, 0);
    let file = File::options().write(true).open(&path).unwrap();
    let mut act = act;
    let mut trap = Trap { out: Vec::new(), after: 500_000, act: Some(|| act(&file)) };
    let mut seen = Seen::default();
    write_folder(dir.path(), &FolderOptions::default(), &mut trap, &mut seen).unwrap();
    (trap.out, seen)
}

#[test]
fn files_that_change_while_being_read_keep_their_announced_size() {
    let shrink: fn(&File) = |file| file.set_len(600_000).unwrap();
    let vanish: fn(&File) = |file| file.set_len(0).unwrap();
    let grow: fn(&File) = |file| file.set_len(3_000_000).unwrap();
    let rewrite: fn(&File) = |file| file.write_all_at(b"new", 10).unwrap();
    for (act, zeros_from) in [(shrink, 786_432), (vanish, 786_432), (grow, 1_000_000), (rewrite, 1_000_000)] {
        let (stream, seen) = pack_while(act);
        assert_eq!(seen.problems, [(b"f".to_vec(), FolderProblem::Changed.to_string())]);
        assert!(seen.entries[1].3);
        let all = read_all(TarReader::new(&stream)).unwrap();
        let data = &all[1].2;
        assert_eq!((data.len(), all[1].0.size), (1_000_000, 1_000_000));
        assert!(data[zeros_from..].iter().all(|&b| b == 0));
        assert_eq!(blake3::hash(data).as_bytes(), &seen.entries[1].2);
    }
    let (_, seen) = pack_while(|_| {});
    assert!(!seen.entries[1].3 && seen.problems.is_empty());
}

#[test]
fn objects_swapped_for_links_during_the_walk_are_not_followed() {
    let outside = tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("a"), vec![1; 1_000_000]).unwrap();
    for name in ["b", "e", "f"] {
        fs::write(at(name), "").unwrap();
    }
    fs::create_dir(at("c")).unwrap();
    symlink("x", at("d")).unwrap();
    let swap = || {
        ["b", "e", "f"].iter().for_each(|name| fs::remove_file(at(name)).unwrap());
        fs::remove_dir(at("c")).unwrap();
        symlink(outside.path().join("secret"), at("b")).unwrap();
        symlink(outside.path(), at("c")).unwrap();
        mkfifoat(CWD, at("e"), Mode::RUSR).unwrap();
    };
    let mut trap = Trap { out: Vec::new(), after: 500_000, act: Some(swap) };
    let mut seen = Seen::default();
    write_folder(dir.path(), &FolderOptions::default(), &mut trap, &mut seen).unwrap();
    assert_eq!(seen.paths(), [".", "a", "c", "d"]);
    assert_eq!(seen.entries[2].0.kind, EntryKind::Symlink);
    let missed: Vec<_> = seen.problems.iter().map(|(path, _)| &path[..]).collect();
    assert_eq!(missed, [&b"b"[..], b"c/secret", b"e", b"f"]);
    assert_eq!(seen.problems[2].1, FolderProblem::Replaced.to_string());
}

#[test]
fn a_failing_destination_or_observer_ends_the_walk() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    struct Refusing;
    impl FolderObserver for Refusing {
        fn entry(&mut self, _: &Entry, _: u64, _: [u8; 32], _: bool) -> io::Result<()> {
            Err(io::ErrorKind::Other.into())
        }
        fn problem(&mut self, _: &[u8], _: &FolderProblem) {}
    }
    let dir = tempdir().unwrap();
    let options = FolderOptions::default();
    let full = write_folder(dir.path(), &options, &mut Full, &mut Seen::default());
    assert!(matches!(full, Err(FolderError::Write(WriteError::Io(_)))));
    let refused = write_folder(dir.path(), &options, &mut Vec::new(), &mut Refusing);
    assert!(matches!(refused, Err(FolderError::Observer(_))));
}

#[test]
fn owners_are_restored_before_setuid_bits() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    let path = from.path().join("f");
    fs::write(&path, "x").unwrap();
    chownat(CWD, &path, Some(Uid::from_raw(4321)), Some(Gid::from_raw(5432)), AtFlags::empty()).unwrap();
    set_mode(&path, 0o6755);
    // A capability (CAP_CHOWN), which changing the owner would clear.
    let capability = [&[1, 0, 0, 2, 1][..], &[0; 15]].concat();
    let has_capability = lsetxattr(&path, "security.capability", &capability, XattrFlags::empty()).is_ok();
    unpack(&pack(from.path()).0, to.path());
    let mut value = [0; 64];
    let restored = lgetxattr(to.path().join("f"), "security.capability", &mut value[..]).unwrap_or(0);
    assert_eq!(&value[..restored], if has_capability { &capability[..] } else { &[] });
    let meta = fs::metadata(to.path().join("f")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (4321, 5432, 0o6755));
}

#[test]
fn without_the_owner_there_is_no_setuid() {
    let to = tempdir().unwrap();
    let stranger = Entry { uid: 1 << 40, mode: 0o6755, ..file("f", b"") };
    let problems = unpack(&archive(&[(stranger, b"")]), to.path());
    assert_eq!(fs::metadata(to.path().join("f")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(problems.len(), usize::from(rustix::process::geteuid().is_root()));
}

#[test]
fn default_access_lists_do_not_reach_what_is_extracted_into_their_folder() {
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    fs::create_dir(from.path().join("d")).unwrap();
    fs::write(from.path().join("d/f"), "").unwrap();
    let mut list = vec![2, 0, 0, 0];
    for (tag, permissions, id) in
        [(1u8, 7u8, u32::MAX), (2, 7, 1234), (4, 5, u32::MAX), (16, 7, u32::MAX), (32, 0, u32::MAX)]
    {
        list.extend_from_slice(&[tag, 0, permissions, 0]);
        list.extend_from_slice(&id.to_le_bytes());
    }
    if lsetxattr(from.path().join("d"), "system.posix_acl_default", &list, XattrFlags::empty()).is_err() {
        return;
    }
    let (stream, _) = pack(from.path());
    assert_eq!(unpack(&stream, to.path()), [""; 0]);
    let mut value = [0; 1024];
    let restored = lgetxattr(to.path().join("d"), "system.posix_acl_default", &mut value[..]).unwrap();
    assert_eq!(value[..restored], list);
    assert!(lgetxattr(to.path().join("d/f"), "system.posix_acl_access", &mut value[..]).is_err());
    assert!(pack(to.path()).0 == stream);
}
