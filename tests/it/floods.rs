//! Small responses that expand to large ones: their cost in memory and time, and the error.

use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actionlog::arklow::ActionRecord;
use actionlog::page::{Cause, Proof, Stability};
use actionlog::testing::FakeServer;
use actionlog::{
    ArklowClient, Body, DecodeError, ErrorKind, HttpClient, HttpError, IntegrationClient, Page, Request, RetryPolicy,
    UnleashClient, Verdict, WriteOutcome,
};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::ALLOCATOR;
use crate::support::{event, promptly};
use crate::wire::{Memory, Reply};

const MIB: usize = 1024 * 1024;

/// The client's limit on bodies.
const BODY: usize = 16 * MIB;

/// The time limit of each call.
const LIMIT: Duration = Duration::from_secs(2);

/// A body of almost 16 MiB that repeats one piece.
fn filled(begin: &str, piece: &str, end: &str) -> Vec<u8> {
    let room = BODY - begin.len() - end.len() - piece.len();
    let mut body = Vec::with_capacity(BODY);
    body.extend_from_slice(begin.as_bytes());
    let pieces = room / (piece.len() + 1);
    for _ in 0..pieces {
        body.extend_from_slice(piece.as_bytes());
        body.push(b',');
    }
    body.extend_from_slice(piece.as_bytes());
    body.extend_from_slice(end.as_bytes());
    body
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(plain).unwrap();
    out.finish().unwrap()
}

/// A server with one compressed response.
async fn serve(body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\nconnection: close\r\n";
    let head = format!("{head}content-length: {}\r\n\r\n", body.len());
    let response = Arc::new([head.into_bytes(), body].concat());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let response = Arc::clone(&response);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                stream.write_all(&response).await?;
                stream.shutdown().await
            });
        }
    });
    url
}

/// One call of each client to one of these servers. Returns the number of valid records.
async fn ask(api: &str, url: String) -> actionlog::Result<usize> {
    let once = RetryPolicy::never();
    let logs = |url: String| {
        let client = IntegrationClient::builder(url).api_key("key").retry(once.clone()).operation_timeout(LIMIT);
        client.build().unwrap()
    };
    let call = async {
        match api {
            "arklow" => {
                let client = ArklowClient::builder("1").base_url(url).api_key("key");
                let client = client.retry(once.clone()).operation_timeout(LIMIT).build().unwrap();
                client.records().list(()).page().await?.into_records().map(|it| it.len())
            }
            "integration" => logs(url).logs().list(()).page().await?.into_records().map(|it| it.len()),
            "raw" => logs(url).logs().list(()).with_raw().page().await?.into_records().map(|it| it.len()),
            "a log" => logs(url).logs().get("1").await.map(|_| 1),
            _ => {
                let client = UnleashClient::builder(url).api_key("key").retry(once.clone()).operation_timeout(LIMIT);
                let client = client.build().unwrap();
                client.action_set_events().list(("default", 1)).page().await?.into_records().map(|it| it.len())
            }
        }
    };
    promptly(call).await
}

const LOG: &str = r#"{"_id":"1","integrationId":"i","actionType":"sync","entityType":"e","status":"success"}"#;

/// A flood: its name, its API, and its pieces.
struct Flood {
    name: &'static str,
    api: &'static str,
    begin: String,
    piece: String,
    end: &'static str,
}

fn floods() -> Vec<Flood> {
    let flood = |name, api, begin: &str, piece: &str, end| Flood {
        name,
        api,
        begin: begin.to_owned(),
        piece: piece.to_owned(),
        end,
    };
    let many = |piece: &str, times| vec![piece; times].join(",");
    // As many records as a page may hold, each as large as the body allows.
    let heavy = |field: &str| format!(r#"{},{field}}}"#, LOG.trim_end_matches('}'));
    let payload = heavy(&format!(r#""payload":{{"a":"{}"}}"#, "x".repeat(40_000)));
    let odd = heavy(&format!(r#""retryCount":"many","payload":{{"a":"{}"}}"#, "x".repeat(40_000)));
    let none = format!(r#"{{"payload":{{"a":"{}"}}}}"#, "x".repeat(40_000));
    let one_payload = format!(r#"{{"data":[{},"payload":["#, LOG.trim_end_matches('}'));
    let one_odd = one_payload.replace(r#""payload""#, r#""retryCount":"many","errorMessage":5,"payload""#);
    let many_odd = format!(r#"{{"data":[{},"retryCount":0,"#, LOG.trim_end_matches('}'));
    let events = format!(r#"{{"id":"1","events":[{}]}}"#, many("{}", 9_000));
    let alias = format!(r#"{{"id":"1","definition":{{"id":"1","alias":[{}]}}}}"#, many(r#""""#, 9_000));
    let destinations = format!(r#"{{"id":"1","definition":{{"id":"1","destinations":[{}]}}}}"#, many("{}", 9_000));
    let odd_events = events.replace(r#""id":"1""#, r#""id":"1","state":{"updated_at":"soon"}"#);
    let actions = r#"{"id":1,"action":"a","sortOrder":0,"executionParams":{}}"#;
    let actions = event(1).to_string().replace(r#""actions":[]"#, &format!(r#""actions":[{}]"#, many(actions, 300)));
    vec![
        flood("records that are none", "integration", r#"{"success":true,"data":["#, "{}", "]}"),
        flood("records that are none, of Arklow", "arklow", r#"{"data":{"items":["#, "{}", "]}}"),
        flood("records that are none, of Unleash", "unleash", r#"{"actionSetEvents":["#, "{}", "]}"),
        flood("records that are numbers", "unleash", r#"{"actionSetEvents":["#, "1", "]}"),
        flood("records as they should be", "integration", r#"{"data":["#, LOG, "]}"),
        flood("a bad record, and then good ones", "integration", r#"{"data":[{},"#, LOG, "]}"),
        flood("errors beside no records", "arklow", r#"{"data":{"items":[]},"errors":["#, "{}", "]}"),
        flood("errors that are numbers", "arklow", r#"{"errors":["#, "1", r#"],"data":{"items":[]}}"#),
        flood("errors of a refusal", "integration", r#"{"success":false,"errors":["#, "{}", "]}"),
        flood("errors of a refused get", "a log", r#"{"success":false,"error":["#, "1", "]}"),
        flood("names in a message", "integration", r#"{"success":false,"message":{"#, r#""a":1"#, "}}"),
        flood("actions in one event", "unleash", r#"{"actionSetEvents":[{"actionSet":{"actions":["#, "{}", "]}}]}"),
        flood("a list where an object belongs", "integration", "[", "[]", "]"),
        flood("nothing but blanks", "integration", " ", " ", " "),
        flood("brackets without an end", "integration", r#"{"data":[{"payload":"#, "[1", ""),
        flood("objects without an end", "arklow", r#"{"data":{"items":[{"input":"#, r#"{"a":1,"b":[1"#, ""),
        flood("good: records with much in each", "integration", r#"{"data":["#, &payload, "]}"),
        flood("good: records with much in each, and their text", "raw", r#"{"data":["#, &payload, "]}"),
        flood("good: records with much and a bad field in each", "integration", r#"{"data":["#, &odd, "]}"),
        flood("records with much in each, that are none", "integration", r#"{"data":["#, &none, "]}"),
        flood("good: one record with all of it", "integration", &one_payload, "1", "]}]}"),
        flood("good: one record with all of it, and its text", "raw", &one_payload, "1", "]}]}"),
        flood("good: one log with all of it", "a log", &one_payload.replace("[{", "{"), "1", "]}}"),
        flood("good: one record with all of it and bad fields", "integration", &one_odd, "1", "]}]}"),
        flood("good: one log with all of it and bad fields", "a log", &one_odd.replace("[{", "{"), "1", "]}}"),
        flood("one bad field so many times", "integration", &many_odd, r#""retryCount":1"#, "}]}"),
        flood(
            "one bad field so many times, in a log",
            "a log",
            &many_odd.replace("[{", "{"),
            r#""retryCount":1"#,
            "}}",
        ),
        flood("events in each record", "arklow", r#"{"data":{"items":["#, &events, "]}}"),
        flood("names in each record", "arklow", r#"{"data":{"items":["#, &alias, "]}}"),
        flood("destinations in each record", "arklow", r#"{"data":{"items":["#, &destinations, "]}}"),
        flood("destinations in each behind a bad one", "arklow", r#"{"data":{"items":[{},"#, &destinations, "]}}"),
        flood("events and a bad field in each record", "arklow", r#"{"data":{"items":["#, &odd_events, "]}}"),
        flood("short lists in each event", "unleash", r#"{"actionSetEvents":["#, &actions, "]}"),
    ]
}

/// Runs in a separate process, so that nothing else takes memory. An allocation beyond the limit ends it.
#[test]
#[ignore = "started by another test, as memory is a process's"]
fn a_process_that_is_flooded() {
    let which: usize = std::env::var("FLOOD").unwrap().parse().unwrap();
    let Flood { name, api, begin, piece, end } = floods().swap_remove(which);
    let is_valid = name.starts_with("good: ");
    let mut plain = filled(&begin, &piece, end);
    drop((begin, piece));
    if name == "nothing but blanks" {
        plain.fill(b' ');
    }
    let packed = gzip(&plain);
    drop(plain);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let on_the_wire = packed.len();
        let url = serve(packed).await;
        // Warm up what is read only once.
        drop(IntegrationClient::builder(&*url).api_key("key").build().unwrap());
        // How long another task of this thread has to wait.
        let longest = Arc::new(AtomicU64::new(0));
        let noted = Arc::clone(&longest);
        let ticks = tokio::spawn(async move {
            loop {
                let began = Instant::now();
                sleep(Duration::from_millis(1)).await;
                noted.fetch_max(u64::try_from(began.elapsed().as_millis()).unwrap(), Ordering::Relaxed);
            }
        });
        sleep(Duration::from_millis(10)).await;
        let before = ALLOCATOR.allocated();
        let room = std::env::var("FLOOD_ROOM").map_or(64, |it| it.parse().unwrap());
        ALLOCATOR.set_limit(before + room * MIB).unwrap();
        let began = Instant::now();
        let result = ask(api, url).await;
        let took = began.elapsed();
        ALLOCATOR.set_limit(usize::MAX).unwrap();
        ticks.abort();
        let stalled = longest.load(Ordering::Relaxed);
        let most = (ALLOCATOR.max_allocated() - before).div_ceil(MIB);
        println!("flooded: {name}: {on_the_wire} bytes: {most} MiB, {took:.0?}, stalled {stalled} ms: {result:.300?}");
        assert!(took < LIMIT + Duration::from_millis(200), "{took:?}");
        assert!(stalled < 200, "another task waited for {stalled} ms");
        // On a busy machine, a valid response may take longer than the time limit.
        let is_late = result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Timeout);
        assert!(result.is_ok() == is_valid || is_late, "{result:?}");
        let Err(error) = result else { return };
        let kinds = [
            ErrorKind::TooLarge,
            ErrorKind::Timeout,
            ErrorKind::Decode,
            ErrorKind::ApiFailure,
            ErrorKind::NotJson,
            ErrorKind::InvalidRecord,
        ];
        assert!(kinds.contains(&error.kind()), "{error:?}");
        assert!(error.to_string().len() < 4_096, "{}", error.to_string().len());
    });
    // Don't wait for decoding that is still running in another thread.
    runtime.shutdown_background();
}

#[test]
fn decompression_bombs_use_at_most_64_mib_and_respect_the_deadline() {
    for (which, flood) in floods().iter().enumerate() {
        let run = || {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "floods::a_process_that_is_flooded", "--ignored", "--nocapture"]);
            let output = command.env("FLOOD", which.to_string()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            println!("{}", said.lines().find(|it| it.contains("flooded: ")).unwrap_or("nothing was said"));
            let done = output.status.success() && said.contains("flooded: ");
            (done, said + &String::from_utf8_lossy(&output.stderr))
        };
        // The memory is the same each time. The duration depends on what else runs on the machine.
        let mut runs = (0..3).map(|_| run());
        let (mut done, mut said) = runs.next().unwrap();
        while !done && !said.contains("memory allocation") {
            let Some(again) = runs.next() else { break };
            (done, said) = again;
        }
        assert!(done, "{}: {said}", flood.name);
    }
}

/// Pages with this number of records, valid or not.
fn page(records: usize, good: bool) -> String {
    let record = |id| if good { LOG.replace("\"1\"", &format!("\"{id}\"")) } else { "{}".to_owned() };
    format!(r#"{{"success":true,"data":[{}]}}"#, (0..records).map(record).collect::<Vec<_>>().join(","))
}

fn responding(body: impl Fn() -> String + Send + Sync + 'static) -> IntegrationClient {
    responding_with(body, |it| it)
}

type Builder = actionlog::ClientBuilder<IntegrationClient>;

fn responding_with(
    body: impl Fn() -> String + Send + Sync + 'static,
    change: impl FnOnce(Builder) -> Builder,
) -> IntegrationClient {
    let memory = Memory::new(move |_, _| Reply::json(200, body()));
    change(IntegrationClient::builder("http://localhost").api_key("key").http_client(memory)).build().unwrap()
}

#[tokio::test]
async fn a_page_may_have_ten_times_the_requested_records_or_a_thousand_and_no_more() {
    for good in [true, false] {
        for (asked, most) in [(1, 1_000), (20, 1_000), (100, 1_000)] {
            let client = responding(move || page(most, good));
            let listed = client.logs().list(()).page_size(asked).page().await.unwrap();
            assert_eq!(listed.entries.len(), most);
            assert!(listed.entries.iter().all(|it| it.is_ok() == good));
            let client = responding(move || page(most + 1, good));
            let error = client.logs().list(()).page_size(asked).page().await.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::TooLarge, false));
            assert!(error.to_string().contains("more than 1000 records"), "{error}");
            assert!(error.to_string().contains("max_page_records"), "{error}");
            // The scan ends with it, and reports that.
            let all = client.logs().list(()).page_size(asked).collect().await;
            assert_eq!(all.error.unwrap().kind(), ErrorKind::TooLarge);
            assert!(all.items.is_empty() && all.summary.verdict.is_incomplete());
        }
    }
}

#[tokio::test]
async fn the_limit_of_records_per_page_can_be_set_and_is_at_least_the_page_size() {
    for (set, held, fine) in
        [(50, 100, true), (50, 101, false), (150, 150, true), (150, 151, false), (5_000, 5_000, true)]
    {
        let client = responding_with(move || page(held, true), |it| it.max_page_records(set));
        let listed = client.logs().list(()).page().await;
        assert_eq!(listed.as_ref().map(|it| it.entries.len()).ok(), fine.then_some(held), "{set} {held}");
        assert_eq!(listed.err().map(|it| it.kind()), (!fine).then_some(ErrorKind::TooLarge), "{set} {held}");
    }
}

#[tokio::test]
async fn a_page_may_have_a_hundred_errors_and_no_more() {
    let response = |errors: usize, text: &str| {
        let errors = (0..errors).map(|it| format!(r#"{{"message":"{text} {it}"}}"#)).collect::<Vec<_>>().join(",");
        format!(r#"{{"data":{{"items":[],"count":0}},"errors":[{errors}]}}"#)
    };
    let ask = |body: String| async move {
        let memory = Memory::new(move |_, _| Reply::json(200, body.clone()));
        let client = ArklowClient::builder("1").api_key("key").http_client(memory).build().unwrap();
        client.records().list(()).page().await
    };
    let page: Page<ActionRecord> = ask(response(100, "it failed")).await.unwrap();
    assert_eq!(page.errors.len(), 100);
    assert_eq!(page.errors[99].message(), Some("it failed 99"));
    for (body, what) in
        [(response(101, "it failed"), "100 errors"), (response(9, &"x".repeat(60_000)), "bytes of errors")]
    {
        let error = ask(body).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[tokio::test]
async fn the_dedup_window_stays_small_however_long_the_ids() {
    let server = FakeServer::new();
    let id = |number| format!("{}{number}", "x".repeat(200_000));
    for number in 0..60 {
        server.integration().log().add_raw(LOG.replace("\"1\"", &format!("\"{}\"", id(number))));
    }
    let client = IntegrationClient::builder("http://localhost").api_key("key").http_client(server.http_client());
    let client = client.build().unwrap();
    let listing = client.logs().list(()).page_size(5).stability(Stability::Stable);
    let mut items = listing.clone().items();
    for number in (20..60).rev() {
        assert_eq!(items.next().await.unwrap().unwrap().id, *id(number));
    }
    let cursor = items.cursor();
    let text = serde_json::to_string(&cursor).unwrap();
    assert!(text.len() < 10_000, "{}", text.len());
    let rest = listing.resume(serde_json::from_str(&text).unwrap()).collect().await;
    assert_eq!((rest.items.len(), rest.summary.verdict), (20, Verdict::Complete(Proof::Total)));
    assert_eq!(rest.items[0].id, *id(19));
}

/// A page of Arklow records, each with this number of events and, if set, with fields that don't fit.
fn page_of_lists(records: usize, events: usize, odd: &str) -> String {
    let events = vec!["{}"; events].join(",");
    let record = |id| format!(r#"{{"id":"{id}","events":[{events}]{odd}}}"#);
    format!(r#"{{"data":{{"items":[{}]}}}}"#, (0..records).map(record).collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn the_lists_of_a_pages_records_use_at_most_16_mib() {
    let ask = |body: String| async move {
        let memory = Memory::new(move |_, _| Reply::json(200, body.clone()));
        let client = ArklowClient::builder("1").api_key("key").http_client(memory).build().unwrap();
        client.records().list(()).page().await
    };
    // A record that is decoded again without a field is freed first, so it counts once.
    for odd in ["", r#","events_":1,"state":{"updated_at":"soon"},"definition":{"id":"1","version":"x"}"#] {
        let held = size_of::<actionlog::arklow::ActionEvent>() * 512;
        let most = 16 * MIB / held;
        let page = ask(page_of_lists(most, 512, odd)).await.unwrap();
        let page = page.into_records().unwrap();
        assert_eq!((page.len(), page[most - 1].events.as_ref().unwrap().len()), (most, 512));
        // The capacity of a list is at most twice its length.
        for (records, events) in [(most + 1, 512), (most, 513)] {
            let error = ask(page_of_lists(records, events, odd)).await.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::TooLarge, false));
            assert!(error.to_string().contains("16777216 bytes in the lists of its records"), "{error}");
            assert!(error.hint().unwrap().contains("page_size"), "{error}");
        }
    }
    // If larger bodies are allowed, their lists may take as much memory.
    for (cap, fine) in [(17 * MIB, true), (16 * MIB, false), (MIB, false)] {
        let body = page_of_lists(16 * MIB / (size_of::<actionlog::arklow::ActionEvent>() * 512) + 1, 512, "");
        assert!(body.len() < MIB);
        let memory = Memory::new(move |_, _| Reply::json(200, body.clone()));
        let client = ArklowClient::builder("1").api_key("key").http_client(memory).max_body_bytes(cap).build().unwrap();
        assert_eq!(client.records().list(()).page().await.is_ok(), fine, "{cap}");
    }
    // A list has at most 10,000 elements; only the field that holds a longer one is left out.
    let page = ask(page_of_lists(1, 10_001, "")).await.unwrap();
    let record = page.into_records().unwrap().remove(0);
    assert_eq!((record.events.as_ref(), record.omitted().len()), (None, 1));
}

#[tokio::test]
async fn collecting_ends_and_reports_it() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(300);
    let client = IntegrationClient::builder("http://localhost").api_key("key").http_client(server.http_client());
    let client = client.max_collected(120).build().unwrap();
    let listing = client.logs().list(()).stability(Stability::Stable);
    let some = listing.clone().collect().await;
    assert_eq!((some.items.len(), some.summary.verdict), (120, Verdict::Incomplete(Cause::MaxItems)));
    assert!(some.error.is_none());
    // Resuming from the cursor continues there, with a limit for the rest.
    let rest = listing.clone().max_items(u64::MAX).resume(some.cursor.clone().unwrap()).collect().await;
    assert_eq!((rest.items.len(), rest.summary.verdict), (180, Verdict::Complete(Proof::Total)));
    assert_eq!(some.complete().unwrap_err().kind(), ErrorKind::Incomplete);
    // The listing's setting takes precedence, and streams have no such limit.
    assert_eq!(listing.clone().max_items(250).collect().await.items.len(), 250);
    let mut items = listing.items();
    let mut delivered = 0;
    while items.next().await.transpose().unwrap().is_some() {
        delivered += 1;
    }
    assert_eq!(delivered, 300);
}

/// A request whose response takes this long to decode.
fn slow(takes: Duration) -> Request<()> {
    Request::get("slow", [""; 0]).read(move |_| {
        std::thread::sleep(takes);
        Ok::<_, DecodeError>(())
    })
}

#[tokio::test]
async fn a_deadline_ends_a_call_while_its_response_is_read() {
    let limit = Duration::from_millis(100);
    // A small one is decoded on this thread, and found to be late afterwards. The server applied the request.
    let client = responding(|| "{}".to_owned());
    let error = client.send(slow(3 * limit)).operation_timeout(limit).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, WriteOutcome::Applied));
    assert!(error.is_transient());
    client.send(slow(Duration::from_millis(1))).operation_timeout(Duration::from_secs(20)).await.unwrap();

    // A large one is decoded on another thread. The call doesn't wait for it, so its outcome is unknown.
    let client = responding(|| " ".repeat(MIB));
    let began = Instant::now();
    let error = client.send(slow(Duration::from_secs(3))).operation_timeout(limit).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, WriteOutcome::Unknown));
}

#[tokio::test]
async fn a_large_response_does_not_block_other_tasks() {
    let client = responding(|| " ".repeat(MIB));
    let reading = tokio::spawn(async move { client.send(slow(Duration::from_millis(500))).await });
    let (mut ticks, began) = (0, Instant::now());
    while !reading.is_finished() {
        sleep(Duration::from_millis(1)).await;
        ticks += 1;
    }
    reading.await.unwrap().unwrap();
    assert!(ticks > 50, "{ticks} in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_panic_while_a_large_response_is_decoded_reaches_the_caller() {
    let client = responding(|| " ".repeat(MIB));
    let request = Request::get("slow", [""; 0]).read::<()>(|_| panic!("of the reader"));
    let panicked = tokio::spawn(async move { client.send(request).await }).await.unwrap_err().into_panic();
    assert_eq!(panicked.downcast_ref::<&str>(), Some(&"of the reader"));
}

/// Responds with a body that is always ready.
#[derive(Debug)]
struct Eager;

#[async_trait]
impl HttpClient for Eager {
    async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let piece = Bytes::from(vec![b' '; 1024]);
        Ok(http::Response::new(Body::new(futures_util::stream::repeat_with(move || {
            std::thread::sleep(Duration::from_micros(20));
            Ok(piece.clone())
        }))))
    }
}

#[tokio::test]
async fn a_body_that_is_always_ready_respects_the_deadline() {
    let client = IntegrationClient::builder("http://localhost").api_key("key").http_client(Eager);
    let client = client.max_body_bytes(usize::MAX).retry(RetryPolicy::never()).build().unwrap();
    for operation in [true, false] {
        let limit = Duration::from_millis(300);
        let page = client.logs().list(()).page();
        let page = if operation { page.operation_timeout(limit) } else { page.attempt_timeout(limit) };
        let began = Instant::now();
        let error = page.await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, WriteOutcome::Unknown));
        assert!(began.elapsed() < limit + Duration::from_millis(500), "{:?}", began.elapsed());
    }
}
