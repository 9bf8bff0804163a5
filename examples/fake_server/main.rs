//! How do I try a client, in any language, without a real server? This is one, of all three APIs, on localhost.
//!
//! `cargo run --example fake_server -- --port 8080 --records 500 --rate 2/s --fail 503:0.05 --latency 50ms --seed 7`
//!
//! It prints the environment variables that the clients read, a `curl` line for each API, and each request as it comes.

mod args;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use actionlog::testing::FakeServer;
use args::Args;

/// How often new records are added.
const TICK: Duration = Duration::from_millis(50);

/// The organisation, the project and the action set that have records.
const ORG: &str = "4711";
const PROJECT: &str = "default";
const ACTION_SET: i64 = 1;

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
    match run(&args).await {
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

async fn run(args: &Args) -> io::Result<()> {
    let fake = FakeServer::new();
    add(&fake, args.records);
    fake.latency(args.latency);
    for (index, (fault, share)) in args.fail.iter().enumerate() {
        // A seed each: with the same one, they would hit the same requests.
        fake.fail_randomly(fault.clone(), *share, args.seed.wrapping_add(index as u64));
    }
    let mut number = 0_u64;
    let server = fake.clone();
    fake.after_each(move |request| {
        number += 1;
        // Nobody looks at them later, and a long run would fill the memory.
        server.clear_requests();
        // The program that reads the lines may be gone; the server isn't.
        let _ = writeln!(io::stdout(), "{number:>6}  {request}");
    });

    let server = fake.listen_on(([127, 0, 0, 1], args.port)).await?;
    print!("{}", welcome(&server.url(), args.records));
    io::stdout().flush()?;
    grow(&fake, args.rate).await;
    Ok(())
}

fn add(fake: &FakeServer, records: usize) {
    fake.arklow().add_sample_records(ORG, records);
    fake.integration().add_sample_logs(records);
    fake.unleash().add_sample_events(PROJECT, ACTION_SET, records);
}

/// Adds records until the program ends.
async fn grow(fake: &FakeServer, rate: f64) {
    let (began, mut added) = (Instant::now(), 0);
    loop {
        tokio::time::sleep(TICK).await;
        let due = (began.elapsed().as_secs_f64() * rate) as usize;
        if due > added {
            add(fake, due - added);
            added = due;
        }
    }
}

fn welcome(url: &str, records: usize) -> String {
    format!(
        "\
A fake server of three action logs at {url}, with {records} records each. Ctrl-C ends it.

# Any credentials are accepted. For the clients' `from_env`:
export ARKLOW_BASE_URL={url} ARKLOW_API_KEY=any ARKLOW_ORG_ID={ORG}
export INTEGRATION_LOGS_URL={url} INTEGRATION_LOGS_AUTHORIZATION='Bearer any'
export UNLEASH_URL={url} UNLEASH_TOKEN=user:any UNLEASH_PROJECT={PROJECT} UNLEASH_ACTION_SET={ACTION_SET}

# One request to each API:
curl -H 'x-arklow-auth: any' '{url}/v1/orgs/{ORG}/actions/records?take=2&skip=0&include_state=true'
curl -H 'Authorization: Bearer any' '{url}/integration-action-logs?limit=2&offset=0'
curl -H 'Authorization: user:any' '{url}/api/admin/projects/{PROJECT}/actions/{ACTION_SET}/events?limit=2&offset=0'

"
    )
}
