//! Killed, interrupted, crowded and full: what was there stays, and the next run works.

use std::fs;
use std::io::Write;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::repo::{Ran, Repo, environment, feed, noise};

/// Moments of a run, the same in every run of the test.
fn moments(seed: u64, count: usize, most: Duration) -> Vec<Duration> {
    let bytes = noise(seed, count * 4);
    let shares = bytes.chunks_exact(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
    shares.map(|share| most.mul_f64(f64::from(share) / f64::from(u32::MAX))).collect()
}

/// What a snapshot of this round holds: the beginning is shared with its neighbours.
fn data(round: usize) -> Vec<u8> {
    let mut bytes = noise(round as u64 / 3, 700_000);
    bytes.extend(noise(1000 + round as u64, 500_000));
    bytes
}

fn stdin_of(child: &mut Child) -> std::process::ChildStdin {
    child.stdin.take().expect("a pipe")
}

/// Every snapshot holds what its stream's name says, and the repository is unharmed.
#[track_caller]
fn assert_whole(repo: &Repo) -> Vec<String> {
    let snapshots = repo.run(["list", "--json"]).ok().json();
    let mut ids = Vec::new();
    for snapshot in snapshots {
        let (id, name) = (snapshot["id"].as_str().expect("an id"), &snapshot["streams"][0]["name"]);
        let name = name.as_str().expect("a name");
        let round = name.parse().expect("a round");
        assert!(repo.cat(id, name) == data(round), "snapshot {id} of round {round}");
        ids.push(id.to_owned());
    }
    repo.check();
    ids
}

/// After a prune, nothing of those who were killed is left.
#[track_caller]
fn assert_tidy(repo: &Repo) {
    for folder in ["sessions", "tmp"] {
        assert_eq!(repo.files(folder), Vec::<std::path::PathBuf>::new());
    }
}

#[test]
fn a_snapshot_killed_at_any_time_harms_nothing() {
    let repo = Repo::new();
    repo.take("0", &data(0));
    for (place, moment) in moments(1, 15, Duration::from_millis(80)).into_iter().enumerate() {
        let round = place + 1;
        let mut child = repo.start(["snapshot", "--stdin", &round.to_string()]);
        let mut stdin = stdin_of(&mut child);
        std::thread::scope(|scope| {
            scope.spawn(move || drop(stdin.write_all(&data(round))));
            std::thread::sleep(moment);
            child.kill().expect("it is killed");
        });
        child.wait().expect("it ends");
        if round % 3 == 0 {
            assert_whole(&repo);
            repo.take("0", &data(0));
        }
    }
    let before = assert_whole(&repo);
    assert!(!before.is_empty());
    repo.run(["prune"]).ok();
    assert_tidy(&repo);
    assert_eq!(assert_whole(&repo), before);
}

#[test]
fn a_snapshot_killed_before_its_stream_ended_is_never_seen() {
    let repo = Repo::new();
    let first = repo.take("0", &data(0));
    for (round, moment) in moments(2, 10, Duration::from_millis(30)).into_iter().enumerate() {
        let mut child = repo.start(["snapshot", "--stdin", "1"]);
        let mut stdin = stdin_of(&mut child);
        for part in data(round).chunks(200_000).take(round + 1) {
            stdin.write_all(part).expect("it reads");
        }
        std::thread::sleep(moment);
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
    }
    assert!(!repo.files("sessions").is_empty(), "a killed program cannot clean up");
    assert_eq!(assert_whole(&repo), [first.as_str()]);
    repo.run(["prune"]).ok().says("dead session");
    assert_tidy(&repo);
    assert_eq!(assert_whole(&repo), [first]);
    repo.take("3", &data(3));
    assert_whole(&repo);
}

#[test]
fn a_prune_killed_at_any_time_harms_nothing() {
    let repo = Repo::new();
    let kept = repo.take("0", &data(0));
    let mut previous: Option<String> = None;
    for (place, moment) in moments(3, 12, Duration::from_millis(60)).into_iter().enumerate() {
        let round = place + 1;
        let id = repo.take(&round.to_string(), &data(round));
        if let Some(previous) = previous.replace(id) {
            repo.run(["forget", &previous]).ok();
        }
        let mut child = repo.start(["prune", "--max-unused", "1%"]);
        std::thread::sleep(moment);
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
        assert_eq!(assert_whole(&repo), [kept.as_str(), previous.as_deref().expect("a snapshot")]);
    }
    repo.run(["prune", "--max-unused", "1%"]).ok();
    repo.run(["prune"]).ok();
    assert_tidy(&repo);
    assert_whole(&repo);
    assert!(repo.pack_bytes() < 4 << 20, "{} bytes for two snapshots", repo.pack_bytes());
}

#[test]
fn an_interrupted_snapshot_says_so_and_cleans_up() {
    let repo = Repo::new();
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = repo.start(["snapshot", "--stdin", "1"]);
        let mut stdin = stdin_of(&mut child);
        // More than the pipe holds: when it is written, the program has begun to read.
        stdin.write_all(&noise(1, 1 << 20)).expect("it reads");
        kill_process(Pid::from_child(&child), signal).expect("the signal is sent");
        let ran = Ran::from(child.wait_with_output().expect("it ends")).ends(130);
        assert_eq!(ran.err, "sfarc: interrupted\n");
        drop(stdin);
        assert_tidy(&repo);
        assert_eq!(repo.ids().len(), 0);
    }
    repo.take("0", &data(0));
    assert_whole(&repo);
}

fn make_fifo(repo: &Repo, name: &str) -> std::path::PathBuf {
    let path = repo.at(name);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).expect("a pipe");
    path
}

/// Waits until a snapshot has begun.
#[track_caller]
fn wait_for_session(repo: &Repo) {
    for _ in 0..2000 {
        if !repo.files("sessions").is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("no session is begun");
}

#[test]
fn an_interrupt_ends_the_wait_for_the_writer_of_a_pipe() {
    let repo = Repo::new();
    make_fifo(&repo, "pipe");
    let mut child = repo.start(["snapshot", "--file", "pipe"]);
    wait_for_session(&repo);
    // Long enough to be at the pipe; an empty stream would be whole by now.
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().expect("it is asked").is_none(), "it waits for a writer");
    kill_process(Pid::from_child(&child), Signal::INT).expect("the signal is sent");
    for _ in 0..2000 {
        if child.try_wait().expect("it is asked").is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // What did not listen is ended: the test fails instead of waiting for ever.
    let _ = child.kill();
    Ran::from(child.wait_with_output().expect("it ends")).ends(130);
    assert_tidy(&repo);
    assert_eq!(repo.ids().len(), 0);
}

#[test]
fn a_pipe_is_read_from_its_first_writer_to_its_end() {
    let repo = Repo::new();
    let path = make_fifo(&repo, "pipe");
    for bytes in [data(1), Vec::new()] {
        let child = repo.start(["snapshot", "--file", "pipe", "--json"]);
        wait_for_session(&repo);
        std::thread::sleep(Duration::from_millis(250));
        let mut writer = fs::OpenOptions::new().write(true).open(&path).expect("somebody reads");
        for part in bytes.chunks(500_000) {
            writer.write_all(part).expect("it reads");
            std::thread::sleep(Duration::from_millis(150));
        }
        drop(writer);
        let ran = Ran::from(child.wait_with_output().expect("it ends")).ok();
        assert_eq!(ran.err, "");
        assert!(repo.cat("latest", "pipe") == bytes);
    }
}

/// Waits until a file holds something, and gives it.
fn contents_of(path: &std::path::Path) -> String {
    for _ in 0..2000 {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    panic!("nobody writes {}", path.display());
}

/// True if the process is gone, or dead and only waits for its parent to notice.
fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

#[track_caller]
fn wait_until_gone(pid: &str) {
    for _ in 0..2000 {
        if is_gone(pid) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("process {pid} still runs");
}

/// Interrupts a snapshot of a command that has written its process ids into the file `pids`.
#[track_caller]
fn interrupt_command(command: &str) {
    let repo = Repo::new();
    let child = repo.start(["snapshot", "--command", command]);
    let pids = contents_of(&repo.at("pids"));
    kill_process(Pid::from_child(&child), Signal::INT).expect("the signal is sent");
    for pid in pids.split_whitespace() {
        wait_until_gone(pid);
    }
    Ran::from(child.wait_with_output().expect("it ends")).ends(130);
    assert_tidy(&repo);
    assert_eq!(repo.ids().len(), 0);
}

#[test]
fn an_interrupt_ends_the_whole_process_group_of_a_command() {
    interrupt_command("x=echo begun; sleep 100 & echo $! $$ > pids.tmp; mv pids.tmp pids; wait");
}

#[test]
fn an_interrupt_ends_a_command_that_has_closed_its_output() {
    interrupt_command("x=exec > /dev/null; echo $$ > pids.tmp; mv pids.tmp pids; sleep 60; :");
}

#[test]
fn writers_and_collectors_at_once_lose_nothing() {
    let repo = Repo::new();
    for round in 0..5usize {
        let names = [format!("{}", 2 * round), format!("{}", 2 * round + 1)];
        let writers = names.map(|name| {
            let command = repo.command(["snapshot", "--stdin", &name]);
            let bytes = data(name.parse().expect("a round"));
            std::thread::spawn(move || feed(command, &bytes))
        });
        let collectors = [(); 2].map(|()| {
            let command = repo.command(["prune", "--max-unused", "1%"]);
            std::thread::spawn(move || feed(command, b""))
        });
        for collector in collectors {
            collector.join().expect("no panic").ok();
        }
        for writer in writers {
            writer.join().expect("no panic").ok();
        }
        let ids = assert_whole(&repo);
        assert_eq!(ids.len(), 2 * round + 2 - round.saturating_sub(1));
        if round > 0 {
            repo.run(["forget", &ids[0]]).ok();
        }
    }
    repo.run(["prune"]).ok();
    assert_whole(&repo);
    assert_tidy(&repo);
}

/// Runs a shell script with the program as `$SFARC` beside a repository, and gives its lines.
fn script(repo: &Repo, shell: &[&str], text: &str) -> Ran {
    let mut command = repo.command(shell);
    let mut script = Command::new(command.get_args().next().expect("a shell"));
    script.args(command.get_args().skip(1)).arg(text).env_clear().current_dir(repo.at(""));
    command.env("SFARC", env!("CARGO_BIN_EXE_sfarc"));
    script.envs(environment(&command));
    Ran::from(script.output().expect("the script starts"))
}

const FULL_DISK: &str = r#"
mkdir disk && mount -t tmpfs -o size=8m none disk || exit 77
export SFARC_REPO=disk/repo
set -e
$SFARC init --quiet
echo precious | $SFARC snapshot --quiet --stdin first
head -c 6M /dev/zero > disk/filler
set +e
$SFARC snapshot --quiet --file big; echo "snapshot $?"
$SFARC check --read-data --quiet; echo "check $?"
$SFARC cat latest first
find disk/repo/tmp disk/repo/sessions -type f | grep . ; echo "left over: $?"
rm disk/filler
$SFARC snapshot --quiet --file big; echo "again $?"
$SFARC check --read-data --quiet; echo "check $?"
$SFARC cat latest big | cmp - big; echo "same $?"
"#;

const FILE_LIMIT: &str = r#"
echo precious | $SFARC snapshot --quiet --stdin first
(trap '' XFSZ; ulimit -f 2048; $SFARC snapshot --quiet --file big; echo "snapshot $?")
$SFARC check --read-data --quiet; echo "check $?"
$SFARC cat latest first
find repo/tmp repo/sessions -type f | grep . ; echo "left over: $?"
$SFARC snapshot --quiet --file big; echo "again $?"
$SFARC check --read-data --quiet; echo "check $?"
$SFARC cat latest big | cmp - big; echo "same $?"
"#;

#[test]
fn a_full_disk_harms_nothing() {
    let repo = Repo::new();
    repo.write("big", &noise(1, 4 << 20));
    let mut ran = script(&repo, &["unshare", "--mount", "sh", "-c"], FULL_DISK);
    if ran.code != Some(0) || !ran.text().contains("snapshot") {
        println!("no private mounts here, so files are limited instead: {}", ran.err);
        ran = script(&repo, &["sh", "-c"], FILE_LIMIT);
    }
    let lines: Vec<String> = ran.text().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    assert_eq!(
        lines,
        ["snapshot 1", "check 0", "precious", "left over: 1", "again 0", "check 0", "same 0"],
        "{}",
        ran.err
    );
    let errors: Vec<&str> = ran.err.lines().collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("No space left on device") || errors[0].contains("File too large"), "{errors:?}");
}

/// Changes a byte of the plain head of the configuration.
fn change_config(repo: &Repo, place: usize, change: impl Fn(u8) -> u8) {
    let path = repo.path().join("config");
    let mut bytes = fs::read(&path).expect("the configuration");
    bytes[place] = change(bytes[place]);
    fs::write(&path, bytes).expect("the configuration is written");
}

#[test]
fn a_repository_of_the_future_is_refused_with_a_sentence() {
    const FORMAT: usize = 8;
    const READ: usize = 12;
    let repo = Repo::new();
    repo.take("0", &data(0));
    for (place, change) in [(FORMAT, 2), (READ, 4), (READ + 7, 0x80)] {
        change_config(&repo, place, |byte| byte | change);
        for args in [&["list"][..], &["snapshot", "--command", "x=true"], &["prune"], &["check"]] {
            let ran = repo.run(args);
            assert!(ran.code == Some(1), "{args:?} ends with {:?}: {}", ran.code, ran.err);
            assert!(ran.err.contains("newer") && ran.err.lines().count() == 1, "{args:?}: {}", ran.err);
        }
        let original = if place == FORMAT { 1 } else { 0 };
        change_config(&repo, place, |_| original);
    }
    assert_whole(&repo);
}

#[test]
fn features_that_somebody_without_the_key_has_set_are_refused() {
    let repo = Repo::new();
    for class in [20, 28] {
        change_config(&repo, class, |byte| byte | 4);
        let ran = repo.run(["snapshot", "--command", "x=true"]);
        assert!(matches!(ran.code, Some(1 | 13)), "{:?} {}", ran.code, ran.err);
        change_config(&repo, class, |byte| byte & !4);
    }
    repo.run(["snapshot", "--command", "x=true"]).ok();
}

/// The repository as the library opens it, with the test's key file.
fn open(repo: &Repo) -> sfarc::repo::Repository {
    let text = fs::read_to_string(repo.at("key")).expect("the key file");
    let digits = text.trim().rsplit(' ').next().expect("two words");
    let byte = |place: usize| u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).expect("hexadecimal digits");
    let credential = sfarc::repo::Credential::KeyFile(zeroize::Zeroizing::new(std::array::from_fn(byte)));
    let backend = std::sync::Arc::new(sfarc::backend::folder::FolderBackend::open(&repo.at("repo")));
    sfarc::repo::Repository::open(backend, "repo", || Ok(credential), sfarc::env::Env::system()).expect("opens")
}

#[test]
fn a_snapshot_of_a_newer_program_makes_the_listing_incomplete() {
    use sfarc::format::sealed::SealedKind;
    let repo = Repo::new();
    repo.write("data", b"contents");
    repo.run(["snapshot", "--file", "data"]).ok();
    let repository = open(&repo);
    let record = [&3u16.to_le_bytes()[..], &[7; 300]].concat();
    let object = repository
        .keys
        .sealer(SealedKind::Snapshot, &*repository.env.entropy)
        .expect("the key ring is whole")
        .seal_record(&record);
    let id = sfarc::ids::ObjectId::of(&object);
    repository.backend.put(&sfarc::backend::Key::Snapshot(id), &object).expect("stored");
    let ran = repo.run(["list"]).ends(3).says("newer sfarc").says(&id.short());
    assert!(ran.text().contains("data"), "{}", ran.text());
    assert_eq!(repo.run(["cat", "latest", "data"]).ok().out, b"contents");
    repo.run(["show", &id.to_string()]).ends(1).says("newer sfarc");
    repo.run(["prune"]).ends(1).says("newer sfarc");
}
