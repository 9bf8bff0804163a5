//! When requests are sent: backoff, pauses, permits and deadlines. In memory, with paused time, so every wait is exact.

mod budgets;
mod permits;
mod retries;
mod waits;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::{ClientBuilder, IntegrationClient, Request, Result};
use tokio::time::Instant;

use crate::wire::{Memory, Reply};

pub(crate) const S: Duration = Duration::from_secs(1);

/// A builder with fixed jitter.
pub(crate) fn builder(memory: &Memory, jitter: f64) -> ClientBuilder<IntegrationClient> {
    IntegrationClient::builder("http://localhost").api_key("key").http_client(memory.clone()).jitter(move || jitter)
}

/// A client that notes the time of each request, in milliseconds since it was created.
pub(crate) fn timed(response: impl Fn(usize) -> Reply + Send + Sync + 'static) -> (Memory, Arc<Mutex<Vec<u64>>>) {
    let times: Arc<Mutex<Vec<u64>>> = Arc::default();
    let noted = Arc::clone(&times);
    let began = Instant::now();
    let memory = Memory::new(move |number, _| {
        noted.lock().unwrap().push(since(began));
        response(number)
    });
    (memory, times)
}

pub(crate) fn since(began: Instant) -> u64 {
    began.elapsed().as_millis().try_into().unwrap()
}

pub(crate) fn status(status: u16) -> Reply {
    Reply::json(status, "{}")
}

pub(crate) fn turned_away(retry_after: &'static str) -> Reply {
    Reply::Response(429, vec![("retry-after", retry_after)], String::new())
}

pub(crate) fn probe() -> Request<()> {
    Request::get("probe", [""; 0])
}

pub(crate) fn write() -> Request<()> {
    Request::new(http::Method::POST, "probe", [""; 0])
}

pub(crate) async fn call(client: &IntegrationClient) -> Result<()> {
    client.send(probe()).await
}
