//! The export of Zuul's keys (`zuul-admin export-keys`): one form for equal keys, and a proof that they open.
//!
//! | file | what it knows |
//! |---|---|
//! | `export.rs` | what is in the file: one object, paths, versions |
//! | `compare.rs` | what two exports have in common |
//! | `value.rs` | JSON in memory that is wiped, written in one way only |
//! | `pem.rs` | classic encrypted PEM (RFC 1421), as OpenSSL writes it |

mod compare;
mod export;
mod pem;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::rsa::KeyPair;
use zeroize::Zeroizing;

pub use compare::Comparison;
use export::PrivateKey;
use pem::{Pem, PemFault};

/// The private keys of a Zuul: of projects for secrets and for SSH, and of tenants.
pub struct ZuulKeys {
    canonical: Zeroizing<Vec<u8>>,
    keys: Vec<PrivateKey>,
    paths: Vec<String>,
}

impl fmt::Debug for ZuulKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZuulKeys({} secret)", self.keys.len())
    }
}

/// Why an export is not to be trusted. None of this quotes keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// It is not JSON, or broken off.
    #[error("it is not whole JSON: line {line}, column {column}")]
    Json {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// Something follows the export. `zuul-admin` writes over a file without making it shorter.
    #[error("something follows the export: line {line}, column {column}; it may be the rest of an older, longer one")]
    Trailing {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// Of two fields with one name, programs take this or that.
    #[error("{place}: two fields have the same name")]
    Duplicate {
        /// The path of the keys, or `the export`.
        place: String,
    },
    /// A whole number that cannot be kept as it is.
    #[error("{place}: a number is too large")]
    Number {
        /// The path of the keys, or `the export`.
        place: String,
    },
    /// A field is missing or of another type.
    #[error("{place}: {field:?} is missing or has the wrong type")]
    Field {
        /// The path of the keys, or `the export`.
        place: String,
        /// The field.
        field: &'static str,
    },
    /// The keys are stored in a way that is not known.
    #[error("{path}: the schema is not 1")]
    Schema {
        /// The path.
        path: String,
    },
    /// An import stops at such a path, and ends as if all were well.
    #[error("{path}: the path does not begin with /keystorage")]
    Path {
        /// The path.
        path: String,
    },
    /// A path without keys.
    #[error("{path}: there are no keys")]
    NoKeys {
        /// The path.
        path: String,
    },
    /// Two keys of a path have one version.
    #[error("{path}: version {version} is there twice")]
    Version {
        /// The path.
        path: String,
        /// The version.
        version: u64,
    },
    /// The key is not what Zuul stores.
    #[error("{path}, version {version}: it is not a PEM block \"RSA PRIVATE KEY\", or it is damaged")]
    Pem {
        /// The path.
        path: String,
        /// The version.
        version: u64,
    },
    /// The key is there for everybody to read.
    #[error("{path}, version {version}: the key is not encrypted")]
    NotEncrypted {
        /// The path.
        path: String,
        /// The version.
        version: u64,
    },
    /// The key is encrypted with a cipher that is not read here.
    #[error("{path}, version {version}: the key's cipher is not AES-CBC")]
    Cipher {
        /// The path.
        path: String,
        /// The version.
        version: u64,
    },
    /// The key does not open.
    #[error("{path}, version {version}: the key does not open: the password is another, or the key is damaged")]
    WrongPassword {
        /// The path.
        path: String,
        /// The version.
        version: u64,
    },
    /// The key opens, but it is none.
    #[error("{path}, version {version}: the key opens, but is no sound RSA key of 2048 bits or more")]
    Inconsistent {
        /// The path.
        path: String,
        /// The version.
        version: u64,
    },
}

impl ZuulKeys {
    /// Reads an export.
    ///
    /// # Errors
    ///
    /// If it is not exactly one export with sound paths, or not all of it would be imported. The keys themselves are not
    /// looked at: see [`prove`](Self::prove).
    pub fn parse(bytes: &[u8]) -> Result<Self, KeysError> {
        let export = export::parse(bytes)?;
        Ok(Self { canonical: export.canonical(), paths: export.paths(), keys: export.keys })
    }

    /// The export in the one form that equal keys have: a JSON object that `zuul-admin import-keys` takes, with sorted
    /// fields and one key per line. The keys of a path stay in their order, as Zuul uses the first.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// The number of private keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The paths of the keys, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// When the newest key was made, in seconds since 1970, if any key says so.
    pub fn newest_created(&self) -> Option<i64> {
        self.keys.iter().filter_map(|key| key.created).max()
    }

    /// Opens every key with the keystore's password and checks that it is a sound RSA key.
    ///
    /// # Errors
    ///
    /// The first key that is not sound, not encrypted, or does not open.
    pub fn prove(&self, password: &[u8]) -> Result<(), KeysError> {
        self.keys.iter().try_for_each(|key| prove(key, password))
    }
}

fn prove(key: &PrivateKey, password: &[u8]) -> Result<(), KeysError> {
    let (path, version) = (key.path.clone(), key.version);
    let failed = match Pem::parse(&key.pem).and_then(|pem| pem.open(password)) {
        // Reading it includes the check that the numbers of the key belong together.
        Ok(der) if KeyPair::from_der(&der).is_ok() => return Ok(()),
        Ok(_) => KeysError::Inconsistent { path, version },
        Err(PemFault::Malformed) => KeysError::Pem { path, version },
        Err(PemFault::NotEncrypted) => KeysError::NotEncrypted { path, version },
        Err(PemFault::Cipher) => KeysError::Cipher { path, version },
        Err(PemFault::Closed) => KeysError::WrongPassword { path, version },
    };
    Err(failed)
}
