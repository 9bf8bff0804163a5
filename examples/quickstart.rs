//! Scans the logs of all three APIs, and prints a summary and the verdict of each scan: whether it delivered every
//! record. Also stops a scan half-way, resumes it from a stored cursor and verifies it by a second scan; creates,
//! updates and deletes an integration log; and reads the three logs as one timeline.
//!
//! `cargo run --example quickstart` uses a fake server with 120 records in each log. To use real servers, set
//!
//! - `UNLEASH_URL` and `UNLEASH_TOKEN`; optionally `UNLEASH_PROJECT` (default: `default`) and `UNLEASH_ACTION_SET`
//!   (default: `1`),
//! - `ARKLOW_API_KEY` and `ARKLOW_ORG_ID`,
//! - `INTEGRATION_LOGS_URL` and `INTEGRATION_LOGS_AUTHORIZATION`; `QUICKSTART_WRITE=1` to also write there.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::process::ExitCode;

use actionlog::arklow::RecordsQuery;
use actionlog::integration::{ActionLogFields, ActionLogInput, ActionType, LogStatus};
use actionlog::page::Paginate;
use actionlog::record::{LogRecord, Outcome};
use actionlog::testing::FakeServer;
use actionlog::{ArklowClient, Cursor, ErrorKind, IntegrationClient, Listing, Timeline, UnleashClient};
use futures_util::{Stream, StreamExt};

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        eprintln!("  caused by: {error}");
        source = error.source();
    }
    ExitCode::FAILURE
}

async fn run() -> Result<(), Box<dyn Error>> {
    let fake = FakeServer::new();
    let server = fake.listen().await?;
    let url = server.url();

    let project = env::var("UNLEASH_PROJECT").unwrap_or("default".into());
    let action_set: i64 = env::var("UNLEASH_ACTION_SET").unwrap_or("1".into()).parse()?;
    // Each log of the fake server has one invalid record.
    fake.unleash().log(&*project, action_set).add_samples(60).add_raw(r#"{"id": "none"}"#).add_samples(60);
    fake.arklow().log("4711").add_samples(60).add_raw(r#"{"id": null}"#).add_samples(60);
    fake.integration().log().add_samples(60).add_raw(r#"{"_id": "1"}"#).add_samples(60);

    let unleash = match real("UNLEASH_URL") {
        true => UnleashClient::from_env()?,
        false => UnleashClient::builder(&url).api_key("user:demo-key").build()?,
    };
    heading(&format!("Unleash: events of action set {action_set} of project {project}"), "UNLEASH_URL", &url);
    let events = unleash.action_set_events().list((&*project, action_set));
    scan(events.clone()).await?;
    stop_and_resume(events.clone()).await?;

    let arklow = match real("ARKLOW_API_KEY") {
        true => ArklowClient::from_env()?,
        false => ArklowClient::builder("4711").base_url(&url).api_key("demo-key").build()?,
    };
    heading("Arklow: action records", "ARKLOW_API_KEY", &url);
    let records = arklow.records().list(RecordsQuery::new().include_state().include_definition());
    scan(records.clone()).await?;

    let integration = match real("INTEGRATION_LOGS_URL") {
        true => IntegrationClient::from_env()?,
        false => IntegrationClient::builder(&url).api_key("demo-key").build()?,
    };
    heading("Integration action logs", "INTEGRATION_LOGS_URL", &url);
    scan(integration.logs().list(())).await?;
    if real("INTEGRATION_LOGS_URL") && env::var_os("QUICKSTART_WRITE").is_none_or(|it| it != "1") {
        println!("\n  Nothing was written: set QUICKSTART_WRITE=1 to create, change and delete a log there");
    } else {
        write(&integration).await?;
    }

    println!("\nAll three logs as one timeline");
    let mut timeline = Timeline::newest_first()
        .scan("unleash", events)
        .scan("arklow", records)
        .scan("integration", integration.logs().list(()));
    report(timeline.by_ref().map(|it| it.map(|(_, record)| record))).await?;
    println!("  {:<16}{}", "verdict", timeline.summary().verdict);
    server.stop().await;
    Ok(())
}

/// Whether to use a real server.
fn real(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|it| !it.is_empty())
}

fn heading(title: &str, variable: &str, fake: &str) {
    match real(variable) {
        true => println!("\n{title}\n  from the real server, as {variable} is set"),
        false => println!("\n{title}\n  from a fake server at {fake} (set {variable} for a real one)"),
    }
}

/// The line that is printed for a record of any log.
fn line(record: &impl LogRecord) -> String {
    let when = record.timestamp().map(|it| it.time.format("%Y-%m-%d %H:%M").to_string());
    let what = format!("{} {}", record.action().unwrap_or("-"), record.target().map_or("", |it| it.kind));
    format!("{}  {what:<32}  {}", when.unwrap_or_default(), record.error().unwrap_or_default())
}

/// Reads a log, or several, to the end, and prints how the actions ended and the newest failures.
async fn report<R: LogRecord>(mut records: impl Stream<Item = actionlog::Result<R>> + Unpin) -> actionlog::Result<()> {
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    let mut failures = Vec::new();
    let mut problems = Vec::new();
    while let Some(record) = records.next().await {
        match record {
            Ok(record) => {
                *outcomes.entry(record.outcome().to_string()).or_default() += 1;
                if record.outcome() == Outcome::Failed {
                    failures.push(line(&record));
                }
            }
            // An invalid record, or errors that the server reported next to the records: the stream continues.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidRecord | ErrorKind::Partial) => problems.push(error),
            Err(error) => return Err(error),
        }
    }

    println!("\n  {:<16}{:>5}", "records", outcomes.values().sum::<u32>());
    for (outcome, count) in &outcomes {
        println!("    {outcome:<14}{count:>5}");
    }
    println!("  {:<16}{:>5}", "problems", problems.len());
    for error in &problems {
        println!("    {error}");
    }
    println!(
        "  {:<16}{:>5}{}",
        "failures",
        failures.len(),
        if failures.is_empty() { "" } else { ", the newest of them" }
    );
    for failure in failures.iter().take(3) {
        println!("    {failure}");
    }
    Ok(())
}

/// Scans a log to its end.
async fn scan<Q: Paginate<Item: LogRecord>>(listing: Listing<Q>) -> actionlog::Result<()> {
    let (records, summary) = listing.items().summarised();
    report(records).await?;
    println!("  {:<16}{}", "verdict", summary.get().verdict);
    Ok(())
}

/// Stops a scan half-way, stores its cursor, and resumes from it, as a later run of the program could. A second scan
/// then proves that no record is missing.
async fn stop_and_resume<Q: Paginate>(listing: Listing<Q>) -> Result<(), Box<dyn Error>> {
    let mut records = listing.clone().items().with_invalid().with_cursor();
    let mut stored = String::new();
    let mut before = 0;
    while let Some((_, cursor)) = records.try_next().await? {
        // Store a cursor only after the records before it have been processed.
        stored = cursor.to_string();
        before += 1;
        if before == 50 {
            break;
        }
    }
    println!("\n  {:<16}{before:>5} records read, {}", "stopped", records.summary().verdict);
    if before == 0 {
        return Ok(());
    }
    println!("  {:<16}{:>5} bytes of cursor", "stored", stored.len());

    let cursor: Cursor = stored.parse()?;
    let rest = listing.resume(cursor).verify().collect().await;
    let after = rest.items.len() + rest.invalid.len();
    println!("  {:<16}{after:>5} records read, {}", "resumed", rest.summary.verdict);
    println!("  {:<16}{:>5}", "total", before + after);
    rest.error.map_or(Ok(()), |error| Err(error.into()))
}

/// Creates, updates and deletes a log.
async fn write(client: &IntegrationClient) -> actionlog::Result<()> {
    let input = ActionLogInput::new(ActionLogFields {
        integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
        action_type: ActionType::Sync,
        entity_type: "product".into(),
        status: LogStatus::Pending,
    });
    let log = client.logs().create(input.entity_id("quickstart")).await?;
    println!("\n  created   {}  {}", log.id, log.status);
    let log = client.logs().update(&log.id, log.to_input().status(LogStatus::Success)).await?;
    println!("  updated   {}  {}", log.id, log.status);
    client.logs().delete(&log.id).await?;
    println!("  deleted   {}", log.id);
    Ok(())
}
