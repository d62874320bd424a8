//! Sizes, times and names for people.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use comfy_table::{CellAlignment, Table};
use jiff::tz::TimeZone;

use super::output::{CliError, Output};
use crate::env::UnixNanos;
use crate::error::Error;
use crate::format::manifest::{Manifest, OWN_LABEL};

/// A number of bytes with three digits or so.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Says that a store keeps what it was asked to remove. It is harmless, and nothing to fail for.
pub(super) fn tell_retained(objects: u64, output: &mut Output) -> Result<(), CliError> {
    if objects == 0 || output.is_json() {
        return Ok(());
    }
    let objects = count(objects, "object");
    output.summary(format_args!(
        "{objects} stay until their retention ends, or somebody prunes who may remove them; prune again later"
    ))
}

/// `1 snapshot`, `2 snapshots`.
pub(super) fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

fn timestamp(time: UnixNanos) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(time)).unwrap_or_default()
}

/// A moment in the local time zone, to the second.
pub(super) fn local_time(time: UnixNanos) -> String {
    timestamp(time).to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A moment in RFC 3339, in UTC.
pub(super) fn utc_time(time: UnixNanos) -> String {
    timestamp(time).to_string()
}

/// Reads a moment: with an offset (RFC 3339), or without one in the local time zone.
pub(super) fn parse_time(text: &str) -> Result<UnixNanos, Error> {
    let zoned = |text: &str| text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(TimeZone::system()).ok();
    let parsed = text.parse::<jiff::Timestamp>().ok().or_else(|| zoned(text).map(|zoned| zoned.timestamp()));
    let nanos = parsed.and_then(|time| i64::try_from(time.as_nanosecond()).ok());
    nanos.ok_or_else(|| Error::Usage(format!("`{text}` is not a time; write it like 2026-03-01T12:00:00Z")))
}

/// Reads a length of time, such as `90s`, `36h` or `2d`; a day is 24 hours.
pub(super) fn parse_span(text: &str) -> Result<std::time::Duration, Error> {
    crate::config::values::parse_span(text).map_err(Error::Usage)
}

/// Reads `N%` as a share between 0 and 1.
pub(super) fn parse_share(text: &str) -> Result<f64, Error> {
    let number = text.trim().trim_end_matches('%').parse::<f64>().ok();
    let share = number.filter(|number| (0.0..=100.0).contains(number)).map(|number| number / 100.0);
    share.ok_or_else(|| Error::Usage(format!("`{text}` is not a share; write it like 5%")))
}

/// True for a snapshot with all these tags and labels, of this host.
pub(super) fn is_meant(manifest: &Manifest, tags: &[String], labels: &[(String, String)], host: Option<&str>) -> bool {
    tags.iter().all(|tag| manifest.tags.contains(tag))
        && labels.iter().all(|label| manifest.labels.contains(label))
        && host.is_none_or(|host| manifest.host == host)
}

/// Reads `KEY=VALUE`.
pub(super) fn parse_label(text: &str) -> Result<(String, String), Error> {
    let split = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = split.ok_or_else(|| Error::Usage(format!("`{text}` is not a label; write it KEY=VALUE")))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// A label for a new snapshot. Those that begin with `sfarc/` are the program's own, and decide what is kept.
pub(super) fn parse_new_label(text: &str) -> Result<(String, String), Error> {
    let label = parse_label(text)?;
    if label.0.starts_with(OWN_LABEL) {
        return Err(Error::Usage(format!("`{text}`: labels that begin with `{OWN_LABEL}` are set by sfarc alone")));
    }
    Ok(label)
}

/// True for what moves the cursor, or changes the order in which a terminal shows what follows.
fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A name as text; bytes that are not UTF-8, would move the cursor or turn the text around are escaped.
pub(super) fn name(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for part in bytes.utf8_chunks() {
        for letter in part.valid().chars() {
            if is_unprintable(letter) { text.extend(letter.escape_default()) } else { text.push(letter) }
        }
        part.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// A message for a terminal: names in it, and what a command said, cannot move the cursor.
pub(super) fn message(text: &str) -> String {
    text.split('\n').map(|line| name(line.as_bytes())).collect::<Vec<_>>().join("\n")
}

/// Splits `NAME=REST` of an argument; nothing if there is no `=`.
pub(super) fn split_name(argument: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = argument.as_bytes();
    let place = bytes.iter().position(|&byte| byte == b'=')?;
    Some((OsStr::from_bytes(&bytes[..place]), OsStr::from_bytes(&bytes[place + 1..])))
}

/// A table without lines; columns in `right` are aligned to the right.
pub(super) fn table(header: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.iter().copied());
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let cases =
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (10 << 20, "10.0 MiB"), (943_392_917, "900 MiB")];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(name(b"a\x1b[2Jb\xffc"), "a\\u{1b}[2Jb\\xffc");
        assert_eq!(message("two\nlines\r"), "two\nlines\\r");
        assert_eq!(name("tar.gz\u{202e}gnp.\u{9b}2J".as_bytes()), "tar.gz\\u{202e}gnp.\\u{9b}2J");
    }

    #[test]
    fn times_shares_and_labels_are_read_or_refused() {
        assert_eq!(parse_time("1970-01-01T00:00:01Z").ok(), Some(1_000_000_000));
        assert!(parse_time("yesterday").is_err());
        assert_eq!(parse_share("5%").ok(), Some(0.05));
        assert!(parse_share("105%").is_err());
        assert_eq!(parse_label("a=b=c").ok(), Some(("a".to_owned(), "b=c".to_owned())));
        assert!(parse_label("=b").is_err());
    }
}
