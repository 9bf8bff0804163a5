//! The door without a network.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::sleep;

use super::World;
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
    /// It is slept by tokio's clock: with time paused it costs none.
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
    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, ExchangeError> {
        let answer = self.world.answer(&request);
        if !self.latency.is_zero() {
            sleep(self.latency).await;
        }
        Ok(answer.map(Body::from))
    }
}
