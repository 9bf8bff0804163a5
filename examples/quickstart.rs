//! Reads all events of an action set, and says how they went.
//!
//! `cargo run --example quickstart` starts a fake server of its own, with 120 events in it.
//!
//! For a real one set `UNLEASH_URL` and `UNLEASH_TOKEN`, and, unless they are `default` and `1`, `UNLEASH_PROJECT` and
//! `UNLEASH_ACTION_SET`.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::process::ExitCode;

use actionlog::testing::{Server, World};
use actionlog::unleash::{ActionSetEvent, ActionSetEventState};
use actionlog::{ErrorKind, UnleashClient};

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
    let project = env::var("UNLEASH_PROJECT").unwrap_or("default".into());
    let action_set: i64 = env::var("UNLEASH_ACTION_SET").unwrap_or("1".into()).parse()?;
    let (client, fake) = match env::var("UNLEASH_URL") {
        Ok(_) => (UnleashClient::from_env()?, None),
        Err(_) => {
            let server = fake_server(&project, action_set).await?;
            (UnleashClient::builder(server.url()).api_key("user:any").build()?, Some(server))
        }
    };
    match &fake {
        Some(server) => println!("Reading from a fake server at {} (set UNLEASH_URL for a real one)", server.url()),
        None => println!("Reading from the server that UNLEASH_URL names"),
    }

    let mut outcomes: BTreeMap<ActionSetEventState, u32> = BTreeMap::new();
    let mut failures: Vec<ActionSetEvent> = Vec::new();
    let mut unreadable = Vec::new();

    let mut events = client.action_set_events().list((project.as_str(), action_set)).items();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                *outcomes.entry(event.state.clone()).or_default() += 1;
                if event.state == ActionSetEventState::Failed {
                    failures.push(event);
                }
            }
            // One record doesn't fit; the next one comes all the same.
            Err(error) if error.kind() == ErrorKind::Record => unreadable.push(error),
            Err(error) => return Err(error.into()),
        }
    }

    let count: u32 = outcomes.values().sum();
    println!("\n{count} events of action set {action_set} in project {project}");
    for (outcome, count) in &outcomes {
        println!("  {outcome:<12} {count:>5}");
    }
    println!("\n{} could not be read", unreadable.len());
    for error in &unreadable {
        println!("  {error}");
    }
    println!("\nThe newest of {} failures", failures.len());
    for event in failures.iter().take(5) {
        let action = event.failed_action();
        let name = action.map_or("-", |it| &it.action);
        let details = action.and_then(|it| it.details.as_deref()).unwrap_or("no details");
        println!("  {}  {name:<24} {details}", event.created_at.format("%Y-%m-%d %H:%M"));
    }
    Ok(())
}

/// A server on this machine, with one record among its events that is none.
async fn fake_server(project: &str, action_set: i64) -> std::io::Result<Server> {
    let world = World::new();
    world
        .unleash()
        .add_sample_events(project, action_set, 60)
        .add_raw(project, action_set, r#"{"id": "not a number"}"#)
        .add_sample_events(project, action_set, 60);
    world.listen().await
}
