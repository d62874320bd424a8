//! What is tried: dumps are loaded and swapped in, keys go into a ZooKeeper and out again, by the very code that
//! restores a deployment.

use std::time::Duration;

use super::bench::{Bench, Part};
use crate::content::zuul_keys::ZuulKeys;
use crate::engine::deployment::SavedObjects;
use crate::engine::load::Saved;
use crate::engine::name_of;
use crate::engine::verify::{Check, Outcome};
use crate::error::{Error, chain};
use crate::k8s::exec::ExecError;
use crate::source::SourceError;
use crate::target::TargetError;
use crate::target::database::{Database, Expected};
use crate::target::feed::{FeedError, Patience};
use crate::target::keys::ZuulAdmin;

/// The database that dumps become.
const DATABASE: &str = "drill";

/// A ZooKeeper beside it answers at once, or never: the certificates do not fit.
const ZUUL_LIMIT: Duration = Duration::from_secs(60);

/// Certificates and keys of ZooKeeper: the Secret, its key, and the file that they become.
const CERTIFICATES: [(&str, &str, &str); 6] = [
    ("zookeeper-server-tls", "ca.crt", "ca.crt"),
    ("zookeeper-server-tls", "0-tls.crt", "server.crt"),
    ("zookeeper-server-tls", "0-tls.key", "server.key"),
    ("zookeeper-client-tls", "ca.crt", "client-ca.crt"),
    ("zookeeper-client-tls", "tls.crt", "client.crt"),
    ("zookeeper-client-tls", "tls.key", "client.key"),
];

/// Why something was not as it should be, or could not be looked at.
enum Trouble {
    /// The snapshot is no good.
    Bad(String),
    /// It is not known.
    Untried(Error),
}

/// Loads a dump, compares it, and swaps it in. True if that was tried.
pub(super) fn dump(
    saved: &Saved<'_>,
    bench: &impl Bench,
    patience: Patience,
    checks: &mut Vec<Check>,
) -> Result<bool, Error> {
    let mut note = noting(saved, checks);
    if let Some(lacks) = bench.lacks(Part::Database) {
        note("the load", Outcome::Note(format!("not tried: {lacks}")));
        return Ok(false);
    }
    let doing = format!("load stream {} into a scratch server", name_of(saved.entry));
    let tried = load(saved, bench, patience).map_err(|error| trouble(error, &doing));
    note("it loads, every table has its rows, and it goes live", outcome(tried)?);
    Ok(true)
}

fn load(saved: &Saved<'_>, bench: &impl Bench, patience: Patience) -> Result<(), FeedError<Error>> {
    // A server that does not come says nothing about the dump.
    let waited = bench.wait_for_database().map_err(|error| Error::target("start a scratch server", error));
    waited.map_err(FeedError::Giver)?;
    let (shell, database) = (bench.shell(Part::Database), Database { name: DATABASE.to_owned() });
    saved.load_dump(&database, &shell, patience)?;
    let old = database.old("drill");
    let swapped = database
        .swap(&shell, &old)
        .and_then(|()| database.compare(&shell, DATABASE, &Expected::of(&saved.entry.facts)))
        // The next dump finds nothing of this one.
        .and_then(|()| database.drop_made(&shell, &[old, DATABASE.to_owned()]));
    swapped.map_err(FeedError::Taker)
}

/// Imports keys into a ZooKeeper of the snapshot's own certificates, and exports them again. True if that was tried.
pub(super) fn keys(
    saved: &Saved<'_>,
    objects: &SavedObjects,
    keys: &ZuulKeys,
    bench: &impl Bench,
    checks: &mut Vec<Check>,
) -> Result<bool, Error> {
    let mut note = noting(saved, checks);
    let lacks = [Part::ZooKeeper, Part::Zuul].into_iter().find_map(|part| bench.lacks(part)).map(str::to_owned);
    let missing = CERTIFICATES.iter().find(|(secret, key, _)| objects.secret(secret, key).is_none());
    let missing = missing.map(|(secret, key, _)| format!("{key} of Secret {secret} is not in the snapshot"));
    if let Some(lacks) = lacks.or(missing) {
        note("the import", Outcome::Note(format!("not tried: {lacks}")));
        return Ok(false);
    }
    let tried = round_trip(objects, keys, bench)
        .map_err(|error| trouble(FeedError::Taker(error), "import the keys into a scratch ZooKeeper"));
    note("imported into a ZooKeeper of its certificates, and exported again the same", outcome(tried)?);
    Ok(true)
}

fn round_trip(objects: &SavedObjects, keys: &ZuulKeys, bench: &impl Bench) -> Result<(), TargetError> {
    for (secret, key, file) in CERTIFICATES {
        bench.put(Part::ZooKeeper, file, &objects.secret(secret, key).unwrap_or_default())?;
    }
    bench.put(Part::ZooKeeper, "zuul.conf", conf(bench).as_bytes())?;
    bench.put(Part::ZooKeeper, "ready", b"")?;
    let (shell, admin) = (bench.shell(Part::Zuul), ZuulAdmin::configured("\"$HOME/zuul.conf\"", ZUUL_LIMIT));
    admin.import(&shell, keys)?;
    let exported = admin.export(&shell)?;
    if exported.canonical() == keys.canonical() {
        return Ok(());
    }
    let found = keys.compare(&exported);
    let why = format!("{} are missing and {} are others", found.only_here.len(), found.other.len());
    Err(TargetError::Wrong { what: "the export after the import".to_owned(), why })
}

/// Nothing is encrypted or decrypted here, so the keystore's password is not needed; but Zuul wants to have one.
fn conf(bench: &impl Bench) -> String {
    let (home, port) = (bench.home(), bench.port());
    format!(
        "[zookeeper]\nhosts=127.0.0.1:{port}\ntls_cert={home}/client.crt\ntls_key={home}/client.key\n\
         tls_ca={home}/client-ca.crt\n[keystore]\npassword=not-needed\n"
    )
}

fn noting<'a>(saved: &Saved<'_>, checks: &'a mut Vec<Check>) -> impl FnMut(&str, Outcome) + use<'a> {
    let stream = name_of(saved.entry);
    move |what, outcome| checks.push(Check { stream: stream.clone(), what: what.to_owned(), outcome })
}

fn outcome(tried: Result<(), Trouble>) -> Result<Outcome, Error> {
    match tried {
        Ok(()) => Ok(Outcome::Good),
        Err(Trouble::Bad(words)) => Ok(Outcome::Bad(words)),
        Err(Trouble::Untried(error)) => Err(error),
    }
}

/// What a server refuses, or what is not as it was, is the snapshot's fault; that there is no answer is not.
fn trouble(error: FeedError<Error>, doing: &str) -> Trouble {
    match error {
        FeedError::Giver(error) if error.category() == crate::Category::Damaged => Trouble::Bad(chain(&error)),
        FeedError::Giver(error) => Trouble::Untried(error),
        FeedError::Taker(
            error @ (TargetError::Failed { .. }
            | TargetError::Wrong { .. }
            | TargetError::Late { .. }
            | TargetError::Session(ExecError::TooLong { .. })
            | TargetError::Asked(
                SourceError::Failed { .. }
                | SourceError::Exec { .. }
                | SourceError::Content(_)
                | SourceError::Session(ExecError::TooLong { .. }),
            )),
        ) => Trouble::Bad(chain(&error)),
        FeedError::Taker(error) => Trouble::Untried(Error::target(doing, error)),
    }
}
