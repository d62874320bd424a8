//! When something is due: at an interval, or by a cron expression in a time zone.
//!
//! All times are handed in, so that a year can be tried in a second. A run that was missed, because nothing ran or the
//! clock jumped ahead, is made up once. A clock that jumps back delays a run by one period at most.

use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::env::UnixNanos;

/// How often.
#[derive(Debug, Clone)]
pub enum When {
    /// So long after the last start.
    Every(Duration),
    /// At the moments that a pattern names, in a zone. In the hour that is left out when summer begins, a pattern with
    /// fixed times fires at the end of the gap; in the hour that comes twice, once.
    Cron(Box<Cron>, TimeZone),
}

/// When something is due.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// How often.
    pub when: When,
    /// A run begins up to so much later, so that not all deployments of a cluster begin at once.
    pub jitter: Duration,
}

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

impl Schedule {
    /// Something that is done at an interval.
    pub fn every(interval: Duration) -> Self {
        Self { when: When::Every(interval), jitter: Duration::ZERO }
    }

    /// Reads a cron expression: five fields, or six with seconds first.
    pub fn cron(text: &str, zone: TimeZone) -> Result<Self, String> {
        let cron: Cron = text.parse().map_err(|error| format!("`{text}` is no cron expression: {error}"))?;
        let schedule = Self { when: When::Cron(Box::new(cron), zone), jitter: Duration::ZERO };
        // 30 February.
        schedule.after(0).ok_or_else(|| format!("`{text}` names no moment that ever comes"))?;
        Ok(schedule)
    }

    /// When it is due next if it was last begun at `last`, or never, and it is `now`. A moment that is not in the future
    /// means: at once.
    pub fn next(&self, last: Option<UnixNanos>, now: UnixNanos) -> UnixNanos {
        // Whoever begins in the future has a clock that has jumped back since.
        let last = last.map(|last| last.min(now));
        match (&self.when, last) {
            (When::Every(_), None) => now,
            // Not at once: a pattern says when.
            (When::Cron(..), None) => self.after(now).unwrap_or(UnixNanos::MAX),
            (_, Some(last)) => self.after(last).unwrap_or(UnixNanos::MAX),
        }
    }

    /// The first moment after another one.
    fn after(&self, moment: UnixNanos) -> Option<UnixNanos> {
        match &self.when {
            When::Every(interval) => Some(moment.saturating_add(nanos(*interval))),
            When::Cron(cron, zone) => {
                let moment = Timestamp::from_nanosecond(i128::from(moment)).ok()?.to_zoned(zone.clone());
                let next: Zoned = cron.find_next_occurrence(&moment, false).ok()?;
                i64::try_from(next.timestamp().as_nanosecond()).ok()
            }
        }
    }

    /// How much later than due a run begins; `random` is anything.
    pub fn delay(&self, random: u64) -> UnixNanos {
        let jitter = nanos(self.jitter);
        if jitter == 0 { 0 } else { (random % jitter.unsigned_abs()) as i64 }
    }

    /// When a run is tried again that began at `last` and has failed now, as the last of so many in a row: after a
    /// minute, then two, four ...; when it would be due anyway at the latest.
    pub fn retry(&self, last: UnixNanos, now: UnixNanos, failures: u32) -> UnixNanos {
        let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
        self.next(Some(last), now).min(now.saturating_add(nanos(doubled)))
    }
}

/// A length of time in words, in its largest unit.
pub fn in_words(nanos: i64) -> String {
    let seconds = nanos.max(0) / 1_000_000_000;
    let units = [(86_400, "days"), (3600, "hours"), (60, "minutes")];
    let unit = units.into_iter().find(|(length, _)| seconds >= 2 * length);
    unit.map_or_else(|| format!("{seconds} seconds"), |(length, unit)| format!("{} {unit}", seconds / length))
}

/// What is left until something, in words.
pub fn in_words_until(nanos: i64) -> String {
    if nanos <= 0 { "now".to_owned() } else { format!("in {}", in_words(nanos)) }
}

/// A length of time as the clock counts.
pub fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> UnixNanos {
        text.parse::<Timestamp>().expect("a time").as_nanosecond() as i64
    }

    fn berlin(cron: &str) -> Schedule {
        Schedule::cron(cron, TimeZone::get("Europe/Berlin").expect("a zone")).expect("a pattern")
    }

    fn text(time: UnixNanos) -> String {
        Timestamp::from_nanosecond(i128::from(time)).expect("a time").to_string()
    }

    #[test]
    fn an_interval_counts_from_the_last_start() {
        let schedule = Schedule::every(Duration::from_secs(900));
        let now = time("2026-03-01T12:00:00Z");
        let minutes = |minutes: i64| minutes * 60_000_000_000;
        assert_eq!(schedule.next(None, now), now, "the first at once");
        assert_eq!(schedule.next(Some(now - minutes(5)), now), now + minutes(10));
        assert!(schedule.next(Some(now - minutes(500)), now) <= now, "what was missed is due");
        assert_eq!(schedule.next(Some(now + minutes(500)), now), now + minutes(15), "the clock has jumped back");
    }

    #[test]
    fn patterns_follow_the_clock_on_the_wall() {
        let daily = berlin("30 2 * * *");
        let next = |last: &str| text(daily.next(Some(time(last)), time("2030-01-01T00:00:00Z")));
        assert_eq!(next("2026-01-01T00:00:00Z"), "2026-01-01T01:30:00Z");
        assert_eq!(next("2026-07-01T00:00:00Z"), "2026-07-01T00:30:00Z", "summer");
        // 2026-03-29: 02:00 becomes 03:00. There is no 02:30, but the day has a run.
        let gap = next("2026-03-28T12:00:00Z");
        assert!(gap.starts_with("2026-03-29T01:"), "{gap}");
        assert_eq!(next("2026-03-29T12:00:00Z"), "2026-03-30T00:30:00Z");
        // 2026-10-25: 03:00 becomes 02:00. There are two 02:30, and one run.
        let first = next("2026-10-24T12:00:00Z");
        assert_eq!(first, "2026-10-25T00:30:00Z");
        assert_eq!(next("2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
    }

    #[test]
    fn a_year_of_days_has_a_run_each() {
        let daily = berlin("30 2 * * *");
        let (mut at, mut runs) = (time("2026-01-01T12:00:00Z"), 0);
        while at < time("2027-01-01T12:00:00Z") {
            let next = daily.next(Some(at), at);
            assert!(next > at && next - at <= 26 * 3_600_000_000_000, "{} {}", text(at), text(next));
            (at, runs) = (next, runs + 1);
        }
        assert_eq!(runs, 366, "365 days, and the one that ends it");
    }

    #[test]
    fn a_pattern_is_made_up_once_and_never_at_once_without_a_run_before() {
        let hourly = berlin("0 * * * *");
        let now = time("2026-03-01T12:34:00Z");
        assert_eq!(text(hourly.next(None, now)), "2026-03-01T13:00:00Z");
        assert!(hourly.next(Some(time("2026-02-01T12:00:00Z")), now) <= now);
        assert_eq!(text(hourly.next(Some(now), now)), "2026-03-01T13:00:00Z");
        assert_eq!(text(hourly.next(Some(time("2030-01-01T00:00:00Z")), now)), "2026-03-01T13:00:00Z", "a jump back");
    }

    #[test]
    fn failures_are_tried_again_soon_then_as_planned() {
        let schedule = Schedule::every(Duration::from_secs(900));
        let last = time("2026-03-01T12:00:00Z");
        let pause = |failures| (schedule.retry(last, last, failures) - last) / 1_000_000_000;
        assert_eq!([pause(1), pause(2), pause(3), pause(4), pause(5), pause(60)], [60, 120, 240, 480, 900, 900]);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "* * *", "61 * * * *", "soon", "0 0 30 2 *"] {
            assert!(Schedule::cron(text, TimeZone::UTC).is_err(), "{text}");
        }
    }

    #[test]
    fn jitter_stays_within_its_bound() {
        let schedule = Schedule { jitter: Duration::from_secs(30), ..Schedule::every(Duration::from_secs(900)) };
        assert!((0..1000u64).all(|random| schedule.delay(random.wrapping_mul(0x9e37_79b9_7f4a_7c15)) < 30_000_000_000));
        assert_eq!(Schedule::every(Duration::from_secs(1)).delay(7), 0);
    }
}
