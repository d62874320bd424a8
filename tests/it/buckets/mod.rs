//! Repositories in buckets: every store keeps the contract, few requests do, and nothing is lost whatever goes wrong on the
//! way. Real servers are used where they are installed (`$SFARC_MOTO`, a program that speaks S3; `$SFARC_AZURITE`,
//! Azure's emulator).

mod faults;
mod locks;
mod requests;
mod servers;

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use sfarc::backend::bucket::BucketBackend;
use sfarc::backend::bucket::connect::{Cloud, Line, connect};
use sfarc::backend::shelf::Shelf;
use sfarc::backend::traffic::Traffic;
use sfarc::testing::bucket::{BUCKET, Options, Server};
use sfarc::testing::contract;

/// A client of the stand-in, and what it counts.
fn client(server: &Server) -> (Arc<dyn ObjectStore>, Traffic) {
    // It looks at no signature; without a key the client would look for one elsewhere.
    let line = Line { endpoint: Some(server.endpoint()), unsigned: true, ..Line::default() };
    (connect(Cloud::S3, BUCKET, &line).expect("a client"), line.traffic)
}

fn backend(store: &Arc<dyn ObjectStore>, prefix: &str) -> BucketBackend {
    BucketBackend::new(Arc::clone(store), Path::from(prefix)).expect("threads")
}

/// A repository's place in the stand-in.
pub(crate) fn bucket(server: &Server, prefix: &str) -> BucketBackend {
    backend(&client(server).0, prefix)
}

/// Runs the contract's rules, each at a prefix that nobody has used, but for one that the store is known to break.
fn keeps_the_contract(store: &Arc<dyn ObjectStore>, breaks: Option<&str>) {
    let mut number = 0;
    let mut broken = contract::run(|| {
        number += 1;
        Arc::new(backend(store, &format!("of/{number}")))
    });
    broken.retain(|rule| !breaks.is_some_and(|known| rule.starts_with(known)));
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_bucket_in_memory_keeps_the_contract() {
    keeps_the_contract(&(Arc::new(InMemory::new()) as _), None);
}

#[test]
fn the_stand_in_keeps_the_contract() {
    let server = Server::start(Options { page: 3, ..Options::default() }).expect("a server");
    keeps_the_contract(&client(&server).0, None);
}

#[test]
fn a_cache_keeps_the_contract() {
    let server = Server::start(Options::default()).expect("a server");
    let (store, folder) = (client(&server).0, tempfile::tempdir().expect("a folder"));
    let mut number = 0;
    let broken = contract::run(|| {
        number += 1;
        let place = format!("of/{number}");
        Arc::new(Shelf::open(backend(&store, &place), folder.path(), &place, 1 << 30).expect("opened"))
    });
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_store_that_replaces_objects_is_refused() {
    let server = Server::start(Options { ignores_conditions: true, ..Options::default() }).expect("a server");
    let error = backend(&client(&server).0, "").try_conditions().expect_err("refused");
    assert!(sfarc::error::chain(&error).contains("conditional writes"), "{}", sfarc::error::chain(&error));
}
