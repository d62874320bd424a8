//! A repository that is slow, and a user who has waited long enough.

use std::path::PathBuf;
use std::sync::Arc;

use sfarc::backend::Kind;
use sfarc::env::Env;
use sfarc::repo::Repository;
use sfarc::source::cluster::Take;
use sfarc::testing::cluster::Container;
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::recording::Operation;
use sfarc::testing::world::World;

use super::{Bare, assert_quiet, kept, once, pod, shell, take_one, wait_for, world};
use crate::common::noise;

/// More than everything between the source and the store holds.
const LEN: usize = 96 << 20;

struct Slow {
    bare: Bare,
    backend: Arc<FaultyBackend>,
    repository: Repository,
    env: Env,
    bytes: Vec<u8>,
}

/// A container with a large file, and a repository that is to be slow.
fn slow() -> Slow {
    let bare = Bare::start(|setup, folder| setup.pod("sf", "db-0", [Container::new("db").folder(folder)]));
    let bytes = noise(1, LEN);
    std::fs::write(bare.folder.path().join("data"), &bytes).expect("written");
    let world = world();
    let backend = Arc::new(FaultyBackend::new(Arc::clone(&world.store) as _, Fault::None));
    let env = world.env();
    let repository = Repository::init(Arc::clone(&backend) as _, &World::credential(), env.clone());
    Slow { bare, backend, repository: repository.expect("a repository"), env, bytes }
}

impl Slow {
    fn at(&self, name: &str) -> PathBuf {
        self.bare.folder.path().join(name)
    }

    /// The first pack is not taken before this returns.
    fn stall(&self, until: impl FnOnce() + Send + 'static) {
        self.backend.ambush(|call| (call.operation, call.kind) == (Operation::Put, Some(Kind::Packs)), until);
    }

    fn take(&self, line: &str) -> Result<sfarc::engine::snapshot::Report, String> {
        let take = Take::Command(pod("db-0", "db"), shell(line), None);
        take_one(&self.repository, &self.bare.place, "db", take, once())
    }
}

#[test]
fn a_source_does_not_wait_for_a_slow_repository() {
    let slow = slow();
    let ended = slow.at("ended");
    slow.stall(move || wait_for("the end of the source", || ended.exists()));
    let report = slow.take("cat data; touch ended").expect("a snapshot");
    assert!(kept(&slow.repository, &report, "db") == slow.bytes, "other bytes");
    assert_quiet(&slow.bare.cluster, "db-0");
}

#[test]
fn an_interrupted_capture_leaves_nothing_running() {
    let slow = slow();
    let released = slow.at("released");
    slow.stall(move || wait_for("the end of the test", || released.exists()));
    let result = std::thread::scope(|scope| {
        let taking = scope.spawn(|| slow.take("touch begun; cat data; sleep 1000"));
        wait_for("the source", || slow.at("begun").exists());
        slow.env.cancel.cancel();
        assert_quiet(&slow.bare.cluster, "db-0");
        std::fs::write(slow.at("released"), "").expect("written");
        taking.join().expect("no panic")
    });
    let error = result.expect_err("it was interrupted");
    assert!(error.contains("interrupted"), "{error}");
}

#[test]
fn a_silent_command_is_interrupted_too() {
    let slow = slow();
    let result = std::thread::scope(|scope| {
        let taking = scope.spawn(|| slow.take("touch begun; sleep 1000"));
        wait_for("the source", || slow.at("begun").exists());
        slow.env.cancel.cancel();
        taking.join().expect("no panic")
    });
    assert!(result.is_err_and(|error| error.contains("interrupted")));
    assert_quiet(&slow.bare.cluster, "db-0");
}
