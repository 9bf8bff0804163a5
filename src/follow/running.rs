//! A follower that has begun: it sends the requests that the machine decides on, and waits between them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::{ApiError, Error, ErrorKind, Result};
use crate::follow::batch::{Batch, Change};
use crate::follow::checkpoint::Checkpoint;
use crate::follow::deliver::{Record, changes, progress};
use crate::follow::machine::{Kind, Machine, Work};
use crate::follow::pace::{Due, Pace};
use crate::follow::sighting::sightings;
use crate::observe::{Event, PageRead};
use crate::page::fetch::fetch;
use crate::page::fetch::prefetch::Prefetcher;
use crate::page::fetch::requester::{PageRequest, Requester};
use crate::page::{ListPage, Paginate, Raw, RecordKey, Window, WithRaw};

/// A follower that has begun.
pub(super) struct Running<Q: Paginate> {
    requester: Requester<WithRaw<Q>>,
    prefetcher: Prefetcher<ListPage<Record<Q>>>,
    pub(super) machine: Machine,
    state: State<Q>,
    /// What the round does, and whether it has brought a change, or yielded anything.
    work: Work,
    has_changed: bool,
    has_yielded: bool,
    /// Whether the last batch said that the follower has caught up.
    was_caught_up: bool,
    /// The server's errors beside the records of the last page, and whether they are still to be yielded.
    partial: Vec<ApiError>,
    is_partial_due: bool,
    removed: VecDeque<RecordKey>,
}

enum State<Q: Paginate> {
    Between,
    Waiting(Pin<Box<Sleep>>),
    Round,
    Requesting(Window, PageRequest<Raw<Q::Item>>),
}

impl<Q: Paginate> Running<Q> {
    pub(super) fn new(
        requester: Requester<WithRaw<Q>>,
        prefetcher: Prefetcher<ListPage<Record<Q>>>,
        machine: Machine,
    ) -> Self {
        Self {
            requester,
            prefetcher,
            machine,
            state: State::Between,
            work: Work::Poll,
            has_changed: false,
            has_yielded: false,
            was_caught_up: false,
            partial: Vec::new(),
            is_partial_due: false,
            removed: VecDeque::new(),
        }
    }

    pub(super) fn poll_batch(&mut self, pace: &mut Pace, cx: &mut Context<'_>) -> Poll<Result<Batch<Q::Item>>> {
        loop {
            if std::mem::take(&mut self.is_partial_due) {
                return Poll::Ready(Err(self.partial_error()));
            }
            if let Some(batch) = self.take_removed() {
                return Poll::Ready(Ok(batch));
            }
            let batch = match &mut self.state {
                State::Between => {
                    self.begin_round(pace);
                    None
                }
                State::Waiting(sleep) => {
                    // A new timer each time: that of the last poll may belong to another runtime, which may have ended.
                    let until = sleep.deadline();
                    sleep.set(sleep_until(until));
                    ready!(sleep.as_mut().poll(cx));
                    self.state = State::Between;
                    None
                }
                State::Round => match self.machine.window() {
                    Some(window) => {
                        self.state = State::Requesting(window, self.request(window));
                        None
                    }
                    None => self.end_round(pace),
                },
                State::Requesting(window, request) => {
                    let (window, response) = (*window, ready!(request.as_mut().poll(cx)));
                    self.state = State::Round;
                    self.take_response(window, response)?
                }
            };
            if let Some(batch) = batch {
                return Poll::Ready(Ok(batch));
            }
        }
    }

    /// The error for the server's errors beside the records of the last page.
    fn partial_error(&self) -> Error {
        Error::new(ErrorKind::Partial, "the server sent errors beside the records")
            .with_api(Some(ApiError::first_of(self.partial.clone())))
            .with_transient(true)
    }

    fn begin_round(&mut self, pace: &mut Pace) {
        let now = Instant::now();
        if pace.is_scan_due(now) && !self.machine.is_refreshing() {
            self.machine.begin_refresh();
            pace.note_scan(now, self.machine.is_refreshing());
        }
        let machine = &self.machine;
        match pace.due(now, machine.is_behind(), machine.wants_sweep(), machine.is_refreshing()) {
            Due::Round(work) => {
                self.work = work;
                (self.has_changed, self.has_yielded) = (false, false);
                self.machine.start(work);
                self.state = State::Round;
            }
            Due::At(time) => self.state = State::Waiting(Box::pin(sleep_until(time))),
        }
    }

    /// Ends a round. Returns a batch without changes if the round had none, so that the caller sees how the follower
    /// stands.
    fn end_round(&mut self, pace: &mut Pace) -> Option<Batch<Q::Item>> {
        self.prefetcher.clear();
        self.state = State::Between;
        pace.note_round(Instant::now(), self.work, self.has_changed);
        let is_news = self.machine.take_finished_scan() || self.machine.is_caught_up() != self.was_caught_up;
        let is_silent = self.has_yielded || self.work == Work::Refresh;
        (is_news || !is_silent).then(|| self.batch(Vec::new()))
    }

    fn request(&mut self, window: Window) -> PageRequest<Raw<Q::Item>> {
        let machine = &mut self.machine;
        fetch(&self.requester, &mut self.prefetcher, window, |is_prefetched| {
            machine.note_prefetched(is_prefetched);
            Some((machine.prefetch_hint()?, u64::MAX))
        })
    }

    /// Takes a response. Returns the batch of its changes, if there are any.
    fn take_response(
        &mut self,
        window: Window,
        response: Result<ListPage<Record<Q>>>,
    ) -> Result<Option<Batch<Q::Item>>> {
        match response {
            Ok(listed) => Ok(self.take(window, listed)),
            Err(error) => {
                let error = self.requester.note_error(error);
                if !error.is_transient() {
                    self.prefetcher.clear();
                }
                Err(error)
            }
        }
    }

    /// Takes a page. Returns the batch of its changes, if there are any.
    fn take(&mut self, window: Window, listed: ListPage<Record<Q>>) -> Option<Batch<Q::Item>> {
        if self.requester.note_success() {
            self.prefetcher.retry_failed(|window, flight| self.requester.request(window, flight));
        }
        let ListPage { records, total, errors } = listed;
        let page = sightings::<Q>(&records, window.offset == 0, |key| self.machine.alike(key));
        self.machine.note_partial(!errors.is_empty());
        let found = self.machine.observe(&page, total);
        self.is_partial_due = !errors.is_empty() && errors != self.partial;
        self.partial = errors;
        self.requester.transport.emit(Event::PageRead(PageRead {
            call: self.requester.call.name(),
            offset: window.offset,
            limit: window.limit,
            received: page.len(),
            new: found.iter().filter(|it| it.kind != Kind::Updated).count(),
            total,
        }));
        self.removed.extend(self.machine.take_gone());
        let changes = changes::<Q>(found, records);
        (!changes.is_empty()).then(|| self.batch(changes))
    }

    /// Some of the records that are gone, at most a page of them.
    fn take_removed(&mut self) -> Option<Batch<Q::Item>> {
        let most = usize::try_from(self.machine.settings().plan.limit).unwrap_or(usize::MAX);
        let mut changes = Vec::new();
        while changes.len() < most
            && let Some(key) = self.removed.pop_front()
        {
            if self.machine.forget(&key) {
                changes.push(Change::Removed(key));
            }
        }
        (!changes.is_empty()).then(|| self.batch(changes))
    }

    fn batch(&mut self, changes: Vec<Change<Q::Item>>) -> Batch<Q::Item> {
        self.has_yielded = true;
        self.has_changed |= !changes.is_empty();
        self.was_caught_up = self.machine.is_caught_up();
        let checkpoint = Checkpoint::of(self.machine.state(), &self.machine.settings().listing);
        Batch { changes, checkpoint, progress: progress(&self.machine) }
    }
}
