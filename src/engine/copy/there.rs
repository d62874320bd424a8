//! What was copied before: which snapshots there count as copies of which here, and why.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

use super::proof::{Prover, original, original_of, says_the_same};
use super::{len, there_error};
use crate::crypto::role::Role;
use crate::engine::check::doubtful_snapshots;
use crate::engine::name_of;
use crate::error::{Category, Error};
use crate::event::{Event, Task, Unit};
use crate::format::manifest::{Manifest, StreamEntry};
use crate::ids::ObjectId;
use crate::pipeline::egress::Egress;
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;

/// A snapshot there that says what one here says.
pub(super) struct Known {
    pub(super) id: ObjectId,
    pub(super) manifest: Manifest,
    /// True if it is proven to be a copy, or is the very snapshot that the one here is a copy of. What only says so counts
    /// once it was read.
    pub(super) is_certain: bool,
}

/// The snapshots of both repositories.
pub(super) struct Both {
    pub(super) prover: Prover,
    /// Those that may be copied, oldest first.
    pub(super) here: Vec<Snapshot>,
    /// Those that are there, by what they say that they are copies of.
    there: HashMap<String, Vec<(ObjectId, Manifest)>>,
}

impl Both {
    pub(super) fn new(from: &Repository, to: &Repository, here: Vec<Snapshot>) -> Result<Self, Error> {
        let mut both = Self { prover: Prover::new(from, to)?, here, there: HashMap::new() };
        // Who may only add to a repository sees nothing of what is in it.
        if to.keys.role() != Role::Writer {
            // What is known to be damaged there is copied anew: that heals it.
            let doubtful = doubtful_snapshots(to).map_err(there_error)?;
            let there = to.snapshots().map_err(there_error)?.snapshots.into_iter();
            there
                .filter(|snapshot| !doubtful.contains(&snapshot.id))
                .for_each(|snapshot| both.add(snapshot.id, snapshot.manifest));
        }
        Ok(both)
    }

    /// Notes a snapshot that is there.
    pub(super) fn add(&mut self, id: ObjectId, manifest: Manifest) {
        self.there.entry(original(id, &manifest)).or_default().push((id, manifest));
    }

    fn named(&self, here: &Snapshot) -> (String, &[(ObjectId, Manifest)]) {
        let original = original_of(here);
        let known = self.there.get(&original).map_or(&[][..], Vec::as_slice);
        (original, known)
    }

    /// The snapshots there that may be this one, the certain ones first.
    pub(super) fn known(&self, here: &Snapshot) -> Vec<Known> {
        let (original, known) = self.named(here);
        let same = known.iter().filter(|(_, manifest)| says_the_same(&here.manifest, manifest));
        let mut known: Vec<Known> = same
            .map(|(id, manifest)| {
                let is_certain = id.to_string() == original || self.prover.is_proven(here, manifest);
                Known { id: *id, manifest: manifest.clone(), is_certain }
            })
            .collect();
        known.sort_by_key(|known| !known.is_certain);
        known
    }

    /// The newest stream of this name that was copied before, here and there. Only what is proven counts: its two lists,
    /// read side by side, say what the chunks of one repository are called in the other.
    pub(super) fn twin(&self, name: &[u8]) -> Option<(&StreamEntry, &StreamEntry)> {
        let find = |manifest: &'_ Manifest| manifest.streams.iter().position(|known| known.name == name);
        self.here.iter().rev().find_map(|here| {
            let one = &here.manifest.streams[find(&here.manifest)?];
            self.named(here).1.iter().find_map(|(_, there)| {
                let other = &there.streams[find(there)?];
                let is_same = one.content.hash == other.content.hash && one.content.len == other.content.len;
                (is_same && self.prover.is_proven(here, there)).then_some((one, other))
            })
        })
    }
}

/// Reads all streams of a snapshot there and compares their hashes. Says what is wrong, if it is damaged.
pub(super) fn damage_of(to: &Repository, manifest: &Manifest) -> Result<Option<Error>, Error> {
    match read(to, manifest) {
        Ok(()) => Ok(None),
        Err(error) if error.category() == Category::Damaged => Ok(Some(there_error(error))),
        Err(error) => Err(there_error(error)),
    }
}

fn read(to: &Repository, manifest: &Manifest) -> Result<(), Error> {
    let mut egress = Egress::open(to)?;
    // By length, too: whoever lies about that is found out.
    let mut proven: HashSet<([u8; 32], u64, Option<[u8; 16]>)> = HashSet::new();
    for entry in &manifest.streams {
        let what = format!("reading the copy of {}", name_of(entry));
        to.env.tell(&Event::Begin { task: Task::ONLY, what: &what, total: Some(len(entry)), unit: Unit::Bytes });
        for content in std::iter::once(&entry.content).chain(&entry.catalog) {
            if proven.insert((content.hash, content.len, content.root.map(|root| root.id))) {
                let read = egress.write_all(content, |_| Ok::<(), Infallible>(()));
                read.map_err(|error| Error::copy("there", name_of(entry), error))?;
            }
        }
        to.env.tell(&Event::End(Task::ONLY));
    }
    Ok(())
}
