//! The page for people: the same as `sfarc status`, with pictures. One file, no script, nothing from elsewhere.

use std::fmt::Write;

use super::state::{Ending, RUNS, Run, State, TargetState};
use crate::env::UnixNanos;
use crate::schedule::{in_words, in_words_until};

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn html(state: &State, now: UnixNanos) -> String {
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>sfarc</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"60\">\
         <style>{STYLE}</style></head><body>\n<h1>sfarc</h1><p class=\"soft\">{}; running since {}</p>\n",
        time(now),
        time(state.started)
    );
    let warnings = state.warnings(now);
    if warnings.is_empty() {
        page.push_str("<p id=\"verdict\">All is well.</p>\n");
    }
    for warning in &warnings {
        let _ = writeln!(page, "<p class=\"warning\">{}</p>", escaped(warning));
    }
    targets(&mut page, state, now);
    upkeep(&mut page, state, now);
    growth(&mut page, state);
    page.push_str("</body></html>\n");
    page
}

fn targets(page: &mut String, state: &State, now: UnixNanos) {
    page.push_str(
        "<h2>Targets</h2><table><tr><th>target</th><th>last 48 runs</th><th>last good</th><th>next</th>\
         <th class=\"number\">snapshots</th><th class=\"number\">last added</th></tr>\n",
    );
    for (name, target) in &state.targets {
        let added = target.runs.back().map_or_else(String::new, |run| size(run.added));
        let good = target.last_good.map_or_else(|| "never".to_owned(), |good| ago(now - good));
        let next = target.next.map_or_else(|| "runs now".to_owned(), |next| in_words_until(next - now));
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{good}</td><td>{next}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{added}</td></tr>",
            escaped(name),
            history(target),
            target.snapshots
        );
    }
    page.push_str("</table>\n");
    for (name, target) in state.targets.iter().filter(|(_, target)| !target.streams.is_empty()) {
        let _ = write!(
            page,
            "<h2>Last snapshot of {}</h2><p class=\"soft\">{}</p><table><tr><th>stream</th><th class=\"number\">size</th><th>proof</th></tr>",
            escaped(name),
            escaped(&last_snapshot(target))
        );
        for (stream, bytes, proof) in &target.streams {
            let (stream, bytes, proof) = (escaped(stream), size(*bytes), escaped(proof));
            let _ = writeln!(page, "<tr><td>{stream}</td><td class=\"number\">{bytes}</td><td>{proof}</td></tr>");
        }
        page.push_str("</table>\n");
    }
}

/// Which snapshot it was, and when.
fn last_snapshot(target: &TargetState) -> String {
    let taken = target.runs.iter().rev().find_map(|run| Some((run, run.snapshot.as_deref()?)));
    taken.map_or_else(String::new, |(run, id)| format!("{}, {}", id.get(..8).unwrap_or(id), time(run.began)))
}

/// A bar for each run: its colour says how it ended, its height how much it added.
fn history(target: &TargetState) -> String {
    const WIDTH: usize = 6;
    const HEIGHT: f64 = 24.0;
    let most = target.runs.iter().map(|run| run.added).max().unwrap_or(0).max(1) as f64;
    let all = RUNS * WIDTH;
    // Where there is no room for all, the newest are seen.
    let mut svg = format!(
        "<svg width=\"{all}\" height=\"{HEIGHT}\" viewBox=\"0 0 {all} {HEIGHT}\" \
         preserveAspectRatio=\"xMaxYMid slice\" role=\"img\" aria-label=\"runs\">"
    );
    let missing = RUNS - target.runs.len().min(RUNS);
    for place in 0..missing {
        let _ = write!(svg, "<rect class=\"none\" x=\"{}\" y=\"21\" width=\"5\" height=\"3\"/>", place * WIDTH);
    }
    for (place, run) in target.runs.iter().enumerate() {
        let share = (run.added as f64 / most).sqrt();
        let height = if run.ending == Ending::Failed { HEIGHT } else { 4.0 + share * (HEIGHT - 4.0) };
        let _ = write!(
            svg,
            "<rect class=\"{}\" x=\"{}\" y=\"{:.1}\" width=\"5\" height=\"{height:.1}\"><title>{}</title></rect>",
            class(run),
            (missing + place) * WIDTH,
            HEIGHT - height,
            escaped(&about(run))
        );
    }
    svg.push_str("</svg>");
    svg
}

fn class(run: &Run) -> &'static str {
    match run.ending {
        Ending::Good => "good",
        Ending::Flawed => "flawed",
        Ending::Failed => "failed",
    }
}

fn about(run: &Run) -> String {
    let what = match &run.error {
        Some(error) => error.to_string(),
        None => format!("{} added", size(run.added)),
    };
    format!("{}: {what}", time(run.began))
}

fn upkeep(page: &mut String, state: &State, now: UnixNanos) {
    page.push_str("<h2>Upkeep</h2><table><tr><th>work</th><th>last</th><th>what it did</th></tr>\n");
    for (name, known) in &state.upkeep {
        let last = known.last.map_or_else(String::new, |last| ago(now - last));
        let did = known.error.as_ref().unwrap_or(&known.did);
        let _ = writeln!(page, "<tr><td>{}</td><td>{last}</td><td>{}</td></tr>", escaped(name), escaped(did));
    }
    page.push_str("</table>\n");
    let read =
        state.read_since.map_or_else(|| "not yet".to_owned(), |since| format!("within {}", in_words(now - since)));
    let drilled = state.drilled.map_or_else(|| "none yet".to_owned(), |time| ago(now - time));
    let damage = if state.damage.is_open() { "open, and nothing is pruned" } else { "none is known" };
    let _ = writeln!(
        page,
        "<p>Every byte was read: {read}. Last proven drill: {drilled}. <span id=\"damage\">Damage: {damage}.</span></p>"
    );
}

/// Two lines over time: what is protected, and what that costs.
fn growth(page: &mut String, state: &State) {
    const SIZE: (f64, f64) = (900.0, 140.0);
    let (Some(first), Some(last)) = (state.growth.front(), state.growth.back()) else { return };
    let most =
        state.growth.iter().map(|(_, stored, protected)| *stored.max(protected)).max().unwrap_or(1).max(1) as f64;
    let span = ((last.0 - first.0) as f64).max(1.0);
    let line = |value: fn(&(UnixNanos, u64, u64)) -> u64| {
        let point = |point: &(UnixNanos, u64, u64)| {
            let x = (point.0 - first.0) as f64 / span * SIZE.0;
            // Sizes differ by orders of magnitude.
            let y = SIZE.1 - (1.0 + value(point) as f64).ln() / (1.0 + most).ln() * (SIZE.1 - 4.0);
            format!("{x:.1},{y:.1}")
        };
        state.growth.iter().map(point).collect::<Vec<_>>().join(" ")
    };
    let _ = writeln!(
        page,
        "<h2>Repository</h2><p>{} stored for {} protected.</p>\
         <svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"growth\"><polyline class=\"protected\" points=\"{}\"/>\
         <polyline class=\"stored\" points=\"{}\"/></svg>\n\
         <p class=\"soft\">Stored (line) and protected (dashes) since {}, on a logarithmic scale.</p>",
        size(last.1),
        size(last.2),
        SIZE.0,
        SIZE.1,
        line(|point| point.2),
        line(|point| point.1),
        time(first.0)
    );
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}

fn time(nanos: UnixNanos) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn ago(nanos: i64) -> String {
    format!("{} ago", in_words(nanos))
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 99.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::damage::Damage;

    #[test]
    fn damage_that_is_open_is_told_first() {
        let sound = html(&State::default(), 1);
        assert!(sound.contains("All is well") && sound.contains("none is known"), "{sound}");
        let damage = Damage::of_object("packs/x", "<b>it is damaged", 0);
        let page = html(&State { damage, ..State::default() }, 1);
        assert!(!page.contains("All is well") && page.contains("nothing is pruned"), "{page}");
        assert!(page.contains("packs/x: &lt;b&gt;it is damaged"), "{page}");
    }

    #[test]
    fn whatever_names_hold_is_text() {
        let mut state = State::default();
        let run = Run {
            began: 0,
            took: 1,
            ending: Ending::Failed,
            snapshot: None,
            bytes: 0,
            new: 0,
            added: 0,
            error: Some("<script>alert('x')</script>".into()),
            cause: None,
        };
        let mut target = TargetState::default();
        target.record(run);
        target.streams.push(("<b>".into(), 1, "p3".into()));
        state.targets.insert("\"><img>".into(), target);
        let page = html(&state, 1);
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>"), "{page}");
        assert!(page.contains("&lt;script&gt;"));
    }
}
