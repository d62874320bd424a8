//! `sfarc completions` and `sfarc man`: made from the command line's own definition.

use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::error::Error;

pub(in crate::cli) fn completions(shell: clap_complete::Shell, output: &mut Output) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::cli::command(), "sfarc", &mut script);
    output.raw(&script)?;
    Ok(Exit::Done)
}

pub(in crate::cli) fn man(command: Option<&str>, output: &mut Output) -> Result<Exit, CliError> {
    let mut root = crate::cli::command();
    root.build();
    let page = match command {
        None => root,
        Some(name) => {
            let found = root.find_subcommand(name).cloned();
            let found = found.ok_or_else(|| Error::Usage(format!("there is no command `{name}`")))?;
            found.display_name(format!("sfarc-{name}"))
        }
    };
    let mut roff = Vec::new();
    clap_mangen::Man::new(page).render(&mut roff).map_err(CliError::Output)?;
    output.raw(&roff)?;
    Ok(Exit::Done)
}
