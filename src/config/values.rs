//! Values as people write them in a file.

use std::time::Duration;

use serde::Deserialize;

use crate::ids::{ParseIdError, RepoId};
use crate::k8s::Resource;
use crate::source::pod::PodCommand;

/// Reads a length of time, such as `90s`, `1h 30m` or `2d`; a day has 24 hours, a week seven days.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time such as `90s`, `15m`, `1h 30m` or `2d`");
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let exact = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(exact).ok().filter(|span| !span.is_zero()).ok_or_else(wrong)
}

/// Reads a number of bytes, such as `512MiB`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size such as `512MiB` or `2GiB`");
    let (digits, unit) = text.split_at(text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// A length of time.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span(pub(super) Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_span(&text).map(Self)
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Size(pub(super) u64);

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_size(&text).map(Self)
    }
}

/// The id of a repository.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ExpectedId(pub(super) RepoId);

impl TryFrom<String> for ExpectedId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: ParseIdError| error.to_string())
    }
}

/// A command: a line for a shell, or a program and its arguments.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a command is a line for a shell, or a list of a program and its arguments")]
pub(super) enum Command {
    Line(String),
    Words(Vec<String>),
}

impl Command {
    /// True if it would run nothing, and so succeed.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Line(line) => line.trim().is_empty(),
            Self::Words(words) => words.first().is_none_or(String::is_empty),
        }
    }
}

impl From<Command> for PodCommand {
    fn from(command: Command) -> Self {
        match command {
            Command::Line(line) => Self::Shell(line),
            Command::Words(words) => Self::Program(words),
        }
    }
}

/// Reads `TYPE[.GROUP]` or `TYPE.VERSION.GROUP`, as `kubectl` writes them, and a name behind a slash.
pub(super) fn parse_resource(text: &str) -> Result<(Resource, Option<String>), String> {
    let (kind, name) = text.split_once('/').map_or((text, None), |(kind, name)| (kind, Some(name.to_owned())));
    let is_version = |word: &str| word.starts_with('v') && word[1..].starts_with(|first: char| first.is_ascii_digit());
    let (plural, group) = kind.split_once('.').unwrap_or((kind, ""));
    let (version, group) = match group.split_once('.') {
        Some((version, rest)) if is_version(version) => (version, rest),
        _ if is_version(group) => (group, ""),
        _ => ("v1", group),
    };
    let is_plain = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
    };
    if plural.is_empty() || !is_plain(kind) {
        return Err(format!(
            "`{text}` is no type of objects such as `secrets`, `deployments.apps` or `configmaps/NAME`"
        ));
    }
    Ok((Resource::of(group, version, plural), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_kubectl_writes_them() {
        for (text, group, version, plural, name) in [
            ("secrets", "", "v1", "secrets", None),
            ("configmaps/ca", "", "v1", "configmaps", Some("ca")),
            ("deployments.apps", "apps", "v1", "deployments", None),
            ("forges.v1beta1.example.com/one", "example.com", "v1beta1", "forges", Some("one")),
            ("roles.rbac.authorization.k8s.io", "rbac.authorization.k8s.io", "v1", "roles", None),
        ] {
            let read = parse_resource(text).expect(text);
            assert_eq!(read, (Resource::of(group, version, plural), name.map(str::to_owned)), "{text}");
        }
        assert!(parse_resource("Secret").is_err() && parse_resource("").is_err());
    }

    #[test]
    fn lengths_and_sizes_are_read() {
        let span = |text: &str| Span::try_from(text.to_owned()).map(|span| span.0.as_secs());
        assert_eq!((span("90s"), span("1h 30m"), span("1w 2d")), (Ok(90), Ok(5400), Ok(777_600)));
        assert!(span("1mo").is_err(), "a month has no length");
        assert!(span("soon").is_err() && span("-1h").is_err() && span("0s").is_err());
        let size = |text: &str| Size::try_from(text.to_owned()).map(|size| size.0);
        assert_eq!((size("512MiB"), size("7")), (Ok(512 << 20), Ok(7)));
        assert!(size("1GB").is_err() && size("99999999999999TiB").is_err());
    }
}
