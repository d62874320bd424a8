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
use crate::engine::mirror::{Options, mirror};
use crate::env::Env;
use crate::error::Error;
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
    let from = here.open(&uncached(global.bucket.access()), warn).map_err(failed)?;
    let missing = |error: BackendError| match error.is_not_found() {
        true => RepoError::NoRepository { place: here.to_string() }.into(),
        false => failed(error),
    };
    from.len(&Key::Config).map_err(missing)?;
    let access = uncached(access::other_access(&args.to, global));
    let to = open(&there, &access, args.dry_run).map_err(|error| Error::There(Box::new(failed(error))))?;
    let options = Options { delete: args.delete, dry_run: args.dry_run };
    let report = mirror(&*from, &*to, env, options)?;
    for key in &report.damaged {
        warn(&format!("{key} is not copied: its bytes do not hash to its name"));
    }
    if output.is_json() {
        output.object(&json!({
            "type": "mirror",
            "dry_run": args.dry_run,
            "copied_objects": report.copied,
            "copied_bytes": report.copied_bytes,
            "present_objects": report.present,
            "deleted_objects": report.deleted,
            "damaged": report.damaged.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))?;
    } else {
        let (copied, bytes) = (text::count(report.copied, "object"), text::size(report.copied_bytes));
        let (would, removed) = if args.dry_run { ("would copy", "would remove") } else { ("copied", "removed") };
        output.summary(format_args!(
            "{would} {copied}, {bytes}; {} there already; {removed} {}",
            report.present, report.deleted
        ))?;
    }
    Ok(if report.damaged.is_empty() { Exit::Done } else { Exit::Damaged })
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
