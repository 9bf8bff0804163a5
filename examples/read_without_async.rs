//! How do I read logs without an async runtime? Calls block, and streams are iterators. Uses a fake server.

use actionlog::record::LogRecord;
use actionlog::testing::FakeServer;
use actionlog::{IntegrationClient, Timeline, UnleashClient};

fn main() -> actionlog::Result<()> {
    let server = FakeServer::new();
    server.integration().add_sample_logs(120);
    server.unleash().add_sample_events("default", 1, 120);
    let http = server.http_client();
    let shop = IntegrationClient::builder("http://localhost").api_key("demo-key").http_client(http.clone()).build()?;
    let unleash = UnleashClient::builder("http://localhost").api_key("demo-key").http_client(http).build()?;

    println!("{}", shop.check().blocking()?);
    let page = shop.logs().list(()).page_size(10).page().blocking()?;
    println!("{} logs on the first page", page.len());

    let timeline = Timeline::newest_first()
        .scan("shop", shop.logs().list(()))
        .scan("flags", unleash.action_set_events().list(("default", 1)));
    let mut timeline = timeline.blocking();
    for entry in timeline.by_ref().take(10) {
        let (log, record) = entry?;
        println!("{log:<6} {:<10} {}", record.outcome(), record.action().unwrap_or("-"));
    }
    println!("{}", timeline.summary());
    Ok(())
}
