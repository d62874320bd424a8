//! Progress on a terminal, warnings everywhere.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::text;
use crate::event::{Event, Observer, Unit};

/// Draws events on standard error.
#[derive(Debug)]
pub(super) struct Terminal {
    bars: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Terminal {
    /// Draws bars if that makes sense: on a terminal, and not if the user wants quiet.
    pub(super) fn new(quiet: bool) -> Self {
        Self { bars: !quiet && std::io::stderr().is_terminal(), bar: Mutex::new(None) }
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
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
            Event::Begin { what, total, unit } if self.bars => {
                let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
                bar.set_style(style(*total, *unit));
                bar.set_message(text::name(what.as_bytes()));
                bar.enable_steady_tick(Duration::from_millis(200));
                if let Some(old) = self.bar().replace(bar) {
                    old.finish_and_clear();
                }
            }
            Event::Advance(more) => {
                if let Some(bar) = &*self.bar() {
                    bar.inc(*more);
                }
            }
            Event::End => {
                if let Some(bar) = self.bar().take() {
                    bar.finish_and_clear();
                }
            }
            Event::Warning(warning) => {
                let warning = text::message(warning);
                // Nobody is left to tell if standard error is gone.
                let warn = || drop(writeln!(std::io::stderr(), "warning: {warning}"));
                match &*self.bar() {
                    Some(bar) => bar.suspend(warn),
                    None => warn(),
                }
            }
            Event::Begin { .. } => {}
        }
    }
}
