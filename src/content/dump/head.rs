//! The first lines: the sandbox line of newer clients, then the comment with the client's version.

use super::Fault;

/// No line of the head is longer, in bytes.
const LONGEST: usize = 512;

const SANDBOX: [&[u8]; 2] = [br"/*M!999999\-", br"/*!999999\-"];
const CLIENTS: [&str; 2] = ["-- MariaDB dump ", "-- MySQL dump "];

/// Reads lines until it has met the client's.
#[derive(Debug, Default)]
pub(super) struct Head {
    line: Vec<u8>,
    done: bool,
    pub(super) sandbox: bool,
    pub(super) client: Option<String>,
}

impl Head {
    /// Takes what belongs to the head; returns how many bytes that is.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut taken = 0;
        while !self.done && taken < bytes.len() {
            let rest = &bytes[taken..];
            let end = memchr::memchr(b'\n', rest);
            let part = &rest[..end.unwrap_or(rest.len())];
            if self.line.len() + part.len() > LONGEST {
                return Err(Fault::Head);
            }
            self.line.extend_from_slice(part);
            taken += part.len();
            if end.is_some() {
                taken += 1;
                self.end_line()?;
            }
        }
        Ok(taken)
    }

    /// The bytes have ended.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        // What breaks off in its first lines may well have been a dump; what says nothing was none.
        let begun = self.sandbox || CLIENTS.iter().any(|client| self.line.starts_with(client.as_bytes()));
        match (self.done, begun) {
            (true, _) => Ok(()),
            (false, true) => Err(Fault::Unfinished),
            (false, false) => Err(Fault::Head),
        }
    }

    fn end_line(&mut self) -> Result<(), Fault> {
        let line = String::from_utf8_lossy(self.line.trim_ascii_end()).into_owned();
        if !self.sandbox && SANDBOX.iter().any(|start| self.line.starts_with(start)) {
            self.sandbox = true;
        } else if let Some(rest) = CLIENTS.iter().find_map(|client| line.strip_prefix(client)) {
            self.client = version(rest);
            self.done = true;
        } else if !line.is_empty() {
            return Err(Fault::Head);
        }
        self.line.clear();
        Ok(())
    }
}

/// The version in `10.19  Distrib 10.11.18-MariaDB, for Linux` and in `10.19-11.4.2-MariaDB, for Linux`, where the
/// first number is that of the tool itself.
fn version(text: &str) -> Option<String> {
    let text = text.split(',').next().unwrap_or(text);
    let distribution = text.split_once("Distrib ").or_else(|| text.split_once('-'));
    let version = distribution.map_or(text, |(_, version)| version).trim();
    (!version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, expected) in [
            ("10.19  Distrib 10.11.18-MariaDB, for debian-linux-gnu (x86_64)", "10.11.18-MariaDB"),
            ("10.19-11.4.2-MariaDB, for Linux (x86_64)", "11.4.2-MariaDB"),
            ("10.13  Distrib 8.0.36, for Linux (x86_64)", "8.0.36"),
            ("10.13", "10.13"),
        ] {
            assert_eq!(version(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(version(""), None);
    }
}
