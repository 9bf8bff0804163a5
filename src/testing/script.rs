//! What the fake server does by itself: changes at a request, faults by chance, and latency.

use std::fmt;
use std::time::Duration;

use crate::testing::FakeServer;
use crate::testing::fault::Fault;
use crate::testing::received::ReceivedRequest;
use crate::testing::requests::Received;

type Change = Box<dyn FnMut(&FakeServer) + Send>;

type Watch = Box<dyn FnMut(&ReceivedRequest) + Send>;

/// The functions that are called around each response.
#[derive(Default)]
pub(super) struct Hooks {
    before_each: Option<Change>,
    /// Changes by the number of the request that they precede.
    scripted: Vec<(usize, Change)>,
    after_each: Option<Watch>,
}

impl Hooks {
    pub(super) fn before(&mut self, server: &FakeServer) {
        if let Some(change) = &mut self.before_each {
            change(server);
        }
        let number = server.lock().requests.len() + 1;
        for (_, mut change) in self.scripted.extract_if(.., |(at, _)| *at <= number) {
            change(server);
        }
    }

    pub(super) fn after(&mut self, received: &ReceivedRequest) {
        if let Some(hook) = &mut self.after_each {
            hook(received);
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("scripted", &self.scripted.len()).finish_non_exhaustive()
    }
}

impl FakeServer {
    /// The requests so far, to [filter and assert on](Received).
    pub fn received(&self) -> Received {
        Received::new(self.requests())
    }

    /// Forgets the requests so far. The next request is number 1 again for [`at_request`](Self::at_request).
    pub fn clear_requests(&self) -> &Self {
        self.lock().requests.clear();
        self
    }

    /// Sets a hook that is called before each response, for example to change the records between two pages. In the
    /// hook, [`requests`](Self::requests) has the earlier requests only. A second call replaces the hook.
    ///
    /// The hook may change all records and settings. It must not send a request to this server or set a hook: that
    /// deadlocks.
    ///
    /// ```
    /// use actionlog::UnleashClient;
    /// use actionlog::testing::FakeServer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// server.unleash().add_sample_events("default", 1, 60);
    /// server.before_each(|server| {
    ///     server.unleash().add_sample_events("default", 1, 1);
    /// });
    /// let client = UnleashClient::builder("http://localhost").api_key("user:any").http_client(server.http_client());
    /// let client = client.build()?;
    /// client.action_set_events().list(("default", 1)).page().await?;
    /// client.action_set_events().list(("default", 1)).page().await?;
    /// assert_eq!(server.unleash().log("default", 1).len(), 62);
    /// # Ok(())
    /// # }
    /// ```
    pub fn before_each(&self, change: impl FnMut(&Self) + Send + 'static) -> &Self {
        self.hooks().before_each = Some(Box::new(change));
        self
    }

    /// Changes the server once, right before it responds to a chosen request. Requests count from 1, as in
    /// [`requests`](Self::requests). Changes add up: those for one request are made in the order of these calls.
    ///
    /// A change for a request that has already passed is made before the next one. As in
    /// [`before_each`](Self::before_each), the change must not send a request to this server or set a hook.
    ///
    /// ```
    /// use actionlog::IntegrationClient;
    /// use actionlog::testing::FakeServer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// server.integration().add_sample_logs(100);
    /// // The head grows before the second page, and three records are removed before the third.
    /// server.at_request(2, |server| {
    ///     server.integration().add_sample_logs(5);
    /// });
    /// server.at_request(3, |server| (0..3).for_each(|index| drop(server.integration().log().remove(index))));
    ///
    /// let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let client = client.build()?;
    /// for total in [100, 105, 102] {
    ///     assert_eq!(client.logs().list(()).page().await?.total, Some(total));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn at_request(&self, number: usize, change: impl FnOnce(&Self) + Send + 'static) -> &Self {
        let mut change = Some(change);
        let once = move |server: &Self| {
            if let Some(change) = change.take() {
                change(server);
            }
        };
        self.hooks().scripted.push((number, Box::new(once)));
        self
    }

    /// Sets a hook that is called after each response with the request and its status, for example to log them. A
    /// second call replaces the hook.
    ///
    /// The hook may use the server as that of [`before_each`](Self::before_each) does, with the same limits.
    ///
    /// ```
    /// use actionlog::testing::FakeServer;
    /// use bytes::Bytes;
    ///
    /// let server = FakeServer::new();
    /// server.after_each(|request| println!("{request}"));
    /// // Prints "GET /v1/orgs/4711/actions/records?take=1 -> 200".
    /// let _ = server.respond(&http::Request::get("/v1/orgs/4711/actions/records?take=1").body(Bytes::new())?);
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn after_each(&self, hook: impl FnMut(&ReceivedRequest) + Send + 'static) -> &Self {
        self.hooks().after_each = Some(Box::new(hook));
        self
    }

    /// Makes a share of all responses fail from now on: 0.05 for one in 20. Chance is by the seed, so the same requests
    /// in the same order fail again.
    ///
    /// Several calls add up; if two hit the same request, the earlier call's fault applies. A fault of
    /// [`fail_next`](Self::fail_next) comes first. A share below 0 counts as 0, and one above 1 as 1.
    ///
    /// ```
    /// use actionlog::IntegrationClient;
    /// use actionlog::testing::{FakeServer, Fault};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// server.integration().add_sample_logs(500);
    /// server.fail_randomly(Fault::Status(503), 0.1, 7).fail_randomly(Fault::ShortByOne, 0.1, 8);
    /// let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let logs = client.build()?.logs().list(()).collect().await;
    /// assert!(logs.summary.verdict.is_complete());
    /// assert_eq!(logs.items.len(), 500);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail_randomly(&self, fault: Fault, share: f64, seed: u64) -> &Self {
        self.lock().store.fail_randomly(fault, share, seed);
        self
    }

    /// Drops the faults that are still queued, and those of [`fail_randomly`](Self::fail_randomly).
    pub fn clear_faults(&self) -> &Self {
        self.lock().store.clear_faults();
        self
    }

    /// Delays every response by this time, in memory and on a port. The request takes effect at once. The default is no
    /// delay. [`InMemory::latency`](crate::testing::InMemory::latency), which is of one client, is added.
    ///
    /// ```
    /// use std::time::Duration;
    /// use actionlog::UnleashClient;
    /// use actionlog::testing::FakeServer;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// server.latency(Duration::from_millis(300));
    /// let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let client = client.build()?;
    /// let began = tokio::time::Instant::now();
    /// client.action_set_events().list(("default", 1)).page().await?;
    /// assert_eq!(began.elapsed(), Duration::from_millis(300));
    /// # Ok(())
    /// # }
    /// ```
    pub fn latency(&self, latency: Duration) -> &Self {
        self.lock().latency = latency;
        self
    }
}
