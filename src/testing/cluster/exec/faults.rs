//! What may go wrong with an exec session, on demand.

use std::sync::{Mutex, PoisonError};

use super::protocol::Dialects;

/// One way to go wrong. Bytes are those of standard output, unless it says otherwise; when there are fewer of them,
/// nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// After this many bytes the rest is lost, and the status is `Success` none the less.
    CutThenSuccess(u64),
    /// After this many bytes the session is closed without a status.
    CutWithoutStatus(u64),
    /// These many bytes are lost after this many that arrive; all else is as ever.
    Lose {
        /// How many bytes arrive before.
        after: u64,
        /// How many are lost.
        bytes: u64,
    },
    /// The server speaks v4 only: it has no end of standard input.
    OnlyV4,
    /// The server takes no notice of subprotocols.
    NoSubprotocol,
    /// After this many bytes nothing comes any more, and the connection stays.
    Stall(u64),
    /// Standard error has no end.
    EndlessStderr,
    /// After this many bytes the process is killed.
    Kill(u64),
    /// After this many bytes the connection is gone, without a word.
    Disconnect(u64),
    /// After this many bytes, each frame takes this long: a slow network.
    Delay {
        /// How many bytes arrive before.
        after: u64,
        /// How long a frame takes then.
        millis: u64,
    },
    /// After this many bytes of standard input the rest of it is lost; its end is not.
    LoseStdin(u64),
    /// After this many bytes of standard input the connection is gone, without a word. The process hears an end of its
    /// input.
    DisconnectInput(u64),
    /// After this many bytes of standard input the process and all that it started are killed, and the connection is
    /// gone.
    KillInput(u64),
    /// The session is refused with this HTTP code: 403, 429, and 500 for all others.
    Refuse(u16),
}

impl Fault {
    pub(super) fn dialects(self) -> Dialects {
        match self {
            Self::OnlyV4 => Dialects::OnlyV4,
            Self::NoSubprotocol => Dialects::None,
            _ => Dialects::All,
        }
    }
}

/// Which sessions go wrong, how, and how often.
#[derive(Clone, Debug)]
pub struct Planned {
    container: String,
    command: String,
    fault: Fault,
    always: bool,
}

impl Planned {
    /// The next session in this container whose command, joined by spaces, contains this text.
    pub fn once(container: &str, command: &str, fault: Fault) -> Self {
        Self { container: container.to_owned(), command: command.to_owned(), fault, always: false }
    }

    /// All such sessions.
    pub fn always(container: &str, command: &str, fault: Fault) -> Self {
        Self { always: true, ..Self::once(container, command, fault) }
    }
}

/// The faults that are still to come.
#[derive(Debug, Default)]
pub(in crate::testing::cluster) struct Plan(Mutex<Vec<Planned>>);

impl Plan {
    pub(in crate::testing::cluster) fn add(&self, planned: Planned) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(planned);
    }

    /// Plans nothing for this container any more.
    pub(in crate::testing::cluster) fn forget(&self, container: &str) {
        let mut plan = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plan.retain(|planned| planned.container != container);
    }

    /// The first fault for this session.
    pub(super) fn take(&self, container: &str, command: &[String]) -> Option<Fault> {
        let command = command.join(" ");
        let mut plan = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |planned: &Planned| planned.container == container && command.contains(&planned.command);
        let at = plan.iter().position(fits)?;
        let fault = plan[at].fault;
        if !plan[at].always {
            plan.remove(at);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_for_their_sessions_and_used_once_or_always() {
        let plan = Plan::default();
        plan.add(Planned::once("db", "dump", Fault::Kill(1)));
        plan.add(Planned::always("db", "dump", Fault::OnlyV4));
        let command = ["sh".to_owned(), "-c".to_owned(), "mysqldump zuul".to_owned()];
        assert_eq!(plan.take("web", &command), None);
        assert_eq!(plan.take("db", &command[..2]), None);
        assert_eq!(plan.take("db", &command), Some(Fault::Kill(1)));
        assert_eq!(plan.take("db", &command), Some(Fault::OnlyV4));
        assert_eq!(plan.take("db", &command), Some(Fault::OnlyV4));
    }
}
