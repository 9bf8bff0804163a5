//! The follower as a stream: its settings, and how it begins.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::StreamExt;

use crate::error::{Error, ErrorKind, Result};
use crate::follow::batch::{Batch, StartFrom};
use crate::follow::machine::{Begin, Machine, Settings, Side};
use crate::follow::pace::Pace;
use crate::follow::running::Running;
use crate::page::fetch::prefetch::Prefetcher;
use crate::page::fetch::requester::{ErrorTolerance, Requester};
use crate::page::opened::Opened;
use crate::page::{Growth, Paginate, WithRaw};

/// How many records a follower remembers and reads again by default.
const LOOKBACK: usize = 1_000;

/// How many records it remembers at least.
const LEAST: usize = 64;

/// For how long a 401 or 403 counts as transient once a page has succeeded.
const AUTH_GRACE: Duration = Duration::from_secs(600);

/// Follows a listing, as a stream of batches. Created by [`Listing::follow`](crate::Listing::follow).
///
/// The stream is lazy, and never ends by itself, except with an error that isn't transient. It sends one request at a
/// time, and a few more ahead only while it reads a long listing for the first time. Dropping it ends its requests.
///
/// Set its options before the first poll.
#[must_use = "streams do nothing unless polled: call `next`"]
pub struct Follow<Q: Paginate> {
    /// Until the first poll.
    opened: Option<Opened<Q>>,
    start: StartFrom,
    lookback: usize,
    auth_grace: Option<Duration>,
    is_as_queried: bool,
    pace: Pace,
    shutdown: Option<BoxFuture<'static, ()>>,
    running: Option<Running<Q>>,
    notice: Option<&'static str>,
    has_ended: bool,
}

impl<Q: Paginate> Follow<Q> {
    pub(super) fn new(opened: Opened<Q>) -> Self {
        Self {
            opened: Some(opened),
            start: StartFrom::default(),
            lookback: LOOKBACK,
            auth_grace: None,
            is_as_queried: false,
            pace: Pace::default(),
            shutdown: None,
            running: None,
            notice: None,
            has_ended: false,
        }
    }

    /// Sets where to start. The default is [`StartFrom::Beginning`].
    pub fn start_from(mut self, start: StartFrom) -> Self {
        self.start = start;
        self
    }

    /// Sets how long to wait between two polls. The default is 5 seconds.
    ///
    /// The wait is up to a tenth longer or shorter, so that many followers don't poll in step. It doubles with each
    /// poll that brings nothing, up to [`max_poll_interval`](Self::max_poll_interval).
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.pace.poll = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets the longest wait between two polls that bring nothing. The default is 30 seconds.
    pub fn max_poll_interval(mut self, interval: Duration) -> Self {
        self.pace.most = interval;
        self
    }

    /// Sets how many of the newest records are remembered, and read again by each sweep. The default is 1,000, the
    /// least two pages.
    ///
    /// This bounds the memory of the follower, and the size of its [checkpoints](crate::follow::Checkpoint): the id of
    /// each record and 16 to 32 bytes more, 40 to 48 with an id of 24 characters and a time in milliseconds. A record
    /// that changes, comes late or goes further back than this is found by [full scans](Self::full_scan_interval) only.
    pub fn lookback(mut self, records: usize) -> Self {
        self.lookback = records;
        self
    }

    /// Sets how often the lookback is read again, for late, changed and removed records. The default is a minute;
    /// `None` never does.
    ///
    /// A sweep stops early where all further records are final and were found unchanged before. Every tenth one reads
    /// all of the lookback.
    pub fn sweep_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.pace.sweep = interval.into();
        self
    }

    /// Sets how often the whole listing is read again, for what changed behind the lookback. The default is `None`:
    /// never.
    ///
    /// A full scan delivers each record behind the lookback as [`Updated`](crate::follow::Change::Updated), whether it
    /// has changed or not, and polls go on meanwhile. [`Progress::full_scans`](crate::follow::Progress::full_scans)
    /// counts those that came to the end.
    pub fn full_scan_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.pace.scan = interval.into();
        self
    }

    /// Ends the stream with `None` once this future is ready, behind a whole batch. A request in flight is dropped.
    pub fn shutdown_on(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Some(Box::pin(signal));
        self
    }

    /// Sets for how long a 401 or 403 counts as transient once a page has succeeded. The default is 10 minutes, or what
    /// is set on the [listing](crate::Listing::auth_grace): a server whose database is down may refuse good tokens.
    ///
    /// Before the first page, a 401 or 403 ends the stream.
    pub fn auth_grace(mut self, time: Duration) -> Self {
        self.auth_grace = Some(time);
        self
    }

    /// Requests the records as the query says, and adds nothing to it.
    ///
    /// Without this, a follower of Arklow's records requests their state, without which they have neither a status nor
    /// a time: see [`notice`](Self::notice).
    pub fn as_queried(mut self) -> Self {
        self.is_as_queried = true;
        self
    }

    /// Returns what the follower added to the query, once it has begun. `None` if it added nothing.
    #[must_use]
    pub fn notice(&self) -> Option<&str> {
        self.notice
    }

    /// Returns the next batch. `None` behind [`shutdown_on`](Self::shutdown_on), and behind an error that ended the
    /// stream.
    ///
    /// # Errors
    ///
    /// The error of a poll. After a [transient](Error::is_transient) one, the next call goes on where the follower was,
    /// after a wait inside of the call: as long as the server [asked for](Error::retry_after), or else 1 s, doubled
    /// with each error in a row up to 30 s. There is no limit to their number. After any other error the stream has
    /// ended.
    ///
    /// [`ErrorKind::Partial`] if the server sent errors beside records: it is transient, and the records are delivered.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call continues the same request or wait.
    pub async fn next(&mut self) -> Option<Result<Batch<Q::Item>>> {
        StreamExt::next(self).await
    }

    /// Like [`next`](Self::next), for use in `while let Some(batch) = follow.try_next().await?`.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn try_next(&mut self) -> Result<Option<Batch<Q::Item>>> {
        self.next().await.transpose()
    }

    /// Builds what the follower needs, and checks that it can follow this listing.
    fn begin(&mut self, mut opened: Opened<Q>) -> Result<Running<Q>> {
        if let Some(limit) = opened.limit {
            return Err(cannot_be_limited(limit));
        }
        let side = growing_side(opened.growth)?;
        let query = self.query(opened.query)?;
        let auth_grace = self.auth_grace.or(opened.error_tolerance.auth_grace).unwrap_or(AUTH_GRACE);
        let tolerance = ErrorTolerance { errors: None, auth_grace: Some(auth_grace) };
        // The table recognizes records that come again; a walk needs no more than that.
        opened.plan.remembered = opened.plan.remembered.min(self.lookback.max(LOOKBACK));
        let limit = opened.plan.limit;
        let requester = Requester::new(opened.transport, WithRaw::new(query), opened.options, limit, tolerance);
        let settings = Settings {
            plan: opened.plan,
            listing: requester.listing()?,
            side,
            lookback: self.lookback,
            least: LEAST,
            tolerance: opened.since_tolerance,
        };
        Ok(Running::new(requester, Prefetcher::with_setting(opened.prefetch), self.machine(settings)?))
    }

    /// Returns the query to send: it requests the state of the records, where they have no time without it.
    fn query(&mut self, query: Q) -> Result<Q> {
        let added = query.requesting_timestamps().filter(|_| !self.is_as_queried);
        if added.is_some() {
            let notice = "the follower requests the state of the records, which the query doesn't";
            self.notice = Some(notice);
            tracing::info!(target: "actionlog", "{notice}");
        }
        let query = added.unwrap_or(query);
        if matches!(self.start, StartFrom::Since(_)) && !query.has_timestamps() {
            let why = "the records of this listing have no timestamp to start from: use another `StartFrom`";
            return Err(Error::new(ErrorKind::InvalidRequest, why));
        }
        Ok(query)
    }

    /// The machine, at the start that was set.
    fn machine(&self, settings: Settings) -> Result<Machine> {
        Ok(match &self.start {
            StartFrom::Checkpoint(checkpoint) => {
                let state = checkpoint.state(&settings)?;
                Machine::of(settings, state)
            }
            StartFrom::Beginning => Machine::new(settings, Begin::Beginning),
            StartFrom::Latest => Machine::new(settings, Begin::Latest),
            StartFrom::Since(time) => Machine::new(settings, Begin::Since(*time)),
        })
    }

    fn is_shut_down(&mut self, cx: &mut Context<'_>) -> bool {
        let is_ready = self.shutdown.as_mut().is_some_and(|it| it.as_mut().poll(cx).is_ready());
        if is_ready {
            self.shutdown = None;
        }
        is_ready
    }
}

/// The error for a setting that limits a scan.
fn cannot_be_limited(limit: &str) -> Error {
    let why = format!(
        "a follower has no end, so `{limit}` can't be combined with it: remove it, and say where to begin with \
         `start_from`"
    );
    Error::new(ErrorKind::InvalidRequest, why)
}

/// Returns the end of the listing that grows. `None` if it is one of them, and undocumented which.
fn growing_side(growth: Growth) -> Result<Option<Side>> {
    match growth {
        Growth::AtHead => Ok(Some(Side::Head)),
        Growth::AtEnd => Ok(Some(Side::End)),
        Growth::OneEnd => Ok(None),
        Growth::Unknown => Err(Error::new(
            ErrorKind::InvalidRequest,
            "a follower needs a listing that is sorted by when records were created, and it is undocumented whether \
             this one is: sort it by that, or, if you know at which end new records are added, set `Listing::growth`",
        )),
    }
}

impl<Q: Paginate> Stream for Follow<Q> {
    type Item = Result<Batch<Q::Item>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.has_ended || this.is_shut_down(cx) {
            (this.has_ended, this.running) = (true, None);
            return Poll::Ready(None);
        }
        if let Some(opened) = this.opened.take() {
            match this.begin(opened) {
                Ok(running) => this.running = Some(running),
                Err(error) => {
                    this.has_ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        let Some(running) = &mut this.running else { return Poll::Ready(None) };
        let batch = ready!(running.poll_batch(&mut this.pace, cx));
        if batch.as_ref().is_err_and(|error| !error.is_transient()) {
            (this.has_ended, this.running) = (true, None);
        }
        Poll::Ready(Some(batch))
    }
}

#[cfg(feature = "blocking")]
impl<Q: Paginate> Follow<Q> {
    /// Makes the stream an [`Iterator`] that blocks until the next batch is there: see [`blocking`](crate::blocking).
    pub fn blocking(self) -> crate::blocking::Blocking<Self> {
        crate::blocking::Blocking::new(self)
    }
}

impl<Q: Paginate> fmt::Debug for Follow<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = self.running.as_ref().map(|it| &it.machine);
        f.debug_struct("Follow")
            .field("start", &self.start)
            .field("lookback", &self.lookback)
            .field("pace", &self.pace)
            .field("caught_up", &machine.is_some_and(Machine::is_caught_up))
            .finish_non_exhaustive()
    }
}
