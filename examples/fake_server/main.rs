//! How do I try a client, in any language, without a real server? This is one, of all three APIs, on localhost.
//!
//! `cargo run --example fake_server -- --port 8080 --records 500 --rate 2/s --fail 503:0.05 --latency 50ms --seed 7`
//!
//! It prints the environment variables that the clients read, a `curl` line for each API, and each request as it comes.

mod args;
mod serve;
mod settings;

use std::io::{self, Write};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = match args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let ready = |url: &str| {
        print!("{}", serve::welcome(url, args.records));
        io::stdout().flush()
    };
    match serve::run(&args, ready).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            eprintln!("error: --port {}: it is in use; choose another, or 0 for a free one", args.port);
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: --port {}: {error}", args.port);
            ExitCode::FAILURE
        }
    }
}
