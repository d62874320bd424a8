//! Pipes at the ends of the pipeline.

use std::os::fd::AsFd;

/// What an unprivileged process may ask for unless the system is set up otherwise.
const PIPE_BYTES: usize = 1 << 20;

/// Makes room in a pipe, so that its two ends take turns less often. What is no pipe, or may not grow, stays as it is.
pub fn widen(end: impl AsFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(end, PIPE_BYTES);
}
