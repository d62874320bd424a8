//! What the loop does with a damaged repository: it goes on taking, and removes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::repo::{Ran, Repo, noise};

/// A file for a target that changes with each run. Everything is read by each check that is due.
fn config(repo: &Repo, check_every: &str) {
    let text = format!(
        "[upkeep]\nprune-every = \"1s\"\ncheck-every = \"{check_every}\"\nread-all-within = \"1s\"\nmax-unused = \"0%\"\n\
         [status]\nfile = \"status.json\"\ntextfile = \"sfarc.prom\"\n[retention]\nkeep-last = 1\n\
         [[target]]\nname = \"home\"\n[[target.stream]]\nname = \"file\"\nhere = true\npath = \"{}\"\n",
        repo.at("file").display()
    );
    repo.write("sfarc.toml", text.as_bytes());
}

/// One run of everything that is due, with other contents than before.
fn once(repo: &Repo, contents: u64) -> Ran {
    repo.write("file", &noise(contents, 300_000));
    // Upkeep is due once a second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    repo.run(["run", "--once"])
}

fn figures(repo: &Repo) -> String {
    fs::read_to_string(repo.at("sfarc.prom")).expect("written")
}

/// The pack with the contents: the others hold records, and the lists.
fn largest(repo: &Repo) -> PathBuf {
    let packs = repo.files("packs");
    packs.into_iter().max_by_key(|path| fs::metadata(path).expect("a pack").len()).expect("a pack")
}

fn flip(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).expect("a pack");
    let mut other = bytes.clone();
    other[1000] ^= 1;
    fs::remove_file(path).expect("removed");
    fs::write(path, other).expect("written");
    bytes
}

#[test]
fn nothing_is_pruned_while_damage_is_open_and_a_restart_does_not_forget_it() {
    let repo = Repo::new();
    config(&repo, "1s");
    repo.write("file", &noise(1, 300_000));
    let pinned = repo.run(["snapshot", "--json", "--file", "file", "--label", "target=home"]).ok().id();
    repo.run(["pin", &pinned, "--why", "a test"]).ok();
    let pack = largest(&repo);
    once(&repo, 2).ok().says("prune: forgot");
    assert!(figures(&repo).contains("sfarc_damage_open 0"), "{}", figures(&repo));
    let sound = flip(&pack);

    let told = once(&repo, 3).ends(13).says("nothing is pruned while the repository is damaged").says("1 snapshot hit");
    let lines = told.err.lines().filter(|line| line.contains("error") && line.contains("damage:")).count();
    assert_eq!(lines, 1, "{}", told.err);
    assert!(figures(&repo).contains("sfarc_damage_open 1") && figures(&repo).contains("sfarc_damaged_snapshots 1"));
    repo.run(["status"]).ends(3).says("nothing is pruned");
    let status = repo.run(["status", "--json"]).ends(3).object();
    assert_eq!(status["state"]["damage"]["snapshots"][0], pinned[..], "{status}");

    repo.run(["forget", "--keep-last", "1", "--dry-run"]).ok().says("the newest that no damage hits");

    // What is garbage now stays, and so does what another service would find: it only knows the repository.
    let before = repo.files("packs");
    config(&repo, "never");
    fs::remove_file(repo.at("status.json")).expect("removed");
    once(&repo, 4).ends(13).says("nothing is removed from the store");
    let listed = repo.run(["list", "--label", "target=home", "--json"]).ok().json();
    assert_eq!(listed.len(), 2, "what no rule keeps is forgotten: the pinned one and the newest stay");
    let after = repo.files("packs");
    assert!(before.iter().all(|pack| after.contains(pack)), "a pack was removed");

    // Mended, and nothing needs it any more.
    fs::remove_file(&pack).expect("removed");
    fs::write(&pack, sound).expect("written");
    repo.run(["pin", "--remove", &pinned]).ok();
    repo.run(["forget", &pinned]).ok();
    config(&repo, "1s");
    once(&repo, 5).ok().says("the repository is whole again");
    assert!(figures(&repo).contains("sfarc_damage_open 0"), "{}", figures(&repo));
    let mut rounds = 6..20;
    while repo.files("packs").iter().any(|pack| before.contains(pack)) {
        once(&repo, rounds.next().expect("garbage is collected again")).ok();
    }
    repo.check();
}

#[test]
fn a_snapshot_that_cannot_be_read_is_open_damage() {
    let repo = Repo::new();
    config(&repo, "never");
    once(&repo, 1).ok();
    let snapshot = repo.run(["list", "--label", "target=home", "--json"]).ok().json()[0]["id"].to_string();
    let path = repo.path().join("snapshots").join(snapshot.trim_matches('"'));
    let mut bytes = fs::read(&path).expect("a snapshot");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&path).expect("removed");
    fs::write(&path, bytes).expect("written");
    once(&repo, 2).ends(13).says("snapshots/");
    repo.run(["forget", snapshot.trim_matches('"')]).ok();
    once(&repo, 3).ok().says("prune: forgot");
}
