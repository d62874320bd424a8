//! Folders into containers whose tools are those of other systems: all of it is there, or the restore says that it is not.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use sfarc::engine::snapshot::{self, Input, Options};
use sfarc::target::feed::Patience;
use sfarc::target::folder::PodFolder;
use sfarc::target::site::Site;
use sfarc::testing::cluster::Container;

use super::super::{Bare, kept, pod, world};
use super::folders::{hostile, write};
use super::{clusters, images};
use crate::common::noise;

const PATIENCE: Patience = Patience { silence: Duration::from_secs(20), limit: Duration::from_secs(60) };

/// A stream with hostile names, and with a file that takes several acknowledgements.
fn stream() -> (Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut files = hostile();
    files.insert(b"large".to_vec(), noise(5, 9_000_001));
    write(folder.path(), &files);
    let repository = world().init().expect("a repository");
    let from = snapshot::From::Folder { path: folder.path().to_owned(), exclude: Vec::new(), one_file_system: false };
    let options = Options { inputs: vec![Input::new("s", from)], ..Options::default() };
    let report = snapshot::snapshot(&repository, &options).expect("a snapshot");
    (kept(&repository, &report, "s"), files)
}

#[test]
fn folders_are_loaded_and_swapped_whatever_the_shell_and_the_tools() {
    let images = images();
    let bare = clusters(&images);
    let (stream, files) = stream();
    let env = world().env();
    for image in images {
        let (name, live) = (image.name(), bare.folder.path().join(image.name()));
        write(
            &live,
            &BTreeMap::from([(b"-old 'file'".to_vec(), b"old".to_vec()), (b".dot\n".to_vec(), b"old".to_vec())]),
        );
        let folder = PodFolder { pod: pod(&name, "c"), path: live.display().to_string() };
        let site = Site::connect(&bare.place, "sf", &env).expect("a connection");
        let shell = site.shell(&folder.pod);
        let loaded = folder.load(&shell, "1", stream.len() as u64, PATIENCE, |sender| sender.send(&stream));
        loaded.unwrap_or_else(|error| panic!("{name}: not loaded: {error:?}"));
        folder.swap(&shell, "1").unwrap_or_else(|error| panic!("{name}: not swapped: {error:?}"));
        for (path, bytes) in &files {
            let at = live.join(OsStr::from_bytes(path));
            assert!(std::fs::read(&at).is_ok_and(|is| is == *bytes), "{name}: {at:?} is missing or different");
        }
        for old in ["-old 'file'", ".dot\n"] {
            assert!(!live.join(old).exists(), "{name}: {old:?} is still there");
            assert_eq!(std::fs::read(live.join(".sfarc-old-1").join(old)).expect("kept"), b"old");
        }
        folder.drop_old(&shell).expect("dropped");
        println!("{name}: whole");
    }
}

/// What passes the bytes on may die when it has counted them, and before the command got them.
#[test]
fn a_program_that_dies_on_the_way_into_a_command_is_noticed() {
    let dies = "head -c 20000000 >all; cat all >\"$1\"; head -c 100000 all; kill -9 $$";
    let bare = Bare::start(|setup, folder| {
        setup.pod("sf", "pod-0", [Container::new("c").folder(folder).program("tee", dies)]);
    });
    let env = world().env();
    let site = Site::connect(&bare.place, "sf", &env).expect("a connection");
    let place = pod("pod-0", "c");
    let shell = site.shell(&place);
    let bytes = noise(6, 1 << 20);
    let into = |line: &str| {
        sfarc::target::shell::Shell::feed(&shell, line.to_owned(), bytes.len() as u64, PATIENCE, |sender| {
            sender.send(&bytes)
        })
    };
    let error = format!("{:?}", into("cat >got").expect_err("it is short"));
    assert!(error.contains("`tee` there ended with exit code 137"), "{error}");
    assert!(std::fs::metadata(bare.folder.path().join("got")).expect("written").len() < bytes.len() as u64);
}
