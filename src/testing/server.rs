//! The fake server on a TCP port.

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_ENCODING;
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::testing::FakeServer;
use crate::testing::fault::Reply;

/// A [`FakeServer`] on a TCP port: see [`FakeServer::listen`].
///
/// Dropping it stops the server; [`stop`](Self::stop) also waits until the server has stopped.
///
/// ```
/// use actionlog::testing::FakeServer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = FakeServer::new().listen().await?;
/// assert!(server.url().starts_with("http://127.0.0.1:"));
/// server.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the server stops when it is dropped"]
pub struct Server {
    address: SocketAddr,
    /// Dropping this ends the task.
    alive: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(server: FakeServer, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (alive, gone) = oneshot::channel();
        let task = tokio::spawn(serve(server, listener, gone));
        Ok(Self { address, alive, task })
    }

    /// The URL for a client, such as `http://127.0.0.1:1234`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server, and waits until its connections are closed and its port is free.
    pub async fn stop(self) {
        drop(self.alive);
        // Only wait for the end of the task: its result carries nothing.
        let _ = self.task.await;
    }
}

type Failure = Box<dyn Error + Send + Sync>;

/// The length of a gzip header.
const GZIP_HEADER: usize = 10;

async fn serve(server: FakeServer, listener: TcpListener, mut gone: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut gone => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(server.clone(), stream))),
                // Usually out of file descriptors: without a pause this loop would spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
    // Stop accepting connections before closing the open ones.
    drop(listener);
    connections.shutdown().await;
}

async fn connection(server: FakeServer, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&reset);
    let service = service_fn(move |request| respond(server.clone(), request, Arc::clone(&flag)));
    let mut served = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service);
    // Ignore errors: the client disconnected, or the connection is to be reset.
    let _ = (&mut served).await;
    if reset.load(Ordering::Relaxed) {
        // Closing a socket with zero linger sends a reset.
        let _ = served.into_parts().io.into_inner().set_zero_linger();
    }
}

async fn respond(
    server: FakeServer,
    request: Request<Incoming>,
    reset: Arc<AtomicBool>,
) -> Result<Response<impl Body<Data = Bytes, Error = Failure>>, Failure> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let reply = server.reply(&Request::from_parts(head, body));
    let latency = server.lock().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match reply {
        Reply::Response(response) if response.headers().contains_key(CONTENT_ENCODING) => {
            Ok(response.map(|body| Either::Right(in_chunks(body))))
        }
        Reply::Response(response) => Ok(response.map(|body| Either::Left(Full::new(body)))),
        Reply::Hang => pending().await,
        Reply::Reset => {
            reset.store(true, Ordering::Relaxed);
            Err("the connection is reset".into())
        }
    }
}

/// Sends a compressed body as the recorded server does: the gzip header first, then the rest.
fn in_chunks(mut body: Bytes) -> impl Body<Data = Bytes, Error = Infallible> {
    let header = body.split_to(body.len().min(GZIP_HEADER));
    let chunks = [header, body].into_iter().filter(|it| !it.is_empty());
    StreamBody::new(stream::iter(chunks.map(|it| Ok(Frame::data(it)))))
}
