//! Ctrl-C and SIGTERM: the first asks the work to stop, the second ends the process. The loop is told of each, and of
//! SIGHUP.

use crossbeam_channel::{Receiver, unbounded};
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use crate::env::Cancel;
use crate::service::Signal;

/// Cancels the work at the first signal. Ending at the second is safe: nothing is visible before it is committed.
pub(super) fn cancel_on_signals(cancel: &Cancel) {
    let cancel = cancel.clone();
    let watch = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(wait_for_signals(&cancel));
        }
    };
    // Without the thread the signals keep their default meaning, which is to end the process.
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(watch);
}

async fn wait_for_signals(cancel: &Cancel) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for _ in 0..2 {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if cancel.is_cancelled() {
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
        cancel.cancel();
    }
}

/// Signals for the loop: SIGTERM and Ctrl-C stop it, SIGHUP lets it read its configuration again.
pub(super) fn for_service(cancel: &Cancel) -> Receiver<Signal> {
    let (told, signals) = unbounded();
    let cancel = cancel.clone();
    let watch = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else { return };
            loop {
                let one = tokio::select! {
                    _ = interrupt.recv() => Signal::Stop,
                    _ = terminate.recv() => Signal::Stop,
                    _ = hangup.recv() => Signal::Reload,
                };
                if one == Signal::Stop && cancel.is_cancelled() {
                    std::process::exit(i32::from(Exit::Interrupted.code()));
                }
                if told.send(one).is_err() {
                    return;
                }
            }
        });
    };
    // Without the thread the signals keep their default meaning, which is to end the process.
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(watch);
    signals
}
