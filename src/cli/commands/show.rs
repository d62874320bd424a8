//! `sfarc show`

use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{json, text};
use crate::format::manifest::{Origin, Proof, StreamEntry};
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;

pub(in crate::cli) fn run(id: &str, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let snapshot = repository.resolve(id)?;
    if output.is_json() {
        output.object(&json::committed(&snapshot))?;
    } else {
        head(&snapshot, output)?;
        snapshot.manifest.streams.iter().try_for_each(|entry| stream(entry, output))?;
    }
    Ok(Exit::Done)
}

fn head(snapshot: &Snapshot, output: &mut Output) -> Result<(), CliError> {
    let manifest = &snapshot.manifest;
    output.line(format_args!("snapshot  {}", snapshot.id))?;
    let seconds = manifest.duration as f64 / 1e9;
    output.line(format_args!("time      {} (took {seconds:.1} s)", text::local_time(manifest.time)))?;
    output.line(format_args!("host      {}", text::name(manifest.host.as_bytes())))?;
    if let Some(maker) = &snapshot.maker {
        output.line(format_args!("writer    {}", text::name(maker.to_string().as_bytes())))?;
    }
    if !manifest.tags.is_empty() {
        output.line(format_args!("tags      {}", text::name(manifest.tags.join(", ").as_bytes())))?;
    }
    for (key, value) in &manifest.labels {
        output.line(format_args!("label     {}", text::name(format!("{key}={value}").as_bytes())))?;
    }
    output.line(format_args!("added     {}", text::size(manifest.added)))?;
    output.line(format_args!("program   {}", text::name(manifest.program.as_bytes())))?;
    output.line(format_args!("complete  {}", if manifest.complete { "yes" } else { "no" }))?;
    let findings = &manifest.findings;
    let fits = findings.iter().map(|finding| output.line(format_args!("conflict  {}", text::name(finding.as_bytes()))));
    fits.collect()
}

fn stream(entry: &StreamEntry, output: &mut Output) -> Result<(), CliError> {
    let content = &entry.content;
    output.line(format_args!("\n{}", text::name(&entry.name)))?;
    output.line(format_args!("  from    {}", origin(&entry.origin)))?;
    output.line(format_args!("  size    {} ({} bytes)", text::size(content.len), content.len))?;
    output.line(format_args!("  new     {}", text::size(entry.new_bytes)))?;
    output.line(format_args!("  blake3  {}", json::hash(content)))?;
    output.line(format_args!("  proof   {}", proof(entry)))?;
    let sizes = content.sizes;
    output.line(format_args!("  chunks  {} / {} / {} bytes (min / avg / max)", sizes.min, sizes.avg, sizes.max))?;
    for (name, value) in &entry.facts {
        let fact = format!("{name} = {value}");
        output.line(format_args!("  fact    {}", text::name(fact.as_bytes())))?;
    }
    entry
        .problems
        .iter()
        .try_for_each(|problem| output.line(format_args!("  problem {}", text::name(problem.as_bytes()))))
}

fn proof(entry: &StreamEntry) -> String {
    let meaning = match entry.proof {
        Proof::P0 => "its source says that it succeeded",
        Proof::P1 => "its end is there and its source succeeded",
        Proof::P2 => "every byte is compared by a digest",
        Proof::P3 => "its content is checked",
    };
    format!("{} ({meaning})", entry.proof)
}

fn pod_place(namespace: &str, pod: &str, container: Option<&str>) -> String {
    let container = container.map_or(String::new(), |container| format!("/{container}"));
    text::name(format!("{namespace}/{pod}{container}").as_bytes())
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Stdin => "standard input".to_owned(),
        Origin::File(path) => format!("file {}", text::name(path)),
        Origin::Folder(path) => format!("folder {}", text::name(path)),
        Origin::Command(command) => format!("command {}", text::name(command.as_bytes())),
        Origin::Pod { namespace, pod, container, command } => {
            let place = pod_place(namespace, pod, container.as_deref());
            format!("in {place}: {}", text::name(command.as_bytes()))
        }
        Origin::PodFolder { namespace, pod, container, path } => {
            let place = pod_place(namespace, pod, container.as_deref());
            format!("in {place}: folder {}", text::name(path.as_bytes()))
        }
        Origin::Objects { namespace } => format!("objects of namespace {}", text::name(namespace.as_bytes())),
    }
}
