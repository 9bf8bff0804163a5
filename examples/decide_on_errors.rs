//! What does an [`Error`] report, and what do I do? Its kind, the server's message, the outcome of a write, and whether
//! to retry.
//!
//! Provokes several errors from a fake server.

use std::time::Duration;

use actionlog::integration::{ActionLogFields, ActionLogInput, ActionType, LogStatus};
use actionlog::testing::{FakeServer, Fault};
use actionlog::{ArklowClient, Error, ErrorKind, IntegrationClient, RetryPolicy, UnleashClient, WriteOutcome};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = FakeServer::new();
    server.unleash().accept_token("user:right");
    let unleash =
        UnleashClient::builder("http://localhost").api_key("user:wrong").http_client(server.http_client()).build()?;
    let arklow = ArklowClient::builder("4711").api_key("demo-key").http_client(server.http_client()).build()?;
    let logs = IntegrationClient::builder("http://localhost")
        .api_key("demo-key")
        .http_client(server.http_client())
        .retry(RetryPolicy::default().initial_backoff(Duration::from_millis(1)))
        .build()?;
    let input = ActionLogInput::new(ActionLogFields {
        integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
        action_type: ActionType::Create,
        entity_type: "product".into(),
        status: LogStatus::Success,
    });

    // Invalid arguments: no request is sent.
    show(arklow.records().list(()).page_size(51).page().await.err());

    // Wrong credentials: the hint says what to check.
    show(unleash.action_set_events().list(("default", 1)).page().await.err());

    // A `Retry-After` that is longer than a call waits.
    let headers = vec![("retry-after".to_owned(), "3600".to_owned())];
    server.fail_next(Fault::StatusWith { status: 429, headers, body: "Too many requests".to_owned() });
    show(arklow.records().count(()).await.err());

    // A failed read is retried. A failed write isn't, as it may have been applied.
    for _ in 0..5 {
        server.fail_next(Fault::Status(502));
    }
    show(logs.logs().list(()).page().await.err());
    show(logs.logs().create(input).await.err());

    // An unknown id.
    show(logs.logs().get("60f7b1b3e4b0e8b3f8b3f8b3").await.err());
    Ok(())
}

fn show(error: Option<Error>) {
    let Some(error) = error else { return println!("no error\n") };
    println!("{error}");
    println!("  kind      {}, after {} attempts", error.kind(), error.attempts());
    if let Some(api) = error.api() {
        println!("  server    {api}");
    }
    let outcome = match error.outcome() {
        WriteOutcome::NotSent => "not sent",
        WriteOutcome::NotApplied => "not applied: the server rejected it",
        _ => "unknown: check before you write again",
    };
    println!("  outcome   {outcome}");
    if let Some(wait) = error.retry_after() {
        println!("  wait      {wait:?}");
    }
    let advice = match error.kind() {
        ErrorKind::Unauthorized | ErrorKind::Forbidden => "check the credentials",
        _ if error.is_transient() => "retry later",
        _ => "don't retry",
    };
    println!("  advice    {advice}\n");
}
