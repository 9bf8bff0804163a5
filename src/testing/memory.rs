//! The in-memory HTTP client of the fake server.

use std::future::pending;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::ACCEPT_ENCODING;
use tokio::time::sleep;

use crate::testing::FakeServer;
use crate::testing::fault::Reply;
use crate::transport::http_client::{Body, HttpClient, HttpError};

/// An [`HttpClient`] that sends requests to a [`FakeServer`] in memory: see [`FakeServer::http_client`].
#[derive(Clone, Debug)]
pub struct InMemory {
    server: FakeServer,
    latency: Duration,
}

impl InMemory {
    pub(super) fn new(server: FakeServer) -> Self {
        Self { server, latency: Duration::ZERO }
    }

    /// Delays every response by this time. The request takes effect at once, even if the client gives up waiting.
    ///
    /// The delay uses tokio's clock, so with paused time it passes at once. (Pausing needs tokio's feature `test-util`
    /// as a dev-dependency: `tokio = { version = "1", features = ["macros", "rt", "test-util"] }`.)
    ///
    /// ```
    /// use std::time::Duration;
    /// use actionlog::UnleashClient;
    /// use actionlog::testing::FakeServer;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> actionlog::Result<()> {
    /// let slow = FakeServer::new().http_client().latency(Duration::from_secs(20));
    /// let client = UnleashClient::builder("http://localhost").api_key("user:any").http_client(slow).build()?;
    /// client.action_set_events().list(("default", 1)).page().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "returns the changed value"]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }
}

#[async_trait]
impl HttpClient for InMemory {
    async fn send(&self, mut request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        // This client doesn't decompress, so it must not ask for a compressed body.
        request.headers_mut().remove(ACCEPT_ENCODING);
        let reply = self.server.reply(&request);
        let latency = self.latency.saturating_add(self.server.lock().latency);
        if !latency.is_zero() {
            sleep(latency).await;
        }
        match reply {
            Reply::Response(response) => Ok(response.map(Body::from)),
            Reply::Hang => pending().await,
            Reply::Reset => Err(HttpError::sent(io::Error::from(io::ErrorKind::ConnectionReset))),
        }
    }
}
