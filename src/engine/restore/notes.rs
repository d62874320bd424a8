//! What is said of a restored stream: all of it is counted, the first of it is told.

/// Sentences that are told one by one; more are only counted.
const TOLD: usize = 1000;

/// Sentences of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    told: Vec<String>,
    count: u64,
}

impl Notes {
    /// Counts a sentence, and keeps it if it is among the first.
    pub(super) fn add(&mut self, sentence: impl FnOnce() -> String) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(sentence());
        }
    }

    /// The first sentences.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    /// How many there are, told or not.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first sentences, and one that counts the others.
    pub fn sentences(&self) -> impl Iterator<Item = String> + '_ {
        let more = self.count - self.told.len() as u64;
        self.told.iter().cloned().chain((more > 0).then(|| format!("... and {more} more")))
    }
}

/// How a restored stream differs from what was stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flaws {
    /// What could not be given back exactly.
    pub problems: Notes,
    /// What was left out because it gives power over the machine (see `Special`).
    pub left_out: Notes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_a_thousand_told() {
        let mut notes = Notes::default();
        assert!(notes.is_empty());
        (0..1003).for_each(|number| notes.add(|| number.to_string()));
        assert_eq!((notes.count(), notes.told().len()), (1003, 1000));
        let last: Vec<String> = notes.sentences().skip(999).collect();
        assert_eq!(last, ["999", "... and 3 more"]);
    }
}
