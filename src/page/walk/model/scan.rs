//! Scans the log of a case, in as many parts as the case has stops.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::integration::{LogListing, LogsQuery};
use crate::observe::Event;
use crate::page::walk::model::case::Case;
use crate::page::walk::model::changing_log::{ALIKE, ChangingLog, id_of};
use crate::page::walk::model::network::WatchedClient;
use crate::page::walk::plan::Rules;
use crate::page::{Cursor, Listing, Summary};
use crate::testing::{FakeServer, FakeTotal};
use crate::{IntegrationClient, RetryPolicy};

/// More records than a log ever has: a scan that delivers so many doesn't end.
pub(super) const TOO_MANY: usize = 1_000;

/// The part of a scan up to a stop, or to the end.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) delivered: Vec<u64>,
    pub(super) summary: Summary,
    ended: bool,
    /// The records delivered twice although they didn't change, and how many records lay between.
    pub(super) twice: Vec<(u64, usize)>,
    /// How many requests the server received, and how many of them failed.
    pub(super) requests: u64,
    pub(super) failed: u64,
}

/// Drops the hook of a server: it holds the log, which holds the server with its hooks.
pub(super) fn release(server: &FakeServer) {
    server.before_each(|_| {});
}

/// The outcome of a scan, over all of its parts.
pub(super) type Parts = Vec<Part>;

impl Case {
    /// A client of a server with the records of the case.
    pub(super) fn client(&self, server: &FakeServer) -> (IntegrationClient, Arc<Mutex<ChangingLog>>) {
        server.integration().total_scope(self.count);
        let changing = ChangingLog::new(server.integration().log(), self.order, self.records.into());
        let changing = Arc::new(Mutex::new(changing));
        let delays = (self.prefetch > 1).then(|| Mutex::new(self.delays));
        let counts_page = self.count == FakeTotal::OfPage;
        let http_client =
            WatchedClient { server: server.http_client(), changing: Arc::clone(&changing), delays, counts_page };
        let received = Arc::clone(&changing);
        let client = IntegrationClient::builder("http://localhost")
            .bearer("any")
            .http_client(http_client)
            .retry(RetryPolicy::never())
            .total_scope(self.total_scope)
            .observer(move |event: &Event<'_>| {
                if let Event::PageRead(read) = event {
                    received.lock().unwrap().receive(read.offset);
                }
            })
            .build()
            .unwrap();
        (client, changing)
    }

    pub(super) async fn read(&self, rules: Rules) -> (Parts, Arc<Mutex<ChangingLog>>) {
        let server = FakeServer::new();
        let (client, changing) = self.client(&server);
        let (mut changes, jitter, hooked) = (self.changes.clone().into_iter(), self.jitter, Arc::clone(&changing));
        let (mut turn, at_once, steady) = (0, self.at_once, self.steady);
        server.before_each(move |server| {
            turn += 1;
            if jitter {
                server.integration().total_scope(FakeTotal::Always(turn * 7 % 61));
            }
            for change in changes.by_ref().take(at_once).chain(steady) {
                hooked.lock().unwrap().apply(server, change);
            }
        });
        let order = self.stability();
        let listing = client.logs().list(LogsQuery::new().order(self.order));
        let mut listing = listing.page_size(self.page_size).stability(order).rules(rules).prefetch(self.prefetch);
        if let Some(scans) = self.scans {
            listing = listing.verify_up_to(scans);
        }
        if let Some(records) = self.remembered {
            listing = listing.dedup_window(records);
        }

        let mut parts = Parts::new();
        let mut cursor = None;
        for stop in self.stops.iter().map(|it| Some(usize::from(*it))).chain([None]) {
            let (next, part) = self.part(&listing, cursor, stop, &changing).await;
            let ended = part.ended;
            parts.push(part);
            cursor = Some(next);
            if ended {
                break;
            }
            for change in &self.meanwhile {
                changing.lock().unwrap().apply(&server, *change);
            }
        }
        release(&server);
        (parts, changing)
    }

    /// Scans until `stop` records are delivered, or to the end. Returns the cursor, after a round trip through its
    /// string.
    async fn part(
        &self,
        listing: &Listing<LogListing>,
        cursor: Option<Cursor>,
        stop: Option<usize>,
        changing: &Mutex<ChangingLog>,
    ) -> (Cursor, Part) {
        let listing = listing.clone();
        let listing = match cursor {
            Some(cursor) => listing.resume(cursor).page_size(self.later_size),
            None => listing,
        };
        changing.lock().unwrap().begin_part();
        let mut entries = listing.items().with_invalid();
        let (mut delivered, mut ended, mut twice) = (Vec::new(), false, Vec::new());
        let mut last_at: HashMap<u64, (usize, usize)> = HashMap::new();
        while stop.is_none_or(|stop| delivered.len() < stop) {
            let (id, is_valid) = match entries.next().await {
                Some(Ok(Ok(log))) => (log.id.get().parse().unwrap(), true),
                Some(Ok(Err(record))) => (id_of(record.raw().as_str()), false),
                Some(Err(error)) if error.is_transient() => {
                    assert!(error.cursor().is_some(), "{error:?}");
                    continue;
                }
                Some(Err(error)) => {
                    assert_eq!(error.kind(), crate::ErrorKind::Incomplete, "{error:?}");
                    continue;
                }
                None => {
                    ended = true;
                    break;
                }
            };
            // The key of an invalid record depends on the record before it: behind another one it is a new record.
            let mut changing = changing.lock().unwrap();
            let variants = if is_valid { 1 } else { changing.history.variants(id) };
            if let Some((at, times)) = last_at.get(&id)
                && *times >= variants
                && id != ALIKE
            {
                twice.push((id, delivered.len() - at));
            }
            let times = last_at.get(&id).map_or(0, |it| it.1);
            last_at.insert(id, (delivered.len(), times + 1));
            delivered.push(id);
            changing.delivered.insert(id);
            // The scan doesn't end. The check of the number of requests fails it.
            if delivered.len() > TOO_MANY {
                break;
            }
        }
        let cursor = serde_json::to_string(&entries.cursor().unwrap()).unwrap();
        // No event reports what is in flight when the scan stops.
        let (requests, failed) = {
            let changing = changing.lock().unwrap();
            (if ended { changing.requests } else { 0 }, changing.failed)
        };
        let part = Part { delivered, summary: entries.summary(), ended, twice, requests, failed };
        (serde_json::from_str(&cursor).unwrap(), part)
    }
}
