use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use futures_core::future::BoxFuture;

use crate::error::Result;
use crate::request::Request;
use crate::transport::{CallOptions, RetryPolicy, Transport};

/// One call, before it is made. Await it.
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example(client: actionlog::UnleashClient) -> actionlog::Result<()> {
/// let page = client.action_set_events().list(("default", 7)).page().attempt_timeout(Duration::from_secs(3)).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a call does nothing until it is awaited"]
pub struct Call<T> {
    transport: Transport,
    request: Request<T>,
    options: CallOptions,
}

impl<T> Call<T> {
    pub(crate) fn new(transport: Transport, request: Request<T>) -> Self {
        Self { transport, request, options: CallOptions::default() }
    }

    pub(crate) fn with_options(mut self, options: CallOptions) -> Self {
        self.options = options;
        self
    }

    pub(crate) fn map<U>(self, change: impl Fn(T) -> U + Send + Sync + 'static) -> Call<U>
    where
        T: 'static,
    {
        Call { transport: self.transport, request: self.request.map(change), options: self.options }
    }

    /// How long one attempt may take: `None` for as long as it takes. As the client has it unless set.
    pub fn attempt_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.options.attempt = Some(limit.into());
        self
    }

    /// How long the call may take with everything that belongs to it, signing and waiting included: `None` for as long
    /// as it takes. As the client has it unless set.
    pub fn operation_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.options.operation = Some(limit.into());
        self
    }

    /// How often and how soon failed attempts are repeated. As the client has it unless set.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.options.retry = Some(policy);
        self
    }

    /// The request that awaiting this sends.
    pub fn request(&self) -> &Request<T> {
        &self.request
    }
}

impl<T: Send + 'static> IntoFuture for Call<T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'static, Result<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.transport.send(&self.request, self.options).await })
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("request", &self.request).finish_non_exhaustive()
    }
}
