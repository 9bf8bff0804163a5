//! Prefetching: in memory, with paused time, so the requests in flight at any time are exact.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::page::{Proof, Stability, TotalScope};
use actionlog::testing::{FakeServer, Fault};
use actionlog::{
    Body, ErrorKind, HttpClient, HttpError, IntegrationClient, Listing, RetryPolicy, UnleashClient, Verdict,
};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::support::Late;

const S: Duration = Duration::from_secs(1);

/// An HTTP client with a latency of a second, which notes the requests in flight.
#[derive(Clone, Debug)]
struct Slow {
    server: FakeServer,
    seen: Arc<Mutex<Seen>>,
    /// The offsets that fail, each with the number of failures left.
    broken: Arc<Mutex<HashMap<u64, u32>>>,
    /// Requests between these two get no response.
    down: Arc<Mutex<Option<(Instant, Instant)>>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The requested offsets, in order.
    offsets: Vec<u64>,
    under_way: usize,
    most: usize,
    /// How many were in flight when each request was sent, itself included.
    history: Vec<usize>,
}

/// Decrements the count when dropped: after a response, or when the request is cancelled.
struct UnderWay(Arc<Mutex<Seen>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().unwrap().under_way -= 1;
    }
}

impl Slow {
    fn new(server: &FakeServer) -> Self {
        Self { server: server.clone(), seen: Arc::default(), broken: Arc::default(), down: Arc::default() }
    }

    fn offsets(&self) -> Vec<u64> {
        self.seen.lock().unwrap().offsets.clone()
    }

    fn under_way(&self) -> usize {
        self.seen.lock().unwrap().under_way
    }
}

fn offset(request: &http::Request<Bytes>) -> u64 {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .find_map(|it| it.strip_prefix("offset=").or(it.strip_prefix("skip=")))
        .map_or(0, |it| it.parse().unwrap())
}

#[async_trait]
impl HttpClient for Slow {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let offset = offset(&request);
        let _under_way = {
            let mut seen = self.seen.lock().unwrap();
            seen.offsets.push(offset);
            seen.under_way += 1;
            seen.most = seen.most.max(seen.under_way);
            let under_way = seen.under_way;
            seen.history.push(under_way);
            UnderWay(Arc::clone(&self.seen))
        };
        let asked = Instant::now();
        sleep(S).await;
        if self.down.lock().unwrap().is_some_and(|(from, to)| from <= asked && asked < to) {
            return Err(HttpError::sent("down"));
        }
        if let Some(times) = self.broken.lock().unwrap().get_mut(&offset)
            && *times > 0
        {
            *times -= 1;
            return Err(HttpError::sent("broken"));
        }
        Ok(self.server.respond(&request).map(Body::from))
    }
}

type Logs = Listing<actionlog::integration::LogListing>;

fn unleash(slow: &Slow) -> Listing<actionlog::unleash::EventsQuery> {
    let client = UnleashClient::builder("http://localhost").api_key("any").http_client(slow.clone());
    client.retry(RetryPolicy::never()).build().unwrap().action_set_events().list(("default", 7))
}

fn events(count: usize) -> FakeServer {
    let server = FakeServer::new();
    server.unleash().add_sample_events("default", 7, count);
    server
}

fn logs(slow: &Slow) -> Logs {
    listing_through(slow.clone())
}

fn listing_through(http_client: impl HttpClient) -> Logs {
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(http_client);
    let client = client.total_scope(TotalScope::Listing).retry(RetryPolicy::never()).build().unwrap();
    client.logs().list(()).stability(Stability::Stable)
}

fn log(count: usize) -> FakeServer {
    let server = FakeServer::new();
    server.integration().add_sample_logs(count);
    server
}

#[tokio::test(start_paused = true)]
async fn pages_at_a_latency_take_the_time_that_their_number_in_flight_allows() {
    for n in [1, 2, 3, 16, 32] {
        for pages in [1, 2, 6, 33] {
            // Pages of ten overlap by one record; the last page is full or short.
            for records in [9 * pages + 1, 9 * pages - 3] {
                let slow = Slow::new(&log(records));
                let began = Instant::now();
                let read = logs(&slow).page_size(10).prefetch(n).collect().await;
                assert_eq!((read.items.len(), read.summary.verdict), (records, Verdict::Complete(Proof::Total)));
                let most = S * u32::try_from(2 + (pages - 1).div_ceil(n)).unwrap();
                assert!(began.elapsed() <= most, "{pages} pages, {n} in flight: {:?}", began.elapsed());
                assert!(slow.seen.lock().unwrap().most <= n);
                // A total shows where to stop, so no page is prefetched in vain. A single short page needs no proof.
                let proof = usize::from(pages > 1 || records == 10);
                assert_eq!(slow.offsets().len(), pages + proof, "{n} {records}");

                let slow = Slow::new(&events(records));
                let began = Instant::now();
                let read = unleash(&slow).page_size(10).prefetch(n).collect().await;
                assert_eq!(read.items.len(), records);
                assert!(began.elapsed() <= most, "{pages} pages, {n} in flight: {:?}", began.elapsed());
                assert!(slow.seen.lock().unwrap().most <= n);
                // One more request proves the end, and pages beyond it were prefetched.
                assert!(slow.offsets().len() <= pages + 1 + (n - 1), "{:?}", slow.offsets());
                assert_eq!(read.summary.requests, slow.offsets().len() as u64);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn by_default_four_pages_are_in_flight_with_a_total_and_without() {
    let slow = Slow::new(&log(500));
    logs(&slow).page_size(10).collect().await.complete().unwrap();
    assert_eq!(slow.seen.lock().unwrap().most, 4);
    let slow = Slow::new(&events(500));
    assert_eq!(unleash(&slow).page_size(10).collect().await.items.len(), 500);
    assert_eq!(slow.seen.lock().unwrap().most, 4);
    // The maximum is 32.
    let slow = Slow::new(&log(5_000));
    logs(&slow).page_size(10).prefetch(1_000).collect().await.complete().unwrap();
    assert_eq!(slow.seen.lock().unwrap().most, 32);
}

#[tokio::test(start_paused = true)]
async fn the_first_page_is_requested_alone_and_only_on_poll() {
    let slow = Slow::new(&log(500));
    let mut pages = logs(&slow).page_size(10).prefetch(8).pages();
    sleep(10 * S).await;
    assert!(slow.offsets().is_empty());
    pages.next().await.unwrap().unwrap();
    assert_eq!(slow.offsets(), [0]);
    pages.next().await.unwrap().unwrap();
    assert_eq!(slow.offsets(), [0, 9, 18, 27, 36, 45, 54, 63, 72]);
    // However long the stream isn't polled, nothing more is prefetched.
    sleep(100 * S).await;
    assert_eq!(slow.offsets().len(), 9);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_prefetched_than_max_items_needs() {
    let slow = Slow::new(&log(500));
    logs(&slow).page_size(10).prefetch(8).max_pages(3).collect().await.complete_or_unverified().unwrap_err();
    assert_eq!(slow.offsets(), [0, 9, 18]);
    let slow = Slow::new(&log(500));
    let read = logs(&slow).page_size(10).prefetch(8).max_items(25).collect().await;
    assert_eq!((read.items.len(), slow.offsets()), (25, vec![0, 9, 18]));
}

#[tokio::test(start_paused = true)]
async fn a_scan_has_the_same_result_whatever_the_order_of_responses_in_flight() {
    let server = log(120);
    server.integration().log().replace(33, r#"{"_id":false}"#);
    let first = logs(&Slow::new(&server)).max_items(45).collect().await;
    let (cursor, time) = (first.cursor.unwrap(), first.items[40].created_at.unwrap());
    server.integration().add_sample_logs(15);
    let narrowed: [&dyn Fn(Logs) -> Logs; 8] = [
        &|it| it,
        &|it| it.since(time),
        &|it| it.since(time).max_items(30),
        &|it| it.max_items(52),
        &|it| it.max_pages(5),
        &|it| it.start_offset(37),
        &|it| it.resume(cursor.clone()).max_items(50),
        &|it| it.newer_than(cursor.clone()),
    ];
    for (way, narrowed) in narrowed.into_iter().enumerate() {
        let mut first = None;
        for n in [1, 2, 5, 32] {
            for seed in 0..8 {
                let listing = listing_through(Late::new(&server, seed)).page_size(10).prefetch(n);
                let read = narrowed(listing).collect().await;
                let ids: Vec<_> = read.items.iter().map(|it| it.id.to_string()).collect();
                let cursor = serde_json::to_string(&read.cursor.unwrap()).unwrap();
                let (verdict, totals) = (read.summary.verdict, read.summary.totals);
                let outcome = (ids, read.invalid.len(), cursor, verdict, totals, read.error.map(|it| it.kind()));
                assert!(!outcome.0.is_empty(), "way {way}");
                let first = first.get_or_insert_with(|| outcome.clone());
                assert_eq!(*first, outcome, "way {way}, {n} in flight, {seed}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_end_with_the_stream() {
    let slow = Slow::new(&log(500));
    let mut items = logs(&slow).page_size(10).prefetch(8).items();
    for _ in 0..11 {
        items.next().await.unwrap().unwrap();
    }
    let waiting = tokio::time::timeout(S / 2, async { while items.next().await.is_some() {} });
    waiting.await.unwrap_err();
    assert!(slow.under_way() > 0);
    drop(items);
    tokio::task::yield_now().await;
    assert_eq!((slow.under_way(), Handle::current().metrics().num_alive_tasks()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn errors_are_yielded_in_order_and_only_the_failed_window_is_requested_again() {
    let slow = Slow::new(&log(200));
    slow.broken.lock().unwrap().insert(27, 1);
    let mut items = logs(&slow).page_size(10).prefetch(8).items();
    let mut ids = Vec::new();
    let mut errors = Vec::new();
    while let Some(item) = items.next().await {
        match item {
            Ok(log) => ids.push(log.id.to_string()),
            Err(error) => errors.push((ids.len(), error.kind(), error.cursor().unwrap().clone())),
        }
    }
    assert_eq!(ids.len(), 200);
    let [(at, ErrorKind::Transport, cursor)] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!(*at, 28);
    assert!(items.summary().verdict.is_complete());
    let mut asked = slow.offsets();
    asked.sort_unstable();
    let twice: Vec<_> = asked.windows(2).filter(|it| it[0] == it[1]).map(|it| it[0]).collect();
    assert_eq!(twice, [27]);
    // The error's cursor is behind the yielded records, not behind the prefetched ones.
    let rest = logs(&Slow::new(&slow.server)).page_size(10).resume(cursor.clone()).collect().await;
    assert_eq!(rest.items.first().unwrap().id.to_string(), ids[*at]);
    assert_eq!(rest.items.len(), 200 - at);
}

#[tokio::test(start_paused = true)]
async fn one_outage_is_one_error_however_many_requests_are_in_flight() {
    let mut took = Vec::new();
    for n in [1, 4, 16, 32] {
        let slow = Slow::new(&log(1_000));
        *slow.down.lock().unwrap() = Some((Instant::now() + S * 3 / 2, Instant::now() + S * 5 / 2));
        let began = Instant::now();
        let mut items = logs(&slow).page_size(10).prefetch(n).items();
        let (mut records, mut errors) = (0, 0);
        while let Some(item) = items.next().await {
            match item {
                Ok(_) => records += 1,
                Err(error) => errors += u32::from(error.is_transient()),
            }
        }
        assert_eq!(
            (records, errors, items.summary().verdict),
            (1_000, 1, Verdict::Complete(Proof::Total)),
            "{n} in flight"
        );
        took.push(began.elapsed());
    }
    assert!(took.is_sorted_by(|one, other| one > other), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_summary_counts_the_requests_that_went_out() {
    for (in_flight, records) in [(1, 95), (2, 100), (4, 100), (16, 91)] {
        let slow = Slow::new(&events(records));
        let client = UnleashClient::builder("http://localhost").api_key("any").http_client(slow.clone());
        let client = client.max_in_flight(in_flight).build().unwrap();
        let listing = client.action_set_events().list(("default", 7)).page_size(10).prefetch(8);
        let read = listing.collect().await;
        assert_eq!(read.summary.requests, slow.offsets().len() as u64, "{in_flight} at once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clamped_page_size_costs_no_more_time() {
    for total in [TotalScope::Unknown, TotalScope::Listing] {
        for n in [1, 2, 3, 16, 32] {
            for pages in [2_u32, 6, 33] {
                let records = usize::try_from(9 * pages + 1).unwrap();
                let slow = Slow::new(&log(records));
                slow.server.integration().largest_page(10);
                let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(slow.clone());
                let client = client.total_scope(total).build().unwrap();
                let began = Instant::now();
                let listing = client.logs().list(()).stability(Stability::Stable).page_size(50).prefetch(n);
                assert_eq!(listing.collect().await.items.len(), records);
                let most = S * (2 + (pages - 1).div_ceil(u32::try_from(n).unwrap()));
                assert!(began.elapsed() <= most, "{total:?}, {pages} pages, {n} in flight: {:?}", began.elapsed());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn prefetched_pages_are_dropped_when_the_position_is_lost() {
    let slow = Slow::new(&events(300));
    let mut items = unleash(&slow).page_size(10).prefetch(4).items();
    let mut ids = std::collections::BTreeSet::new();
    while let Some(event) = items.next().await {
        ids.insert(*event.unwrap().id.get());
        if ids.len() == 40 {
            // All records read so far are removed: the prefetched windows begin forty records too far down.
            let log = slow.server.unleash().log("default", 7);
            for _ in 0..40 {
                log.remove(0);
            }
        }
    }
    assert_eq!(ids.len(), 300);
    let summary = items.summary();
    assert!(summary.lost_positions > 0 && summary.requests == slow.offsets().len() as u64, "{summary:?}");
}

#[tokio::test(start_paused = true)]
async fn after_two_wrong_predictions_prefetching_pauses() {
    let server = log(600);
    let slow = Slow::new(&server);
    let mut asked = 0;
    // Every fourth page is one record short, so that the prefetched windows begin one record too far down.
    server.before_each(move |server| {
        asked += 1;
        if asked % 4 == 0 {
            server.fail_next(Fault::ShortByOne);
        }
    });
    let read = logs(&slow).page_size(10).prefetch(16).collect().await;
    assert_eq!(read.items.len(), 600);
    // About seventy pages: if fifteen were wasted for every fourth, it would be more than three hundred.
    let asked = slow.offsets().len();
    assert!(asked < 250, "{asked} requests");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_may_call_the_same_client_with_a_single_permit() {
    let slow = Slow::new(&log(100));
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(slow.clone());
    let client = client.total_scope(TotalScope::Listing).max_in_flight(1).build().unwrap();
    let mut items = client.logs().list(()).page_size(10).prefetch(8).items();
    let mut count = 0;
    while let Some(log) = items.next().await {
        client.logs().get(log.unwrap().id).await.unwrap();
        count += 1;
    }
    assert_eq!((count, slow.seen.lock().unwrap().most), (100, 1));
}

#[tokio::test(start_paused = true)]
async fn by_default_a_scan_takes_at_most_three_tenths_of_the_time_of_one_request_after_the_other() {
    let server = FakeServer::new();
    server.arklow().add_sample_records("1", 2_000);
    server.integration().add_sample_logs(2_000);
    server.unleash().add_sample_events("default", 7, 2_000);
    let arklow = |slow: Slow| {
        let client = actionlog::ArklowClient::builder("1").base_url("http://localhost").api_key("any");
        client.http_client(slow).build().unwrap().records().list(()).page_size(20)
    };
    let integration = |slow: Slow| {
        let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(slow);
        client.build().unwrap().logs().list(()).page_size(20)
    };
    let unleash = |slow: Slow| unleash(&slow).page_size(20);
    macro_rules! took {
        ($listing:expr) => {{
            let began = Instant::now();
            assert_eq!($listing.collect().await.summary.delivered, 2_000);
            began.elapsed()
        }};
    }
    let slow = || Slow::new(&server);
    let times = [
        (took!(arklow(slow())), took!(arklow(slow()).prefetch(1))),
        (took!(integration(slow())), took!(integration(slow()).prefetch(1))),
        (took!(unleash(slow())), took!(unleash(slow()).prefetch(1))),
    ];
    for (default, plain) in times {
        assert!(default * 10 <= plain * 3, "{default:?} and {plain:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_halves_the_requests_in_flight_and_they_grow_again() {
    let server = log(2_000);
    let slow = Slow::new(&server);
    let (seen, refused) = (Arc::clone(&slow.seen), Arc::new(Mutex::new(None)));
    let at = Arc::clone(&refused);
    server.before_each(move |server| {
        let sent = seen.lock().unwrap().history.len();
        if sent >= 20 && at.lock().unwrap().is_none() {
            *at.lock().unwrap() = Some(sent);
            server.fail_next(Fault::Status(429));
        }
    });
    let policy = RetryPolicy::default();
    let read = logs(&slow).page_size(20).prefetch(8).retry(policy).collect().await;
    assert_eq!(read.items.len(), 2_000);
    let history = slow.seen.lock().unwrap().history.clone();
    let at = refused.lock().unwrap().unwrap();
    // The requests that were sent before the refusal was known are still in flight.
    assert!(history[..at].contains(&8), "{history:?}");
    assert!(history[at + 8..at + 16].iter().all(|it| *it <= 5), "{:?}", &history[at..at + 24]);
    assert!(history[at + 60..].contains(&8), "{history:?}");
}

/// A server that takes a second for each request that is in flight beyond the second one.
#[derive(Clone, Debug)]
struct Strained(Slow);

#[async_trait]
impl HttpClient for Strained {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let others = self.0.under_way().saturating_sub(2);
        sleep(S * u32::try_from(others).unwrap() * 5).await;
        self.0.send(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_slows_down_under_many_requests_is_sent_fewer() {
    let slow = Slow::new(&log(2_000));
    let read = listing_through(Strained(slow.clone())).page_size(20).prefetch(16).collect().await;
    assert_eq!(read.items.len(), 2_000);
    let history = slow.seen.lock().unwrap().history.clone();
    let late = &history[history.len() / 2..];
    let mean = late.iter().sum::<usize>() as f64 / late.len() as f64;
    assert!(mean < 5.0, "{mean}: {history:?}");
}
