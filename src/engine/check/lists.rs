//! Walking the chunk lists of all snapshots: what they need is there, and where it is not.

use std::collections::HashSet;

use super::{Hit, Report};
use crate::backend::Key;
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::format::list::{self, ListRow};
use crate::format::manifest::Content;
use crate::ids::{ChunkId, ObjectId};
use crate::repo::index::Index;
use crate::repo::list::{ListWalker, NodeSource};
use crate::repo::loader::{ChunkLoader, LoaderCache};
use crate::repo::snapshots::Snapshot;
use crate::repo::{RepoError, Repository};

/// The chunks that lie in these packs and nowhere else.
pub(super) fn chunks_lost_with(
    repository: &Repository,
    index: &mut Index,
    bad: &HashSet<ObjectId>,
) -> Result<HashSet<ChunkId>, RepoError> {
    let mut candidates = HashSet::new();
    if bad.is_empty() {
        return Ok(candidates);
    }
    for run in index.runs() {
        for page in 0..run.footer.pages() {
            let Ok(rows) = run.read_page(&*repository.backend, page) else {
                continue;
            };
            for place in 0..rows.len() / crate::format::index::ROW_LEN {
                let row = crate::format::index::IndexRow::at(&rows, place);
                let hit = row.and_then(|row| Some((row, run.pack_of(&row)?)));
                candidates.extend(hit.filter(|(_, pack)| bad.contains(&pack.id)).map(|(row, _)| row.id));
            }
        }
    }
    let mut lost = HashSet::new();
    for id in candidates {
        let found = index.find_to_read(repository, &id)?;
        if found.iter().all(|place| bad.contains(&place.pack.id)) {
            lost.insert(id);
        }
    }
    Ok(lost)
}

/// Walks every snapshot. Shared stretches of lists are walked once.
pub(super) fn walk_snapshots(
    repository: &Repository,
    index: Index,
    lost: &HashSet<ChunkId>,
    report: &mut Report,
) -> Result<(), Error> {
    let ids = repository.snapshot_ids()?;
    repository.env.tell(&Event::Begin {
        task: Task::ONLY,
        what: "checking snapshots",
        total: Some(ids.len() as u64),
        unit: Unit::Items,
    });
    let clean = vec![0; index.rows() as usize / 64 + 1];
    let mut walk = Walk { repository, index, cache: LoaderCache::default(), clean, lost, hits: Vec::new() };
    for id in ids {
        repository.check_cancel()?;
        match repository.read_snapshot(id) {
            Ok(snapshot) => walk.snapshot(&snapshot, report)?,
            Err(RepoError::Backend(error)) if error.is_not_found() => continue,
            Err(error) if error.is_damage() => report.problem(Key::Snapshot(id), &error),
            Err(error) => return Err(error.into()),
        }
        report.snapshots += 1;
        repository.env.tell(&Event::Advance(Task::ONLY, 1));
    }
    repository.env.tell(&Event::End(Task::ONLY));
    report.hits.append(&mut walk.hits);
    Ok(())
}

struct Walk<'a> {
    repository: &'a Repository,
    index: Index,
    cache: LoaderCache,
    /// A bit for each index row whose chunk, with all below it, was found whole.
    clean: Vec<u64>,
    lost: &'a HashSet<ChunkId>,
    hits: Vec<Hit>,
}

/// The stream that is being walked.
struct Place<'a> {
    snapshot: ObjectId,
    stream: &'a [u8],
}

impl Walk<'_> {
    fn snapshot(&mut self, snapshot: &Snapshot, report: &mut Report) -> Result<(), RepoError> {
        for stream in &snapshot.manifest.streams {
            let catalog = [&stream.name[..], b" (catalog)"].concat();
            let parts = [(&stream.name, Some(&stream.content)), (&catalog, stream.catalog.as_ref())];
            for (name, content) in parts.iter().filter_map(|(name, content)| Some((name, (*content)?))) {
                self.content(&Place { snapshot: snapshot.id, stream: name }, content, report)?;
            }
        }
        Ok(())
    }

    fn content(&mut self, place: &Place<'_>, content: &Content, report: &mut Report) -> Result<(), RepoError> {
        if let Err(error) = ListWalker::new(content.root, content.len) {
            report.problem(Key::Snapshot(place.snapshot), &error);
            return Ok(());
        }
        let Some(root) = content.root else { return Ok(()) };
        let row = ListRow { id: ChunkId::new(root.id), len: content.len };
        self.visit(place, root.depth, row, 0).map(drop)
    }

    /// True if everything below the row is there.
    fn visit(&mut self, place: &Place<'_>, depth: u8, row: ListRow, offset: u64) -> Result<bool, RepoError> {
        let found = self.index.find_to_read(self.repository, &row.id)?;
        let bit = found.first().map(|location| (location.row as usize / 64, location.row % 64));
        if let Some((word, bit)) = bit
            && self.clean[word] >> bit & 1 == 1
        {
            return Ok(true);
        }
        let here = !found.is_empty() && !self.lost.contains(&row.id);
        let whole = here && (depth == 0 || self.visit_children(place, depth, row, offset)?);
        if !here {
            self.hit(place, row, offset);
        }
        match bit {
            // The last bit stands for packs that no run names: not one chunk.
            Some((word, bit)) if whole && (word as u64 * 64 + bit) < self.index.rows() => self.clean[word] |= 1 << bit,
            _ => {}
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
        self.hits.push(Hit { snapshot: place.snapshot, stream: place.stream.to_owned(), offset, len: row.len });
    }
}
