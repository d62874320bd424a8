//! The state in Prometheus' text format, version 0.0.4.
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write;

use super::damage::Damage;
use super::plain::PlainText;
use super::state::{Ending, State};
use crate::env::UnixNanos;

/// Writes all metrics. Times are in seconds since 1970, lengths of time in seconds, sizes in bytes.
pub fn text(state: &State, now: UnixNanos) -> String {
    let mut page = Page::default();
    let seconds = |nanos: UnixNanos| nanos as f64 / 1e9;
    page.add("sfarc_build_info", "gauge", "The version of this program.");
    page.value("sfarc_build_info", &[("version", &env!("CARGO_PKG_VERSION").into())], 1.0);
    page.add("sfarc_start_time_seconds", "gauge", "When this program was started.");
    page.value("sfarc_start_time_seconds", &[], seconds(state.started));
    for (name, what, value) in of_targets() {
        page.add(name, if name.ends_with("_total") { "counter" } else { "gauge" }, what);
        for (target, known) in &state.targets {
            if let Some(value) = value(known, now) {
                page.value(name, &[("target", target)], value);
            }
        }
    }
    page.add("sfarc_failures_total", "counter", "Runs without a snapshot, by cause.");
    for (target, known) in &state.targets {
        for (cause, count) in &known.failed {
            page.value("sfarc_failures_total", &[("target", target), ("cause", cause)], *count as f64);
        }
    }
    for (name, what, value) in of_upkeep() {
        page.add(name, "gauge", what);
        for (work, known) in &state.upkeep {
            if let Some(value) = value(known) {
                page.value(name, &[("work", work)], value);
            }
        }
    }
    if let Some((_, stored, protected)) = state.growth.back() {
        page.add("sfarc_repository_stored_bytes", "gauge", "Bytes of all packs.");
        page.value("sfarc_repository_stored_bytes", &[], *stored as f64);
        page.add("sfarc_repository_protected_bytes", "gauge", "Bytes of the streams of all snapshots.");
        page.value("sfarc_repository_protected_bytes", &[], *protected as f64);
        page.add("sfarc_repository_dedup_ratio", "gauge", "Protected bytes for each stored one.");
        page.value("sfarc_repository_dedup_ratio", &[], *protected as f64 / (*stored as f64).max(1.0));
    }
    for (name, what, time) in [
        ("sfarc_full_check_age_seconds", "Every byte was read within this time.", state.read_since),
        ("sfarc_proven_drill_age_seconds", "How long ago a drill has proven a snapshot.", state.drilled),
    ] {
        if let Some(time) = time {
            page.add(name, "gauge", what);
            page.value(name, &[], seconds(now - time));
        }
    }
    for (name, what, value) in of_damage(&state.damage) {
        page.add(name, "gauge", what);
        page.value(name, &[], value);
    }
    let is_open = f64::from(u8::from(state.is_repository_open));
    page.add("sfarc_repository_open", "gauge", "1 while the repository is open and the expected one, 0 if not.");
    page.value("sfarc_repository_open", &[], is_open);
    page.add("sfarc_works_running", "gauge", "Works that run.");
    page.value("sfarc_works_running", &[], state.running as f64);
    page.add("sfarc_works_waiting", "gauge", "Works that are due and wait for others.");
    page.value("sfarc_works_waiting", &[], state.waiting as f64);
    if let Some(bytes) = resident() {
        page.add("process_resident_memory_bytes", "gauge", "Memory of this process.");
        page.value("process_resident_memory_bytes", &[], bytes as f64);
    }
    page.0
}

fn of_damage(damage: &Damage) -> [(&'static str, &'static str, f64); 3] {
    let is_open = f64::from(u8::from(damage.is_open()));
    [
        ("sfarc_damage_open", "1 while damage is open and nothing is pruned, 0 if not.", is_open),
        ("sfarc_damaged_objects", "Objects of the repository that are damaged.", damage.objects.len() as f64),
        ("sfarc_damaged_snapshots", "Snapshots that damage hits.", damage.snapshots.len() as f64),
    ]
}

type OfTarget = fn(&super::state::TargetState, UnixNanos) -> Option<f64>;

fn of_targets() -> [(&'static str, &'static str, OfTarget); 12] {
    fn seconds(nanos: i64) -> f64 {
        nanos as f64 / 1e9
    }
    [
        ("sfarc_last_success_timestamp_seconds", "When the last good snapshot was begun.", |target, _| {
            target.last_good.map(seconds)
        }),
        ("sfarc_last_good_age_seconds", "The age of the last good snapshot.", |target, now| {
            target.last_good.map(|last| seconds(now - last))
        }),
        ("sfarc_last_run_ok", "1 if the last run was good, 0 if not.", |target, _| {
            target.runs.back().map(|run| f64::from(u8::from(run.ending == Ending::Good)))
        }),
        ("sfarc_last_run_duration_seconds", "How long the last run took.", |target, _| {
            target.runs.back().map(|run| run.took as f64 / 1e9)
        }),
        ("sfarc_consecutive_failures", "Failures since the last success.", |target, _| Some(target.failures.into())),
        ("sfarc_next_run_timestamp_seconds", "When the next run is due.", |target, _| target.next.map(seconds)),
        ("sfarc_snapshots", "Snapshots that are kept.", |target, _| Some(target.snapshots as f64)),
        ("sfarc_runs_total", "Runs.", |target, _| Some(target.total as f64)),
        ("sfarc_read_bytes_total", "Bytes of streams.", |target, _| Some(target.bytes as f64)),
        ("sfarc_new_bytes_total", "Bytes that the repository did not have.", |target, _| Some(target.new as f64)),
        ("sfarc_stored_bytes_total", "Bytes that the repository grew by.", |target, _| Some(target.added as f64)),
        ("sfarc_last_run_read_bytes", "Bytes of the streams of the last run.", |target, _| {
            target.runs.back().map(|run| run.bytes as f64)
        }),
    ]
}

type OfUpkeep = fn(&super::state::UpkeepState) -> Option<f64>;

fn of_upkeep() -> [(&'static str, &'static str, OfUpkeep); 3] {
    [
        ("sfarc_upkeep_last_success_timestamp_seconds", "When it went well last.", |known| {
            known.last_good.map(|time| time as f64 / 1e9)
        }),
        ("sfarc_upkeep_duration_seconds", "How long it took last.", |known| Some(known.took as f64 / 1e9)),
        ("sfarc_upkeep_consecutive_failures", "Failures since it went well.", |known| Some(known.failures.into())),
    ]
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn add(&mut self, name: &str, kind: &str, what: &str) {
        // Writing to memory does not fail.
        let _ = writeln!(self.0, "# HELP {name} {what}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &PlainText)], value: f64) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

/// Memory of this process in bytes, where the system tells.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
