//! The logs of a timeline: what they yield, in one form.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use chrono::{DateTime, Utc};
use futures_core::Stream;
use futures_util::StreamExt;

use crate::error::{Error, Result};
use crate::follow::{Change, Follow, Gap};
use crate::page::{Items, Paginate, Summary, SummaryHandle};
use crate::record::LogRecord;

/// A log of a timeline.
pub(super) trait Feed<T>: Send {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Fed<T>>>;

    /// The summary of the scan, if it is one.
    fn summary(&self) -> Option<Summary> {
        None
    }

    /// Whether it requested timestamps that its query doesn't.
    fn has_requested_timestamps(&self) -> bool {
        false
    }

    /// Why records may have come and gone unseen, if they may.
    fn gap(&self) -> Option<Gap> {
        None
    }
}

/// What a log yields.
pub(super) enum Fed<T> {
    /// A record, with its time.
    Record(T, Option<DateTime<Utc>>),
    /// Nothing before this time comes any more.
    Reached(DateTime<Utc>),
    Error(Error),
}

/// What a live log yields: see [`Timeline::live`](crate::timeline::Timeline::live).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Live<R> {
    /// A record.
    Record(R),
    /// No record that is older than this comes any more, as far as the log knows.
    Reached(DateTime<Utc>),
}

fn fed<R: LogRecord, T: From<R>>(entry: Option<Result<R>>) -> Option<Fed<T>> {
    Some(match entry? {
        Ok(record) => {
            let time = record.timestamp().map(|it| it.time);
            Fed::Record(record.into(), time)
        }
        Err(error) => Fed::Error(error),
    })
}

/// A scan of a listing.
pub(super) struct Scan<Q: Paginate>(pub(super) Items<Q>);

impl<Q: Paginate<Item: LogRecord>, T: From<Q::Item>> Feed<T> for Scan<Q> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Fed<T>>> {
        self.0.poll_next_unpin(cx).map(fed)
    }

    fn summary(&self) -> Option<Summary> {
        Some(self.0.summary())
    }
}

/// Any stream of records.
pub(super) struct Records<R> {
    stream: Pin<Box<dyn Stream<Item = Result<R>> + Send>>,
    summary: Option<SummaryHandle>,
}

impl<R> Records<R> {
    pub(super) fn new(stream: impl Stream<Item = Result<R>> + Send + 'static, summary: Option<SummaryHandle>) -> Self {
        Self { stream: Box::pin(stream), summary }
    }
}

impl<R: LogRecord, T: From<R>> Feed<T> for Records<R> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Fed<T>>> {
        self.stream.poll_next_unpin(cx).map(fed)
    }

    fn summary(&self) -> Option<Summary> {
        self.summary.as_ref().map(SummaryHandle::get)
    }
}

/// A stream of records that never ends by itself.
pub(super) struct LiveRecords<R>(Pin<Box<dyn Stream<Item = Result<Live<R>>> + Send>>);

impl<R> LiveRecords<R> {
    pub(super) fn new(stream: impl Stream<Item = Result<Live<R>>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }
}

impl<R: LogRecord, T: From<R>> Feed<T> for LiveRecords<R> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Fed<T>>> {
        self.0.poll_next_unpin(cx).map(|entry| match entry {
            Some(Ok(Live::Reached(time))) => Some(Fed::Reached(time)),
            Some(Ok(Live::Record(record))) => fed(Some(Ok(record))),
            Some(Err(error)) => Some(Fed::Error(error)),
            None => None,
        })
    }
}

/// A follower of a listing.
pub(super) struct Follower<Q: Paginate> {
    follow: Follow<Q>,
    /// The changes of the last batch that aren't yielded yet.
    changes: VecDeque<Change<Q::Item>>,
    /// The latest timestamp that the follower had seen behind them, if it had caught up.
    reached: Option<DateTime<Utc>>,
    gap: Option<Gap>,
}

impl<Q: Paginate> Follower<Q> {
    pub(super) fn new(follow: Follow<Q>) -> Self {
        Self { follow, changes: VecDeque::new(), reached: None, gap: None }
    }
}

impl<Q: Paginate<Item: LogRecord>, T: From<Q::Item>> Feed<Change<T>> for Follower<Q> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Fed<Change<T>>>> {
        loop {
            if let Some(change) = self.changes.pop_front() {
                let time = match &change {
                    Change::New(record) | Change::Late(record) => record.timestamp().map(|it| it.time),
                    // What became of an older record, when it was seen.
                    _ => None,
                };
                return Poll::Ready(Some(Fed::Record(change.map(T::from), time)));
            }
            if let Some(time) = self.reached.take() {
                return Poll::Ready(Some(Fed::Reached(time)));
            }
            match ready!(self.follow.poll_next_unpin(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Fed::Error(error))),
                Some(Ok(batch)) => {
                    self.changes = batch.changes.into();
                    // One record with a time in the future says nothing of those that come until then.
                    let newest = batch.progress.newest.map(|it| it.min(Utc::now()));
                    self.reached = newest.filter(|_| batch.progress.caught_up);
                    self.gap = batch.progress.gap.or(self.gap);
                }
            }
        }
    }

    fn has_requested_timestamps(&self) -> bool {
        self.follow.notice().is_some()
    }

    fn gap(&self) -> Option<Gap> {
        self.gap
    }
}
