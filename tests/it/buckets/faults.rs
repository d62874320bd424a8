//! Whatever goes wrong between here and the bucket: nothing is lost, nothing that was not stored is called stored.

use std::sync::Arc;
use std::time::Duration;

use sfarc::backend::{Backend, Key};
use sfarc::ids::ObjectId;
use sfarc::testing::bucket::{Fault, Options, Server};
use sfarc::testing::world::{World, read_streams};

use super::{backend, client};
use crate::common::{assert_clean, one, stream};

/// Every so-manieth request goes wrong, each time in the next way.
fn take_turns(server: &Server, every: u64, faults: &'static [Fault]) {
    let mut number = 0;
    server.faults().set(move |_, _| {
        number += 1;
        (number % every == 0).then(|| faults[(number / every) as usize % faults.len()])
    });
}

const PASSING: &[Fault] = &[
    Fault::Code(500),
    Fault::Code(503),
    Fault::Code(429),
    Fault::Reset,
    Fault::LoseAnswer,
    Fault::CutBody,
    Fault::Slow(Duration::from_millis(50)),
];

#[test]
fn passing_faults_are_got_over() {
    let server = Server::start(Options { page: 2, ..Options::default() }).expect("a server");
    let (world, store) = (World::new(1), client(&server).0);
    let backend: Arc<dyn Backend> = Arc::new(backend(&store, ""));
    take_turns(&server, 3, PASSING);
    let repository = world.init_on(Arc::clone(&backend)).expect("a repository");
    let mut taken = Vec::new();
    for seed in 0..5 {
        let streams = one("s", stream(&[(1, 200_000), (seed, 200_000)]));
        let id = world.take(&repository, &streams).expect("taken").id.expect("an id");
        taken.push((id, streams));
    }
    repository.forget(&[taken.remove(0).0]).expect("forgotten");
    sfarc::engine::collect::collect(&repository, sfarc::engine::collect::Options::default()).expect("collected");
    let repository = world.open_on(backend).expect("it opens");
    for (id, streams) in taken {
        let snapshot = repository.read_snapshot(id).expect("readable");
        assert!(read_streams(&repository, &snapshot).expect("restored") == streams);
    }
    server.faults().clear();
    assert_clean(&repository, "after the faults");
}

#[test]
fn a_put_whose_answer_is_lost_is_one_put() {
    let server = Server::start(Options::default()).expect("a server");
    let store = backend(&client(&server).0, "");
    let mut lost = 0;
    server.faults().set(move |method, _| {
        lost += usize::from(method == "PUT");
        (method == "PUT" && lost == 1).then_some(Fault::LoseAnswer)
    });
    store.put(&Key::Gc(1), b"ours").expect("it is there");
    let error = store.put(&Key::Gc(1), b"others").expect_err("taken");
    assert!(error.is_exists());
    assert_eq!(store.get(&Key::Gc(1), None).expect("there"), b"ours");
}

#[test]
fn what_another_has_put_is_not_ours_although_our_answer_was_lost() {
    let server = Server::start(Options::default()).expect("a server");
    let store = backend(&client(&server).0, "");
    store.put(&Key::Gc(1), b"theirs").expect("put");
    let mut puts = 0;
    server.faults().set(move |method, _| {
        puts += usize::from(method == "PUT");
        (method == "PUT" && puts == 1).then_some(Fault::Reset)
    });
    assert!(store.put(&Key::Gc(1), b"ours").expect_err("taken").is_exists());
}

#[test]
fn a_store_that_is_gone_is_an_error_and_then_is_not() {
    let server = Server::start(Options::default()).expect("a server");
    let (world, store) = (World::new(1), client(&server).0);
    let repository = world.init_on(Arc::new(backend(&store, ""))).expect("a repository");
    let streams = one("s", stream(&[(1, 100_000)]));
    server.faults().partition(true);
    let error = world.take(&repository, &streams).expect_err("nothing is stored");
    assert!(sfarc::error::chain(&error).contains("cannot "), "{}", sfarc::error::chain(&error));
    server.faults().partition(false);
    world.take(&repository, &streams).expect("taken");
    assert_eq!(repository.snapshot_ids().expect("listed").len(), 1);
}

#[test]
fn a_pack_that_the_store_acknowledged_and_lost_is_noticed_before_the_commit() {
    let server = Server::start(Options::default()).expect("a server");
    let (world, store) = (World::new(1), client(&server).0);
    let repository = world.init_on(Arc::new(backend(&store, ""))).expect("a repository");
    let mut is_first = true;
    server.faults().set(move |method, path| {
        let is_lost = method == "PUT" && path.contains("/packs/") && std::mem::take(&mut is_first);
        is_lost.then_some(Fault::LoseObject)
    });
    let streams = one("s", stream(&[(1, 100_000)]));
    let error = world.take(&repository, &streams).expect_err("a pack is not there");
    assert!(sfarc::error::chain(&error).contains("is missing"), "{}", sfarc::error::chain(&error));
    assert!(repository.snapshot_ids().expect("listed").is_empty());
    let id = world.take(&repository, &streams).expect("stored again").id.expect("an id");
    assert!(read_streams(&repository, &repository.read_snapshot(id).expect("there")).expect("restored") == streams);
}

#[test]
fn a_credential_that_may_only_add_is_enough_for_snapshots() {
    let server = Server::start(Options { append_only: true, ..Options::default() }).expect("a server");
    let (world, store) = (World::new(1), client(&server).0);
    let repository = world.init_on(Arc::new(backend(&store, ""))).expect("a repository");
    let streams = one("s", stream(&[(1, 100_000)]));
    for _ in 0..2 {
        let id = world.take(&repository, &streams).expect("taken").id.expect("an id");
        let snapshot = repository.read_snapshot(id).expect("readable");
        assert!(read_streams(&repository, &snapshot).expect("restored") == streams);
    }
}

#[test]
fn an_object_that_a_store_makes_up_is_noticed() {
    let server = Server::start(Options::default()).expect("a server");
    let store = backend(&client(&server).0, "");
    let key = Key::Pack(ObjectId::of(b"pack"));
    store.put(&key, b"pack").expect("put");
    server.lose(&key.to_string());
    assert!(store.get(&key, None).expect_err("gone").is_not_found());
}

#[test]
fn a_replacement_gets_over_passing_faults() {
    let server = Server::start(Options::default()).expect("a server");
    let backend = backend(&client(&server).0, "");
    backend.put(&Key::Gc(1), b"damaged").expect("put");
    for fault in [Fault::LoseAnswer, Fault::Reset, Fault::Code(503)] {
        let mut is_first = true;
        server.faults().set(move |_, _| std::mem::take(&mut is_first).then_some(fault));
        let bytes = format!("whole after {fault:?}").into_bytes();
        backend.replace(&Key::Gc(1), &bytes).expect("replaced");
        server.faults().clear();
        assert_eq!(backend.get(&Key::Gc(1), None).expect("there"), bytes);
    }
}

/// Whoever may only add cannot replace either: that is said, and the object stays as it was.
#[test]
fn a_store_that_lets_nothing_be_replaced_says_so() {
    let server = Server::start(Options { append_only: true, ..Options::default() }).expect("a server");
    let backend = backend(&client(&server).0, "");
    backend.put(&Key::Gc(1), b"first").expect("put");
    assert!(backend.replace(&Key::Gc(1), b"other").is_err_and(|error| error.is_exists()));
    assert_eq!(backend.get(&Key::Gc(1), None).expect("there"), b"first");
}
