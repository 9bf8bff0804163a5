//! How do I log an action from start to end? One that succeeds and one that fails, whose record is then changed and
//! deleted.
//!
//! Uses a fake server.

use std::io;

use actionlog::IntegrationClient;
use actionlog::integration::{ActionLogFields, ActionLogInput, ActionType, LogStatus};
use actionlog::testing::FakeServer;
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = FakeServer::new();
    let client =
        IntegrationClient::builder("http://localhost").bearer("demo-key").http_client(server.http_client()).build()?;
    let logs = client.logs();

    for product in ["4711", "4712"] {
        // Create a pending record first: if the program crashes now, the record shows it.
        let input = ActionLogInput::new(ActionLogFields {
            integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
            action_type: ActionType::Update,
            entity_type: "product".into(),
            status: LogStatus::Pending,
        });
        let pending = logs.start(input.entity_id(product).payload(json!({"price": 12.5}))).await?;
        println!("{} is {}", pending.log().id, pending.log().status);

        let log = match push(product) {
            Ok(response) => pending.succeed_with(&response).await?,
            Err(error) => pending.fail(error).await?,
        };
        println!("{} is {}, {}", log.id, log.status, log.error_message.as_deref().unwrap_or("without an error"));

        if log.status == LogStatus::Failed {
            // An update replaces the record, so start from its current fields and change some.
            let log = logs.get(log.id.clone()).await?;
            let id = log.id.clone();
            let update = log.into_input().status(LogStatus::Success).clear_error_message().retry_count(1);
            let log = logs.update(id, update).await?;
            println!("{} is {}, with {} retry", log.id, log.status, log.retry_count);

            let deleted = logs.delete(log.id).await?;
            println!("{}", deleted.message.unwrap_or_default());
        }
    }
    println!("{} log is left", server.integration().log().len());
    Ok(())
}

/// The action of the integration.
fn push(product: &str) -> io::Result<Value> {
    if product == "4712" {
        return Err(io::Error::other("no mapping for tax class \"reduced-2\""));
    }
    Ok(json!({"etag": "W/\"7\""}))
}
