//! Writers in containers: each is process 1 of its own.

use std::process::Command;

use crate::repo::{Ran, Repo, environment, noise};

/// The program as process 1 of a new namespace, with a `/proc` of its own or without one that fits.
fn as_process_one(repo: &Repo, proc: bool, args: &[&str]) -> Command {
    let ours = repo.command(args);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork"]).args(proc.then_some("--mount-proc"));
    command.arg(ours.get_program()).args(ours.get_args()).env_clear().current_dir(repo.at(""));
    command.envs(environment(&ours));
    command
}

fn is_permitted() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "true"]);
    command.output().is_ok_and(|output| output.status.success())
}

#[test]
fn writers_that_are_all_process_one_keep_out_of_each_others_way() {
    if !is_permitted() {
        println!("skipped: namespaces cannot be made here");
        return;
    }
    let repo = Repo::new();
    for number in 0..6u64 {
        repo.write(format!("d{number}"), &noise(number, 3 << 20));
    }
    let saved: Vec<String> = std::thread::scope(|scope| {
        let write = |first: u64| {
            let mut ids = Vec::new();
            for number in first..first + 3 {
                let file = format!("d{number}");
                let args = ["snapshot", "--file", &file, "--json"];
                let ran = Ran::from(as_process_one(&repo, number % 2 == 0, &args).output().expect("unshare"));
                ids.push(ran.ok().id());
            }
            ids
        };
        let writers = [scope.spawn(move || write(0)), scope.spawn(move || write(3))];
        let sweeper = scope.spawn(|| {
            for _ in 0..4 {
                Ran::from(as_process_one(&repo, true, &["prune"]).output().expect("unshare")).ok();
            }
        });
        sweeper.join().expect("the sweeper");
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect()
    });
    repo.run(["check", "--read-data"]).ok();
    for (number, id) in saved.iter().enumerate() {
        let out = repo.restore(id, &format!("out{number}"));
        let restored = std::fs::read(out.join(format!("d{number}"))).expect("the file");
        assert!(restored == noise(number as u64, 3 << 20), "snapshot {number}");
    }
    assert!(repo.files("tmp").is_empty(), "{:?}", repo.files("tmp"));
}
