//! A raw TCP server that sends the bytes of a script and counts requests and connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actionlog::ReqwestClient;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::planted;

/// A limit that no case reaches.
pub(super) const FOREVER: Duration = Duration::from_secs(3600);

/// Long enough for the client to read what was written before the connection closes.
pub(super) const A_MOMENT: Duration = Duration::from_millis(20);

/// The only record.
fn record() -> String {
    let said = planted::said();
    format!(
        r#"{{"_id":"60f7b1b3e4b0e8b3f8b3f8b3","integrationId":"i1","actionType":"sync","entityType":"product","status":"pending","createdAt":"2026-11-21T20:18:03.572Z","payload":{{"note":"pl4nted-payload","said":"{said}"}}}}"#
    )
}

/// The context for a response.
#[derive(Clone)]
pub(super) struct Here {
    /// The JSON of a valid response to this request.
    pub(super) good: String,
    /// The URL of another server.
    pub(super) elsewhere: SocketAddr,
}

pub(super) type Bytes = fn(&Here) -> Vec<u8>;

/// The reaction to one request.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// Sends a valid response, and keeps the connection.
    Good,
    /// Writes the bytes, and then does this.
    Write(Bytes, Then),
    /// Writes the first at once, and the second byte by byte, with a pause before each byte.
    Drip(Bytes, Bytes, Duration),
    /// Writes the first, and then repeats the second until the client disconnects.
    Flood(Bytes, Bytes),
    /// Resets the connection without having read the request.
    ResetUnread,
}

/// What happens to the connection afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Keep,
    Close,
    Reset,
    Hang,
    /// Closes without the closing message of the protocol.
    Vanish,
}

/// The reaction to each request, over all connections.
#[derive(Clone)]
pub(super) struct Plan<A> {
    pub(super) first: Vec<A>,
    pub(super) then: A,
}

impl<A: Copy> Plan<A> {
    fn act(&self, number: u32) -> A {
        *self.first.get(number as usize).unwrap_or(&self.then)
    }

    /// Counts the request, and returns the reaction.
    pub(super) fn next(&self, seen: &Seen) -> A {
        self.act(seen.requests.fetch_add(1, Ordering::SeqCst))
    }
}

/// The counters.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) connections: AtomicU32,
    pub(super) requests: AtomicU32,
    /// Connections to the server that no client should contact.
    pub(super) elsewhere: AtomicU32,
}

/// A server that runs until this is dropped.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) seen: Arc<Seen>,
    /// A client for the cases that the default client can't cover.
    pub(super) http_client: Option<ReqwestClient>,
    /// A closed port.
    deaf: Option<TcpSocket>,
    tasks: Vec<AbortHandle>,
}

impl Server {
    /// Accepts connections, and serves each one in its own task.
    pub(super) async fn start<F>(serve: impl Fn(TcpStream, Arc<Seen>, SocketAddr) -> F + Send + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let (listener, address) = listen().await;
        let (other, elsewhere) = listen().await;
        let seen = Arc::<Seen>::default();
        let (here, there) = (Arc::clone(&seen), Arc::clone(&seen));
        let serving = tokio::spawn(planted::kept(async move {
            // The connections end with this task, so that none is left in a client's pool when another server gets the
            // port.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                here.connections.fetch_add(1, Ordering::SeqCst);
                // Ignore errors: the client may disconnect at any time.
                connections.spawn(planted::kept(serve(stream, Arc::clone(&here), elsewhere)));
            }
        }));
        let waiting = tokio::spawn(async move {
            while other.accept().await.is_ok() {
                there.elsewhere.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self {
            url: format!("http://{address}"),
            seen,
            http_client: None,
            deaf: None,
            tasks: vec![serving.abort_handle(), waiting.abort_handle()],
        }
    }

    /// A server of plain HTTP/1.
    pub(super) async fn http(plan: Plan<Act>) -> Self {
        let mut server = Self::start(move |stream, seen, elsewhere| {
            let plan = plan.clone();
            async move {
                // With zero linger a dropped connection is reset, unless it was shut down first.
                stream.set_zero_linger()?;
                serve(stream, &plan, &seen, elsewhere).await
            }
        })
        .await;
        server.http_client = Some(ReqwestClient::from_reqwest(usual().build().unwrap()));
        server
    }

    /// A closed port.
    pub(super) async fn nobody() -> Self {
        let mut server = Self::start(|_, _, _| async { Ok(()) }).await;
        // Bind the port, so that no other process gets it.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        server.url = format!("http://{}", socket.local_addr().unwrap());
        server.deaf = Some(socket);
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A client as `ReqwestClient` builds it, but without the root certificates of this machine, which take long to load.
/// Clients aren't shared: a pooled connection to one server would be used for another that gets the same port.
pub(super) fn usual() -> reqwest::ClientBuilder {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_idle_timeout(Duration::from_secs(10))
        .no_proxy();
    #[cfg(feature = "rustls")]
    let client = client.tls_backend_rustls().tls_certs_only([]);
    client
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves HTTP/1 on any kind of connection, by the plan.
pub(super) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    plan: &Plan<Act>,
    seen: &Seen,
    elsewhere: SocketAddr,
) -> std::io::Result<()> {
    loop {
        let first = stream.read_u8().await?;
        let act = plan.next(seen);
        if matches!(act, Act::ResetUnread) {
            return Ok(());
        }
        let head = read_request(&mut stream, first).await?;
        let here = Here { good: good(head.starts_with("POST")), elsewhere };
        let then = match act {
            Act::Good => {
                stream.write_all(&planted::narrow(ok(&here))).await?;
                Then::Keep
            }
            Act::Write(bytes, then) => {
                stream.write_all(&planted::narrow(bytes(&here))).await?;
                then
            }
            Act::Drip(head, body, pause) => {
                stream.write_all(&head(&here)).await?;
                for byte in body(&here) {
                    sleep(pause).await;
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                }
                Then::Keep
            }
            Act::Flood(head, again) => {
                stream.write_all(&head(&here)).await?;
                let again = again(&here);
                loop {
                    stream.write_all(&again).await?;
                }
            }
            Act::ResetUnread => Then::Reset,
        };
        stream.flush().await?;
        match then {
            Then::Keep => {}
            Then::Close => {
                stream.shutdown().await?;
                // Don't drop it before the client has disconnected: that would be a reset.
                while stream.read(&mut [0; 64]).await? > 0 {}
                return Ok(());
            }
            Then::Reset => {
                sleep(A_MOMENT).await;
                return Ok(());
            }
            Then::Hang => sleep(FOREVER).await,
            Then::Vanish => return Ok(()),
        }
    }
}

/// Reads a whole request, and returns its head.
async fn read_request(stream: &mut (impl AsyncRead + Unpin), first: u8) -> std::io::Result<String> {
    let mut head = vec![first];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|it| it.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(head.replacen("post ", "POST ", 1))
}

/// The JSON of a valid response: the record for a create, and the only page for any other request.
pub(super) fn good(creation: bool) -> String {
    let record = record();
    if creation {
        format!(r#"{{"success":true,"data":{record}}}"#)
    } else {
        format!(r#"{{"success":true,"data":[{record}],"total":1}}"#)
    }
}

/// A complete response with its `Content-Length`.
pub(super) fn response(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let mut out = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n").into_bytes();
    out.extend_from_slice(body);
    out
}

/// A valid response.
pub(super) fn ok(here: &Here) -> Vec<u8> {
    response("200 OK", &format!("{JSON}x-request-id: {}\r\n", planted::said()), &here.good)
}

pub(super) const JSON: &str = "content-type: application/json\r\n";
