//! A listing endpoint with its settings: how much of it to scan, and how.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::client::call::Call;
use crate::client::methods::call_options;
use crate::page::fetch::requester::request;
use crate::page::settings::Settings;
#[cfg(all(test, feature = "testing"))]
use crate::page::walk::plan::Rules;
use crate::page::{Collected, Cursor, GrowingEnd, Growth, Items, Page, Pages, Paginate, Stability, Window, WithRaw};
use crate::transport::Transport;

/// A listing endpoint with its settings. It sends nothing yet.
///
/// Request one page of it with [`page`](Self::page), or scan all of it: as a stream of pages ([`pages`](Self::pages)),
/// as a stream of records ([`items`](Self::items)), or into memory ([`collect`](Self::collect)). A *scan* is the
/// sequence of requests that reads a listing from its start, or from a [`Cursor`], to its end.
#[derive(Clone, Debug)]
#[must_use = "a listing sends nothing until you call `page`, `pages`, `items` or `collect`"]
pub struct Listing<Q: Paginate> {
    pub(super) transport: Transport,
    pub(super) query: Q,
    pub(super) settings: Settings,
}

impl<Q: Paginate> Listing<Q> {
    pub(crate) fn new(transport: Transport, query: Q) -> Self {
        Self { transport, query, settings: Settings::default() }
    }

    /// Sets how many records to request per page. The default is the largest page size that the API documents, or 50
    /// for Unleash, which documents none.
    ///
    /// Pages of one record can't overlap: with a page size of 1 no verdict is
    /// [`Complete`](crate::page::Verdict::Complete).
    ///
    /// A size that the API doesn't take (0, or more than its maximum) fails with
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) when the listing is requested, before anything is sent.
    pub fn page_size(mut self, records: u32) -> Self {
        self.settings.page_size = Some(records);
        self
    }

    /// Starts after this many records instead of at the head of the listing.
    pub fn start_offset(mut self, records: u64) -> Self {
        self.settings.start = records;
        self
    }

    /// Yields at most this many records, invalid ones included.
    pub fn max_items(mut self, records: u64) -> Self {
        self.settings.max_items = Some(records);
        self
    }

    /// Yields at most this many pages.
    pub fn max_pages(mut self, pages: u64) -> Self {
        self.settings.max_pages = Some(pages);
        self
    }

    call_options!(
        |it| it.settings.options,
        spans: "one page",
        sends: "the requests of this listing",
        example: r#"client.action_set_events().list(("default", 7))"#
    );

    /// Returns the query.
    pub fn query(&self) -> &Q {
        &self.query
    }

    /// Yields only the records whose [`timestamp`](Paginate::timestamp) is after `time`.
    ///
    /// The scan stops early, without reading the whole of a long log, as soon as it reaches a record that is older than
    /// `time` by more than the [tolerance](Self::since_tolerance). It does so only while the timestamps descend, the
    /// newest first. Otherwise it scans to the end, yields the records that are new enough, and sets
    /// [`Summary::scanned_to_end`](crate::page::Summary::scanned_to_end). Records without a timestamp and invalid
    /// records are always yielded.
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
    /// This is meant for listings that start with the newest record. A listing that starts with the oldest record, or
    /// whose records all have the same timestamp, is scanned to its end.
    ///
    /// A listing whose records have no timestamp fails with [`InvalidRequest`](crate::ErrorKind::InvalidRequest),
    /// before anything is sent.
    pub fn since(mut self, time: DateTime<Utc>) -> Self {
        self.settings.since = Some(time);
        self
    }

    /// Sets how much older than the limit a record must be before [`since`](Self::since) stops the scan. The default is
    /// 5 minutes.
    ///
    /// Servers that run on several clocks log records slightly out of order.
    pub fn since_tolerance(mut self, tolerance: Duration) -> Self {
        self.settings.since_tolerance = tolerance;
        self
    }

    /// Resumes a scan behind the position of `cursor`.
    ///
    /// The scan may yield some records again that were delivered before the cursor: see
    /// [`guarantees`](crate::guarantees#cursors). It skips none but in [these
    /// cases](crate::guarantees#what-may-be-skipped). The query must be the one that the cursor was made with. For any
    /// other query the scan fails with [`InvalidRequest`](crate::ErrorKind::InvalidRequest), which names the
    /// differences, before anything is sent. Limits (`max_items`, `max_pages`, `since`) count from here. A start offset
    /// and a cursor exclude each other.
    ///
    /// The cursor of a scan with `since` stands behind the last record that was new enough. If that scan passed over
    /// older records before it, a scan that resumes from the cursor is not `Complete`.
    pub fn resume(mut self, cursor: Cursor) -> Self {
        self.settings.resume = Some(cursor);
        self.settings.toward_head = false;
        self
    }

    /// Yields only the records that were added at the head of the listing since the scan of `cursor` started, *oldest
    /// first*.
    ///
    /// Use this for a listing whose newest records come first. Scan all of it once, keep the cursor, and request what
    /// is newer from time to time: in the order in which it happened, and in bounded memory. The new
    /// [cursor](Items::cursor) stands behind the newest record that was yielded. The next call starts from there. It
    /// may repeat records, and skips none but in [these cases](crate::guarantees#newer-records). If all of the 64
    /// records are gone that the cursor remembers at the head, the call fails with
    /// [`Incomplete`](crate::ErrorKind::Incomplete).
    ///
    /// The call fails with [`InvalidRequest`](crate::ErrorKind::InvalidRequest), before anything is sent, where new
    /// records are added at the listing's [end](Growth::AtEnd), or where it is [undocumented](Growth::Unknown) at which
    /// end they are added: see [`growth`](Self::growth).
    ///
    /// Finding the position costs one request per page of newer records, and reading them a little more. A record that
    /// changed without moving is not yielded again.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{UnleashClient, testing::FakeServer};
    ///
    /// let server = FakeServer::new();
    /// server.unleash().add_sample_events("default", 7, 120);
    /// let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let client = client.build()?;
    /// let listing = client.action_set_events().list(("default", 7));
    ///
    /// let all = listing.clone().collect().await;
    /// server.unleash().add_sample_events("default", 7, 3);
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
        self.settings.toward_head = true;
        self
    }

    /// Sets whether records keep their positions relative to each other, where you know more than the API's reference
    /// says.
    ///
    /// Only a listing of [`Stability::Stable`] can be [`Complete`](crate::page::Verdict::Complete) by one scan, and
    /// only such a listing needs no second look at its head. Arklow's order is undocumented. The order of the
    /// integration logs is stable if they are sorted by a unique key that doesn't change; this is documented for `_id`.
    ///
    /// A key that several records share, such as a time or a status, doesn't make the order stable: the server may list
    /// the records that share a value in another order at each request. Don't set `Stable` then. Of 400 records sorted
    /// by a key that five share each, most scans that were set to `Stable` lost some. With a total the verdict was
    /// [`TotalDiffers`](crate::page::Doubt::TotalDiffers); without one nothing reported the loss.
    pub fn stability(mut self, stability: Stability) -> Self {
        self.settings.stability = Some(stability);
        self
    }

    /// Sets how many record keys the scan remembers to recognize repeats. The default is 10,000, the minimum two pages.
    ///
    /// This bounds the memory of the scan. If records move back and forth over a longer distance, one may be yielded
    /// twice.
    pub fn dedup_window(mut self, records: usize) -> Self {
        self.settings.dedup_window = records;
        self
    }

    /// Sets how many unproductive requests (no new record) the scan may make beyond its productive ones before it stops
    /// with [`Incomplete`](crate::ErrorKind::Incomplete). The default is 200.
    ///
    /// Unproductive requests are those at the end of a listing, those that look for a lost position, and those whose
    /// response holds only records that were already seen. A scan of `n` records requests at most `2 n + 201` windows,
    /// whatever the server does. Failed requests don't count, and requests that were [prefetched](Self::prefetch) in
    /// vain come on top.
    pub fn max_unproductive_requests(mut self, requests: u64) -> Self {
        self.settings.max_unproductive_requests = requests;
        self
    }

    /// Sets how many pages of this listing may be in flight at once. The default is 4. 1 (or 0) requests one page after
    /// the other. The maximum is 32; a larger number is taken as 32.
    ///
    /// While the server refuses requests with a 429, or takes more than three times as long as for its fastest page,
    /// fewer are in flight: half as many after each 429 and after two slow pages in a row, and one more after every
    /// eight good ones.
    ///
    /// The first page is requested alone: it shows the server's page size and where the listing ends. The next pages
    /// are requested ahead, in Tokio tasks that end with the stream, and are yielded in order, errors included. A
    /// transient error is yielded at its page's turn, and that page is requested again, alone. After it has come, the
    /// pages behind it that failed with a transient error meanwhile are requested again without reporting it: one
    /// outage is one error.
    ///
    /// Prefetching loses no record: a prefetched page passes the same checks as any other, and when the scan has to go
    /// back, the prefetched pages are dropped and requested again. At the end of a listing without a known total, and
    /// where [`since`](Self::since) ends the scan, up to one request less than `pages` is wasted. In all, the wasted
    /// requests are at most twice the useful ones, plus 64: the more often a prediction fails, the less the scan
    /// prefetches.
    ///
    /// A scan for [newer](Self::newer_than) records doesn't prefetch.
    pub fn prefetch(mut self, pages: usize) -> Self {
        self.settings.prefetch = Some(pages);
        self
    }

    /// Sets after how many transient errors in a row the stream ends. The default is 30, which is at least 12 minutes
    /// of waits unless the server asks for shorter ones. `None` sets no limit. 0 counts as 1.
    ///
    /// The last of these errors says so and is no longer [transient](crate::Error::is_transient). The stream ends with
    /// it, and its cursor says where to resume. Each error stands for one page with all of its attempts. A page that
    /// succeeds resets the count.
    pub fn max_consecutive_errors(mut self, errors: impl Into<Option<u32>>) -> Self {
        self.settings.error_tolerance.errors = errors.into();
        self
    }

    /// Sets for how long a stream treats a 401 or 403 as transient after at least one page has succeeded. The default
    /// is 10 minutes for Unleash, which rejects valid tokens while its database is down, and zero for the others.
    ///
    /// The time starts at the first 401 or 403 after a page that succeeded. The number of errors in a row is
    /// [limited separately](Self::max_consecutive_errors).
    pub fn auth_grace(mut self, time: Duration) -> Self {
        self.settings.error_tolerance.auth_grace = Some(time);
        self
    }

    /// Sets at which end of the listing new records are added, where you know more than the API's reference says.
    ///
    /// Only a listing that grows at its head can be scanned for [newer](Self::newer_than) records. Unleash's events
    /// grow there, and so do the integration logs in their default order, or sorted by `createdAt`, newest first.
    /// Arklow's order is undocumented. Sorted by anything else, new integration logs appear anywhere. For such a
    /// listing `newer_than` fails until you set [`Growth::AtHead`]. If you set it and the newest records don't come
    /// first, new records are not delivered, and nothing reports it.
    pub fn growth(mut self, growth: Growth) -> Self {
        self.settings.growth = Some(growth);
        self
    }

    /// Sets what to do if the listing grows at the end that the scan runs to. The default is
    /// [`GrowingEnd::StopBehindStart`].
    ///
    /// A log that is listed oldest first may grow as fast as it is scanned, so that the scan never reaches its end.
    /// Once a page has grown twice while it was requested again, everything that stood in the listing at the start of
    /// the scan has been delivered. The scan then ends as [`GrewAtEnd`](crate::page::Doubt::GrewAtEnd), with a cursor
    /// to resume from; without a total, as [`EndUnproved`](crate::page::Doubt::EndUnproved). In a log that grows by a
    /// page or more between two requests, the total of the first response ends the scan, eight pages behind that total:
    /// as `GrewAtEnd` if new records come at an end only ([`growth`](Self::growth)), and else as `EndUnproved`. Without
    /// a total only [`max_items`](Self::max_items) ends it.
    pub fn growing_end(mut self, end: GrowingEnd) -> Self {
        self.settings.growing_end = end;
        self
    }

    #[cfg(all(test, feature = "testing"))]
    pub(super) fn rules(mut self, rules: Rules) -> Self {
        self.settings.rules = rules;
        self
    }

    /// Requests one page, at the start offset. Await the call to send it.
    ///
    /// The settings of a scan (a cursor, `since`, `max_items`, `max_pages`) don't apply to it.
    ///
    /// A page promises nothing about the next one: records may be added or removed between two requests.
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
        let window = Window { offset: self.settings.start, limit: self.settings.limit(&self.query) };
        let total = self.query.total_scope();
        let request = self.query.window(request(&self.query, window.limit), window).with_page_size(window.limit);
        let request = request.map(move |listed| {
            let received = listed.records.len();
            Page::of(window, listed, received, total)
        });
        Call::new(self.transport, request).with_options(self.settings.options)
    }

    /// Scans all pages, as a stream. Nothing is sent until it is polled.
    pub fn pages(self) -> Pages<Q> {
        Pages::new(self.transport, self.query, self.settings)
    }

    /// Scans all records, as a stream. Nothing is sent until it is polled.
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

    /// Scans all records into memory, and returns them with a summary of the scan.
    ///
    /// The records that were read are kept in any case: an error that remains after the retries stands beside them, and
    /// so does the cursor to resume from.
    ///
    /// **At most a million records** are collected, or as many as [`max_items`](Self::max_items) of this listing or
    /// [`max_collected`](crate::ClientBuilder::max_collected) of the client allows. At that limit the verdict is
    /// [`Incomplete(MaxItems)`](crate::page::Cause::MaxItems), and the cursor resumes there. Read a long log as a
    /// stream instead, which keeps nothing.
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
        Collected::of(self.items().with_invalid()).await
    }

    /// Keeps the raw JSON of each record beside it, as the server sent it: for an export that writes exactly that, or
    /// for fields that this crate doesn't model.
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
}
