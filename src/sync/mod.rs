//! What threads share: values behind locks, channels, promises, threads and pauses.
//!
//! The pipeline and the repository use these, not those of `std` and `crossbeam_channel`, which stand behind them. In a
//! simulation (`simulation`, only where there are tests) a scheduler decides at each of them who goes on, and time is a
//! number. Elsewhere `Here` cannot exist, and the compiler leaves out whatever needs one.

mod channel;
#[cfg(not(any(test, feature = "testing")))]
mod here;
mod lock;
mod promise;
#[cfg(any(test, feature = "testing"))]
pub mod simulation;
mod thread;

pub use channel::{Receiver, Sender, bounded, unbounded};
pub use crossbeam_channel::{RecvError, SendError, TryRecvError, TrySendError};
pub use lock::{Condvar, Mutex, MutexGuard, locked};
pub use promise::{Promise, Promised, promise};
pub use thread::{JoinHandle, Scope, ScopedJoinHandle, scope, sleep, spawn};

#[cfg(not(any(test, feature = "testing")))]
use here::{Here, Seat};
#[cfg(any(test, feature = "testing"))]
use simulation::{Here, Seat};

/// What a thread waits for: the address of something that is shared.
fn address<T>(shared: &T) -> usize {
    std::ptr::from_ref(shared).addr()
}
