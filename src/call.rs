use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use futures_core::future::BoxFuture;
use http::header::{IF_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderName, HeaderValue};

use crate::answered::Answered;
use crate::error::Result;
use crate::request::Request;
use crate::transport::{CallOptions, RetryPolicy, Transport};

/// One call, before it is made. Await it.
///
/// It is a `Future` that owns all it needs: it can be spawned, joined or boxed as it is. Settings are made before it is
/// first polled.
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
    /// Once it was polled.
    running: Option<BoxFuture<'static, Result<T>>>,
}

impl<T> Call<T> {
    pub(crate) fn new(transport: Transport, request: Request<T>) -> Self {
        Self { transport, request, options: CallOptions::default(), running: None }
    }

    /// Whether the base URL ends with what the path begins with.
    pub(crate) fn is_doubled(&self) -> bool {
        self.transport.base().repeats_beginning_of(self.request.template())
    }

    pub(crate) fn with_options(mut self, options: CallOptions) -> Self {
        self.options = options;
        self
    }

    pub(crate) fn map<U>(self, change: impl Fn(T) -> U + Send + Sync + 'static) -> Call<U>
    where
        T: 'static,
    {
        Call { transport: self.transport, request: self.request.map(change), options: self.options, running: None }
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

    /// Adds a header, for a proxy that routes by one, say; it takes the place of the client's
    /// [own](crate::ClientBuilder::header) of this name.
    ///
    /// Credentials can't be set or replaced by it (unless an `Authenticate` of your own leaves alone what is there). A
    /// name or value that can't be sent, `Authorization`, `Cookie`, the header that the client's key goes in, and
    /// headers that belong to the connection are told when the call is awaited, before anything is sent. A value that
    /// is marked as [sensitive](HeaderValue::set_sensitive), or whose name contains `auth`, `key`, `token`, `session` or the
    /// like, is taken for a [credential](crate::auth#what-is-shown-of-credentials).
    pub fn header(mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) -> Self {
        self.options.headers.set(name, value);
        self
    }

    /// Only if what the server holds is still this version: the [ETag](crate::Answered::etag) of an answer before, quotes and
    /// all. For an update or a deletion that must not undo what somebody else did meanwhile, where the server gives ETags.
    ///
    /// If it isn't, the call fails with [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed). A weak ETag (`W/".."`)
    /// is never the same for a server that keeps to HTTP. A server without conditional requests takes no notice of it.
    pub fn if_match(self, etag: impl TryInto<HeaderValue>) -> Self {
        self.header(IF_MATCH, etag)
    }

    /// Only if what the server holds hasn't changed after this time, to the second: for servers that give the
    /// [time](crate::Answered::last_modified) of the last change and no ETag. A change within that second isn't noticed.
    ///
    /// If it has, the call fails with [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed).
    pub fn if_unmodified_since(self, time: DateTime<Utc>) -> Self {
        // Before 1970, and after 9999, HTTP has no words for a time.
        let time = u64::try_from(time.timestamp()).ok().filter(|it| *it < 253_402_300_800);
        let text = time.map(|it| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(it)));
        self.header(IF_UNMODIFIED_SINCE, text.unwrap_or_else(|| "\n".to_owned()))
    }

    /// Makes the call, and gives the answer's status, headers and request id beside what it holds.
    ///
    /// # Errors
    ///
    /// As for the call itself.
    ///
    /// ```no_run
    /// # async fn example(client: actionlog::IntegrationClient) -> actionlog::Result<()> {
    /// let answered = client.logs().get("some-id").with_answer().await?;
    /// println!("{} {:?} {}", answered.status, answered.request_id, answered.value.id);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn with_answer(self) -> Result<Answered<T>>
    where
        T: Send + 'static,
    {
        self.transport.send(&self.request, &self.options).await
    }

    /// The request that awaiting this sends.
    pub fn request(&self) -> &Request<T> {
        &self.request
    }
}

impl<T: Send + 'static> Future for Call<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let Self { transport, request, options, running } = &mut *self;
        let running = running.get_or_insert_with(|| {
            let (transport, request, options) = (transport.clone(), request.clone(), options.clone());
            Box::pin(async move { transport.send(&request, &options).await.map(|it| it.value) })
        });
        running.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("request", &self.request).finish_non_exhaustive()
    }
}
