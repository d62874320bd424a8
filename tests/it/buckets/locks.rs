//! Buckets that keep what they were given: objects that nobody can remove for a time, and locks that are renewed for as
//! long as something is needed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sfarc::backend::bucket::BucketBackend;
use sfarc::backend::bucket::connect::{Cloud, Line, connect_and_lock};
use sfarc::backend::bucket::lock::{Lock, Mode};
use sfarc::backend::shelf::Shelf;
use sfarc::backend::traffic::Traffic;
use sfarc::backend::{Backend, Key, Kind};
use sfarc::engine::collect::{self, collect};
use sfarc::engine::renew::{self, Renewal, renew};
use sfarc::env::{Clock, UnixNanos};
use sfarc::ids::SessionId;
use sfarc::repo::Repository;
use sfarc::repo::session::Session;
use sfarc::testing::bucket::{BUCKET, Fault, Options, Server};
use sfarc::testing::world::World;

use crate::common::{Expected, assert_clean, assert_restores, collect_quietly, needed_packs, one, stream};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// The time is what the servers say.
struct ServerClock(Arc<Server>);

impl Clock for ServerClock {
    fn now(&self) -> UnixNanos {
        self.0.now()
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).expect("it fits")
}

/// A bucket, and a world whose clock goes with its servers'.
struct Place {
    server: Arc<Server>,
    world: World,
    expected: Expected,
}

impl Place {
    fn new(options: Options) -> Self {
        let server = Arc::new(Server::start(options).expect("servers"));
        Self { server, world: World::new(11), expected: Expected::new() }
    }

    fn backend(&self, period: Option<Duration>) -> (BucketBackend, Traffic) {
        let clock = Arc::new(ServerClock(Arc::clone(&self.server)));
        let lock = period.map(|period| Lock { period, mode: Mode::Compliance, clock });
        let line = Line { endpoint: Some(self.server.endpoint()), unsigned: true, lock, ..Line::default() };
        let (store, locks) = connect_and_lock(Cloud::S3, BUCKET, &line).expect("a client");
        let backend = BucketBackend::new(store, "".into()).expect("threads").with_locks(locks);
        (backend, line.traffic)
    }

    /// A new repository, whose objects are locked for so long.
    fn init(&self, period: Option<Duration>) -> Repository {
        self.pass(Duration::ZERO);
        self.world.init_on(Arc::new(self.backend(period).0)).expect("a repository")
    }

    fn open(&self, period: Option<Duration>) -> Repository {
        self.world.open_on(Arc::new(self.backend(period).0)).expect("it opens")
    }

    /// Time passes.
    fn pass(&self, time: Duration) {
        self.server.advance(time);
        self.world.clock.advance(self.server.now() - self.world.clock.now());
    }

    fn take(&mut self, repository: &Repository, seed: u64) -> sfarc::ids::ObjectId {
        self.take_stretches(repository, &[(1, 100_000), (seed, 100_000)])
    }

    fn take_stretches(&mut self, repository: &Repository, stretches: &[(u64, usize)]) -> sfarc::ids::ObjectId {
        let streams = one("s", stream(stretches));
        let id = self.world.take(repository, &streams).expect("taken").id.expect("an id");
        self.expected.insert(id, streams);
        id
    }

    fn forget(&mut self, repository: &Repository, id: sfarc::ids::ObjectId) {
        self.expected.remove(&id);
        repository.forget(&[id]).expect("forgotten");
    }

    fn names(&self) -> Vec<String> {
        self.server.objects().into_iter().map(|(name, _)| name).collect()
    }

    /// When the lock of each object ends.
    fn ends(&self) -> BTreeMap<String, Option<UnixNanos>> {
        let end = |name: &String| {
            let versions = self.server.versions(name);
            versions.into_iter().find(|(_, _, is_current)| *is_current)?.1.map(|lock| lock.until)
        };
        self.names().into_iter().map(|name| (name.clone(), end(&name))).collect()
    }
}

fn prune(repository: &Repository) -> collect::Report {
    let report = collect(repository, collect::Options::default());
    report.unwrap_or_else(|error| panic!("collect: {}", sfarc::error::chain(&error)))
}

// Deletion is refused.

#[test]
fn where_nothing_can_be_removed_for_days_nothing_fails_and_later_it_goes() {
    let mut place = Place::new(Options { worm: 10 * DAY, page: 7, ..Options::default() });
    place.backend(None).0.try_conditions().expect("tried");
    place.backend(None).0.try_conditions().expect("what the first try has left is no hindrance");
    let repository = place.init(None);
    let first = place.take(&repository, 2);
    place.take(&repository, 3);
    place.forget(&repository, first);
    let mut records = 0;
    for day in 0..9 {
        place.pass(DAY);
        let report = prune(&repository);
        assert_eq!(report.deleted, 0, "day {day}");
        assert!(report.retained >= 3, "day {day}: {report:?}");
        let listed = repository.snapshots().expect("snapshots").snapshots;
        assert_eq!(listed.len(), place.expected.len(), "what is forgotten is not seen");
        assert_restores(&repository, &place.expected, "while all stays");
        assert_clean(&repository, "while all stays");
        let now = repository.list(Kind::Gc).expect("the log").len();
        assert!(day == 0 || now == records, "the log does not grow with what stays");
        records = now;
        let clocks = place.names().iter().filter(|name| name.contains("/clock")).count();
        assert!(clocks <= 2 * (day + 1), "a clock for each collection and each check: {:?}", place.names());
    }
    // Another writer is not held up either, nor are those who come when the first objects can go.
    place.take(&place.open(None), 4);
    place.pass(3 * DAY);
    let report = prune(&place.open(None));
    assert!(report.deleted >= 1, "{report:?}");
    assert_restores(&repository, &place.expected, "when the first can go");
    place.pass(11 * DAY);
    prune(&repository);
    place.pass(11 * DAY);
    let report = collect_quietly(&repository, "when all can go");
    assert_eq!(report.retained, 0, "{report:?}");
    assert_restores(&repository, &place.expected, "in the end");
    assert_clean(&repository, "in the end");
    let strays: Vec<_> = place.names().into_iter().filter(|name| name.starts_with("sessions/clock-")).collect();
    assert!(strays.len() <= 1, "{strays:?}");
}

#[test]
fn what_a_dead_writer_has_left_stays_and_holds_nothing_up() {
    let mut place = Place::new(Options { worm: 30 * DAY, ..Options::default() });
    let repository = place.init(None);
    place.take(&repository, 2);
    // One that stops before it commits, one whose pending manifest somebody has written over, and one that gave up.
    let like = repository.snapshots().expect("snapshots").snapshots.remove(0).manifest;
    let mut dead = Session::begin(&repository).expect("begun");
    dead.announce().expect("announced");
    let manifest = sfarc::format::manifest::Manifest { session: *dead.id.as_bytes(), time: 1, ..like };
    let (id, object) = dead.seal(&manifest).expect("sealed");
    dead.publish(&object).expect("published");
    std::mem::forget(dead);
    repository.backend.put(&Key::Pending(SessionId::new([9; 16])), b"junk").expect("put");
    place.pass(7 * HOUR);
    let report = prune(&repository);
    assert_eq!((report.fenced, report.retained > 0), (0, true), "{report:?}");
    assert!(repository.gc_log().expect("the log").is_dead(&id));
    let late = repository.backend.put(&Key::Snapshot(id), &object);
    assert!(late.expect_err("a fence is there, and stays").is_exists());
    let before = repository.gc_log().expect("the log").epoch();
    // Nothing that it announced holds back what is condemned now.
    let garbage = place.take(&repository, 3);
    place.forget(&repository, garbage);
    place.pass(7 * HOUR);
    let report = prune(&repository);
    assert!(report.condemned > 0 && report.waiting == 0, "{report:?}");
    assert_eq!(repository.gc_log().expect("the log").epoch(), before + 2, "one was forgotten, one pack condemned");
    assert_restores(&repository, &place.expected, "beside the dead");
    // A reader does not see it either.
    assert_eq!(repository.snapshot_ids().expect("ids").len(), 1);
}

#[test]
fn a_key_slot_that_cannot_be_removed_is_an_error() {
    let place = Place::new(Options { worm: DAY, ..Options::default() });
    let repository = place.init(None);
    let slot = repository.list(Kind::Keys).expect("slots")[0].key;
    let error = repository.backend.delete(&slot).expect_err("it still opens the repository");
    assert!(sfarc::error::chain(&error).contains("cannot remove keys/"), "{}", sfarc::error::chain(&error));
}

#[test]
fn what_is_refused_for_another_reason_is_told() {
    let mut place = Place::new(Options::default());
    let repository = place.init(None);
    let id = place.take(&repository, 2);
    place.server.faults().set(|method, _| matches!(method, "DELETE" | "POST").then_some(Fault::Code(500)));
    repository.forget(&[id]).expect_err("the store is broken, not unwilling");
}

#[test]
fn a_credential_that_may_only_add_takes_snapshots_and_prunes_without_harm() {
    let mut place = Place::new(Options { append_only: true, object_lock: true, ..Options::default() });
    let repository = place.init(Some(MONTH));
    for seed in [2, 3] {
        place.take(&repository, seed);
    }
    place.pass(7 * HOUR);
    let report = prune(&repository);
    assert_eq!((report.deleted, report.retained > 0), (0, true), "{report:?}");
    assert_restores(&repository, &place.expected, "nothing was removed");
    assert_clean(&repository, "nothing was removed");
}

// What is put is locked.

#[test]
fn what_a_repository_is_made_of_is_locked_and_who_is_at_work_is_not() {
    let mut place = Place::new(Options { object_lock: true, ..Options::default() });
    let repository = place.init(Some(MONTH));
    let id = place.take(&repository, 2);
    place.take(&repository, 3);
    place.forget(&repository, id);
    let session = {
        let mut session = Session::begin(&repository).expect("begun");
        session.announce().expect("announced");
        session
    };
    for (name, end) in place.ends() {
        let folder = name.split('/').next().unwrap_or_default();
        if folder == "sessions" {
            assert_eq!(end, None, "{name}");
        } else {
            let left = end.unwrap_or_else(|| panic!("{name} is not locked")) - place.server.now();
            assert!((nanos(MONTH - HOUR)..=nanos(MONTH)).contains(&left), "{name}: {left}");
        }
    }
    drop(session);
}

#[test]
fn a_bucket_that_locks_by_itself_takes_what_is_put() {
    let mut place = Place::new(Options { object_lock: true, default_lock: 10 * DAY, ..Options::default() });
    let repository = place.init(None);
    let id = place.take(&repository, 2);
    place.take(&repository, 3);
    assert!(place.ends().values().all(Option::is_some), "{:?}", place.ends());
    place.forget(&repository, id);
    place.pass(7 * HOUR);
    collect_quietly(&repository, "names go, versions stay");
    assert_restores(&repository, &place.expected, "names go, versions stay");
}

#[test]
fn a_bucket_without_object_lock_says_so() {
    let place = Place::new(Options::default());
    let (backend, traffic) = place.backend(Some(MONTH));
    let text = sfarc::error::chain(&place.world.init_on(Arc::new(backend)).expect_err("refused"));
    assert!(text.contains("ask for no locks") && text.contains("no Object Lock"), "{text}");
    assert_eq!(traffic.requests(sfarc::backend::traffic::Request::Put), 1, "it is not asked again and again");
}

#[test]
fn whoever_has_stolen_the_credential_cannot_destroy_a_locked_pack() {
    let mut place = Place::new(Options { object_lock: true, ..Options::default() });
    let repository = place.init(Some(MONTH));
    place.take(&repository, 2);
    let pack = place.names().into_iter().find(|name| name.starts_with("packs/")).expect("a pack");
    let bytes = repository.backend.get(&repository.list(Kind::Packs).expect("packs")[0].key, None).expect("read");
    let url = format!("{}/{BUCKET}/{pack}", place.server.endpoint());
    let id = place.server.versions(&pack)[0].0;
    let for_ever = || {
        let refused = ureq::delete(format!("{url}?versionId={id}")).call();
        assert!(matches!(refused, Err(ureq::Error::StatusCode(403))), "{refused:?}");
    };
    for_ever();
    let sooner =
        "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2999-01-01T00:00:00Z</RetainUntilDate></Retention>"
            .replace(
                "2999-01-01T00:00:00Z",
                &jiff::Timestamp::from_nanosecond((place.server.now() + nanos(HOUR)).into())
                    .expect("a time")
                    .to_string(),
            );
    let md5 = {
        use base64::Engine;
        use md5::Digest;
        base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(&sooner))
    };
    let refused = ureq::put(format!("{url}?retention")).header("content-md5", md5).send(&sooner);
    assert!(matches!(refused, Err(ureq::Error::StatusCode(403))), "{refused:?}");
    // The name can be hidden, or given other bytes; the version is there all the same.
    ureq::put(&url).send(&b"junk"[..]).expect("another version");
    ureq::delete(&url).call().expect("a delete marker");
    for_ever();
    assert_eq!(place.server.versions(&pack)[0].0, id);
    assert!(!bytes.is_empty());
    place.pass(MONTH + HOUR);
    ureq::delete(format!("{url}?versionId={id}")).call().expect("the lock has ended");
}

// Locks are renewed.

/// What is needed: all there is but garbage, sessions and gathers.
fn needed(place: &Place, repository: &Repository) -> Vec<String> {
    let packs: Vec<String> = needed_packs(repository).into_iter().map(|id| Key::Pack(id).to_string()).collect();
    let is_needed = |name: &String| match name.split('/').next() {
        Some("packs") => packs.contains(name),
        Some("sessions" | "gathers") => false,
        _ => true,
    };
    place.names().into_iter().filter(is_needed).collect()
}

#[test]
fn what_is_needed_is_renewed_in_time_and_nothing_else_is() {
    let mut place = Place::new(Options { object_lock: true, ..Options::default() });
    let repository = place.init(Some(MONTH));
    let garbage = place.take_stretches(&repository, &[(2, 100_000)]);
    place.take(&repository, 3);
    place.pass(HOUR);
    let first = prune(&repository);
    assert!(first.renewed > 0, "the first pass locks what is there: {first:?}");
    place.pass(5 * DAY);
    assert_eq!(prune(&repository).renewed, 0, "it is not due");
    let kept = place.take(&repository, 4);
    // Its pack is condemned, but its bytes cannot go: the version stays until its lock ends, and not longer.
    let pack_of_garbage: Vec<String> = {
        let all = needed_packs(&repository);
        place.forget(&repository, garbage);
        let left = needed_packs(&repository);
        all.difference(&left).map(|id| Key::Pack(*id).to_string()).collect()
    };
    assert!(!pack_of_garbage.is_empty());
    let locks_of = |name: &str| place.server.versions(name).into_iter().map(|(_, lock, _)| lock).collect::<Vec<_>>();
    let before: Vec<_> = pack_of_garbage.iter().map(|name| locks_of(name)).collect();
    let ends = place.ends();
    place.pass(6 * DAY);
    let would = collect(&repository, collect::Options { dry_run: true, ..collect::Options::default() });
    let would = would.expect("a dry run").renewed;
    assert_eq!(place.ends(), ends, "a dry run renews nothing");
    let report = prune(&repository);
    // Besides, one more gc record and what the collector wrote is there, and a snapshot of the first pass has gone.
    assert!(would > 0 && report.renewed > 0 && would.abs_diff(report.renewed) <= 3, "{would} {report:?}");
    let after: Vec<_> = pack_of_garbage.iter().map(|name| locks_of(name)).collect();
    assert_eq!(before, after, "garbage is not renewed");
    let now = place.server.now();
    for name in needed(&place, &repository) {
        let end = place.ends()[&name].unwrap_or_else(|| panic!("{name} is not locked"));
        assert!(end - now >= nanos(MONTH) * 2 / 3 - nanos(HOUR), "{name} ends in {} days", (end - now) / nanos(DAY));
    }
    for (name, end) in ends {
        let later = place.ends().get(&name).copied();
        assert!(later.is_none_or(|later| later >= end), "{name}: a lock ends sooner than before");
    }
    // What is young was left alone.
    let young = Key::Snapshot(kept).to_string();
    assert!(
        place.ends()[&young].expect("locked") - now < nanos(MONTH - 5 * DAY),
        "its lock is the one that it was put with"
    );
    assert_eq!(prune(&repository).renewed, 0, "once is enough");
    // A year goes by, and upkeep is a week late each time: nothing that is needed is ever without a lock.
    for round in 0..20 {
        place.pass(17 * DAY);
        let (now, ends) = (place.server.now(), place.ends());
        for name in needed(&place, &repository) {
            assert!(ends[&name].is_some_and(|end| end > now), "round {round}: {name} is not locked any more");
        }
        prune(&repository);
    }
    assert_restores(&repository, &place.expected, "after a year");
    let own = repository.snapshots().expect("snapshots").snapshots.len() - place.expected.len();
    assert_eq!(own, 1, "of the records of passes only the last is left");
    for pack in pack_of_garbage {
        assert!(!place.names().contains(&pack));
    }
}

#[test]
fn a_pass_asks_once_for_each_object_and_a_collection_between_passes_for_none() {
    let mut place = Place::new(Options { object_lock: true, ..Options::default() });
    place.init(Some(MONTH));
    let (backend, traffic) = place.backend(Some(MONTH));
    let repository = place.world.open_on(Arc::new(backend)).expect("it opens");
    for seed in 2..12 {
        place.take(&repository, seed);
    }
    place.pass(7 * HOUR);
    let puts = |traffic: &Traffic| traffic.requests(sfarc::backend::traffic::Request::Put);
    let before = puts(&traffic);
    let report = prune(&repository);
    let with_pass = puts(&traffic) - before;
    // The record: a session, a pack, an index run, a pending manifest and a manifest; and what collecting itself writes.
    assert!(with_pass <= report.renewed + 20, "{with_pass} puts for {} locks", report.renewed);
    let before = puts(&traffic);
    place.pass(DAY);
    assert_eq!(prune(&repository).renewed, 0);
    let without = puts(&traffic) - before;
    assert!(without <= 4, "{without}");
}

#[test]
fn no_lock_ends_sooner_than_before() {
    let mut place = Place::new(Options { object_lock: true, ..Options::default() });
    let repository = place.init(Some(3 * MONTH));
    place.take(&repository, 2);
    let ends = place.ends();
    let shorter = place.open(Some(MONTH));
    let now = renew::Options { now: true, ..renew::Options::default() };
    let renewed = renew(&shorter, &shorter.gc_log().expect("the log"), now).expect("all is locked for longer already");
    assert_eq!(renewed, Renewal::Done(0));
    for (name, end) in ends {
        assert_eq!(place.ends()[&name], end, "{name}");
    }
    // Longer ones are wanted: that is due at once, for all.
    let longer = place.open(Some(6 * MONTH));
    let log = longer.gc_log().expect("the log");
    let Renewal::Done(renewed) = renew(&longer, &log, renew::Options::default()).expect("renewed") else {
        panic!("it is due");
    };
    assert!(renewed >= 6, "{renewed}");
    let again = renew(&longer, &longer.gc_log().expect("the log"), renew::Options::default()).expect("looked at");
    assert!(matches!(again, Renewal::NotBefore(_)), "{again:?}");
}

#[test]
fn a_pass_that_is_cut_off_is_made_again() {
    let mut place = Place::new(Options { object_lock: true, ..Options::default() });
    let repository = place.init(Some(MONTH));
    place.take(&repository, 2);
    place.pass(DAY);
    let log = repository.gc_log().expect("the log");
    // The packs come before index runs, snapshots and the log.
    place
        .server
        .faults()
        .set(|method, path| (method == "PUT" && path.contains("/indexes/")).then_some(Fault::Code(403)));
    renew(&repository, &log, renew::Options::default()).expect_err("not all could be locked");
    place.server.faults().clear();
    let Renewal::Done(renewed) = renew(&repository, &log, renew::Options::default()).expect("renewed") else {
        panic!("the pass that was cut off does not count");
    };
    assert!(renewed >= 5, "{renewed}");
}

#[test]
fn a_snapshot_that_changes_nothing_costs_six_requests_with_locks_too() {
    let place = Place::new(Options { object_lock: true, ..Options::default() });
    place.init(Some(MONTH));
    let cache = tempfile::tempdir().expect("a folder");
    let streams = one("s", stream(&[(1, 1_000_000)]));
    for round in 0..3 {
        let (backend, traffic) = place.backend(Some(MONTH));
        let shelf = Shelf::open(backend, cache.path(), "here", 1 << 30).expect("opened");
        let repository = place.world.open_on(Arc::new(shelf) as Arc<dyn Backend>).expect("it opens");
        place.world.take(&repository, &streams).expect("taken");
        assert!(round == 0 || traffic.all() <= 6, "{traffic}");
    }
}

#[test]
fn a_replacement_is_locked_and_what_it_replaces_stays_as_a_version() {
    let place = Place::new(Options { object_lock: true, ..Options::default() });
    let (backend, _) = place.backend(Some(MONTH));
    let key = Key::Gc(1);
    backend.put(&key, b"damaged").expect("put");
    backend.replace(&key, b"whole").expect("replaced");
    assert_eq!(backend.get(&key, None).expect("there"), b"whole");
    let versions = place.server.versions(&key.to_string());
    assert_eq!(versions.len(), 2);
    assert!(versions.iter().all(|(_, lock, _)| lock.is_some()), "{versions:?}");
}
