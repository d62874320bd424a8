//! Key files: of key slots, of roles, and identities of `age`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::crypto::keys::Secret;
use crate::env::Env;
use crate::error::Error;
use crate::repo::roles::parse_role_key;
use crate::repo::{Credential, Meant, RepoError};

const MAGIC: &str = "sfarc-key-1 ";
/// What lines of `age`'s identities begin with.
const IDENTITY: &str = "AGE-SECRET-KEY-1";

/// What is missing beside an identity.
const NOT_SAID: &str = "anybody who knows the recipient of a recovery key can make a repository that it opens: say which \
                        one you mean with --fingerprint (`sfarc key add --recovery` and `sfarc key list` print it). \
                        `--fingerprint none` opens any, with a warning";

/// What a key file opens; nothing if there is none. An identity of `age` opens the repository that is meant, and what is
/// meant must have been said.
pub(super) fn read(path: &Path, meant: Option<Meant>) -> Result<Option<Credential>, Error> {
    let text = match fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(format!("read the key file {}", path.display()))(error)),
    };
    if let Some(material) = parse(&text) {
        return Ok(Some(Credential::KeyFile(material)));
    }
    if let Some(identity) = text.lines().find(|line| line.starts_with(IDENTITY)) {
        let meant = meant.ok_or_else(|| Error::Usage(NOT_SAID.to_owned()))?;
        return Ok(Some(Credential::Identity { identity: Zeroizing::new(identity.trim_end().to_owned()), meant }));
    }
    let key = parse_role_key(&text).ok_or_else(|| RepoError::NoKeyFile(path.display().to_string()))?;
    Ok(Some(Credential::Role(Box::new(key))))
}

fn parse(text: &str) -> Option<Secret> {
    let digits = text.trim_end().strip_prefix(MAGIC)?;
    digits.parse::<crate::ids::ObjectId>().ok().map(|bytes| Zeroizing::new(*bytes.as_bytes()))
}

/// Makes a key file for a key slot, where there is none.
pub(super) fn make(path: &Path, env: &Env) -> Result<Credential, Error> {
    let material = Zeroizing::new(env.random::<32>());
    let digits = Zeroizing::new(crate::ids::ObjectId::new(*material).to_string());
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(MAGIC.as_bytes())?;
        file.write_all(digits.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    write().map_err(Error::io(format!("make the key file {}", path.display())))?;
    Ok(Credential::KeyFile(material))
}
