//! How many requests a scan takes, by the size of the log. The table in the guide shows these numbers.

use std::fmt::Write as _;
use std::time::Duration;

use actionlog::testing::FakeServer;
use actionlog::{ArklowClient, Listing, Paginate, UnleashClient};

use crate::docs;
use crate::support::integration;

/// The sizes of the logs.
const SIZES: [usize; 6] = [0, 1, 50, 120, 1_000, 3_000];

/// The requests of each way to read a listing: a loop by offset, one page at a time, several at once, and verified.
async fn requests<Q: Paginate>(server: &FakeServer, page_size: u64, listing: impl Fn() -> Listing<Q>) -> [usize; 4] {
    let mut counts = [0; 4];
    // The loop that ends at a page that isn't full.
    let mut offset = 0;
    server.clear_requests();
    loop {
        let page = listing().start_offset(offset).page().await.unwrap();
        if (page.entries.len() as u64) < page_size {
            break;
        }
        offset += page_size;
    }
    counts[0] = server.requests().len();
    for (count, listing) in
        counts[1..].iter_mut().zip([listing().prefetch(1), listing(), listing().prefetch(1).verify()])
    {
        server.clear_requests();
        let read = listing.collect().await;
        assert!(read.error.is_none() && !read.summary.verdict.is_incomplete(), "{:?}", read.summary);
        *count = server.requests().len();
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn the_guide_says_how_many_requests_a_scan_takes() {
    const WAYS: [&str; 4] = ["`skip += take`", "`prefetch(1)`", "as it is", "`verify`, `prefetch(1)`"];
    let mut cells = vec![vec![Vec::new(); WAYS.len()]; 3];
    for size in SIZES {
        let server = FakeServer::new();
        server.latency(Duration::from_millis(20));
        server.arklow().add_sample_records("1", size);
        server.integration().add_sample_logs(size);
        server.unleash().add_sample_events("default", 7, size);
        let arklow = ArklowClient::builder("1").base_url("http://localhost").api_key("any");
        let arklow = arklow.http_client(server.http_client()).build().unwrap();
        let logs = integration(&server);
        let unleash = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
        let unleash = unleash.build().unwrap();
        let counts = [
            requests(&server, 50, || arklow.records().list(())).await,
            requests(&server, 50, || logs.logs().list(()).page_size(50)).await,
            requests(&server, 50, || unleash.action_set_events().list(("default", 7))).await,
        ];
        for (api, counts) in counts.iter().enumerate() {
            for (way, count) in counts.iter().enumerate() {
                cells[api][way].push(*count);
            }
        }
    }
    let mut table = String::from("| records |");
    SIZES.iter().for_each(|it| write!(table, " {it} |").unwrap());
    table.push_str("\n|---|");
    SIZES.iter().for_each(|_| table.push_str("---|"));
    table.push('\n');
    for (api, ways) in ["Arklow", "integration", "Unleash"].iter().zip(&cells) {
        for (way, counts) in WAYS.iter().zip(ways) {
            let counts: Vec<_> = counts.iter().map(ToString::to_string).collect();
            writeln!(table, "| {api}, {way} | {} |", counts.join(" | ")).unwrap();
        }
    }
    docs::table(&["src/guide/running_it.md"], "requests by size", &table);
    // What is promised of them.
    for ways in &cells {
        for (index, size) in SIZES.iter().enumerate().filter(|it| *it.1 > 1) {
            let windows = if *size <= 50 { 1 } else { (size - 1).div_ceil(49) };
            let (one, several, verified) = (ways[1][index], ways[2][index], ways[3][index]);
            assert!(one <= windows + 2 && several <= one + 3, "{size}: {one}, {several}");
            assert!(verified <= 2 * one + 2, "{size}: {verified}");
        }
    }
}
