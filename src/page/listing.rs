use std::time::Duration;

use super::reader::Extent;
use super::{Entry, Items, Listed, Page, Pages, Paginate, Window, WithRaw};
use crate::call::Call;
use crate::request::Request;
use crate::transport::{CallOptions, RetryPolicy, Transport};

/// A listing, before anything of it is asked for.
///
/// Take one page of it ([`page`](Self::page)), or all of it as a stream, by pages ([`pages`](Self::pages)) or by records
/// ([`items`](Self::items)).
#[derive(Clone, Debug)]
#[must_use = "a listing does nothing until a page, or a stream of it, is asked for"]
pub struct Listing<Q: Paginate> {
    transport: Transport,
    query: Q,
    options: CallOptions,
    page_size: Option<u32>,
    start: u64,
    max_items: Option<u64>,
    max_pages: Option<u64>,
}

impl<Q: Paginate> Listing<Q> {
    pub(crate) fn new(transport: Transport, query: Q) -> Self {
        Self {
            transport,
            query,
            options: CallOptions::default(),
            page_size: None,
            start: 0,
            max_items: None,
            max_pages: None,
        }
    }

    /// How many records to ask for at once. The most that the API documents unless set.
    ///
    /// What it doesn't take (0, or more than that) is told when the listing is asked for, before anything is sent.
    pub fn page_size(mut self, records: u32) -> Self {
        self.page_size = Some(records);
        self
    }

    /// Begins behind this many records instead of at the head.
    pub fn start_offset(mut self, records: u64) -> Self {
        self.start = records;
        self
    }

    /// Gives at most this many records, unreadable ones counted.
    pub fn max_items(mut self, records: u64) -> Self {
        self.max_items = Some(records);
        self
    }

    /// Gives at most this many pages.
    pub fn max_pages(mut self, pages: u64) -> Self {
        self.max_pages = Some(pages);
        self
    }

    /// How long one attempt at a page may take, for this listing: `None` for as long as it takes.
    pub fn attempt_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.options.attempt = Some(limit.into());
        self
    }

    /// How long one page may take with all attempts at it, for this listing: `None` for as long as it takes.
    pub fn operation_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.options.operation = Some(limit.into());
        self
    }

    /// How often and how soon failed attempts at a page are repeated, for this listing.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.options.retry = Some(policy);
        self
    }

    /// The query.
    pub fn query(&self) -> &Q {
        &self.query
    }

    /// One page, at the start offset. Await it.
    pub fn page(self) -> Call<Page<Q::Item>> {
        let window = Window { offset: self.start, limit: self.limit() };
        let total = self.query.total();
        let request = ask(&self.query, window).map(move |listed| Page::of(window, listed, total));
        Call::new(self.transport, request).with_options(self.options)
    }

    /// All pages, as a stream. Nothing is asked for until it is polled.
    pub fn pages(self) -> Pages<Q> {
        let extent =
            Extent { start: self.start, limit: self.limit(), max_items: self.max_items, max_pages: self.max_pages };
        Pages::new(self.transport, self.query, self.options, extent)
    }

    /// All records, as a stream. Nothing is asked for until it is polled.
    pub fn items(self) -> Items<Q> {
        Items::new(self.pages())
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
        Listing {
            transport: self.transport,
            query: WithRaw::new(self.query),
            options: self.options,
            page_size: self.page_size,
            start: self.start,
            max_items: self.max_items,
            max_pages: self.max_pages,
        }
    }

    fn limit(&self) -> u32 {
        self.page_size.unwrap_or(self.query.page_sizes().usual)
    }
}

/// The request for a window, if it is one that the API takes.
pub(super) fn ask<Q: Paginate>(query: &Q, window: Window) -> Request<Listed<Entry<Q::Item>>> {
    let request = query.request(window);
    let request = match query.page_sizes().largest {
        _ if window.limit == 0 => request.invalid("a page size of 0 asks for nothing"),
        Some(largest) if window.limit > largest => {
            request.invalid(format!("a page size of {} is more than the {largest} that the API takes", window.limit))
        }
        _ => request,
    };
    request.page::<Q::Envelope, Q::Item>()
}
