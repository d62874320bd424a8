//! What the repository protects, and what that costs.

use crate::backend::{Key, Kind};
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::format::index::PackEntry;
use crate::format::pack::BlockKind;
use crate::ids::ObjectId;
use crate::repo::pack_reader::PackReader;
use crate::repo::{RepoError, Repository};

/// Objects of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Objects {
    /// How many there are.
    pub count: u64,
    /// Their stored bytes.
    pub bytes: u64,
}

/// Figures of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of all streams of all snapshots.
    pub logical_bytes: u64,
    /// Bytes of distinct data chunks.
    pub unique_bytes: u64,
    /// Number of data chunks.
    pub data_chunks: u64,
    /// Bytes of list nodes.
    pub list_bytes: u64,
    /// Number of list nodes.
    pub list_nodes: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Data chunks by size: element `i` counts those of 2^i up to 2^(i+1) bytes.
    pub histogram: Vec<u64>,
    /// Objects by kind, in the order of `Kind::ALL`.
    pub objects: Vec<(Kind, Objects)>,
    /// Packs whose directories could not be read.
    pub unreadable: Vec<ObjectId>,
}

impl Stats {
    /// Stored bytes of all objects.
    pub fn stored_bytes(&self) -> u64 {
        self.objects.iter().map(|(_, objects)| objects.bytes).sum()
    }
}

/// Gathers the figures. Reads all manifests and all pack directories, but no data.
pub fn stats(repository: &Repository) -> Result<Stats, Error> {
    let mut stats = Stats::default();
    for snapshot in repository.snapshots()?.snapshots {
        let streams = snapshot.manifest.streams.iter();
        stats.logical_bytes += streams.map(|stream| stream.content.len).sum::<u64>();
    }
    for kind in Kind::ALL {
        let listed = repository.list(kind)?;
        let objects = Objects { count: listed.len() as u64, bytes: listed.iter().map(|listed| listed.len).sum() };
        stats.objects.push((kind, objects));
        if kind == Kind::Packs {
            add_packs(repository, &listed, &mut stats)?;
        }
    }
    Ok(stats)
}

fn add_packs(repository: &Repository, listed: &[crate::backend::Listed], stats: &mut Stats) -> Result<(), RepoError> {
    repository.env.tell(&Event::Begin {
        task: Task::ONLY,
        what: "reading pack directories",
        total: Some(listed.len() as u64),
        unit: Unit::Items,
    });
    for listed in listed {
        let Key::Pack(id) = listed.key else { continue };
        repository.check_cancel()?;
        let entry = PackEntry { id, len: u32::try_from(listed.len).unwrap_or(u32::MAX) };
        match PackReader::open(&*repository.backend, &repository.keys, entry) {
            Ok(reader) => add_pack(&reader, stats),
            Err(error) if error.is_damage() => stats.unreadable.push(id),
            Err(error) => return Err(error),
        }
        repository.env.tell(&Event::Advance(Task::ONLY, 1));
    }
    repository.env.tell(&Event::End(Task::ONLY));
    Ok(())
}

fn add_pack(reader: &PackReader, stats: &mut Stats) {
    for span in reader.spans() {
        stats.blocks += 1;
        for chunk in reader.directory.chunks_of(span) {
            match span.row.kind {
                BlockKind::Data => {
                    stats.data_chunks += 1;
                    stats.unique_bytes += u64::from(chunk.len);
                    let bucket = chunk.len.ilog2() as usize;
                    if stats.histogram.len() <= bucket {
                        stats.histogram.resize(bucket + 1, 0);
                    }
                    stats.histogram[bucket] += 1;
                }
                BlockKind::List => {
                    stats.list_nodes += 1;
                    stats.list_bytes += u64::from(chunk.len);
                }
            }
        }
    }
}
