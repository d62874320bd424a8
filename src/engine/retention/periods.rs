//! Hours, days, weeks, months and years as a calendar has them.

use jiff::tz::TimeZone;

use crate::env::UnixNanos;

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Period {
    /// As rules name it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        }
    }

    /// Which one a moment is in: equal for moments of the same, and not for others. Weeks begin on Mondays (ISO 8601).
    pub(super) fn of(self, time: UnixNanos, zone: &TimeZone) -> [i32; 4] {
        let moment = jiff::Timestamp::from_nanosecond(i128::from(time)).unwrap_or_default().to_zoned(zone.clone());
        let date = moment.date();
        let (year, month, day) = (i32::from(date.year()), i32::from(date.month()), i32::from(date.day()));
        match self {
            // The hour that comes twice when summer ends is two hours.
            Self::Hour => [year, month * 100 + day, i32::from(moment.hour()), moment.offset().seconds()],
            Self::Day => [year, month, day, 0],
            Self::Week => {
                let week = date.iso_week_date();
                [i32::from(week.year()), i32::from(week.week()), 0, 0]
            }
            Self::Month => [year, month, 0, 0],
            Self::Year => [year, 0, 0, 0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(period: Period, zone: &str, one: &str, other: &str) -> bool {
        let zone = TimeZone::get(zone).expect("a zone");
        let time = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_nanosecond() as i64;
        period.of(time(one), &zone) == period.of(time(other), &zone)
    }

    #[test]
    fn a_calendar_is_that_of_its_zone() {
        assert!(same(Period::Day, "UTC", "2026-03-01T00:00:00Z", "2026-03-01T23:59:59Z"));
        assert!(!same(Period::Day, "Europe/Berlin", "2026-03-01T00:00:00Z", "2026-03-01T23:30:00Z"));
        assert!(same(Period::Week, "UTC", "2025-12-29T00:00:00Z", "2026-01-04T23:00:00Z"), "a week of two years");
        assert!(!same(Period::Year, "UTC", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"));
        // Half an hour off.
        assert!(same(Period::Hour, "Asia/Kolkata", "2026-03-01T00:30:00Z", "2026-03-01T01:29:00Z"));
        // 02:30 comes twice.
        assert!(!same(Period::Hour, "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"));
    }
}
