//! GNU tar and Python read what we write, and we read what they write.

use super::folders::{describe, rich_folder};
use super::*;
use std::fs;
use std::process::{Command, Stdio};
use tempfile::tempdir;

/// Runs a program with `input`; its output, if it succeeded without a complaint. `None` if it is not installed.
fn run(program: &str, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("LC_ALL", "C");
    let mut child = match command.spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        child => child.unwrap(),
    };
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || io::Write::write_all(&mut stdin, input));
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    Some(output.stdout)
}

#[test]
fn gnu_tar_extracts_what_we_write() {
    let (from, to) = (rich_folder(), tempdir().unwrap());
    let before = describe(from.path());
    let (stream, seen) = pack(from.path());
    // GNU tar takes names as bytes in any case, and says that it does not know the record that asks for it.
    let quiet = "--warning=no-unknown-keyword";
    let Some(list) = run("tar", &["-tvf", "-", quiet], &stream) else {
        return;
    };
    assert_eq!(list.iter().filter(|&&b| b == b'\n').count(), seen.entries.len());
    let target = to.path().to_str().unwrap();
    let xattrs = ["--xattrs", "--xattrs-include=user.*"];
    let extract = ["-xpf", "-", "-C", target, quiet, "--warning=no-timestamp"];
    run("tar", &[&extract[..], &xattrs].concat(), &stream).unwrap();
    assert_eq!(describe(to.path()), before);
}

#[test]
fn python_lists_what_we_write() {
    let dir = rich_folder();
    let (stream, seen) = pack(dir.path());
    let script = "import sys, tarfile
for m in tarfile.open(fileobj=sys.stdin.buffer, mode='r|'):
    sys.stdout.buffer.write(m.name.encode('utf-8', 'surrogateescape') + b'\\0%d\\0' % m.size)";
    let Some(list) = run("python3", &["-c", script], &stream) else {
        return;
    };
    let expected: Vec<u8> = seen
        .entries
        .iter()
        .flat_map(|(entry, ..)| [&entry.path[..], b"\0", entry.size.to_string().as_bytes(), b"\0"].concat())
        .collect();
    assert_eq!(String::from_utf8_lossy(&list), String::from_utf8_lossy(&expected));
}

/// What GNU tar writes for a folder, extracted by us.
fn through_gnu_tar(from: &std::path::Path, args: &[&str]) -> Option<Vec<String>> {
    let to = tempdir().unwrap();
    let folder = from.to_str().unwrap();
    let stream = run("tar", &[&["-cf", "-", "-C", folder, "--sort=name"], args, &["."]].concat(), b"")?;
    assert_eq!(unpack(&stream, to.path()), [""; 0]);
    Some(describe(to.path()))
}

#[test]
fn we_extract_what_gnu_tar_writes_in_posix_formats() {
    let from = rich_folder();
    let want = describe(from.path());
    let xattrs = ["--format=posix", "--xattrs", "--xattrs-include=user.*"];
    for sparse in [
        &[][..],
        &["--sparse", "--sparse-version=0.0"],
        &["--sparse", "--sparse-version=0.1"],
        &["--sparse", "--sparse-version=1.0"],
    ] {
        let Some(got) = through_gnu_tar(from.path(), &[&xattrs[..], sparse].concat()) else {
            return;
        };
        assert_eq!(got, want, "{sparse:?}");
    }
}

/// A folder that formats without pax can hold: whole seconds after 1970, no attributes.
fn plain_folder(long_names: bool) -> tempfile::TempDir {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/file"), vec![3; 10_000]).unwrap();
    fs::hard_link(dir.path().join("sub/file"), dir.path().join("sub/zz")).unwrap();
    std::os::unix::fs::symlink("sub/file", dir.path().join("link")).unwrap();
    if long_names {
        fs::create_dir_all(dir.path().join("l".repeat(80))).unwrap();
        fs::write(dir.path().join("l".repeat(80)).join("m".repeat(90)), "long").unwrap();
    }
    let holes = fs::File::create(dir.path().join("holes")).unwrap();
    holes.set_len(4 << 20).unwrap();
    for at in 0..30 {
        std::os::unix::fs::FileExt::write_all_at(&holes, b"data", at * 100_000).unwrap();
    }
    let touch = ["-c", "find . -exec touch -h -d @1500000000 {} +"];
    assert!(Command::new("sh").args(touch).current_dir(dir.path()).status().unwrap().success());
    dir
}

#[test]
fn we_extract_what_gnu_tar_writes_in_older_formats() {
    for (long, args) in [
        (false, &["--format=v7"][..]),
        (true, &["--format=ustar"]),
        (true, &["--format=gnu"]),
        (true, &["--format=oldgnu"]),
        (true, &["--format=gnu", "--sparse"]),
        (true, &["--format=oldgnu", "--sparse"]),
    ] {
        let from = plain_folder(long);
        let Some(got) = through_gnu_tar(from.path(), args) else {
            return;
        };
        assert_eq!(got, describe(from.path()), "{args:?}");
    }
}

#[test]
fn gnu_sparse_maps_are_understood() {
    let from = plain_folder(false);
    let folder = from.path().to_str().unwrap();
    for args in [&["--format=gnu"][..], &["--sparse-version=0.0"], &["--sparse-version=0.1"], &["--sparse-version=1.0"]]
    {
        let Some(stream) = run("tar", &[&["-cSf", "-", "-C", folder], args, &["holes"]].concat(), b"") else {
            return;
        };
        let all = read_all(TarReader::new(&stream)).unwrap();
        let (entry, header_len, data) = &all[0];
        let map = entry.sparse.as_deref().unwrap();
        assert_eq!((&entry.path[..], entry.size, map.len()), (&b"holes"[..], 4 << 20, 30), "{args:?}");
        assert_eq!(data.len() as u64, entry.stored);
        let end = (header_len + entry.stored) as usize;
        assert_eq!(read_all(TarReader::new_part(&stream[..end])).unwrap(), all[..1]);
    }
}

#[test]
fn devices_owners_and_large_ids_from_python() {
    let script = "import sys, tarfile, io
t = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=getattr(tarfile, sys.argv[1]))
d = tarfile.TarInfo('dev'); d.type = tarfile.BLKTYPE; d.devmajor = 8; d.devminor = 17; t.addfile(d)
f = tarfile.TarInfo('f'); f.uid = 3000000000; f.gid = 5; f.uname = 'me'; f.gname = 'us'
f.mtime = 77; f.size = 3; t.addfile(f, io.BytesIO(b'abc'))
t.close()";
    for format in ["GNU_FORMAT", "PAX_FORMAT"] {
        let Some(stream) = run("python3", &["-c", script, format], b"") else {
            return;
        };
        let all = read_all(TarReader::new(&stream)).unwrap();
        let device = Entry { device: (8, 17), ..Entry::new("dev", EntryKind::BlockDevice) };
        assert_eq!(all[0].0, device);
        let owned = Entry { uid: 3_000_000_000, gid: 5, uname: b"me".into(), gname: b"us".into(), ..file("f", b"abc") };
        assert_eq!(all[1].0, Entry { mtime: Timestamp { secs: 77, nanos: 0 }, ..owned });
        assert_eq!(all[1].2, b"abc");
    }
}
