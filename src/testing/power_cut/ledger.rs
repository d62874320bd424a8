//! What is durable at a moment, and what may or may not have arrived.

use std::collections::BTreeMap;

use super::recorder::{Change, Made};
use super::tree::{Tree, file_after};
use crate::testing::entropy::SeededEntropy;

/// A file or folder as it was changed, and how far that is durable.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) made: Made,
    /// Writes and truncations in their order.
    data: Vec<Change>,
    /// How many of them are durable.
    durable_data: usize,
    /// Modes and times in their order; the first is durable.
    attributes: Vec<Option<(u32, i128)>>,
}

/// What a name has meant since its folder was synced; the first is durable.
#[derive(Debug, Clone)]
struct Meanings {
    /// Names are varied in the order in which they came up.
    order: usize,
    meant: Vec<Option<usize>>,
}

impl Meanings {
    fn latest(&self) -> Option<usize> {
        self.meant.last().copied().flatten()
    }

    /// A name that came and went: it may be there again.
    fn is_ghost(&self) -> bool {
        self.meant.len() > 1 && self.meant[0] == self.latest()
    }
}

type Name = (usize, Vec<u8>);

/// Changes replayed up to a moment.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    objects: Vec<Object>,
    names: BTreeMap<Name, Meanings>,
    seen: usize,
}

impl Ledger {
    /// Replays one more change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Made(made) => self.objects.push(Object {
                made: made.clone(),
                data: Vec::new(),
                durable_data: 0,
                attributes: vec![None],
            }),
            Change::Name(folder, name, object) => {
                let order = self.seen;
                self.seen += 1;
                let new = || Meanings { order, meant: vec![None] };
                let meanings = self.names.entry((*folder, name.clone())).or_insert_with(new);
                meanings.order = order;
                meanings.meant.push(*object);
            }
            Change::Write(object, ..) | Change::Truncate(object, _) => self.objects[*object].data.push(change.clone()),
            Change::Attributes(object, mode, modified) => {
                self.objects[*object].attributes.push(Some((*mode, *modified)));
            }
            Change::SyncData(object) => self.sync_data(*object),
            Change::SyncObject(object) => self.sync_object(*object),
            Change::SyncAll => (0..self.objects.len()).for_each(|object| self.sync_object(object)),
        }
    }

    fn sync_data(&mut self, object: usize) {
        let object = &mut self.objects[object];
        object.durable_data = object.data.len();
    }

    fn sync_object(&mut self, number: usize) {
        self.sync_data(number);
        let attributes = &mut self.objects[number].attributes;
        attributes.drain(..attributes.len() - 1);
        let below = (number, Vec::new())..(number + 1, Vec::new());
        for (_, meanings) in self.names.range_mut(below) {
            meanings.meant.drain(..meanings.meant.len() - 1);
        }
    }

    /// The states that are possible now.
    pub fn states(&self) -> States<'_> {
        let mut uncertain: Vec<(usize, Uncertain)> = Vec::new();
        let mut ghosts = Vec::new();
        let newest = self.names.values().map(|meanings| meanings.order).max();
        for (name, meanings) in &self.names {
            let mut options: Vec<Option<usize>> = Vec::new();
            // The newest comes last, and before it what was meant the longest time ago.
            for meant in &meanings.meant {
                options.retain(|other| other != meant);
                options.push(*meant);
            }
            if meanings.is_ghost() && Some(meanings.order) != newest {
                ghosts.push((name.clone(), options[0]));
            } else if options.len() > 1 {
                uncertain.push((meanings.order, Uncertain::Name(name.clone(), options)));
            }
        }
        uncertain.sort_by_key(|(order, _)| *order);
        let mut uncertain: Vec<Uncertain> = uncertain.into_iter().map(|(_, uncertain)| uncertain).collect();
        if !ghosts.is_empty() {
            uncertain.push(Uncertain::Ghosts(ghosts));
        }
        for (number, object) in self.objects.iter().enumerate().filter(|(number, _)| self.is_named(*number)) {
            let pending = object.data.len() - object.durable_data;
            if pending > 0 {
                uncertain.push(Uncertain::Data(number, if pending > 1 { 5 } else { 4 }));
            }
            if object.attributes.len() > 1 {
                uncertain.push(Uncertain::Attributes(number));
            }
        }
        States { ledger: self, uncertain }
    }

    /// True if an object can be found by a name that is durable, or is the latest.
    fn is_named(&self, object: usize) -> bool {
        let means = |meanings: &Meanings| meanings.meant[0] == Some(object) || meanings.latest() == Some(object);
        object == 0 || self.names.values().any(means)
    }
}

/// Something that may or may not have arrived.
#[derive(Debug, Clone)]
enum Uncertain {
    /// What a name means.
    Name(Name, Vec<Option<usize>>),
    /// Names that came and went, and what they meant meanwhile: all are there, every other one is, all are gone.
    Ghosts(Vec<(Name, Option<usize>)>),
    /// The data of a file, in so many ways: nothing since the last sync, the length without the data, the last write cut
    /// in half, (the last write only), everything.
    Data(usize, usize),
    /// Mode and time: as at the last sync, or the latest.
    Attributes(usize),
}

impl Uncertain {
    fn ways(&self) -> usize {
        match self {
            Self::Name(_, options) => options.len(),
            Self::Ghosts(_) => 3,
            Self::Data(_, ways) => *ways,
            Self::Attributes(_) => 2,
        }
    }
}

/// The states that are possible at a moment.
#[derive(Debug)]
pub struct States<'a> {
    ledger: &'a Ledger,
    uncertain: Vec<Uncertain>,
}

impl States<'_> {
    /// How many there are.
    pub fn count(&self) -> u128 {
        self.uncertain.iter().map(|uncertain| uncertain.ways() as u128).fold(1, u128::saturating_mul)
    }

    /// All of them if they are no more than `most`, else the corners (everything, nothing, all but one, only one) and
    /// as many by chance.
    pub fn choose(&self, most: usize, chance: &SeededEntropy) -> Vec<Tree> {
        if self.count() <= most as u128 {
            return (0..self.count()).map(|number| self.tree(&self.digits(number))).collect();
        }
        let newest: Vec<usize> = self.uncertain.iter().map(|uncertain| uncertain.ways() - 1).collect();
        let oldest = vec![0; newest.len()];
        let mut chosen = vec![newest.clone(), oldest.clone()];
        for at in 0..newest.len() {
            for (base, other) in [(&newest, 0), (&oldest, newest[at])] {
                let mut choice = base.clone();
                choice[at] = other;
                chosen.push(choice);
            }
        }
        let by_chance = |_| self.uncertain.iter().map(|uncertain| chance.below(uncertain.ways())).collect();
        chosen.extend((0..most).map(by_chance));
        chosen.iter().map(|choice| self.tree(choice)).collect()
    }

    /// Everything has arrived.
    pub fn newest(&self) -> Tree {
        self.tree(&self.uncertain.iter().map(|uncertain| uncertain.ways() - 1).collect::<Vec<_>>())
    }

    fn digits(&self, mut number: u128) -> Vec<usize> {
        let mut digit = |uncertain: &Uncertain| {
            let ways = uncertain.ways() as u128;
            let digit = (number % ways) as usize;
            number /= ways;
            digit
        };
        self.uncertain.iter().map(&mut digit).collect()
    }

    fn tree(&self, choice: &[usize]) -> Tree {
        let mut names: BTreeMap<&Name, Option<usize>> =
            self.ledger.names.iter().map(|(name, meanings)| (name, meanings.latest())).collect();
        let (mut data, mut old_attributes) = (BTreeMap::new(), Vec::new());
        for (uncertain, &way) in self.uncertain.iter().zip(choice) {
            match uncertain {
                Uncertain::Name(name, options) => {
                    names.insert(name, options[way]);
                }
                Uncertain::Ghosts(ghosts) => {
                    let back = ghosts.iter().enumerate().filter(|(at, _)| way == 0 || (way == 1 && at % 2 == 0));
                    names.extend(back.map(|(_, (name, meant))| (name, *meant)));
                }
                Uncertain::Data(object, ways) => {
                    data.insert(*object, ways - 1 - way);
                }
                Uncertain::Attributes(object) if way == 0 => old_attributes.push(*object),
                Uncertain::Attributes(_) => {}
            }
        }
        let content = |number: usize| {
            let object = &self.ledger.objects[number];
            let (durable, pending) = object.data.split_at(object.durable_data);
            let way = data.get(&number).copied().unwrap_or(0);
            let attributes =
                if old_attributes.contains(&number) { object.attributes.first() } else { object.attributes.last() };
            (object.made.clone(), file_after(durable, pending, way), attributes.copied().flatten())
        };
        let children = |folder: usize| {
            let below = names.iter().filter(move |((of, _), _)| *of == folder);
            below.filter_map(|((_, name), object)| Some((name.clone(), (*object)?))).collect()
        };
        Tree::build(0, &content, &children, 0)
    }
}
