//! The door by the network.

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

use super::World;
use super::fault::Reply;

/// A [`World`] on a port of this machine: see [`World::listen`].
///
/// Dropping it stops it; [`stop`](Self::stop) also waits until it has.
///
/// ```
/// use actionlog::testing::World;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = World::new().listen().await?;
/// assert!(server.url().starts_with("http://127.0.0.1:"));
/// server.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the server stops when it is dropped"]
pub struct Server {
    address: SocketAddr,
    /// Dropped, it ends the task.
    alive: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(world: World, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (alive, gone) = oneshot::channel();
        let task = tokio::spawn(serve(world, listener, gone));
        Ok(Self { address, alive, task })
    }

    /// Its URL, as a client takes it: `http://127.0.0.1:1234`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it, and waits until its connections are closed and its port is free.
    pub async fn stop(self) {
        drop(self.alive);
        // The task's own end is all that is waited for; it has nothing to tell.
        let _ = self.task.await;
    }
}

type Failure = Box<dyn Error + Send + Sync>;

/// How long what gzip begins with is.
const GZIP_HEADER: usize = 10;

async fn serve(world: World, listener: TcpListener, mut gone: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut gone => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(world.clone(), stream))),
                // Out of file descriptors, as a rule: without a pause this would spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
    // First no new ones, then an end to those there are.
    drop(listener);
    connections.shutdown().await;
}

async fn connection(world: World, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&reset);
    let service = service_fn(move |request| respond(world.clone(), request, Arc::clone(&flag)));
    let mut served = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service);
    // An error here is a client that went away, or a connection that is to be reset.
    let _ = (&mut served).await;
    if reset.load(Ordering::Relaxed) {
        // Closed without lingering, it is reset.
        let _ = served.into_parts().io.into_inner().set_zero_linger();
    }
}

async fn respond(
    world: World,
    request: Request<Incoming>,
    reset: Arc<AtomicBool>,
) -> Result<Response<impl Body<Data = Bytes, Error = Failure>>, Failure> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    match world.reply(&Request::from_parts(head, body)) {
        Reply::Answer(answer) if answer.headers().contains_key(CONTENT_ENCODING) => {
            Ok(answer.map(|body| Either::Right(in_chunks(body))))
        }
        Reply::Answer(answer) => Ok(answer.map(|body| Either::Left(Full::new(body)))),
        Reply::Hang => pending().await,
        Reply::Reset => {
            reset.store(true, Ordering::Relaxed);
            Err("the connection is reset".into())
        }
    }
}

/// As the recorded server sends what it compresses: what gzip begins with, and then the rest.
fn in_chunks(mut body: Bytes) -> impl Body<Data = Bytes, Error = Infallible> {
    let begin = body.split_to(body.len().min(GZIP_HEADER));
    let chunks = [begin, body].into_iter().filter(|it| !it.is_empty());
    StreamBody::new(stream::iter(chunks.map(|it| Ok(Frame::data(it)))))
}
