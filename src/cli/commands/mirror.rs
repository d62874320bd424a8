//! `sfarc mirror`

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::backend::place::{Access, Place};
use crate::backend::{Backend, BackendError, Key};
use crate::cli::args::{self, Global};
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{access, text};
use crate::engine::mirror::{Options, Report, mirror, mirror_and_tidy};
use crate::env::Env;
use crate::error::{Error, chain};
use crate::event::Event;
use crate::repo::RepoError;

pub(in crate::cli) fn run(
    args: &args::Mirror,
    global: &Global,
    env: &Env,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let warn = |text: &str| env.tell(&Event::Warning(text));
    let (here, there) = (access::place(global)?, access::other_place(&args.to)?);
    if here == there {
        return Err(Error::Usage(format!("{here} cannot be a mirror of itself")).into());
    }
    if let (Place::Folder(here), Place::Folder(there)) = (&here, &there)
        && is_inside(there, here)
    {
        let text = format!("{} lies in the repository that is to be mirrored", there.display());
        return Err(Error::Usage(text).into());
    }
    // Nothing is kept on this machine: each object passes once.
    let uncached = |access| Access { shelf: None, ..access };
    let options = Options { verify: args.verify, dry_run: args.dry_run };
    let to = || {
        let access = uncached(access::other_access(&args.to, global));
        open(&there, &access, args.dry_run).map_err(|error| Error::There(Box::new(failed(error))))
    };
    let report = if args.delete {
        let from = access::open_uncached(global, env).map_err(needs_key)?;
        mirror_and_tidy(&from, &to()?, options)?
    } else {
        let from = here.open(&uncached(global.bucket.access()), warn).map_err(failed)?;
        let missing = |error: BackendError| match error.is_not_found() {
            true => RepoError::NoRepository { place: here.to_string() }.into(),
            false => failed(error),
        };
        from.len(&Key::Config).map_err(missing)?;
        mirror(&*from, &*to()?, env, options)?
    };
    warn_of(&report, &there, warn);
    tell(&report, args, output)?;
    Ok(if report.is_damaged() { Exit::Damaged } else { Exit::Done })
}

/// Without a key, `--delete` is refused before anything is done.
fn needs_key(error: Error) -> Error {
    match error {
        Error::Usage(text) => Error::Usage(format!(
            "`--delete` opens the repository: without its key nobody can tell what was collected from what was lost \
             ({text}); leave `--delete` out to mirror without a key"
        )),
        error => error,
    }
}

fn warn_of(report: &Report, there: &Place, warn: impl Fn(&str)) {
    for key in &report.damaged {
        warn(&format!(
            "{key} is damaged in the repository: it is not copied. If the mirror has it whole, it stays there, and \
             `sfarc repair --from {there}` brings it back"
        ));
    }
    for key in &report.spoilt {
        warn(&format!("{key} is damaged in the mirror, and stays so: it could not be replaced"));
    }
    for key in &report.lost {
        warn(&format!(
            "{key} is lost in the repository: the mirror keeps it, and `sfarc repair --from \
             {there}` brings it back"
        ));
    }
    for key in &report.slots {
        warn(&format!(
            "{key} is only in the mirror, and nothing says that it was removed: it stays, and its password opens the \
             mirror. If it was lost, copy the object into the repository; if not, remove it from {there}"
        ));
    }
    if report.withheld > 0 {
        let packs = text::count(report.withheld, "pack");
        warn(&format!(
            "{packs} that the repository has given up stay in the mirror until it has what took their place: the \
             repository has changed meanwhile, mirror again"
        ));
    }
    if report.taken_back > 0 {
        let records = text::count(report.taken_back, "record");
        warn(&format!(
            "a check of the mirror had noted damaged packs there ({records}): that was taken back; `--verify` replaces \
             what is damaged"
        ));
    }
    if let Some(error) = &report.unknown {
        let why = chain(error);
        warn(&format!("not all that was given up was removed from the mirror, because that cannot be told: {why}"));
    }
}

fn tell(report: &Report, args: &args::Mirror, output: &mut Output) -> Result<(), CliError> {
    let names = |keys: &[Key]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let compared = if args.verify { "bytes" } else { "lengths" };
    if output.is_json() {
        return output.object(&json!({
            "type": "mirror",
            "dry_run": args.dry_run,
            "copied_objects": report.copied,
            "copied_bytes": report.copied_bytes,
            "healed_objects": report.healed,
            "present_objects": report.present,
            "compared": compared,
            "deleted_objects": report.deleted,
            "kept_objects": report.kept,
            "withheld_packs": report.withheld,
            "records_taken_back": report.taken_back,
            "damaged": names(&report.damaged),
            "damaged_there": names(&report.spoilt),
            "lost": names(&report.lost),
            "key_slots_only_there": names(&report.slots),
        }));
    }
    let (copied, bytes) = (text::count(report.copied, "object"), text::size(report.copied_bytes));
    let (would, removed) = if args.dry_run { ("would copy", "would remove") } else { ("copied", "removed") };
    output.summary(format_args!(
        "{would} {copied}, {bytes} ({} in place of damaged ones); {} there already (by their {compared}{}); {removed} \
         {}, {} that only the mirror has stay",
        report.healed,
        report.present,
        if args.verify { "" } else { "; `--verify` reads them" },
        report.deleted,
        report.kept,
    ))
}

/// True if a folder is another, or lies in it.
fn is_inside(inner: &Path, outer: &Path) -> bool {
    let Ok(outer) = outer.canonicalize() else { return false };
    // What is not there yet lies where its nearest folder does.
    let known = std::path::absolute(inner).ok().and_then(|path| path.ancestors().find_map(|at| at.canonicalize().ok()));
    known.is_some_and(|known| known.starts_with(outer))
}

fn failed(error: BackendError) -> Error {
    RepoError::from(error).into()
}

/// The store for a mirror, which is made where there is none.
fn open(place: &Place, access: &Access, dry_run: bool) -> Result<Arc<dyn Backend>, BackendError> {
    let store = place.open(access, |_| {})?;
    match store.len(&Key::Config) {
        Err(error) if error.is_not_found() && !dry_run => place.create(access),
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(store),
    }
}
