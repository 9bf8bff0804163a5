//! What did an action set do lately? A page of its events, then a stream of the newest 20.
//!
//! Reads from a fake server of its own, or, with `UNLEASH_URL` and `UNLEASH_TOKEN` set, from that one; then
//! `UNLEASH_PROJECT` and `UNLEASH_ACTION_SET` say which events, unless they are those of `default` and `1`.

use std::env;

use actionlog::UnleashClient;
use actionlog::testing::World;
use actionlog::unleash::EventsQuery;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let project = env::var("UNLEASH_PROJECT").unwrap_or("default".into());
    let action_set: i64 = env::var("UNLEASH_ACTION_SET").unwrap_or("1".into()).parse()?;
    let client = if env::var_os("UNLEASH_URL").is_some_and(|it| !it.is_empty()) {
        UnleashClient::from_env()?
    } else {
        let world = World::new();
        world.unleash().add_sample_events(&project, action_set, 120);
        UnleashClient::builder("http://localhost").api_key("demo-key").exchange(world.exchange()).build()?
    };
    let query = EventsQuery::new(project, action_set);

    let page = client.action_set_events().list(query.clone()).page_size(10).page().await?;
    println!("{} events on the first page, {} of them readable", page.entries.len(), page.records().count());

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
