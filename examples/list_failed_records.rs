//! Which actions of an organisation failed, and why?
//!
//! Uses a fake server, or Arklow if `ARKLOW_API_KEY` and `ARKLOW_ORG_ID` are set.

use std::env;

use actionlog::arklow::RecordsQuery;
use actionlog::testing::FakeServer;
use actionlog::{ArklowClient, ErrorKind};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = if env::var_os("ARKLOW_API_KEY").is_some_and(|it| !it.is_empty()) {
        ArklowClient::from_env()?
    } else {
        let server = FakeServer::new();
        server.arklow().add_sample_records("4711", 120);
        ArklowClient::builder("4711").api_key("demo-key").http_client(server.http_client()).build()?
    };

    println!("{} records in all", client.records().count(()).await?);

    let failed = RecordsQuery::new().search("state.status", "failed").include_state().include_definition();
    let mut records = client.records().list(failed).max_items(10).items();
    while let Some(record) = records.next().await {
        let record = match record {
            Ok(record) => record,
            // An invalid record, or errors that the server reported next to the records: the stream continues.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidRecord | ErrorKind::Partial) => {
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
