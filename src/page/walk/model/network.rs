//! The connection between the client of a case and the fake server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use serde_json::value::RawValue;

use crate::page::walk::model::case::size_of_record;
use crate::page::walk::model::changing_log::{ChangingLog, id_of};
use crate::page::walk::model::history::SentPage;
use crate::testing::InMemory;
use crate::{Body, HttpClient, HttpError};

/// The HTTP client of a case: it clamps offsets, delays requests and responses, and notes what the server sends.
#[derive(Debug)]
pub(super) struct WatchedClient {
    pub(super) server: InMemory,
    pub(super) changing: Arc<Mutex<ChangingLog>>,
    /// The state of the generator of delays. `None` for no delays.
    pub(super) delays: Option<Mutex<u64>>,
    /// The total is the page's count.
    pub(super) counts_page: bool,
}

impl WatchedClient {
    /// Waits for a random time.
    async fn delay(&self) {
        let Some(delays) = &self.delays else { return };
        let millis = {
            let mut state = delays.lock().unwrap();
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // A few delays are as long as many of the others together.
            let random = *state >> 33;
            if random % 8 == 0 { random % 500 } else { random % 20 }
        };
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

#[derive(serde::Deserialize, serde::Serialize)]
struct HttpResponse {
    data: Vec<Box<RawValue>>,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

#[async_trait]
impl HttpClient for WatchedClient {
    async fn send(&self, mut request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let uri = request.uri().to_string();
        let number = |name: &str| {
            let (_, after) = uri.split_once(name).unwrap();
            after.split('&').next().unwrap().parse::<u64>().unwrap()
        };
        let (requested, limit) = (number("offset="), number("limit="));
        let number = {
            let mut changing = self.changing.lock().unwrap();
            changing.requested += 1;
            changing.requests += 1;
            changing.requested
        };
        self.delay().await;
        let offset = requested.min(self.changing.lock().unwrap().largest_offset);
        *request.uri_mut() = uri.replace(&format!("offset={requested}"), &format!("offset={offset}")).parse().unwrap();
        let response = self.server.send(request).await;
        self.changing.lock().unwrap().turn += 1;
        let (head, body) = response?.into_parts();
        let mut body: Bytes = body.try_collect::<Vec<_>>().await?.concat().into();
        if head.status.is_success() {
            let mut response: HttpResponse = serde_json::from_slice(&body).unwrap();
            // A server that cuts pages by their size returns one record at least.
            let (mut left, mut is_first) = (self.changing.lock().unwrap().page_bytes, true);
            let mut fits = |it: &RawValue| {
                let size = size_of_record(id_of(it.get()));
                let fits = size <= left || is_first;
                (left, is_first) = (left.saturating_sub(size), false);
                fits
            };
            let count = response.data.iter().take_while(|it| fits(it)).count();
            let is_cut_by_size = count < response.data.len();
            if is_cut_by_size {
                response.data.truncate(count);
                response.total = response.total.map(|total| if self.counts_page { count as u64 } else { total });
                body = serde_json::to_vec(&response).unwrap().into();
            }
            let records: Vec<_> = response.data.iter().map(|it| it.get().to_owned()).collect();
            let mut changing = self.changing.lock().unwrap();
            let (turn, ids) = (changing.turn, changing.ids());
            let largest_page = changing.largest_page;
            let page = SentPage { number, turn, requested, offset, limit, largest_page, is_cut_by_size, records, ids };
            // If the window was requested again, the page for the first request is dropped.
            if changing.in_flight.get(&requested).is_none_or(|other| other.number < number) {
                changing.in_flight.insert(requested, page);
            }
        } else {
            self.changing.lock().unwrap().failed += 1;
        }
        self.delay().await;
        Ok(http::Response::from_parts(head, body.into()))
    }
}
