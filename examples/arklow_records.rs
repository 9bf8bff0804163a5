//! Which of an organisation's actions failed, and why?
//!
//! Reads from a fake server of its own, or, with `ARKLOW_API_KEY` and `ARKLOW_ORG_ID` set, from Arklow.

use std::env;

use actionlog::arklow::RecordsQuery;
use actionlog::testing::World;
use actionlog::{ArklowClient, ErrorKind};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = if env::var_os("ARKLOW_API_KEY").is_some_and(|it| !it.is_empty()) {
        ArklowClient::from_env()?
    } else {
        let world = World::new();
        world.arklow().add_sample_records("4711", 120);
        ArklowClient::builder("4711").api_key("demo-key").exchange(world.exchange()).build()?
    };

    println!("{} records in all", client.records().count(()).await?);

    let failed = RecordsQuery::new().search("state.status", "failed").include_state().include_definition();
    let mut records = client.records().list(failed).max_items(10).items();
    while let Some(record) = records.next().await {
        let record = match record {
            Ok(record) => record,
            // One record can't be read, or the server gave errors beside the records: the next one comes all the same.
            Err(error) if matches!(error.kind(), ErrorKind::Record | ErrorKind::Partial) => {
                eprintln!("{error}");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let variant = record.definition.and_then(|it| it.variant).unwrap_or_default();
        let why = record.state.and_then(|it| it.error_message).unwrap_or_default();
        println!("  {} {variant:<8} {why}", record.id);
    }
    Ok(())
}
