//! What may go wrong with a REST request, on demand.

use std::sync::{Mutex, PoisonError};

use super::status::Status;

/// One way to go wrong. A `u16` is a [`Self::Code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// It is refused with this HTTP code: 429 with `Retry-After: 1`, 503, and 500 for all others. Nothing is done.
    Code(u16),
    /// The connection is reset. Nothing is done.
    Reset,
    /// What was asked for is done, and then the connection is reset: the client cannot know.
    LoseAnswer,
}

impl From<u16> for RequestFault {
    fn from(code: u16) -> Self {
        Self::Code(code)
    }
}

/// The answer with such a code.
pub(super) fn refusal(code: u16) -> Status {
    match code {
        429 => Status::too_many_requests(),
        503 => Status::unavailable(),
        _ => Status::internal("refused by the fault plan"),
    }
}

#[derive(Debug)]
struct Planned {
    method: String,
    path: String,
    fault: RequestFault,
    left: usize,
}

/// The failures that are still to come.
#[derive(Debug, Default)]
pub(super) struct Failures {
    planned: Mutex<Vec<Planned>>,
    /// How many requests are answered before none is.
    answered: Mutex<Option<u64>>,
}

impl Failures {
    pub(super) fn add(&self, method: &str, path: &str, fault: RequestFault, times: usize) {
        let planned = Planned { method: method.to_owned(), path: path.to_owned(), fault, left: times };
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).push(planned);
    }

    /// Answers this many more requests, then none; or all again.
    pub(super) fn stop_after(&self, requests: Option<u64>) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = requests;
    }

    /// True if this request is not answered.
    pub(super) fn is_stopped(&self) -> bool {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *answered {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// The first failure for this request.
    pub(super) fn take(&self, method: &str, path: &str) -> Option<RequestFault> {
        let mut plan = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let is_for =
            |of: &&mut Planned| of.left > 0 && (of.method == "*" || of.method == method) && path.contains(&of.path);
        let planned = plan.iter_mut().find(is_for)?;
        planned.left -= 1;
        Some(planned.fault)
    }
}
