//! What a reader must refuse (format-spec.md, section 18): repositories of tests/vectors, bent in one place each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde::Deserialize;
use sfarc::backend::Key;
use sfarc::backend::folder::FolderBackend;
use sfarc::engine::{folder, restore};
use sfarc::env::Env;
use sfarc::format::catalog::CatalogKind;
use sfarc::format::manifest::{FenceRecord, StreamEntry};
use sfarc::ids::{Fingerprint, ObjectId};
use sfarc::pipeline::egress::Egress;
use sfarc::repo::roles::parse_role_key;
use sfarc::repo::snapshots::Snapshot;
use sfarc::repo::{Credential, Meant, RepoError, Repository};
use zeroize::Zeroizing;

use crate::vectors::{Vectors, from_hex};

/// A repository of tests/vectors/repositories.json; values are hexadecimal.
#[derive(Deserialize)]
struct Base {
    secrets: BTreeMap<String, String>,
    streams: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
}

/// A change of one of them.
#[derive(Deserialize)]
struct Case {
    rule: String,
    name: String,
    base: String,
    refused: String,
    change: BTreeMap<String, Option<String>>,
}

/// A value that lies in no repository.
#[derive(Deserialize)]
struct Value {
    rule: String,
    name: String,
    kind: String,
    base: String,
    value: String,
    refused: bool,
}

#[derive(Deserialize)]
struct Refused {
    repositories: Vec<Case>,
    values: Vec<Value>,
}

fn bases() -> BTreeMap<String, Base> {
    serde_json::from_str(include_str!("../vectors/repositories.json")).expect("repositories by their names")
}

fn refused() -> Refused {
    serde_json::from_str(include_str!("../vectors/refused.json")).expect("what must be refused")
}

impl Base {
    fn credential(&self, name: &str) -> Credential {
        let secret = &self.secrets[name];
        match name {
            "passphrase" => Credential::Passphrase(Zeroizing::new(secret.clone().into_bytes())),
            "identity" => {
                let fingerprint = Vectors::load().array("fingerprint");
                self.identity(Meant::Fingerprint(Fingerprint::new(fingerprint)))
            }
            _ => Credential::KeyFile(Zeroizing::new(from_hex(secret).try_into().expect("32 bytes"))),
        }
    }

    fn identity(&self, meant: Meant) -> Credential {
        Credential::Identity { identity: Zeroizing::new(self.secrets["identity"].clone()), meant }
    }

    /// Snapshots that are listed: fences are shorter.
    fn snapshots(&self) -> usize {
        let is_snapshot = |(path, stored): &(&String, &String)| {
            path.starts_with("snapshots/") && stored.len() as u64 != 2 * FenceRecord::STORED_LEN
        };
        self.files.iter().filter(is_snapshot).count()
    }

    fn changed(&self, case: &Case) -> BTreeMap<String, String> {
        let mut files = self.files.clone();
        for (path, stored) in &case.change {
            match stored {
                Some(stored) => files.insert(path.clone(), stored.clone()),
                None => files.remove(path),
            };
        }
        files
    }
}

fn put(place: &Path, files: &BTreeMap<String, String>) {
    FolderBackend::create(place).expect("the folder is new");
    for (path, stored) in files {
        std::fs::write(place.join(path), from_hex(stored)).expect("there is room");
    }
}

fn open(place: &Path, credential: Credential) -> Result<Repository, RepoError> {
    Repository::open(Arc::new(FolderBackend::open(place)), "here", || Ok(credential), Env::system())
}

/// A stream, and each file of a folder stream by its entry.
fn read(repository: &Repository, snapshot: &Snapshot, stream: &StreamEntry) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let taken = restore::cat(repository, snapshot, stream, b"", |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    });
    taken.map_err(|error| error.to_string())?;
    if stream.catalog.is_none() {
        return Ok(bytes);
    }
    let mut files = Vec::new();
    let mut egress = Egress::open(repository).map_err(|error| error.to_string())?;
    let walked = folder::for_each_entry(&mut egress, snapshot, stream, |located| {
        if located.entry.kind == CatalogKind::File {
            files.push(located.entry.path);
        }
    });
    walked.map_err(|error| error.to_string())?;
    for path in files {
        restore::cat(repository, snapshot, stream, &path, |_| Ok(())).map_err(|error| error.to_string())?;
    }
    Ok(bytes)
}

/// What is not read: the largest such thing, and why.
fn run(
    files: &BTreeMap<String, String>,
    credential: Credential,
    least: usize,
) -> (&'static str, String, BTreeMap<String, Vec<u8>>) {
    let folder = tempfile::tempdir().expect("there is room");
    let place = folder.path().join("repository");
    put(&place, files);
    let mut streams = BTreeMap::new();
    let listed = open(&place, credential).and_then(|repository| Ok((repository.snapshots()?, repository)));
    let (listing, repository) = match listed {
        Ok(opened) => opened,
        Err(error) => return ("repository", error.to_string(), streams),
    };
    if !listing.unreadable.is_empty() || listing.snapshots.len() < least {
        return ("snapshot", format!("{:?}", listing.unreadable), streams);
    }
    for snapshot in &listing.snapshots {
        for stream in &snapshot.manifest.streams {
            match read(&repository, snapshot, stream) {
                Ok(bytes) => streams.insert(String::from_utf8_lossy(&stream.name).into_owned(), bytes),
                Err(why) => return ("stream", why, streams),
            };
        }
    }
    ("nothing", String::new(), streams)
}

#[test]
fn whole_repositories_are_read() {
    for (name, base) in bases() {
        for way in base.secrets.keys() {
            let (refused, why, streams) = run(&base.files, base.credential(way), base.snapshots());
            assert_eq!(refused, "nothing", "{name} with the {way}: {why}");
            let expected: BTreeMap<String, Vec<u8>> =
                base.streams.iter().map(|(name, hex)| (name.clone(), from_hex(hex))).collect();
            assert_eq!(streams, expected, "{name} with the {way}");
        }
    }
}

#[test]
fn bent_repositories_are_refused_as_the_rules_say() {
    let (bases, mut wrong) = (bases(), Vec::new());
    for case in refused().repositories {
        let base = &bases[&case.base];
        let (refused, why, _) = run(&base.changed(&case), base.credential("passphrase"), base.snapshots());
        println!("{} {} ({}): {refused}: {why}", case.rule, case.name, case.base);
        if refused != case.refused {
            wrong.push(format!("{} {}: refused {refused}, not {}: {why}", case.rule, case.name, case.refused));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Calls `is_refused` with each value of a kind and the place of its repository.
fn each_value(kind: &str, is_refused: impl Fn(&Value, &Path) -> bool) {
    let (folder, mut ran) = (tempfile::tempdir().expect("there is room"), 0);
    for (name, base) in bases() {
        put(&folder.path().join(name), &base.files);
    }
    for case in refused().values.iter().filter(|case| case.kind == kind) {
        let place = folder.path().join(&case.base);
        assert_eq!(is_refused(case, &place), case.refused, "{} {}", case.rule, case.name);
        ran += 1;
    }
    assert!(ran > 1, "there are no values of the kind {kind}");
}

#[test]
fn keys_of_roles_are_refused_as_the_rules_say() {
    each_value("role key", |case, place| {
        let key = parse_role_key(&case.value);
        key.is_none_or(|key| open(place, Credential::Role(Box::new(key))).is_err())
    });
}

/// Without a fingerprint there is no credential: somebody must say that any repository will do.
#[test]
fn fingerprints_are_refused_as_the_rules_say() {
    let bases = bases();
    each_value("fingerprint", |case, place| {
        let Ok(fingerprint) = case.value.parse() else { return true };
        open(place, bases[&case.base].identity(Meant::Fingerprint(fingerprint))).is_err()
    });
}

#[test]
fn roots_are_refused_as_the_rules_say() {
    let bases = bases();
    each_value("roots", |case, place| {
        let repository = open(place, bases[&case.base].credential("passphrase")).expect("it opens");
        let object = from_hex(&case.value);
        repository.open_roots(&Key::Snapshot(ObjectId::of(&object)), &object).is_err()
    });
}

/// The numbers of the rules in the text, and those among them that say that they have no vector.
fn rules() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = include_str!("../../format-spec.md");
    let (_, list) = text.split_once("\n## 18. ").expect("there is a list of rules");
    let (list, _) = list.split_once("\n# Part II").expect("it ends");
    let rules = list.split("\n* **R").skip(1).filter_map(|rule| rule.split_once("**"));
    let rules: Vec<(String, &str)> = rules.map(|(number, text)| (format!("R{number}"), text)).collect();
    let without = rules.iter().filter(|(_, text)| text.replace('\n', " ").contains("No vector"));
    (rules.iter().map(|(rule, _)| rule.clone()).collect(), without.map(|(rule, _)| rule.clone()).collect())
}

#[test]
fn every_rule_of_a_reader_has_a_vector_or_says_why_not() {
    let (rules, without) = rules();
    let refused = refused();
    let cases = refused.repositories.iter().map(|case| &case.rule).chain(refused.values.iter().map(|case| &case.rule));
    let with: BTreeSet<String> = cases.cloned().collect();
    assert!(rules.len() > 60, "the list was not found");
    assert_eq!(rules.difference(&without).cloned().collect::<BTreeSet<_>>(), with);
}

/// The reader of tests/reader shares no code with this program.
#[test]
fn the_independent_reader_refuses_the_same() {
    let Some(python) = std::env::var_os("SFARC_READER_PYTHON") else {
        println!("not run: tests/run installs what the reader needs and sets SFARC_READER_PYTHON");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reader/run_vectors.py");
    let ran = Command::new(&python).arg(&script).output().expect("the reader runs");
    assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
}
