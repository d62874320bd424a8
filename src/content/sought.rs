//! A text in a stream that comes in pieces.

use memchr::memmem;

/// A text that must be somewhere in a stream.
#[derive(Debug)]
pub struct Sought {
    text: Vec<u8>,
    /// The end of what came, as long as the text may begin in it.
    tail: Vec<u8>,
    found: bool,
}

impl Sought {
    /// A search for this text.
    pub fn new(text: &str) -> Self {
        Self { text: text.as_bytes().to_vec(), tail: Vec::new(), found: text.is_empty() }
    }

    /// Looks at the next bytes of the stream.
    pub fn push(&mut self, part: &[u8]) {
        if self.found {
            return;
        }
        let keep = self.text.len() - 1;
        let seam = &part[..part.len().min(keep)];
        self.tail.extend_from_slice(seam);
        self.found = memmem::find(&self.tail, &self.text).is_some() || memmem::find(part, &self.text).is_some();
        if part.len() >= keep {
            self.tail.clear();
            self.tail.extend_from_slice(&part[part.len() - keep..]);
        } else {
            self.tail.drain(..self.tail.len().saturating_sub(keep));
        }
    }

    /// True if the text was in what came up to now.
    pub fn is_found(&self) -> bool {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_wherever_pieces_end() {
        let stream = b"....0123456789abcdef....";
        for piece in 1..stream.len() {
            let mut sought = Sought::new("0123456789abcdef");
            stream.chunks(piece).for_each(|part| sought.push(part));
            assert!(sought.is_found(), "in pieces of {piece}");
            let mut other = Sought::new("0123456789abcdeg");
            stream.chunks(piece).for_each(|part| other.push(part));
            assert!(!other.is_found(), "in pieces of {piece}");
        }
    }
}
