//! Whether the bytes of an object are whole: by its name, or where it has no name that says so, by the keys.

use crate::backend::Key;
use crate::format::manifest::FenceRecord;
use crate::format::sealed::SealedKind;
use crate::repo::objects::{check_name, open_record};
use crate::repo::{RepoError, Repository};

/// What can be said of the bytes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// They are what they must be.
    Whole,
    /// They are not.
    Wrong,
    /// Without keys nobody can tell.
    Unknown,
}

impl Proof {
    fn of(is_right: bool) -> Self {
        if is_right { Self::Whole } else { Self::Wrong }
    }
}

/// Proves objects, with the keys of the repository if it is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prover<'a>(pub(super) Option<&'a Repository>);

impl Prover<'_> {
    pub(super) fn prove(&self, key: &Key, bytes: &[u8]) -> Proof {
        match key {
            Key::Gc(epoch) => self.prove_record(key, *epoch, bytes),
            Key::Snapshot(id) if bytes.len() as u64 == FenceRecord::STORED_LEN && check_name(key, bytes).is_err() => {
                // A fence stands in the place of a snapshot that was never committed, under its name.
                let Some(opened) = self.0 else { return Proof::Unknown };
                let fence: Result<FenceRecord, _> = open_record(&opened.keys, SealedKind::Fence, key, bytes);
                Proof::of(fence.is_ok_and(|fence| fence.snapshot == *id.as_bytes()))
            }
            Key::Slot(_) | Key::Pack(_) | Key::Index(_) | Key::Snapshot(_) | Key::Writer(_) => {
                Proof::of(check_name(key, bytes).is_ok())
            }
            Key::Config | Key::Session(_) | Key::Pending(_) => Proof::Unknown,
        }
    }

    fn prove_record(&self, key: &Key, epoch: u64, bytes: &[u8]) -> Proof {
        let Some(opened) = self.0 else { return Proof::Unknown };
        match opened.open_gc_record(key, bytes) {
            Ok(record) => Proof::of(record.epoch == epoch),
            // It says nothing, but nobody can put another in its place.
            Err(RepoError::Forged { .. }) => Proof::Unknown,
            Err(_) => Proof::Wrong,
        }
    }
}
