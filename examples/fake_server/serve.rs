//! The fake server itself, on its port. The tool `actionlog fake` shares it.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use actionlog::testing::FakeServer;

use super::settings::Args;

/// How often new records are added.
const TICK: Duration = Duration::from_millis(50);

/// The organisation, the project and the action set that have records.
const ORG: &str = "4711";
const PROJECT: &str = "default";
const ACTION_SET: i64 = 1;

/// Serves until the future is dropped. Calls `on_ready` with the URL once the port is open.
pub(crate) async fn run(args: &Args, on_ready: impl FnOnce(&str) -> io::Result<()>) -> io::Result<()> {
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
    on_ready(&server.url())?;
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

/// The variables for the clients' `from_env`, each with its value.
pub(crate) fn variables(url: &str) -> [(&'static str, String); 9] {
    [
        ("ARKLOW_BASE_URL", url.to_owned()),
        ("ARKLOW_API_KEY", "any".to_owned()),
        ("ARKLOW_ORG_ID", ORG.to_owned()),
        ("INTEGRATION_LOGS_URL", url.to_owned()),
        ("INTEGRATION_LOGS_AUTHORIZATION", "Bearer any".to_owned()),
        ("UNLEASH_URL", url.to_owned()),
        ("UNLEASH_TOKEN", "user:any".to_owned()),
        ("UNLEASH_PROJECT", PROJECT.to_owned()),
        ("UNLEASH_ACTION_SET", ACTION_SET.to_string()),
    ]
}

/// What is printed when the server is ready.
pub(crate) fn welcome(url: &str, records: usize) -> String {
    let of = |api: &str| {
        let all = variables(url).into_iter().filter(|(name, _)| name.starts_with(api));
        let quoted = all.map(|(name, value)| match value.contains(' ') {
            true => format!("{name}='{value}'"),
            false => format!("{name}={value}"),
        });
        format!("export {}", quoted.collect::<Vec<_>>().join(" "))
    };
    let (arklow, integration, unleash) = (of("ARKLOW"), of("INTEGRATION"), of("UNLEASH"));
    format!(
        "\
A fake server of three action logs at {url}, with {records} records each. Ctrl-C ends it.

# Any credentials are accepted. For the clients' `from_env`:
{arklow}
{integration}
{unleash}

# One request to each API:
curl -H 'x-arklow-auth: any' '{url}/v1/orgs/{ORG}/actions/records?take=2&skip=0&include_state=true'
curl -H 'Authorization: Bearer any' '{url}/integration-action-logs?limit=2&offset=0'
curl -H 'Authorization: user:any' '{url}/api/admin/projects/{PROJECT}/actions/{ACTION_SET}/events?limit=2&offset=0'

"
    )
}
