//! Facts about work under way. The engine reports them; the program draws them.

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step of the work begins; `total` is its size in bytes (or items), where that is known.
    Begin {
        /// What is being done, for people.
        what: &'a str,
        /// Size of the step in the unit that `Advance` counts.
        total: Option<u64>,
    },
    /// This many more bytes (or items) of the step are done.
    Advance(u64),
    /// The step is over.
    End,
    /// Something that the user should know, which does not stop the work.
    Warning(&'a str),
}

/// Receives events. Called from any thread; must be cheap and must not fail.
pub trait Observer: Send + Sync {
    /// Takes note of an event.
    fn event(&self, event: &Event<'_>);
}

/// Ignores everything.
#[derive(Debug, Default)]
pub struct NullObserver;

impl Observer for NullObserver {
    fn event(&self, _: &Event<'_>) {}
}
