//! Walking the chunk lists of all snapshots: what they need is there, and where it is not.

use std::collections::HashSet;

use super::{Broken, Hit, Report, is_gone};
use crate::backend::Key;
use crate::crypto::role::Role;
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::format::list::{self, ListRow};
use crate::format::signature::{Root, Roots};
use crate::ids::{ChunkId, ObjectId};
use crate::repo::index::Index;
use crate::repo::list::{ListWalker, NodeSource};
use crate::repo::loader::{ChunkLoader, LoaderCache};
use crate::repo::{RepoError, Repository};

/// Walks every snapshot. Shared stretches of lists are walked once.
pub(in crate::engine) fn walk_snapshots(
    repository: &Repository,
    index: Index,
    broken: &Broken,
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
    let (cache, missing) = (LoaderCache::default(), HashSet::new());
    let mut walk = Walk { repository, index, cache, whole, broken, hits: Vec::new(), missing };
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

/// What was found whole, with all below it: a bit for each row of an index, until that is opened anew.
struct Whole {
    generation: u64,
    bits: Vec<u64>,
}

impl Whole {
    fn new(index: &Index) -> Self {
        Self { generation: index.generation(), bits: vec![0; index.rows() as usize / 64 + 1] }
    }

    fn has(&mut self, index: &Index, row: u64) -> bool {
        if self.generation != index.generation() {
            *self = Self::new(index);
        }
        self.bits[row as usize / 64] >> (row % 64) & 1 == 1
    }

    fn add(&mut self, index: &Index, generation: u64, row: u64) {
        // The last bit stands for packs that no run names: not one chunk.
        if self.generation == generation && index.generation() == generation && row < index.rows() {
            self.bits[row as usize / 64] |= 1 << (row % 64);
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
    whole: Whole,
    broken: &'a Broken,
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

    /// True if everything below the row is there.
    fn visit(&mut self, place: &Place<'_>, depth: u8, row: ListRow, offset: u64) -> Result<bool, RepoError> {
        let found = self.index.find_to_read(self.repository, &row.id)?;
        let (first, generation) = (found.first().map(|location| location.row), self.index.generation());
        if first.is_some_and(|first| self.whole.has(&self.index, first)) {
            return Ok(true);
        }
        let here = found.iter().any(|location| !self.broken.is_hit(location, &row.id));
        let whole = here && (depth == 0 || self.visit_children(place, depth, row, offset)?);
        if !here {
            self.hit(place, row, offset);
        }
        if let Some(first) = first.filter(|_| whole) {
            self.whole.add(&self.index, generation, first);
        }
        Ok(whole)
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
