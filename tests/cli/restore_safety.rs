//! Restore writes below its target and nowhere else, and replaces nothing unless asked to.

use std::fs;
use std::os::unix::fs::symlink;

use crate::repo::{Repo, files};

#[test]
fn nothing_is_overwritten_unless_asked_for() {
    let repo = Repo::new();
    repo.take("s", b"new");
    let path = repo.write("out/s", b"old");
    repo.write("out/other", b"untouched");
    repo.run(["restore", "latest", "--to", "out"]).ends(1).says("out/s exists already").says("--overwrite");
    assert_eq!(fs::read(&path).expect("the file"), b"old");
    repo.run(["restore", "latest", "--to", "out", "--overwrite"]).ok();
    assert_eq!(fs::read(&path).expect("the file"), b"new");
    assert_eq!(files(&repo.at("out")).len(), 2, "no staging folder is left");
}

#[test]
fn a_symlink_in_the_place_of_a_stream_is_not_followed() {
    let repo = Repo::new();
    repo.write("d/file", b"from the snapshot");
    repo.run(["snapshot", "--dir", "d"]).ok();
    let victim = repo.write("victim/file", b"precious");
    fs::create_dir(repo.at("out")).expect("a folder");
    symlink(repo.at("victim"), repo.at("out/d")).expect("a link");
    repo.run(["restore", "latest", "--to", "out"]).ends(1).says("exists already");
    repo.run(["restore", "latest", "--to", "out", "--overwrite"]).ok();
    assert_eq!(fs::read(&victim).expect("the file"), b"precious");
    assert_eq!(files(&repo.at("victim")).len(), 1);
    let metadata = fs::symlink_metadata(repo.at("out/d")).expect("the folder");
    assert!(metadata.is_dir(), "the link is replaced");
    assert_eq!(fs::read(repo.at("out/d/file")).expect("the file"), b"from the snapshot");
}

#[test]
fn hostile_names_stay_below_the_target() {
    let names = ["../x", "/abs", "..", ".", "a/../../b", "-rf"];
    for name in names {
        let repo = Repo::new();
        repo.feed(["snapshot", &format!("--stdin={name}")], name.as_bytes()).ok();
        let before = files(&repo.at(""));
        let out = repo.restore("latest", "out");
        let inside = files(&out);
        assert_eq!(inside.len(), 1, "{name}: {inside:?}");
        assert_eq!(fs::read(&inside[0]).expect("the file"), name.as_bytes());
        let after: Vec<_> = files(&repo.at("")).into_iter().filter(|path| *path != out).collect();
        assert_eq!(after, before, "{name}");
    }
}

#[test]
fn two_names_never_become_one_file() {
    let repo = Repo::new();
    let args = ["snapshot", "--stdin", "a/b", "--command", "a%2Fb=echo other", "--command", "100%=echo percent"];
    repo.feed(args, b"slash").ok();
    repo.run(["restore", "latest", "--to", "out", "--overwrite"]).ok();
    let contents: Vec<_> = files(&repo.at("out")).iter().map(|path| fs::read(path).expect("the file")).collect();
    assert_eq!(contents.len(), 3, "{:?}", files(&repo.at("out")));
    assert!(contents.contains(&b"slash".to_vec()) && contents.contains(&b"other\n".to_vec()));
    assert!(repo.at("out/100%").exists(), "a name without need is not changed");
}

#[test]
fn a_file_in_the_place_of_the_target_is_named() {
    let repo = Repo::new();
    repo.take("s", b"1");
    repo.write("out", b"a file");
    repo.run(["restore", "latest", "--to", "out"]).ends(1).says("out");
    assert_eq!(fs::read(repo.at("out")).expect("the file"), b"a file");
}

#[test]
fn a_stream_that_cannot_be_restored_does_not_stop_the_others() {
    let repo = Repo::new();
    // No file system has names of 300 bytes.
    let long = "n".repeat(300);
    let other = "good=echo 1";
    repo.feed(["snapshot", "--stdin", &long, "--command", other], b"1").ok();
    repo.run(["restore", "latest", "--to", "out"]).ends(1).says("File name too long");
    assert_eq!(fs::read(repo.at("out/good")).expect("the other stream"), b"1\n");
    assert_eq!(repo.cat("latest", &long), b"1");
}
