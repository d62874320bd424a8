//! What the checks of content say about what real programs write.

// Why a test was skipped is worth reading: see `--nocapture`.
#![allow(clippy::print_stderr)]

mod dumps;
mod keys;
