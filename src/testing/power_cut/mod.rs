//! Every state that a power cut may leave of what was written.
//!
//! | file | what it does |
//! |---|---|
//! | `recorder.rs` | passes calls on and writes down what they change |
//! | `ledger.rs` | replays that up to a moment: what is durable by then, and what may or may not have arrived |
//! | `tree.rs` | one of the states that are possible then, in memory and as files |
//!
//! The model is harsher than any file system: each name in a folder that was not synced since, and each file's data
//! and attributes, have arrived or not, independently of all others and of their order (docs/decisions/0019).

mod ledger;
mod recorder;
mod tree;

pub use ledger::{Ledger, States};
pub use recorder::{Change, Made, RecordingDisk};
pub use tree::{Attributes, Tree};
