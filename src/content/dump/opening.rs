//! Statements that begin alike. Without extended inserts each row has a statement of its own, which begins as the one
//! before: then there is no need to read that again.

/// Longest beginning that is remembered, in bytes.
const LONGEST: usize = 1024;

/// The bytes of the last statement up to its rows.
#[derive(Debug, Default)]
pub(super) struct Opening {
    bytes: Vec<u8>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// There is nothing to compare with.
    #[default]
    Unknown,
    /// The statement has not come to its rows yet.
    Growing,
    Whole,
}

impl Opening {
    /// A statement begins.
    pub(super) fn begin(&mut self) {
        self.bytes.clear();
        self.stage = Stage::Growing;
    }

    /// The statement goes on.
    pub(super) fn push(&mut self, byte: u8) {
        if self.stage == Stage::Growing {
            self.bytes.push(byte);
            if self.bytes.len() == LONGEST {
                self.forget();
            }
        }
    }

    /// The statement, if its beginning is not yet over, is not to be remembered.
    pub(super) fn forget(&mut self) {
        if self.stage == Stage::Growing {
            self.stage = Stage::Unknown;
        }
    }

    /// The rows begin.
    pub(super) fn end(&mut self) {
        if self.stage == Stage::Growing {
            self.stage = Stage::Whole;
        }
    }

    /// The length of the beginning, if these bytes have it, too.
    pub(super) fn of(&self, bytes: &[u8]) -> Option<usize> {
        let rest = bytes.strip_prefix(&self.bytes[..]).filter(|_| self.stage == Stage::Whole)?;
        // After anything else, the last word might be a longer one.
        rest.first().is_some_and(|next| b"( \n".contains(next)).then_some(self.bytes.len())
    }
}
