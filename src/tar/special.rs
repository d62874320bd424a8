//! What gives power over the machine that it is restored on, and whether it is restored.

use super::xattr::Xattr;
use super::{Entry, EntryKind};

/// Whether setuid and setgid bits of files, capabilities, and devices are restored. They are harmless where they come
/// from, and a way to become root where somebody else has made them up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Special {
    /// As stored.
    #[default]
    Restore,
    /// Left out, and told.
    LeaveOut,
}

/// What was left out of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeftOut {
    /// The bits that let a file run as its owner or with its group.
    #[error("its setuid and setgid bits")]
    SetId,
    /// The capabilities that a file runs with.
    #[error("its capabilities")]
    Capability,
    /// The whole entry.
    #[error("the device")]
    Device,
}

const SET_ID: u32 = 0o6000;

const CAPABILITY: &[u8] = b"security.capability";

impl Special {
    /// True if this entry is not restored at all.
    pub(super) fn leaves_out(self, entry: &Entry) -> bool {
        self == Self::LeaveOut && matches!(entry.kind, EntryKind::CharDevice | EntryKind::BlockDevice)
    }

    /// The mode and extended attributes of a file as they are restored; `left_out` hears what is not.
    pub(super) fn of_file(self, entry: &Entry, mut left_out: impl FnMut(LeftOut)) -> (u32, Vec<Xattr>) {
        if self == Self::Restore {
            return (entry.mode, entry.xattrs.clone());
        }
        if entry.mode & SET_ID != 0 {
            left_out(LeftOut::SetId);
        }
        let xattrs: Vec<Xattr> = entry.xattrs.iter().filter(|(name, _)| name != CAPABILITY).cloned().collect();
        if xattrs.len() < entry.xattrs.len() {
            left_out(LeftOut::Capability);
        }
        (entry.mode & !SET_ID, xattrs)
    }
}
