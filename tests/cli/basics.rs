//! Every command once as people use it, with what it prints and how it ends.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::json::assert_documented;
use crate::repo::{Ran, Repo, environment, feed, noise, sfarc};

#[test]
fn streams_of_every_kind_go_into_one_snapshot_and_come_back() {
    let repo = Repo::new();
    repo.write("dump.sql", b"from a file");
    repo.write("etc/hosts", b"from a folder");
    let args = ["snapshot", "--stdin", "in", "--file", "dump.sql", "--file", "again=dump.sql", "--dir", "etc"];
    let args = [&args[..], &["--command", "out=printf 'from a command'", "--quiet"]].concat();
    let ran = repo.feed(args, b"from standard input").ok();
    assert_eq!((ran.text(), ran.err), (String::new(), String::new()), "quiet is quiet");
    let out = repo.restore("latest", "out");
    let read = |name: &str| fs::read_to_string(out.join(name)).expect(name);
    assert_eq!(read("in"), "from standard input");
    assert_eq!(read("dump.sql"), "from a file");
    assert_eq!(read("again"), "from a file");
    assert_eq!(read("etc/hosts"), "from a folder");
    assert_eq!(read("out"), "from a command");
    repo.check();
}

#[test]
fn every_object_of_json_is_documented() {
    let repo = Repo::new();
    let see = |command: &str, args: &[&str], code: i32| {
        let ran = repo.run([args, &["--json"]].concat()).ends(code);
        assert!(!ran.out.is_empty(), "{args:?} prints nothing");
        ran.json().iter().for_each(|object| assert_documented(command, object));
    };
    repo.write("d/sub/file", &noise(1, 50_000));
    repo.write("plain", b"1");
    std::os::unix::fs::symlink("sub/file", repo.at("d/link")).expect("a link");
    fs::hard_link(repo.at("d/sub/file"), repo.at("d/sub/again")).expect("a link");
    let take = ["snapshot", "--dir", "d", "--file", "plain", "--command", "c=echo 1", "--tag", "t", "--label", "k=v"];
    see("snapshot", &take, 0);
    see("snapshot", &[&take[..], &["--dry-run"]].concat(), 0);
    repo.write("d/sub/more", b"more");
    repo.write("plain", b"2");
    see("snapshot", &take, 0);
    for command in ["list", "check", "stats"] {
        see(if command == "list" { "snapshot" } else { command }, &[command], 0);
    }
    see("snapshot", &["show", "latest"], 0);
    see("ls", &["ls", "latest"], 0);
    see("diff", &["diff", "latest~1", "latest"], 0);
    see("restore", &["restore", "latest", "--to", "out"], 0);
    see("key list", &["key", "list"], 0);
    see("key add", &["key", "add", "--new-key-file", "other", "--label", "spare"], 0);
    see("key list", &["key", "list"], 0);
    see("forget", &["forget", "latest~1", "--dry-run"], 0);
    see("forget", &["forget", "latest~1"], 0);
    see("prune", &["prune"], 0);
    fs::remove_file(&repo.files("packs")[0]).expect("a pack is removed");
    see("check", &["check", "--read-data"], 13);
    let hits = repo.run(["check", "--json"]).ends(13).json();
    assert!(hits.iter().any(|object| object["type"] == "hit"), "{hits:?}");
    let new =
        sfarc().args(["init", "--json", "--repo"]).arg(repo.at("new")).arg("--key-file").arg(repo.at("key")).output();
    assert_documented("init", &Ran::from(new.expect("the program starts")).ok().object());
}

#[test]
fn bytes_that_are_no_text_are_hexadecimal_in_json() {
    let repo = Repo::new();
    let (name, hex) = (OsStr::from_bytes(b"\xff"), serde_json::json!({ "hex": "ff" }));
    repo.feed([OsStr::new("snapshot"), "--stdin".as_ref(), name], &noise(1, 50_000)).ok();
    let to = [OsStr::new("restore"), "latest".as_ref(), "--json".as_ref(), "--to".as_ref(), name];
    let restored = repo.run(to).ok().object();
    assert_documented("restore", &restored);
    assert_eq!((&restored["stream"], &restored["path"]), (&hex, &serde_json::json!({ "hex": "ff2fff" })));
    fs::remove_file(&repo.files("packs")[0]).expect("a pack is removed");
    let found = repo.run(["check", "--json"]).ends(13).json();
    let hit = found.iter().find(|object| object["type"] == "hit").expect("a hit");
    assert_documented("check", hit);
    assert_eq!(hit["stream"], hex);
    let init = [OsStr::new("init"), "--json".as_ref(), "--repo".as_ref(), OsStr::from_bytes(b"\xfe")];
    let made = repo.run(init).ok().object();
    assert_documented("init", &made);
    assert_eq!(made["path"]["hex"], "fe");
}

#[test]
fn errors_are_json_too() {
    let repo = Repo::new();
    for (args, code) in [(["show", "latest"], 1), (["cat", "nothing"], 2)] {
        let ran = repo.run([&args[..], &["--json"]].concat()).ends(code);
        if code != 2 {
            let error = serde_json::from_str(&ran.err).expect("a JSON object");
            assert_documented("error", &error);
            assert_eq!(error["exit_code"], code);
        }
    }
}

#[test]
fn snapshots_are_named_by_latest_and_by_the_beginning_of_their_ids() {
    let repo = Repo::new();
    let ids: Vec<String> = (0..20u8).map(|number| repo.take("n", &[number])).collect();
    let shown = |name: &str| repo.run(["show", name, "--json"]).ok().id();
    assert_eq!(shown("latest"), ids[19]);
    assert_eq!(shown("latest~2"), ids[17]);
    assert_eq!(shown(&ids[3]), ids[3]);
    assert_eq!(shown(&ids[3][..12]), ids[3]);
    // Twenty ids begin with sixteen digits: two share one.
    let shared = |id: &&String| ids.iter().filter(|other| other[..1] == id[..1]).count() > 1;
    let ambiguous = ids.iter().find(shared).expect("two ids with the same first digit");
    repo.run(["show", &ambiguous[..1]]).ends(1).says("several ids begin with");
    repo.run(["show", "zz"]).ends(1).says("no snapshot's id begins with `zz`");
    repo.run(["show", "latest~20"]).ends(1).says("the repository has 20 snapshots");
    repo.run(["show", "latest~x"]).ends(1).says("names no snapshot");
    repo.run(["show", ""]).ends(1);
}

#[test]
fn an_empty_stream_is_a_stream() {
    let repo = Repo::new();
    let id = repo.take("nothing", b"");
    assert_eq!(repo.cat(&id, "nothing"), b"");
    assert_eq!(fs::read(repo.restore(&id, "out").join("nothing")).expect("the file"), b"");
}

#[test]
fn list_filters_and_the_time_is_the_one_that_was_given() {
    let repo = Repo::new();
    let take = |args: &[&str]| {
        repo.feed([&["snapshot", "--json", "--stdin", "s"], args].concat(), args.concat().as_bytes()).ok().id()
    };
    let march = take(&["--time", "2026-03-01T12:00:00Z", "--tag", "a", "--tag", "b", "--host", "one"]);
    let february = take(&["--time", "2026-02-01T00:00:00+01:00", "--tag", "a", "--label", "k=v", "--host", "two"]);
    let listed = |args: &[&str]| -> Vec<String> {
        let found = repo.run([&["list", "--json"], args].concat()).ok().json();
        found.iter().map(|snapshot| snapshot["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(listed(&[]), [february.as_str(), march.as_str()], "newest last");
    assert_eq!(listed(&["--tag", "a", "--tag", "b"]), [march.as_str()]);
    assert_eq!(listed(&["--label", "k=v"]), [february.as_str()]);
    assert_eq!(listed(&["--label", "k=w"]), [""; 0]);
    assert_eq!(listed(&["--host", "two"]), [february.as_str()]);
    assert_eq!(listed(&["--stream", "s"]).len(), 2);
    assert_eq!(listed(&["--stream", "t"]).len(), 0);
    assert_eq!(listed(&["--tag", "a", "--latest", "1"]), [march.as_str()]);
    let shown = repo.run(["show", &february, "--json"]).ok().object();
    assert_eq!(shown["time"], "2026-01-31T23:00:00Z");
    assert_eq!(shown["labels"]["k"], "v");
    repo.run(["show", &march]).ok().says("2026-03-01 12:00:00").says("tags      a, b");
    repo.run(["list"]).ok().says("k=v");
    repo.feed(["snapshot", "--stdin", "s", "--time", "soon"], b"").ends(2).says("`soon` is not a time");
    repo.feed(["snapshot", "--stdin", "s", "--label", "k"], b"").ends(2).says("KEY=VALUE");
}

#[test]
fn a_dry_run_stores_nothing_and_says_what_would_be_new() {
    let repo = Repo::new();
    let before = repo.pack_bytes();
    let ran = repo.feed(["snapshot", "--stdin", "s", "--dry-run"], &noise(1, 1 << 20)).ok();
    ran.says("nothing was stored; 1.00 MiB would be new");
    assert_eq!((repo.ids().len(), repo.pack_bytes()), (0, before));
    let object = repo.feed(["snapshot", "--stdin", "s", "--dry-run", "--json"], b"x").ok().object();
    assert!(object["id"].is_null());
    repo.take("s", b"kept");
    repo.run(["forget", "latest", "--dry-run"]).ok().says("would forget");
    assert_eq!(repo.ids().len(), 1);
    repo.run(["forget", "latest"]).ok();
    let packs = repo.files("packs");
    repo.run(["prune", "--dry-run"]).ok().says("would remove 1 pack");
    assert_eq!(repo.files("packs"), packs);
}

#[test]
fn forget_and_prune_free_space_and_keep_the_rest() {
    let repo = Repo::new();
    let (kept, dropped) = (noise(1, 2 << 20), noise(2, 2 << 20));
    let first = repo.take("s", &kept);
    let second = repo.take("s", &dropped);
    let both = repo.pack_bytes();
    repo.run(["forget", &second[..10]]).ok().says("1 snapshot forgotten");
    assert_eq!(repo.pack_bytes(), both, "forgetting frees nothing by itself");
    repo.run(["prune"]).ok().says("removed");
    assert!(repo.pack_bytes() < both * 6 / 10, "{} of {both}", repo.pack_bytes());
    assert_eq!(repo.ids(), [first.as_str()]);
    assert_eq!(repo.cat(&first, "s"), kept);
    repo.run(["forget", &second[..10]]).ends(1).says("no snapshot's id begins with");
    repo.check();
}

#[test]
fn unchanged_data_cost_nothing() {
    let repo = Repo::new();
    let data = noise(1, 4 << 20);
    repo.take("s", &data);
    let packs = repo.files("packs");
    repo.take("s", &data);
    assert_eq!(repo.files("packs"), packs);
}

#[test]
fn diff_names_what_changed() {
    let repo = Repo::new();
    repo.write("d/same", b"1");
    repo.write("d/changed", b"1");
    repo.write("d/gone", b"1");
    repo.run(["snapshot", "--dir", "d"]).ok();
    repo.write("d/changed", b"22");
    repo.write("d/new", b"1");
    fs::remove_file(repo.at("d/gone")).expect("the file is removed");
    repo.run(["snapshot", "--dir", "d"]).ok();
    let ran = repo.run(["diff", "latest~1", "latest"]).ok();
    let ran = ran.says("+ d/new").says("- d/gone").says("M d/changed  1 B -> 2 B");
    assert!(!ran.text().contains("same"), "{}", ran.text());
    repo.run(["diff", "latest", "latest"]).ok().says("hold the same");
}

#[test]
fn exit_codes_tell_what_kind_of_failure_it_is() {
    let repo = Repo::new();
    let missing = sfarc().args(["list", "--repo"]).arg(repo.at("none")).arg("--key-file").arg(repo.at("key")).output();
    let ran = Ran::from(missing.expect("the program starts")).ends(10);
    ran.says("there is no sfarc repository").says("sfarc init");
    Ran::from(sfarc().arg("list").output().expect("the program starts")).ends(2).says("--repo");
    repo.run(["snapshot"]).ends(2).says("name at least one stream");
    repo.run(["snapshot", "--file", "none"]).ends(1).says("cannot open none").says("no snapshot was made");
    repo.run(["snapshot", "--dir", "none"]).ends(1).says("no snapshot was made");
    repo.feed(["snapshot", "--stdin", "a", "--command", "a=true"], b"").ends(2).says("two streams are named `a`");
    repo.feed(["snapshot", "--stdin", ""], b"").ends(2).says("cannot be empty");
    repo.run(["snapshot", "--command", "true"]).ends(2).says("NAME=COMMAND");
    assert_eq!(repo.ids().len(), 0);
    repo.take("s", &noise(1, 10_000));
    repo.run(["cat", "latest", "t"]).ends(2).says("it has: s");
    let pack = repo.files("packs").remove(0);
    let mut bytes = fs::read(&pack).expect("a pack");
    bytes[5000] ^= 1;
    fs::write(&pack, bytes).expect("the pack is damaged");
    repo.run(["cat", "latest", "s"]).ends(13);
    repo.run(["restore", "latest", "--to", "out"]).ends(13);
    let checked = repo.run(["check", "--read-data"]).ends(13).says("damaged: pack").says("stream s");
    assert!(!checked.text().contains("is damaged:"), "an object is named twice: {}", checked.text());
    assert_eq!(fs::read_dir(repo.at("out")).expect("the folder").count(), 0, "nothing of a damaged stream is left");
}

#[test]
fn init_wants_an_empty_folder() {
    let repo = Repo::new();
    let before = fs::read(repo.path().join("config")).expect("the configuration");
    repo.run(["init"]).ends(1).says("not empty");
    assert_eq!(fs::read(repo.path().join("config")).expect("the configuration"), before);
    repo.run(["list"]).ok();
}

#[test]
fn a_command_that_fails_leaves_no_snapshot_and_its_last_words() {
    let repo = Repo::new();
    let fails = |command: &str| repo.run(["snapshot", "--command", command]).ends(1).says("no snapshot was made");
    fails("x=echo partial; echo access denied >&2; exit 7").says("exit code 7").says("access denied");
    fails("x=echo partial; kill -9 $$").says("killed by signal 9");
    fails("x=no-such-program-anywhere").says("exit code 127").says("not found");
    let ran = fails("x=seq 1 2000 >&2; exit 1").says("\n  2000\n");
    assert!(!ran.err.contains("\n  1990\n"), "only the last lines: {}", ran.err);
    let ran = fails("x=printf '\\033[2Jwiped' >&2; exit 1").says("wiped");
    assert!(!ran.err.contains('\x1b'), "{:?}", ran.err);
    assert_eq!(repo.ids().len(), 0);
    assert_eq!(repo.files("sessions").len(), 0);
    repo.run(["snapshot", "--command", "x=echo whole"]).ok();
    assert_eq!(repo.cat("latest", "x"), b"whole\n");
}

#[test]
fn what_a_failed_command_leaves_running_is_not_waited_for() {
    let repo = Repo::new();
    // The child holds the pipe of standard error; `timeout` fails the test instead of waiting for it.
    let mut command = std::process::Command::new("timeout");
    let ours = repo.command(["snapshot", "--command", "x=sleep 60 > /dev/null & exit 4"]);
    command.arg("20").arg(ours.get_program()).args(ours.get_args()).env_clear().current_dir(repo.at(""));
    command.envs(environment(&ours));
    let ran = feed(command, b"").ends(1);
    ran.says("exit code 4");
}

#[test]
fn names_survive_and_cannot_move_the_cursor() {
    let repo = Repo::new();
    let names: [&[u8]; 3] = [b"bell\x07 and \x1b[2J", b"not utf-8 \xff\xfe", "caf\u{e9}".as_bytes()];
    for name in names {
        repo.feed([OsStr::new("snapshot"), OsStr::new("--stdin"), OsStr::from_bytes(name)], name).ok();
        let folder = repo.at("d").join(OsStr::from_bytes(name));
        fs::create_dir_all(folder).expect("a folder");
    }
    repo.run(["snapshot", "--dir", "d"]).ok();
    for (back, name) in names.iter().enumerate() {
        let latest = format!("latest~{}", 3 - back);
        let ran = repo.run([OsStr::new("cat"), OsStr::new(&latest), OsStr::from_bytes(name)]).ok();
        assert_eq!(ran.out, *name);
        let to = repo.at(format!("out{back}"));
        let restored = repo.run([OsStr::new("restore"), OsStr::new(&latest), OsStr::new("--to"), to.as_os_str()]).ok();
        assert_plain(&restored.out);
        assert_eq!(fs::read(to.join(OsStr::from_bytes(name))).expect("the file"), *name);
        assert_plain(&repo.run(["show", &latest]).ok().out);
        assert_plain(repo.run(["cat", &latest, "none"]).ends(2).err.as_bytes());
    }
    assert_plain(&repo.run(["list"]).ok().out);
    assert_plain(&repo.run(["ls", "-l", "latest"]).ok().out);
    assert_plain(&repo.run(["diff", "latest~1", "latest"]).ok().out);
    let out = repo.restore("latest", "folder");
    names.iter().for_each(|name| assert!(out.join("d").join(OsStr::from_bytes(name)).is_dir()));
}

#[track_caller]
fn assert_plain(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("the output is UTF-8");
    assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'), "{text:?}");
}

#[test]
fn whoever_stops_reading_is_not_told_off() {
    let repo = Repo::new();
    repo.take("s", &noise(1, 8 << 20));
    for args in [&["cat", "latest", "s"][..], &["completions", "bash"]] {
        let mut child = repo.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let ran = Ran::from(child.wait_with_output().expect("it ends"));
        assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""), "{args:?}");
    }
}

#[test]
fn a_full_disk_under_the_output_is_an_error() {
    let repo = Repo::new();
    repo.take("s", b"text");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device");
    let output = repo.command(["cat", "latest", "s"]).stdout(full).stderr(Stdio::piped()).output();
    Ran::from(output.expect("it starts")).ends(1).says("cannot print the result");
}

#[test]
fn a_damaged_snapshot_is_not_passed_over_in_silence() {
    let repo = Repo::new();
    repo.take("s", b"older");
    let newest = repo.take("s", b"newer");
    let manifest = repo.path().join("snapshots").join(&newest);
    fs::set_permissions(&manifest, fs::Permissions::from_mode(0o600)).expect("writable");
    fs::OpenOptions::new().write(true).open(&manifest).and_then(|file| file.set_len(100)).expect("cut");
    let cat = repo.run(["cat", "latest", "s"]).ok();
    assert_eq!(cat.out, b"older");
    assert!(cat.err.contains("1 cannot") && cat.err.contains(&newest[..8]), "{}", cat.err);
    let other = Repo::new();
    let (to, key) = (other.path(), other.at("key"));
    let copied =
        repo.run([OsStr::new("copy"), "--to".as_ref(), to.as_ref(), "--to-key-file".as_ref(), key.as_ref()]).ends(13);
    assert!(copied.err.contains(&newest[..8]), "{}", copied.err);
}
