//! Walking the chunk lists of all snapshots: what they need is there, and where it is not.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Broken, Hit, Report, is_gone};
use crate::backend::Key;
use crate::crypto::role::Role;
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::format::list::{self, ListRow};
use crate::format::signature::{Root, Roots};
use crate::ids::{ChunkId, ObjectId};
use crate::repo::index::{Index, Location};
use crate::repo::list::{ListWalker, NodeSource};
use crate::repo::loader::{ChunkLoader, LoaderCache};
use crate::repo::pack_reader::{PackCache, PackReader};
use crate::repo::{RepoError, Repository};

/// Walks every snapshot. Shared stretches of lists are walked once.
pub(in crate::engine) fn walk_snapshots(
    repository: &Repository,
    index: Index,
    broken: &mut Broken,
    report: &mut Report,
) -> Result<(), Error> {
    let ids = repository.snapshot_ids()?;
    repository.env.tell(&Event::Begin {
        task: Task::ONLY,
        what: "checking snapshots",
        total: Some(ids.len() as u64),
        unit: Unit::Items,
    });
    let whole = Whole::new(&index);
    let (cache, packs, missing) = (LoaderCache::default(), PackCache::default(), HashSet::new());
    let mut walk = Walk { repository, index, cache, packs, last: None, whole, broken, hits: Vec::new(), missing };
    for id in ids {
        repository.check_cancel()?;
        match needed(repository, id) {
            Ok(contents) => {
                let hits = walk.snapshot(id, contents, report)?;
                report.hits.extend(hits);
            }
            Err(error) if is_gone(&error) => continue,
            Err(error) if error.is_damage() => report.problem(Key::Snapshot(id), &error),
            Err(error) => return Err(error.into()),
        }
        report.snapshots += 1;
        repository.env.tell(&Event::Advance(Task::ONLY, 1));
    }
    report.missing = walk.missing;
    repository.env.tell(&Event::End(Task::ONLY));
    Ok(())
}

/// How often a snapshot is walked again because the index changed under a walk that missed something.
const ATTEMPTS: usize = 8;

/// Nodes of lists that were found whole with all below them, and the bytes below each: by the numbers of their rows in an
/// index, until that is opened anew.
struct Whole {
    generation: u64,
    nodes: HashMap<u64, u64>,
}

impl Whole {
    fn new(index: &Index) -> Self {
        Self { generation: index.generation(), nodes: HashMap::new() }
    }

    fn len_of(&mut self, index: &Index, row: u64) -> Option<u64> {
        if self.generation != index.generation() {
            *self = Self::new(index);
        }
        self.nodes.get(&row).copied()
    }

    fn add(&mut self, index: &Index, generation: u64, row: u64, len: u64) {
        // The number behind the last row stands for packs that no run names: not one chunk.
        if self.generation == generation && index.generation() == generation && row < index.rows() {
            self.nodes.insert(row, len);
        }
    }
}

/// Streams and catalogs by their names.
type Contents = Vec<(Vec<u8>, Root)>;

/// What a snapshot needs. Who may not know the names of streams gets their numbers.
fn needed(repository: &Repository, id: ObjectId) -> Result<Contents, RepoError> {
    let (key, object) = (Key::Snapshot(id), repository.stored_snapshot(id)?);
    if repository.keys.role() != Role::Reader {
        if !repository.may_make(&repository.open_signature(id, &object)?.signer, &id)? {
            let why = "who has signed it is no writer of this repository";
            return Err(RepoError::Forged { object: key.to_string(), why });
        }
        let roots = repository.open_roots(&key, &object)?.roots;
        return Ok(roots.into_iter().zip(1..).map(|(root, n)| (format!("content {n}").into_bytes(), root)).collect());
    }
    let manifest = repository.open_snapshot(id, &object)?.manifest;
    let roots = Roots::from(&manifest);
    if repository.keys.has_roles() && repository.open_roots(&key, &object)? != roots {
        let why = "what it says to collectors is not what it needs".to_owned();
        return Err(RepoError::Damaged { object: key.to_string(), why });
    }
    let names = manifest.streams.into_iter().flat_map(|stream| {
        let catalog = stream.catalog.map(|_| [&stream.name[..], b" (catalog)"].concat());
        std::iter::once(stream.name).chain(catalog)
    });
    Ok(names.zip(roots.roots).collect())
}

struct Walk<'a> {
    repository: &'a Repository,
    index: Index,
    cache: LoaderCache,
    packs: PackCache,
    /// The pack that was looked into last: what follows in a list mostly lies in the same.
    last: Option<Arc<PackReader>>,
    whole: Whole,
    broken: &'a mut Broken,
    hits: Vec<Hit>,
    missing: HashSet<ChunkId>,
}

/// The stream that is being walked.
struct Place<'a> {
    snapshot: ObjectId,
    stream: &'a [u8],
}

impl Walk<'_> {
    /// What of a snapshot cannot be restored. Nothing, if it was forgotten meanwhile.
    fn snapshot(&mut self, id: ObjectId, mut contents: Contents, report: &mut Report) -> Result<Vec<Hit>, RepoError> {
        contents.retain(|(_, content)| {
            let walker = ListWalker::new(content.root, content.len);
            walker.map_err(|error| report.problem(Key::Snapshot(id), &error)).is_ok()
        });
        let hits = self.hits_of(id, &contents)?;
        if !hits.is_empty() && self.is_forgotten(id)? {
            return Ok(Vec::new());
        }
        Ok(hits)
    }

    fn is_forgotten(&self, id: ObjectId) -> Result<bool, RepoError> {
        let dead = self.repository.gc_log_for_reading()?.is_dead(&id);
        Ok(dead || self.repository.read_roots(&Key::Snapshot(id)).as_ref().is_err_and(is_gone))
    }

    fn hits_of(&mut self, snapshot: ObjectId, contents: &[(Vec<u8>, Root)]) -> Result<Vec<Hit>, RepoError> {
        let mut attempts = ATTEMPTS;
        loop {
            let generation = self.index.generation();
            for (name, content) in contents {
                self.content(&Place { snapshot, stream: name }, content)?;
            }
            attempts -= 1;
            if self.hits.is_empty() || attempts == 0 {
                return Ok(std::mem::take(&mut self.hits));
            }
            self.index.refresh(self.repository)?;
            if self.index.generation() == generation {
                return Ok(std::mem::take(&mut self.hits));
            }
            self.hits.clear();
        }
    }

    fn content(&mut self, place: &Place<'_>, content: &Root) -> Result<(), RepoError> {
        let Some(root) = content.root else { return Ok(()) };
        let row = ListRow { id: ChunkId::new(root.id), len: content.len };
        self.visit(place, root.depth, row, 0).map(drop)
    }

    /// True if everything below the row is there, and as long as the row says.
    fn visit(&mut self, place: &Place<'_>, depth: u8, row: ListRow, offset: u64) -> Result<bool, RepoError> {
        let found = self.index.find_to_read(self.repository, &row.id)?;
        let (first, generation) = (found.first().map(|location| location.row), self.index.generation());
        let node = first.filter(|_| depth > 0);
        if node.is_some_and(|node| self.whole.len_of(&self.index, node) == Some(row.len)) {
            return Ok(true);
        }
        let mut here = self.is_at_any(&found, depth, &row)?;
        if !here {
            let unnamed = self.index.find_unnamed(self.repository, &row.id)?;
            here = self.is_at_any(&unnamed, depth, &row)?;
        }
        let whole = here && (depth == 0 || self.visit_children(place, depth, row, offset)?);
        if !here {
            self.hit(place, row, offset);
        }
        if let Some(node) = node.filter(|_| whole) {
            self.whole.add(&self.index, generation, node, row.len);
        }
        Ok(whole)
    }

    fn is_at_any(&mut self, found: &[Location], depth: u8, row: &ListRow) -> Result<bool, RepoError> {
        let mut here = false;
        for location in found {
            here |= self.holds(location, depth, row)?;
        }
        Ok(here)
    }

    /// True if a pack has the chunk where the index says, and what it has can be read and is as long as the list says.
    fn holds(&mut self, location: &Location, depth: u8, row: &ListRow) -> Result<bool, RepoError> {
        if self.broken.is_hit(location, &row.id) {
            return Ok(false);
        }
        let len = match self.reader(location) {
            Ok(pack) => pack.len_of(location.ordinal, &row.id),
            // Collected meanwhile, or named by the check of packs.
            Err(error) if error.is_damage() => return Ok(false),
            Err(error) => return Err(error),
        };
        if len.is_none() && !self.repository.keys.has_roles() {
            // Deduplication goes by the row that leads nowhere. Where anybody can add rows, whole packs of others would be
            // condemned by false ones.
            self.broken.chunks.insert((location.pack.id, row.id));
        }
        Ok(len.is_some_and(|len| depth > 0 || u64::from(len) == row.len))
    }

    fn reader(&mut self, location: &Location) -> Result<Arc<PackReader>, RepoError> {
        if let Some(last) = self.last.as_ref().filter(|last| last.entry.id == location.pack.id) {
            return Ok(Arc::clone(last));
        }
        let opened = self.packs.open(self.repository, location.pack)?;
        Ok(Arc::clone(self.last.insert(opened)))
    }

    fn visit_children(&mut self, place: &Place<'_>, depth: u8, row: ListRow, offset: u64) -> Result<bool, RepoError> {
        let mut loader = ChunkLoader::new(self.repository, &mut self.index, &mut self.cache);
        let node = match loader.load_node(&row.id) {
            Ok(node) => node,
            Err(error) if error.is_damage() => {
                self.hit(place, row, offset);
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let children = list::decode_node(&node, depth).unwrap_or_default();
        if children.iter().map(|child| u128::from(child.len)).sum::<u128>() != u128::from(row.len) {
            self.hit(place, row, offset);
            return Ok(false);
        }
        let (mut whole, mut offset) = (true, offset);
        for child in children {
            whole &= self.visit(place, depth - 1, child, offset)?;
            offset += child.len;
        }
        Ok(whole)
    }

    fn hit(&mut self, place: &Place<'_>, row: ListRow, offset: u64) {
        self.missing.insert(row.id);
        self.hits.push(Hit { snapshot: place.snapshot, stream: place.stream.to_owned(), offset, len: row.len });
    }
}
