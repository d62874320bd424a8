//! The verbs. Each takes an opened repository and returns a report; nothing here prints.

pub mod collect;
pub mod snapshot;
