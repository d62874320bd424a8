//! `sfarc key`

use serde_json::json;

use crate::cli::access::{new_credential, open_and_keep};
use crate::cli::args::{self, Global, NewKey};
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::text;
use crate::crypto::role::Role;
use crate::env::Env;
use crate::error::Error;
use crate::event::Event;
use crate::format::keyslot::SlotKind;
use crate::format::rolekey::WriterRecord;
use crate::ids::ObjectId;
use crate::repo::roles::role_key_text;
use crate::repo::{Credential, Repository};

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
    // Before a key file is made.
    repository.require_reader()?;
    let credential = new_credential(new, &repository.env)?;
    let id = repository.add_slot(&credential, label)?;
    let Credential::Recovery(_) = credential else { return done(output, "added", id) };
    let fingerprint = repository.fingerprint()?.to_string();
    if output.is_json() {
        let added =
            json!({ "type": "key_action", "action": "added", "id": id.to_string(), "fingerprint": fingerprint });
        output.object(&added)?;
    } else {
        done(output, "added", id)?;
        output.line(format_args!("fingerprint {fingerprint}"))?;
        let text = "keep the fingerprint with the identity, on paper: it is no secret, and without it nobody can tell this \
                    repository from one that somebody else has sealed to the same recipient. It opens with --key-file \
                    IDENTITY --fingerprint FINGERPRINT";
        output.summary(text)?;
    }
    Ok(Exit::Done)
}

pub(in crate::cli) fn remove(id: &str, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let is_meant = |one: &ObjectId| one.to_string().starts_with(id);
    let is_writer =
        repository.keys.has_roles() && repository.registrations()?.0.iter().any(|one| is_meant(&one.writer()));
    let id = match (is_writer, repository.slots()?.iter().any(|slot| is_meant(&slot.id))) {
        (true, true) => {
            let text = format!("`{id}` is the beginning of a key slot and of a writer; give more of its digits");
            return Err(Error::Usage(text).into());
        }
        (true, false) => repository.close_writer(id)?,
        (false, _) => repository.remove_slot(id)?,
    };
    done(output, "removed", id)
}

pub(in crate::cli) fn change(new: &NewKey, global: &Global, env: &Env, output: &mut Output) -> Result<Exit, CliError> {
    let (repository, old) = open_and_keep(global, env)?;
    repository.require_reader()?;
    let id = repository.change_slot(&old, &new_credential(new, env)?)?;
    done(output, "changed to", id)
}

pub(in crate::cli) fn list(repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let slots = repository.slots()?;
    let kind = |kind: &SlotKind| match kind {
        SlotKind::Passphrase(_) => "password",
        SlotKind::KeyFile => "key file",
        SlotKind::Recovery(_) => "recovery",
    };
    let (writers, forged) = if repository.keys.has_roles() { repository.registrations()? } else { <_>::default() };
    if forged > 0 {
        let text = format!("{} not signed by this repository", text::count(forged as u64, "registration"));
        repository.env.tell(&Event::Warning(&text));
    }
    let fingerprint = repository.fingerprint()?.to_string();
    if output.is_json() {
        for slot in &slots {
            output.object(&json!({
                "type": "key",
                "id": slot.id.to_string(),
                "kind": kind(&slot.kind),
                "label": slot.label,
                "created": text::utc_time(slot.created),
                "fingerprint": fingerprint,
            }))?;
        }
        for writer in &writers {
            output.object(&json!({
                "type": "key",
                "id": writer.writer().to_string(),
                "kind": kind_of(&writer.record),
                "label": writer.record.label,
                "created": text::utc_time(writer.record.created),
            }))?;
        }
        return Ok(Exit::Done);
    }
    let mut table = text::table(&["id", "kind", "created", "label"], &[]);
    for slot in &slots {
        let (created, label) = (text::local_time(slot.created), text::name(slot.label.as_bytes()));
        table.add_row([slot.id.short(), kind(&slot.kind).to_owned(), created, label]);
    }
    for writer in &writers {
        let (created, label) = (text::local_time(writer.record.created), text::name(writer.record.label.as_bytes()));
        table.add_row([writer.writer().short(), kind_of(&writer.record).to_owned(), created, label]);
    }
    output.table(&table)?;
    output.summary(format_args!("fingerprint {fingerprint}"))?;
    Ok(Exit::Done)
}

fn kind_of(writer: &WriterRecord) -> &'static str {
    if writer.closed.is_some() { "closed writer" } else { "writer" }
}

/// Prints the key file of a role.
pub(in crate::cli) fn export(
    role: args::Role,
    label: &str,
    repository: &Repository,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let role = match role {
        args::Role::Writer => Role::Writer,
        args::Role::Maintainer => Role::Maintainer,
        args::Role::Auditor => Role::Auditor,
    };
    let key = repository.export_key(role, label)?;
    let text = zeroize::Zeroizing::new(role_key_text(&key));
    if output.is_json() {
        output.object(&json!({ "type": "key_export", "role": role.name(), "label": label, "key": text.trim_end() }))?;
    } else {
        output.line(text.trim_end())?;
        // Not with the key, which mostly goes into a file.
        let text = format!("this is a key for the role {role}: keep it as secret as what it may do");
        repository.env.tell(&Event::Doing(&text));
    }
    Ok(Exit::Done)
}
