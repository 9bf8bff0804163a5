//! A follower's memory: bounded by its lookback, however many records it has followed, and however long it was idle.
//!
//! `FOLLOWED` sets how many records are followed, 100,000 unless set.

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actionlog::follow::StartFrom;
use actionlog::{Body, HttpClient, HttpError, IntegrationClient};
use async_trait::async_trait;
use bytes::Bytes;

#[global_allocator]
static ALLOCATOR: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

/// A log of so many records, newest first, which grows with each request.
#[derive(Clone, Debug)]
struct Growing {
    records: Arc<AtomicU64>,
    by: u64,
}

#[async_trait]
impl HttpClient for Growing {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let uri = request.uri().to_string();
        let number = |name: &str| -> u64 {
            uri.split_once(name).and_then(|it| it.1.split('&').next()?.parse().ok()).unwrap_or_default()
        };
        let records = self.records.fetch_add(self.by, Ordering::Relaxed) + self.by;
        let newest = records.saturating_sub(number("offset="));
        let text = |id: u64| {
            format!(
                r#"{{"_id":"{id:024}","integrationId":"i","actionType":"sync","entityType":"e","status":"success"}}"#
            )
        };
        let page: Vec<_> = (1..=newest).rev().take(number("limit=") as usize).map(text).collect();
        let body = format!(r#"{{"success":true,"data":[{}]}}"#, page.join(","));
        Ok(http::Response::new(Body::from(Bytes::from(body))))
    }
}

#[tokio::test(start_paused = true)]
async fn memory_is_the_same_behind_any_number_of_followed_records_and_a_day_of_idle_polls() {
    let server = Growing { records: Arc::new(AtomicU64::new(2_000)), by: 80 };
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.clone());
    let client = client.build().unwrap();
    let mut follow =
        client.logs().list(()).follow().start_from(StartFrom::Latest).poll_interval(Duration::from_secs(1));
    let most: u64 = std::env::var("FOLLOWED").map_or(100_000, |it| it.parse().unwrap());
    let mut followed = 0;
    // The most in use, over ten thousand records each: a page in flight comes and goes.
    let (mut at_first, mut at_last) = (0, 0);
    while followed < most {
        followed += follow.next().await.unwrap().unwrap().changes.len() as u64;
        if (10_000..20_000).contains(&followed) {
            at_first = ALLOCATOR.allocated().max(at_first);
        }
        if followed >= most - 10_000 {
            at_last = ALLOCATOR.allocated().max(at_last);
        }
    }
    println!("{at_first} bytes behind 10,000 records, {at_last} behind {followed}");
    assert!(at_last * 100 <= at_first * 105, "{at_first} bytes, and then {at_last}");
    drop(follow);

    // A day at rest, with a poll every five seconds.
    let server = Growing { by: 0, ..server };
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server).build().unwrap();
    let mut follow = client.logs().list(()).page_size(10).follow().start_from(StartFrom::Latest);
    follow = follow.max_poll_interval(Duration::from_secs(5)).sweep_interval(None);
    for _ in 0..100 {
        follow.next().await.unwrap().unwrap();
    }
    let before = ALLOCATOR.allocated();
    for _ in 0..17_280 {
        assert!(follow.next().await.unwrap().unwrap().changes.is_empty());
    }
    let after = ALLOCATOR.allocated();
    println!("{before} bytes before 17,280 idle polls, {after} behind them");
    assert!(after <= before + 4_096, "{before} bytes, and then {after}");
}
