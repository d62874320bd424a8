//! Object Lock: what is put stays for a time, whoever asks for its removal. What is still needed near the end of that
//! time is locked anew; no lock ever ends sooner than before (docs/decisions/0016).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::Extensions;
use jiff::Timestamp;
use md5::{Digest, Md5};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore, PutMode, PutOptions, PutPayload};

use super::amend::{Amendment, Signer, Until};
use super::remove::is_refusal;
use super::{Bucket, Outcome};
use crate::backend::Kind;
use crate::env::{Clock, UnixNanos};

/// Requests for new locks that are under way at once.
const AT_ONCE: usize = 16;

/// Who may lift a lock before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nobody, the owner of the account included.
    #[default]
    Compliance,
    /// Whoever has a permission of its own for that (`s3:BypassGovernanceRetention`).
    Governance,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compliance => "COMPLIANCE",
            Self::Governance => "GOVERNANCE",
        })
    }
}

/// How what is put is locked.
#[derive(Clone)]
pub struct Lock {
    /// For how long.
    pub period: Duration,
    /// Who may lift it.
    pub mode: Mode,
    /// What the time is: locks have an end, not a length.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lock({} for {:?})", self.mode, self.period)
    }
}

impl Lock {
    /// When a lock ends that begins now; whole seconds.
    fn until(&self) -> Timestamp {
        let period = UnixNanos::try_from(self.period.as_nanos()).unwrap_or(UnixNanos::MAX);
        let end = self.clock.now().saturating_add(period);
        Timestamp::from_second(end / 1_000_000_000).unwrap_or(Timestamp::MAX)
    }
}

/// Locks, and who signs the requests for them.
#[derive(Debug, Clone)]
pub struct Locks {
    pub(super) lock: Lock,
    pub(super) signer: Option<Signer>,
}

/// True if objects of this kind are locked: those that a repository is made of. What says who is at work must go soon.
pub(super) const fn is_locked(kind: Kind) -> bool {
    !matches!(kind, Kind::Sessions)
}

fn digest(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

impl Locks {
    /// How long.
    pub(super) const fn period(&self) -> Duration {
        self.lock.period
    }

    /// Makes a put of these bytes one of a locked object.
    pub(super) fn on_put(&self, bytes: &Bytes) -> Extensions {
        let headers = vec![
            ("x-amz-object-lock-mode", self.lock.mode.to_string()),
            ("x-amz-object-lock-retain-until-date", self.lock.until().to_string()),
            ("content-md5", digest(bytes)),
        ];
        self.amend(None, headers)
    }

    fn amend(&self, part: Option<&'static str>, headers: Vec<(&'static str, String)>) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(Amendment { part, headers, signer: self.signer.clone() });
        extensions
    }
}

impl Bucket {
    /// Locks objects for the whole period from now on, and says of how many that moved the end.
    pub(super) fn extend(&self, locks: &Locks, paths: &[Path]) -> Outcome<u64> {
        self.handle.block_on(async {
            let requests = paths.iter().map(|path| self.retry.run(move || self.extend_one(locks, path)));
            let answers = stream::iter(requests).buffer_unordered(AT_ONCE);
            answers.try_fold(0, |count, is_new| std::future::ready(Ok(count + u64::from(is_new)))).await
        })
    }

    async fn extend_one(&self, locks: &Locks, path: &Path) -> Outcome<bool> {
        let until = locks.lock.until();
        let xml = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>",
            locks.lock.mode
        );
        let extensions = locks.amend(Some("retention"), vec![("content-md5", digest(xml.as_bytes()))]);
        // The condition is taken off where the request becomes one about the lock. A client that did not do that would be
        // refused, and could not replace the object.
        let options = PutOptions { mode: PutMode::Create, extensions, ..PutOptions::default() };
        match self.store.put_opts(path, PutPayload::from(xml), options).await {
            Ok(_) => Ok(true),
            // Removed since it was listed.
            Err(Error::NotFound { .. }) => Ok(false),
            // A store refuses to let a lock end sooner.
            Err(error) if is_refusal(&error) => match self.locked_until(path).await? {
                Some(end) if end >= until => Ok(false),
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// When the lock of an object ends, if it has one and we may know.
    async fn locked_until(&self, path: &Path) -> Outcome<Option<Timestamp>> {
        let head = self.store.get_opts(path, GetOptions { head: true, ..GetOptions::default() }).await?;
        Ok(head.extensions.get::<Until>().and_then(|until| until.0.parse().ok()))
    }
}
