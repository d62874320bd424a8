//! A backup folder as a snapshot: checked before anything is stored.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use zeroize::Zeroizing;

use super::secret::from_yaml;
use super::{DUMP, KEYS};
use crate::content::dump::DumpCheck;
use crate::content::zuul_keys::ZuulKeys;
use crate::engine::snapshot::{From, Input};
use crate::env::UnixNanos;
use crate::error::Error;
use crate::format::manifest::{Origin, Proof};
use crate::pipeline::lanes::Lanes;
use crate::pipeline::profile::Profile;
use crate::source::prepared::Prepared;
use crate::source::zuul_keys::PASSWORD;
use crate::source::{SourceError, Verdict, database, objects};

/// Longest file of a Secret, in bytes: the cluster takes no longer one either.
const SECRET_MOST: u64 = 3 << 20;
/// Most files of Secrets.
const SECRETS_MOST: usize = 10_000;
/// Longest export of keys, in bytes.
const KEYS_MOST: u64 = 256 << 20;
/// Bytes in which a dump must have said what database it is of.
const HEAD: usize = 64 << 10;

/// What is imported.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The folder.
    pub folder: PathBuf,
    /// The namespace of Secrets that do not say theirs.
    pub namespace: Option<String>,
}

/// The streams of a backup folder, and the moment that it shows: that of its newest file. Whatever can be checked is
/// checked: a folder that could not be restored is refused.
pub fn inputs(options: &ImportOptions) -> Result<(Vec<Input>, UnixNanos), Error> {
    let secrets = secrets(options)?;
    let path = options.folder.join(KEYS);
    let exported = read(&path, KEYS_MOST)?;
    let wrong = |why: String| Error::Refused(format!("{}: {why}", path.display()));
    let keys = ZuulKeys::parse(&exported).map_err(|error| wrong(error.to_string()))?;
    let password =
        secrets.get(PASSWORD).and_then(|secret| serde_json::from_value(secret["data"][PASSWORD].clone()).ok());
    let password: crate::k8s::ByteString = password.ok_or_else(|| {
        Error::Refused(format!("{}: Secret {PASSWORD} is not in it, so no key can be used", options.folder.display()))
    })?;
    keys.prove(&Zeroizing::new(password.0)).map_err(|error| wrong(error.to_string()))?;
    let dump = options.folder.join(DUMP);
    let newest = newest(options, [&path, &dump])?;
    let namespace = secrets.values().find_map(|secret| secret["metadata"]["namespace"].as_str()).unwrap_or_default();
    let streams = [
        ("objects", objects_stream(namespace.to_owned(), &secrets)),
        ("database", dump_stream(dump)),
        ("keys", keys_stream(path.clone(), keys)),
    ];
    let input = |(name, prepared)| Input { profile: Some(Profile::Dump), ..Input::new(name, From::Prepared(prepared)) };
    Ok((streams.into_iter().map(input).collect(), newest))
}

type Secrets = BTreeMap<String, serde_json::Value>;

fn secrets(options: &ImportOptions) -> Result<Secrets, Error> {
    let folder = options.folder.join("secrets");
    let failed = |error| Error::io(format!("read the folder {}", folder.display()))(error);
    let mut secrets = Secrets::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let file = entry.file_name();
        // An old release wrote a Secret without a name into `.yaml`.
        let name = file.to_str().and_then(|file| file.strip_suffix(".yaml")).filter(|name| !name.is_empty());
        let Some(name) = name.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file())) else { continue };
        let bytes = read(&entry.path(), SECRET_MOST)?;
        let wrong = |why: &str| Error::Refused(format!("{}: {why}", entry.path().display()));
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not UTF-8"))?;
        let secret = from_yaml(text, name, options.namespace.as_deref()).map_err(wrong)?;
        secrets.insert(name.to_owned(), secret);
        if secrets.len() > SECRETS_MOST {
            return Err(Error::Refused(format!("{} has too many files", folder.display())));
        }
    }
    Ok(secrets)
}

/// Opens a file that is no link.
fn open(path: &Path) -> Result<File, Error> {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let opened = File::options().read(true).custom_flags(no_follow).open(path);
    opened.map_err(Error::io(format!("open {}", path.display())))
}

fn read(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(Vec::new());
    let failed = |error| Error::io(format!("read {}", path.display()))(error);
    open(path)?.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(Error::Refused(format!("{} has more than {most} bytes", path.display())));
    }
    Ok(bytes)
}

fn newest(options: &ImportOptions, files: [&PathBuf; 2]) -> Result<UnixNanos, Error> {
    let mut newest = 0;
    for path in files.into_iter().chain([&options.folder.join("secrets")]) {
        let modified = fs::symlink_metadata(path).and_then(|data| data.modified());
        let modified = modified.map_err(Error::io(format!("look at {}", path.display())))?;
        let nanos = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        newest = newest.max(UnixNanos::try_from(nanos).unwrap_or(0));
    }
    Ok(newest)
}

fn objects_stream(namespace: String, secrets: &Secrets) -> Prepared {
    let file = |(name, secret): (&String, &serde_json::Value)| {
        (format!("secrets/{name}.json"), objects::canonical::bytes(secret))
    };
    let files: Arc<BTreeMap<String, Vec<u8>>> = Arc::new(secrets.iter().map(file).collect());
    let facts = vec![("secrets".to_owned(), secrets.len().to_string())];
    Prepared::new(Origin::Objects { namespace }, true, move |lanes: &mut Lanes| {
        objects::write(&files, lanes).map_err(SourceError::Member)?;
        Ok(Verdict { facts: facts.clone(), ..Verdict::proven(Proof::P3) })
    })
}

fn keys_stream(path: PathBuf, keys: ZuulKeys) -> Prepared {
    use std::os::unix::ffi::OsStringExt;
    let mut facts = vec![("keys".to_owned(), keys.len().to_string())];
    facts.extend(keys.newest_created().map(|created| ("newest-key".to_owned(), created.to_string())));
    let keys = Arc::new(keys);
    Prepared::new(Origin::File(path.into_os_string().into_vec()), false, move |lanes: &mut Lanes| {
        lanes.write(0, keys.canonical())?;
        Ok(Verdict { facts: facts.clone(), ..Verdict::proven(Proof::P3) })
    })
}

fn dump_stream(path: PathBuf) -> Prepared {
    use std::os::unix::ffi::OsStrExt;
    let origin = Origin::File(path.as_os_str().as_bytes().to_vec());
    Prepared::new(origin, false, move |lanes: &mut Lanes| {
        let mut file = open(&path).map_err(|error| SourceError::Content(Box::new(error)))?;
        let mut check = DumpCheck::default();
        let mut give = |bytes: &[u8]| {
            check.push(bytes);
            lanes.write(0, bytes)
        };
        let mut buffer = vec![0; HEAD];
        let mut head = Vec::new();
        (&mut file).take(HEAD as u64).read_to_end(&mut head)?;
        give(&without_database(&head))?;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => give(&buffer[..read])?,
            }
        }
        let facts = check.finish().map_err(|error| SourceError::Content(Box::new(error)))?;
        Ok(Verdict { facts: database::rows(&facts), ..Verdict::proven(Proof::P3) })
    })
}

/// The beginning of a dump without the lines that choose its database: so it can be loaded into any.
fn without_database(head: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(head.len());
    let mut before_tables = true;
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        let begins = |words: &[&[u8]]| words.iter().any(|word| line.starts_with(word));
        before_tables &= !begins(&[b"DROP TABLE", b"CREATE TABLE", b"INSERT"]);
        if !(before_tables && begins(&[b"CREATE DATABASE ", b"USE `"])) {
            kept.extend_from_slice(line);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::without_database;

    #[test]
    fn only_the_choice_of_the_database_goes() {
        let head = b"-- MariaDB dump\n\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `zuul`;\n\nUSE `zuul`;\nDROP TABLE IF EXISTS `t`;\nUSE `x`;\n";
        let kept = b"-- MariaDB dump\n\n\nDROP TABLE IF EXISTS `t`;\nUSE `x`;\n";
        assert_eq!(without_database(head), kept);
    }
}
