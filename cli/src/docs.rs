//! Manual pages and shell completions, made of the command line itself.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;

use crate::args::Cli;
use crate::exit::{Failure, Status};

/// Prints the completions of a shell.
///
/// # Errors
///
/// If the output can't be written.
pub fn completions(shell: clap_complete::Shell) -> Result<Status, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "actionlog", &mut text);
    print(&text)
}

/// Writes the manual pages into a folder, or the main one to the standard output.
///
/// # Errors
///
/// If they can't be written.
pub fn man(folder: Option<&Path>) -> Result<Status, Failure> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(|error| Failure::output(&error))?;
        return print(&page);
    };
    fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, error))?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(|error| Failure::file("write to", folder, error))?;
    Ok(Status::Complete)
}

fn print(text: &[u8]) -> Result<Status, Failure> {
    let mut out = io::stdout();
    out.write_all(text).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))?;
    Ok(Status::Complete)
}
