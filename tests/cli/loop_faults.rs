//! What a loop meets: said once, tried again, recovered from without a restart.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::looped::{Loop, command, config, get, run};
use crate::repo::{Repo, environment, noise};
use crate::site::Site;

/// A running loop over a site that takes it every second, and has taken it once.
fn running(site: &Site) -> Loop {
    config(site, "every = \"1s\"");
    let mut looped = Loop::start(command(site, &["run"]));
    looped.says("snapshot ");
    looped
}

/// So long that several runs are due.
fn wait() {
    std::thread::sleep(Duration::from_secs(4));
}

#[track_caller]
fn said_once(looped: &Loop) {
    let errors: Vec<_> = looped.seen.iter().filter(|line| line.contains(" error ")).collect();
    assert_eq!(errors.len(), 1, "{errors:#?}");
}

#[test]
fn a_token_that_expires_and_is_renewed() {
    let site = Site::start();
    let mut looped = running(&site);
    site.factory.cluster.expire_token("admin");
    looped.says(" error   sf: ");
    wait();
    site.factory.cluster.renew_token("admin");
    looped.says("snapshot ");
    said_once(&looped);
    assert_eq!(looped.end().0, 0);
    site.repo.check();
}

#[test]
fn a_namespace_that_vanishes_is_no_empty_snapshot() {
    let site = Site::start();
    let mut looped = running(&site);
    let objects = site.factory.cluster.remove_namespace("sf");
    looped.says(" error   sf: ");
    wait();
    let of_target = || site.repo.run(["list", "--label", "target=sf", "--json"]).ok().json();
    let before = of_target().len();
    wait();
    assert_eq!(of_target().len(), before, "something was taken though nothing is there");
    objects.into_iter().for_each(|object| site.factory.cluster.put_object(object));
    looped.says("snapshot ");
    said_once(&looped);
    assert_eq!(looped.end().0, 0);
    site.repo.check();
}

#[test]
fn what_does_not_fit_together_is_told_and_is_no_success() {
    let site = Site::start();
    config(&site, "");
    site.edit("counts", |counts| counts.replace("rows/7A75756C5F6275696C64\t20", "rows/7A75756C5F6275696C64\t21"));
    if site.factory.has_real_database() {
        // A real server cannot be made to count wrongly.
        println!("the server is real, so a password that does not fit is what does not fit together");
    }
    site.factory.set_secret("zuul-keystore-password-new", "zuul-keystore-password-new", "another");
    run(&site, &["run", "--once"]).ends(3).says(" warning sf: ");
    let figures = std::fs::read_to_string(site.repo.at("sfarc.prom")).expect("written");
    assert!(figures.contains("sfarc_last_run_ok{target=\"sf\"} 0"), "{figures}");
}

/// A file for targets of this machine.
fn here(repo: &Repo, more: &str) {
    let path = repo.at("").display().to_string();
    let text = format!(
        "{more}\n[retention]\nkeep-last = 2\n[[target]]\nname = \"home\"\n\
         [[target.stream]]\nname = \"folder\"\nhere = true\npath = \"{path}/home\"\nexclude = [\"cache\"]\n\
         [[target.stream]]\nname = \"words\"\nhere = true\ncommand = \"echo some words\"\n"
    );
    repo.write("sfarc.toml", text.as_bytes());
}

#[test]
fn folders_and_commands_of_this_machine_are_targets_too() {
    let repo = Repo::new();
    repo.write("home/a/file", b"contents");
    repo.write("home/cache/x", b"not wanted");
    here(&repo, "");
    repo.run(["config", "check"]).ok().says("home").says("none");
    repo.run(["run", "--once"]).ok().says("snapshot ");
    assert_eq!(repo.run(["cat", "latest", "words"]).ok().text(), "some words\n");
    let listed = repo.run(["show", "latest"]).ok();
    listed.says("folder");
    repo.run(["restore", "latest", "--stream", "folder", "--to", "back"]).ok();
    let back = walkdir(&repo);
    assert!(back.iter().any(|path| path.ends_with("a/file")), "{back:?}");
    assert!(!back.iter().any(|path| path.contains("cache")), "{back:?}");
    // The same by hand.
    repo.run(["snapshot", "--config", "sfarc.toml", "--only", "words"]).ok();
    assert_eq!(repo.run(["show", "latest", "--json"]).ok().object()["streams"].as_array().map(Vec::len), Some(1));
    repo.write("bad.toml", b"[[stream]]\nname = \"x\"\nhere = true\npod = \"p\"\ncommand = \"true\"\n");
    repo.run(["config", "check", "--config", "bad.toml"]).ends(2).says("line 1").says("of this machine");
}

fn walkdir(repo: &Repo) -> Vec<String> {
    let out = Command::new("find").arg(repo.at("back")).output().expect("find").stdout;
    String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[test]
fn options_and_variables_go_before_the_file() {
    let repo = Repo::new();
    repo.write("home/file", b"contents");
    here(&repo, "every = \"1h\"\n[status]\nfile = \"nowhere/else.json\"");
    let mut command = repo.command(["run", "--every", "1s", "--listen", "127.0.0.1:0"]);
    command.env("SFARC_STATUS_FILE", repo.at("status.json")).env("SFARC_PAGE", "true");
    let mut looped = Loop::start(command);
    let address = looped.address();
    looped.says("snapshot ");
    looped.says("snapshot ");
    assert_eq!(get(&address, "/").0, 200);
    assert_eq!(looped.end().0, 0);
    assert!(repo.at("status.json").exists());
    repo.run(["run", "--once", "--every", "soon"]).ends(2).says("no length of time");
}

#[test]
fn targets_come_and_go_while_others_run() {
    let repo = Repo::new();
    let target = |name: &str, command: &str| {
        format!(
            "[[target]]\nname = \"{name}\"\nevery = \"1h\"\n\
             [[target.stream]]\nname = \"s\"\nhere = true\ncommand = \"{command}\"\n"
        )
    };
    let slow = format!("touch {0}/begun; while [ ! -e {0}/go ]; do sleep 0.1; done", repo.at("").display());
    repo.write("sfarc.toml", [target("gone", &slow), target("stays", &slow)].concat().as_bytes());
    let mut looped = Loop::start(repo.command(["run"]));
    let end = Instant::now() + Duration::from_secs(30);
    while !repo.at("begun").exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    repo.write("sfarc.toml", [target("new", "true"), target("stays", &slow)].concat().as_bytes());
    looped.signal("-HUP");
    looped.says("read again");
    looped.says("new: snapshot ");
    repo.write("go", b"");
    looped.says("stays: snapshot ");
    let (code, seen) = looped.end();
    assert_eq!(code, 0);
    assert_eq!(seen.iter().filter(|line| line.contains("stays: snapshot ")).count(), 1, "it ran twice: {seen:#?}");
    repo.check();
}

/// On a small disk that fills up and is emptied again. `$SFARC` is the program.
const FULL_DISK: &str = r#"
mkdir disk && mount -t tmpfs -o size=8m none disk || exit 77
export SFARC_REPO=$PWD/disk/repo
$SFARC init --quiet || exit 1
cat > sfarc.toml <<END
every = "1s"
[upkeep]
prune-every = "never"
check-every = "never"
[[target]]
name = "noise"
[[target.stream]]
name = "s"
here = true
command = "cat noise"
END
head -c 100000 /dev/urandom > noise
$SFARC run --config sfarc.toml 2> log &
until grep -q "snapshot " log; do sleep 0.1; done
head -c 5M /dev/zero > disk/filler
head -c 4M /dev/urandom > noise
until grep -q " error " log; do sleep 0.1; done
sleep 4
rm disk/filler
runs=$(grep -c "snapshot " log)
until [ "$(grep -c "snapshot " log)" -gt "$runs" ]; do sleep 0.1; done
kill %1; wait %1; echo "ended $?"
$SFARC check --read-data --quiet; echo "check $?"
grep -c " error " log
"#;

#[test]
fn a_full_disk_is_said_once_and_recovered_from() {
    let repo = Repo::new();
    let command = repo.command(["x"]);
    let mut script = Command::new("timeout");
    script.args(["120", "unshare", "--mount", "bash", "-c", FULL_DISK]).env_clear().current_dir(repo.at(""));
    script.envs(environment(&command)).env("SFARC", env!("CARGO_BIN_EXE_sfarc"));
    let output = script.output().expect("it starts");
    let (text, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() != Some(0) && !text.contains("ended") {
        println!("no private mounts here, so no disk can be filled: {err}");
        return;
    }
    assert_eq!(text.lines().collect::<Vec<_>>(), ["ended 0", "check 0", "1"], "{err}");
}

#[test]
fn upkeep_keeps_within_its_time_and_its_bytes() {
    let repo = Repo::new();
    // Packs of which half is garbage, once the first snapshots are forgotten.
    let half = |seed: u64| noise(seed, 1 << 20);
    for seed in 1..=4 {
        repo.write("home/file", &[half(0), half(seed)].concat());
        here(&repo, "[upkeep]\nprune-every = \"never\"\ncheck-every = \"never\"");
        repo.run(["run", "--once"]).ok();
    }
    here(&repo, "[upkeep]\nprune-every = \"1s\"\ntime-at-most = \"0.000001s\"");
    let told = repo.run(["run", "--once"]).ends(1);
    assert!(told.err.contains("longer than `time-at-most`") && told.err.contains("its time was over"), "{}", told.err);
    repo.check();
    here(&repo, "[upkeep]\nrewrite-at-most = \"1B\"\nprune-every = \"1s\"");
    repo.run(["run", "--once"]).ok().says("prune: ");
    repo.check();
}
