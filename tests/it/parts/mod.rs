//! Scans of a listing in parts, and the merged result.

mod changes;
mod cutting;
mod merging;
mod random;

use std::collections::BTreeSet;

use actionlog::page::{Merged, Part, PartRead, Stability, TotalScope, merge};
use actionlog::testing::{FakeServer, Log};
use actionlog::{HttpClient, IntegrationClient, Listing, RetryPolicy};

type Logs = Listing<actionlog::integration::LogListing>;

fn listing(server: &FakeServer) -> Logs {
    listing_through(server.http_client(), TotalScope::Listing)
}

fn listing_through(http_client: impl HttpClient + 'static, total: TotalScope) -> Logs {
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(http_client);
    let client = client.total_scope(total).retry(RetryPolicy::never()).build().unwrap();
    client.logs().list(()).page_size(10).stability(Stability::Stable)
}

fn log(count: usize) -> FakeServer {
    let server = FakeServer::new();
    server.integration().add_sample_logs(count);
    server
}

/// The ids in a log, without those of invalid records.
fn ids(log: &Log) -> BTreeSet<String> {
    let id =
        |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap()["_id"].as_str().map(str::to_owned);
    log.raw_records().into_iter().filter_map(id).collect()
}

/// Serialised and parsed, as for jobs on other machines.
fn sent<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

async fn read(listing: &Logs, part: &Part, yielded: &mut Vec<String>) -> PartRead {
    let read = listing.clone().part(sent(part)).collect().await;
    yielded.extend(read.items.iter().map(|it| it.id.to_string()));
    sent(&read.part_read.unwrap())
}

/// Scans and merges until no part has to be scanned again.
async fn all(listing: &Logs, mut parts: Vec<Part>, reads: &mut Vec<PartRead>, yielded: &mut Vec<String>) -> Merged {
    for _ in 0..8 {
        for part in &parts {
            reads.push(read(listing, part, yielded).await);
        }
        let merged = merge(reads).unwrap();
        if merged.again.is_empty() {
            return merged;
        }
        parts = merged.again;
    }
    panic!("the parts never meet");
}
