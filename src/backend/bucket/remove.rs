//! Removing objects, and stores that refuse to: some keep each object for a time (Azure's immutable blobs, retention in
//! Google's), some credentials may only add. A refusal loses nothing: nobody relies on an object being gone
//! (docs/gc-protocol.md). What stays is counted, and somebody asks again later.

use futures_util::{StreamExt, stream};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};

use super::{Bucket, Outcome};

/// True if the store will not do it, now or with this credential, and another attempt would not change that.
pub(super) fn is_refusal(error: &Error) -> bool {
    match error {
        Error::PermissionDenied { .. } | Error::Precondition { .. } | Error::AlreadyExists { .. } => true,
        // The answer for one object of several, which the crate does not tell apart: Amazon's word, Azure's numbers.
        Error::Generic { source, .. } => {
            let text = source.to_string();
            ["code: AccessDenied", "code: 403", "code: 409", "code: 412"].iter().any(|code| text.contains(code))
        }
        _ => false,
    }
}

/// What came of one removal: nothing, or why the object stays.
fn settle<T>(answer: Outcome<T>) -> Outcome<Option<Error>> {
    match answer {
        Ok(_) | Err(Error::NotFound { .. }) => Ok(None),
        Err(error) if is_refusal(&error) => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

impl Bucket {
    /// Removes objects in as few requests as the store allows, and says which it refused to remove, and why.
    pub(super) fn delete(&self, paths: &[Path]) -> Outcome<Vec<(Path, Error)>> {
        self.run(|| async {
            let answers = match paths {
                [path] => vec![settle(self.store.delete(path).await)?],
                _ => self.delete_several(paths).await?,
            };
            Ok(paths.iter().zip(answers).filter_map(|(path, why)| Some((path.clone(), why?))).collect())
        })
    }

    /// One answer for each path.
    async fn delete_several(&self, paths: &[Path]) -> Outcome<Vec<Option<Error>>> {
        let mut one_each = Vec::with_capacity(paths.len());
        let mut answers = self.store.delete_stream(stream::iter(paths.to_vec()).map(Ok).boxed());
        while let Some(answer) = answers.next().await {
            one_each.push(settle(answer)?);
        }
        if one_each.len() == paths.len() {
            return Ok(one_each);
        }
        // A refused request for many has one answer: each object is asked for by itself then.
        one_each.clear();
        for path in paths {
            one_each.push(settle(self.store.delete(path).await)?);
        }
        Ok(one_each)
    }
}
