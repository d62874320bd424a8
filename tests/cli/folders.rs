//! Folders: what comes back, what can be looked into, and what happens when something cannot be read.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::repo::{Ran, Repo, environment, files, is_root, noise, open_for_everybody};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode is set");
}

fn set_mtime(path: &Path, nanos: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
    fs::File::open(path).and_then(|file| file.set_modified(time)).expect("the time is set");
}

fn with_everything(repo: &Repo) {
    repo.write("d/empty", b"");
    repo.write("d/sub/file", &noise(1, 300_000));
    repo.write("d/sub/run.sh", b"#!/bin/sh\n");
    fs::create_dir(repo.at("d/hollow")).expect("a folder");
    symlink("sub/file", repo.at("d/link")).expect("a link");
    symlink("/nowhere/at all", repo.at("d/dangling")).expect("a link");
    fs::hard_link(repo.at("d/sub/file"), repo.at("d/twin")).expect("a link");
    let sparse = fs::File::create(repo.at("d/sparse")).expect("a file");
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 8 << 20).expect("a hole");
    set_mode(&repo.at("d/sub/run.sh"), 0o4755);
    set_mode(&repo.at("d/empty"), 0o600);
    set_mode(&repo.at("d/hollow"), 0o1777);
    for (number, name) in ["d/empty", "d/sub/file", "d/sub/run.sh", "d/hollow", "d/sub", "d"].iter().enumerate() {
        set_mtime(&repo.at(name), 1_700_000_000_123_456_789 + number as u64);
    }
}

/// Everything that a person would compare, but for extended attributes.
fn describe(root: &Path, path: &Path, lines: &mut Vec<String>) {
    let metadata = fs::symlink_metadata(path).expect("it is there");
    let name = path.strip_prefix(root).expect("below the root").display();
    let kind = metadata.file_type();
    let content = if kind.is_symlink() {
        fs::read_link(path).expect("a link").display().to_string()
    } else if kind.is_file() {
        blake3::hash(&fs::read(path).expect("a file")).to_hex().to_string()
    } else {
        String::new()
    };
    let time = if kind.is_symlink() { 0 } else { metadata.mtime_nsec() + metadata.mtime() % 100_000 };
    let links = if kind.is_dir() { 0 } else { metadata.nlink() };
    lines.push(format!("{name} {:o} {} {} {links} {time} {content}", metadata.mode(), metadata.uid(), metadata.gid()));
    if kind.is_dir() {
        files(path).iter().for_each(|path| describe(root, path, lines));
    }
}

fn description(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    describe(root, root, &mut lines);
    lines
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let repo = Repo::new();
    with_everything(&repo);
    repo.run(["snapshot", "--dir", "d"]).ok();
    let out = repo.restore("latest", "out").join("d");
    assert_eq!(description(&out), description(&repo.at("d")));
    let sparse = fs::metadata(out.join("sparse")).expect("the file");
    assert!(sparse.blocks() * 512 < 1 << 20, "the hole is a hole again: {} blocks", sparse.blocks());
}

#[test]
fn extended_attributes_come_back() {
    let repo = Repo::new();
    let path = repo.write("d/file", b"1");
    let set = Command::new("setfattr").args(["-n", "user.mood", "-v", "good"]).arg(&path).status();
    if !set.is_ok_and(|status| status.success()) {
        println!("skipped: no setfattr, or no user attributes here");
        return;
    }
    repo.run(["snapshot", "--dir", "d"]).ok();
    let restored = repo.restore("latest", "out").join("d/file");
    let get = Command::new("getfattr").args(["--only-values", "-n", "user.mood"]).arg(&restored).output();
    assert_eq!(get.expect("getfattr").stdout, b"good");
}

#[test]
fn one_file_is_reached_without_the_rest() {
    let repo = Repo::new();
    with_everything(&repo);
    repo.run(["snapshot", "--dir", "d", "--file", "plain=d/empty"]).ok();
    assert_eq!(repo.cat("latest", "d/sub/run.sh"), b"#!/bin/sh\n");
    repo.run(["cat", "latest", "d/none"]).ends(2).says("holds no `none`");
    repo.run(["cat", "latest", "d/sub"]).ends(2).says("not a plain file");
    repo.run(["restore", "latest", "--to", "out", "--stream", "d", "--path", "sub"]).ok();
    let names = |folder: &str| {
        files(&repo.at(folder)).iter().map(|path| path.file_name().map(OsStr::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(names("out"), [Some("d".into())]);
    assert_eq!(names("out/d"), [Some("sub".into())]);
    assert_eq!(names("out/d/sub"), [Some("file".into()), Some("run.sh".into())]);
    repo.run(["restore", "latest", "--to", "out2", "--path", "none"]).ends(2).says("holds anything at `none`");
    repo.run(["restore", "latest", "--to", "out3", "--stream", "plain", "--path", "x"]).ends(2);
    repo.run(["restore", "latest", "--to", "out4", "--stream", "plain"]).ok();
    assert_eq!(names("out4"), [Some("plain".into())]);
}

#[test]
fn a_path_is_named_as_ls_prints_it() {
    let repo = Repo::new();
    with_everything(&repo);
    repo.write("e/sub/more", b"1");
    repo.run(["snapshot", "--dir", "d", "--dir", "e", "--file", "plain=d/empty"]).ok();
    let restored = |to: &str, args: &[&str]| -> Vec<String> {
        repo.run([&["restore", "latest", "--to", to], args].concat()).ok();
        let found = Command::new("find").args([".", "-mindepth", "1"]).current_dir(repo.at(to)).output();
        let mut names: Vec<String> = Ran::from(found.expect("find")).text().lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    for (number, line) in repo.run(["ls", "latest"]).ok().text().lines().enumerate() {
        let found = restored(&format!("line{number}"), &["--path", line]);
        assert!(found.contains(&format!("./{line}")), "{line}: {found:?}");
    }
    assert_eq!(restored("one", &["--path", "d/sub/run.sh"]), ["./d", "./d/sub", "./d/sub/run.sh"]);
    assert_eq!(restored("slash", &["--path", "e/sub/"]), ["./e", "./e/sub", "./e/sub/more"]);
    let both = ["./d", "./d/sub", "./d/sub/file", "./d/sub/run.sh", "./e", "./e/sub", "./e/sub/more"];
    assert_eq!(restored("both", &["--path", "sub"]), both);
    assert_eq!(
        restored("some", &["--path", "sub/more", "--path", "plain"]),
        ["./e", "./e/sub", "./e/sub/more", "./plain"]
    );
    let ran = repo.run(["restore", "latest", "--to", "none", "--path", "sub", "--path", "x/y"]).ends(2);
    ran.says("no stream of snapshot").says("holds anything at `x/y`");
    assert!(!repo.at("none").exists(), "nothing is begun");
}

#[test]
fn a_hard_link_is_restored_without_its_first_name() {
    let repo = Repo::new();
    repo.write("d/a", b"shared");
    fs::create_dir(repo.at("d/sub")).expect("a folder");
    for name in ["d/b", "d/c", "d/sub/d", "d/sub/e"] {
        fs::hard_link(repo.at("d/a"), repo.at(name)).expect("a link");
    }
    set_mode(&repo.at("d/sub"), 0o750);
    repo.run(["snapshot", "--dir", "d"]).ok();
    assert_eq!(repo.cat("latest", "d/c"), b"shared");
    repo.run(["restore", "latest", "--to", "out", "--path", "c"]).ok();
    assert_eq!(files(&repo.at("out/d")), [repo.at("out/d/c")]);
    assert_eq!(fs::read(repo.at("out/d/c")).expect("the file"), b"shared");
    repo.run(["restore", "latest", "--to", "both", "--path", "sub"]).ok();
    let found = fs::metadata(repo.at("both/d/sub/e")).expect("the file");
    assert_eq!((found.nlink(), fs::read(repo.at("both/d/sub/d")).expect("the file")), (2, b"shared".to_vec()));
    let folder = fs::metadata(repo.at("both/d/sub")).expect("the folder");
    assert_eq!(folder.mode() & 0o7777, 0o750);
}

#[test]
fn ls_looks_into_folders() {
    let repo = Repo::new();
    with_everything(&repo);
    repo.run(["snapshot", "--dir", "d", "--file", "plain=d/empty"]).ok();
    let ran = repo.run(["ls", "latest"]).ok();
    assert_eq!(ran.text().lines().count(), 11, "{}", ran.text());
    let ran = repo.run(["ls", "latest:d/sub"]).ok();
    assert_eq!(ran.text().lines().count(), 3, "{}", ran.text());
    repo.run(["ls", "-l", "latest:d"]).ok().says("d/link -> sub/file").says("rwsr-xr-x");
    repo.run(["ls", "latest:d/none"]).ends(2).says("holds nothing at `none`");
    repo.run(["ls", "latest:none"]).ends(2).says("it has: ");
}

#[test]
fn what_is_left_out_is_left_out() {
    let repo = Repo::new();
    repo.write("d/keep", b"1");
    repo.write("d/cache/x", b"1");
    repo.write("d/logs/y", b"1");
    let logs = repo.at("d/logs");
    let args = [OsStr::new("snapshot"), "--dir".as_ref(), "d".as_ref(), "--exclude".as_ref(), "cache".as_ref()];
    repo.run([&args[..], &["--exclude".as_ref(), logs.as_os_str()]].concat()).ok();
    let text = repo.run(["ls", "latest"]).ok().text();
    assert_eq!(text, "d\nd/keep\n");
}

/// Runs the program as somebody who may not read everything.
pub(crate) fn run_unprivileged(repo: &Repo, args: &[&str]) -> Ran {
    if !is_root() {
        return repo.run(args);
    }
    let ours = repo.command(args);
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.arg(repo.at("bin/sfarc")).args(ours.get_args()).env_clear().current_dir(repo.at(""));
    command.envs(environment(&ours));
    Ran::from(command.output().expect("setpriv"))
}

/// Gives the repository, and a copy of the program, to the user that `run_unprivileged` becomes.
pub(crate) fn hand_over(repo: &Repo) {
    fs::create_dir(repo.at("bin")).expect("a folder");
    fs::copy(env!("CARGO_BIN_EXE_sfarc"), repo.at("bin/sfarc")).expect("a copy of the program");
    open_for_everybody(&repo.at(""));
    if is_root() {
        let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(repo.path()).arg(repo.at("key")).status();
        assert!(owned.expect("chown").success());
    }
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_kept() {
    let repo = Repo::new();
    hand_over(&repo);
    let secret = repo.write("d/secret\x1b[2J", b"1");
    repo.write("d/open", b"1");
    fs::create_dir(repo.at("d/closed")).expect("a folder");
    set_mode(&secret, 0o000);
    set_mode(&repo.at("d/closed"), 0o000);
    let ran = run_unprivileged(&repo, &["snapshot", "--dir", "d"]).ends(3);
    let ran = ran.says("not everything could be read").says("d/secret").says("d/closed").says("ermission denied");
    assert!(!ran.err.contains('\x1b'), "names cannot move the cursor: {:?}", ran.err);
    run_unprivileged(&repo, &["list"]).ok().says("(incomplete)");
    run_unprivileged(&repo, &["show", "latest"]).ok().says("complete  no").says("problem ");
    assert_eq!(run_unprivileged(&repo, &["cat", "latest", "d/open"]).ok().out, b"1");
    set_mode(&repo.at("d/closed"), 0o700);
    run_unprivileged(&repo, &["check", "--read-data"]).ok();
}

#[test]
fn a_target_that_cannot_be_written_is_named() {
    let repo = Repo::new();
    repo.take("s", b"1");
    hand_over(&repo);
    fs::create_dir(repo.at("out")).expect("a folder");
    set_mode(&repo.at("out"), 0o555);
    let ran = run_unprivileged(&repo, &["restore", "latest", "--to", "out"]).ends(1);
    assert_eq!(ran.err, "sfarc: cannot write into out: Permission denied (os error 13)\n");
    assert_eq!(files(&repo.at("out")).len(), 0);
}

/// A folder with a setuid file, a file with capabilities, a device, and another name of that.
fn with_power(repo: &Repo) {
    repo.write("d/plain", b"1");
    set_mode(&repo.write("d/setuid", b"#!/bin/sh\n"), 0o6755);
    // Capability CAP_NET_RAW, permitted and effective, as the kernel stores it.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let set = rustix::fs::setxattr(
        repo.write("d/capable", b"2"),
        "security.capability",
        &capability,
        rustix::fs::XattrFlags::empty(),
    );
    set.expect("set");
    let null = rustix::fs::makedev(1, 3);
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, repo.at("d/null"), rustix::fs::FileType::CharacterDevice, mode, null)
        .expect("a device");
}

fn power(out: &Path) -> (bool, bool, bool) {
    let mut value = [0; 64];
    let mode = fs::metadata(out.join("setuid")).expect("the file").mode();
    let is_capable = rustix::fs::getxattr(out.join("capable"), "security.capability", &mut value[..]).is_ok();
    (mode & 0o6000 != 0, is_capable, out.join("null").exists())
}

#[test]
fn setuid_bits_capabilities_and_devices_are_restored_only_where_they_come_from() {
    if !is_root() {
        println!("skipped: only root can make what this test is about");
        return;
    }
    let repo = Repo::new();
    with_power(&repo);
    let own = repo.run(["snapshot", "--dir", "d", "--json"]).ok().id();
    let other = repo.run(["snapshot", "--dir", "d", "--host", "elsewhere", "--json"]).ok().id();
    let restore = |id: &str, to: &str, args: &[&str]| {
        let all = [&["restore", id, "--to", to, "--json"][..], args].concat();
        (repo.run(all), repo.at(to).join("d"))
    };
    let all = (true, true, true);
    for (number, (id, args, code, kept)) in [
        (&own, &[][..], 0, true),
        (&own, &["--no-special"], 0, false),
        (&other, &[], 3, false),
        (&other, &["--no-special"], 0, false),
        (&other, &["--special"], 0, true),
    ]
    .into_iter()
    .enumerate()
    {
        let (ran, out) = restore(id, &format!("out{number}"), args);
        let ran = ran.ends(code);
        assert_eq!(power(&out) == all, kept, "{args:?}");
        assert!(kept || power(&out) == (false, false, false), "{args:?}: {:?}", power(&out));
        let told = ran.object();
        assert_eq!(told["left_out_count"], if kept { 0 } else { 3 }, "{told}");
        assert_eq!(told["problem_count"], 0);
        assert_eq!(ran.err.contains("--special restores them"), code == 3, "{}", ran.err);
    }
    repo.run(["restore", "latest", "--to", "x", "--special", "--no-special"]).ends(2);
}

#[test]
fn all_entries_that_were_refused_are_counted() {
    let repo = Repo::new();
    fs::create_dir(repo.at("d")).expect("a folder");
    // More names of one device than are told; it is left out, so that each of them is refused.
    if !is_root() {
        println!("skipped: only root can make a device");
        return;
    }
    let null = rustix::fs::makedev(1, 3);
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, repo.at("d/0"), rustix::fs::FileType::CharacterDevice, mode, null)
        .expect("a device");
    (1..=1203).for_each(|number| fs::hard_link(repo.at("d/0"), repo.at(format!("d/0-{number:04}"))).expect("a link"));
    repo.run(["snapshot", "--dir", "d"]).ok();
    let ran = repo.run(["restore", "latest", "--to", "out", "--no-special", "--json"]).ends(3);
    let told = ran.object();
    assert_eq!(told["problem_count"], 1203);
    assert_eq!(told["problems"].as_array().map(Vec::len), Some(1000));
    assert_eq!(told["left_out_count"], 1);
    assert!(ran.err.contains("... and 203 more"), "{}", ran.err);
}
