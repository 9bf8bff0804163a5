//! The program `actionlog`: see its README, and `actionlog --help`.

use std::process::ExitCode;

use actionlog_cli::args::Cli;
use clap::Parser;

fn main() -> ExitCode {
    actionlog_cli::run(Cli::parse())
}
