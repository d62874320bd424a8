//! `init --hide-sizes`, as people use it.

use crate::repo::{Ran, Repo, noise};

#[test]
fn a_repository_that_hides_sizes_is_used_like_any_other() {
    let repo = Repo::new();
    let hiding = repo.at("hiding").to_str().expect("UTF-8").to_owned();
    let there = |args: &[&str], input: Option<&[u8]>| {
        let mut command = repo.command(args);
        command.env("SFARC_REPO", &hiding).env("SFARC_KEY_FILE", repo.at("hiding-key"));
        match input {
            Some(input) => crate::repo::feed(command, input),
            None => Ran::from(command.output().expect("it runs")),
        }
    };
    there(&["init", "--hide-sizes"], None).ok().says("made repository");
    let first = [vec![b'a'; 300_000], noise(1, 900_000)].concat();
    let second = [&first[..], b"and more"].concat();
    there(&["snapshot", "--stdin", "db.sql"], Some(&first)).ok();
    there(&["snapshot", "--stdin", "db.sql"], Some(&second)).ok();
    assert_eq!(there(&["list", "--json"], None).ok().json().len(), 2);
    there(&["check", "--read-data"], None).ok();
    there(&["forget", "--keep-last", "1"], None).ok();
    there(&["prune", "--max-unused", "0%"], None).ok();
    there(&["check", "--read-data"], None).ok();
    assert!(there(&["cat", "latest", "db.sql"], None).ok().out == second);
    // Out of a repository that does not hide anything.
    repo.take("other.sql", b"a dump");
    repo.run(["copy", "--to", &hiding, "--to-key-file", "hiding-key"]).ok().says("1 snapshot copied");
    assert_eq!(there(&["cat", "latest", "other.sql"], None).ok().out, b"a dump");
    there(&["stats"], None).ok();
}
