//! Rules.

use std::fmt;
use std::time::Duration;

use super::periods::Period;
use crate::env::UnixNanos;

/// A length of time that prints as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    /// True if a moment is at most this long before another.
    pub(super) fn holds(self, time: UnixNanos, end: UnixNanos) -> bool {
        let before = u128::try_from(i128::from(end) - i128::from(time)).unwrap_or(0);
        before <= self.0.as_nanos()
    }

    /// So many days.
    pub const fn days(days: u64) -> Self {
        Self(Duration::from_secs(days * 86_400))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_secs();
        let mut is_first = true;
        for (length, unit) in [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")] {
            let count = left / length;
            left %= length;
            if count > 0 {
                write!(f, "{}{count}{unit}", if is_first { "" } else { " " })?;
                is_first = false;
            }
        }
        if is_first { f.write_str("0s") } else { Ok(()) }
    }
}

/// The rules of a group. A snapshot that satisfies any of them is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// How many of the newest.
    pub last: usize,
    /// Of how many hours the newest.
    pub hourly: usize,
    /// Of how many days.
    pub daily: usize,
    /// Of how many weeks.
    pub weekly: usize,
    /// Of how many months.
    pub monthly: usize,
    /// Of how many years.
    pub yearly: usize,
    /// All that are at most so much older than the newest.
    pub within: Option<Span>,
    /// All with one of these tags.
    pub tags: Vec<String>,
    /// Those that are incomplete or do not fit together, if they are at most so much older than the newest.
    pub inconsistent_within: Option<Span>,
}

impl Policy {
    /// True if no rule keeps a good snapshot, but the last one.
    pub fn is_empty(&self) -> bool {
        let counts = [self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly];
        counts.iter().all(|count| *count == 0) && self.within.is_none() && self.tags.is_empty()
    }

    pub(super) fn periods(&self) -> [(Period, usize); 5] {
        [
            (Period::Hour, self.hourly),
            (Period::Day, self.daily),
            (Period::Week, self.weekly),
            (Period::Month, self.monthly),
            (Period::Year, self.yearly),
        ]
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.periods().map(|(period, count)| (period.word(), count));
        let counts = [("last", self.last)].into_iter().chain(counts).filter(|(_, count)| *count > 0);
        let mut words: Vec<String> = counts.map(|(word, count)| format!("{word} {count}")).collect();
        words.extend(self.within.map(|within| format!("within {within}")));
        words.extend(self.tags.iter().map(|tag| format!("tag {tag}")));
        f.write_str(&words.join(", "))
    }
}

/// The rules of snapshots that sfarc has taken for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// Safety snapshots that are at most so much older than the newest snapshot.
    pub safety_within: Span,
    /// How many of the newest safety snapshots.
    pub safety_last: usize,
    /// Records of drills and checks that are at most so much older than the newest snapshot.
    pub records_within: Span,
}

impl Default for Own {
    fn default() -> Self {
        Self { safety_within: Span::days(30), safety_last: 3, records_within: Span::days(400) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_as_they_are_written() {
        let text = |seconds| Span(Duration::from_secs(seconds)).to_string();
        assert_eq!([text(90), text(86_400), text(90_061), text(0)], ["1m 30s", "1d", "1d 1h 1m 1s", "0s"]);
    }

    #[test]
    fn a_span_ends_with_the_newest() {
        let day = Span::days(1);
        let end = 10 * 86_400_000_000_000;
        assert!(day.holds(end - 86_400_000_000_000, end) && !day.holds(end - 86_400_000_000_001, end));
        assert!(day.holds(end + 1, end), "what is newer is inside");
        assert!(day.holds(i64::MAX, i64::MIN) && !day.holds(i64::MIN, i64::MAX));
    }
}
