//! `sfarc stats`

use serde_json::json;

use crate::backend::Kind;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::text;
use crate::engine::stats::{Stats, stats};
use crate::event::Event;
use crate::repo::Repository;

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Config => "config",
        Kind::Keys => "keys",
        Kind::Packs => "packs",
        Kind::Indexes => "indexes",
        Kind::Snapshots => "snapshots",
        Kind::Sessions => "sessions",
        Kind::Gc => "gc",
        Kind::Writers => "writers",
    }
}

fn ratio(stats: &Stats) -> f64 {
    stats.logical_bytes as f64 / stats.stored_bytes().max(1) as f64
}

pub(in crate::cli) fn run(repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let stats = stats(repository)?;
    if output.is_json() {
        json_object(repository, &stats, output)?
    } else {
        output.line(format_args!("repository {}", repository.id))?;
        print(&stats, output)?
    }
    for pack in &stats.unreadable {
        repository.env.tell(&Event::Warning(&format!("pack {} cannot be read; run `sfarc check`", pack.short())));
    }
    Ok(if stats.unreadable.is_empty() { Exit::Done } else { Exit::Damaged })
}

fn json_object(repository: &Repository, stats: &Stats, output: &mut Output) -> Result<(), CliError> {
    let objects = stats
        .objects
        .iter()
        .map(|(kind, objects)| (word(*kind).to_owned(), json!({ "count": objects.count, "bytes": objects.bytes })));
    output.object(&json!({
        "type": "stats",
        "repository": repository.id.to_string(),
        "logical_bytes": stats.logical_bytes,
        "unique_bytes": stats.unique_bytes,
        "stored_bytes": stats.stored_bytes(),
        "ratio": ratio(stats),
        "data_chunks": stats.data_chunks,
        "list_nodes": stats.list_nodes,
        "list_bytes": stats.list_bytes,
        "blocks": stats.blocks,
        "objects": objects.collect::<serde_json::Map<_, _>>(),
        "histogram": stats.histogram.iter().enumerate().filter(|(_, count)| **count > 0)
            .map(|(power, count)| json!({ "from_bytes": 1u64 << power, "chunks": count })).collect::<Vec<_>>(),
    }))
}

fn print(stats: &Stats, output: &mut Output) -> Result<(), CliError> {
    let snapshots = stats.objects.iter().find(|(kind, _)| *kind == Kind::Snapshots).map_or(0, |(_, found)| found.count);
    output.line(format_args!(
        "protected  {} in {}",
        text::size(stats.logical_bytes),
        text::count(snapshots, "snapshot")
    ))?;
    output.line(format_args!(
        "unique     {} in {}",
        text::size(stats.unique_bytes),
        text::count(stats.data_chunks, "chunk")
    ))?;
    output.line(format_args!(
        "stored     {} ({:.1} times less than protected)",
        text::size(stats.stored_bytes()),
        ratio(stats)
    ))?;
    output.line("")?;
    let mut table = text::table(&["objects", "count", "size"], &[1, 2]);
    for (kind, objects) in stats.objects.iter().filter(|(_, objects)| objects.count > 0) {
        table.add_row([word(*kind).to_owned(), objects.count.to_string(), text::size(objects.bytes)]);
    }
    output.table(&table)?;
    histogram(stats, output)
}

/// Chunks by size as bars, the longest of forty letters.
fn histogram(stats: &Stats, output: &mut Output) -> Result<(), CliError> {
    let Some(most) = stats.histogram.iter().max().filter(|most| **most > 0) else {
        return Ok(());
    };
    output.line("\nchunks by size")?;
    let first = stats.histogram.iter().position(|count| *count > 0).unwrap_or(0);
    for (power, count) in stats.histogram.iter().enumerate().skip(first) {
        let bar = "#".repeat((count * 40).div_ceil(*most) as usize);
        output.line(format_args!("{:>9}+ {count:>9} {bar}", text::size(1 << power)).to_string().trim_end())?;
    }
    Ok(())
}
