//! The protocols of an exec session: which one is spoken, and how it tells the end.

use crate::testing::cluster::status::{Cause, Details, Status};

/// A subprotocol of the WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// With an end of standard input.
    V5,
    /// With a status as JSON.
    V4,
    /// With an error as text, and nothing for success.
    V1,
    /// No subprotocol was asked for: no status at all.
    Bare,
}

/// What a server can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialects {
    All,
    OnlyV4,
    /// Takes no notice of the protocols that are offered.
    None,
}

impl Protocol {
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::V5 => Some("v5.channel.k8s.io"),
            Self::V4 => Some("v4.channel.k8s.io"),
            Self::V1 => Some("channel.k8s.io"),
            Self::Bare => None,
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::V5, Self::V4, Self::V1].into_iter().find(|protocol| protocol.name() == Some(name))
    }

    /// Chooses among the offered protocols, or nothing if none of them is known. The API server itself speaks v5 with
    /// all who offer it; the others are left to the kubelet, which takes the first that it knows.
    pub(super) fn negotiate(offered: &[String], dialects: Dialects) -> Option<Self> {
        if offered.is_empty() || dialects == Dialects::None {
            return Some(Self::Bare);
        }
        let known: Vec<Self> = offered.iter().filter_map(|name| Self::named(name)).collect();
        match dialects {
            Dialects::OnlyV4 => known.into_iter().find(|&protocol| protocol == Self::V4),
            _ if known.contains(&Self::V5) => Some(Self::V5),
            _ => known.first().copied(),
        }
    }

    /// What stands on the status channel at the end, if anything.
    pub(super) fn status(self, status: &Status) -> Option<String> {
        match self {
            Self::V5 | Self::V4 => Some(status.text()),
            Self::V1 if status.is_success() => None,
            Self::V1 => Some(status.message().to_owned()),
            Self::Bare => None,
        }
    }

    /// The status of a process that ended. In v5 the API server words it, in the others the container runtime does.
    pub(super) fn exit(self, code: i32, command: &[String]) -> Status {
        if code == 0 {
            return Status::exec_success();
        }
        let what = match self {
            Self::V5 => format!("command terminated with exit code {code}"),
            _ => format!("error executing command [{}], exit code {code}", command.join(" ")),
        };
        let message = format!("command terminated with non-zero exit code: {what}");
        let cause = Cause { reason: "ExitCode", message: code.to_string(), ..Cause::default() };
        let details = Details { causes: vec![cause], ..Details::default() };
        Status::failed_exec(0, "NonZeroExitCode", message).about(details)
    }

    /// The status of a command that could not be started; the API server adds its own words to the runtime's.
    pub(super) fn not_started(self, id: &str, why: &str) -> Status {
        let runtime = format!(
            "error executing command in container: failed to exec in container: failed to start exec \"{id}\": \
             OCI runtime exec failed: exec failed: unable to start container process: {why}: unknown"
        );
        let what = if self == Self::V5 { format!("Internal error occurred: {runtime}") } else { runtime };
        let cause = Cause { message: what.clone(), ..Cause::default() };
        let details = Details { causes: vec![cause], ..Details::default() };
        Status::failed_exec(500, "InternalError", format!("Internal error occurred: {what}")).about(details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiate(offered: &[&str], dialects: Dialects) -> Option<Protocol> {
        let offered: Vec<String> = offered.iter().map(|&name| name.to_owned()).collect();
        Protocol::negotiate(&offered, dialects)
    }

    #[test]
    fn protocols_are_chosen_as_a_cluster_does() {
        let (v5, v4, v1) = ("v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io");
        assert_eq!(negotiate(&[v4, v5], Dialects::All), Some(Protocol::V5));
        assert_eq!(negotiate(&[v1, v4], Dialects::All), Some(Protocol::V1));
        assert_eq!(negotiate(&[v5, v4], Dialects::OnlyV4), Some(Protocol::V4));
        assert_eq!(negotiate(&[v5], Dialects::OnlyV4), None);
        assert_eq!(negotiate(&["v9.channel.k8s.io"], Dialects::All), None);
        assert_eq!(negotiate(&[v5], Dialects::None), Some(Protocol::Bare));
        assert_eq!(negotiate(&[], Dialects::All), Some(Protocol::Bare));
    }
}
