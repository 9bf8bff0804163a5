//! Small responses that expand to large ones: their cost in memory and time, and the error.

mod limits;
mod slow_decoding;

use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actionlog::{ArklowClient, ErrorKind, IntegrationClient, RetryPolicy, UnleashClient};
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
