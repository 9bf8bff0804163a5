//! Several logs as one stream, by time: [`Timeline`].
//!
//! ```
//! # #[cfg(feature = "testing")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> actionlog::Result<()> {
//! # let server = actionlog::testing::FakeServer::new();
//! # server.integration().add_sample_logs(120);
//! # server.unleash().add_sample_events("default", 7, 120);
//! # let client = actionlog::IntegrationClient::builder("http://localhost");
//! # let integration = client.api_key("any").http_client(server.http_client()).build()?;
//! # let client = actionlog::UnleashClient::builder("http://localhost");
//! # let unleash = client.api_key("any").http_client(server.http_client()).build()?;
//! use actionlog::{LogRecord, timeline::Timeline};
//!
//! let mut timeline = Timeline::newest_first()
//!     .scan("shop", integration.logs().list(()))
//!     .scan("flags", unleash.action_set_events().list(("default", 7)));
//! while let Some(entry) = timeline.next().await {
//!     match entry {
//!         Ok((log, record)) => println!("{log} {} {:?}", record.outcome(), record.action()),
//!         // The error of one log. The others go on.
//!         Err(error) => eprintln!("{error}"),
//!     }
//! }
//! println!("{}", timeline.summary());
//! # assert_eq!(timeline.summary().delivered(), 240);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "testing"))] fn main() {}
//! ```
//!
//! # Order
//!
//! - A record comes when no log can have one that comes before it. So a timeline waits for the next record of every log
//!   that hasn't ended.
//! - Within a log, records keep the order in which the log lists them, whatever their times.
//! - Of records with the same time, those of the log that was added first come first.
//! - A record without a time comes directly behind the one before it in its log. If a log begins with such records,
//!   they come before all others.
//! - [`LogSummary::out_of_order`] counts the records that came too late for their time.
//!
//! Arklow's records have a time only if the query asks for their
//! [state](crate::arklow::RecordsQuery::include_state). [`scan`](Timeline::scan) asks for it where the query doesn't,
//! and says so in [`LogSummary::requested_timestamps`]. That time is the state's last change, so an old action that
//! just ended counts as new.
//!
//! # Errors
//!
//! There is one rule for all logs: an error is yielded as soon as it comes, with the [name](crate::Error::log) of its
//! log, and the others go on.
//!
//! - An [invalid record](crate::Error::is_record), and errors beside records, come behind the record before them, and
//!   the log goes on.
//! - After a [transient](crate::Error::is_transient) error, its scan continues after a wait. The others don't wait for
//!   it, so its records may come out of order. With [`OnError::Wait`], they do wait.
//! - After any other error, a scan and a follower have ended. Of a stream that goes on nevertheless, the records come
//!   when it has some, and nothing waits for them.
//!
//! # Waiting
//!
//! A log that is merely slow, or whose client [tries again](crate::RetryPolicy), is waited for, at most as long as
//! [`max_wait`](Timeline::max_wait) says. Without that setting, the [timeout](crate::ClientBuilder::operation_timeout)
//! of its requests is the limit, which is 2 minutes by default: once it has expired, that is a transient error. The
//! [summary](TimelineSummary::waiting_for) says for whom the timeline waits, and a [handle](Timeline::handle) shows it
//! from another task.
//!
//! # Memory
//!
//! A log is polled only if it has no record here, so a timeline keeps one record of each log, beside what its scan
//! keeps: one page, and those that are [prefetched](crate::Listing::prefetch). Of a [live](Timeline::live) log it keeps
//! up to 100 records.

mod feed;
mod merge;
mod report;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_core::Stream;
use futures_util::StreamExt;
use tokio::time::{Instant, Sleep, sleep_until};

pub use feed::Live;
pub use merge::Order;
pub use report::{LogState, LogSummary, TimelineHandle, TimelineSummary};

use crate::any_record::AnyRecord;
use crate::error::{Error, ErrorKind, Result};
use crate::follow::{Change, Follow};
use crate::page::{Listing, Paginate, SummaryHandle};
use crate::record::LogRecord;
use crate::timeline::feed::{Fed, Feed, Follower, LiveRecords, Records, Scan};
use crate::timeline::merge::{Merge, Next, Position};

/// How often a log is polled in a row: often enough for all that is kept of a live one.
const MOST_POLLS: usize = 256;

/// Several logs as one stream of records, by time: see the [module](self).
///
/// It yields each record with the name of its log. The records are [`AnyRecord`]s, unless it is created with
/// [`with_order`](Self::with_order), for records of any other type.
#[must_use = "streams do nothing unless polled: call `next`"]
pub struct Timeline<R = AnyRecord> {
    merge: Merge<Result<R>>,
    logs: Vec<Log<R>>,
    on_error: OnError,
    sleep: Option<Pin<Box<Sleep>>>,
    handle: Option<TimelineHandle>,
}

/// What the other logs of a timeline do when one has failed for the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnError {
    /// They go on. The records that the log has once it is well again may come out of order.
    #[default]
    GoOn,
    /// They wait until the log is well again or has ended, at most as long as [`Timeline::max_wait`] says. A scan tries
    /// again for [at least 12 minutes](Listing::max_consecutive_errors).
    Wait,
}

/// A log of a timeline, and what came of it.
struct Log<R> {
    name: Arc<str>,
    feed: Box<dyn Feed<R>>,
    requested_timestamps: bool,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    delivered: u64,
    untimed: u64,
    out_of_order: u64,
    invalid: u64,
    errors: u64,
    failed: bool,
    reached: Option<DateTime<Utc>>,
    ended: bool,
}

impl<R> Log<R> {
    /// Notes an error. Returns when it is yielded, and whether the other logs stop waiting for this one.
    fn note_error(&mut self, error: &Error, on_error: OnError) -> (Position, bool) {
        // What concerns records comes where they stand.
        if matches!(error.kind(), ErrorKind::InvalidRecord | ErrorKind::Partial) {
            return (Position::Behind, false);
        }
        self.counts.failed = true;
        // Nobody waits for a log that may never come again, though its stream doesn't end.
        (Position::Now, !error.is_transient() || on_error == OnError::GoOn)
    }
}

impl Timeline {
    /// Creates a timeline that yields the newest record first: for scans of listings that begin with the newest.
    pub fn newest_first() -> Self {
        Self::with_order(Order::NewestFirst)
    }

    /// Creates a timeline that yields the oldest record first: for scans for [newer](Listing::newer_than) records, and
    /// for listings that begin with the oldest.
    pub fn oldest_first() -> Self {
        Self::with_order(Order::OldestFirst)
    }
}

impl<R: Send + Unpin + 'static> Timeline<R> {
    /// Creates a timeline of records of any type that the records of its logs convert into: `Raw<AnyRecord>` keeps the
    /// raw JSON of listings [with it](Listing::with_raw).
    ///
    /// ```
    /// # fn example(arklow: actionlog::ArklowClient, unleash: actionlog::UnleashClient) {
    /// use actionlog::AnyRecord;
    /// use actionlog::page::Raw;
    /// use actionlog::timeline::{Order, Timeline};
    ///
    /// let timeline = Timeline::<Raw<AnyRecord>>::with_order(Order::NewestFirst)
    ///     .scan("refunds", arklow.records().list(()).with_raw())
    ///     .scan("flags", unleash.action_set_events().list(("default", 7)).with_raw());
    /// # }
    /// # fn main() {}
    /// ```
    pub fn with_order(order: Order) -> Self {
        Self { merge: Merge::new(order), logs: Vec::new(), on_error: OnError::default(), sleep: None, handle: None }
    }

    /// Adds a scan of a listing, under a name that its records and errors come with.
    ///
    /// If its records have timestamps only on request and the query doesn't request them, the timeline does: see
    /// [`LogSummary::requested_timestamps`].
    pub fn scan<Q>(self, name: impl Into<Arc<str>>, mut listing: Listing<Q>) -> Self
    where
        Q: Paginate<Item: LogRecord>,
        R: From<Q::Item>,
    {
        let requested_timestamps = listing.request_timestamps();
        self.add(name.into(), Box::new(Scan(listing.items())), requested_timestamps, false)
    }

    /// Adds any stream of records, under a name that its records and errors come with.
    ///
    /// With the [handle](crate::Items::summarised) of the scan that the stream comes from, its summary and verdict are
    /// those of the scan. Without one (`None`), the verdict is unverified at best.
    ///
    /// ```
    /// # fn example(client: actionlog::IntegrationClient) {
    /// use actionlog::timeline::Timeline;
    /// use futures_util::{StreamExt, future::ready};
    ///
    /// let (logs, summary) = client.logs().list(()).items().summarised();
    /// let products = logs.filter(|it| ready(it.as_ref().map_or(true, |log| log.entity_type == "product")));
    /// let timeline = Timeline::newest_first().stream("products", products, summary);
    /// # }
    /// # fn main() {}
    /// ```
    pub fn stream<T>(
        self,
        name: impl Into<Arc<str>>,
        stream: impl Stream<Item = Result<T>> + Send + 'static,
        summary: impl Into<Option<SummaryHandle>>,
    ) -> Self
    where
        T: LogRecord + 'static,
        R: From<T>,
    {
        self.add(name.into(), Box::new(Records::new(stream, summary.into())), false, false)
    }

    /// Adds a live log: a stream that goes on for as long as records come, oldest first. For a timeline that is
    /// [oldest first](Self::oldest_first).
    ///
    /// A record of another log is held back until the live log has a record that comes behind it, or says that it has
    /// reached its time ([`Live::Reached`]). A log may be silent because nothing happens, so a record is held back for
    /// at most 10 seconds, or as long as [`max_wait`](Self::max_wait) says, from when it came. Where more records come
    /// than a timeline [keeps](self#memory), they are held back for that long together.
    pub fn live<T>(
        self,
        name: impl Into<Arc<str>>,
        stream: impl Stream<Item = Result<Live<T>>> + Send + 'static,
    ) -> Self
    where
        T: LogRecord + 'static,
        R: From<T>,
    {
        self.add(name.into(), Box::new(LiveRecords::new(stream)), false, true)
    }

    fn add(mut self, name: Arc<str>, feed: Box<dyn Feed<R>>, requested_timestamps: bool, live: bool) -> Self {
        self.merge.add(live);
        self.logs.push(Log { name, feed, requested_timestamps, counts: Counts::default() });
        self
    }

    /// Sets what the other logs do when one has failed for the moment. The default is [`OnError::GoOn`].
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// Sets how long the timeline waits for a log that has no record ready, before it goes on without it. `None`, the
    /// default for scans, sets no limit: the timeouts of its requests are one.
    ///
    /// A log that the timeline went on without is waited for again once it has a record. What it has by then may come
    /// out of order.
    pub fn max_wait(mut self, wait: impl Into<Option<Duration>>) -> Self {
        self.merge.set_max_wait(wait.into());
        self
    }

    /// Returns a handle to the summary, which another task can look at while the timeline waits.
    pub fn handle(&mut self) -> TimelineHandle {
        let summary = self.summary();
        self.handle.get_or_insert_with(|| TimelineHandle::new(summary)).clone()
    }

    /// Returns how the timeline stands: its logs one by one, whom it waits for, and the worst of their verdicts.
    #[must_use]
    pub fn summary(&self) -> TimelineSummary {
        let now = Instant::now();
        TimelineSummary::of(
            self.logs.iter().enumerate().map(|(index, log)| self.log_summary(index, log, now)).collect(),
        )
    }

    fn log_summary(&self, index: usize, log: &Log<R>, now: Instant) -> LogSummary {
        let Counts { delivered, untimed, out_of_order, invalid, errors, failed, reached, ended } = log.counts;
        let since = self.merge.blocks_since(index);
        let state = match since {
            _ if ended => LogState::Ended,
            _ if self.merge.is_left_behind(index) => LogState::LeftBehind,
            Some(_) => LogState::Awaited,
            None => LogState::Ready,
        };
        let waited = since.filter(|_| state == LogState::Awaited).map(|it| now - it);
        LogSummary {
            name: log.name.to_string(),
            delivered,
            untimed,
            out_of_order,
            invalid,
            errors,
            failed,
            requested_timestamps: log.requested_timestamps || log.feed.has_requested_timestamps(),
            gap: log.feed.gap().map(|it| it.to_string()),
            reached,
            state,
            waited,
            scan: log.feed.summary(),
        }
    }

    /// Returns the next record with the name of its log, or `None` once all logs have ended.
    ///
    /// # Errors
    ///
    /// The error of a log, whose name is [`Error::log`](crate::Error::log). The others go on, so keep polling: see the
    /// [module](self#errors).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<(Arc<str>, R)>> {
        StreamExt::next(self).await
    }

    /// Like [`next`](Self::next), for use in `while let Some((log, record)) = timeline.try_next().await?`, which ends
    /// with the first error of any log. Returns `Ok(None)` at the end.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn try_next(&mut self) -> Result<Option<(Arc<str>, R)>> {
        self.next().await.transpose()
    }

    /// Makes the timeline an [`Iterator`] that blocks until the next record is there: see
    /// [`blocking`](crate::blocking).
    #[cfg(feature = "blocking")]
    pub fn blocking(self) -> crate::blocking::Blocking<Self> {
        crate::blocking::Blocking::new(self)
    }

    /// Asks each log that has no record here for its next one.
    fn poll_logs(&mut self, cx: &mut Context<'_>, now: Instant) {
        for (index, log) in self.logs.iter_mut().enumerate() {
            let mut polls = 0;
            while self.merge.wants(index) {
                // A live log that goes on saying how far it is mustn't keep the task from all else.
                polls += 1;
                if polls > MOST_POLLS {
                    cx.waker().wake_by_ref();
                    break;
                }
                let Poll::Ready(fed) = log.feed.poll_next(cx) else { break };
                match fed {
                    None => {
                        log.counts.ended = true;
                        self.merge.end(index);
                    }
                    Some(Fed::Reached(time)) => {
                        // It has asked its server since, and got a response.
                        log.counts.failed = false;
                        self.merge.set_watermark(index, time);
                    }
                    Some(Fed::Record(record, time)) => {
                        log.counts.failed = false;
                        self.merge.push(index, Ok(record), time.map_or(Position::Behind, Position::At), now);
                    }
                    Some(Fed::Error(error)) => {
                        let (position, is_failing) = log.note_error(&error, self.on_error);
                        self.merge.push(index, Err(error.in_log(Arc::clone(&log.name))), position, now);
                        if is_failing {
                            self.merge.leave_behind(index);
                        }
                    }
                }
            }
        }
    }

    /// Returns once the time has come.
    fn poll_sleep(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        // A new timer each time: that of the last poll may belong to another runtime, which may have ended.
        let sleep = self.sleep.insert(Box::pin(sleep_until(until)));
        sleep.as_mut().poll(cx)
    }

    #[expect(clippy::type_complexity, reason = "a stream of results, each with the name of a log")]
    fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(Arc<str>, R)>>> {
        loop {
            let now = Instant::now();
            self.poll_logs(cx, now);
            let popped = match self.merge.next(now) {
                Next::Item(popped) => popped,
                Next::Wait(None) => return Poll::Pending,
                Next::Wait(Some(until)) => {
                    ready!(self.poll_sleep(until, cx));
                    continue;
                }
                Next::End => return Poll::Ready(None),
            };
            let Some(log) = self.logs.get_mut(popped.log) else { return Poll::Ready(None) };
            let counts = &mut log.counts;
            return Poll::Ready(Some(match popped.item {
                Ok(record) => {
                    counts.delivered += 1;
                    counts.untimed += u64::from(popped.time.is_none());
                    counts.out_of_order += u64::from(popped.out_of_order);
                    counts.reached = popped.time.or(counts.reached);
                    Ok((Arc::clone(&log.name), record))
                }
                Err(error) => {
                    let counted = if error.is_record() { &mut counts.invalid } else { &mut counts.errors };
                    *counted += 1;
                    Err(error)
                }
            }));
        }
    }
}

impl<R: Send + Unpin + 'static> Timeline<Change<R>> {
    /// Adds a follower, under a name that its changes and errors come with. For a timeline that is
    /// [oldest first](Order::OldestFirst).
    ///
    /// It is a [live](Self::live) log: new and late records of other logs are held back until this one has reached
    /// their time. Changed, removed and invalid records come behind the change before them, as they have no time at
    /// which they became so. If the follower lost its hold on the listing, [`LogSummary::gap`] says so.
    ///
    /// It comes oldest first if the follower starts at [`Latest`](crate::follow::StartFrom::Latest) or
    /// [`Since`](crate::follow::StartFrom::Since). From the beginning, it first delivers the records that exist
    /// already, in the order of the listing, which is newest first in most logs.
    ///
    /// A timeline keeps no checkpoints: it is for watching several logs. To keep copies in step, take the batches of
    /// each follower.
    ///
    /// ```
    /// # fn example(shop: actionlog::IntegrationClient, unleash: actionlog::UnleashClient) {
    /// use actionlog::AnyRecord;
    /// use actionlog::follow::{Change, StartFrom};
    /// use actionlog::timeline::{Order, Timeline};
    ///
    /// let flags = unleash.action_set_events().list(("default", 7));
    /// let timeline = Timeline::<Change<AnyRecord>>::with_order(Order::OldestFirst)
    ///     .follow("shop", shop.logs().list(()).follow().start_from(StartFrom::Latest))
    ///     .follow("flags", flags.follow().start_from(StartFrom::Latest));
    /// # }
    /// # fn main() {}
    /// ```
    pub fn follow<Q>(self, name: impl Into<Arc<str>>, follow: Follow<Q>) -> Self
    where
        Q: Paginate<Item: LogRecord>,
        R: From<Q::Item>,
    {
        self.add(name.into(), Box::new(Follower::new(follow)), false, true)
    }
}

impl<R: Send + Unpin + 'static> Stream for Timeline<R> {
    type Item = Result<(Arc<str>, R)>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let entry = self.poll_entry(cx);
        if let Some(handle) = &self.handle {
            handle.set(self.summary());
        }
        entry
    }
}

impl<R: Send + Unpin + 'static> fmt::Debug for Timeline<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeline").field("summary", &self.summary()).finish_non_exhaustive()
    }
}
