//! Garbage collection without locks and without clocks, checked by exhaustive search.
//!
//! The protocol is described in `docs/gc-protocol.md`. Here it is a state machine: a store of immutable
//! objects, and actors that take one store operation at a time, in any order. An actor that crashes is an actor that
//! takes no further step, and one that sleeps for hours takes it late; both need no code of their own,
//! because the properties are checked in every state that can be reached.
//!
//! Each rule of the protocol can be left out (`Rule`). For every rule a test asserts that without it the checker
//! finds damage: the rule is needed, and the model is able to fail. `-- --nocapture` prints how it happens.

// What was explored, and how a rule left out does damage, is worth reading: see `--nocapture`.
#![allow(clippy::print_stdout)]

use stateright::{Checker, HasDiscoveries, Model, Property};

/// Sets of chunks, packs, index runs and snapshots: one bit for each.
type Chunks = u8;
type Packs = u16;
type Runs = u16;
type Snapshots = u8;
/// A number in the log `gc/`; 0 stands for "never".
type Epoch = u8;

const PACKS: usize = 10;
const RUNS: usize = 14;
const WRITERS: usize = 2;
const COLLECTORS: usize = 2;
const FENCERS: usize = 2;
/// Snapshot 0 is there from the start; writer `w` commits snapshot `w + 1`.
const SNAPSHOTS: usize = WRITERS + 1;
/// What a last, quiet collection may still store: the actors leave it room.
const SPARE_PACKS: usize = 1;
const SPARE_RUNS: usize = 2;

const A: Chunks = 1;
const B: Chunks = 2;
const C: Chunks = 4;
const D: Chunks = 8;

/// The rules of the protocol, to be left out one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    // Writer
    /// The writer looks at what was condemned after its pending manifest is durable.
    RecheckAfterPending,
    /// That look covers the packs it stored itself, not only those it reuses.
    RecheckOwnPacks,
    /// The commit creates the snapshot only where nothing is: no overwriting of a fence.
    CommitIfAbsent,
    /// Success is reported only after a look at the dead that follows the commit.
    ConfirmAfterCommit,
    /// A writer that does not know whether its commit landed leaves its pending manifest alone.
    KeepPendingWhenUnsure,
    /// The packs a new writer avoids are those condemned after its session is durable, too.
    ReadGcAfterSession,
    // Collector
    /// Records of the log are created, never overwritten.
    LogIfAbsent,
    /// What is needed is found out after the condemnation is durable.
    ListAfterCondemning,
    /// Pending manifests are listed before snapshots.
    PendingsBeforeSnapshots,
    /// Only what was condemned before that listing is deleted.
    DeleteOnlyCondemnedBefore,
    /// A needed chunk held only by condemned packs, whoever condemned them, is stored again before any deletion.
    RescueFromAllCondemned,
    /// If a needed chunk cannot be read, nothing is deleted.
    StopWhenUnreadable,
    /// Rows are dropped for packs that this run deleted or found gone, not for all condemned ones.
    DropOnlyRowsOfDeleted,
    /// Condemned packs stay condemned for ever.
    TombstonesStay,
    /// A collector also deletes what was condemned before by others, who may have crashed.
    FinishForOthers,
    /// A session older than a condemnation delays the deletion.
    SessionsDelayDeletion,
    // Fence, forget, index
    /// A pending manifest is removed only after a fence took the place of its snapshot.
    FenceBeforeDroppingPending,
    /// A snapshot is declared dead only if the fence won its place.
    DeadOnlyIfFenceWon,
    /// The fence is removed only after the snapshot is declared dead.
    DeadBeforeDroppingFence,
    /// Forgetting records the snapshot as dead; deleting the object is not enough.
    ForgetRecordsDead,
    /// A merged run is durable before its sources are deleted.
    MergeBeforeDropping,
    /// Two runs never have the same name, even with the same rows.
    UniqueRunNames,
}

/// One bounded set-up to be explored completely.
#[derive(Clone, Debug)]
struct Protocol {
    left_out: Option<Rule>,
    /// Chunks of the packs that are there at the start, each with an index run of its own.
    packs: &'static [Chunks],
    /// Chunks of the snapshot that is there at the start.
    initial: Chunks,
    /// Chunks of the snapshot each writer makes.
    writers: &'static [Chunks],
    collectors: usize,
    fencers: usize,
    forgetter: bool,
    merger: bool,
    /// How many puts may land once more, after their object was deleted or their sender crashed.
    echoes: u8,
    /// Without sessions nothing delays a deletion: safety must not depend on them.
    sessions: bool,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Slot {
    Empty,
    Manifest,
    Fence,
}

/// The objects, and what was ever put (a put may land again).
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Store {
    pack_chunks: [Chunks; PACKS],
    packs: Packs,
    /// The packs each run has rows for.
    run_packs: [Packs; RUNS],
    runs: Runs,
    /// The highest number in the log, and the number of the record that condemned a pack or declared a snapshot dead.
    epoch: Epoch,
    condemned_at: [Epoch; PACKS],
    dead_at: [Epoch; SNAPSHOTS],
    snapshots: [Slot; SNAPSHOTS],
    pendings: Snapshots,
    sessions: [Option<Epoch>; WRITERS],
    manifests_sent: Snapshots,
    fences_sent: Snapshots,
    pendings_sent: Snapshots,
    sessions_sent: [Option<Epoch>; WRITERS],
}

/// What a writer does next. `rows`: packs it found in the index or stored itself; `known`: the log it has read.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Writer {
    Start,
    PutSession { epoch: Epoch },
    ReadGc,
    LoadIndex { known: Epoch },
    PutPack { rows: Packs, missing: Chunks },
    PutRun { rows: Packs, own: Packs },
    PutPending { rows: Packs, own: Packs },
    Recheck { rows: Packs, own: Packs },
    PutPackAgain { rows: Packs, lost: Chunks },
    PutRunAgain { new: Packs },
    Commit,
    Confirm,
    DropPending,
    DropSession,
    Done,
}

/// What a collector does next.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
enum Collector {
    Start,
    /// Only for set-ups with a rule left out: otherwise reading the log, choosing and publishing is one step,
    /// because it does not matter for safety what is chosen.
    Publish {
        known: Epoch,
        victims: Packs,
        needed: Chunks,
    },
    ListSessions {
        known: Epoch,
    },
    ListPendings {
        known: Epoch,
        limit: Epoch,
    },
    ListSnapshots {
        known: Epoch,
        limit: Epoch,
        needed: Chunks,
    },
    ListPendingsLate {
        known: Epoch,
        limit: Epoch,
        needed: Chunks,
    },
    LoadIndex {
        known: Epoch,
        limit: Epoch,
        needed: Chunks,
    },
    PutRescue {
        lost: Chunks,
        plan: Plan,
    },
    PutRescueRun {
        new: Packs,
        plan: Plan,
    },
    DeletePacks {
        left: Packs,
        plan: Plan,
    },
    PutIndex {
        plan: Plan,
    },
    DropRuns {
        plan: Plan,
    },
    Done,
}

/// Packs to delete and the index as loaded.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
struct Plan {
    doomed: Packs,
    loaded: Runs,
    rows: Packs,
}

/// Takes one writer for dead, rightly or wrongly.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
enum Fencer {
    Start,
    PutFence(usize),
    PublishDead(usize),
    DropFence(usize),
    DropPending(usize),
    DropSession(usize),
    Done,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Forgetter {
    Start,
    DropSnapshot(usize),
    Done,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Merger {
    Start,
    PutMerged { loaded: Runs, rows: Packs },
    DropRuns { loaded: Runs, rows: Packs },
    Done,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct State {
    store: Store,
    writers: [Writer; WRITERS],
    collectors: [Collector; COLLECTORS],
    fencers: [Fencer; FENCERS],
    forgetter: Forgetter,
    merger: Merger,
    echoes: u8,
    /// What the world knows, and no actor: snapshots reported as made, forgotten on purpose, taken for abandoned.
    reported: Snapshots,
    forgotten: Snapshots,
    fenced: Snapshots,
    /// A writer that nobody fenced lost a chunk it had counted on.
    starved: bool,
    /// An actor found no free place in the arrays of the model.
    cramped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Writer(usize),
    GiveUpCommit(usize),
    Condemn(usize, Packs),
    Collector(usize),
    Fence(usize, usize),
    Fencer(usize),
    Forget(usize),
    Forgetter,
    Merger,
    Echo(Echo),
}

/// A put that lands once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Echo {
    Pack(usize),
    Run(usize),
    Pending(usize),
    Manifest(usize),
    Fence(usize),
    Session(usize),
}

fn bits(set: u16) -> impl Iterator<Item = usize> {
    (0..16).filter(move |i| set & (1 << i) != 0)
}

fn bit(i: usize) -> u16 {
    1 << i
}

fn snapshot_bit(i: usize) -> Snapshots {
    1 << i
}

impl Store {
    fn put_pack(&mut self, chunks: Chunks, spare: usize) -> Option<Packs> {
        let free = self.pack_chunks.iter().position(|&c| c == 0)?;
        if free + spare >= PACKS {
            return None;
        }
        self.pack_chunks[free] = chunks;
        self.packs |= bit(free);
        Some(bit(free))
    }

    fn put_run(&mut self, rows: Packs, unique_names: bool, spare: usize) -> Option<Runs> {
        let same = self.run_packs.iter().position(|&r| r == rows);
        let free = self.run_packs.iter().position(|&r| r == 0);
        let place = if unique_names { free? } else { same.or(free)? };
        if place + spare >= RUNS {
            return None;
        }
        self.run_packs[place] = rows;
        self.runs |= bit(place);
        Some(bit(place))
    }

    /// All packs that present runs have rows for; rows of deleted packs may be among them.
    fn rows(&self) -> Packs {
        bits(self.runs).fold(0, |rows, r| rows | self.run_packs[r])
    }

    fn chunks(&self, packs: Packs) -> Chunks {
        bits(packs).fold(0, |chunks, p| chunks | self.pack_chunks[p])
    }

    /// The packs condemned up to an epoch: all that an actor knows who has read the log that far.
    fn condemned(&self, known: Epoch) -> Packs {
        (0..PACKS).filter(|&p| (1..=known).contains(&self.condemned_at[p])).fold(0, |set, p| set | bit(p))
    }

    fn is_dead(&self, snapshot: usize, known: Epoch) -> bool {
        (1..=known).contains(&self.dead_at[snapshot])
    }

    /// A session, a pending manifest or a fence of a writer.
    fn has_traces(&self, w: usize) -> bool {
        self.pendings & snapshot_bit(w + 1) != 0 || self.sessions[w].is_some() || self.snapshots[w + 1] == Slot::Fence
    }

    /// What `list` shows.
    fn is_visible(&self, snapshot: usize) -> bool {
        self.snapshots[snapshot] == Slot::Manifest && self.dead_at[snapshot] == 0
    }

    fn publish_condemned(&mut self, victims: Packs) {
        self.epoch += 1;
        self.condemn(victims, self.epoch);
    }

    fn condemn(&mut self, victims: Packs, epoch: Epoch) {
        for p in bits(victims) {
            if self.condemned_at[p] == 0 {
                self.condemned_at[p] = epoch;
            }
        }
    }

    fn publish_dead(&mut self, snapshot: usize) {
        self.epoch += 1;
        if self.dead_at[snapshot] == 0 {
            self.dead_at[snapshot] = self.epoch;
        }
    }

    /// A record put without the condition takes the place of the one that is there.
    fn overwrite_record(&mut self, number: Epoch) {
        for at in self.condemned_at.iter_mut().chain(&mut self.dead_at) {
            if *at == number {
                *at = 0;
            }
        }
        self.epoch = self.epoch.max(number);
    }
}

impl Protocol {
    fn keeps(&self, rule: Rule) -> bool {
        self.left_out != Some(rule)
    }

    fn chunks_of(&self, snapshot: usize) -> Chunks {
        match snapshot {
            0 => self.initial,
            s => self.writers[s - 1],
        }
    }

    fn snapshot_range(&self) -> std::ops::Range<usize> {
        0..self.writers.len() + 1
    }

    // ---- Writer ----

    /// Up to the pending manifest.
    fn step_writer(&self, state: &mut State, w: usize) {
        let need = self.writers[w];
        let me = snapshot_bit(w + 1);
        let unique = self.keeps(Rule::UniqueRunNames);
        let store = &mut state.store;
        state.writers[w] = match state.writers[w] {
            Writer::Start if self.sessions => Writer::PutSession { epoch: store.epoch },
            Writer::Start => Writer::LoadIndex { known: store.epoch },
            Writer::PutSession { epoch } => {
                store.sessions[w] = Some(epoch);
                store.sessions_sent[w] = Some(epoch);
                if self.keeps(Rule::ReadGcAfterSession) { Writer::ReadGc } else { Writer::LoadIndex { known: epoch } }
            }
            Writer::ReadGc => Writer::LoadIndex { known: store.epoch },
            Writer::LoadIndex { known } => {
                let rows = store.rows();
                let missing = need & !store.chunks(rows & !store.condemned(known));
                if missing == 0 { Writer::PutPending { rows, own: 0 } } else { Writer::PutPack { rows, missing } }
            }
            Writer::PutPack { rows, missing } => match store.put_pack(missing, SPARE_PACKS) {
                Some(own) => Writer::PutRun { rows, own },
                None => return state.cramped = true,
            },
            Writer::PutRun { rows, own } => match store.put_run(own, unique, SPARE_RUNS) {
                Some(_) => Writer::PutPending { rows: rows | own, own },
                None => return state.cramped = true,
            },
            Writer::PutPending { rows, own } => {
                store.pendings |= me;
                store.pendings_sent |= me;
                if self.keeps(Rule::RecheckAfterPending) { Writer::Recheck { rows, own } } else { Writer::Commit }
            }
            _ => return self.finish_writer(state, w),
        };
    }

    /// From the pending manifest on.
    fn finish_writer(&self, state: &mut State, w: usize) {
        let need = self.writers[w];
        let snapshot = w + 1;
        let me = snapshot_bit(snapshot);
        let unique = self.keeps(Rule::UniqueRunNames);
        let store = &mut state.store;
        state.writers[w] = match state.writers[w] {
            Writer::Recheck { rows, own } => {
                let mut good = rows & !store.condemned(store.epoch);
                if !self.keeps(Rule::RecheckOwnPacks) {
                    good |= own;
                }
                match need & !store.chunks(good) {
                    0 => Writer::Commit,
                    lost => Writer::PutPackAgain { rows, lost },
                }
            }
            Writer::PutPackAgain { rows, lost } => {
                if lost & !store.chunks(rows & store.packs) != 0 {
                    state.starved |= self.sessions && state.fenced & me == 0;
                    Writer::DropPending
                } else {
                    match store.put_pack(lost, SPARE_PACKS) {
                        Some(new) => Writer::PutRunAgain { new },
                        None => return state.cramped = true,
                    }
                }
            }
            // No second look is needed: whoever condemns the new pack does so after the pending manifest is durable.
            Writer::PutRunAgain { new } => match store.put_run(new, unique, SPARE_RUNS) {
                Some(_) => Writer::Commit,
                None => return state.cramped = true,
            },
            Writer::Commit => {
                store.manifests_sent |= me;
                let taken = store.snapshots[snapshot] == Slot::Fence;
                if taken && self.keeps(Rule::CommitIfAbsent) {
                    Writer::DropPending
                } else {
                    // A manifest that is there already is its own: an earlier copy of this very put.
                    store.snapshots[snapshot] = Slot::Manifest;
                    if self.keeps(Rule::ConfirmAfterCommit) {
                        Writer::Confirm
                    } else {
                        state.reported |= me;
                        Writer::DropPending
                    }
                }
            }
            Writer::Confirm => {
                if store.dead_at[snapshot] == 0 {
                    state.reported |= me;
                }
                Writer::DropPending
            }
            Writer::DropPending => {
                store.pendings &= !me;
                if self.sessions { Writer::DropSession } else { Writer::Done }
            }
            Writer::DropSession => {
                store.sessions[w] = None;
                Writer::Done
            }
            other => other,
        };
    }

    // ---- Collector ----

    /// Condemning is safe whatever is chosen, for the choice is checked afterwards. So the choice may be any pack,
    /// which covers those made from an old listing, or all that seem superfluous, or none (finish what others began).
    fn choices(&self, state: &State) -> Vec<Packs> {
        let store = &state.store;
        let fresh = store.packs & !store.condemned(store.epoch);
        let mut choices: Vec<Packs> = bits(fresh).map(bit).collect();
        choices.push(self.superfluous(store));
        if store.packs & !fresh != 0 {
            choices.push(0);
        }
        choices.sort_unstable();
        choices.dedup();
        choices
    }

    /// Packs without which every needed chunk is still there: not needed at all, or redundant.
    fn superfluous(&self, store: &Store) -> Packs {
        let needed = self
            .snapshot_range()
            .filter(|&s| store.is_visible(s) || store.pendings & snapshot_bit(s) != 0)
            .fold(0, |needed, s| needed | self.chunks_of(s));
        let fresh = store.packs & !store.condemned(store.epoch);
        let readable = fresh & store.rows();
        let reachable = needed & store.chunks(readable);
        let mut kept = readable;
        for p in bits(readable) {
            if reachable & !store.chunks(kept & !bit(p)) == 0 {
                kept &= !bit(p);
            }
        }
        fresh & !kept
    }

    fn start_collector(&self, state: &mut State, c: usize, victims: Packs) {
        let store = &mut state.store;
        let old_listing = !self.keeps(Rule::ListAfterCondemning);
        state.collectors[c] = if old_listing || !self.keeps(Rule::LogIfAbsent) {
            let needed = self.pending_chunks(store, store.epoch) | self.snapshot_chunks(store, store.epoch);
            Collector::Publish { known: store.epoch, victims, needed }
        } else {
            if victims != 0 {
                store.publish_condemned(victims);
            }
            self.after_publishing(store.epoch)
        };
    }

    fn after_publishing(&self, known: Epoch) -> Collector {
        if self.sessions {
            Collector::ListSessions { known }
        } else if self.keeps(Rule::PendingsBeforeSnapshots) {
            Collector::ListPendings { known, limit: known }
        } else {
            Collector::ListSnapshots { known, limit: known, needed: 0 }
        }
    }

    fn pending_chunks(&self, store: &Store, known: Epoch) -> Chunks {
        bits(store.pendings.into())
            .filter(|&s| !store.is_dead(s, known))
            .fold(0, |needed, s| needed | self.chunks_of(s))
    }

    fn snapshot_chunks(&self, store: &Store, known: Epoch) -> Chunks {
        self.snapshot_range()
            .filter(|&s| store.snapshots[s] == Slot::Manifest && !store.is_dead(s, known))
            .fold(0, |needed, s| needed | self.chunks_of(s))
    }

    /// Condemn, and find out what is needed.
    fn step_collector(&self, state: &mut State, c: usize, quiet: bool) {
        let store = &mut state.store;
        state.collectors[c] = match state.collectors[c] {
            Collector::Publish { known, victims, needed } => {
                if self.keeps(Rule::LogIfAbsent) {
                    store.publish_condemned(victims);
                    Collector::LoadIndex { known: store.epoch, limit: store.epoch, needed }
                } else {
                    store.overwrite_record(known + 1);
                    store.condemn(victims, known + 1);
                    self.after_publishing(known + 1)
                }
            }
            Collector::ListSessions { known } => {
                let oldest = store.sessions.iter().flatten().min().copied().unwrap_or(known);
                let limit = if self.keeps(Rule::SessionsDelayDeletion) { known.min(oldest) } else { known };
                Collector::ListPendings { known, limit }
            }
            Collector::ListPendings { known, limit } => {
                Collector::ListSnapshots { known, limit, needed: self.pending_chunks(store, known) }
            }
            Collector::ListSnapshots { known, limit, needed } => {
                let needed = needed | self.snapshot_chunks(store, known);
                if self.keeps(Rule::PendingsBeforeSnapshots) {
                    Collector::LoadIndex { known, limit, needed }
                } else {
                    Collector::ListPendingsLate { known, limit, needed }
                }
            }
            Collector::ListPendingsLate { known, limit, needed } => {
                Collector::LoadIndex { known, limit, needed: needed | self.pending_chunks(store, known) }
            }
            Collector::LoadIndex { known, limit, needed } => self.load_index(store, known, limit, needed),
            _ => return self.finish_collector(state, c, quiet),
        };
    }

    /// Store again what is needed, then delete.
    fn finish_collector(&self, state: &mut State, c: usize, quiet: bool) {
        let (spare_packs, spare_runs) = if quiet { (0, 0) } else { (SPARE_PACKS, SPARE_RUNS) };
        let unique = self.keeps(Rule::UniqueRunNames);
        let store = &mut state.store;
        state.collectors[c] = match state.collectors[c] {
            Collector::PutRescue { lost, plan } => {
                let readable = lost & store.chunks(plan.rows & store.packs);
                if readable != lost && self.keeps(Rule::StopWhenUnreadable) {
                    Collector::Done
                } else if readable == 0 {
                    Self::delete_packs(store, plan)
                } else {
                    match store.put_pack(readable, spare_packs) {
                        Some(new) => Collector::PutRescueRun { new, plan },
                        None => return state.cramped = true,
                    }
                }
            }
            Collector::PutRescueRun { new, plan } => match store.put_run(new, unique, spare_runs) {
                Some(_) => Self::delete_packs(store, plan),
                None => return state.cramped = true,
            },
            Collector::DeletePacks { left, plan } => {
                let first = left & left.wrapping_neg();
                store.packs &= !first;
                Self::after_deleting(left & !first, plan)
            }
            Collector::PutIndex { plan } => {
                let mut dropped = plan.doomed;
                if !self.keeps(Rule::DropOnlyRowsOfDeleted) {
                    dropped |= store.condemned(store.epoch);
                }
                match plan.rows & !dropped {
                    0 => Collector::DropRuns { plan },
                    // Should names be shared, sparing the run just written is not enough; with names of its own it changes nothing.
                    rows => match store.put_run(rows, unique, spare_runs) {
                        Some(new) => Collector::DropRuns { plan: Plan { loaded: plan.loaded & !new, ..plan } },
                        None => return state.cramped = true,
                    },
                }
            }
            Collector::DropRuns { plan } => {
                store.runs &= !plan.loaded;
                if !self.keeps(Rule::TombstonesStay) {
                    bits(plan.doomed).for_each(|p| store.condemned_at[p] = 0);
                }
                Collector::Done
            }
            other => other,
        };
    }

    fn load_index(&self, store: &Store, known: Epoch, limit: Epoch, needed: Chunks) -> Collector {
        let (known, limit) =
            if self.keeps(Rule::DeleteOnlyCondemnedBefore) { (known, limit) } else { (store.epoch, store.epoch) };
        let rows = store.rows();
        let mut doomed = store.condemned(limit);
        let mut held = rows & !store.condemned(known);
        if !self.keeps(Rule::RescueFromAllCondemned) {
            doomed &= !store.condemned(known.saturating_sub(1));
            held = rows & !doomed;
        }
        if !self.keeps(Rule::FinishForOthers) {
            doomed &= !store.condemned(known.saturating_sub(1));
        }
        let plan = Plan { doomed, loaded: store.runs, rows };
        let lost = needed & !store.chunks(held);
        if lost == 0 { Self::delete_packs(store, plan) } else { Collector::PutRescue { lost, plan } }
    }

    fn delete_packs(store: &Store, plan: Plan) -> Collector {
        Self::after_deleting(plan.doomed & store.packs, plan)
    }

    fn after_deleting(left: Packs, plan: Plan) -> Collector {
        if left != 0 {
            Collector::DeletePacks { left, plan }
        } else if plan.rows & plan.doomed != 0 {
            Collector::PutIndex { plan }
        } else {
            Collector::Done
        }
    }

    // ---- Fence, forget, merge ----

    fn start_fencer(&self, state: &mut State, f: usize, w: usize) {
        let s = w + 1;
        state.fenced |= snapshot_bit(s);
        let fenced = state.store.snapshots[s] == Slot::Fence;
        let pending = state.store.pendings & snapshot_bit(s) != 0;
        state.fencers[f] = if !fenced && !pending {
            Fencer::DropSession(w)
        } else if !self.keeps(Rule::FenceBeforeDroppingPending) {
            Fencer::DropPending(w)
        } else if !self.keeps(Rule::DeadOnlyIfFenceWon) {
            Fencer::PublishDead(w)
        } else {
            Fencer::PutFence(w)
        };
    }

    fn step_fencer(&self, state: &mut State, f: usize) {
        let store = &mut state.store;
        state.fencers[f] = match state.fencers[f] {
            Fencer::PutFence(w) => {
                let s = w + 1;
                store.fences_sent |= snapshot_bit(s);
                if store.snapshots[s] == Slot::Manifest {
                    Fencer::DropPending(w)
                } else {
                    // A fence that is there already does as well, whoever put it.
                    store.snapshots[s] = Slot::Fence;
                    if self.keeps(Rule::DeadBeforeDroppingFence) {
                        Fencer::PublishDead(w)
                    } else {
                        Fencer::DropFence(w)
                    }
                }
            }
            Fencer::PublishDead(w) => {
                store.publish_dead(w + 1);
                Fencer::DropFence(w)
            }
            Fencer::DropFence(w) => {
                store.snapshots[w + 1] = Slot::Empty;
                Fencer::DropPending(w)
            }
            Fencer::DropPending(w) => {
                store.pendings &= !snapshot_bit(w + 1);
                if self.sessions { Fencer::DropSession(w) } else { Fencer::Done }
            }
            Fencer::DropSession(w) => {
                store.sessions[w] = None;
                Fencer::Done
            }
            other @ (Fencer::Start | Fencer::Done) => other,
        };
    }

    fn start_forgetter(&self, state: &mut State, snapshot: usize) {
        state.forgotten |= snapshot_bit(snapshot);
        if self.keeps(Rule::ForgetRecordsDead) {
            state.store.publish_dead(snapshot);
        }
        state.forgetter = Forgetter::DropSnapshot(snapshot);
    }

    fn step_forgetter(state: &mut State) {
        if let Forgetter::DropSnapshot(s) = state.forgetter {
            state.store.snapshots[s] = Slot::Empty;
            state.forgetter = Forgetter::Done;
        }
    }

    fn step_merger(&self, state: &mut State) {
        let early = !self.keeps(Rule::MergeBeforeDropping);
        let unique = self.keeps(Rule::UniqueRunNames);
        let store = &mut state.store;
        state.merger = match state.merger {
            Merger::Start if store.runs == 0 => Merger::Done,
            Merger::Start if early => Merger::DropRuns { loaded: store.runs, rows: store.rows() },
            Merger::Start => Merger::PutMerged { loaded: store.runs, rows: store.rows() },
            Merger::PutMerged { loaded, rows } => match store.put_run(rows, unique, SPARE_RUNS) {
                Some(_) if early => Merger::Done,
                Some(new) => Merger::DropRuns { loaded: loaded & !new, rows: 0 },
                None => return state.cramped = true,
            },
            Merger::DropRuns { loaded, rows } => {
                store.runs &= !loaded;
                if early { Merger::PutMerged { loaded, rows } } else { Merger::Done }
            }
            Merger::Done => Merger::Done,
        };
    }

    // ---- Puts that land again ----

    fn possible_echoes(&self, store: &Store) -> Vec<Echo> {
        let mut echoes = Vec::new();
        let lost_packs = (0..PACKS).filter(|&p| store.pack_chunks[p] != 0 && store.packs & bit(p) == 0);
        let lost_runs = (0..RUNS).filter(|&r| store.run_packs[r] != 0 && store.runs & bit(r) == 0);
        echoes.extend(lost_packs.map(Echo::Pack));
        echoes.extend(lost_runs.map(Echo::Run));
        for s in self.snapshot_range() {
            let has = |set: Snapshots| set & snapshot_bit(s) != 0;
            if has(store.pendings_sent & !store.pendings) {
                echoes.push(Echo::Pending(s));
            }
            if store.snapshots[s] == Slot::Empty && has(store.manifests_sent) {
                echoes.push(Echo::Manifest(s));
            }
            if store.snapshots[s] == Slot::Empty && has(store.fences_sent) {
                echoes.push(Echo::Fence(s));
            }
        }
        for w in 0..self.writers.len() {
            if store.sessions[w].is_none() && store.sessions_sent[w].is_some() {
                echoes.push(Echo::Session(w));
            }
        }
        echoes
    }

    fn land_again(store: &mut Store, echo: Echo) {
        match echo {
            Echo::Pack(p) => store.packs |= bit(p),
            Echo::Run(r) => store.runs |= bit(r),
            Echo::Pending(s) => store.pendings |= snapshot_bit(s),
            Echo::Manifest(s) => store.snapshots[s] = Slot::Manifest,
            Echo::Fence(s) => store.snapshots[s] = Slot::Fence,
            Echo::Session(w) => store.sessions[w] = store.sessions_sent[w],
        }
    }

    // ---- Properties ----

    /// What `list` shows can be restored: each chunk is in a pack that exists and that the index leads to.
    fn all_restorable(&self, store: &Store) -> bool {
        let readable = store.chunks(store.packs & store.rows());
        self.snapshot_range().filter(|&s| store.is_visible(s)).all(|s| self.chunks_of(s) & !readable == 0)
    }

    fn reported_are_visible(state: &State) -> bool {
        bits((state.reported & !state.forgotten).into()).all(|s| state.store.is_visible(s))
    }

    /// If everybody stopped here for ever, one collection that takes all sessions for dead would leave nothing superfluous.
    fn quiet_run_cleans(&self, state: &State) -> bool {
        let mut state = state.clone();
        for w in 0..self.writers.len() {
            if state.store.has_traces(w) {
                self.start_fencer(&mut state, 0, w);
                while state.fencers[0] != Fencer::Done {
                    self.step_fencer(&mut state, 0);
                }
            }
        }
        for s in self.snapshot_range() {
            if state.store.dead_at[s] != 0 {
                state.store.snapshots[s] = Slot::Empty;
            }
        }
        let victims = self.superfluous(&state.store);
        self.start_collector(&mut state, 0, victims);
        while state.collectors[0] != Collector::Done && !state.cramped {
            self.step_collector(&mut state, 0, true);
        }
        self.is_clean(&state.store)
    }

    fn is_clean(&self, store: &Store) -> bool {
        store.packs == store.rows()
            && store.packs & store.condemned(store.epoch) == 0
            && self.superfluous(store) == 0
            && store.pendings == 0
            && store.sessions == [None; WRITERS]
            && self.snapshot_range().all(|s| store.snapshots[s] == Slot::Empty || store.is_visible(s))
            && self.all_restorable(store)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut store = Store {
            pack_chunks: [0; PACKS],
            packs: 0,
            run_packs: [0; RUNS],
            runs: 0,
            epoch: 0,
            condemned_at: [0; PACKS],
            dead_at: [0; SNAPSHOTS],
            snapshots: [Slot::Manifest, Slot::Empty, Slot::Empty],
            pendings: 0,
            sessions: [None; WRITERS],
            manifests_sent: 1,
            fences_sent: 0,
            pendings_sent: 0,
            sessions_sent: [None; WRITERS],
        };
        for &chunks in self.packs {
            let pack = store.put_pack(chunks, 0).expect("few packs at the start");
            store.put_run(pack, true, 0).expect("few runs at the start");
        }
        let mut writers = [Writer::Done; WRITERS];
        writers[..self.writers.len()].fill(Writer::Start);
        let mut collectors = [Collector::Done; COLLECTORS];
        collectors[..self.collectors].fill(Collector::Start);
        let mut fencers = [Fencer::Done; FENCERS];
        fencers[..self.fencers].fill(Fencer::Start);
        vec![State {
            store,
            writers,
            collectors,
            fencers,
            forgetter: if self.forgetter { Forgetter::Start } else { Forgetter::Done },
            merger: if self.merger { Merger::Start } else { Merger::Done },
            echoes: self.echoes,
            reported: 0,
            forgotten: 0,
            fenced: 0,
            starved: false,
            cramped: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let store = &state.store;
        for w in 0..self.writers.len() {
            if state.writers[w] != Writer::Done {
                actions.push(Action::Writer(w));
            }
            if state.writers[w] == Writer::Commit && !self.keeps(Rule::KeepPendingWhenUnsure) {
                actions.push(Action::GiveUpCommit(w));
            }
            if store.has_traces(w)
                && let Some(f) = state.fencers.iter().position(|&f| f == Fencer::Start)
            {
                actions.push(Action::Fence(f, w));
            }
        }
        for f in 0..FENCERS {
            if !matches!(state.fencers[f], Fencer::Start | Fencer::Done) {
                actions.push(Action::Fencer(f));
            }
        }
        for c in 0..COLLECTORS {
            match state.collectors[c] {
                Collector::Start => {
                    actions.extend(self.choices(state).into_iter().map(|victims| Action::Condemn(c, victims)));
                }
                Collector::Done => {}
                _ => actions.push(Action::Collector(c)),
            }
        }
        match state.forgetter {
            Forgetter::Start => {
                actions.extend(self.snapshot_range().filter(|&s| store.is_visible(s)).map(Action::Forget));
            }
            Forgetter::DropSnapshot(_) => actions.push(Action::Forgetter),
            Forgetter::Done => {}
        }
        if state.merger != Merger::Done {
            actions.push(Action::Merger);
        }
        if state.echoes > 0 {
            actions.extend(self.possible_echoes(store).into_iter().map(Action::Echo));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Writer(w) => self.step_writer(&mut state, w),
            Action::GiveUpCommit(w) => {
                state.store.manifests_sent |= snapshot_bit(w + 1);
                state.writers[w] = Writer::DropPending;
            }
            Action::Condemn(c, victims) => self.start_collector(&mut state, c, victims),
            Action::Collector(c) => self.step_collector(&mut state, c, false),
            Action::Fence(f, w) => self.start_fencer(&mut state, f, w),
            Action::Fencer(f) => self.step_fencer(&mut state, f),
            Action::Forget(s) => self.start_forgetter(&mut state, s),
            Action::Forgetter => Self::step_forgetter(&mut state),
            Action::Merger => self.step_merger(&mut state),
            Action::Echo(echo) => {
                Self::land_again(&mut state.store, echo);
                state.echoes -= 1;
            }
        }
        // Nothing in the store tells one collector or fencer from another: their order makes no difference.
        state.collectors.sort_unstable();
        state.fencers.sort_unstable();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(RESTORABLE, |p: &Self, s: &State| p.all_restorable(&s.store)),
            Property::always(REPORTED, |_, s: &State| Self::reported_are_visible(s)),
            Property::always(NOT_STARVED, |_, s: &State| !s.starved),
            Property::always(CLEAN, |p: &Self, s: &State| p.quiet_run_cleans(s)),
            Property::always(ROOM, |_, s: &State| !s.cramped),
            Property::sometimes(SUCCESS, |_, s: &State| s.reported != 0),
            Property::sometimes(RESTORED, |_, s: &State| {
                s.writers.iter().any(|w| matches!(w, Writer::PutRunAgain { .. }))
            }),
            Property::sometimes(RESCUED, |_, s: &State| {
                s.collectors.iter().any(|c| matches!(c, Collector::PutRescueRun { .. }))
            }),
            Property::sometimes(COLLECTED, |_, s: &State| {
                s.collectors.iter().any(|c| matches!(c, Collector::DropRuns { .. }))
            }),
        ]
    }
}

const RESTORABLE: &str = "what is listed can be restored";
const REPORTED: &str = "what was reported as made is listed until forgotten";
const NOT_STARVED: &str = "a writer that nobody fenced never lacks a chunk";
const CLEAN: &str = "a quiet collection leaves nothing superfluous";
const ROOM: &str = "the arrays of the model are large enough";
const SUCCESS: &str = "a writer succeeds";
const RESTORED: &str = "a writer stores again what was condemned";
const RESCUED: &str = "a collector stores again what is needed";
const COLLECTED: &str = "a collector deletes";

/// One pack holds what only the old snapshot needs and what the writer reuses; one more holds the latter again.
const BASE: Protocol = Protocol {
    left_out: None,
    packs: &[A | B, B],
    initial: A | B,
    writers: &[B | C],
    collectors: 1,
    fencers: 0,
    forgetter: true,
    merger: false,
    echoes: 0,
    sessions: false,
};

fn holds(protocol: Protocol) {
    let started = std::time::Instant::now();
    let checker = protocol.clone().checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{} states, depth {}, {:.1} s: {protocol:?}",
        checker.unique_state_count(),
        checker.max_depth(),
        started.elapsed().as_secs_f32()
    );
    for always in [RESTORABLE, REPORTED, NOT_STARVED, CLEAN, ROOM] {
        if let Some(path) = checker.discovery(always) {
            panic!("violated: {always}\n{:?}\n{:#?}", path.clone().into_actions(), path.last_state());
        }
    }
    for sometimes in [SUCCESS, RESTORED, RESCUED, COLLECTED] {
        assert!(checker.discovery(sometimes).is_some(), "never happens: {sometimes}");
    }
}

fn fails_without(rule: Rule, violated: &'static str, protocol: Protocol) {
    let protocol = Protocol { left_out: Some(rule), ..protocol };
    let wanted = HasDiscoveries::AnyOf([violated].into());
    let checker = protocol.checker().finish_when(wanted).spawn_bfs().join();
    let path = checker.discovery(violated).unwrap_or_else(|| panic!("{rule:?} is not needed for: {violated}"));
    println!("without {rule:?} ({} states): {:?}", checker.unique_state_count(), path.into_actions());
}

#[test]
fn one_writer_two_collectors() {
    holds(Protocol { collectors: 2, ..BASE });
}

#[test]
fn one_writer_two_collectors_echo() {
    holds(Protocol { collectors: 2, forgetter: false, echoes: 1, ..BASE });
}

#[test]
fn one_writer_one_collector_fence_merge_echo() {
    holds(Protocol { fencers: 1, forgetter: false, merger: true, echoes: 1, ..BASE });
}

#[test]
fn one_writer_one_collector_fence_two_echoes() {
    holds(Protocol { fencers: 1, echoes: 2, ..BASE });
}

#[test]
fn one_writer_one_collector_two_fencers() {
    holds(Protocol { fencers: 2, ..BASE });
}

#[test]
fn two_writers_one_collector() {
    holds(Protocol { writers: &[B | C, B | D], ..BASE });
}

#[test]
fn sessions_one_writer_one_collector_fence_echo() {
    holds(Protocol { sessions: true, fencers: 1, echoes: 1, ..BASE });
}

#[test]
#[ignore = "takes up to minutes"]
fn sessions_one_writer_two_collectors() {
    holds(Protocol { sessions: true, collectors: 2, ..BASE });
}

#[test]
#[ignore = "takes up to minutes"]
fn one_writer_one_collector_forget_fence_merge_echo() {
    holds(Protocol { fencers: 1, merger: true, echoes: 1, ..BASE });
}

#[test]
#[ignore = "takes up to minutes"]
fn one_writer_two_collectors_forget_fence() {
    holds(Protocol { collectors: 2, fencers: 1, ..BASE });
}

#[test]
#[ignore = "takes up to minutes"]
fn one_writer_two_collectors_fence_echo() {
    holds(Protocol { collectors: 2, fencers: 1, forgetter: false, echoes: 1, ..BASE });
}

#[test]
#[ignore = "takes up to minutes"]
fn one_writer_two_collectors_merge() {
    holds(Protocol { collectors: 2, forgetter: false, merger: true, ..BASE });
}

#[test]
#[ignore = "takes up to minutes"]
fn two_writers_one_collector_fence() {
    holds(Protocol { writers: &[B | C, B | D], fencers: 1, forgetter: false, ..BASE });
}

macro_rules! every_rule_is_needed {
    ($($name:ident: $rule:ident, $violated:ident, $protocol:expr;)*) => {$(
        #[test]
        fn $name() {
            fails_without(Rule::$rule, $violated, $protocol);
        }
    )*};
}

every_rule_is_needed! {
    needs_recheck_after_pending: RecheckAfterPending, RESTORABLE, BASE;
    needs_recheck_own_packs: RecheckOwnPacks, RESTORABLE, BASE;
    needs_commit_if_absent: CommitIfAbsent, REPORTED, Protocol { fencers: 1, ..BASE };
    needs_confirm_after_commit: ConfirmAfterCommit, REPORTED, Protocol { fencers: 1, ..BASE };
    needs_keep_pending_when_unsure: KeepPendingWhenUnsure, RESTORABLE, Protocol { echoes: 1, ..BASE };
    needs_read_gc_after_session: ReadGcAfterSession, NOT_STARVED, Protocol { sessions: true, ..BASE };
    needs_log_if_absent: LogIfAbsent, RESTORABLE, Protocol { collectors: 2, ..BASE };
    needs_list_after_condemning: ListAfterCondemning, RESTORABLE, BASE;
    needs_pendings_before_snapshots: PendingsBeforeSnapshots, RESTORABLE, BASE;
    needs_delete_only_condemned_before: DeleteOnlyCondemnedBefore, RESTORABLE, Protocol { collectors: 2, ..BASE };
    needs_rescue_from_all_condemned: RescueFromAllCondemned, RESTORABLE, Protocol { collectors: 2, ..BASE };
    needs_stop_when_unreadable: StopWhenUnreadable, RESTORABLE, Protocol { initial: 0, forgetter: false, collectors: 2, ..BASE };
    needs_finish_for_others: FinishForOthers, CLEAN, BASE;
    needs_drop_only_rows_of_deleted: DropOnlyRowsOfDeleted, RESTORABLE, Protocol { collectors: 2, ..BASE };
    needs_tombstones_stay: TombstonesStay, RESTORABLE, Protocol { echoes: 1, ..BASE };
    needs_sessions_delay_deletion: SessionsDelayDeletion, NOT_STARVED, Protocol { sessions: true, ..BASE };
    needs_fence_before_dropping_pending: FenceBeforeDroppingPending, RESTORABLE, Protocol { fencers: 1, ..BASE };
    needs_dead_only_if_fence_won: DeadOnlyIfFenceWon, REPORTED, Protocol { fencers: 1, ..BASE };
    needs_dead_before_dropping_fence: DeadBeforeDroppingFence, RESTORABLE, Protocol { fencers: 1, ..BASE };
    needs_forget_records_dead: ForgetRecordsDead, RESTORABLE, Protocol { echoes: 1, ..BASE };
    needs_merge_before_dropping: MergeBeforeDropping, RESTORABLE, Protocol { merger: true, ..BASE };
    needs_unique_run_names: UniqueRunNames, RESTORABLE, Protocol { merger: true, ..BASE };
}
