//! Opening the repository: where it is, and what opens it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use zeroize::Zeroizing;

use super::args::{Destination, Global, Init, NamedCredential, NewKey, OpenedBy};
use super::keyfile;
use crate::backend::place::{Access, Place};
use crate::engine::repair;
use crate::env::Env;
use crate::error::{Category, Error};
use crate::event::Event;
use crate::format::config::Features;
use crate::process::{Environment, shell};
use crate::repo::{Credential, Meant, RepoError, Repository};

/// Opens the repository that the options name.
pub fn open(global: &Global, env: &Env) -> Result<Repository, Error> {
    open_and_keep(global, env).map(|(repository, _)| repository)
}

/// The same, without copies of what is in a bucket: for whoever wants to know what is really there.
pub fn open_uncached(global: &Global, env: &Env) -> Result<Repository, Error> {
    let access = Access { shelf: None, ..global.bucket.access() };
    let meant = meant_by(&global.named, "SFARC")?;
    let opened = open_at(&place(global)?, &access, env, meant, || credential(global, Purpose::Open, env));
    opened.and_then(|(repository, _)| as_expected(repository, global))
}

/// Opens the repository that the options name, and says what opened it.
pub fn open_and_keep(global: &Global, env: &Env) -> Result<(Repository, Credential), Error> {
    let (access, meant) = (global.bucket.access(), meant_by(&global.named, "SFARC")?);
    let opened = open_at(&place(global)?, &access, env, meant, || credential(global, Purpose::Open, env));
    opened.and_then(|(repository, credential)| Ok((as_expected(repository, global)?, credential)))
}

/// The repository, if it is the one that the options expect.
fn as_expected(repository: Repository, global: &Global) -> Result<Repository, Error> {
    match global.expect_id {
        Some(expected) if expected != repository.id => Err(Error::Refused(format!(
            "another repository is in this place: {} was expected, {} is there; is another volume or bucket mounted? \
             Nothing was changed. If it is meant, change `expect-id` (--expect-id, $SFARC_EXPECT_ID)",
            expected, repository.id
        ))),
        _ => Ok(repository),
    }
}

/// Opens the repository that something is copied to.
pub fn open_other(to: &Destination, by: &OpenedBy, global: &Global, env: &Env) -> Result<Repository, Error> {
    let credential = || {
        other_credential(by, env).unwrap_or_else(|| {
            let text = "nothing is named that opens the other repository: what opens the first one is tried; name it \
                        with --to-password-file, --to-password-command, --to-key-file or $SFARC_TO_PASSWORD";
            env.tell(&Event::Doing(text));
            credential(global, Purpose::Open, env)
        })
    };
    let meant = meant_by(&said_of_other(by), "SFARC_TO")?;
    let opened = open_at(&other_place(to)?, &other_access(to, global), env, meant, credential);
    opened.map(|(repository, _)| repository).map_err(|error| Error::There(Box::new(error)))
}

/// Opens the repository to repair it: what is really there, and where its configuration or every key slot is lost, with
/// those of a place.
pub fn open_to_repair(
    global: &Global,
    env: &Env,
    places: &[repair::Place],
    dry_run: bool,
) -> Result<Repository, Error> {
    let failure = match open_uncached(global, env) {
        Err(error) => error,
        opened => return opened,
    };
    let may_be_config = match &failure {
        // One wrong bit in the configuration may look like a feature of a newer program.
        Error::Repo(RepoError::TooNew { .. } | RepoError::UnknownFeature { .. }) => true,
        failure => matches!(failure.category(), Category::NoRepository | Category::Damaged | Category::WrongKey),
    };
    if !may_be_config || !places.iter().any(repair::Place::may_open) {
        return Err(failure);
    }
    let access = Access { shelf: None, ..global.bucket.access() };
    let place = place(global)?;
    let backend = place.open(&access, |_| {}).map_err(RepoError::from)?;
    let credential = credential(global, Purpose::Open, env)?;
    let open = |dry_run| repair::open_with(&backend, places, &credential, env, dry_run);
    let Some(planned) = open(true)? else { return Err(failure) };
    let planned = repair::Opened { repository: as_expected(planned.repository, global)?, ..planned };
    if let Some(Meant::Fingerprint(expected)) = meant_by(&global.named, "SFARC")? {
        planned.repository.require_fingerprint(&expected)?;
    }
    let opened = if dry_run { planned } else { open(false)?.ok_or(failure)? };
    tell_opened(&opened, env, dry_run);
    Ok(opened.repository)
}

fn tell_opened(opened: &repair::Opened, env: &Env, dry_run: bool) {
    let (from, would) = (&opened.from, if dry_run { "would be" } else { "was" });
    if opened.has_config {
        env.tell(&Event::Warning(&format!("`config` {would} taken from {from}")));
    }
    if opened.has_slot {
        env.tell(&Event::Warning(&format!("a key slot for this password {would} made with one of {from}")));
    }
}

fn open_at(
    place: &Place,
    access: &Access,
    env: &Env,
    meant: Option<Meant>,
    credential: impl FnOnce() -> Result<Credential, Error>,
) -> Result<(Repository, Credential), Error> {
    let warn = |text: &str| env.tell(&Event::Warning(text));
    let backend = place.open(access, warn).map_err(RepoError::from)?;
    // The repository is looked for before anybody is asked for a password.
    let mut named = None;
    let credential = || {
        let named = named.insert(credential());
        named.as_ref().cloned().map_err(|_| RepoError::WrongKey)
    };
    let opened = Repository::open(backend, &place.to_string(), credential, env.clone());
    let credential = named.transpose()?;
    let repository = opened?;
    if let Some(Meant::Fingerprint(expected)) = meant {
        repository.require_fingerprint(&expected)?;
    }
    Ok((repository, credential.expect("nothing opens without a credential")))
}

/// Where something is copied to.
pub fn other_place(to: &Destination) -> Result<Place, Error> {
    Place::parse(to.to.clone()).map_err(Error::Usage)
}

/// How the place is used that something is copied to: like the first one, where nothing else is said.
pub fn other_access(to: &Destination, global: &Global) -> Access {
    let mut bucket = global.bucket.clone();
    bucket.endpoint = to.to_endpoint.clone().or(bucket.endpoint);
    bucket.region = to.to_region.clone().or(bucket.region);
    bucket.addressing = to.to_addressing.or(bucket.addressing);
    bucket.profile.clone_from(&to.to_profile);
    bucket.lock_for = to.to_lock_for;
    bucket.access()
}

fn said_of_other(by: &OpenedBy) -> NamedCredential {
    NamedCredential {
        password_file: by.to_password_file.clone(),
        password_command: by.to_password_command.clone(),
        key_file: by.to_key_file.clone(),
        fingerprint: by.to_fingerprint.clone(),
    }
}

/// What opens the other repository, if the options or the environment name something.
fn other_credential(by: &OpenedBy, env: &Env) -> Option<Result<Credential, Error>> {
    let named = [said_of_other(by), named_by_environment("SFARC_TO")];
    let meant = || meant_by(&named[0], "SFARC_TO");
    named
        .iter()
        .find_map(|named| of(named, Purpose::Open, env, meant))
        .or_else(|| std::env::var_os("SFARC_TO_PASSWORD").map(|password| passphrase(password.into_vec())))
}

/// Which repository the options, or variables with this prefix, say that somebody means.
fn meant_by(said: &NamedCredential, prefix: &str) -> Result<Option<Meant>, Error> {
    let meant = |text: String| match text.trim() {
        "none" => Ok(Meant::Any),
        text => text.parse().map(Meant::Fingerprint).map_err(|_| {
            let form = "a fingerprint has 32 hexadecimal digits, as `sfarc key list` prints it; or say `none`";
            Error::Usage(format!("`{text}` is no fingerprint: {form}"))
        }),
    };
    said.fingerprint.clone().or_else(|| named_by_environment(prefix).fingerprint).map(meant).transpose()
}

/// The options; where they and the environment name no repository or nothing that opens it, those of a configuration.
pub fn or_configured(global: &Global, configured: &crate::config::Repository) -> Global {
    let mut global = global.clone();
    global.repo = global.repo.filter(|path| !path.as_os_str().is_empty()).or_else(|| configured.path.clone());
    let named = |named: &NamedCredential| {
        named.password_file.is_some() || named.password_command.is_some() || named.key_file.is_some()
    };
    let in_environment = named(&named_by_environment("SFARC")) || std::env::var_os("SFARC_PASSWORD").is_some();
    if !named(&global.named) && !in_environment {
        global.named = NamedCredential {
            password_file: configured.password_file.clone(),
            password_command: configured.password_command.clone().map(OsString::from),
            key_file: configured.key_file.clone(),
            fingerprint: global.named.fingerprint.clone(),
        };
    }
    // What is said of one place is not meant for another.
    if configured.path.is_none() || configured.path == global.repo {
        global.expect_id = global.expect_id.or(configured.expect_id);
        let (bucket, said) = (&mut global.bucket, &configured.bucket);
        bucket.endpoint = bucket.endpoint.take().filter(|text| !text.is_empty()).or_else(|| said.endpoint.clone());
        bucket.region = bucket.region.take().or_else(|| said.region.clone());
        bucket.addressing = bucket.addressing.or(said.addressing);
        bucket.lock_for = bucket.lock_for.or(said.lock_for);
        bucket.lock_mode = bucket.lock_mode.or(said.lock_mode);
    }
    global
}

/// Makes the repository that the options name.
pub fn init(args: &Init, global: &Global, env: &Env) -> Result<Repository, Error> {
    let place = place(global)?;
    if let Some(expected) = global.expect_id {
        return Err(Error::Refused(format!(
            "no repository is made at {place}: {expected} was here before, and a new one would be another. Find out where \
             it is; if it is lost for good, take `expect-id` (--expect-id, $SFARC_EXPECT_ID) away and try again"
        )));
    }
    let credential = credential(global, Purpose::Make, env)?;
    let backend = place.create(&global.bucket.access()).map_err(RepoError::from)?;
    let features = Features::chosen(args.roles, args.hide_sizes);
    Ok(Repository::init_with(backend, &credential, features, env.clone())?)
}

/// Where the options say that the repository is.
pub fn place(global: &Global) -> Result<Place, Error> {
    let missing = || Error::Usage("which repository? Name it with --repo FOLDER-OR-URL or $SFARC_REPO".to_owned());
    let text = global.repo.as_deref().filter(|path| !path.as_os_str().is_empty()).ok_or_else(missing)?;
    Place::parse(text.to_owned()).map_err(Error::Usage)
}

/// What a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To open what is there.
    Open,
    /// To make something new: a prompt asks twice, a missing key file is made.
    Make,
}

/// The password or key file that the options, the environment or a prompt name.
fn credential(global: &Global, purpose: Purpose, env: &Env) -> Result<Credential, Error> {
    let meant = || match purpose {
        Purpose::Open => meant_by(&global.named, "SFARC"),
        // Something is made, so nothing can be another's.
        Purpose::Make => Ok(Some(Meant::Any)),
    };
    let named = [&global.named, &named_by_environment("SFARC")];
    let named = named.into_iter().find_map(|named| of(named, purpose, env, meant));
    if let Some(named) = named {
        return named;
    }
    match std::env::var_os("SFARC_PASSWORD") {
        Some(password) => passphrase(password.into_vec()),
        None => prompt(purpose),
    }
}

/// The credential that is named, if one is.
fn of(
    named: &NamedCredential,
    purpose: Purpose,
    env: &Env,
    meant: impl Fn() -> Result<Option<Meant>, Error>,
) -> Option<Result<Credential, Error>> {
    let by_file = || named.password_file.as_deref().map(password_file);
    let by_command = || named.password_command.as_deref().map(password_command);
    let by_key = named.key_file.as_deref().map(|path| key_file(path, purpose, env, meant()?));
    by_key.or_else(by_file).or_else(by_command)
}

/// What variables with this prefix name.
fn named_by_environment(prefix: &str) -> NamedCredential {
    let named = |name: &str| std::env::var_os(format!("{prefix}_{name}")).filter(|value: &OsString| !value.is_empty());
    NamedCredential {
        password_file: named("PASSWORD_FILE").map(PathBuf::from),
        password_command: named("PASSWORD_COMMAND"),
        key_file: named("KEY_FILE").map(PathBuf::from),
        fingerprint: named("FINGERPRINT").map(|text| text.to_string_lossy().into_owned()),
    }
}

/// The new password or key file that the options or a prompt name.
pub fn new_credential(new: &NewKey, env: &Env) -> Result<Credential, Error> {
    if let Some(recipient) = &new.recovery {
        return Ok(Credential::Recovery(recipient.clone()));
    }
    match (&new.new_key_file, &new.new_password_file) {
        (Some(path), _) => key_file(path, Purpose::Make, env, Some(Meant::Any)),
        (None, Some(path)) => password_file(path),
        (None, None) => prompt(Purpose::Make),
    }
}

fn passphrase(text: Vec<u8>) -> Result<Credential, Error> {
    let text = Zeroizing::new(text);
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(Error::Usage("the password is empty".to_owned()));
    }
    Ok(Credential::Passphrase(Zeroizing::new(line.to_vec())))
}

fn password_file(path: &Path) -> Result<Credential, Error> {
    passphrase(fs::read(path).map_err(Error::io(format!("read the password file {}", path.display())))?)
}

fn password_command(command: &OsStr) -> Result<Credential, Error> {
    let mut shell = shell(command, &Environment::for_credential_helper());
    let run = shell.stdin(Stdio::inherit()).stderr(Stdio::inherit()).output();
    let output = run.map_err(Error::io("run the password command"))?;
    if !output.status.success() {
        return Err(Error::Refused(format!("the password command failed: {}", output.status)));
    }
    passphrase(output.stdout)
}

fn prompt(purpose: Purpose) -> Result<Credential, Error> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let text = "no password: set $SFARC_PASSWORD, --password-file, --password-command or --key-file";
        return Err(Error::Usage(text.to_owned()));
    }
    let ask = |text: &str| rpassword::prompt_password(text).map_err(Error::io("read the password"));
    let password = Zeroizing::new(ask("password: ")?);
    if purpose == Purpose::Make && *password != *Zeroizing::new(ask("the same again: ")?) {
        return Err(Error::Usage("the two passwords differ".to_owned()));
    }
    passphrase(password.as_bytes().to_vec())
}

fn key_file(path: &Path, purpose: Purpose, env: &Env, meant: Option<Meant>) -> Result<Credential, Error> {
    match keyfile::read(path, meant)? {
        Some(credential) => Ok(credential),
        None if purpose == Purpose::Make => keyfile::make(path, env),
        None => Err(Error::Refused(format!("there is no key file {}", path.display()))),
    }
}
