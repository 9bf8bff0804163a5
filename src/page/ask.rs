//! How a listing's pages are asked for: by one request, to which each window adds its place.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::time::{Instant, sleep};

use super::cursor::Fingerprint;
use super::{Entry, Listed, Paginate, Window};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::observe::{CallName, WaitReason};
use crate::request::Request;
use crate::transport::{CallOptions, Transport};

/// A stream is polled again after an error that may pass, and then waits this long unless the server says otherwise;
/// doubled with each error in a row.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What is waited at least from the second error in a row on, doubled with each up to `PAUSE`: a server that goes on
/// failing and asks for no wait would be asked in a hot loop.
const FLOOR: Duration = Duration::from_millis(100);

/// How long to wait after so many errors in a row.
fn pause(errors: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = |least: Duration, times: u32| least.saturating_mul(1 << times.min(6));
    match retry_after {
        None => doubled(PAUSE, errors.saturating_sub(1)).min(LONGEST_PAUSE),
        Some(wait) if errors < 2 => wait,
        Some(wait) => wait.max(doubled(FLOOR, errors - 2).min(PAUSE)),
    }
}

/// What errors a reading bears.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endurance {
    /// How many in a row.
    pub(super) errors: Option<u32>,
    /// For how long a 401 or 403 may pass, once something came. As the API has it unless set.
    pub(super) auth_grace: Option<Duration>,
}

impl Default for Endurance {
    fn default() -> Self {
        Self { errors: Some(30), auth_grace: None }
    }
}

/// A page on its way.
pub(super) type Asked<T> = BoxFuture<'static, Result<Listed<Entry<T>>>>;

/// Asks for windows of one listing, after a wait where the last answer was an error.
pub(super) struct Asker<Q: Paginate> {
    transport: Transport,
    query: Q,
    options: CallOptions,
    /// For any window.
    request: Request<Listed<Entry<Q::Item>>>,
    call: Operation,
    endurance: Endurance,
    errors_in_a_row: u32,
    /// Whether anything ever came.
    came_through: bool,
    /// Since when, after something came, the credentials are refused.
    refused_since: Option<Instant>,
    /// How long the server asked to be left alone.
    retry_after: Option<Duration>,
}

impl<Q: Paginate> Asker<Q> {
    pub(super) fn new(transport: Transport, query: Q, options: CallOptions, limit: u32, endurance: Endurance) -> Self {
        let request = request(&query, limit);
        let call = request.operation(transport.api());
        Self {
            transport,
            query,
            options,
            request,
            call,
            endurance,
            errors_in_a_row: 0,
            came_through: false,
            refused_since: None,
            retry_after: None,
        }
    }

    /// Which listing it is.
    pub(super) fn listing(&self) -> Result<Fingerprint> {
        Fingerprint::of(self.transport.base().origin(), &self.request)
    }

    pub(super) fn query(&self) -> &Q {
        &self.query
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(super) fn call(&self) -> CallName<'_> {
        self.call.name()
    }

    pub(super) fn ask(&self, window: Window) -> Asked<Q::Item> {
        self.ask_with(window, self.options.clone())
    }

    /// Asks ahead: `sent` is set once the request goes out.
    pub(super) fn ask_ahead(&self, window: Window, sent: Arc<AtomicBool>) -> Asked<Q::Item> {
        self.ask_with(window, CallOptions { sent: Some(sent), ..self.options.clone() })
    }

    fn ask_with(&self, window: Window, options: CallOptions) -> Asked<Q::Item> {
        let request = self.query.window(self.request.clone(), window).asks_for(window.limit);
        let transport = self.transport.clone();
        let waits = self.is_failing().then(|| (self.call.clone(), pause(self.errors_in_a_row, self.retry_after)));
        Box::pin(async move {
            if let Some((call, wait)) = waits {
                transport.waiting(&call, WaitReason::Poll, wait);
                sleep(wait).await;
            }
            transport.send(&request, &options).await.map(|it| it.value)
        })
    }

    /// An answer came. Says whether the one before was an error.
    pub(super) fn succeeded(&mut self) -> bool {
        let failed = self.is_failing();
        self.errors_in_a_row = 0;
        self.came_through = true;
        self.refused_since = None;
        self.retry_after = None;
        failed
    }

    /// An error came. What is left of it is the reading's: it ends unless that may pass.
    pub(super) fn failed(&mut self, error: Error) -> Error {
        self.errors_in_a_row = self.errors_in_a_row.saturating_add(1);
        self.retry_after = error.retry_after();
        let transient = error.is_transient() || self.may_be_accepted_again(&error);
        if transient && self.endurance.errors.is_some_and(|most| self.errors_in_a_row >= most) {
            let note = format!(" (error {} in a row, the last that this reading bears)", self.errors_in_a_row);
            return error.noting(&note).with_transient(false);
        }
        error.with_transient(transient)
    }

    /// Whether credentials that were accepted before and aren't any more may be so again: some servers refuse them all
    /// while they can't look them up.
    fn may_be_accepted_again(&mut self, error: &Error) -> bool {
        if !self.came_through || !matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Forbidden) {
            return false;
        }
        let since = *self.refused_since.get_or_insert_with(Instant::now);
        since.elapsed() < self.endurance.auth_grace.unwrap_or_else(|| self.transport.auth_grace())
    }

    /// Whether the last answer was an error.
    pub(super) fn is_failing(&self) -> bool {
        self.errors_in_a_row > 0
    }
}

/// The request for pages of a listing, but for the window; if they are of a size that the API takes.
pub(super) fn request<Q: Paginate>(query: &Q, limit: u32) -> Request<Listed<Entry<Q::Item>>> {
    let request = query.request();
    let request = match query.page_sizes().largest {
        _ if limit == 0 => request.invalid("a page size of 0 asks for nothing"),
        Some(largest) if limit > largest => {
            request.invalid(format!("a page size of {limit} is more than the {largest} that the API takes"))
        }
        _ => request,
    };
    request.page_of::<Q>()
}
