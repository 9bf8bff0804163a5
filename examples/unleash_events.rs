//! Lists a page of an action set's events, then streams the newest 200.
//!
//! `UNLEASH_URL=.. UNLEASH_TOKEN=.. UNLEASH_PROJECT=.. UNLEASH_ACTION_SET=.. cargo run --example unleash_events`

use std::env;

use actionlog::UnleashClient;
use actionlog::unleash::EventsQuery;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = UnleashClient::from_env()?;
    let query = EventsQuery::new(env::var("UNLEASH_PROJECT")?, env::var("UNLEASH_ACTION_SET")?.parse::<i64>()?);

    let page = client.action_set_events().list(query.clone()).page_size(10).page().await?;
    println!("{} events on the first page, {} of them readable", page.entries.len(), page.records().count());

    let mut events = client.action_set_events().list(query).max_items(200).items();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => println!("{} {} {}", event.id, event.created_at, event.state),
            Err(error) if error.is_record() => eprintln!("{error}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
