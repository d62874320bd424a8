//! Builds the world, runs the command line, and ends with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    sfarc::allocator::keep_small();
    ExitCode::from(sfarc::cli::run(std::env::args_os(), sfarc::env::Env::system()).code())
}
