//! The walk, carried out: a listing as a stream of pages.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::StreamExt;

use super::ahead::{Ahead, MOST};
use super::ask::{Asked, Asker};
use super::climb::{Climb, Route};
use super::cursor::{Cursor, Fingerprint, Learned, Position};
use super::extent::Extent;
use super::part::{Outcome, Part, PartRead, Run};
use super::since::Since;
use super::summary::{Cut, Doubt, End, Summary, Verdict};
use super::walk::{Give, Walk};
use super::{Entry, Identity, Listed, Page, Paginate, Total, Window};
use crate::error::{ApiError, Error, ErrorKind, Result};
use crate::observe::{Event, PageRead};
use crate::transport::{CallOptions, Transport};

/// Reads a listing page by page, by the rules of [the module](crate::page).
///
/// Each page holds the records that are new since the page before. Made by [`Listing::pages`](super::Listing::pages);
/// lazy: what it asks for it asks for as it's polled, and no more pages are under way then than
/// [`prefetch`](super::Listing::prefetch) says.
#[must_use = "streams do nothing unless polled"]
pub struct Pages<Q: Paginate> {
    asker: Asker<Q>,
    extent: Extent,
    /// Which listing it is; or why nothing can be asked for.
    listing: Result<Fingerprint>,
    walk: Route,
    position: Position,
    state: State<Q::Item>,
    ahead: Ahead<Listed<Entry<Q::Item>>>,
    /// What is noted of the part of the listing that it is.
    run: Option<Run>,
    pages: u64,
    counts: Counts,
    /// The server's own errors that were told last: those of an answer without news aren't told again.
    told: Vec<ApiError>,
    handle: Option<SummaryHandle>,
}

/// What the walk doesn't see.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    given: u64,
    unreadable: u64,
    late: u64,
    /// The server gave errors of its own beside records.
    partial: bool,
    /// Records were withheld for `max_items`, or as they aren't of the part.
    cut: bool,
    /// Records were passed over as too old.
    held: bool,
    /// And behind them, one was given: the place is behind records that weren't.
    skipped: bool,
}

enum State<T> {
    /// Nothing under way.
    Idle,
    /// The request that `walk.window()` names, after a pause if there was an error.
    Asking(Window, Asked<T>),
    Ended,
}

/// What an answer brought.
pub(super) struct Batch<T> {
    window: Window,
    pub(super) records: Vec<Given<T>>,
    /// How many records the answer had, those included that were known.
    received: usize,
    total: Option<u64>,
    pub(super) errors: Vec<ApiError>,
}

/// A record to be given, and what that does to the reader's place.
pub(super) struct Given<T> {
    /// `None` if it's older than asked for.
    entry: Option<Entry<T>>,
    id: Identity,
    give: Give,
    /// Whether it came with the head, when that was read again.
    from_head: bool,
}

impl<Q: Paginate> Pages<Q> {
    pub(super) fn new(transport: Transport, query: Q, options: CallOptions, extent: Extent) -> Self {
        let asker = Asker::new(transport, query, options, extent.plan.limit, extent.endurance);
        let listing = asker.listing().and_then(|it| extent.check(asker.query(), &it).map(|()| it));
        let (walk, position) = match &extent.resume {
            Some(cursor) if extent.up => {
                (Route::Up(Box::new(Climb::new(extent.plan.clone(), cursor.head()))), Position::resume(cursor))
            }
            Some(cursor) => {
                (Route::Down(Box::new(Walk::resume(extent.plan.clone(), cursor))), Position::resume(cursor))
            }
            None => (Route::Down(Box::new(Walk::new(extent.plan.clone()))), Position::at(extent.plan.start)),
        };
        let run = extent.part.clone().map(|part| {
            let mut run = Run::new(part, extent.plan.order);
            if let Some(cursor) = &extent.resume {
                run.resume(cursor.known().pop(), cursor.place(), cursor.seen());
            }
            run
        });
        // A total tells where to stop; without one, what is read ahead at the end is read in vain.
        let usual = if extent.plan.total == Total::OfListing { 4 } else { 2 };
        let ahead = Ahead::new(extent.prefetch.unwrap_or(usual).clamp(1, MOST));
        Self {
            asker,
            extent,
            ahead,
            run,
            listing,
            walk,
            position,
            state: State::Idle,
            pages: 0,
            counts: Counts::default(),
            told: Vec::new(),
            handle: None,
        }
    }

    /// The next page. `None` at the end.
    ///
    /// # Errors
    ///
    /// What kept the page from being read, with the [cursor](Error::cursor) to go on from. After an error that
    /// [may pass](Error::is_transient), calling again asks for the same page, after a wait inside of the call: as long as
    /// the error [says](Error::retry_after), however long that is, or else 1 s, doubled with each error in a row up to
    /// 30 s. (From the second error in a row on it's 100 ms at least, doubled up to 1 s, whatever the server says.) After
    /// any other, and after [too many in a row](super::Listing::max_consecutive_errors), the stream has ended.
    /// [`ErrorKind::Truncated`] if it ends before the listing does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the request goes on when it is called again.
    pub async fn next(&mut self) -> Option<Result<Page<Q::Item>>> {
        StreamExt::next(self).await
    }

    /// [`next`](Self::next), for `while let Some(page) = pages.try_next().await?`. `Ok(None)` at the end.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn try_next(&mut self) -> Result<Option<Page<Q::Item>>> {
        self.next().await.transpose()
    }

    /// The place behind the page that was given last. `None` if the query can't be asked for.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        let listing = self.listing.as_ref().ok()?.clone();
        let resumed = self.extent.resume.as_ref();
        let all = !self.counts.partial && !self.counts.skipped;
        let whole = self.extent.plan.start == 0 && all && resumed.is_none_or(Cursor::is_whole);
        let (anchors, totals) = match (&self.walk, resumed) {
            (Route::Down(walk), _) => (walk.anchors(), walk.tally().all_totals()),
            // On the way up nothing is learned of the way down.
            (Route::Up(_), cursor) => (&[][..], cursor.and_then(Cursor::totals)),
        };
        let strode = self.walk.strode() || resumed.is_some_and(Cursor::strode);
        let many = self.walk.gives_many() || resumed.is_some_and(Cursor::gives_many);
        Some(self.position.cursor(listing, anchors, Learned { totals, whole, many, strode }))
    }

    /// For a [part](super::Listing::part) of a listing: what its reading came to so far, for [`merge`](super::merge).
    pub fn part_read(&self) -> Option<PartRead> {
        let Route::Down(walk) = &self.walk else { return None };
        let ended = matches!(walk.end(), Some(End::Proved | End::Unproved)) && matches!(self.state, State::Ended);
        let tally = walk.tally();
        Some(self.run.as_ref()?.read(Outcome {
            ended: ended && !self.counts.cut,
            doubt: walk.doubt_beside_total(),
            totals: tally.totals,
            has_total: tally.has_total(),
            partial: self.counts.partial,
            cut: match self.verdict() {
                Verdict::Truncated(cut) => Some(cut),
                Verdict::Complete | Verdict::AsFarAsKnown(_) => None,
            },
        }))
    }

    /// How the reading went so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let tally = self.walk.tally();
        Summary {
            seen: self.counts.given,
            late: self.counts.late,
            unreadable: self.counts.unreadable,
            repeats: tally.repeats,
            lost_places: tally.lost_places,
            totals: tally.totals,
            requests: tally.requests + self.ahead.dropped(),
            read_on: self.extent.since.as_ref().is_some_and(Since::reads_on),
            verdict: self.verdict(),
        }
    }

    fn verdict(&self) -> Verdict {
        let part = self.extent.part.as_ref().is_some_and(Part::is_less);
        let cut = match self.walk.end() {
            _ if !matches!(self.state, State::Ended) => Some(Cut::NotFinished),
            _ if self.counts.cut && self.run.is_some() => Some(Cut::Parts),
            _ if self.counts.cut => Some(Cut::MaxItems),
            None => Some(Cut::NotFinished),
            Some(End::Lost) => Some(Cut::Lost),
            Some(End::Emptied) => Some(Cut::Emptied),
            Some(End::MaxItems) => Some(Cut::MaxItems),
            Some(End::MaxPages) => Some(Cut::MaxPages),
            Some(End::Failed) => Some(Cut::Failed),
            Some(_) if self.counts.partial => Some(Cut::PartialErrors),
            Some(_) if part => Some(Cut::Parts),
            Some(_) if self.extent.plan.start > 0 => Some(Cut::StartOffset),
            Some(_) if self.extent.resume.as_ref().is_some_and(|it| !it.is_whole()) => Some(Cut::EarlierPart),
            Some(End::Proved | End::Unproved | End::Since | End::Grew) => None,
        };
        if let Some(cut) = cut {
            return Verdict::Truncated(cut);
        }
        let before = self.extent.resume.as_ref().map_or(0, Cursor::seen);
        let doubt = match self.walk.end() {
            Some(End::Since) => Some(Doubt::Since),
            Some(End::Grew) => Some(Doubt::GrewAtEnd),
            end => match &self.walk {
                Route::Down(walk) => walk.doubt(before),
                Route::Up(_) if end == Some(End::Unproved) => Some(Doubt::SingleRecords),
                Route::Up(_) => Some(Doubt::OnlyNewer),
            },
        };
        doubt.map_or(Verdict::Complete, Verdict::AsFarAsKnown)
    }

    /// A handle to the summary, that stays when this is given to an adaptor.
    pub(super) fn handle(&mut self) -> SummaryHandle {
        let summary = self.summary();
        self.handle.get_or_insert_with(|| SummaryHandle(Arc::new(Mutex::new(summary)))).clone()
    }

    pub(super) fn report(&self) {
        if let Some(handle) = &self.handle {
            *handle.0.lock().unwrap_or_else(PoisonError::into_inner) = self.summary();
        }
    }

    pub(super) fn with_cursor(&self, error: Error) -> Error {
        // Of a reading that can't be begun, the place is where it was to go on.
        error.with_cursor(self.cursor().or_else(|| self.extent.resume.clone()))
    }

    /// Asks for a window, unless that was done already, and for those that come behind it.
    fn begin(&mut self, window: Window) -> Asked<Q::Item> {
        if self.asker.is_failing() {
            // This one alone is asked for again; those behind it stay.
            self.walk.comes_early(false);
            return self.asker.ask(window);
        }
        let early = self.ahead.take(window);
        self.walk.comes_early(early.is_some());
        if let Some(forecast) = self.walk.forecast() {
            let windows = self.windows_left(forecast.step);
            self.ahead.read(window, forecast, windows, |window, sent| self.asker.ask_ahead(window, sent));
        }
        match early {
            Some(task) => Box::pin(task),
            None => self.asker.ask(window),
        }
    }

    /// How many windows more are wanted behind the next one, if each brings so many records.
    fn windows_left(&self, step: u64) -> u64 {
        let pages = self.extent.max_pages.map(|most| most.saturating_sub(self.pages + 1));
        // One more than it is to have, to see what comes behind it.
        let part = self.run.as_ref().and_then(Run::left).map(|left| left / step);
        let items = self.extent.max_items.map(|most| most.saturating_sub(self.counts.given).saturating_sub(1) / step);
        [pages, part, items].into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    /// What of an answer is new.
    fn take(&mut self, window: Window, listed: Listed<Entry<Q::Item>>) -> Batch<Q::Item> {
        self.counts.partial |= !listed.errors.is_empty();
        let mut ids: Vec<Identity> = Vec::with_capacity(listed.records.len());
        for entry in &listed.records {
            ids.push(match entry {
                Entry::Record(record) => Q::identity(record),
                Entry::Unreadable(record) => {
                    let id = Identity::of_raw(record.raw(), ids.last());
                    // The first of an answer is the last that was known, as a rule; what stood before it isn't seen.
                    let unseen = ids.is_empty() && window.offset > 0;
                    let same = self.walk.alike(&id).filter(|_| unseen).cloned();
                    if same.is_some() {
                        self.walk.guessed();
                    }
                    same.unwrap_or(id)
                }
            });
        }
        let received = ids.len();
        let from_head = self.walk.is_on_head();
        let give = self.walk.observe(&ids, listed.total);
        self.asker.transport().tell(Event::PageRead(PageRead {
            call: self.asker.call(),
            offset: window.offset,
            limit: window.limit,
            received,
            new: give.iter().filter(|it| **it != Give::No).count(),
            total: listed.total,
        }));
        let mut records: Vec<_> = ids
            .into_iter()
            .zip(listed.records)
            .zip(give)
            .filter(|(_, give)| *give != Give::No)
            .map(|((id, entry), give)| Given { entry: Some(entry), id, give, from_head })
            .collect();
        if self.walk.is_up() {
            records.reverse();
        }
        if self.extent.part.as_ref().is_some_and(Part::is_less) && self.walk.is_anew() {
            // What comes from the head isn't of this part, and doesn't follow what was given: it ends here, and the rest of it
            // is to be read again.
            self.counts.cut = true;
            records.clear();
        }
        if let Some(since) = &mut self.extent.since {
            for record in &mut records {
                let time = match &record.entry {
                    Some(Entry::Record(record)) => Q::time_of(record),
                    _ => None,
                };
                match time {
                    Some(time) if !since.wants(time, matches!(record.give, Give::Next(_))) => record.entry = None,
                    Some(_) => {}
                    None => since.miss(),
                }
            }
            if since.is_past() {
                self.walk.stop(End::Since);
            }
        }
        Batch { window, records, received, total: listed.total, errors: listed.errors }
    }

    /// Gives a record: from here on the cursor is behind it. `None` if there's nothing to give.
    pub(super) fn give(&mut self, given: Given<Q::Item>) -> Option<Entry<Q::Item>> {
        // Behind one that was withheld nothing is given, and the place stays before it.
        self.counts.cut |= given.entry.is_some() && self.has_all_items();
        if self.counts.cut {
            return None;
        }
        let Some(entry) = given.entry else {
            // The place stays before what is passed over, so that a reading that wants older ones can go on from it.
            self.counts.held = true;
            return None;
        };
        self.counts.skipped |= self.counts.held && matches!(given.give, Give::Next(_));
        if let Some(run) = &mut self.run {
            match given.give {
                Give::Next(_) if run.is_full() => {
                    run.hold(&given.id);
                    self.counts.cut = true;
                    return None;
                }
                Give::Next(place) => run.give(&given.id, place),
                Give::Late | Give::No => run.give_late(),
            }
        }
        // What came late is given late again by a walk that goes on from here, and what is newer is none of its.
        let up = self.walk.is_up();
        if !given.from_head && !up {
            self.position.seen = self.position.seen.saturating_add(1);
        }
        match given.give {
            Give::Next(_) if up => self.position.rise(&given.id),
            Give::Next(place) => self.position.advance(given.id, place),
            Give::Late | Give::No => {}
        }
        let late = given.give == Give::Late && given.from_head;
        self.counts.given += 1;
        self.counts.late += u64::from(late);
        self.counts.unreadable += u64::from(matches!(entry, Entry::Unreadable(_)));
        Some(entry)
    }

    fn has_all_items(&self) -> bool {
        self.extent.max_items.is_some_and(|most| self.counts.given >= most)
    }

    fn is_full(&self) -> Option<End> {
        let pages = self.extent.max_pages.is_some_and(|most| self.pages >= most);
        self.has_all_items().then_some(End::MaxItems).or(pages.then_some(End::MaxPages))
    }

    pub(super) fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Batch<Q::Item>>>> {
        loop {
            match &mut self.state {
                State::Ended => return Poll::Ready(None),
                State::Idle => {
                    if let Err(error) = &self.listing {
                        let error = error.clone();
                        self.walk.stop(End::Failed);
                        self.state = State::Ended;
                        return Poll::Ready(Some(Err(self.with_cursor(error))));
                    }
                    if self.walk.end().is_none()
                        && let Some(end) = self.is_full()
                    {
                        self.walk.stop(end);
                    }
                    match self.walk.window() {
                        Some(window) if !self.counts.cut => self.state = State::Asking(window, self.begin(window)),
                        _ => {
                            self.ahead.clear();
                            self.state = State::Ended;
                            if let Some(error) = self.walk.end().and_then(truncated) {
                                return Poll::Ready(Some(Err(self.with_cursor(error))));
                            }
                        }
                    }
                }
                State::Asking(window, request) => {
                    let window = *window;
                    let answer = ready!(request.as_mut().poll(cx));
                    self.state = State::Idle;
                    match answer {
                        Ok(listed) => {
                            if self.asker.succeeded() {
                                self.ahead.again(|window, sent| self.asker.ask_ahead(window, sent));
                            }
                            let batch = self.take(window, listed);
                            let told = self.told == batch.errors;
                            self.told.clone_from(&batch.errors);
                            if !batch.records.is_empty() || !told {
                                self.pages += 1;
                                return Poll::Ready(Some(Ok(batch)));
                            }
                        }
                        Err(error) => {
                            let error = self.asker.failed(error);
                            if !error.is_transient() {
                                self.ahead.clear();
                                self.walk.stop(End::Failed);
                                self.state = State::Ended;
                            }
                            return Poll::Ready(Some(Err(self.with_cursor(error))));
                        }
                    }
                }
            }
        }
    }
}

impl<Q: Paginate> Stream for Pages<Q> {
    type Item = Result<Page<Q::Item>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let page = loop {
            match ready!(this.poll_batch(cx)) {
                Some(Ok(batch)) => {
                    let given: Vec<_> = batch.records.into_iter().filter_map(|it| this.give(it)).collect();
                    if given.is_empty() && batch.errors.is_empty() {
                        continue;
                    }
                    let listed = Listed { records: given, total: batch.total, errors: batch.errors };
                    break Some(Ok(Page::of(batch.window, listed, batch.received, this.asker.query().total())));
                }
                Some(Err(error)) => break Some(Err(error)),
                None => break None,
            }
        };
        this.report();
        Poll::Ready(page)
    }
}

fn truncated(end: End) -> Option<Error> {
    let why = match end {
        End::Lost => "the place in it could not be found again, or nothing new came, for too many requests",
        End::Emptied => "it was emptied while it was read",
        _ => return None,
    };
    Some(Error::new(ErrorKind::Truncated, format!("the listing was not read to its end: {why}")))
}

impl<Q: Paginate> fmt::Debug for Pages<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("query", self.asker.query())
            .field("summary", &self.summary())
            .finish_non_exhaustive()
    }
}

/// Tells how a reading goes, while its stream is elsewhere: see [`Items::summarised`](super::Items::summarised).
#[derive(Clone, Debug)]
pub struct SummaryHandle(Arc<Mutex<Summary>>);

impl SummaryHandle {
    /// How the reading went, up to the last record that was given. Until the stream has given its `None`, or the error that
    /// ends it, the verdict is that it [isn't finished](Cut::NotFinished).
    #[must_use]
    pub fn get(&self) -> Summary {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
