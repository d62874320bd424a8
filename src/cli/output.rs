//! Standard output: results for people or for programs.

use std::io::{self, BufWriter, Write};

use serde_json::Value;

use crate::error::Error;
use crate::repo::RepoError;

/// Why a command did not end well.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The operation failed.
    #[error(transparent)]
    Operation(#[from] Error),
    /// The result could not be printed.
    #[error("cannot print the result")]
    Output(#[source] io::Error),
}

impl From<RepoError> for CliError {
    fn from(error: RepoError) -> Self {
        Self::Operation(error.into())
    }
}

/// Prints results.
pub(super) struct Output {
    json: bool,
    quiet: bool,
    out: BufWriter<io::Stdout>,
}

impl Output {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, out: BufWriter::new(io::stdout()) }
    }

    /// True if results are for programs.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints an object on a line of its own.
    pub(super) fn object(&mut self, value: &Value) -> Result<(), CliError> {
        writeln!(self.out, "{value}").map_err(CliError::Output)
    }

    /// Prints a line of the result.
    pub(super) fn line(&mut self, text: impl std::fmt::Display) -> Result<(), CliError> {
        writeln!(self.out, "{text}").map_err(CliError::Output)
    }

    /// Prints a line that says what was done; not if the user wants quiet.
    pub(super) fn summary(&mut self, text: impl std::fmt::Display) -> Result<(), CliError> {
        if self.quiet { Ok(()) } else { self.line(text) }
    }

    /// Prints a table without trailing blanks.
    pub(super) fn table(&mut self, table: &comfy_table::Table) -> Result<(), CliError> {
        table.lines().try_for_each(|line| self.line(line.trim_end()))
    }

    /// Prints bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.out.write_all(bytes).map_err(CliError::Output)
    }

    /// Gives everything to whoever reads.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        self.out.flush().map_err(CliError::Output)
    }
}
