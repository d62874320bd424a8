//! Doing something again when its answer was lost, or the store was busy.

use std::time::Duration;

/// How often something is tried, and with which pauses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    first: Duration,
    attempts: u32,
}

impl Default for Retry {
    fn default() -> Self {
        // With the crate's own attempts inside each: half a minute of an outage, and then some.
        Self { first: Duration::from_millis(100), attempts: 8 }
    }
}

impl Retry {
    /// The pauses between attempts: each twice as long as the one before.
    pub(super) fn waits(self) -> impl Iterator<Item = Duration> {
        (0..self.attempts.saturating_sub(1)).map(move |number| self.first.saturating_mul(1 << number.min(16)))
    }

    /// Tries until it works, the answer is final, or there were enough attempts.
    pub(super) async fn run<T, F>(self, attempt: impl Fn() -> F) -> Result<T, object_store::Error>
    where
        F: Future<Output = Result<T, object_store::Error>>,
    {
        let mut waits = self.waits();
        loop {
            let error = match attempt().await {
                Err(error) if !is_final(&error) => error,
                other => return other,
            };
            let Some(wait) = waits.next() else { return Err(error) };
            tokio::time::sleep(wait).await;
        }
    }
}

/// True for an answer that another attempt would not change.
pub(super) fn is_final(error: &object_store::Error) -> bool {
    is_invalid(error)
        || says(error, "NoSuchBucket")
        || !matches!(error, object_store::Error::Generic { .. } | object_store::Error::JoinError { .. })
}

/// True if S3 does not do such a thing with this bucket. The code is in the body of the answer only, which the crate gives
/// as text.
pub(super) fn is_invalid(error: &object_store::Error) -> bool {
    says(error, "InvalidRequest")
}

fn says(error: &object_store::Error, code: &str) -> bool {
    let object_store::Error::Generic { source, .. } = error else { return false };
    source.to_string().contains(&format!("<Code>{code}</Code>"))
}
