//! Restore writes below its target and nowhere else, and replaces nothing unless asked to.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::repo::{Ran, Repo, environment, files, noise};

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

/// Restores where no file can be larger than 512 KiB.
fn restore_with_little_room(repo: &Repo, args: &[&str]) -> Ran {
    let ours = repo.command([&["restore", "latest", "--to", "out"], args].concat());
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\""])
        .arg(ours.get_program())
        .args(ours.get_args());
    shell.env_clear().envs(environment(&ours)).current_dir(repo.at(""));
    Ran::from(shell.output().expect("the shell starts"))
}

#[test]
fn a_failed_restore_names_the_place_that_was_asked_for() {
    let repo = Repo::new();
    repo.write("d/big", &noise(1, 2 << 20));
    let long = "n".repeat(300);
    repo.feed(["snapshot", "--file", "plain=d/big", "--dir", "d", "--stdin", &long], b"1").ok();
    for (stream, place) in [("plain", "out/plain"), ("d", "out/d"), (&long, &*format!("out/{long}"))] {
        let ran = restore_with_little_room(&repo, &["--stream", stream]).ends(1).says(place);
        assert!(!ran.err.contains(".sfarc-restore"), "{}", ran.err);
        let ran = restore_with_little_room(&repo, &["--stream", stream, "--json"]).ends(1);
        assert!(!ran.text().contains(".sfarc-restore"), "{}", ran.text());
        assert_eq!(files(&repo.at("out")).len(), 0);
    }
}
