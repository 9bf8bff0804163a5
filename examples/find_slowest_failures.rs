//! Which failed actions of integrations took longest? By a filter and a sort order of the server.
//!
//! Uses a fake server, or a real one if `INTEGRATION_LOGS_URL` and `INTEGRATION_LOGS_AUTHORIZATION` are set.

use std::env;

use actionlog::IntegrationClient;
use actionlog::integration::{LogsQuery, SortOrder};
use actionlog::testing::FakeServer;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = if env::var_os("INTEGRATION_LOGS_URL").is_some_and(|it| !it.is_empty()) {
        IntegrationClient::from_env()?
    } else {
        let server = FakeServer::new();
        server.integration().add_sample_logs(120);
        IntegrationClient::builder("http://localhost").api_key("demo-key").http_client(server.http_client()).build()?
    };

    let slowest = LogsQuery::new().filter(json!({"status": "failed"})).sort("executionTime").order(SortOrder::Desc);
    let page = client.logs().list(slowest.clone()).page_size(5).page().await?;
    println!("{} failed; the slowest of them:", page.total.unwrap_or_default());

    let mut logs = client.logs().list(slowest).max_items(10).items();
    while let Some(log) = logs.next().await {
        match log {
            Ok(log) => {
                let took = log.took().unwrap_or_default();
                println!("  {took:>10.1?}  {:<9} {}", log.entity_type, log.error_message.unwrap_or_default());
            }
            Err(error) if error.is_record() => eprintln!("{error}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
