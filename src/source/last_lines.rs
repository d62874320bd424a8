//! The end of a standard error that may never end.

use std::collections::VecDeque;

const LINES: usize = 10;
const LINE_BYTES: usize = 4096;

/// The last lines of what was pushed, long ones cut.
#[derive(Debug, Default)]
pub(crate) struct LastLines {
    lines: VecDeque<String>,
    open: Vec<u8>,
}

impl LastLines {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = LINE_BYTES.saturating_sub(self.open.len());
            self.open.extend_from_slice(&line[..line.len().min(room)]);
            if line.ends_with(b"\n") {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(String::from_utf8_lossy(&std::mem::take(&mut self.open)).trim_end().to_owned());
    }

    /// The lines, the last one even if it is not ended.
    pub(crate) fn finish(mut self) -> Vec<String> {
        if !self.open.is_empty() {
            self.close();
        }
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_lines_within_bounds() {
        let mut lines = LastLines::default();
        (0..100).for_each(|number| lines.push(format!("line {number}\nhalf ").as_bytes()));
        lines.push(&vec![b'x'; 1 << 20]);
        let lines = lines.finish();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[LINES - 2], "half line 99");
        assert_eq!(lines[LINES - 1].len(), LINE_BYTES);
    }
}
