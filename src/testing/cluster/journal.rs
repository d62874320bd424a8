//! What the cluster was asked for.

use crate::sync::{Mutex, locked};

/// A pod, a container and a command.
pub(super) type Asked = (String, String, Vec<String>);

/// Requests and sessions, in their order.
#[derive(Debug, Default)]
pub(super) struct Journal {
    requests: Mutex<Vec<(String, String)>>,
    sessions: Mutex<Vec<Asked>>,
}

impl Journal {
    pub(super) fn add_request(&self, method: &str, path: &str) {
        locked(&self.requests).push((method.to_owned(), path.to_owned()));
    }

    pub(super) fn add_session(&self, pod: &str, container: &str, command: &[String]) {
        locked(&self.sessions).push((pod.to_owned(), container.to_owned(), command.to_vec()));
    }

    pub(super) fn requests(&self) -> Vec<(String, String)> {
        locked(&self.requests).clone()
    }

    pub(super) fn sessions(&self) -> Vec<Asked> {
        locked(&self.sessions).clone()
    }
}
