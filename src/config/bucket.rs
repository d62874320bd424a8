//! How a repository in a bucket is used, as the file says it.

use std::time::Duration;

use serde::Deserialize;

use super::values::parse_span;
use crate::backend::bucket::connect::{Addressing, parse_endpoint};
use crate::backend::bucket::lock::Mode;
use crate::limits;

/// What the file says of a repository in a bucket; what it does not say is as without a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bucket {
    /// The URL of its servers.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Where its name goes.
    pub addressing: Option<Addressing>,
    /// For how long what is put there is locked.
    pub lock_for: Option<Duration>,
    /// Who may lift a lock sooner.
    pub lock_mode: Option<Mode>,
}

/// Reads a length of time for which objects may be locked.
pub fn parse_lock_period(text: &str) -> Result<Duration, String> {
    let period = parse_span(text)?;
    if limits::LOCK_PERIODS.contains(&period) {
        return Ok(period);
    }
    let days = |period: &Duration| period.as_secs() / (24 * 3600);
    let (from, to) = (days(limits::LOCK_PERIODS.start()), days(limits::LOCK_PERIODS.end()));
    Err(format!("objects are locked for {from} to {to} days; what is needed for longer, `sfarc prune` locks anew"))
}

/// The URL of a bucket's servers.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Endpoint(pub(super) String);

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_endpoint(&text).map(Self)
    }
}

/// For how long objects are locked.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct LockPeriod(pub(super) Duration);

impl TryFrom<String> for LockPeriod {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_lock_period(&text).map(Self)
    }
}

/// Where the name of a bucket goes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AddressingName {
    Path,
    Virtual,
}

impl From<AddressingName> for Addressing {
    fn from(name: AddressingName) -> Self {
        match name {
            AddressingName::Path => Self::Path,
            AddressingName::Virtual => Self::Virtual,
        }
    }
}

/// Who may lift a lock before its end.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ModeName {
    Compliance,
    Governance,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Compliance => Self::Compliance,
            ModeName::Governance => Self::Governance,
        }
    }
}
