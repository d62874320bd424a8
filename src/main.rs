//! Builds the world, runs the command line, and ends with its exit code.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything secret is in memory. Where the system forbids even this, the work is done all the same.
    if let Err(error) = sfarc::process::forbid_core_dumps() {
        let _ = writeln!(std::io::stderr(), "sfarc: warning: core dumps are not forbidden: {error}");
    }
    sfarc::allocator::keep_small();
    ExitCode::from(sfarc::cli::run(std::env::args_os(), sfarc::env::Env::system()).code())
}
