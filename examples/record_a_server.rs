//! How do I record what a real server sends, and use it in my tests?
//!
//! `cargo run --example record_a_server`
//!
//! Here the real server is the fake one. It knows a token, which never gets into the file.

use std::error::Error;

use actionlog::IntegrationClient;
use actionlog::testing::FakeServer;
use actionlog::testing::recording::{Playback, Recorder};

/// The code under test: how many actions of the newest page failed, and what the newest of them says.
async fn failures(client: &IntegrationClient) -> actionlog::Result<(usize, String)> {
    let page = client.logs().list(()).page_size(20).page().await?;
    let mut failed = page.records().filter(|it| it.status == "failed");
    let newest = failed.next().and_then(|it| it.error_message.clone()).unwrap_or_default();
    Ok((failed.count() + usize::from(!newest.is_empty()), newest))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let fake = FakeServer::new();
    fake.integration().accept_authorization("Bearer 98b5af0c4e5a6b7c").add_sample_logs(60);
    let path = std::env::temp_dir().join(format!("actionlog-record-{}.jsonl", std::process::id()));

    // Once, against the real server, with `actionlog::ReqwestClient::new(Some(Duration::from_secs(5)))?` in its place.
    let recorder = Recorder::new(fake.http_client(), &path).scrub_field("host");
    let client = IntegrationClient::builder("https://logs.example.com").bearer("98b5af0c4e5a6b7c");
    let client = client.http_client(recorder.clone());
    let recorded = failures(&client.build()?).await?;
    println!("recorded  {} failed, the newest: {}", recorded.0, recorded.1);
    let saved = recorder.save()?;
    println!("saved     {} exchange, {} values scrubbed", saved.exchanges, saved.scrubbed);
    let text = std::fs::read_to_string(&path)?;
    for line in text.lines() {
        println!("          {}..", line.chars().take(100).collect::<String>());
    }
    println!("token     {}", if text.contains("98b5af0c") { "in the file" } else { "not in the file" });

    // In the tests: no server, any token.
    let playback = Playback::open(&path)?;
    let client = IntegrationClient::builder("https://logs.example.com").bearer("any").http_client(playback.clone());
    let client = client.build()?;
    let played = failures(&client).await?;
    println!("played    {} failed, the newest: {}", played.0, played.1);
    playback.finish()?;
    assert_eq!(played, recorded);

    // What wasn't recorded is an error, which shows what came, and what is next.
    let error = client.logs().list(()).page_size(21).page().await.err().ok_or("it wasn't recorded")?;
    println!("otherwise {error}");
    if let Some(source) = error.source() {
        println!("{source}");
    }
    std::fs::remove_file(&path)?;
    Ok(())
}
