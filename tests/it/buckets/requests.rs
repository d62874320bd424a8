//! Few requests do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sfarc::backend::shelf::Shelf;
use sfarc::backend::traffic::Request;
use sfarc::backend::{Backend, Key};
use sfarc::engine::collect::{Options, collect};
use sfarc::format::manifest::Manifest;
use sfarc::repo::Repository;
use sfarc::repo::session::Session;
use sfarc::testing::bucket::{self, Server};
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
        let server = Server::start(bucket::Options::default()).expect("a server");
        let cache = tempfile::tempdir().expect("a folder");
        let (world, store) = (World::new(5), client(&server).0);
        world.init_on(Arc::new(backend(&store, "a/prefix"))).expect("a repository");
        Self { server, world, cache }
    }

    /// As one process does it: opens the repository, acts, and says how many requests of each kind that took.
    fn process<T>(&self, act: impl FnOnce(&Repository) -> T) -> (T, [u64; 6]) {
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

/// Of a stream of some packs each pack is read once, as a whole, and what says where its parts lie with a few requests
/// more: the lists of all of it are in one place.
#[test]
fn a_restore_reads_each_pack_once() {
    let cloud = Cloud::new();
    let streams = one("s", stream(&[(1, 90_000_000)]));
    cloud.process(|repository| cloud.world.take(repository, &streams).expect("taken"));
    let packs = cloud.server.objects().into_iter().filter(|(name, _)| name.contains("/packs/")).count() as u64;
    let (read, [get, head, put, list, ..]) = cloud.process(|repository| {
        let snapshot = repository.resolve("latest").expect("there");
        read_streams(repository, &snapshot).expect("restored")
    });
    assert!(read == streams);
    println!("{packs} packs: {get} reads, {list} listings");
    assert!(packs >= 5 && get <= 3 * packs, "{get} reads of {packs} packs");
    // What there is; snapshots; the gc log behind them. Not once more for the index.
    assert_eq!((head, put, list), (0, 0, 3));
}

#[test]
fn whoever_opened_before_reads_what_others_have_added_since() {
    let cloud = Cloud::new();
    let early = one("s", stream(&[(1, 3_000_000)]));
    cloud.process(|repository| cloud.world.take(repository, &early).expect("taken"));
    let (read, _) = cloud.process(|repository| {
        let late = one("s", stream(&[(1, 1_000_000), (2, 2_000_000)]));
        let other = cloud.world.open_on(Arc::new(backend(&client(&cloud.server).0, "a/prefix"))).expect("opened");
        let id = cloud.world.take(&other, &late).expect("taken").id.expect("an id");
        let read = |id| read_streams(repository, &repository.read_snapshot(id).expect("there")).expect("restored");
        assert!(read(id) == late);
        // And what was there before is where a collector has put it since.
        let ids = other.snapshot_ids().expect("listed");
        other.forget(&ids.into_iter().filter(|one| *one != id).collect::<Vec<_>>()).expect("forgotten");
        collect_all(&other);
        cloud.server.advance(std::time::Duration::from_secs(8 * 3600));
        collect_all(&other);
        read(id) == late
    });
    assert!(read);
}

/// Puts so many snapshots without streams, one second apart.
fn put_snapshots(repository: &Repository, count: i64) {
    let session = Session::begin(repository).expect("begun");
    let like = repository.snapshots().expect("snapshots").snapshots.remove(0).manifest;
    for number in 0..count {
        let manifest = Manifest { time: like.time + number, streams: Vec::new(), ..like.clone() };
        let (id, object) = session.seal(&manifest).expect("sealed");
        repository.backend.put(&Key::Snapshot(id), &object).expect("put");
    }
}

fn collect_all(repository: &Repository) {
    collect(repository, Options { max_unused: 0.0, ..Options::default() }).expect("collected");
}

#[test]
fn a_listing_of_ten_thousand_snapshots_costs_few_requests() {
    const SNAPSHOTS: usize = 10_000;
    let mut cloud = Cloud::new();
    cloud.process(|repository| {
        cloud.world.take(repository, &one("s", stream(&[(1, 9000)]))).expect("taken");
        put_snapshots(repository, SNAPSHOTS as i64);
        // Records of the gc log are gathered, too.
        for _ in 0..100 {
            put_snapshots(repository, 1);
            let newest = repository.snapshots().expect("snapshots").snapshots.pop().expect("one").id;
            repository.forget(&[newest]).expect("forgotten");
        }
        collect_all(repository);
    });
    let packs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&packs);
    cloud.server.faults().set(move |method, path| {
        counted.fetch_add(u64::from(method == "GET" && path.contains("/packs/")), Ordering::Relaxed);
        None
    });
    cloud.cache = tempfile::tempdir().expect("another machine");
    let (listed, requests) = cloud.process(|repository| repository.snapshots().expect("snapshots").snapshots.len());
    println!("a first listing of {listed} snapshots: {requests:?}");
    assert_eq!((listed, packs.load(Ordering::Relaxed)), (SNAPSHOTS + 1, 0));
    let [get, _, put, list, delete, _] = requests;
    assert!(get <= 10 && list <= 16 && put + delete == 0, "{requests:?}");
    let (_, again) = cloud.process(|repository| repository.snapshots().expect("snapshots").snapshots.len());
    println!("another: {again:?}");
    assert_eq!(again[0], 0, "all is on the shelf");
}

#[test]
fn gathers_are_hints_only() {
    let mut cloud = Cloud::new();
    let streams = one("s", stream(&[(1, 9000)]));
    cloud.process(|repository| {
        cloud.world.take(repository, &streams).expect("taken");
        put_snapshots(repository, 100);
        collect_all(repository);
    });
    let gathers = |cloud: &Cloud| {
        let names = cloud.server.objects().into_iter().map(|(name, _)| name);
        names.filter(|name| name.contains("/gathers/")).collect::<Vec<_>>()
    };
    assert_eq!(gathers(&cloud).len(), 1);
    // What was forgotten since is not listed, though it is gathered.
    cloud.process(|repository| {
        let ids = repository.snapshot_ids().expect("ids");
        repository.forget(&ids[..60]).expect("forgotten");
    });
    cloud.cache = tempfile::tempdir().expect("another machine");
    let count =
        |cloud: &Cloud| cloud.process(|repository| repository.snapshots().expect("snapshots").snapshots.len()).0;
    assert_eq!(count(&cloud), 41);
    // One that is damaged, or gone, costs requests and nothing else.
    cloud.server.spoil(&gathers(&cloud)[0]);
    cloud.cache = tempfile::tempdir().expect("another machine");
    assert_eq!(count(&cloud), 41);
    // When most of what is gathered is forgotten, it is made anew.
    cloud.process(collect_all);
    assert_eq!(gathers(&cloud).len(), 1);
    cloud.server.lose(&gathers(&cloud)[0]);
    cloud.cache = tempfile::tempdir().expect("another machine");
    assert_eq!(count(&cloud), 41);
    cloud.process(|repository| assert_clean(repository, "without gathers"));
}
