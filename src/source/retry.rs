//! Trying again, from the beginning, where the reason of a failure passes.

use std::time::Duration;

use super::SourceError;
use super::pod::Bounds;
use crate::env::{Cancel, Env};
use crate::event::{Event, chain};
use crate::pipeline::lanes::Lanes;
use crate::sync;

const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// Makes attempts until one succeeds, fails for good, or was the last. Each begins with empty lanes.
pub fn retry<T>(
    name: &str,
    bounds: &Bounds,
    env: &Env,
    lanes: &mut Lanes,
    mut attempt: impl FnMut(&mut Lanes) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let mut pause = bounds.pause;
    for _ in 1..bounds.attempts {
        match attempt(lanes) {
            Err(error) if error.is_transient() && !lanes.cancel().is_cancelled() => {
                let text = format!("stream `{name}`: {}; it is tried again in {} s", chain(&error), pause.as_secs());
                env.tell(&Event::Warning(&text));
            }
            other => return other,
        }
        lanes.restart()?;
        sleep(pause, lanes.cancel())?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    attempt(lanes)
}

fn sleep(mut left: Duration, cancel: &Cancel) -> Result<(), SourceError> {
    while !left.is_zero() {
        if cancel.is_cancelled() {
            return Err(SourceError::Interrupted);
        }
        let step = left.min(POLL);
        sync::sleep(step);
        left -= step;
    }
    Ok(())
}
