//! One call to an API, and its options.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use futures_core::future::BoxFuture;
use http::HeaderValue;
use http::header::{IF_MATCH, IF_UNMODIFIED_SINCE};

use crate::client::methods::call_options;
use crate::error::Result;
use crate::request::Request;
use crate::transport::response::Response;
use crate::transport::{CallOptions, Transport};

/// A call that hasn't been sent yet. Await it.
///
/// A `Call` is a `Future` that owns its data, so it can be spawned, joined or boxed. Change its options before the
/// first poll.
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example(client: actionlog::UnleashClient) -> actionlog::Result<()> {
/// let page = client.action_set_events().list(("default", 7)).page().attempt_timeout(Duration::from_secs(3)).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a call does nothing until it is awaited: call `.await`"]
pub struct Call<T> {
    transport: Transport,
    request: Request<T>,
    pub(crate) options: CallOptions,
    /// Set at the first poll.
    running: Option<BoxFuture<'static, Result<T>>>,
}

impl<T> Call<T> {
    pub(crate) fn new(transport: Transport, request: Request<T>) -> Self {
        Self { transport, request, options: CallOptions::default(), running: None }
    }

    /// Whether the base URL ends with the segments that the request path begins with.
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

    call_options!(
        |it| it.options,
        spans: "the whole call",
        sends: "the request",
        example: r#"client.action_set_events().list(("default", 7)).page()"#
    );

    /// Applies the request only if the record still has this version: the [ETag](crate::Response::etag) of an earlier
    /// response, including the quotes. For an update or a deletion that must not overwrite a concurrent change, on
    /// servers that send ETags.
    ///
    /// If the version differs, the call fails with [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed). A weak
    /// ETag (`W/".."`) never matches on a server that follows HTTP. A server without conditional requests ignores the
    /// condition.
    pub fn if_match(self, etag: impl TryInto<HeaderValue>) -> Self {
        self.header(IF_MATCH, etag)
    }

    /// Applies the request only if the record hasn't changed after this time, to the second. For servers that send the
    /// [time](crate::Response::last_modified) of the last change and no ETag. A change within that second goes
    /// unnoticed.
    ///
    /// If the record has changed, the call fails with [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed).
    pub fn if_unmodified_since(self, time: DateTime<Utc>) -> Self {
        // HTTP dates cover 1970 to 9999. For any other time this sets an invalid value, which the call then reports.
        let time = u64::try_from(time.timestamp()).ok().filter(|it| *it < 253_402_300_800);
        let text = time.map(|it| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(it)));
        self.header(IF_UNMODIFIED_SINCE, text.unwrap_or_else(|| "\n".to_owned()))
    }

    /// Makes the call, and returns the response's status, headers and request id beside the value.
    ///
    /// # Errors
    ///
    /// As for the call itself.
    ///
    /// ```no_run
    /// # async fn example(client: actionlog::IntegrationClient) -> actionlog::Result<()> {
    /// let response = client.logs().get("some-id").with_response().await?;
    /// println!("{} {:?} {}", response.status, response.request_id, response.value.id);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn with_response(self) -> Result<Response<T>>
    where
        T: Send + 'static,
    {
        self.transport.send(&self.request, &self.options).await
    }

    /// Makes the call, and blocks until its response is there: see [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As for the call itself; [`CannotBlock`](crate::ErrorKind::CannotBlock) inside of an async runtime.
    #[cfg(feature = "blocking")]
    pub fn blocking(self) -> Result<T>
    where
        T: Send + 'static,
    {
        crate::blocking::wait(self)?
    }

    /// The request that awaiting this call sends.
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
