//! Plays a history, and looks after each step whether the oracles hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::channel;

use sfarc::backend::{Backend, Key, Kind};
use sfarc::crypto::role::Role;
use sfarc::engine::check::{self, ReadData};
use sfarc::engine::collect;
use sfarc::engine::copy::{self, copy};
use sfarc::engine::mirror::{self, mirror, mirror_and_tidy};
use sfarc::engine::repair::{self, Place, repair};
use sfarc::error::chain;
use sfarc::format::config::Features;
use sfarc::format::rolekey::RoleKey;
use sfarc::ids::ObjectId;
use sfarc::repo::{Credential, Repository};
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::recording::{Call, Operation};
use sfarc::testing::world::{Streams, World, read_streams};

use super::oracle::{restorable, salvageable};
use super::store::{Setting, Store};
use super::{Harm, Side, Step, Victim};
use crate::common::{Expected, one, stream};

type Verdict = Result<(), String>;

/// A repository, its mirror, a repository of copies, and what is known of them.
pub(super) struct Play {
    world: Arc<World>,
    here: Store,
    mirror: Store,
    copies: Repository,
    reader: Repository,
    writer: Option<RoleKey>,
    maintainer: Option<RoleKey>,
    /// Snapshots that were saved and not forgotten.
    expected: Expected,
    /// Those of them that restore.
    restorable: BTreeSet<ObjectId>,
    /// Those that restore out of the mirror.
    mirrored: BTreeSet<ObjectId>,
    /// Objects as they were when they were last seen whole.
    seen: BTreeMap<Key, Vec<u8>>,
    /// A pack has rotted at some time.
    has_rotted: bool,
    /// A pack may have rotted, and nothing has read it since.
    is_unread: bool,
    turn: usize,
    /// What the last operation said, for people.
    done: String,
}

impl Play {
    pub(super) fn new(setting: Setting) -> Self {
        let world = Arc::new(World::new(3));
        let (here, mirror) = (Store::new(setting), Store::new(setting));
        let features = Features::chosen(setting == Setting::Roles, setting == Setting::HiddenSizes);
        let reader = Repository::init_with(Arc::clone(&here.backend), &World::credential(), features, world.env());
        let reader = reader.expect("a repository");
        let key = |role: Role| reader.export_key(role, role.name()).ok();
        let (writer, maintainer) = (key(Role::Writer), key(Role::Maintainer));
        let copies = world.init().expect("a repository of copies");
        Self {
            world,
            here,
            mirror,
            copies,
            reader,
            writer,
            maintainer,
            expected: Expected::new(),
            restorable: BTreeSet::new(),
            mirrored: BTreeSet::new(),
            seen: BTreeMap::new(),
            has_rotted: false,
            is_unread: false,
            turn: 0,
            done: String::new(),
        }
    }

    /// Does a step. Says which oracle was violated, if one was.
    pub(super) fn step(&mut self, step: &Step) -> Verdict {
        self.turn += 1;
        self.done.clear();
        self.look();
        match step {
            Step::Damage(side, victim, which, harm) => {
                self.harm(*side, *victim, *which, *harm);
                self.restorable = restorable(&self.fresh(), &self.expected)?;
                self.mirrored = self.restorable_there()?;
                Ok(())
            }
            Step::Kill { at, lands, doing } => {
                let fault = Fault::Crash { at: *at, lands: *lands };
                self.operate(doing, fault)?;
                self.here.end_sessions();
                self.nothing_is_worse()
            }
            operation => {
                self.operate(operation, Fault::None)?;
                self.nothing_is_worse()
            }
        }
        .map_err(|why| format!("after {step:?}: {why}"))
    }

    /// The repository as whoever begins now finds it.
    fn fresh(&self) -> Repository {
        self.reader.on(Arc::clone(&self.here.backend))
    }

    fn restorable_there(&self) -> Result<BTreeSet<ObjectId>, String> {
        restorable(&self.reader.on(Arc::clone(&self.mirror.backend)), &self.expected)
    }

    /// As somebody with this key, or as a reader.
    fn opened(&self, key: Option<&RoleKey>, backend: Arc<dyn Backend>) -> Option<Repository> {
        let Some(key) = key.filter(|_| self.turn.is_multiple_of(2)) else { return Some(self.reader.on(backend)) };
        let credential = || Ok(Credential::Role(Box::new(key.clone())));
        Repository::open(backend, "here", credential, self.world.env()).ok()
    }

    /// Remembers what is whole.
    fn look(&mut self) {
        for kind in [Kind::Packs, Kind::Indexes, Kind::Snapshots, Kind::Gc] {
            for key in self.here.keys(kind) {
                if !self.seen.contains_key(&key)
                    && let Some(bytes) = self.here.bytes(&key)
                {
                    self.seen.insert(key, bytes);
                }
            }
        }
    }

    fn harm(&mut self, side: Side, victim: Victim, which: usize, harm: Harm) {
        let store = if side == Side::Here { &self.here } else { &self.mirror };
        let kind = match victim {
            Victim::Pack => Kind::Packs,
            Victim::Index => Kind::Indexes,
            Victim::Snapshot => Kind::Snapshots,
            Victim::GcRecord => Kind::Gc,
            Victim::Session => Kind::Sessions,
        };
        let mut keys = store.keys(kind);
        if harm == Harm::RollBack {
            keys.extend(self.seen.keys().filter(|key| key.kind() == kind));
        }
        if keys.is_empty() {
            return;
        }
        let key = keys[which % keys.len()];
        match (harm, store.bytes(&key)) {
            (Harm::RollBack, None) => {
                if let Some(bytes) = self.seen.get(&key) {
                    store.tamper(&key, bytes);
                }
            }
            (_, None) => {}
            (Harm::Lose | Harm::RollBack, Some(_)) => store.lose(&key),
            (Harm::Cut(share), Some(bytes)) => store.tamper(&key, &bytes[..bytes.len() * share / 1000]),
            (Harm::Rot(share), Some(mut bytes)) if !bytes.is_empty() => {
                let at = bytes.len() * share / 1000;
                bytes[at] ^= 0x55;
                store.tamper(&key, &bytes);
            }
            (Harm::Rot(_), Some(_)) => {}
            (Harm::Hide, Some(_)) => store.hide(&key),
            (Harm::Exchange(other), Some(_)) => {
                let bytes = store.bytes(&keys[other % keys.len()]);
                store.tamper(&key, &bytes.unwrap_or_default());
            }
        }
        if side == Side::Here {
            self.has_rotted |= victim == Victim::Pack && matches!(harm, Harm::Rot(_) | Harm::Hide | Harm::Exchange(_));
            // What a lost record of the log said of rotten packs is not known any more.
            self.is_unread |= self.has_rotted && matches!(victim, Victim::Pack | Victim::GcRecord);
        }
    }

    fn operate(&mut self, step: &Step, fault: Fault) -> Verdict {
        let backend = Arc::new(FaultyBackend::new(Arc::clone(&self.here.backend), fault));
        match step {
            Step::Take(stretches) => self.take(&backend, &one("s", stream(stretches)), false),
            Step::TakeTwice(stretches) => self.take(&backend, &one("s", stream(stretches)), fault == Fault::None),
            Step::Forget(which) => {
                let ids: Vec<ObjectId> = self.expected.keys().copied().collect();
                if let Some(id) = ids.get(which % ids.len().max(1)) {
                    // Killed on the way it may be forgotten or not.
                    let _ = self.reader.on(backend).forget(&[*id]);
                    self.expected.remove(id);
                }
                Ok(())
            }
            Step::Prune => {
                if let Some(repository) = self.opened(self.maintainer.as_ref(), backend) {
                    let options = collect::Options { max_unused: 0.0, ..collect::Options::default() };
                    let _ = collect::collect(&repository, options);
                }
                Ok(())
            }
            Step::Check { read_data } => self.check(&self.reader.on(backend), *read_data),
            Step::Repair { with_mirror, read_data, nobody_prunes } => {
                let options = repair::Options { read_data: *read_data, nobody_prunes: *nobody_prunes, dry_run: false };
                self.repair(&self.reader.on(backend), *with_mirror, options)
            }
            Step::Mirror { tidy, verify } => {
                let report = self.mirror(fault, *tidy, mirror::Options { verify: *verify, dry_run: false });
                self.done = format!("{report:?}");
                Ok(())
            }
            Step::Copy => self.copy(&self.reader.on(backend)),
            Step::Kill { .. } | Step::Damage(..) => Ok(()),
        }
    }

    fn take(&mut self, backend: &Arc<FaultyBackend>, streams: &Streams, twice: bool) -> Verdict {
        let store = Arc::clone(backend) as Arc<dyn Backend>;
        let Some(repository) = self.opened(self.writer.as_ref(), store) else { return Ok(()) };
        let (sender, other) = channel();
        if twice {
            let (world, reader, streams) = (Arc::clone(&self.world), self.fresh(), streams.clone());
            backend.ambush(is_index, move || {
                // Nobody waits any more where this fails.
                let _ = sender.send(world.take(&reader, &streams));
            });
        } else {
            drop(sender);
        }
        let first = self.world.take(&repository, streams);
        let saved = std::iter::once(first).chain(other.try_iter()).flatten().filter_map(|report| report.id);
        for id in saved.collect::<Vec<_>>() {
            self.expected.insert(id, streams.clone());
            if !self.is_unread && !restorable(&self.fresh(), &self.expected)?.contains(&id) {
                return Err(format!("snapshot {} was saved and does not restore", id.short()));
            }
        }
        Ok(())
    }

    fn check(&mut self, repository: &Repository, read_data: bool) -> Verdict {
        let depth = if read_data { ReadData::All } else { ReadData::None };
        let Ok(report) = check::check(repository, &depth) else { return Ok(()) };
        if !read_data {
            return Ok(());
        }
        self.is_unread &= report.notes.iter().any(|note| note.contains("could not be written down"));
        let is_clean = report.problems.is_empty() && report.hits.is_empty();
        if !is_clean {
            return Ok(());
        }
        let listing = self.fresh().snapshots().map_err(|error| format!("after a clean check: {error}"))?;
        for snapshot in listing.snapshots {
            read_streams(&self.fresh(), &snapshot).map_err(|error| {
                format!("a check found nothing, and {} does not restore: {}", snapshot.id.short(), chain(&error))
            })?;
        }
        Ok(())
    }

    fn repair(&mut self, repository: &Repository, with_mirror: bool, options: repair::Options) -> Verdict {
        let places =
            if with_mirror { vec![Place::new("the mirror", Arc::clone(&self.mirror.backend))] } else { Vec::new() };
        let stores = if with_mirror { vec![&self.here, &self.mirror] } else { vec![&self.here] };
        let could =
            if options.read_data { salvageable(&self.fresh(), &stores, &self.expected)? } else { BTreeSet::new() };
        let Ok(report) = repair(repository, &places, options) else { return Ok(()) };
        if options.read_data {
            self.is_unread = false;
        }
        let knows_less = !report.replaced_records.is_empty() || (report.indexed_packs > 0 && !options.read_data);
        self.is_unread |= self.has_rotted && knows_less;
        // What a lost record may have called forgotten is named, not taken.
        if knows_less || !report.waiting_records.is_empty() {
            return Ok(());
        }
        let can = restorable(&self.fresh(), &self.expected)?;
        let is_named = |id: &ObjectId| report.notes.iter().any(|note| note.contains(&id.short().to_string()));
        match could.difference(&can).find(|id| !is_named(id)) {
            Some(id) => Err(format!("{} could be restored, and is not: {report:?}", id.short())),
            None => Ok(()),
        }
    }

    /// Whether it fails does not matter, only what is there then.
    fn mirror(&self, fault: Fault, tidy: bool, options: mirror::Options) -> Result<mirror::Report, sfarc::Error> {
        let to = Arc::new(FaultyBackend::new(Arc::clone(&self.mirror.backend), fault)) as Arc<dyn Backend>;
        if tidy {
            mirror_and_tidy(&self.fresh(), &to, options)
        } else {
            mirror(&*self.here.backend, &*to, &self.world.env(), options)
        }
    }

    fn copy(&self, from: &Repository) -> Verdict {
        let Ok(report) = copy(from, &self.copies, |_| true, copy::Options::default()) else { return Ok(()) };
        let there = self.copies.snapshots().map_err(|error| error.to_string())?;
        for snapshot in &there.snapshots {
            read_streams(&self.copies, snapshot)
                .map_err(|error| format!("a copy does not restore: {}", chain(&error)))?;
        }
        let missing = self.restorable.iter().find(|id| {
            let name = id.to_string();
            self.expected.contains_key(id)
                && !there.snapshots.iter().any(|copy| copy.manifest.label("sfarc/copy-of") == Some(&name))
        });
        match missing {
            Some(id) if !report.is_damaged() => Err(format!("{} was not copied", id.short())),
            _ => Ok(()),
        }
    }

    /// What restored before restores now.
    fn nothing_is_worse(&mut self) -> Verdict {
        let (here, there) = (restorable(&self.fresh(), &self.expected)?, self.restorable_there()?);
        let lost = |before: &BTreeSet<ObjectId>, after: &BTreeSet<ObjectId>, place: &str| {
            let expected = &self.expected;
            match before.iter().find(|id| expected.contains_key(id) && !after.contains(id)) {
                Some(id) => Err(format!("snapshot {} restored {place} before; {}", id.short(), self.done)),
                None => Ok(()),
            }
        };
        lost(&self.restorable, &here, "here")?;
        if lost(&self.mirrored, &there, "out of the mirror").is_err() {
            // Rows of packs that were exchanged here are wrong where the packs are the right ones: a repair there finds that.
            let found = salvageable(&self.fresh(), &[&self.mirror], &self.expected)?;
            lost(&self.mirrored, &found, "out of the mirror")?;
        }
        (self.restorable, self.mirrored) = (here, there);
        Ok(())
    }
}

fn is_index(call: &Call) -> bool {
    call.operation == Operation::Put && call.kind == Some(Kind::Indexes)
}
