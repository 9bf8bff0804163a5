//! Recordings of a server: they play back what came, and contain no credential.

mod files;
mod leaks;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use actionlog::arklow::RecordsQuery;
use actionlog::integration::ActionLogInput;
use actionlog::testing::recording::{Playback, Recorder, RecordingError, UnrecordedRequest};
use actionlog::testing::{FakeServer, Fault};
use actionlog::{
    ArklowClient, Body, ErrorKind, HttpClient, HttpError, IntegrationClient, ReqwestClient, UnleashClient,
};
use bytes::Bytes;
use futures_util::stream;

use crate::support::{pending_input, promptly};

/// A file that is removed at the end of the test.
pub(crate) struct File(PathBuf);

impl File {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("actionlog-recording-{}-{number}.jsonl", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What a program sees of the three APIs.
async fn everything(http_client: impl HttpClient + Clone, key: &str) -> Vec<String> {
    let arklow = ArklowClient::builder("4711").api_key(key).http_client(http_client.clone()).build().unwrap();
    let logs = IntegrationClient::builder("http://localhost").bearer(key).http_client(http_client.clone());
    let logs = logs.build().unwrap();
    let unleash = UnleashClient::builder("http://localhost").api_key(key).http_client(http_client).build().unwrap();
    let mut seen = Vec::new();
    seen.push(arklow.records().count(()).await.unwrap().to_string());
    let query = RecordsQuery::new().include_state();
    let records = arklow.records().list(query).prefetch(1).collect().await;
    seen.push(format!("{:?} {:?} {:?}", records.items, records.summary.verdict, records.error));
    let all = logs.logs().list(()).prefetch(1).collect().await;
    seen.push(format!("{:?} {:?} {:?}", all.items, all.summary.verdict, all.error));
    let created = logs.logs().create(pending_input()).await.unwrap();
    let got = logs.logs().get(created.id.clone()).await.unwrap();
    let deleted = logs.logs().delete(created.id.clone()).await.map(|_| ());
    let gone = logs.logs().get(created.id.clone()).await.unwrap_err();
    seen.push(format!("{created:?} {got:?} {deleted:?} {:?} {gone}", gone.kind()));
    let events = unleash.action_set_events().list(("default", 7)).prefetch(1).collect().await;
    seen.push(format!("{:?} {:?} {:?}", events.items, events.summary.verdict, events.error));
    seen
}

fn full() -> FakeServer {
    let server = FakeServer::new();
    server.arklow().add_sample_records("4711", 120);
    server.integration().add_sample_logs(120);
    server.unleash().add_sample_events("default", 7, 120);
    server
}

const KEY: &str = "user:98b5af0c4e5a6b7c8d9e";

#[tokio::test(start_paused = true)]
async fn a_recording_of_each_api_plays_back_the_same() {
    let (file, server) = (File::new(), full());
    let recorder = Recorder::new(server.http_client(), &file.0);
    let recorded = everything(recorder.clone(), KEY).await;
    let saved = recorder.save().unwrap();
    // No field of the samples is taken for a secret.
    assert_eq!((saved.exchanges, saved.scrubbed), (server.requests().len(), 0));
    assert!(!file.text().contains("98b5af0c"));

    let requests = server.requests().len();
    for playback in [Playback::open(&file.0).unwrap(), Playback::open(&file.0).unwrap().in_order()] {
        assert_eq!(playback.remaining(), saved.exchanges);
        // Another key is accepted, as the server isn't asked.
        assert_eq!(everything(playback.clone(), "another").await, recorded);
        playback.finish().unwrap();
        assert_eq!(playback.remaining(), 0);
    }
    assert_eq!(server.requests().len(), requests, "nothing was sent");
}

#[tokio::test]
async fn a_recording_over_the_network_plays_back_the_same_although_it_was_compressed() {
    let (file, server) = (File::new(), full());
    let listening = server.listen().await.unwrap();
    let http_client = ReqwestClient::from_reqwest_builder(reqwest::Client::builder().no_proxy(), None).unwrap();
    let recorder = Recorder::new(http_client, &file.0);
    let client = |url: String| UnleashClient::builder(url).api_key(KEY);
    let read = async |client: UnleashClient| {
        promptly(client.action_set_events().list(("default", 7)).prefetch(1).collect()).await
    };
    let recorded = read(client(listening.url()).http_client(recorder.clone()).build().unwrap()).await;
    recorder.save().unwrap();
    let playback = Playback::open(&file.0).unwrap();
    let played =
        read(client("https://unleash.example.com".into()).http_client(playback.clone()).build().unwrap()).await;
    assert_eq!((recorded.items.len(), &recorded.items), (120, &played.items));
    playback.finish().unwrap();
    assert!(!file.text().contains("127.0.0.1"), "the host isn't written");
}

/// Sends this body with a header that isn't kept, and then fails if set.
#[derive(Clone, Debug)]
struct Sends(Vec<u8>, bool);

#[async_trait::async_trait]
impl HttpClient for Sends {
    async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let end = self.1.then(|| Err(HttpError::sent("broken")));
        let halves = self.0.chunks(self.0.len().div_ceil(2).max(1)).map(|it| Ok(Bytes::copy_from_slice(it)));
        let pieces: Vec<_> = halves.chain(end).collect();
        let response = http::Response::builder().header("content-type", "application/json").header("x-powered-by", "x");
        Ok(response.body(Body::new(stream::iter(pieces))).unwrap())
    }
}

async fn exchange(http_client: impl HttpClient) -> Result<(http::HeaderMap, Vec<u8>), HttpError> {
    let request = http::Request::get("http://localhost/a/b?c=d").body(Bytes::new()).unwrap();
    let (head, body) = http_client.send(request).await?.into_parts();
    let pieces: Vec<_> = futures_util::StreamExt::collect::<Vec<_>>(body).await;
    let pieces = pieces.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok((head.headers, pieces.concat()))
}

#[tokio::test]
async fn bodies_stay_byte_for_byte() {
    let bodies: [&[u8]; 10] = [
        br#"{"a":1.10,"n":12345678901234567890123,"a":1e400,"s":"\ud800\u0041","t":" "}"#,
        b"{\n  \"a\": [1, 2]\n}\n",
        b" [1] ",
        b"[]",
        b"null",
        "line one\r\nline two \u{2028}".as_bytes(),
        b"\xff\xfe\x00",
        b"",
        br#"{"unfinished":"#,
        b"{} {}",
    ];
    for body in bodies {
        let file = File::new();
        let recorder = Recorder::new(Sends(body.to_vec(), false), &file.0);
        exchange(recorder.clone()).await.unwrap();
        let saved = recorder.save().unwrap();
        assert_eq!((saved.exchanges, saved.scrubbed), (1, 0));
        let (headers, played) = exchange(Playback::open(&file.0).unwrap()).await.unwrap();
        assert_eq!(played, body, "{}", file.text());
        let names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["content-type"]);
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_without_a_whole_response_are_not_recorded_and_others_are_each() {
    let (file, server) = (File::new(), full());
    let recorder = Recorder::new(server.http_client(), &file.0);
    server.fail_next(Fault::Reset).fail_next(Fault::Status(503)).fail_next(Fault::Status(429));
    let client = IntegrationClient::builder("http://localhost").bearer(KEY).http_client(recorder.clone());
    client.build().unwrap().logs().list(()).page().await.unwrap();
    assert_eq!(recorder.save().unwrap().exchanges, 3);

    let broken = Recorder::new(Sends(b"{}".to_vec(), true), &file.0);
    assert!(exchange(broken.clone()).await.is_err());
    assert_eq!(broken.save().unwrap().exchanges, 0);

    let playback = Playback::open(&file.0);
    assert_eq!(playback.unwrap().remaining(), 0, "the second recorder replaced the file");
}

/// A recording of the three pages of a log at rest, and of a create.
async fn pages(file: &File) {
    let server = FakeServer::new();
    server.integration().add_sample_logs(120);
    let recorder = Recorder::new(server.http_client(), &file.0);
    let client = IntegrationClient::builder("http://localhost").bearer(KEY).http_client(recorder.clone());
    let client = client.build().unwrap();
    for offset in [0, 49, 98] {
        client.logs().list(()).page_size(50).start_offset(offset).page().await.unwrap();
    }
    client.logs().create(input(7)).await.unwrap();
    recorder.save().unwrap();
}

fn input(number: u32) -> ActionLogInput {
    pending_input().payload(serde_json::json!({ "number": number })).retry_count(u64::from(number))
}

fn client(playback: &Playback) -> IntegrationClient {
    IntegrationClient::builder("http://localhost").bearer("any").http_client(playback.clone()).build().unwrap()
}

/// The unrecorded request behind an error, and its message.
fn unrecorded(error: &actionlog::Error) -> (UnrecordedRequest, String) {
    let source = std::error::Error::source(error).and_then(|it| it.downcast_ref::<UnrecordedRequest>());
    let source = source.unwrap_or_else(|| panic!("{error:?}"));
    (source.clone(), source.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_not_recorded_is_an_error_that_shows_it_and_what_is_next() {
    let file = File::new();
    pages(&file).await;
    let playback = Playback::open(&file.0).unwrap();
    let client = client(&playback);
    let page = async |offset| client.logs().list(()).page_size(50).start_offset(offset).page().await;
    page(0).await.unwrap();
    let began = tokio::time::Instant::now();
    let error = page(50).await.unwrap_err();
    assert!(began.elapsed().is_zero() && error.kind() == ErrorKind::Connect && !error.is_transient());
    let (request, message) = unrecorded(&error);
    assert_eq!((request.played, request.next.as_ref().map(|it| it.0)), ((1, 4), Some(2)));
    assert_eq!(
        message,
        "the recording has no response to this request; 1 of 4 exchanges were played\n  \
         came:     GET /integration-action-logs?limit=50&offset=50\n  \
         next:     GET /integration-action-logs?limit=50&offset=49 (exchange 2)\n  \
         differs:  `offset` is 50, and was 49 in exchange 2"
    );
    // The program may go on, and `finish` reports it again.
    page(49).await.unwrap();
    page(98).await.unwrap();
    client.logs().create(input(7)).await.unwrap();
    assert_eq!(playback.remaining(), 0);
    let RecordingError::Unrecorded(first) = playback.finish().unwrap_err() else { panic!() };
    assert_eq!(*first, request);
    let (_, message) = unrecorded(&page(0).await.unwrap_err());
    assert!(message.ends_with("next:     nothing") && message.contains("4 of 4"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn requests_may_come_in_another_order_unless_that_is_forbidden() {
    let file = File::new();
    pages(&file).await;
    let any = Playback::open(&file.0).unwrap();
    for offset in [98, 0, 49] {
        let page = client(&any).logs().list(()).page_size(50).start_offset(offset).page().await.unwrap();
        assert_eq!(page.entries.len(), if offset == 98 { 22 } else { 50 });
    }
    let RecordingError::Unplayed { count: 1, exchange: 4, request, .. } = any.finish().unwrap_err() else { panic!() };
    assert_eq!(request, "POST /integration-action-logs");

    let ordered = Playback::open(&file.0).unwrap().in_order();
    let error = client(&ordered).logs().list(()).page_size(50).start_offset(98).page().await.unwrap_err();
    let (_, message) = unrecorded(&error);
    assert!(message.contains("`offset` is 98, and was 0 in exchange 1"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn the_same_request_gets_the_recorded_responses_in_their_order() {
    let (file, server) = (File::new(), FakeServer::new());
    server.before_each(|server| {
        server.integration().add_sample_logs(1);
    });
    let recorder = Recorder::new(server.http_client(), &file.0);
    let total = async |client: &IntegrationClient| client.logs().list(()).page().await.unwrap().total.unwrap();
    let real =
        IntegrationClient::builder("http://localhost").bearer(KEY).http_client(recorder.clone()).build().unwrap();
    for expected in 1..=4 {
        assert_eq!(total(&real).await, expected);
    }
    recorder.save().unwrap();
    let client = client(&Playback::open(&file.0).unwrap());
    for expected in 1..=4 {
        assert_eq!(total(&client).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_of_requests_are_compared_but_for_ignored_fields() {
    let file = File::new();
    pages(&file).await;
    let strict = Playback::open(&file.0).unwrap();
    let error = client(&strict).logs().create(input(8)).await.unwrap_err();
    let (request, message) = unrecorded(&error);
    assert!(message.ends_with("differs:  `number` is 8, and was 7 in exchange 4"), "{message}");
    assert!(request.body.contains("\"number\":8"), "{request:?}");
    let loose = Playback::open(&file.0).unwrap().ignore_field("number").ignore_field("retryCount");
    client(&loose).logs().create(input(8)).await.unwrap();
}
