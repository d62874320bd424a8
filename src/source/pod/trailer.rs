//! The trailer that ends a stream out of a container: what the other side counted and hashed.

use aws_lc_rs::digest::{Context, SHA256};

use crate::format::manifest::Proof;

/// What runs in the container.
pub(super) const WRAPPER: &str = include_str!("wrapper.sh");

/// Ends the process group of the wrapper that was started with the same nonce.
pub(crate) const KILLER: &str = include_str!("killer.sh");

/// No trailer is longer, in bytes.
const LONGEST: usize = 256;

/// Made up for one run of the wrapper, so that nothing in a stream can be taken for its trailer.
#[derive(Debug, Clone)]
pub(crate) struct Nonce(pub(crate) String);

impl Nonce {
    pub(crate) fn new(random: [u8; 16]) -> Self {
        Self(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn beginning(&self) -> Vec<u8> {
        format!("\nsfarc end {} ", self.0).into_bytes()
    }
}

/// Why a stream with a trailer is not believed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrailerError {
    /// There is none: the end of the stream is missing.
    #[error("its end is missing: {received} bytes arrived, and no word on how many there were")]
    Missing {
        /// Bytes that arrived.
        received: u64,
    },
    /// What passes or counts the bytes in the container did not end well: they may not be all there were.
    #[error("`{helper}` in the container ended with exit code {exit}; {received} bytes arrived, which may not be all")]
    Helper {
        /// Which program.
        helper: &'static str,
        /// How it ended.
        exit: i32,
        /// Bytes that arrived.
        received: u64,
    },
    /// Bytes got lost or were added, where there is no digest.
    #[error("{received} bytes arrived of {sent} that were sent")]
    Count {
        /// Bytes that arrived.
        received: u64,
        /// Bytes that were sent.
        sent: u64,
    },
    /// Bytes got lost, were added or were changed.
    #[error(
        "{received} bytes arrived, and their digest is not that of what was sent: some are missing, added or changed"
    )]
    Digest {
        /// Bytes that arrived.
        received: u64,
    },
}

/// How a stream with a trailer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// The exit code of the command.
    pub(super) exit: i32,
    /// Bytes that preceded the trailer.
    pub(super) received: u64,
    /// How much was compared.
    pub(super) proof: Proof,
}

/// Takes what arrives, gives on what belongs to the stream, and keeps what may be the trailer.
pub(super) struct Tail {
    held: Vec<u8>,
    received: u64,
    digest: Context,
}

impl Tail {
    pub(super) fn new() -> Self {
        Self { held: Vec::with_capacity(2 * LONGEST), received: 0, digest: Context::new(&SHA256) }
    }

    /// Takes the next bytes; what is certainly of the stream goes to `give`.
    pub(super) fn push<E>(&mut self, bytes: &[u8], give: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let spare = (self.held.len() + bytes.len()).saturating_sub(LONGEST);
        let (of_held, of_bytes) = (spare.min(self.held.len()), spare.saturating_sub(self.held.len()));
        for part in [&self.held[..of_held], &bytes[..of_bytes]] {
            self.digest.update(part);
            self.received += part.len() as u64;
            give(part)?;
        }
        self.held.drain(..of_held);
        self.held.extend_from_slice(&bytes[of_bytes..]);
        Ok(())
    }

    /// Takes the trailer off and compares; gives what preceded it, too.
    pub(super) fn finish(mut self, nonce: &Nonce) -> (Vec<u8>, Result<End, TrailerError>) {
        let beginning = nonce.beginning();
        let place = self.held.windows(beginning.len()).rposition(|window| window == beginning);
        let words = place.and_then(|place| parse(&self.held[place + beginning.len()..]));
        let (Some(place), Some(words)) = (place, words) else {
            let received = self.received + self.held.len() as u64;
            return (Vec::new(), Err(TrailerError::Missing { received }));
        };
        self.held.truncate(place);
        self.digest.update(&self.held);
        let received = self.received + place as u64;
        (self.held, compare(&words, received, self.digest.finish().as_ref()))
    }
}

fn compare(words: &Words, received: u64, digest: &[u8]) -> Result<End, TrailerError> {
    let proof = match words.passed {
        Passed::Unseen => Proof::P0,
        Passed::Doubtful { helper, exit } => return Err(TrailerError::Helper { helper, exit, received }),
        Passed::Counted(sent) if sent != received => return Err(TrailerError::Count { received, sent }),
        Passed::Counted(_) => Proof::P1,
        Passed::Digested(sent) if sent[..] != *digest => return Err(TrailerError::Digest { received }),
        Passed::Digested(_) => Proof::P2,
    };
    Ok(End { exit: words.exit, received, proof })
}

/// What the container says of a command and of the bytes that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    /// The exit code of the command.
    pub(crate) exit: i32,
    /// The bytes that passed.
    pub(crate) passed: Passed,
}

/// What the container says of the bytes that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Passed {
    /// Nothing: there was nobody to count them.
    Unseen,
    /// A program between the command and here did not end well.
    Doubtful {
        /// Which one.
        helper: &'static str,
        /// How it ended.
        exit: i32,
    },
    /// How many they were.
    Counted(u64),
    /// Their SHA-256.
    Digested([u8; 32]),
}

impl Words {
    /// Those at the end of a short output.
    pub(crate) fn at_end(output: &[u8], nonce: &Nonce) -> Option<Self> {
        let beginning = nonce.beginning();
        let place = output.windows(beginning.len()).rposition(|window| window == beginning)?;
        parse(&output[place + beginning.len()..])
    }
}

/// Programs that digest, and the one that counts.
const TOOLS: [&str; 3] = ["openssl", "sha256sum", COUNTER];
const COUNTER: &str = "wc";

/// Reads `exit E tee E TOOL E sum SUM [FILE] .`, the pairs in any order; or `exit E .` where there are no such programs.
/// What has not said how it ended was killed. The full stop shows that nothing was cut off.
fn parse(trailer: &[u8]) -> Option<Words> {
    let text = std::str::from_utf8(trailer).ok()?.strip_suffix(" .\n")?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let after = |key: &str| words.iter().position(|word| *word == key).and_then(|place| words.get(place + 1));
    let exit = after("exit")?.parse().ok()?;
    if words.len() == 2 {
        return Some(Words { exit, passed: Passed::Unseen });
    }
    let tool = TOOLS.into_iter().find(|tool| after(tool).is_some())?;
    for helper in ["tee", tool] {
        match after(helper)?.parse().ok()? {
            0 => {}
            failed => return Some(Words { exit, passed: Passed::Doubtful { helper, exit: failed } }),
        }
    }
    let sum = after("sum")?;
    let passed = if tool == COUNTER { Passed::Counted(sum.parse().ok()?) } else { Passed::Digested(parse_hex(sum)?) };
    Some(Words { exit, passed })
}

fn parse_hex(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let pairs = hex.as_bytes().as_chunks::<2>();
    if hex.len() != 64 || !pairs.1.is_empty() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(pairs.0) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn nonce() -> Nonce {
        Nonce::new([7; 16])
    }

    /// What the wrapper writes for a command, through a pipe as in a container.
    fn wrapped(command: &str) -> Vec<u8> {
        let child = Command::new("sh").args(["-c", WRAPPER, &nonce().0, command]).stderr(Stdio::null()).output();
        child.expect("there is a shell").stdout
    }

    fn unwrapped(bytes: &[u8], piece: usize) -> (Vec<u8>, Result<End, TrailerError>) {
        let (mut tail, mut stream) = (Tail::new(), Vec::new());
        for bytes in bytes.chunks(piece) {
            let Ok(()) = tail.push::<std::convert::Infallible>(bytes, &mut |part| {
                stream.extend_from_slice(part);
                Ok(())
            });
        }
        let (rest, end) = tail.finish(&nonce());
        stream.extend(rest);
        (stream, end)
    }

    #[test]
    fn what_a_command_writes_is_proven() {
        for (command, exit, len) in [
            ("true", 0, 0),
            ("printf x", 0, 1),
            ("head -c 3000000 /dev/zero; exit 3", 3, 3_000_000),
            ("kill -9 $$", 137, 0),
            ("printf '\\nsfarc end '; exit 255", 255, 11),
        ] {
            for piece in [1, 7, 255, 256, 257, 32_768] {
                let (stream, end) = unwrapped(&wrapped(command), if len > 1000 { 32_768 } else { piece });
                assert_eq!(end, Ok(End { exit, received: len as u64, proof: Proof::P2 }), "{command} {piece}");
                assert_eq!(stream.len(), len, "{command} {piece}");
            }
        }
    }

    #[test]
    fn what_the_container_lacks_lowers_the_proof() {
        let tools = tempfile::tempdir().expect("a folder");
        let link = |tool: &str| {
            let found =
                Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().expect("a shell").stdout;
            let found = String::from_utf8(found).expect("a path");
            std::os::unix::fs::symlink(found.trim(), tools.path().join(tool)).expect("linked");
        };
        let taken = || {
            let wrapper = Command::new("/bin/sh")
                .args(["-c", WRAPPER, &nonce().0, "echo x; exit 3"])
                .env("PATH", tools.path())
                .output();
            unwrapped(&wrapper.expect("there is a shell").stdout, 100)
        };
        let end = |proof| Ok(End { exit: 3, received: 2, proof });
        for (tool, proof) in
            [("sh", Proof::P0), ("tee", Proof::P0), ("wc", Proof::P1), ("sha256sum", Proof::P2), ("openssl", Proof::P2)]
        {
            link(tool);
            assert_eq!(taken(), (b"x\n".to_vec(), end(proof)), "with {tool}");
        }
    }

    #[test]
    fn what_passed_is_known_only_if_all_helpers_say_that_they_ended_well() {
        let hex = "ab".repeat(32);
        for (words, passed) in [
            ("exit 0".to_owned(), Some(Passed::Unseen)),
            ("exit 0 tee 0 wc 0 sum 5".to_owned(), Some(Passed::Counted(5))),
            (format!("tee 0 exit 0 sha256sum 0 sum {hex} -"), Some(Passed::Digested([0xab; 32]))),
            (format!("exit 0 tee 137 openssl 0 sum {hex} *stdin"), Some(Passed::Doubtful { helper: "tee", exit: 137 })),
            (format!("exit 0 tee 0 openssl 1 sum {hex} *stdin"), Some(Passed::Doubtful { helper: "openssl", exit: 1 })),
            ("exit 0 tee 0 wc 137 sum".to_owned(), Some(Passed::Doubtful { helper: "wc", exit: 137 })),
            (format!("exit 0 openssl 0 sum {hex} *stdin"), None),
            (format!("exit 0 tee 0 sum {hex} *stdin"), None),
            ("exit 0 tee 0".to_owned(), None),
            ("exit 0 tee 0 wc 0 sum".to_owned(), None),
            ("tee 0 wc 0 sum 5".to_owned(), None),
            ("exit".to_owned(), None),
        ] {
            let parsed = parse(format!("{words} .\n").as_bytes());
            assert_eq!(parsed.map(|words| words.passed), passed, "{words}");
            assert_eq!(parse(format!("{words} ").as_bytes()), None, "{words} without its end");
        }
    }

    #[test]
    fn what_is_cut_added_or_changed_is_not_believed() {
        let whole = wrapped("seq 1000");
        for cut in 0..whole.len() {
            let (_, end) = unwrapped(&whole[..cut], 100);
            assert!(matches!(end, Err(TrailerError::Missing { .. })), "cut at {cut}: {end:?}");
        }
        let stream = whole.len() - 200;
        for at in (0..stream).step_by(37) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(matches!(unwrapped(&changed, 100).1, Err(TrailerError::Digest { .. })), "changed at {at}");
            changed.remove(at);
            assert!(matches!(unwrapped(&changed, 100).1, Err(TrailerError::Digest { .. })), "lost at {at}");
            changed.splice(at..at, *b"xx");
            assert!(matches!(unwrapped(&changed, 100).1, Err(TrailerError::Digest { .. })), "added at {at}");
        }
        let other = String::from_utf8_lossy(&whole).replace(&nonce().0, &Nonce::new([8; 16]).0);
        assert!(matches!(unwrapped(other.as_bytes(), 100).1, Err(TrailerError::Missing { .. })), "another's trailer");
    }
}
