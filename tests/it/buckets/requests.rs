//! Few requests do.

use std::sync::Arc;

use sfarc::backend::Backend;
use sfarc::backend::shelf::Shelf;
use sfarc::backend::traffic::Request;
use sfarc::testing::bucket::{Options, Server};
use sfarc::testing::world::{World, read_streams};

use super::{backend, client};
use crate::common::{assert_clean, one, stream};

const LIMIT: u64 = 1 << 30;

struct Cloud {
    server: Server,
    world: World,
    cache: tempfile::TempDir,
}

impl Cloud {
    fn new() -> Self {
        let server = Server::start(Options::default()).expect("a server");
        let cache = tempfile::tempdir().expect("a folder");
        let (world, store) = (World::new(5), client(&server).0);
        world.init_on(Arc::new(backend(&store, "a/prefix"))).expect("a repository");
        Self { server, world, cache }
    }

    /// As one process does it: opens the repository, acts, and says how many requests of each kind that took.
    fn process<T>(&self, act: impl FnOnce(&sfarc::repo::Repository) -> T) -> (T, [u64; 6]) {
        let (store, traffic) = client(&self.server);
        let shelf = Shelf::open(backend(&store, "a/prefix"), self.cache.path(), "here", LIMIT).expect("opened");
        let repository = self.world.open_on(Arc::new(shelf) as Arc<dyn Backend>).expect("it opens");
        let done = act(&repository);
        (done, Request::ALL.map(|of| traffic.requests(of)))
    }
}

#[test]
fn a_snapshot_that_changes_nothing_costs_six_requests() {
    let cloud = Cloud::new();
    let streams = one("s", stream(&[(1, 3_000_000)]));
    let (first, requests) = cloud.process(|repository| cloud.world.take(repository, &streams).expect("taken"));
    println!("the first snapshot: {requests:?}");
    assert!(first.counts.new_chunks > 0);
    for _ in 0..3 {
        let (again, requests) = cloud.process(|repository| cloud.world.take(repository, &streams).expect("taken"));
        assert_eq!(again.counts.new_chunks, 0);
        let [get, head, put, list, delete, other] = requests;
        assert_eq!((get, head, put, list, delete, other), (0, 0, 2, 3, 1, 0));
    }
    let (read, requests) = cloud.process(|repository| {
        let snapshot = repository.resolve("latest").expect("there");
        let read = read_streams(repository, &snapshot).expect("restored");
        assert_clean(repository, "after four snapshots");
        read
    });
    println!("a restore and a check: {requests:?}");
    assert!(read == streams);
}
