//! Facts about work under way. The engine reports them; the program draws them.

/// What the progress of a step is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things: packs, snapshots.
    Items,
}

/// Steps of the work that run side by side have different numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Task(pub usize);

impl Task {
    /// That of work where nothing runs beside it.
    pub const ONLY: Self = Self(0);
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step of the work begins, or begins again.
    Begin {
        /// Which one.
        task: Task,
        /// What is being done, for people.
        what: &'a str,
        /// Size of the step, where it is known.
        total: Option<u64>,
        /// What `Advance` counts.
        unit: Unit,
    },
    /// This much more of the step is done.
    Advance(Task, u64),
    /// The step is over.
    End(Task),
    /// What is being done or waited for, for people who look on.
    Doing(&'a str),
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

/// An error and its causes on one line, each said once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}
