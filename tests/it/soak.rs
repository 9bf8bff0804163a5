//! Many tasks against a server that misbehaves at random, for a long time: the client leaks nothing.
//!
//! The server is a separate process, so that only the client's memory is counted. A short run is part of the test
//! suite. For a long run set `SOAK_REQUESTS=200000`; `SOAK_SEED` sets another seed.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener as Listener, TcpStream as Stream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::auth::{AuthError, Token, TokenCache, TokenSource};
use actionlog::integration::{ActionLogFields, ActionLogInput, ActionType, LogStatus};
use actionlog::observe::Event;
use actionlog::testing::FakeServer;
use actionlog::{Error, ErrorKind, IntegrationClient, RetryPolicy, WriteOutcome};
use async_trait::async_trait;
use bytes::Bytes;
use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::ALLOCATOR;

const TASKS: u64 = 16;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |it| it.parse().unwrap())
}

/// This test binary as a process that runs only one ignored test.
fn process(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]);
    command
}

#[test]
fn many_tasks_against_a_misbehaving_server_leak_nothing() {
    let output = process("soak::a_process_that_is_the_client").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
    println!("{said}");
}

/// What the server counts.
#[derive(Default)]
struct Counts {
    /// Open connections.
    open: AtomicUsize,
    /// Created records, and those that were created twice.
    created: Mutex<(HashSet<String>, usize)>,
}

#[test]
#[ignore = "started by another test"]
fn a_process_that_is_the_server() {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let control = Listener::bind("127.0.0.1:0").unwrap();
        let counts = Arc::new(Counts::default());
        println!("\nports {} {}", listener.local_addr().unwrap().port(), control.local_addr().unwrap().port());
        let asked = Arc::clone(&counts);
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = control.accept() {
                let twice = asked.created.lock().unwrap().1;
                let _ = write!(stream, "{} {twice}", asked.open.load(Ordering::SeqCst));
            }
        });
        let mut random = Rng::with_seed(number("SOAK_SEED", 1));
        let fake = Arc::new(Mutex::new(filled()));
        let requests = Arc::new(AtomicU64::new(0));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let serving = Serving {
                fake: Arc::clone(&fake),
                counts: Arc::clone(&counts),
                requests: Arc::clone(&requests),
                random: random.fork(),
            };
            tokio::spawn(serving.connection(stream));
        }
    });
}

fn filled() -> FakeServer {
    let fake = FakeServer::new();
    fake.integration().add_sample_logs(150);
    fake
}

struct Serving {
    fake: Arc<Mutex<FakeServer>>,
    counts: Arc<Counts>,
    requests: Arc<AtomicU64>,
    random: Rng,
}

/// Whether the connection can be reused.
type Kept = io::Result<bool>;

impl Serving {
    async fn connection(mut self, mut stream: TcpStream) {
        self.counts.open.fetch_add(1, Ordering::SeqCst);
        let _ = stream.set_nodelay(true);
        while let Ok(true) = self.request(&mut stream).await {}
        drop(stream);
        self.counts.open.fetch_sub(1, Ordering::SeqCst);
    }

    async fn request(&mut self, stream: &mut TcpStream) -> Kept {
        let Some(request) = read(stream).await? else { return Ok(false) };
        // The server's memory of requests is bounded, and its log is emptied now and then.
        if self.requests.fetch_add(1, Ordering::SeqCst) % 20_000 == 19_999 {
            *self.fake.lock().unwrap() = filled();
        }
        match self.random.u32(..100) {
            0 | 1 => return reset(stream),
            2 | 3 => return Ok(false),
            4 => return self.say(stream, 401, "", r#"{"message": "no"}"#).await,
            5..=7 => {
                let status = self.random.choice([408, 500, 502, 503, 504]).unwrap();
                return self.say(stream, status, "", "failed").await;
            }
            8 | 9 => return self.say(stream, 429, "retry-after-ms: 3\r\n", "{}").await,
            10 => return self.say(stream, 503, "retry-after: 0\r\n", "{}").await,
            11 => return self.say(stream, 200, "content-type: text/html\r\n", "<html>").await,
            12 => return stream.write_all(b"HTTZ/1.1 garbage\r\n\r\n").await.map(|()| false),
            _ => {}
        }
        let (status, body) = self.response(&request);
        match self.random.u32(..100) {
            0 | 1 => reset(stream),
            2 | 3 => Ok(false),
            4 | 5 => {
                let half = &body[..body.len() / 2];
                write_head(stream, status, "", body.len()).await?;
                stream.write_all(half.as_bytes()).await?;
                if self.random.bool() { reset(stream) } else { Ok(false) }
            }
            6 => {
                write_head(stream, status, "", body.len()).await?;
                sleep(Duration::from_secs(3)).await;
                Ok(false)
            }
            7 => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n{").await?;
                Ok(false)
            }
            8 => self.say(stream, 200, "", "").await,
            9 => self.say(stream, 200, "", r#"{"success": true, "data": {"odd": [1"#).await,
            10..=14 => {
                sleep(Duration::from_millis(self.random.u64(..10))).await;
                self.say(stream, status, "", &body).await
            }
            15..=17 => {
                write_head(stream, status, "", body.len()).await?;
                for part in body.as_bytes().chunks(body.len() / 5 + 1) {
                    stream.write_all(part).await?;
                    stream.flush().await?;
                    tokio::task::yield_now().await;
                }
                Ok(true)
            }
            18 | 19 => self.say(stream, status, "", &body).await.map(|_| false),
            _ => self.say(stream, status, "", &body).await,
        }
    }

    /// A regular response.
    fn response(&self, request: &http::Request<Bytes>) -> (u16, String) {
        let response = self.fake.lock().unwrap().respond(request);
        if request.method() == http::Method::POST {
            let body = String::from_utf8_lossy(request.body()).into_owned();
            let mut created = self.counts.created.lock().unwrap();
            let new = created.0.insert(body);
            created.1 += usize::from(!new);
        }
        (response.status().as_u16(), String::from_utf8(response.into_body().to_vec()).unwrap())
    }

    async fn say(&self, stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> Kept {
        write_head(stream, status, headers, body.len()).await?;
        stream.write_all(body.as_bytes()).await?;
        Ok(true)
    }
}

fn reset(stream: &TcpStream) -> Kept {
    stream.set_zero_linger()?;
    Ok(false)
}

async fn write_head(stream: &mut TcpStream, status: u16, headers: &str, length: usize) -> io::Result<()> {
    let kind = if headers.contains("content-type") { "" } else { "content-type: application/json\r\n" };
    let head = format!("HTTP/1.1 {status} X\r\n{kind}{headers}content-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await
}

/// One request, or `None` if the client has disconnected.
async fn read(stream: &mut TcpStream) -> io::Result<Option<http::Request<Bytes>>> {
    let mut text = Vec::new();
    let end = loop {
        if let Some(at) = text.windows(4).position(|it| it == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut text).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&text[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let mut request = http::Request::builder().method(method).uri(format!("http://localhost{path}"));
    let mut length = 0;
    for (name, value) in lines.filter_map(|it| it.split_once(": ")) {
        request = request.header(name, value);
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap();
        }
    }
    while text.len() < end + length {
        if stream.read_buf(&mut text).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(request.body(Bytes::copy_from_slice(&text[end..end + length])).unwrap()))
}

/// The server's process, which ends when this is dropped.
struct Server {
    child: Child,
    /// Its standard error: if this were closed, a message about a slow test would end the process.
    _said: BufReader<ChildStdout>,
    port: u16,
    control: u16,
}

impl Server {
    fn start() -> Self {
        let mut child =
            process("soak::a_process_that_is_the_server").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let line = said.by_ref().lines().map(Result::unwrap).find(|it| it.starts_with("ports ")).unwrap();
        let mut ports = line.split(' ').skip(1).map(|it| it.parse().unwrap());
        let mut port = || ports.next().unwrap();
        Self { child, _said: said, port: port(), control: port() }
    }

    /// The number of open connections, and of records that were created twice.
    fn counts(&self) -> (usize, usize) {
        let mut said = String::new();
        Stream::connect(("127.0.0.1", self.control)).unwrap().read_to_string(&mut said).unwrap();
        let (open, twice) = said.split_once(' ').unwrap();
        (open.parse().unwrap(), twice.parse().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
struct Source;

#[async_trait]
impl TokenSource for Source {
    async fn fetch(&self) -> Result<Token, AuthError> {
        sleep(Duration::from_millis(2)).await;
        Ok(Token::new("a-token").expires_in(Duration::from_secs(600)))
    }
}

/// The ends of the calls, by kind of error.
type Ends = BTreeMap<&'static str, u64>;

#[test]
#[ignore = "started by another test; by itself for a long one"]
fn a_process_that_is_the_client() {
    let (requests, seed) = (number("SOAK_REQUESTS", 6_000), number("SOAK_SEED", 1));
    let server = Server::start();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let began = Instant::now();
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let client = IntegrationClient::builder(format!("http://127.0.0.1:{}", server.port))
            .authenticator(TokenCache::new(Source))
            .attempt_timeout(Duration::from_millis(300))
            .retry(RetryPolicy::default().initial_backoff(Duration::from_millis(1)).max_backoff(Duration::from_millis(8)))
            .max_in_flight(12)
            .observer(move |event| {
                if let Event::AttemptEnded(_) = event {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build()
            .unwrap();
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let worker = Worker { client: client.clone(), random: Rng::with_seed(seed * TASKS + task), task, calls: 0 };
            tasks.spawn(worker.run(Arc::clone(&sent), requests));
        }

        // Live memory, from a quarter of the run on: by then the buffers have reached their size.
        let mut live = Vec::new();
        while !tasks.is_empty() {
            sleep(Duration::from_millis(20)).await;
            if sent.load(Ordering::Relaxed) > requests / 4 {
                live.push(ALLOCATOR.allocated());
            }
            if tasks.len() < TASKS as usize || sent.load(Ordering::Relaxed) >= requests {
                break;
            }
        }
        let mut ends = Ends::new();
        while let Some(ended) = tasks.join_next().await {
            for (end, count) in ended.expect("no task panics") {
                *ends.entry(end).or_default() += count;
            }
        }
        drop(client);

        // No tasks of the client and no connections are left.
        let gone = timeout(Duration::from_secs(20), async {
            while Handle::current().metrics().num_alive_tasks() > 0 || server.counts().0 > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        });
        gone.await.expect("tasks and connections end with the client");
        let (_, twice) = server.counts();
        let (first, last) = (mean(&live[..live.len() / 3]), mean(&live[live.len() * 2 / 3..]));
        println!(
            "{} requests in {:.1?}; calls ended {ends:?}; live bytes {first} early, {last} late, {} at most, {} samples",
            sent.load(Ordering::Relaxed),
            began.elapsed(),
            live.iter().max().unwrap(),
            live.len(),
        );
        assert_eq!(twice, 0, "records were made twice");
        // Sixteen pages of a hundred records may be live, decoded or in flight.
        assert!(last < first + first / 4 + 512 * 1024, "{first} bytes grew to {last}");
        assert!(ends["done"] > ends.values().sum::<u64>() / 2, "{ends:?}");
    });
}

fn mean(samples: &[usize]) -> usize {
    samples.iter().sum::<usize>() / samples.len().max(1)
}

struct Worker {
    client: IntegrationClient,
    random: Rng,
    task: u64,
    calls: u64,
}

impl Worker {
    async fn run(mut self, sent: Arc<AtomicU64>, requests: u64) -> Ends {
        let mut ends = Ends::new();
        let mut known = Vec::new();
        while sent.load(Ordering::Relaxed) < requests {
            self.calls += 1;
            let call = timeout(Duration::from_secs(60), self.call(&mut known));
            let end = call.await.expect("every call ends");
            // The client's memory is counted, and not that of the test.
            known.truncate(50);
            *ends.entry(end).or_default() += 1;
        }
        ends
    }

    async fn call(&mut self, known: &mut Vec<String>) -> &'static str {
        let client = self.client.clone();
        let logs = client.logs();
        let id = known.last().cloned().unwrap_or_else(|| "none".to_owned());
        match self.random.u32(..10) {
            0 | 1 => {
                let created = logs.create(self.pending_input()).await;
                let done = created.map(|log| known.push(log.id.to_string()));
                outcome_of(done.map_err(|error| (error, true)))
            }
            2 => outcome_of(logs.get(id).await.map(drop).map_err(|error| (error, false))),
            3 => outcome_of(logs.update(id, self.pending_input()).await.map(drop).map_err(|error| (error, false))),
            4 => {
                known.pop();
                outcome_of(logs.delete(id).await.map(drop).map_err(|error| (error, false)))
            }
            5 | 6 => outcome_of(logs.list(()).page_size(20).page().await.map(drop).map_err(|error| (error, false))),
            7 => {
                let read = logs.list(()).page_size(50).max_items(120).collect().await;
                outcome_of(read.error.map_or(Ok(()), |error| Err((error, false))))
            }
            8 => {
                let limit = Duration::from_millis(self.random.u64(1..30));
                let page = logs.list(()).page().operation_timeout(limit);
                outcome_of(page.await.map(drop).map_err(|error| (error, false)))
            }
            _ => {
                // Drop the call at any point.
                let patience = Duration::from_micros(self.random.u64(..20_000));
                match timeout(patience, logs.list(()).page().into_future()).await {
                    Ok(page) => outcome_of(page.map(drop).map_err(|error| (error, false))),
                    Err(_) => "dropped",
                }
            }
        }
    }

    /// Each input is unique, so that the server can detect duplicates.
    fn pending_input(&self) -> ActionLogInput {
        ActionLogInput::new(ActionLogFields {
            integration_id: "1".into(),
            action_type: ActionType::Sync,
            entity_type: format!("product {} {}", self.task, self.calls),
            status: LogStatus::Success,
        })
    }
}

/// The name of a call's outcome.
fn outcome_of(result: Result<(), (Error, bool)>) -> &'static str {
    use ErrorKind as Kind;
    let Err((error, creates)) = result else { return "done" };
    let may_be = [
        Kind::Transport,
        Kind::Timeout,
        Kind::Server,
        Kind::Unauthorized,
        Kind::RateLimited,
        Kind::NotJson,
        Kind::Decode,
        Kind::ApiFailure,
        Kind::UnexpectedStatus,
        Kind::Connect,
        Kind::NotFound,
    ];
    assert!(may_be.contains(&error.kind()), "{error:?}");
    // A create is retried only if it had no effect before.
    assert!(!creates || error.attempts() <= 4 && error.outcome() != WriteOutcome::Applied, "{error:?}");
    error.kind().as_str()
}
