//! Progress on a terminal, warnings everywhere.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::text;
use crate::event::{Event, Observer, Task, Unit};

/// Draws events on standard error: a bar for each step that is under way.
#[derive(Debug)]
pub(super) struct Terminal {
    draws: bool,
    quiet: bool,
    screen: MultiProgress,
    bars: Mutex<HashMap<Task, ProgressBar>>,
}

impl Terminal {
    /// Draws bars if that makes sense: on a terminal, and not if the user wants quiet.
    pub(super) fn new(quiet: bool) -> Self {
        let draws = !quiet && std::io::stderr().is_terminal();
        Self { draws, quiet, screen: MultiProgress::new(), bars: Mutex::default() }
    }

    fn bars(&self) -> MutexGuard<'_, HashMap<Task, ProgressBar>> {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, line: &str) {
        // Nobody is left to tell if standard error is gone.
        let say = || drop(writeln!(std::io::stderr(), "{line}"));
        if self.draws { self.screen.suspend(say) } else { say() }
    }

    fn begin(&self, task: Task, what: &str, total: Option<u64>, unit: Unit) {
        let bar = self.screen.add(total.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
        bar.set_style(style(total, unit));
        bar.set_message(text::name(what.as_bytes()));
        bar.enable_steady_tick(Duration::from_millis(200));
        if let Some(old) = self.bars().insert(task, bar) {
            old.finish_and_clear();
        }
    }
}

fn style(total: Option<u64>, unit: Unit) -> ProgressStyle {
    let template = match (total, unit) {
        (Some(_), Unit::Bytes) => "{msg} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} eta {eta}",
        (None, Unit::Bytes) => "{msg} {spinner} {bytes} {binary_bytes_per_sec} {elapsed}",
        (Some(_), Unit::Items) => "{msg} {wide_bar} {pos}/{len} eta {eta}",
        (None, Unit::Items) => "{msg} {spinner} {elapsed}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Observer for Terminal {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Begin { task, what, total, unit } if self.draws => self.begin(*task, what, *total, *unit),
            Event::Advance(task, more) => {
                if let Some(bar) = self.bars().get(task) {
                    bar.inc(*more);
                }
            }
            Event::End(task) => {
                if let Some(bar) = self.bars().remove(task) {
                    bar.finish_and_clear();
                }
            }
            Event::Doing(what) if !self.quiet => self.say(&text::message(what)),
            Event::Warning(warning) => self.say(&format!("warning: {}", text::message(warning))),
            Event::Begin { .. } | Event::Doing(_) => {}
        }
    }
}
