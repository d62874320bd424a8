//! Channels: of `crossbeam_channel`, or in a simulation a queue that tells the scheduler who waits.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{RecvError, SendError, TryRecvError, TrySendError};

use super::{Here, address};

/// The end of a channel that sends.
pub enum Sender<T> {
    /// For threads.
    Real(crossbeam_channel::Sender<T>),
    /// For threads of a simulation.
    Simulated(SimulatedSender<T>),
}

/// The end of a channel that receives.
pub enum Receiver<T> {
    /// For threads.
    Real(crossbeam_channel::Receiver<T>),
    /// For threads of a simulation.
    Simulated(SimulatedReceiver<T>),
}

/// A channel that holds at most so many values; with 0, each is handed over.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    match Here::current() {
        Some(_) => simulated(Some(capacity)),
        None => real(crossbeam_channel::bounded(capacity)),
    }
}

/// A channel that holds any number of values.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    match Here::current() {
        Some(_) => simulated(None),
        None => real(crossbeam_channel::unbounded()),
    }
}

fn real<T>(ends: (crossbeam_channel::Sender<T>, crossbeam_channel::Receiver<T>)) -> (Sender<T>, Receiver<T>) {
    (Sender::Real(ends.0), Receiver::Real(ends.1))
}

fn simulated<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let queue = Queue { values: VecDeque::new(), capacity, given: 0, taken: 0, waiting: 0, senders: 1, receivers: 1 };
    let channel = Arc::new(Mutex::new(queue));
    (Sender::Simulated(SimulatedSender(Arc::clone(&channel))), Receiver::Simulated(SimulatedReceiver(channel)))
}

impl<T> Sender<T> {
    /// Sends, and waits until there is room; fails if nobody receives any more.
    #[inline]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self {
            Self::Real(sender) => sender.send(value),
            Self::Simulated(sender) => sender.send(value),
        }
    }

    /// Sends if there is room.
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self {
            Self::Real(sender) => sender.try_send(value),
            Self::Simulated(sender) => sender.try_send(value),
        }
    }
}

impl<T> Receiver<T> {
    /// Waits for a value; fails if there is none and nobody sends any more.
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        match self {
            Self::Real(receiver) => receiver.recv(),
            Self::Simulated(receiver) => receiver.recv(),
        }
    }

    /// Takes a value if there is one.
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self {
            Self::Real(receiver) => receiver.try_recv(),
            Self::Simulated(receiver) => receiver.try_recv(),
        }
    }

    /// Values until nobody sends any more.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// The values that are there.
    pub fn try_iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.try_recv().ok())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Real(sender) => Self::Real(sender.clone()),
            Self::Simulated(sender) => Self::Simulated(sender.clone()),
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Real(receiver) => Self::Real(receiver.clone()),
            Self::Simulated(receiver) => Self::Simulated(receiver.clone()),
        }
    }
}

/// What waits in a channel of a simulation. One thread runs at a time: nobody is in the way between a look and a wait.
struct Queue<T> {
    values: VecDeque<T>,
    capacity: Option<usize>,
    /// Values that were sent and received.
    given: u64,
    taken: u64,
    /// Receivers that wait.
    waiting: usize,
    senders: usize,
    receivers: usize,
}

type Channel<T> = Arc<Mutex<Queue<T>>>;

/// Sends in a simulation.
pub struct SimulatedSender<T>(Channel<T>);

/// Receives in a simulation.
pub struct SimulatedReceiver<T>(Channel<T>);

fn lock<T>(channel: &Channel<T>) -> MutexGuard<'_, Queue<T>> {
    channel.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake<T>(channel: &Channel<T>) {
    if let Some(here) = Here::current() {
        here.wake(address(&**channel));
    }
}

fn here() -> Here {
    Here::current().expect("a channel of a simulation is used in it")
}

impl<T> Queue<T> {
    /// True if one more value may be left here. One that is handed over waits here until it is taken.
    fn has_room(&self) -> bool {
        self.capacity.is_none_or(|capacity| self.values.len() < capacity.max(1))
    }

    /// Leaves a value, and says how many that makes.
    fn give(&mut self, value: T) -> u64 {
        self.values.push_back(value);
        self.given += 1;
        self.given
    }

    fn take(&mut self) -> Option<T> {
        let value = self.values.pop_front()?;
        self.taken += 1;
        Some(value)
    }
}

impl<T> SimulatedSender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        let here = here();
        here.point();
        let number = loop {
            let mut queue = lock(&self.0);
            if queue.receivers == 0 {
                return Err(SendError(value));
            }
            if queue.has_room() {
                break queue.give(value);
            }
            drop(queue);
            here.wait_for(address(&*self.0));
        };
        wake(&self.0);
        self.hand_over(&here, number)
    }

    /// Waits until a value is taken, in a channel that holds none.
    fn hand_over(&self, here: &Here, number: u64) -> Result<(), SendError<T>> {
        loop {
            let mut queue = lock(&self.0);
            if queue.capacity != Some(0) || queue.taken >= number {
                return Ok(());
            }
            if queue.receivers == 0 {
                // Whoever received last has left it here.
                return queue.values.pop_front().map_or(Ok(()), |value| Err(SendError(value)));
            }
            drop(queue);
            here.wait_for(address(&*self.0));
        }
    }

    fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        here().point();
        let mut queue = lock(&self.0);
        if queue.receivers == 0 {
            return Err(TrySendError::Disconnected(value));
        }
        // To be handed over at once, somebody must be waiting for it.
        let is_wanted = queue.capacity != Some(0) || queue.waiting > queue.values.len();
        if !(is_wanted && queue.has_room()) {
            return Err(TrySendError::Full(value));
        }
        queue.give(value);
        drop(queue);
        wake(&self.0);
        Ok(())
    }
}

impl<T> SimulatedReceiver<T> {
    fn recv(&self) -> Result<T, RecvError> {
        let here = here();
        here.point();
        loop {
            let mut queue = lock(&self.0);
            if let Some(value) = queue.take() {
                drop(queue);
                wake(&self.0);
                return Ok(value);
            }
            if queue.senders == 0 {
                return Err(RecvError);
            }
            queue.waiting += 1;
            drop(queue);
            here.wait_for(address(&*self.0));
            lock(&self.0).waiting -= 1;
        }
    }

    fn try_recv(&self) -> Result<T, TryRecvError> {
        here().point();
        let mut queue = lock(&self.0);
        let Some(value) = queue.take() else {
            return Err(if queue.senders == 0 { TryRecvError::Disconnected } else { TryRecvError::Empty });
        };
        drop(queue);
        wake(&self.0);
        Ok(value)
    }
}

impl<T> Clone for SimulatedSender<T> {
    fn clone(&self) -> Self {
        lock(&self.0).senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Clone for SimulatedReceiver<T> {
    fn clone(&self) -> Self {
        lock(&self.0).receivers += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for SimulatedSender<T> {
    fn drop(&mut self) {
        lock(&self.0).senders -= 1;
        wake(&self.0);
    }
}

impl<T> Drop for SimulatedReceiver<T> {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.receivers -= 1;
        // What nobody will receive is dropped now; but whoever hands a value over gets it back.
        let is_last = queue.receivers == 0 && queue.capacity != Some(0);
        let left = if is_last { std::mem::take(&mut queue.values) } else { VecDeque::new() };
        drop(queue);
        wake(&self.0);
        drop(left);
    }
}
