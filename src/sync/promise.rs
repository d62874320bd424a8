//! Values that one thread has promised to others.

use std::sync::Arc;

use super::{Condvar, Mutex, locked};

#[derive(Debug)]
enum State<T> {
    Open,
    Kept(T),
    Broken,
}

/// A value that somebody has promised. Copies are of the same value.
#[derive(Debug)]
pub struct Promised<T>(Arc<(Mutex<State<T>>, Condvar)>);

impl<T> Clone for Promised<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Promised<T> {
    fn new(state: State<T>) -> Self {
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    /// A value that is there already.
    pub fn kept(value: T) -> Self {
        Self::new(State::Kept(value))
    }

    /// Waits for the value; nothing if whoever promised it went without it.
    pub fn wait(&self) -> Option<T>
    where
        T: Clone,
    {
        let (state, ready) = &*self.0;
        let is_open = |state: &mut State<T>| matches!(state, State::Open);
        match &*ready.wait_while(locked(state), is_open) {
            State::Kept(value) => Some(value.clone()),
            State::Open | State::Broken => None,
        }
    }
}

/// The promise of a value. Dropped without being kept, it is broken: nobody waits for ever.
#[derive(Debug)]
pub struct Promise<T>(Promised<T>);

impl<T> Promise<T> {
    /// Hands the value to all that wait for it.
    pub fn keep(self, value: T) {
        *locked(&self.0.0.0) = State::Kept(value);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let (state, ready) = &*self.0.0;
        let mut state = locked(state);
        if matches!(*state, State::Open) {
            *state = State::Broken;
        }
        ready.notify_all();
    }
}

/// Promises a value.
pub fn promise<T>() -> (Promise<T>, Promised<T>) {
    let promised = Promised::new(State::Open);
    (Promise(promised.clone()), promised)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_kept_for_all_or_broken_for_all() {
        let (promise, promised) = promise();
        let waiting = [promised.clone(), promised].map(|promised| std::thread::spawn(move || promised.wait()));
        promise.keep(7);
        assert_eq!(waiting.map(|thread| thread.join().expect("it waits")), [Some(7), Some(7)]);
        let (promise, promised) = super::promise::<u8>();
        let waiting = std::thread::spawn(move || promised.wait());
        drop(promise);
        assert_eq!(waiting.join().expect("it waits"), None);
        assert_eq!(Promised::kept(1).wait(), Some(1));
    }
}
