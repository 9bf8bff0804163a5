//! What can be asked of an error?
//!
//! Provokes some of each kind from a fake server of its own.

use std::time::Duration;

use actionlog::integration::{ActionLogDraft, ActionType, LogStatus, RequiredFields};
use actionlog::testing::{Fault, World};
use actionlog::{ArklowClient, Error, ErrorKind, IntegrationClient, RequestOutcome, RetryPolicy, UnleashClient};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let world = World::new();
    world.unleash().accept_token("user:right");
    let unleash =
        UnleashClient::builder("http://localhost").api_key("user:wrong").exchange(world.exchange()).build()?;
    let arklow = ArklowClient::builder("4711").api_key("demo-key").exchange(world.exchange()).build()?;
    let logs = IntegrationClient::builder("http://localhost")
        .api_key("demo-key")
        .exchange(world.exchange())
        .retry(RetryPolicy::default().base(Duration::from_millis(1)))
        .build()?;
    let draft = ActionLogDraft::new(RequiredFields {
        integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
        action_type: ActionType::Create,
        entity_type: "product".into(),
        status: LogStatus::Success,
    });

    // Told before anything is sent.
    show(arklow.records().list(()).page_size(51).page().await.err());

    // The credentials are wrong: the hint says what to look at.
    show(unleash.action_set_events().list(("default", 1)).page().await.err());

    // The server asks to be left alone for longer than a call should wait.
    let headers = vec![("retry-after".to_owned(), "3600".to_owned())];
    world.fail_next(Fault::StatusWith { status: 429, headers, body: "Too many requests".to_owned() });
    show(arklow.records().count(()).await.err());

    // A read that fails is tried again, a write isn't: it may have been done.
    for _ in 0..5 {
        world.fail_next(Fault::Status(502));
    }
    show(logs.logs().list(()).page().await.err());
    show(logs.logs().create(draft).await.err());

    // The id is unknown.
    show(logs.logs().get("60f7b1b3e4b0e8b3f8b3f8b3").await.err());
    Ok(())
}

fn show(error: Option<Error>) {
    let Some(error) = error else { return println!("went well\n") };
    println!("{error}");
    println!("  kind      {}, after {} attempts", error.kind(), error.attempts());
    if let Some(api) = error.api() {
        println!("  it said   {api}");
    }
    let effect = match error.outcome() {
        RequestOutcome::NotSent => "none, nothing was sent",
        RequestOutcome::Refused => "none, it was refused",
        _ => "not known: look before writing again",
    };
    println!("  effect    {effect}");
    if let Some(wait) = error.retry_after() {
        println!("  wait      {wait:?}");
    }
    let advice = match error.kind() {
        ErrorKind::Unauthorized | ErrorKind::Forbidden => "look at the credentials",
        _ if error.is_transient() => "try again later",
        _ => "trying again won't help",
    };
    println!("  advice    {advice}\n");
}
