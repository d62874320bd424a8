//! A snapshot as the backup folder that `sf-operator SF restore --backup_dir` reads.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::secret::to_yaml;
use super::{DUMP, KEYS, SECRETS, WITH_CONNECTIONS, release};
use crate::disk::{Disk, sync_folder, sync_tree};
use crate::engine::deployment::{SavedObjects, fact, objects_stream, stream};
use crate::engine::name_of;
use crate::error::Error;
use crate::format::manifest::{Origin, StreamEntry};
use crate::pipeline::egress::{Egress, EgressError};
use crate::plan::custom_resource::CustomResource;
use crate::plan::discovery::OWNER;
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;

/// Chooses the database as `mysqldump --databases` does.
const DATABASE: &str =
    "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `zuul` /*!40100 DEFAULT CHARACTER SET utf8mb3 */;\nUSE `zuul`;\n";

/// Bytes of a dump in which its first table must begin.
const HEAD: usize = 64 << 10;

/// Where it is written, and how.
#[derive(Debug, Clone, Default)]
pub struct LayoutOptions {
    /// The folder: a new one.
    pub to: PathBuf,
    /// Takes the place of a folder that is there.
    pub overwrite: bool,
    /// Storage classes of the custom resource, and what becomes of each.
    pub classes: Vec<(String, String)>,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Secrets that the operator's restore reads.
    pub secrets: usize,
    /// Manifests of objects that it does not know, below `more/`: to be created before it runs.
    pub more: usize,
    /// True if the custom resource is in it.
    pub custom_resource: bool,
}

/// Writes the folder: beside its place, then renamed.
pub fn write(repository: &Repository, snapshot: &Snapshot, options: &LayoutOptions) -> Result<Written, Error> {
    let part = |name: &str| {
        let lacks = || Error::Refused(format!("snapshot {} has no stream {name}", snapshot.id.short()));
        stream(snapshot, name).ok_or_else(lacks)
    };
    let (keys, dump) = (part("keys")?, part("database")?);
    let mut egress = Egress::of(repository, snapshot)?;
    let saved = SavedObjects::read(&mut egress, snapshot)?;
    if !options.overwrite && options.to.symlink_metadata().is_ok() {
        let text = format!("{} exists already; name another folder, or say --overwrite", options.to.display());
        return Err(Error::Refused(text));
    }
    let staging = Staging::beside(&options.to, repository)?;
    let mut folder = Folder { path: &staging.path, shown: &options.to };
    let written = write_objects(&mut folder, snapshot, &saved, options)?;
    write_stream(&mut folder, &mut egress, snapshot, keys, KEYS, false)?;
    write_stream(&mut folder, &mut egress, snapshot, dump, DUMP, true)?;
    staging.put(&options.to, options.overwrite)?;
    Ok(written)
}

fn write_objects(
    folder: &mut Folder<'_>,
    snapshot: &Snapshot,
    saved: &SavedObjects,
    options: &LayoutOptions,
) -> Result<Written, Error> {
    let entry = objects_stream(snapshot);
    let release = release(entry.and_then(|entry| fact(entry, "sf-operator-version")));
    let namespace = match entry.map(|entry| &entry.origin) {
        Some(Origin::Objects { namespace }) => namespace,
        _ => "",
    };
    let of_connections = connections(saved);
    let is_read = |name: &str| {
        SECRETS.iter().any(|(known, since)| *known == name && release >= *since)
            || (release >= WITH_CONNECTIONS && of_connections.iter().any(|secret| secret == name))
    };
    let mut written = Written::default();
    for (plural, name, mut object) in saved.all().filter(|(plural, name, _)| is_worth_it(plural, name)) {
        if plural == "secrets" && is_read(name) {
            folder.file(&format!("secrets/{name}.yaml"), to_yaml(&object, namespace).as_bytes())?;
            written.secrets += 1;
        } else {
            // Who owns it has another identity where it is created.
            object["metadata"].as_object_mut().map(|metadata| metadata.remove("ownerReferences"));
            folder.file(&format!("more/{plural}-{name}.json"), format!("{object:#}\n").as_bytes())?;
            written.more += 1;
        }
    }
    if let Some(cr) = saved.file("cr.yaml") {
        folder.file("cr.yaml", &with_classes(cr, &options.classes))?;
        written.custom_resource = true;
    }
    Ok(written)
}

/// Objects that a restore should make.
fn is_worth_it(plural: &str, name: &str) -> bool {
    match plural {
        "secrets" => !["config-update-secrets", "zuul-keystore-password-new", "ca-cert"].contains(&name),
        "configmaps" => name != OWNER,
        _ => true,
    }
}

/// Secrets of connections that the operator saves: not those of passwords.
fn connections(saved: &SavedObjects) -> Vec<String> {
    let owner = saved.of("configmaps").find(|(name, _)| *name == OWNER);
    let remembered = owner.and_then(|(_, owner)| CustomResource::remembered(owner["data"]["spec"].as_str()?));
    let is_saved = |what_for: &str| !["HTTP password", "Elasticsearch", "SMTP"].iter().any(|of| what_for.contains(of));
    let secrets = remembered.unwrap_or_default().secrets.into_iter();
    secrets.filter(|(_, what_for)| is_saved(what_for)).map(|(name, _)| name).collect()
}

/// The custom resource with other storage classes; everything else stays as it is.
fn with_classes(cr: &[u8], classes: &[(String, String)]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(cr) else { return cr.to_vec() };
    let line = |line: &str| {
        let found = line.find("className:").map(|place| line.split_at(place + "className:".len()));
        let renamed = found.and_then(|(before, after)| {
            let word = after.trim_start().split([' ', ',', '}', '\n', '\r']).next()?;
            let plain = word.trim_matches(['"', '\'']);
            let (_, new) = classes.iter().find(|(old, _)| old == plain)?;
            Some(format!("{before}{}", after.replacen(plain, new, 1)))
        });
        renamed.unwrap_or_else(|| line.to_owned())
    };
    text.split_inclusive('\n').map(line).collect::<String>().into_bytes()
}

fn write_stream(
    folder: &mut Folder<'_>,
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    entry: &StreamEntry,
    path: &str,
    is_dump: bool,
) -> Result<(), Error> {
    let mut file = folder.create(path)?;
    let (mut head, mut chosen) = (Vec::new(), !is_dump);
    let written = egress.write_aside(&entry.content, |bytes| {
        if chosen {
            return file.write_all(bytes);
        }
        head.extend_from_slice(bytes);
        let Some(place) = place_of_choice(&head) else { return Ok(()) };
        chosen = true;
        file.write_all(&head[..place])?;
        file.write_all(DATABASE.as_bytes())?;
        file.write_all(&head[place..])
    });
    written.map_err(|error| match error {
        EgressError::Sink(error) => folder.failed(path)(error),
        error => Error::restore(snapshot.id.short(), name_of(entry), error),
    })?;
    if !chosen {
        file.write_all(&head).map_err(folder.failed(path))?;
    }
    file.sync_all().map_err(folder.failed(path))
}

/// Where the database is to be chosen: before the first table, behind what the client sets for the whole dump.
fn place_of_choice(head: &[u8]) -> Option<usize> {
    let begins = [
        &b"\n--\n-- Table structure for "[..],
        b"\n--\n-- Temporary table structure ",
        b"\nDROP TABLE ",
        b"\nCREATE TABLE ",
    ];
    let found = begins.iter().filter_map(|begin| memchr::memmem::find(head, begin)).min();
    let last_line = || head.iter().rposition(|&byte| byte == b'\n').filter(|_| head.len() > HEAD);
    found.or_else(last_line).map(|place| place + 1)
}

/// A folder that is being filled; messages name what it will be.
struct Folder<'a> {
    path: &'a Path,
    shown: &'a Path,
}

impl Folder<'_> {
    fn failed(&self, path: &str) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::io(format!("write {}", self.shown.join(path).display()))
    }

    fn create(&self, path: &str) -> Result<File, Error> {
        let full = self.path.join(path);
        if let Some(parent) = full.parent() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
            made.map_err(self.failed(path))?;
        }
        let opened = File::options().write(true).create_new(true).mode(0o600).open(full);
        opened.map_err(self.failed(path))
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.create(path)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(self.failed(path))
    }
}

/// A folder beside the one that it will be; what is left of it goes.
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn beside(to: &Path, repository: &Repository) -> Result<Self, Error> {
        let failed = |error| Error::io(format!("make the folder {}", to.display()))(error);
        let absolute = std::path::absolute(to).map_err(failed)?;
        let parent = absolute.parent().unwrap_or(&absolute);
        fs::create_dir_all(parent).map_err(failed)?;
        let path = parent.join(format!(".sfarc-restore-{:016x}", u64::from_le_bytes(repository.env.random())));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        Ok(Self { path })
    }

    fn put(&self, to: &Path, overwrite: bool) -> Result<(), Error> {
        let (disk, failed) = (Disk::default(), |error| Error::io(format!("make the folder {}", to.display()))(error));
        sync_tree(&disk, &self.path).map_err(failed)?;
        match renameat_with(CWD, &self.path, CWD, to, RenameFlags::NOREPLACE) {
            // What was there goes with the staging folder.
            Err(Errno::EXIST) if overwrite => renameat_with(CWD, &self.path, CWD, to, RenameFlags::EXCHANGE),
            other => other,
        }
        .map_err(|error| failed(error.into()))?;
        // Before what was there is removed: a power cut must not bring that back, emptied.
        self.path.parent().map_or(Ok(()), |parent| sync_folder(&disk, parent)).map_err(failed)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is named so that its owner sees what it is.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_classes_that_are_named_change() {
        let cr = b"spec:\n  storageDefault: {className: standard}\n  mariadb:\n    dbStorage:\n      className: \"fast\"  # why\n";
        let classes = [("standard".to_owned(), "gp3".to_owned()), ("fast".to_owned(), "io2".to_owned())];
        let expected =
            "spec:\n  storageDefault: {className: gp3}\n  mariadb:\n    dbStorage:\n      className: \"io2\"  # why\n";
        assert_eq!(String::from_utf8(with_classes(cr, &classes)).expect("UTF-8"), expected);
        assert_eq!(with_classes(cr, &[("other".to_owned(), "x".to_owned())]), cr);
    }

    #[test]
    fn the_database_is_chosen_before_the_first_table() {
        let head = b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump\n\nSET x;\n\n--\n-- Table structure for table `t`\n--\n\nDROP TABLE `t`;\n";
        let place = place_of_choice(head).expect("there is a table");
        assert!(head[place..].starts_with(b"--\n-- Table structure"));
        assert_eq!(place_of_choice(b"-- MariaDB dump\n"), None);
    }
}
