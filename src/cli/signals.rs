//! Ctrl-C and SIGTERM: the first asks the work to stop, the second ends the process. The loop is told of each, and of
//! SIGHUP.

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

use super::exit::Exit;
use crate::env::Cancel;
use crate::service::Signal;

/// Said by the thread of signals when it has taken them over.
type Ready = Sender<()>;

/// Cancels the work at the first signal. Ending at the second is safe: nothing is visible before it is committed.
pub(super) fn cancel_on_signals(cancel: &Cancel) {
    let cancel = cancel.clone();
    spawn(move |ready| async move { wait_for_signals(&cancel, ready).await });
}

/// Signals for the loop: SIGTERM and Ctrl-C stop it, SIGHUP lets it read its configuration again.
pub(super) fn for_service(cancel: &Cancel) -> Receiver<Signal> {
    let (told, signals) = unbounded();
    let cancel = cancel.clone();
    spawn(move |ready| async move { tell(&cancel, &told, ready).await });
    signals
}

/// Runs a watch in a thread of its own, and returns when signals reach it: no work begins that a signal would just kill.
/// Without the thread the signals keep their default meaning, which is to end the process.
fn spawn<W: Future<Output = ()>>(watch: impl FnOnce(Ready) -> W + Send + 'static) {
    let (ready, taken_over) = bounded(1);
    let run = move || {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            runtime.block_on(watch(ready));
        }
    };
    if std::thread::Builder::new().name("signals".to_owned()).spawn(run).is_ok() {
        // An error means that the watch has ended, because it could not take them over.
        let _ = taken_over.recv();
    }
}

async fn wait_for_signals(cancel: &Cancel, ready: Ready) {
    let Some([mut interrupt, mut terminate]) = listen([SignalKind::interrupt(), SignalKind::terminate()], &ready)
    else {
        return;
    };
    for _ in 0..2 {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if cancel.is_cancelled() {
            end();
        }
        cancel.cancel();
    }
}

async fn tell(cancel: &Cancel, told: &Sender<Signal>, ready: Ready) {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let Some([mut interrupt, mut terminate, mut hangup]) = listen(kinds, &ready) else { return };
    loop {
        let one = tokio::select! {
            _ = interrupt.recv() => Signal::Stop,
            _ = terminate.recv() => Signal::Stop,
            _ = hangup.recv() => Signal::Reload,
        };
        if one == Signal::Stop && cancel.is_cancelled() {
            end();
        }
        if told.send(one).is_err() {
            return;
        }
    }
}

/// Takes the signals over and says so, or `None` if one cannot be.
fn listen<const N: usize>(kinds: [SignalKind; N], ready: &Ready) -> Option<[Listener; N]> {
    let mut listeners = Vec::with_capacity(N);
    for kind in kinds {
        listeners.push(signal(kind).ok()?);
    }
    // Whoever waits is there: nothing else ends the wait.
    let _ = ready.send(());
    listeners.try_into().ok()
}

fn end() -> ! {
    std::process::exit(i32::from(Exit::Interrupted.code()));
}
