//! What failed last, in all three logs? As one timeline. Uses a fake server.

use actionlog::arklow::RecordsQuery;
use actionlog::record::{LogRecord, Outcome};
use actionlog::testing::FakeServer;
use actionlog::{ArklowClient, IntegrationClient, Timeline, UnleashClient};

#[tokio::main(flavor = "current_thread")]
async fn main() -> actionlog::Result<()> {
    let server = FakeServer::new();
    server.arklow().add_sample_records("4711", 120);
    server.integration().add_sample_logs(120);
    server.unleash().add_sample_events("default", 1, 120);
    let http = server.http_client();
    let arklow = ArklowClient::builder("4711").api_key("demo-key").http_client(http.clone()).build()?;
    let shop = IntegrationClient::builder("http://localhost").api_key("demo-key").http_client(http.clone()).build()?;
    let unleash = UnleashClient::builder("http://localhost").api_key("demo-key").http_client(http).build()?;

    let mut timeline = Timeline::newest_first()
        .scan("refunds", arklow.records().list(RecordsQuery::new().include_state().include_definition()))
        .scan("shop", shop.logs().list(()))
        .scan("flags", unleash.action_set_events().list(("default", 1)));
    while let Some(entry) = timeline.next().await {
        match entry {
            Ok((log, record)) if record.outcome() == Outcome::Failed => {
                let when = record.timestamp().map(|it| it.time.to_string()).unwrap_or_default();
                println!("{when}  {log:<8} {:<26} {}", record.action().unwrap_or("-"), record.error().unwrap_or("-"));
            }
            Ok(_) => {}
            // The error of one log: the others go on.
            Err(error) => eprintln!("{error}"),
        }
    }
    println!("{}\n{}", timeline.summary(), timeline.summary().verdict);
    Ok(())
}
