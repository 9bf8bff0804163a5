//! What did an action set do last? One page of its events, then a stream of the newest 20.
//!
//! Uses a fake server, or a real one if `UNLEASH_URL` and `UNLEASH_TOKEN` are set. `UNLEASH_PROJECT` (default:
//! `default`) and `UNLEASH_ACTION_SET` (default: `1`) select the events.

use std::env;

use actionlog::UnleashClient;
use actionlog::testing::FakeServer;
use actionlog::unleash::EventsQuery;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let project = env::var("UNLEASH_PROJECT").unwrap_or("default".into());
    let action_set: i64 = env::var("UNLEASH_ACTION_SET").unwrap_or("1".into()).parse()?;
    let client = if env::var_os("UNLEASH_URL").is_some_and(|it| !it.is_empty()) {
        UnleashClient::from_env()?
    } else {
        let server = FakeServer::new();
        server.unleash().add_sample_events(&project, action_set, 120);
        UnleashClient::builder("http://localhost").api_key("demo-key").http_client(server.http_client()).build()?
    };
    let query = EventsQuery::new(project, action_set);

    let page = client.action_set_events().list(query.clone()).page_size(10).page().await?;
    println!("{} events on the first page, {} of them valid", page.entries.len(), page.records().count());

    let mut events = client.action_set_events().list(query).max_items(20).items();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => println!("  {} {} {}", event.id, event.created_at.format("%Y-%m-%d %H:%M:%S"), event.state),
            Err(error) if error.is_record() => eprintln!("{error}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
