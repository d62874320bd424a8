//! What a check of the service finds is open until a later check has read the same: nothing else forgets it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use sfarc::backend::{Backend, Key, Kind};
use sfarc::config::Config;
use sfarc::ids::ObjectId;
use sfarc::repo::Repository;
use sfarc::service::damage::Damage;
use sfarc::service::ledger::Ledger;
use sfarc::service::upkeep::{Worked, check_part, prune};
use sfarc::testing::clock::SECOND;
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::world::World;

use crate::common::{assert_clean, noise, one, packs_of};

/// Everything is read by each check.
fn config() -> Config {
    let text = "[upkeep]\nread-all-within = \"1d\"\n[[target]]\nname = \"t\"\n";
    Config::parse(text, Path::new("sfarc.toml")).expect("it is valid")
}

/// A repository with two snapshots, of which the first is damaged: its pack, and what the pack was before.
struct Subject {
    world: World,
    first: ObjectId,
    pack: Key,
    sound: Vec<u8>,
}

fn subject() -> Subject {
    let world = World::new(5);
    let repository = world.init().expect("init");
    let take = |seed| {
        let taken = world.take(&repository, &one("s", noise(seed, 100_000))).expect("a snapshot");
        taken.id.expect("an id")
    };
    let (first, _) = (take(1), take(2));
    let packs = packs_of(&repository, &repository.read_snapshot(first).expect("readable"));
    let pack = Key::Pack(packs.into_iter().next().expect("a pack"));
    let sound = world.store.bytes(&pack).expect("it is there");
    let mut bytes = sound.clone();
    bytes[1000] ^= 1;
    world.store.tamper(&pack, &bytes);
    Subject { world, first, pack, sound }
}

impl Subject {
    /// Another process on another machine.
    fn service(&self) -> Repository {
        self.world.clock.advance(SECOND);
        self.world.open().expect("it opens")
    }

    fn check(&self) -> Worked {
        check_part(&self.service(), &config(), "host", &Damage::default())
    }

    fn recorded(&self) -> Damage {
        Ledger::read(&self.service()).expect("the ledger is read").damage().clone()
    }

    /// The damaged pack is what it was, and nothing needs it any more.
    fn mend(&self) {
        self.world.store.tamper(&self.pack, &self.sound);
        self.service().forget(&[self.first]).expect("forgotten");
    }

    /// The records of checks.
    fn records(&self) -> Vec<sfarc::repo::snapshots::Snapshot> {
        let all = self.service().snapshots().expect("listed").snapshots;
        all.into_iter().filter(|one| one.manifest.label("sfarc/checked").is_some()).collect()
    }
}

#[test]
fn every_service_knows_of_it_until_it_is_mended() {
    let subject = subject();
    assert!(!subject.recorded().is_open());
    let worked = subject.check();
    assert!(worked.done.is_err());
    let known = worked.known.expect("it has looked");
    assert!(known.damage.is_open() && known.is_recorded);
    assert!(known.damage.may_hit(&subject.first));
    assert!(subject.recorded().may_hit(&subject.first), "another service knows");
    let packs = subject.world.store.keys(Kind::Packs);
    let worked = prune(&subject.service(), &config(), "host", &Damage::default());
    assert!(worked.done.expect("it forgets").is_held_back);
    let left = subject.world.store.keys(Kind::Packs);
    assert!(packs.iter().all(|pack| left.contains(pack)));
    subject.mend();
    assert!(subject.recorded().is_open(), "nobody has read it again yet");
    let worked = subject.check();
    worked.done.expect("it is whole");
    assert!(!worked.known.expect("it has looked").damage.is_open() && !subject.recorded().is_open());
    let worked = prune(&subject.service(), &config(), "host", &Damage::default());
    assert!(!worked.done.expect("it prunes").is_held_back);
    assert_clean(&subject.service(), "mended");
}

#[test]
fn a_check_that_began_before_does_not_settle_what_another_has_found() {
    let subject = subject();
    let slow = subject.service();
    let before = Ledger::read(&slow).expect("the ledger is read");
    assert!(subject.check().done.is_err());
    // It has read other packs, finds nothing, and comes last.
    subject.world.clock.advance(SECOND);
    before.write(&slow, &HashSet::new(), &Damage::default(), "slow").expect("written");
    assert!(subject.recorded().may_hit(&subject.first));
    subject.mend();
    subject.check().done.expect("it is whole");
    assert!(!subject.recorded().is_open());
}

#[test]
fn a_record_that_cannot_be_read_leaves_it_open() {
    let subject = subject();
    assert!(subject.check().done.is_err());
    let [record] = &subject.records()[..] else { panic!("one record") };
    let repository = subject.service();
    for pack in packs_of(&repository, record) {
        subject.world.store.delete(&Key::Pack(pack)).expect("removed");
    }
    let damage = subject.recorded();
    assert!(damage.unnamed.is_some() && damage.may_hit(&subject.first), "{damage:?}");
    // Of what nobody knows what it hits, nothing is forgotten.
    let before = subject.service().snapshot_ids().expect("listed").len();
    let worked = prune(&subject.service(), &config(), "host", &Damage::default());
    assert!(worked.done.expect("it looks").is_held_back);
    assert!(subject.service().snapshot_ids().expect("listed").len() >= before);
}

#[test]
fn what_the_repository_could_not_be_told_only_this_service_knows() {
    let subject = subject();
    // The store is gone at some moment: the first that is late enough for the check is too early for its record.
    let gone = |at: u64| {
        let mut repository = subject.service();
        let inner = Arc::clone(&subject.world.store) as Arc<dyn Backend>;
        repository.backend = Arc::new(FaultyBackend::new(inner, Fault::Crash { at, lands: false }));
        check_part(&repository, &config(), "host", &Damage::default())
    };
    let mut worked = (1..1000).map(gone).find(|worked| worked.known.is_some()).expect("a check comes to its end");
    let known = worked.known.take().expect("it has looked");
    assert!(known.damage.is_open() && !known.is_recorded);
    let told = sfarc::error::chain(&worked.done.expect_err("it is damaged"));
    assert!(told.contains("other services are not told"), "{told}");
    assert!(!subject.recorded().is_open());
    let worked = prune(&subject.service(), &config(), "host", &known.damage);
    assert!(worked.done.expect("it forgets").is_held_back);
}
