//! The scan of a listing as a stream of pages: it carries out the requests that the walk decides on.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::StreamExt;

use crate::cursor::{Cursor, Fingerprint, Position};
use crate::error::{ApiError, Error, ErrorKind, Result};
use crate::observe::{Event, PageRead};
use crate::page::fetch::fetch;
use crate::page::fetch::prefetch::Prefetcher;
use crate::page::fetch::requester::{PageRequest, Requester};
use crate::page::settings::Settings;
use crate::page::split::Run;
use crate::page::summary::End;
use crate::page::summary::SummaryHandle;
use crate::page::walk::plan::Plan;
use crate::page::walk::since::Since;
use crate::page::walk::toward_head::{Direction, TowardHead};
use crate::page::walk::verify::Verification;
use crate::page::walk::{Delivery, Walk};
use crate::page::{InvalidRecord, ListPage, Page, Paginate, Part, RecordKey, Stability, Window};
use crate::transport::Transport;

/// A scan of a listing, as a stream of pages. It follows the rules of [the module](crate::page).
///
/// Each page holds only the records that no page before it held. Created by
/// [`Listing::pages`](crate::page::Listing::pages). The stream is lazy: it sends nothing until it is polled, and keeps
/// no more requests in flight than [`prefetch`](crate::page::Listing::prefetch) allows.
#[must_use = "streams do nothing unless polled: call `next`"]
pub struct Pages<Q: Paginate> {
    pub(super) requester: Requester<Q>,
    pub(super) settings: Settings,
    pub(super) plan: Plan,
    pub(super) since: Option<Since>,
    /// The identity of the listing, or why it can't be requested.
    pub(super) listing: Result<Fingerprint>,
    pub(super) walk: Direction,
    pub(super) position: Position,
    pub(super) state: State<Q::Item>,
    pub(super) prefetcher: Prefetcher<ListPage<Result<Q::Item, InvalidRecord>>>,
    /// The outcome so far, where only a part of the listing is scanned.
    pub(super) run: Option<Run>,
    /// Scans the listing again to verify the scan before.
    pub(super) verification: Option<Verification<Result<Q::Item, InvalidRecord>>>,
    /// Once the listing is scanned again: the totals of the first scan, its shift, and how many records are gone.
    pub(super) first_scan: (Option<(u64, u64)>, Option<u64>, u64),
    pages: u64,
    pub(super) counts: Counts,
    /// The server's errors that were yielded last. A page without new records doesn't yield the same ones again.
    reported: Vec<ApiError>,
    pub(super) handle: Option<SummaryHandle>,
}

/// What the walk doesn't count, because it decides on windows and not on what is delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) delivered: u64,
    pub(super) invalid: u64,
    pub(super) late: u64,
    /// The server sent errors beside records.
    pub(super) partial: bool,
    /// Records were withheld: `max_items` was reached, or they aren't of the part.
    pub(super) cut: bool,
    /// Records were passed over because they are older than `since`.
    passed_over: bool,
    /// A record behind those that were passed over was delivered: the cursor stands behind records that weren't.
    pub(super) skipped: bool,
}

pub(super) enum State<T> {
    /// No request is in flight.
    Idle,
    /// The request for `walk.window()` is in flight, after a pause if the last one failed.
    Requesting(Window, PageRequest<T>),
    Ended,
}

/// A page without its entries, and its new records, from which the entries are delivered.
pub(super) type NewRecords<T> = (Page<T>, Vec<Candidate<T>>);

/// A record to be delivered, and how it moves the cursor.
pub(super) struct Candidate<T> {
    /// `None` if the record is older than `since`.
    pub(super) entry: Option<Result<T, InvalidRecord>>,
    pub(super) id: RecordKey,
    pub(super) delivery: Delivery,
    /// Whether the record came from the second look at the head.
    pub(super) from_head: bool,
}

impl<Q: Paginate> Pages<Q> {
    pub(super) fn new(transport: Transport, query: Q, settings: Settings) -> Self {
        let plan = settings.plan(&query);
        let requester =
            Requester::new(transport, query, settings.options.clone(), plan.limit, settings.error_tolerance);
        let listing = requester.listing().and_then(|it| settings.check(&requester.query, &it).map(|()| it));
        let (walk, position) = match &settings.resume {
            Some(cursor) if settings.toward_head => {
                (Direction::Up(Box::new(TowardHead::new(plan.clone(), cursor.head()))), Position::resume(cursor))
            }
            Some(cursor) => (Direction::Down(Box::new(Walk::resume(plan.clone(), cursor))), Position::resume(cursor)),
            None => (Direction::Down(Box::new(Walk::new(plan.clone()))), Position::at(plan.start)),
        };
        let run = settings.part.clone().map(|part| run_of(part, plan.order, settings.resume.as_ref()));
        let before = settings.resume.as_ref().filter(|cursor| cursor.delivered() > 0).map(Cursor::run);
        let verification = settings.scans.map(|scans| Verification::new(&plan, scans, before));
        let prefetcher = Prefetcher::with_setting(settings.prefetch);
        Self {
            requester,
            since: settings.since.map(|after| Since::new(after, settings.since_tolerance)),
            settings,
            plan,
            prefetcher,
            run,
            verification,
            first_scan: (None, None, 0),
            listing,
            walk,
            position,
            state: State::Idle,
            pages: 0,
            counts: Counts::default(),
            reported: Vec::new(),
            handle: None,
        }
    }

    /// Returns the next page, or `None` at the end.
    ///
    /// # Errors
    ///
    /// The error of the page, with the [cursor](Error::cursor) to resume from. After a [transient](Error::is_transient)
    /// error, the next call requests the same page again, after a wait inside of the call: as long as
    /// [`retry_after`](Error::retry_after) says, however long that is, or else 1 s, doubled with each error in a row up
    /// to 30 s. (From the second error in a row on, the wait is at least 100 ms, doubled up to 1 s, whatever the server
    /// says.) After any other error, and after [too many in a row](crate::page::Listing::max_consecutive_errors), the
    /// stream has ended. [`ErrorKind::Incomplete`] if the scan ends before the listing does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call continues the same request.
    pub async fn next(&mut self) -> Option<Result<Page<Q::Item>>> {
        StreamExt::next(self).await
    }

    /// Like [`next`](Self::next), for use in `while let Some(page) = pages.try_next().await?`. Returns `Ok(None)` at
    /// the end.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn try_next(&mut self) -> Result<Option<Page<Q::Item>>> {
        self.next().await.transpose()
    }

    /// Requests a window, unless it was prefetched, and prefetches the windows behind it.
    fn request(&mut self, window: Window) -> PageRequest<Q::Item> {
        let (windows, records) = self.left();
        let walk = &mut self.walk;
        fetch(&self.requester, &mut self.prefetcher, window, |is_prefetched| {
            walk.note_prefetched(is_prefetched);
            let hint = walk.prefetch_hint()?;
            Some((hint, windows.min(records / hint.step)))
        })
    }

    /// Returns how many more windows and records are wanted at most, behind the next window.
    fn left(&self) -> (u64, u64) {
        let windows = self.settings.max_pages.map(|most| most.saturating_sub(self.pages + 1));
        // One record more than the part has, to see which one follows it.
        let part = self.run.as_ref().and_then(Run::left);
        let items = self.settings.max_items.map(|most| most.saturating_sub(self.counts.delivered).saturating_sub(1));
        let records = [part, items].into_iter().flatten().min();
        (windows.unwrap_or(u64::MAX), records.unwrap_or(u64::MAX))
    }

    /// Picks the new records of a response.
    fn take(&mut self, window: Window, mut listed: ListPage<Result<Q::Item, InvalidRecord>>) -> NewRecords<Q::Item> {
        self.counts.partial |= !listed.errors.is_empty();
        let ids = self.keys(window, &listed.records);
        let received = ids.len();
        let from_head = self.walk.is_on_head();
        let deliveries = self.walk.observe(&ids, listed.total);
        self.requester.transport.emit(Event::PageRead(PageRead {
            call: self.requester.call.name(),
            offset: window.offset,
            limit: window.limit,
            received,
            new: deliveries.iter().filter(|it| **it != Delivery::Skip).count(),
            total: listed.total,
        }));
        let candidates = ids.into_iter().zip(std::mem::take(&mut listed.records)).zip(deliveries);
        let candidates = candidates.filter(|(_, delivery)| *delivery != Delivery::Skip);
        let candidates =
            candidates.map(|((id, entry), delivery)| Candidate { entry: Some(entry), id, delivery, from_head });
        let mut records: Vec<_> = candidates.collect();
        if self.is_again() {
            records = self.not_delivered(records);
        }
        if self.walk.is_up() {
            // The walk up delivers the oldest record first, which is the last of its page.
            records.reverse();
        }
        if self.settings.is_part() && self.walk.has_restarted() {
            // The scan restarted at the head. Its records aren't of this part and don't follow those that were
            // delivered. So the part ends here, and `merge` asks to scan the rest of it again.
            self.counts.cut = true;
            records.clear();
        }
        self.pass_over_old(&mut records);
        (Page::of(window, listed, received, self.plan.total), records)
    }

    /// Returns the keys of the records of a page.
    fn keys(&mut self, window: Window, records: &[Result<Q::Item, InvalidRecord>]) -> Vec<RecordKey> {
        let mut ids: Vec<RecordKey> = Vec::with_capacity(records.len());
        for record in records {
            ids.push(match record {
                Ok(record) => Q::record_key(record),
                Err(record) => {
                    let id = RecordKey::of_raw(record.raw(), ids.last());
                    // An invalid first record is most likely the one that the windows overlap by: its key depends on
                    // the record before it, which this page doesn't show. So it is recognized by its raw JSON.
                    let unseen = ids.is_empty() && window.offset > 0;
                    let same = self.walk.alike(&id).filter(|_| unseen).cloned();
                    if same.is_some() {
                        self.walk.note_alike();
                    }
                    same.unwrap_or(id)
                }
            });
        }
        ids
    }

    /// Withholds the records that are older than `since`, and ends the scan once all further records are.
    fn pass_over_old(&mut self, records: &mut [Candidate<Q::Item>]) {
        let Some(since) = &mut self.since else { return };
        for record in records {
            let time = match &record.entry {
                Some(Ok(record)) => Q::timestamp(record),
                _ => None,
            };
            match time {
                Some(time) if !since.wants(time, matches!(record.delivery, Delivery::Next(_))) => record.entry = None,
                Some(_) => {}
                None => since.miss(),
            }
        }
        if since.is_past() {
            self.walk.stop(End::Since);
        }
    }

    /// Delivers a record: from here on the cursor stands behind it. Returns `None` if there is nothing to deliver.
    pub(super) fn deliver(&mut self, candidate: Candidate<Q::Item>) -> Option<Result<Q::Item, InvalidRecord>> {
        // Once a record was withheld, nothing behind it is delivered, so that the cursor stays before it.
        self.counts.cut |= candidate.entry.is_some() && self.has_all_items();
        if self.counts.cut {
            return None;
        }
        let Some(entry) = candidate.entry else {
            // The cursor stays before what is passed over, so that a scan for older records can resume from it.
            self.counts.passed_over = true;
            return None;
        };
        self.counts.skipped |= self.counts.passed_over && matches!(candidate.delivery, Delivery::Next(_));
        if !self.is_in_part(&candidate.id, candidate.delivery) {
            self.counts.cut = true;
            return None;
        }
        if let Some(verification) = &mut self.verification {
            verification.note_delivered(&candidate.id, candidate.delivery);
        }
        let late = candidate.delivery == Delivery::Late && candidate.from_head;
        self.move_cursor(candidate.id, candidate.delivery, candidate.from_head);
        self.counts.delivered += 1;
        self.counts.late += u64::from(late);
        self.counts.invalid += u64::from(entry.is_err());
        Some(entry)
    }

    /// Notes a record in the outcome of the part. Returns `false` for the first record behind the part.
    fn is_in_part(&mut self, id: &RecordKey, delivery: Delivery) -> bool {
        let Some(run) = &mut self.run else { return true };
        match delivery {
            Delivery::Next(_) if run.is_full() => {
                run.note_beyond(id);
                return false;
            }
            Delivery::Next(offset) => run.deliver(id, offset),
            Delivery::Late | Delivery::Skip => run.deliver_late(),
        }
        true
    }

    /// Moves the cursor behind a record that is delivered.
    fn move_cursor(&mut self, id: RecordKey, delivery: Delivery, from_head: bool) {
        // What the head's second scan delivers, and newer records, are outside of the cursor's count.
        let up = self.walk.is_up();
        if !from_head && !up {
            self.position.delivered = self.position.delivered.saturating_add(1);
        }
        if from_head && delivery == Delivery::Late && !self.is_again() {
            self.position.note_late(&id);
        }
        match delivery {
            Delivery::Next(offset) if up => self.position.rise_from(id, offset),
            Delivery::Next(offset) => self.position.advance(id, offset),
            Delivery::Late | Delivery::Skip => {}
        }
    }

    fn has_all_items(&self) -> bool {
        self.settings.max_items.is_some_and(|most| self.counts.delivered >= most)
    }

    /// Returns how the scan ends if it has reached one of its limits.
    fn is_full(&self) -> Option<End> {
        let pages = self.settings.max_pages.is_some_and(|most| self.pages >= most);
        self.has_all_items().then_some(End::MaxItems).or(pages.then_some(End::MaxPages))
    }

    /// Polls for the next page with new records or new errors of the server.
    pub(super) fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<NewRecords<Q::Item>>>> {
        loop {
            let batch = match &mut self.state {
                State::Ended => return Poll::Ready(None),
                State::Idle => self.request_next().map(Err),
                State::Requesting(window, request) => {
                    let window = *window;
                    let response = ready!(request.as_mut().poll(cx));
                    self.state = State::Idle;
                    match response {
                        Ok(listed) => self.take_new(window, listed).map(Ok),
                        Err(error) => Some(Err(self.note_error(error))),
                    }
                }
            };
            if let Some(batch) = batch {
                return Poll::Ready(Some(batch.map_err(|error| self.with_cursor(error))));
            }
        }
    }

    /// Requests the next window, or ends the stream. Returns the error that the stream ends with, if any.
    fn request_next(&mut self) -> Option<Error> {
        if let Err(error) = &self.listing {
            // The query, the cursor or the part is invalid: this is reported before anything is sent.
            let error = error.clone();
            self.walk.stop(End::Failed);
            self.state = State::Ended;
            return Some(error);
        }
        if self.walk.end().is_none()
            && let Some(end) = self.is_full()
        {
            self.walk.stop(end);
        }
        self.scan_again();
        if let Some(window) = self.walk.window().filter(|_| !self.counts.cut) {
            self.state = State::Requesting(window, self.request(window));
            return None;
        }
        // The walk has ended, or the rest is withheld: what was prefetched isn't wanted.
        self.prefetcher.clear();
        self.state = State::Ended;
        self.walk.end().filter(|_| !self.is_again()).and_then(incomplete)
    }

    /// Takes a response. Returns its new records, or `None` if there is nothing to yield.
    fn take_new(
        &mut self,
        window: Window,
        listed: ListPage<Result<Q::Item, InvalidRecord>>,
    ) -> Option<NewRecords<Q::Item>> {
        if self.requester.note_success() {
            // The outage is over: prefetched pages that failed in it are part of the same error.
            self.prefetcher.retry_failed(|window, flight| self.requester.request(window, flight));
        }
        let (page, records) = self.take(window, listed);
        let is_reported = self.reported == page.errors;
        self.reported.clone_from(&page.errors);
        // A page without new records yields nothing, unless the server's errors are new.
        if records.is_empty() && is_reported {
            return None;
        }
        self.pages += 1;
        Some((page, records))
    }

    /// Notes the error of a request, and returns it as the scan yields it.
    fn note_error(&mut self, error: Error) -> Error {
        let error = self.requester.note_error(error);
        // After a transient error the scan stays idle, and requests the window again when it is polled.
        if !error.is_transient() {
            self.prefetcher.clear();
            self.walk.stop(End::Failed);
            self.state = State::Ended;
        }
        error
    }
}

/// The run of records of a part, as far as it was read before the cursor.
fn run_of(part: Part, order: Stability, resume: Option<&Cursor>) -> Run {
    let mut run = Run::new(part, order);
    if let Some(cursor) = resume {
        run.resume(cursor.keys().pop(), cursor.offset(), cursor.delivered());
    }
    run
}

impl<Q: Paginate> Stream for Pages<Q> {
    type Item = Result<Page<Q::Item>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let page = loop {
            match ready!(this.poll_page(cx)) {
                Some(Ok((mut page, records))) => {
                    page.entries.extend(records.into_iter().filter_map(|it| this.deliver(it)));
                    if page.is_empty() && page.errors.is_empty() {
                        continue;
                    }
                    break Some(Ok(page));
                }
                Some(Err(error)) => break Some(Err(error)),
                None => break None,
            }
        };
        this.report();
        Poll::Ready(page)
    }
}

/// Returns the error of a walk that ended before its listing did.
fn incomplete(end: End) -> Option<Error> {
    let why = match end {
        End::Lost => "its position could not be found again, or too many requests brought no new record",
        End::Emptied => "it was emptied during the scan",
        _ => return None,
    };
    Some(Error::new(ErrorKind::Incomplete, format!("the scan stopped before the end of the listing: {why}")))
}

impl<Q: Paginate> fmt::Debug for Pages<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("query", &self.requester.query)
            .field("summary", &self.summary())
            .finish_non_exhaustive()
    }
}
