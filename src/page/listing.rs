use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue};

use super::ask::{Endurance, request};
use super::cursor::Fingerprint;
use super::extent::Extent;
use super::part::Part;
use super::since::Since;
use super::walk::{Plan, Rules};
use super::{Collected, Cursor, GrowingEnd, Growth, Items, Order, Page, Pages, Paginate, Total, Window, WithRaw};
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{CallOptions, RetryPolicy, Transport};

/// How many identities are remembered unless set.
const REMEMBERED: usize = 10_000;

/// How many more requests may bring nothing than bring something, unless set.
const BUDGET: u64 = 200;

/// A listing, before anything of it is asked for.
///
/// Take one page of it ([`page`](Self::page)), or all of it: as a stream by pages ([`pages`](Self::pages)) or by records
/// ([`items`](Self::items)), or at once ([`collect`](Self::collect)).
#[derive(Clone, Debug)]
#[must_use = "a listing does nothing until a page, or a stream of it, is asked for"]
pub struct Listing<Q: Paginate> {
    transport: Transport,
    query: Q,
    settings: Settings,
}

/// What is set of a listing, whatever its records are read as.
#[derive(Clone, Debug)]
struct Settings {
    options: CallOptions,
    page_size: Option<u32>,
    start: u64,
    max_items: Option<u64>,
    max_pages: Option<u64>,
    since: Option<Since>,
    /// Kept beside `since`, so that either can be set first.
    slack: Option<Duration>,
    resume: Option<Cursor>,
    up: bool,
    remembered: usize,
    budget: u64,
    order: Option<Order>,
    part: Option<Part>,
    prefetch: Option<usize>,
    endurance: Endurance,
    growing_end: GrowingEnd,
    growth: Option<Growth>,
    rules: Rules,
}

impl<Q: Paginate> Listing<Q> {
    pub(crate) fn new(transport: Transport, query: Q) -> Self {
        let settings = Settings {
            options: CallOptions::default(),
            page_size: None,
            start: 0,
            max_items: None,
            max_pages: None,
            since: None,
            slack: None,
            resume: None,
            up: false,
            remembered: REMEMBERED,
            budget: BUDGET,
            order: None,
            part: None,
            prefetch: None,
            endurance: Endurance::default(),
            growing_end: GrowingEnd::default(),
            growth: None,
            rules: Rules::ALL,
        };
        Self { transport, query, settings }
    }

    /// How many records to ask for at once. The most that the API documents unless set; 50 for Unleash, which documents
    /// none.
    ///
    /// Pages of one record can't overlap: with a page size of 1 nothing is ever called complete.
    ///
    /// What it doesn't take (0, or more than that) is told when the listing is asked for, before anything is sent.
    pub fn page_size(mut self, records: u32) -> Self {
        self.settings.page_size = Some(records);
        self
    }

    /// Begins behind this many records instead of at the head.
    pub fn start_offset(mut self, records: u64) -> Self {
        self.settings.start = records;
        self
    }

    /// Gives at most this many records, unreadable ones counted.
    pub fn max_items(mut self, records: u64) -> Self {
        self.settings.max_items = Some(records);
        self
    }

    /// Gives at most this many pages.
    pub fn max_pages(mut self, pages: u64) -> Self {
        self.settings.max_pages = Some(pages);
        self
    }

    /// How long one attempt at a page may take, for this listing: `None` for as long as it takes.
    pub fn attempt_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.options.attempt = Some(limit.into());
        self
    }

    /// How long one page may take with all attempts at it, for this listing: `None` for as long as it takes.
    pub fn operation_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.options.operation = Some(limit.into());
        self
    }

    /// How often and how soon failed attempts at a page are repeated, for this listing.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.options.retry = Some(policy);
        self
    }

    /// Adds a header to the requests of this listing: see [`Call::header`].
    pub fn header(mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) -> Self {
        self.settings.options.headers.set(name, value);
        self
    }

    /// The query.
    pub fn query(&self) -> &Q {
        &self.query
    }

    /// Only records newer than this: those whose time, as [`Paginate::time_of`] tells it, is after `time`.
    ///
    /// Stops asking for pages once the listing has gone past it, which saves reading the whole of a long log for its
    /// newest part; that is, once a record came that is older by more than the [slack](Self::slack), and as long as the
    /// records came in the order of their times, the newest first. If they don't, it reads on to the end and gives those
    /// that are newer; [`Summary::read_on`](super::Summary::read_on) says so. Records without a time, and unreadable
    /// ones, are given.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use chrono::Utc;
    ///
    /// # async fn example(client: actionlog::IntegrationClient) -> actionlog::Result<()> {
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// let today = client.logs().list(()).since(Utc::now() - day).collect().await;
    /// println!("{}", today.items.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It is meant for listings that begin with the newest. In one that begins with the oldest, or whose records all
    /// have the same time, it reads on to the end.
    ///
    /// A listing whose records bear no time refuses, before anything is sent.
    pub fn since(mut self, time: DateTime<Utc>) -> Self {
        self.settings.since = Some(Since::new(time, self.settings.slack.unwrap_or(Since::SLACK)));
        self
    }

    /// How much older than asked for a record must be before [`since`](Self::since) stops: 5 minutes unless set.
    ///
    /// Records are logged a little out of order by servers that have several clocks.
    pub fn slack(mut self, slack: Duration) -> Self {
        self.settings.slack = Some(slack);
        self.settings.since = self.settings.since.map(|it| it.with_slack(slack));
        self
    }

    /// Goes on behind the place of a cursor.
    ///
    /// Records may be given again that were given before it, and none is skipped: see
    /// [`guarantees`](crate::guarantees#cursors). It goes on with the query of the cursor; for another it's refused,
    /// with what differs, before anything is sent. What limits a reading (most records, most pages, `since`) counts
    /// from here; a start offset and a cursor exclude each other. The place of a reading with `since` is behind the
    /// last record that was new enough; where it passed over older ones before that, one that goes on from it isn't
    /// called complete.
    pub fn resume(mut self, cursor: Cursor) -> Self {
        self.settings.resume = Some(cursor);
        self.settings.up = false;
        self
    }

    /// Only what came to the head of the listing since a cursor's reading began, the *oldest first*.
    ///
    /// For a listing whose newest records come first: read all of it once, keep the cursor, and ask from time to time
    /// for what is newer, in the order in which it happened and in bounded memory. The new [cursor](Items::cursor) is
    /// behind the newest record that was given: the next time goes on from there. It may repeat records, and skips
    /// none; if all of the 64 records are gone that the cursor knows at the head, it fails with
    /// [`Truncated`](crate::ErrorKind::Truncated).
    ///
    /// It is refused before anything is sent where new records come to the listing's [end](Growth::AtEnd), or where it
    /// [isn't known](Growth::Unknown) which end they come to: see [`growth`](Self::growth).
    ///
    /// Looking for the place costs a request for each page of what is newer, and reading it a little more. A record that
    /// changed and stands where it stood isn't given again.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{UnleashClient, testing::World};
    ///
    /// let world = World::new();
    /// world.unleash().add_sample_events("default", 7, 120);
    /// let client = UnleashClient::builder("http://localhost").api_key("any").exchange(world.exchange()).build()?;
    /// let listing = client.action_set_events().list(("default", 7));
    ///
    /// let all = listing.clone().collect().await;
    /// world.unleash().add_sample_events("default", 7, 3);
    ///
    /// let Some(cursor) = all.cursor else { return Ok(()) };
    /// let newer = listing.newer_than(cursor).collect().await;
    /// let ids: Vec<i64> = newer.items.iter().map(|it| *it.id.get()).collect();
    /// assert_eq!(ids.len(), 3);
    /// assert!(ids.is_sorted());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub fn newer_than(mut self, cursor: Cursor) -> Self {
        self.settings.resume = Some(cursor);
        self.settings.up = true;
        self
    }

    /// Cuts the listing into so many parts, to be read apart from each other: by jobs on several machines, say.
    ///
    /// Asks for one page, to see the total and how much the server gives at once. The parts are serde values for
    /// whoever reads them, by [`part`](Self::part); what the readings come to is put together by
    /// [`merge`](super::merge), which says whether it was all, and what has to be read again. Each part is a number of
    /// whole pages, so there may be fewer parts than asked for. The last one reads on to the listing's end, wherever
    /// that is by then.
    ///
    /// Records that move while the parts are read may be missed, as by any reading; and there is no head to read again
    /// here that would tell. The fewer minutes lie between the parts' readings, the fewer have to be read again.
    ///
    /// # Errors
    ///
    /// What kept the page from being read; [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if the server gives no
    /// total: see [`parts_of`](Self::parts_of).
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::page::{Order, Total, merge};
    /// use actionlog::{IntegrationClient, testing::World};
    ///
    /// let world = World::new();
    /// world.integration().add_sample_logs(2_000);
    /// let client = IntegrationClient::builder("http://localhost").api_key("any").exchange(world.exchange());
    /// let client = client.total_means(Total::OfListing).build()?;
    /// let listing = client.logs().list(()).order(Order::Fixed);
    ///
    /// let mut reads = Vec::new();
    /// let mut parts = listing.split(4).await?;
    /// let merged = loop {
    ///     // Each of these could be done elsewhere.
    ///     for part in parts {
    ///         let read = listing.clone().part(part).collect().await;
    ///         println!("{} records", read.items.len());
    ///         if let Some(error) = &read.error {
    ///             eprintln!("a part broke off: {error}");
    ///         }
    ///         reads.extend(read.part_read);
    ///     }
    ///     let merged = merge(&reads)?;
    ///     if merged.again.is_empty() {
    ///         break merged;
    ///     }
    ///     parts = merged.again;
    /// };
    /// assert!(merged.verdict.is_complete());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub async fn split(&self, parts: usize) -> Result<Vec<Part>> {
        let listing = self.fingerprint()?;
        let first = Self { settings: Settings { start: 0, ..self.settings.clone() }, ..self.clone() }.page().await?;
        let pages_of = (first.entries.len() as u64).saturating_sub(1).max(1);
        let total = match self.query.total() {
            Total::OfPage => None,
            Total::Open | Total::OfListing => first.total,
        };
        let Some(total) = total else {
            let why = "the server gives no total to cut the listing by: use parts_of";
            return Err(Error::new(ErrorKind::InvalidRequest, why));
        };
        // As many whole pages each as make one record more than the part: that one shows whether it meets the next.
        let parts = u64::try_from(parts).unwrap_or(u64::MAX).max(1);
        let size = total.div_ceil(parts).div_ceil(pages_of).max(1).saturating_mul(pages_of);
        let offsets = (0..parts).map(|it| it.saturating_mul(size));
        let offsets = offsets.take_while(|offset| *offset == 0 || offset.saturating_add(1) < total);
        let offsets: Vec<_> = offsets.collect();
        let part = |(index, offset): (usize, &u64)| {
            Part::new(listing.clone(), *offset, (index + 1 < offsets.len()).then_some(size))
        };
        Ok(offsets.iter().enumerate().map(part).collect())
    }

    /// Parts of so many records each, without an end and without asking the server: for an API that gives no total.
    ///
    /// Hand out some, and more as long as none of those that were read [is the last](super::PartRead::is_last).
    /// [`merge`](super::merge) then says whether they are all; without a total it's never for certain. One that failed
    /// isn't the last, so look at its error before handing out more.
    ///
    /// Windows overlap by a record, so that parts of a multiple of one less than the page size take the fewest
    /// requests: 49, 98 or 196 where pages have 50. Pages don't become smaller for a small part: what comes beyond it
    /// is fetched in vain. Parts of 1 (0 is taken for that) prove nothing, as a last record that stands alone could be
    /// one of a server that gives no more.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if the query can't be asked for.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::page::merge;
    /// use actionlog::{UnleashClient, testing::World};
    ///
    /// let world = World::new();
    /// world.unleash().add_sample_events("default", 7, 500);
    /// let client = UnleashClient::builder("http://localhost").api_key("any").exchange(world.exchange()).build()?;
    /// let listing = client.action_set_events().list(("default", 7));
    ///
    /// let mut reads = Vec::new();
    /// for part in listing.parts_of(196)? {
    ///     let read = listing.clone().part(part).collect().await;
    ///     if let Some(error) = read.error {
    ///         return Err(error);
    ///     }
    ///     reads.extend(read.part_read);
    ///     if reads.last().is_some_and(|it| it.is_last()) {
    ///         break;
    ///     }
    /// }
    /// println!("{}", merge(&reads)?.verdict);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub fn parts_of(&self, records: u64) -> Result<impl Iterator<Item = Part> + use<Q>> {
        let (listing, records) = (self.fingerprint()?, records.max(1));
        Ok((0..).map(move |it: u64| Part::new(listing.clone(), it.saturating_mul(records), Some(records))))
    }

    /// Reads a part of the listing, and no more: see [`split`](Self::split).
    ///
    /// What the reading came to, for [`merge`](super::merge), is in
    /// [`Collected::part_read`](super::Collected::part_read), or [told by the stream](Items::part_read): keep it,
    /// whatever ended the reading. To go on with a part that was not read to its end, give both the part and its
    /// [cursor](Self::resume), and keep both `PartRead`s. (Lost with a job that died, the first of them is missed: what
    /// was read until then is named to be read again. So store it when you store the cursor.)
    ///
    /// A part of another listing is refused when it's asked for; so are `since` and `newer_than` beside it. A start
    /// offset has no meaning for it.
    pub fn part(mut self, part: Part) -> Self {
        self.settings.part = Some(part);
        self
    }

    fn fingerprint(&self) -> Result<Fingerprint> {
        Fingerprint::of(self.transport.base().origin(), &self.query.request())
    }

    /// Says whether records keep their places relative to each other, if you know better than the API's reference.
    ///
    /// Only a listing of [`Order::Fixed`] can be read [completely](super::Verdict::Complete), and it needn't read its
    /// head again. Arklow's order isn't documented. The integration logs' is fixed if they are sorted by a key that is
    /// unique and doesn't change, and known to be so for `_id`.
    ///
    /// A key that several records share, as a time or a status, doesn't fix the order: a server may list the records that
    /// share it in another order at each request. Don't call it fixed then. Of 400 records sorted by a key that five
    /// share each, most scans that were told `Fixed` lost some; with a total, the verdict was
    /// [`TotalDiffers`](super::Doubt::TotalDiffers), and without one nothing told.
    pub fn order(mut self, order: Order) -> Self {
        self.settings.order = Some(order);
        self
    }

    /// How many records are remembered for recognising them: 10,000 unless set, and two pages at least.
    ///
    /// Memory is bounded by it. If records are moved back and forth over more than these, one may be given twice.
    pub fn remember(mut self, records: usize) -> Self {
        self.settings.remembered = records;
        self
    }

    /// How many more requests may bring nothing new than bring something before the reading gives up, with
    /// [`Truncated`](crate::ErrorKind::Truncated): 200 unless set.
    ///
    /// Requests that bring nothing are those at a listing's end, those that go back for a place that was lost, and
    /// those that the server answers with what is known. A reading of `n` records asks for at most `2 n + 201` windows,
    /// whatever the server does; failed requests aren't counted, and what was [read ahead](Self::prefetch) in vain
    /// comes on top.
    pub fn budget(mut self, requests: u64) -> Self {
        self.settings.budget = requests;
        self
    }

    /// How many pages of this listing may be under way at once: 4 unless set where the API's total may be believed, and 2
    /// where not. 1 (or 0) reads one page after the other; 32 is the most, and more is taken for that.
    ///
    /// The first page is asked for alone, as it shows how much the server gives and where the listing ends. Then the
    /// next ones are asked for before they are wanted, in tasks of their own, that end with the stream. They are given
    /// in order, errors too: one that may pass is told in its turn and its page asked for again, alone, and when that
    /// has come, so is what else had failed by then, without a word. So one outage is one error. Nothing is lost by it:
    /// what a page must show to be taken for the next is the same, and what was read ahead in vain, as the walk had to
    /// go back, is dropped and asked for anew. At the end of a listing whose total isn't known, and where
    /// [`since`](Self::since) ends it, up to one request less than these is made in vain. In all, those made in vain
    /// are at most twice as many as were of use, and 64: the more often it is wrong, the less it reads ahead.
    ///
    /// On the way [up](Self::newer_than) one page follows the other.
    pub fn prefetch(mut self, pages: usize) -> Self {
        self.settings.prefetch = Some(pages);
        self
    }

    /// How many errors in a row that may pass the stream goes on after: 30 unless set, which are 12 minutes of waits at
    /// least, unless the server asks for shorter ones. `None` is without limit. 0 counts as 1.
    ///
    /// The last of them says so, and isn't [transient](Error::is_transient) any more; the stream has ended with it, and its
    /// cursor is where to go on. Each is one page with all of its attempts, and a page that comes begins the count anew.
    pub fn max_consecutive_errors(mut self, errors: impl Into<Option<u32>>) -> Self {
        self.settings.endurance.errors = errors.into();
        self
    }

    /// For how long a stream takes a 401 or 403 for something that may pass, once a page came: 10 minutes unless set for
    /// Unleash, which refuses good tokens while its database is down, and not at all for the others.
    ///
    /// The time is from the first refusal after a page that came. How many errors in a row are borne is another
    /// [limit](Self::max_consecutive_errors).
    pub fn auth_grace(mut self, time: Duration) -> Self {
        self.settings.endurance.auth_grace = Some(time);
        self
    }

    /// Says which end of the listing new records come to, if you know better than the API's reference.
    ///
    /// Only a listing that grows at its head can be read for what is [newer](Self::newer_than). Unleash's events do, and the
    /// integration logs in their default order, or sorted by `createdAt`, newest first. Arklow's order isn't documented;
    /// sorted by anything else, new integration logs come anywhere. There it is refused until you say that the newest come
    /// first. If you say so and they don't, what came isn't delivered, and nothing tells.
    pub fn growth(mut self, growth: Growth) -> Self {
        self.settings.growth = Some(growth);
        self
    }

    /// What to do if the listing grows at the end that the scan runs to: [`GrowingEnd::StopBehindStart`] unless set.
    ///
    /// A log that is listed oldest first may grow as fast as it is read; then the end is never reached. Once a page was seen
    /// to grow twice while it was asked for, everything that stood there when the scan began was delivered, and the scan
    /// ends as [`GrewAtEnd`](super::Doubt::GrewAtEnd), with a cursor to go on from. A log that grows by more than a third of
    /// a page between two requests is ended by the total of the first response, eight pages behind it; without a total it
    /// has no end but that of [`max_items`](Self::max_items).
    pub fn growing_end(mut self, end: GrowingEnd) -> Self {
        self.settings.growing_end = end;
        self
    }

    #[cfg(all(test, feature = "testing"))]
    pub(super) fn rules(mut self, rules: Rules) -> Self {
        self.settings.rules = rules;
        self
    }

    /// One page, at the start offset. Await it.
    ///
    /// What is set for a reading (a cursor, `since`, the most records or pages) has no meaning for it.
    ///
    /// It promises nothing but itself: records may have come or gone when the next one is asked for.
    ///
    /// ```no_run
    /// # async fn example(client: actionlog::ArklowClient) -> actionlog::Result<()> {
    /// let page = client.records().list(()).page_size(10).page().await?;
    /// for record in page.records() {
    ///     println!("{}", record.id);
    /// }
    /// println!("more: {:?}", page.more);
    /// # Ok(())
    /// # }
    /// ```
    pub fn page(self) -> Call<Page<Q::Item>> {
        let window = Window { offset: self.settings.start, limit: self.limit() };
        let total = self.query.total();
        let request = self.query.window(request(&self.query, window.limit), window).asks_for(window.limit);
        let request = request.map(move |listed| {
            let received = listed.records.len();
            Page::of(window, listed, received, total)
        });
        Call::new(self.transport, request).with_options(self.settings.options)
    }

    /// All pages, as a stream. Nothing is asked for until it is polled.
    pub fn pages(self) -> Pages<Q> {
        let limit = self.limit();
        let Settings {
            options,
            start,
            max_items,
            max_pages,
            since,
            resume,
            up,
            remembered,
            budget,
            order,
            part,
            prefetch,
            endurance,
            growing_end,
            growth,
            rules,
            ..
        } = self.settings;
        let (total, order) = (self.query.total(), order.unwrap_or(self.query.order()));
        let start = part.as_ref().map_or(start, Part::offset);
        let plan = Plan { start, limit, total, order, remembered, budget, growing_end, rules };
        Pages::new(
            self.transport,
            self.query,
            options,
            Extent { plan, max_items, max_pages, since, resume, up, growth, part, prefetch, endurance },
        )
    }

    /// All records, as a stream. Nothing is asked for until it is polled.
    ///
    /// ```no_run
    /// # async fn example(client: actionlog::UnleashClient) -> actionlog::Result<()> {
    /// let mut events = client.action_set_events().list(("default", 7)).items();
    /// while let Some(event) = events.next().await {
    ///     println!("{}", event?.id);
    /// }
    /// println!("{}", events.summary().verdict);
    /// # Ok(())
    /// # }
    /// ```
    pub fn items(self) -> Items<Q> {
        Items::new(self.pages())
    }

    /// All records at once, with how the reading went.
    ///
    /// Whatever happens, what was read is kept: an error that the retries didn't get over is beside the records, and so
    /// is the cursor to go on from.
    ///
    /// **At most a million records** are taken, or as many as [`max_items`](Self::max_items) of this listing or
    /// [`max_collected`](crate::ClientBuilder::max_collected) of the client say: the verdict then is
    /// [`Truncated(MaxItems)`](super::Cut::MaxItems), and the cursor goes on from there. A long log is better read as a
    /// stream, which keeps nothing.
    ///
    /// ```no_run
    /// # async fn example(client: actionlog::IntegrationClient) -> actionlog::Result<()> {
    /// let logs = client.logs().list(()).collect().await;
    /// println!("{}", logs.summary.verdict);
    /// for log in logs.complete()? {
    ///     println!("{}", log.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn collect(mut self) -> Collected<Q::Item> {
        self.settings.max_items.get_or_insert(self.transport.max_collected());
        Collected::of(self.items().or_raw()).await
    }

    /// Keeps the text of each record beside it, as the server sent it: for an export that writes just that, or for fields
    /// that this crate doesn't know.
    ///
    /// ```no_run
    /// # async fn example(client: actionlog::ArklowClient) -> actionlog::Result<()> {
    /// let mut records = client.records().list(()).with_raw().items();
    /// while let Some(record) = records.next().await {
    ///     let record = record?;
    ///     println!("{}\t{}", record.id, record.raw());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_raw(self) -> Listing<WithRaw<Q>> {
        Listing { transport: self.transport, query: WithRaw::new(self.query), settings: self.settings }
    }

    fn limit(&self) -> u32 {
        self.settings.page_size.unwrap_or(self.query.page_sizes().usual)
    }
}
