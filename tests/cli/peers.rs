//! What other programs can tell about a repository.

use std::fs;

use crate::repo::{Repo, noise};

#[test]
fn the_name_of_every_object_is_the_hash_that_b3sum_prints() {
    let repo = Repo::new();
    let id = repo.take("a", &noise(1, 3 << 20));
    repo.take("b", b"text");
    repo.run(["forget", &id]).ok();
    repo.run(["prune"]).ok();
    repo.take("c", &noise(2, 100_000));
    for folder in ["packs", "indexes", "snapshots", "keys"] {
        let files = repo.files(folder);
        assert!(!files.is_empty(), "{folder}");
        for path in files {
            let hash = blake3::hash(&fs::read(&path).expect("the object is read")).to_hex().to_string();
            assert!(path.ends_with(&hash), "{} hashes to {hash}", path.display());
        }
    }
}
