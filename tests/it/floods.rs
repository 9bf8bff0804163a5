//! Small answers that unfold to large ones: what they cost in memory and time, and what the caller is told.

use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actionlog::arklow::ActionRecord;
use actionlog::page::{Cut, Entry, Order};
use actionlog::testing::World;
use actionlog::{
    ArklowClient, Body, DecodeError, Error, ErrorKind, Exchange, ExchangeError, IntegrationClient, Page, Request,
    RequestOutcome, RetryPolicy, UnleashClient, Verdict,
};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::ALLOCATOR;
use crate::support::promptly;
use crate::wire::{Memory, Reply};

const MIB: usize = 1024 * 1024;

/// What the client's cap on bodies lets through.
const BODY: usize = 32 * MIB;

/// How long each call may take.
const LIMIT: Duration = Duration::from_secs(2);

/// A body of almost 32 MiB, of one piece repeated.
fn filled(begin: &str, piece: &str, end: &str) -> Vec<u8> {
    let room = BODY - begin.len() - end.len() - piece.len();
    let mut body = begin.as_bytes().to_vec();
    let pieces = room / (piece.len() + 1);
    body.reserve(room + 2 * piece.len());
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

/// A server of one answer, compressed.
async fn serve(body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\nconnection: close\r\n";
    let head = format!("{head}content-length: {}\r\n\r\n", body.len());
    let answer = Arc::new([head.into_bytes(), body].concat());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                stream.write_all(&answer).await?;
                stream.shutdown().await
            });
        }
    });
    url
}

/// One call of each client, to one of these servers.
async fn ask(api: &str, url: String) -> Error {
    let once = RetryPolicy::off();
    let call = async {
        match api {
            "arklow" => {
                let client =
                    ArklowClient::builder("1").base_url(url).api_key("key").retry(once).operation_timeout(LIMIT);
                client.build().unwrap().records().list(()).page().await.map(drop)
            }
            "integration" => {
                let client = IntegrationClient::builder(url).api_key("key").retry(once).operation_timeout(LIMIT);
                client.build().unwrap().logs().list(()).page().await.map(drop)
            }
            "a log" => {
                let client = IntegrationClient::builder(url).api_key("key").retry(once).operation_timeout(LIMIT);
                client.build().unwrap().logs().get("1").await.map(drop)
            }
            _ => {
                let client = UnleashClient::builder(url).api_key("key").retry(once).operation_timeout(LIMIT);
                let page = client.build().unwrap().action_set_events().list(("default", 1)).page().await;
                // In time, it's a page of one record, which isn't valid.
                page.and_then(|page| page.into_records().map(drop))
            }
        }
    };
    promptly(call).await.expect_err("this is no page of valid records")
}

const LOG: &str = r#"{"_id":"1","integrationId":"i","actionType":"sync","entityType":"e","status":"success"}"#;

/// What unfolds: a name, whose page it is, and what it's made of.
type Flood = (&'static str, &'static str, &'static str, &'static str, &'static str);

const FLOODS: [Flood; 14] = [
    ("records that are none", "integration", r#"{"success":true,"data":["#, "{}", "]}"),
    ("records that are none, of Arklow", "arklow", r#"{"data":{"items":["#, "{}", "]}}"),
    ("records that are none, of Unleash", "unleash", r#"{"actionSetEvents":["#, "{}", "]}"),
    ("records that are numbers", "unleash", r#"{"actionSetEvents":["#, "1", "]}"),
    ("records as they should be", "integration", r#"{"data":["#, LOG, "]}"),
    ("a bad record, and then good ones", "integration", r#"{"data":[{},"#, LOG, "]}"),
    ("errors beside no records", "arklow", r#"{"data":{"items":[]},"errors":["#, "{}", "]}"),
    ("errors that are numbers", "arklow", r#"{"errors":["#, "1", r#"],"data":{"items":[]}}"#),
    ("errors of a refusal", "integration", r#"{"success":false,"errors":["#, "{}", "]}"),
    ("errors of a refused get", "a log", r#"{"success":false,"error":["#, "1", "]}"),
    ("names in a message", "integration", r#"{"success":false,"message":{"#, r#""a":1"#, "}}"),
    ("actions in one event", "unleash", r#"{"actionSetEvents":[{"actionSet":{"actions":["#, "{}", "]}}]}"),
    ("a list where an object belongs", "integration", "[", "[]", "]"),
    ("nothing but blanks", "integration", " ", " ", " "),
];

/// Runs as a process of its own, where nobody else takes memory: the allocator refuses what is over, and that ends it.
#[test]
#[ignore = "started by another test, as memory is a process's"]
fn a_process_that_is_flooded() {
    let which: usize = std::env::var("FLOOD").unwrap().parse().unwrap();
    let (name, api, begin, piece, end) = FLOODS[which];
    let mut plain = filled(begin, piece, end);
    if name == "nothing but blanks" {
        plain.fill(b' ');
    }
    let packed = gzip(&plain);
    drop(plain);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let on_the_wire = packed.len();
        let url = serve(packed).await;
        // What is read once for all.
        drop(IntegrationClient::builder(&*url).api_key("key").build().unwrap());
        // How long another task of this thread is kept waiting.
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
        // What can't be read is kept as it came: one record as large as a body is there twice, and little more.
        let room = if name == "actions in one event" { 2 * BODY + MIB } else { 64 * MIB };
        ALLOCATOR.set_limit(ALLOCATOR.allocated() + room).unwrap();
        let began = Instant::now();
        let error = ask(api, url).await;
        let took = began.elapsed();
        ALLOCATOR.set_limit(usize::MAX).unwrap();
        ticks.abort();
        let stalled = longest.load(Ordering::Relaxed);
        println!("flooded: {name}: {on_the_wire} bytes: {took:.0?}, stalled {stalled} ms: {error:?}");
        assert!(took < LIMIT + Duration::from_millis(200), "{took:?}");
        assert!(stalled < 200, "another task waited for {stalled} ms");
        let is_one_record = error.is_record() && name == "actions in one event";
        let kinds =
            [ErrorKind::TooLarge, ErrorKind::Timeout, ErrorKind::Decode, ErrorKind::Refused, ErrorKind::NotJson];
        assert!(kinds.contains(&error.kind()) || is_one_record, "{error:?}");
        assert!(error.to_string().len() < 4_096, "{}", error.to_string().len());
    });
    // What is still read in another thread needn't be waited for.
    runtime.shutdown_background();
}

#[test]
fn what_unfolds_takes_no_more_memory_than_64_mib_and_no_more_time_than_there_is() {
    for (which, flood) in FLOODS.iter().enumerate() {
        let run = || {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "floods::a_process_that_is_flooded", "--ignored", "--nocapture"]);
            let output = command.env("FLOOD", which.to_string()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            println!("{}", said.lines().find(|it| it.contains("flooded: ")).unwrap_or("nothing was said"));
            let done = output.status.success() && said.contains("flooded: ");
            (done, said + &String::from_utf8_lossy(&output.stderr))
        };
        // Memory is the same each time. Of the time, a machine that is busy with other tests may take some.
        let mut runs = (0..3).map(|_| run());
        let (mut done, mut said) = runs.next().unwrap();
        while !done && !said.contains("memory allocation") {
            let Some(again) = runs.next() else { break };
            (done, said) = again;
        }
        assert!(done, "{}: {said}", flood.0);
    }
}

/// Pages of so many records, good or not.
fn page(records: usize, good: bool) -> String {
    let record = |id| if good { LOG.replace("\"1\"", &format!("\"{id}\"")) } else { "{}".to_owned() };
    format!(r#"{{"success":true,"data":[{}]}}"#, (0..records).map(record).collect::<Vec<_>>().join(","))
}

fn answering(body: impl Fn() -> String + Send + Sync + 'static) -> IntegrationClient {
    answering_with(body, |it| it)
}

type Builder = actionlog::ClientBuilder<IntegrationClient>;

fn answering_with(
    body: impl Fn() -> String + Send + Sync + 'static,
    change: impl FnOnce(Builder) -> Builder,
) -> IntegrationClient {
    let memory = Memory::new(move |_, _| Reply::json(200, body()));
    change(IntegrationClient::builder("http://localhost").api_key("key").exchange(memory)).build().unwrap()
}

#[tokio::test]
async fn a_page_may_hold_ten_times_what_was_asked_for_and_a_thousand_and_no_more() {
    for good in [true, false] {
        for (asked, most) in [(1, 1_000), (20, 1_000), (100, 1_000)] {
            let client = answering(move || page(most, good));
            let listed = client.logs().list(()).page_size(asked).page().await.unwrap();
            assert_eq!(listed.entries.len(), most);
            assert!(listed.entries.iter().all(|it| matches!(it, Entry::Record(_)) == good));
            let client = answering(move || page(most + 1, good));
            let error = client.logs().list(()).page_size(asked).page().await.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::TooLarge, false));
            assert!(error.to_string().contains("more than 1000 records"), "{error}");
            assert!(error.to_string().contains("max_page_records"), "{error}");
            // A reading ends with it, and says so.
            let all = client.logs().list(()).page_size(asked).collect().await;
            assert_eq!(all.error.unwrap().kind(), ErrorKind::TooLarge);
            assert!(all.items.is_empty() && all.summary.verdict.is_truncated());
        }
    }
}

#[tokio::test]
async fn how_many_records_a_page_may_hold_can_be_set_and_is_never_less_than_was_asked_for() {
    for (set, held, fine) in
        [(50, 100, true), (50, 101, false), (150, 150, true), (150, 151, false), (5_000, 5_000, true)]
    {
        let client = answering_with(move || page(held, true), |it| it.max_page_records(set));
        let listed = client.logs().list(()).page().await;
        assert_eq!(listed.as_ref().map(|it| it.entries.len()).ok(), fine.then_some(held), "{set} {held}");
        assert_eq!(listed.err().map(|it| it.kind()), (!fine).then_some(ErrorKind::TooLarge), "{set} {held}");
    }
}

#[tokio::test]
async fn a_page_may_hold_a_hundred_errors_and_no_more() {
    let answer = |errors: usize, text: &str| {
        let errors = (0..errors).map(|it| format!(r#"{{"message":"{text} {it}"}}"#)).collect::<Vec<_>>().join(",");
        format!(r#"{{"data":{{"items":[],"count":0}},"errors":[{errors}]}}"#)
    };
    let ask = |body: String| async move {
        let memory = Memory::new(move |_, _| Reply::json(200, body.clone()));
        let client = ArklowClient::builder("1").api_key("key").exchange(memory).build().unwrap();
        client.records().list(()).page().await
    };
    let page: Page<ActionRecord> = ask(answer(100, "it failed")).await.unwrap();
    assert_eq!(page.errors.len(), 100);
    assert_eq!(page.errors[99].message(), Some("it failed 99"));
    for (body, what) in [(answer(101, "it failed"), "100 errors"), (answer(9, &"x".repeat(60_000)), "bytes of errors")]
    {
        let error = ask(body).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[tokio::test]
async fn collecting_has_an_end_and_says_so() {
    let world = World::new();
    world.integration().add_sample_logs(300);
    let client = IntegrationClient::builder("http://localhost").api_key("key").exchange(world.exchange());
    let client = client.max_collected(120).build().unwrap();
    let listing = client.logs().list(()).order(Order::Fixed);
    let some = listing.clone().collect().await;
    assert_eq!((some.items.len(), some.summary.verdict), (120, Verdict::Truncated(Cut::MaxItems)));
    assert!(some.error.is_none());
    // The cursor goes on from there, and the rest has an end of its own.
    let rest = listing.clone().max_items(u64::MAX).resume(some.cursor.clone().unwrap()).collect().await;
    assert_eq!((rest.items.len(), rest.summary.verdict), (180, Verdict::Complete));
    assert_eq!(some.complete().unwrap_err().kind(), ErrorKind::Truncated);
    // What a listing says goes first, and streams have no such end.
    assert_eq!(listing.clone().max_items(250).collect().await.items.len(), 250);
    let mut items = listing.items();
    let mut given = 0;
    while items.next().await.transpose().unwrap().is_some() {
        given += 1;
    }
    assert_eq!(given, 300);
}

/// A request whose answer takes this long to be read, whatever it holds.
fn slow(takes: Duration) -> Request<()> {
    Request::get("slow", [""; 0]).read(move |_| {
        std::thread::sleep(takes);
        Ok::<_, DecodeError>(())
    })
}

#[tokio::test]
async fn time_that_ends_while_an_answer_is_read_is_over() {
    let limit = Duration::from_millis(100);
    // A small one is read at once, and then it's seen that it's late; the server did what it was asked.
    let client = answering(|| "{}".to_owned());
    let error = client.send(slow(3 * limit)).operation_timeout(limit).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, RequestOutcome::Answered));
    assert!(error.is_transient());
    client.send(slow(Duration::from_millis(1))).operation_timeout(Duration::from_secs(20)).await.unwrap();

    // A large one is read elsewhere: nobody waits for it, and what it says isn't known.
    let client = answering(|| " ".repeat(MIB));
    let began = Instant::now();
    let error = client.send(slow(Duration::from_secs(3))).operation_timeout(limit).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, RequestOutcome::Unknown));
}

#[tokio::test]
async fn a_large_answer_keeps_no_other_task_waiting() {
    let client = answering(|| " ".repeat(MIB));
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
async fn a_panic_while_a_large_answer_is_read_is_the_callers() {
    let client = answering(|| " ".repeat(MIB));
    let request = Request::get("slow", [""; 0]).read::<()>(|_| panic!("of the reader"));
    let panicked = tokio::spawn(async move { client.send(request).await }).await.unwrap_err().into_panic();
    assert_eq!(panicked.downcast_ref::<&str>(), Some(&"of the reader"));
}

/// Gives a body that is always there, and never waits.
#[derive(Debug)]
struct Eager;

#[async_trait]
impl Exchange for Eager {
    async fn exchange(&self, _: http::Request<Bytes>) -> Result<http::Response<Body>, ExchangeError> {
        let piece = Bytes::from(vec![b' '; 1024]);
        Ok(http::Response::new(Body::new(futures_util::stream::repeat_with(move || {
            std::thread::sleep(Duration::from_micros(20));
            Ok(piece.clone())
        }))))
    }
}

#[tokio::test]
async fn a_body_that_is_always_there_keeps_to_the_time_that_there_is() {
    let client = IntegrationClient::builder("http://localhost").api_key("key").exchange(Eager);
    let client = client.max_body_bytes(usize::MAX).retry(RetryPolicy::off()).build().unwrap();
    for operation in [true, false] {
        let limit = Duration::from_millis(300);
        let page = client.logs().list(()).page();
        let page = if operation { page.operation_timeout(limit) } else { page.attempt_timeout(limit) };
        let began = Instant::now();
        let error = page.await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, RequestOutcome::Unknown));
        assert!(began.elapsed() < limit + Duration::from_millis(500), "{:?}", began.elapsed());
    }
}
