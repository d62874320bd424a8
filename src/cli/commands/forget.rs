//! `sfarc forget`

use serde_json::json;

use crate::cli::args::{self, Keep};
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::text;
use crate::engine::pin;
use crate::engine::retention::{Decision, Own, Policy, Rules, Span, decide};
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::ids::ObjectId;
use crate::repo::{RepoError, Repository};
use crate::service::forget::keep_while_damaged;

pub(in crate::cli) fn run(args: &args::Forget, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    if args.ids.is_empty() {
        return by_rules(args, repository, output);
    }
    let mut ids = args.ids.iter().map(|id| find(repository, id)).collect::<Result<Vec<_>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    if !args.dry_run {
        pin::forget(repository, &ids)?;
    }
    for id in &ids {
        if output.is_json() {
            output.object(&json!({ "type": "forgotten", "id": id.to_string(), "dry_run": args.dry_run }))?;
        } else {
            let word = if args.dry_run { "would forget" } else { "forgot" };
            output.line(format_args!("{word} snapshot {}", id.short()))?;
        }
    }
    end(ids.len(), args.dry_run, repository, output)
}

fn end(count: usize, dry_run: bool, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    if !output.is_json() && !dry_run {
        let count = text::count(count as u64, "snapshot");
        output.summary(format_args!("{count} forgotten; `sfarc prune` frees their space"))?;
    }
    text::tell_retained(repository.backend.retained(), output)?;
    Ok(Exit::Done)
}

/// The snapshot that a person means; one that cannot be read can still be forgotten by its id. `latest` means none while
/// one cannot be read: that may be the latest.
fn find(repository: &Repository, text: &str) -> Result<ObjectId, RepoError> {
    if text.starts_with("latest")
        && let Some((id, _)) = repository.snapshots()?.unreadable.into_iter().find(|(_, error)| error.is_damage())
    {
        let why = format!(
            "snapshot {} cannot be read, so nobody knows which one is `{text}`: name the one that is to be forgotten by \
             its id",
            id.short()
        );
        return Err(RepoError::NoSuchSnapshot(why));
    }
    match repository.resolve(text) {
        Err(error) if error.is_damage() && !text.starts_with("latest") => {
            let ids = repository.snapshot_ids()?;
            ids.into_iter().find(|id| id.to_string().starts_with(text)).ok_or(error)
        }
        other => other.map(|snapshot| snapshot.id),
    }
}

fn by_rules(args: &args::Forget, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let policy = policy(&args.keep)?;
    let labels = args.label.iter().map(|label| text::parse_label(label)).collect::<Result<Vec<_>, Error>>()?;
    let is_meant = |manifest: &Manifest| text::is_meant(manifest, &args.tag, &labels, args.host.as_deref());
    // What cannot be read is not decided about, and stays.
    let listing = repository.snapshots()?;
    let has_filter = !args.tag.is_empty() || !labels.is_empty() || args.host.is_some();
    let own = Own::default();
    // Whoever names some snapshots does not mean records.
    let own = (!has_filter).then_some(&own);
    let rules = Rules { policy: &policy, zone: &jiff::tz::TimeZone::system() };
    let mut decisions =
        decide(&listing, repository.env.clock.now(), own, |manifest| is_meant(manifest).then_some(rules));
    keep_while_damaged(repository, &listing, &mut decisions)?;
    print(&decisions, args.dry_run, output)?;
    let gone = if args.dry_run { 0 } else { pin::forget_unkept(repository, &listing, &decisions)? };
    end(gone, args.dry_run, repository, output)
}

fn policy(keep: &Keep) -> Result<Policy, Error> {
    const USUAL: Span = Span::days(7);
    let span = |text: &Option<String>| text.as_deref().map(text::parse_span).transpose().map(|span| span.map(Span));
    let policy = Policy {
        last: keep.keep_last.unwrap_or(0),
        hourly: keep.keep_hourly.unwrap_or(0),
        daily: keep.keep_daily.unwrap_or(0),
        weekly: keep.keep_weekly.unwrap_or(0),
        monthly: keep.keep_monthly.unwrap_or(0),
        yearly: keep.keep_yearly.unwrap_or(0),
        within: span(&keep.keep_within)?,
        tags: keep.keep_tag.clone(),
        inconsistent_within: Some(span(&keep.keep_inconsistent_within)?.unwrap_or(USUAL)),
    };
    if policy.is_empty() {
        let text =
            "these rules would keep one snapshot of each target only: name one that keeps more, such as --keep-last 1";
        if keep.keep_last.is_none() {
            return Err(Error::Usage(text.to_owned()));
        }
    }
    Ok(policy)
}

fn print(decisions: &[Decision], dry_run: bool, output: &mut Output) -> Result<(), CliError> {
    if output.is_json() {
        return decisions.iter().try_for_each(|decision| {
            output.object(&json!({
                "type": "decision",
                "id": decision.id.to_string(),
                "time": text::utc_time(decision.time),
                "group": decision.group,
                "kept": decision.is_kept(),
                "reasons": decision.reasons,
                "dry_run": dry_run,
            }))
        });
    }
    let mut table = text::table(&["id", "time", "of", "", "why"], &[]);
    for decision in decisions {
        table.add_row([
            decision.id.short(),
            text::local_time(decision.time),
            text::name(decision.group.as_bytes()),
            if decision.is_kept() { "keep" } else { "forget" }.to_owned(),
            text::name(decision.reasons.join(", ").as_bytes()),
        ]);
    }
    output.table(&table)
}
