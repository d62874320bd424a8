//! `sfarc key`

use serde_json::json;

use crate::cli::access::{new_credential, open_and_keep};
use crate::cli::args::{Global, NewKey};
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::text;
use crate::env::Env;
use crate::format::keyslot::SlotKind;
use crate::ids::ObjectId;
use crate::repo::Repository;

fn done(output: &mut Output, action: &str, id: ObjectId) -> Result<Exit, CliError> {
    if output.is_json() {
        output.object(&json!({ "type": "key_action", "action": action, "id": id.to_string() }))?;
    } else {
        output.summary(format_args!("{action} key {}", id.short()))?;
    }
    Ok(Exit::Done)
}

pub(in crate::cli) fn add(
    new: &NewKey,
    label: &str,
    repository: &Repository,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let id = repository.add_slot(&new_credential(new, &repository.env)?, label)?;
    done(output, "added", id)
}

pub(in crate::cli) fn remove(id: &str, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let id = repository.remove_slot(id)?;
    done(output, "removed", id)
}

pub(in crate::cli) fn change(new: &NewKey, global: &Global, env: &Env, output: &mut Output) -> Result<Exit, CliError> {
    let (repository, old) = open_and_keep(global, env)?;
    let id = repository.change_slot(&old, &new_credential(new, env)?)?;
    done(output, "changed to", id)
}

pub(in crate::cli) fn list(repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let slots = repository.slots()?;
    let kind = |kind: &SlotKind| match kind {
        SlotKind::Passphrase(_) => "password",
        SlotKind::KeyFile => "key file",
    };
    if output.is_json() {
        for slot in &slots {
            output.object(&json!({
                "type": "key",
                "id": slot.id.to_string(),
                "kind": kind(&slot.kind),
                "label": slot.label,
                "created": text::utc_time(slot.created),
            }))?;
        }
        return Ok(Exit::Done);
    }
    let mut table = text::table(&["id", "kind", "created", "label"], &[]);
    for slot in &slots {
        let (created, label) = (text::local_time(slot.created), text::name(slot.label.as_bytes()));
        table.add_row([slot.id.short(), kind(&slot.kind).to_owned(), created, label]);
    }
    output.table(&table)?;
    Ok(Exit::Done)
}
