//! The methods of [`Listing`] that cut it into parts, and scan one of them.

use crate::cursor::Fingerprint;
use crate::error::{Error, ErrorKind, Result};
use crate::page::listing::Listing;
use crate::page::split::Part;
use crate::page::{Paginate, TotalScope};

impl<Q: Paginate> Listing<Q> {
    /// Requests what the records need to have a timestamp. Returns whether that was necessary and possible.
    pub(crate) fn request_timestamps(&mut self) -> bool {
        let query = self.query.requesting_timestamps();
        query.map(|it| self.query = it).is_some()
    }

    /// Cuts the listing into up to `parts` parts, to be scanned independently: by jobs on several machines, for
    /// example.
    ///
    /// This requests one page, for the total and the server's page size. A [`Part`] is a serde value: send it to the
    /// job that scans it with [`part`](Self::part). [`merge`](crate::page::merge) combines the outcomes, and reports
    /// whether they cover the listing and which parts to scan again. Each part is a number of whole pages, so there may
    /// be fewer parts than requested. The last part has no fixed size: it is scanned to the end of the listing,
    /// wherever that is by then.
    ///
    /// A record that moves while the parts are scanned may be missed, as in any scan, and here no second look at the
    /// head detects it. The less time lies between the scans, the fewer parts have to be scanned again.
    ///
    /// # Errors
    ///
    /// The error of the page request; [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if the server sends no
    /// total: use [`parts_of`](Self::parts_of) then.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::page::{Stability, TotalScope, merge};
    /// use actionlog::{IntegrationClient, testing::FakeServer};
    ///
    /// let server = FakeServer::new();
    /// server.integration().add_sample_logs(2_000);
    /// let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let client = client.total_scope(TotalScope::Listing).build()?;
    /// let listing = client.logs().list(()).stability(Stability::Stable);
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
        let first = self.clone().start_offset(0).page().await?;
        let pages_of = (first.entries.len() as u64).saturating_sub(1).max(1);
        let total = match self.query.total_scope() {
            TotalScope::Page => None,
            TotalScope::Unknown | TotalScope::Listing => first.total,
        };
        let Some(total) = total else {
            let why = "the server sent no total to cut the listing by: use `parts_of`";
            return Err(Error::new(ErrorKind::InvalidRequest, why));
        };
        // A part is as many whole pages as hold one record more than the part: that record shows whether the next part
        // meets it.
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

    /// Cuts the listing into an endless sequence of parts of `records` records each, without a request: for an API that
    /// sends no total.
    ///
    /// Hand out some parts, and more until the outcome of one [is the last](crate::page::PartRead::is_last).
    /// [`merge`](crate::page::merge) then reports whether they cover the listing; without a total it never reports
    /// [`Complete`](crate::page::Verdict::Complete). A part that failed is never the last, so check its error before
    /// you hand out more.
    ///
    /// Windows overlap by one record, so parts take the fewest requests if their size is a multiple of the page size
    /// minus one: 49, 98 or 196 for pages of 50. Pages don't shrink for a small part: what lies beyond it is fetched in
    /// vain. Parts of 1 (0 is taken as 1) prove nothing: a last record that stands alone looks the same as a server
    /// that sends no more.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if the query is invalid.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::page::merge;
    /// use actionlog::{UnleashClient, testing::FakeServer};
    ///
    /// let server = FakeServer::new();
    /// server.unleash().add_sample_events("default", 7, 500);
    /// let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let client = client.build()?;
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

    /// Scans only this part of the listing: see [`split`](Self::split).
    ///
    /// The outcome for [`merge`](crate::page::merge) is in [`Collected::part_read`](crate::page::Collected::part_read),
    /// or returned by [`Items::part_read`](crate::page::Items::part_read). Keep it, whatever ended the scan. To resume
    /// a part that was not scanned to its end, set both the part and its [cursor](Self::resume), and keep both
    /// `PartRead`s. (If the first one is lost with its job, `merge` asks to scan its records again. Store it when you
    /// store the cursor.)
    ///
    /// A part of another listing fails with [`InvalidRequest`](crate::ErrorKind::InvalidRequest) when it is scanned; so
    /// does `since` or `newer_than` beside a part. A start offset is ignored.
    pub fn part(mut self, part: Part) -> Self {
        self.settings.part = Some(part);
        self
    }

    fn fingerprint(&self) -> Result<Fingerprint> {
        Fingerprint::of(self.transport.base().origin(), &self.query.request())
    }
}
