//! `sfarc repair`: from damage to healthy, as people run it.

use std::fs;
use std::path::PathBuf;

use crate::json::assert_documented;
use crate::repo::{Repo, noise};

/// The objects of a kind.
fn objects(repo: &Repo, kind: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(repo.path().join(kind)).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

fn rot(path: &PathBuf) {
    let mut bytes = fs::read(path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(path).expect("removed");
    fs::write(path, bytes).expect("written");
}

#[test]
fn a_rotten_pack_comes_from_a_mirror() {
    let repo = Repo::new();
    let (bytes, id) = (noise(1, 300_000), repo.take("a", &noise(1, 300_000)));
    repo.run(["mirror", "--to", "mirror"]).ok();
    rot(&objects(&repo, "packs")[0]);
    repo.run(["check", "--read-data"]).ends(13);
    repo.run(["repair", "--read-data", "--from", "mirror", "--dry-run"]).ok().says("would take packs/");
    repo.run(["check", "--read-data"]).ends(13);
    repo.run(["repair", "--read-data", "--from", "mirror"])
        .ok()
        .says("took packs/")
        .says("all of every snapshot restores");
    repo.check();
    assert!(repo.cat(&id, "a") == bytes);
    let nothing = repo.run(["repair", "--quiet", "--read-data", "--from", "mirror"]).ok();
    assert_eq!(nothing.text(), "");
}

#[test]
fn what_is_lost_is_named_and_healed_by_the_next_snapshot() {
    let repo = Repo::new();
    let (bytes, id) = (noise(2, 300_000), repo.take("a", &noise(2, 300_000)));
    for pack in objects(&repo, "packs") {
        fs::remove_file(pack).expect("removed");
    }
    let lost = repo.run(["repair", "--json"]).ends(13).json();
    lost.iter().for_each(|object| assert_documented("repair", object));
    let hit = lost.iter().find(|object| object["type"] == "hit").expect("it is named");
    assert_eq!(
        (&hit["snapshot"], &hit["stream"], &hit["offset"], &hit["bytes"]),
        (&id.clone().into(), &"a".into(), &0.into(), &300_000.into())
    );
    repo.run(["repair"]).ends(13).says("hit: snapshot").says("300000 bytes from offset 0 are lost");
    repo.take("a", &bytes);
    repo.run(["repair"]).ok();
    assert!(repo.cat(&id, "a") == bytes);
    repo.check();
}

#[test]
fn any_files_are_a_place_and_objects_are_documented() {
    let repo = Repo::new();
    let id = repo.take("a", &noise(3, 200_000));
    for (number, object) in objects(&repo, "packs").into_iter().chain(objects(&repo, "snapshots")).enumerate() {
        let found = repo.write(format!("attic/{number}/lost+found"), &fs::read(&object).expect("read"));
        assert!(found.exists());
        fs::remove_file(object).expect("removed");
    }
    for run in objects(&repo, "indexes") {
        rot(&run);
    }
    let done = repo.run(["repair", "--json", "--from", "attic"]).ok().json();
    done.iter().for_each(|object| assert_documented("repair", object));
    assert!(done.iter().any(|object| object["type"] == "taken"), "{done:?}");
    assert_eq!(done.last().expect("one")["healthy"], true);
    assert!(repo.cat(&id, "a") == noise(3, 200_000));
    repo.check();
}

#[test]
fn a_lost_record_of_the_log_waits_for_a_promise() {
    let repo = Repo::new();
    let gone = repo.take("a", &noise(4, 5000));
    let id = repo.take("a", &noise(5, 5000));
    repo.run(["forget", &gone]).ok();
    repo.run(["prune"]).ok();
    rot(&objects(&repo, "gc")[0]);
    repo.feed(["snapshot", "--stdin", "b"], b"more").ends(13);
    repo.run(["repair"]).ends(3).says("--nobody-prunes");
    repo.run(["repair", "--nobody-prunes"]).ok().says("replaced record 1 of the gc log");
    repo.take("b", b"more");
    assert!(repo.cat(&id, "a") == noise(5, 5000));
    repo.run(["prune"]).ok();
    repo.check();
}

#[test]
fn a_lost_configuration_comes_from_the_mirror() {
    let repo = Repo::new();
    let id = repo.take("a", &noise(6, 5000));
    repo.run(["mirror", "--to", "mirror"]).ok();
    fs::remove_file(repo.path().join("config")).expect("removed");
    repo.run(["list"]).ends(13).says("config is damaged: it is missing").says("sfarc repair --from");
    repo.run(["repair", "--from", "mirror", "--dry-run"]).ok().says("would be taken from mirror");
    repo.run(["list"]).ends(13);
    repo.run(["repair", "--from", "mirror"]).ok().says("was taken from mirror");
    assert!(repo.cat(&id, "a") == noise(6, 5000));
}

#[test]
fn places_that_cannot_be_are_refused() {
    let repo = Repo::new();
    repo.run(["repair", "--from", "nowhere"]).ends(1).says("nowhere");
    repo.run(["repair", "--from", "ftp://x"]).ends(2);
}

/// Tools that copy folders often leave empty ones out.
#[test]
fn a_copy_without_its_empty_folders_is_as_good() {
    let repo = Repo::new();
    let (bytes, id) = (noise(3, 300_000), repo.take("a", &noise(3, 300_000)));
    for name in ["gc", "sessions", "tmp", "writers"] {
        let folder = repo.path().join(name);
        if folder.exists() {
            fs::remove_dir(folder).expect("it is empty");
        }
    }
    repo.run(["list"]).ok().says(&id[..8]);
    assert!(repo.cat(&id, "a") == bytes);
    repo.check();
    repo.run(["repair"]).ok();
    repo.run(["prune"]).ok();
    let again = repo.take("a", &bytes);
    repo.run(["forget", &id]).ok();
    assert!(repo.cat(&again, "a") == bytes);
}

/// The disk has something else where a pack was: reading it fails, and only it is lost.
#[test]
fn one_pack_that_cannot_be_read_stops_nothing_else() {
    let repo = Repo::new();
    repo.take("a", &noise(4, 300_000));
    let lost = objects(&repo, "packs");
    let other = repo.take("b", &noise(5, 300_000));
    for pack in &lost {
        fs::remove_file(pack).expect("removed");
        fs::create_dir(pack).expect("made");
    }
    repo.run(["check", "--read-data"]).ends(13).says("cannot be read").says("stream a");
    repo.run(["repair", "--dry-run", "--read-data"]).ends(13).says("stream a");
    assert!(repo.cat(&other, "b") == noise(5, 300_000));
    repo.run(["mirror", "--to", "mirror"]).ends(13);
    let mirror = repo.at("mirror");
    let restored = repo.command(["cat", &other, "b"]).arg("--repo").arg(&mirror).output().expect("ran");
    assert!(restored.stdout == noise(5, 300_000), "{}", String::from_utf8_lossy(&restored.stderr));
    let again = repo.take("a", &noise(4, 300_000));
    assert!(repo.cat(&again, "a") == noise(4, 300_000));
}

/// The only key slot and a record of the gc log are damaged, and the mirror has both.
#[test]
fn a_slot_and_a_gc_record_come_from_the_mirror_together() {
    let repo = Repo::new();
    let id = repo.take("a", &noise(6, 5000));
    repo.take("b", &noise(7, 5000));
    repo.run(["forget", "latest"]).ok();
    repo.run(["mirror", "--to", "mirror"]).ok();
    for kind in ["keys", "gc"] {
        for object in objects(&repo, kind) {
            fs::remove_file(&object).expect("removed");
            fs::write(&object, b"").expect("written");
        }
    }
    repo.run(["repair", "--from", "mirror"]).ok();
    assert_eq!(repo.ids(), std::slice::from_ref(&id));
    repo.check();
}

/// Whichever bit of the configuration is wrong, here or in the mirror, the other has it.
#[test]
fn each_byte_of_a_configuration_comes_from_the_other_place() {
    let repo = Repo::new();
    let id = repo.take("a", &noise(6, 5000));
    repo.run(["mirror", "--to", "mirror"]).ok();
    let config = repo.path().join("config");
    let whole = fs::read(&config).expect("read");
    for at in (0..60).chain((60..whole.len()).step_by(9)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        for place in [&config, &repo.at("mirror/config")] {
            fs::remove_file(place).expect("removed");
            fs::write(place, &bytes).expect("written");
            if *place == config {
                repo.run(["repair", "--from", "mirror"]).ok();
            } else {
                repo.run(["mirror", "--delete", "--to", "mirror"]).ok();
            }
            assert!(fs::read(place).expect("read") == whole, "byte {at} of {}", place.display());
        }
    }
    assert!(repo.cat(&id, "a") == noise(6, 5000));
}

/// A pipe and a folder in the place of temporary files are nobody's.
#[test]
fn what_is_no_file_is_not_swept() {
    let repo = Repo::new();
    let tmp = repo.path().join("tmp");
    fs::create_dir(tmp.join("lost+found")).expect("made");
    rustix::fs::mknodat(rustix::fs::CWD, tmp.join("p"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .expect("a pipe");
    repo.run(["prune"]).ok();
    assert_eq!(fs::read_dir(&tmp).expect("listed").count(), 2);
}
