//! How is an action logged from its start to its end, and changed afterwards?
//!
//! Writes to a fake server of its own.

use std::io;

use actionlog::IntegrationClient;
use actionlog::integration::{ActionLogDraft, ActionType, LogStatus, RequiredFields};
use actionlog::testing::World;
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let world = World::new();
    let client =
        IntegrationClient::builder("http://localhost").bearer("demo-key").exchange(world.exchange()).build()?;
    let logs = client.logs();

    for product in ["4711", "4712"] {
        // Logged as pending. If this program died now, the log would say so.
        let draft = ActionLogDraft::new(RequiredFields {
            integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
            action_type: ActionType::Update,
            entity_type: "product".into(),
            status: LogStatus::Pending,
        });
        let running = logs.begin(draft.entity_id(product).payload(json!({"price": 12.5}))).await?;
        println!("{} is {}", running.log().id, running.log().status);

        let log = match push(product) {
            Ok(response) => running.succeeded_with(&response).await?,
            Err(error) => running.failed(error).await?,
        };
        println!("{} is {}, {}", log.id, log.status, log.error_message.as_deref().unwrap_or("without an error"));

        if log.status == LogStatus::Failed {
            // An update replaces the record: begin with what it says, and change a part.
            let log = logs.get(log.id.clone()).await?;
            let id = log.id.clone();
            let again = log.into_draft().status(LogStatus::Success).clear_error_message().retry_count(1);
            let log = logs.update(id, again).await?;
            println!("{} is {}, with {} retry", log.id, log.status, log.retry_count);

            let deleted = logs.delete(log.id).await?;
            println!("{}", deleted.message.unwrap_or_default());
        }
    }
    println!("{} log is left", world.integration().log().len());
    Ok(())
}

/// What the integration does.
fn push(product: &str) -> io::Result<Value> {
    if product == "4712" {
        return Err(io::Error::other("no mapping for tax class \"reduced-2\""));
    }
    Ok(json!({"etag": "W/\"7\""}))
}
