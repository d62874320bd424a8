//! Folders with names that no program expects, and files that cannot be read, through the `tar` of other systems.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sfarc::engine::snapshot::Report;
use sfarc::repo::Repository;
use sfarc::source::cluster::Take;
use sfarc::tar::{EntryKind, TarReader};
use sfarc::testing::cluster::Container;

use super::super::{Bare, kept, once, pod, take_one, world};
use super::{clusters, images, images_of_one_shell};

pub(super) type Files = BTreeMap<Vec<u8>, Vec<u8>>;

/// Paths, with what is in the files. The last one is nearly as long as a path may be.
pub(super) fn hostile() -> Files {
    let long = [b'n'; 255];
    let deep = [vec![b'd'; 200], vec![b'/'], vec![b'e'; 200], vec![b'/']].concat().repeat(9);
    let names: [&[u8]; 19] = [
        b"plain",
        b"new\nline",
        b"\n",
        b"back\\slash",
        b"nul\\0",
        b"quotes'\"`",
        b"-dash",
        b"--",
        b"-rf",
        b"$(touch pwned)",
        b"*",
        b"[a]?",
        b" space ",
        b"\x1b[2J",
        "\u{e9}".as_bytes(),
        b"tar: .: file changed as we read it",
        b"x\ntar: .: No such file or directory\ny",
        &long,
        b"below/.hidden",
    ];
    let deep = [&deep[..], b"file"].concat();
    let paths = names.into_iter().map(<[u8]>::to_vec).chain([deep]);
    paths.map(|path| (path.clone(), [b"in ", &path[..]].concat())).collect()
}

pub(super) fn write(root: &Path, files: &Files) {
    for (path, bytes) in files {
        let path = root.join(OsStr::from_bytes(path));
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
}

/// The files of a stream, or of one that was made from it.
fn files(stream: &[u8]) -> Files {
    let (mut files, mut reader) = (Files::new(), TarReader::new(stream));
    while let Some((entry, _)) = reader.next_entry().expect("sound") {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("whole");
        if entry.kind == EntryKind::File {
            files.insert(entry.path, bytes);
        }
    }
    files
}

fn folder(pod_name: &str, path: &Path) -> Take {
    Take::Folder(pod(pod_name, "c"), path.display().to_string())
}

/// A complete snapshot has all files. Any other end is clear: something is missing, or nothing is kept.
#[track_caller]
fn assert_clear(name: &str, repository: &Repository, result: &Result<Report, String>, truth: &Files) -> bool {
    match result {
        Ok(report) if report.manifest.complete => {
            let kept = files(&kept(repository, report, "s"));
            assert!(kept == *truth, "{name}: complete, and not all: {:?}", kept.keys());
            println!("{name:14} whole");
            true
        }
        Ok(report) => {
            println!("{name:14} incomplete: {:?}", report.manifest.streams[0].problems);
            assert!(!report.manifest.streams[0].problems.is_empty());
            false
        }
        Err(error) => {
            println!("{name:14} refused: {error}");
            assert!(repository.snapshot_ids().expect("listed").is_empty());
            false
        }
    }
}

#[test]
fn names_that_mean_something_elsewhere_are_kept_as_they_are() {
    let images = images();
    let bare = clusters(&images);
    let (tree, truth) = (bare.folder.path().join("tree"), hostile());
    write(&tree, &truth);
    for image in images {
        let repository = world().init().expect("a repository");
        let result = take_one(&repository, &bare.place, "s", folder(&image.name(), &tree), once());
        let is_whole = assert_clear(&image.name(), &repository, &result, &truth);
        assert!(is_whole || !["gnu", "busybox"].contains(&image.tools.0), "{}: it can do that", image.name());
    }
    assert!(!tree.join("pwned").exists() && !bare.folder.path().join("pwned").exists());
}

#[test]
fn folders_may_have_such_names_too() {
    let images = images();
    let bare = clusters(&images);
    let truth = Files::from([(b"file".to_vec(), b"x".to_vec())]);
    let long = "p".repeat(250);
    for image in images {
        let repository = world().init().expect("a repository");
        for path in ["-", "--", "-x", "a\nb", "'\"\\ $(touch pwned)", "*", "~", &long] {
            write(&bare.folder.path().join(path), &truth);
            for path in [path.to_owned(), bare.folder.path().join(path).display().to_string()] {
                let take = Take::Folder(pod(&image.name(), "c"), path.clone());
                let report = take_one(&repository, &bare.place, "s", take, once());
                let report = report.unwrap_or_else(|error| panic!("{}: {path:?}: {error}", image.name()));
                assert!(report.manifest.complete && files(&kept(&repository, &report, "s")) == truth, "{path:?}");
            }
        }
    }
}

/// What runs a program as somebody who may not read all files; nothing where that cannot be done.
fn as_nobody() -> Option<&'static str> {
    let is_root = rustix::process::geteuid().is_root();
    if is_root && !Path::new("/usr/bin/setpriv").exists() {
        println!("setpriv is not installed: not tested");
        return None;
    }
    Some(if is_root { "/usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups" } else { "" })
}

#[test]
fn a_file_that_cannot_be_read_is_never_missing_from_a_complete_snapshot() {
    let Some(as_nobody) = as_nobody() else { return };
    let images = images_of_one_shell();
    let bare = Bare::start(|setup, folder| {
        for image in &images {
            let tar = format!("exec {as_nobody} {} \"$@\"", image.tools.1);
            let tools = Container::new("c").folder(folder);
            setup.pod("sf", &image.name(), [tools.program("tar", &tar)]);
        }
    });
    let tree = bare.folder.path().join("tree");
    let truth = hostile();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode is set");
    };
    for secret in
        [&b"secret"[..], b"x: file changed as we read it", b"x: No such file or directory\ntar: y", b"below/secret"]
    {
        write(&tree, &truth);
        write(&tree, &Files::from([(secret.to_vec(), b"in it".to_vec())]));
        [bare.folder.path(), &tree].into_iter().for_each(|path| mode(path, 0o755));
        mode(&tree.join(OsStr::from_bytes(secret)), 0);
        for image in &images {
            let repository = world().init().expect("a repository");
            let result = take_one(&repository, &bare.place, "s", folder(&image.name(), &tree), once());
            let is_whole = assert_clear(&image.name(), &repository, &result, &truth);
            assert!(!is_whole, "{}: the file is missing", image.name());
        }
        std::fs::remove_dir_all(&tree).expect("removed");
    }
}

/// Some stop in the middle if a file becomes shorter, and say so with the exit code of lesser things.
#[test]
fn a_tar_that_stops_in_the_middle_is_no_end_of_the_folder() {
    let tar = "case $1 in --*) exit 1 ;; esac; /usr/bin/tar \"$@\" | head -c 5000; echo short read >&2; exit 1";
    let bare = Bare::start(|setup, _| setup.pod("sf", "pod-0", [Container::new("c").program("tar", tar)]));
    let tree = bare.folder.path().join("tree");
    write(&tree, &hostile());
    let repository = world().init().expect("a repository");
    let error = take_one(&repository, &bare.place, "s", folder("pod-0", &tree), once()).expect_err("it is cut");
    for says in ["stream `s`", "sf/pod-0", "stopped before the end of the folder", "short read"] {
        assert!(error.contains(says), "no `{says}` in: {error}");
    }
    assert!(repository.snapshot_ids().expect("listed").is_empty());
}
