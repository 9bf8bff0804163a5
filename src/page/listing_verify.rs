//! The methods of [`Listing`] that verify a scan by a second one.

use crate::page::Paginate;
use crate::page::listing::Listing;

impl<Q: Paginate> Listing<Q> {
    /// Verifies the scan by a second one: the verdict is [`Complete`](crate::page::Verdict::Complete) if both saw the
    /// same records in the same order. The same as [`verify_up_to(3)`](Self::verify_up_to).
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::page::{Proof, Verdict};
    /// use actionlog::{UnleashClient, testing::FakeServer};
    ///
    /// let server = FakeServer::new();
    /// server.unleash().add_sample_events("default", 7, 120);
    /// let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let client = client.build()?;
    ///
    /// // Unleash sends no total, so one scan can't be complete.
    /// let events = client.action_set_events().list(("default", 7)).verify().collect().await;
    /// assert_eq!(events.summary.verdict, Verdict::Complete(Proof::SecondScan));
    /// assert_eq!(events.complete()?.len(), 120);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub fn verify(self) -> Self {
        self.verify_up_to(3)
    }

    /// Verifies the scan by further ones: the listing is scanned up to `scans` times in all, until two scans in a row
    /// saw the same records in the same order. The least is 2.
    ///
    /// This works for a listing without a total and in an undocumented order. New records at the head don't disturb it,
    /// and neither do new records at the end. Other changes do, and then the next two scans are compared. If no two
    /// scans agree, the verdict is [`ScansDiffer`](crate::page::Doubt::ScansDiffer). If a total proves that the first
    /// scan is complete, there is no second one.
    ///
    /// Each record is yielded once, by the first scan that sees it; those of later scans are late. In a listing of more
    /// than [`dedup_window`](Self::dedup_window) records, a change between two scans may repeat the records around it:
    /// about 130 on average. The [cursor](crate::page::Items::cursor) stays behind the last record of the first scan.
    ///
    /// A second scan takes as many requests as the first one. One behind each end comes on top, unless the server sends
    /// a total. Memory is bounded: the remembered keys a second time, and two megabytes.
    /// [`guarantees`](crate::guarantees#proof-by-a-second-scan) says what the proof assumes.
    ///
    /// A scan that [resumed](Self::resume) is compared with one that starts at the head, as long as its own position
    /// was never lost; only new records at the ends of the listing are yielded then. The scan fails with
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest), before anything is sent, together with
    /// [`newer_than`](Self::newer_than), [`since`](Self::since), a start offset, or a [part](Self::part).
    pub fn verify_up_to(mut self, scans: u32) -> Self {
        self.settings.scans = Some(scans);
        self
    }
}
