//! Sources that break at any byte, are tried again by the real loop, and do not always say the same.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sfarc::engine::snapshot::{From, Input};
use sfarc::env::Env;
use sfarc::format::manifest::{Origin, Proof};
use sfarc::pipeline::lanes::Lanes;
use sfarc::source::pod::Bounds;
use sfarc::source::prepared::Prepared;
use sfarc::source::retry::retry;
use sfarc::source::{SourceError, Verdict};
use sfarc::sync;
use sfarc::sync::simulation::{self, Dice};

/// What a stream is, and its catalog if it has one.
pub(crate) type Contents = Vec<Vec<u8>>;

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything was written.
    Whole,
    /// After so many bytes the helper dies; trying again may help.
    Breaks(usize),
    /// After so many bytes, for good.
    Fails(usize),
    /// After so many bytes the thread panics.
    Panics(usize),
}

impl End {
    fn after(self) -> usize {
        match self {
            Self::Whole => usize::MAX,
            Self::Breaks(after) | Self::Fails(after) | Self::Panics(after) => after,
        }
    }
}

/// One attempt to write a stream.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) contents: Contents,
    /// Bytes that are written at a time.
    pub(crate) piece: usize,
    /// How long it waits before each.
    pub(crate) pause: Duration,
    pub(crate) end: End,
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lens: Vec<usize> = self.contents.iter().map(Vec::len).collect();
        write!(f, "{lens:?} bytes by {} each {:?}, {:?}", self.piece, self.pause, self.end)
    }
}

/// A stream, attempt by attempt.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) attempts: Vec<Attempt>,
    /// True if it is taken beside others.
    pub(crate) is_remote: bool,
}

/// What streams are made of: the same for all, so that they share chunks.
fn material() -> &'static [u8] {
    static MATERIAL: OnceLock<Vec<u8>> = OnceLock::new();
    MATERIAL.get_or_init(|| {
        let mut dice = Dice::new(20);
        (0..4 << 20).map(|_| dice.below(1 << 7) as u8).collect()
    })
}

/// Pieces of the material.
pub(crate) fn content(dice: &mut Dice, may_be_large: bool) -> Vec<u8> {
    let len = match dice.below(if may_be_large { 24 } else { 20 }) {
        0 => 0,
        1 => 1,
        2..=9 => dice.below(6 << 10),
        10..=19 => dice.below(150 << 10),
        20 => 1 << 20,
        21 => (1 << 20) + dice.below(3),
        22 => (1 << 20) + dice.below(300 << 10),
        _ => (2 << 20) + dice.below(300 << 10),
    } as usize;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        // From few places: much comes again.
        let from = (dice.below(24) as usize) * (material().len() / 32);
        let most = (len - bytes.len()).min(material().len() - from);
        let part = if dice.once_in(2) { most } else { most.min(1 + dice.below(100 << 10) as usize) };
        bytes.extend_from_slice(&material()[from..from + part]);
    }
    bytes
}

impl Attempt {
    fn random(dice: &mut Dice, contents: Contents, end: fn(usize) -> End) -> Self {
        let len: usize = contents.iter().map(Vec::len).sum();
        let piece = [1 << 10, 30_000, 100_000, 1 << 20][dice.below(4) as usize].max(len / 40 + 1);
        let millis = if dice.once_in(3) { dice.below(2_000) } else { 0 };
        let after = dice.below(len as u64 + 1) as usize;
        Self { contents, piece, pause: Duration::from_millis(millis), end: end(after) }
    }

    fn write(&self, lanes: &mut Lanes) -> Result<Verdict, SourceError> {
        let mut left = self.end.after();
        let mut rests: Vec<&[u8]> = self.contents.iter().map(|content| &content[..]).collect();
        while rests.iter().any(|rest| !rest.is_empty()) && left > 0 {
            for (lane, rest) in rests.iter_mut().enumerate() {
                let (now, later) = rest.split_at(rest.len().min(self.piece).min(left));
                if !self.pause.is_zero() {
                    sync::sleep(self.pause);
                }
                lanes.write(lane, now)?;
                (*rest, left) = (later, left - now.len());
            }
        }
        match self.end {
            End::Whole => Ok(Verdict::proven(Proof::P2)),
            End::Breaks(_) => Err(SourceError::Moved("the helper died".to_owned())),
            End::Fails(_) => Err(SourceError::Absent("what the stream is made of".to_owned())),
            End::Panics(_) => std::panic::panic_any(simulation::INJECTED),
        }
    }
}

impl Script {
    /// A stream by chance; without `may_fail` it succeeds in the end.
    pub(crate) fn random(dice: &mut Dice, number: usize, may_fail: bool, may_be_large: bool) -> Self {
        let lanes = if dice.once_in(3) { 2 } else { 1 };
        let mut contents: Contents = (0..lanes).map(|_| content(dice, may_be_large)).collect();
        let mut attempts = Vec::new();
        while dice.once_in(2) && attempts.len() < 3 {
            attempts.push(Attempt::random(dice, contents.clone(), End::Breaks));
            // What is asked for again may have changed.
            match dice.below(3) {
                0 => contents[0] = content(dice, may_be_large),
                1 => {
                    let by = 1000 % contents[0].len().max(1);
                    contents[0].rotate_left(by);
                }
                _ => {}
            }
        }
        let end: fn(usize) -> End = match dice.below(if may_fail { 16 } else { 13 }) {
            13 => End::Breaks,
            14 => End::Fails,
            15 => End::Panics,
            _ => |_| End::Whole,
        };
        attempts.push(Attempt::random(dice, contents, end));
        Self { name: format!("stream-{number}"), attempts, is_remote: dice.once_in(2) }
    }

    /// What is to be in the snapshot; nothing if there must not be one.
    pub(crate) fn expected(&self) -> Option<&Contents> {
        self.attempts.last().filter(|last| last.end == End::Whole).map(|last| &last.contents)
    }

    /// The stream as an input.
    pub(crate) fn input(&self, env: &Env) -> Input {
        let (script, env, next) = (self.clone(), env.clone(), Arc::new(AtomicUsize::new(0)));
        let is_folder = self.attempts[0].contents.len() > 1;
        let take = move |lanes: &mut Lanes| {
            let bounds = Bounds { attempts: script.attempts.len() as u32, ..Bounds::default() };
            retry(&script.name, &bounds, &env, lanes, |lanes| {
                script.attempts[next.fetch_add(1, Ordering::Relaxed)].write(lanes)
            })
        };
        let origin = if is_folder { Origin::Folder(b"/srv".to_vec()) } else { Origin::Stdin };
        let mut prepared = Prepared::new(origin, is_folder, take);
        prepared.is_remote = self.is_remote;
        Input::new(self.name.clone(), From::Prepared(prepared))
    }
}
