//! The place of a thread in a simulation, where there are no simulations: nobody has one.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

/// The place of this thread in a simulation.
pub(super) struct Here(Infallible);

/// The place of a thread that begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat(Infallible);

impl Here {
    #[inline]
    pub(super) const fn current() -> Option<Self> {
        None
    }

    pub(super) fn point(&self) {
        match self.0 {}
    }

    pub(super) fn pass(&self) {
        match self.0 {}
    }

    pub(super) fn wait_for(&self, _: usize) {
        match self.0 {}
    }

    pub(super) fn wake(&self, _: usize) {
        match self.0 {}
    }

    pub(super) fn sleep(&self, _: Duration) {
        match self.0 {}
    }

    pub(super) fn fork(&self, _: &str) -> io::Result<Seat> {
        match self.0 {}
    }

    pub(super) fn join(&self, _: Seat) {
        match self.0 {}
    }
}

impl Seat {
    pub(super) fn hold<T, W: FnOnce() -> T>(self, _: &Here, _: W) -> impl FnOnce() -> T + use<T, W> {
        move || match self.0 {}
    }
}
