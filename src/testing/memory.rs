//! The door without a network.

use std::future::pending;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::ACCEPT_ENCODING;
use tokio::time::sleep;

use super::World;
use super::fault::Reply;
use crate::transport::exchange::{Body, Exchange, ExchangeError};

/// Leads into a [`World`] without a network: see [`World::exchange`].
#[derive(Clone, Debug)]
pub struct InMemory {
    world: World,
    latency: Duration,
}

impl InMemory {
    pub(super) fn new(world: World) -> Self {
        Self { world, latency: Duration::ZERO }
    }

    /// Lets every answer take this long. The request is in the world at once, as one is that its sender gives up on.
    ///
    /// It is slept by tokio's clock: with time paused it costs none. (Pausing takes tokio's feature `test-util`, as a
    /// dev-dependency: `tokio = { version = "1", features = ["macros", "rt", "test-util"] }`.)
    ///
    /// ```
    /// use std::time::Duration;
    /// use actionlog::UnleashClient;
    /// use actionlog::testing::World;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> actionlog::Result<()> {
    /// let slow = World::new().exchange().latency(Duration::from_secs(20));
    /// let client = UnleashClient::builder("http://localhost").api_key("user:any").exchange(slow).build()?;
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
impl Exchange for InMemory {
    async fn exchange(&self, mut request: http::Request<Bytes>) -> Result<http::Response<Body>, ExchangeError> {
        // What is exchanged here is as it is after decompression.
        request.headers_mut().remove(ACCEPT_ENCODING);
        let reply = self.world.reply(&request);
        if !self.latency.is_zero() {
            sleep(self.latency).await;
        }
        match reply {
            Reply::Answer(answer) => Ok(answer.map(Body::from)),
            Reply::Hang => pending().await,
            Reply::Reset => Err(ExchangeError::sent(io::Error::from(io::ErrorKind::ConnectionReset))),
        }
    }
}
