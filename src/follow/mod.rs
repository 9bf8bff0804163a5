//! Keep a copy of a log in step: [`Listing::follow`].
//!
//! The chapter [`keeping_in_step`](crate::keeping_in_step) explains how to write the loop, what is delivered and what
//! isn't.

mod batch;
mod checkpoint;
mod deliver;
mod digest;
mod gap;
mod machine;
mod pace;
mod run;
mod running;
mod sighting;
mod store;
mod stream;

pub use batch::{Batch, Change, OpenRecord, Progress, StartFrom};
pub use checkpoint::Checkpoint;
pub use gap::{Gap, GapReason};
pub use run::RunError;
pub use store::{CheckpointStore, FileCheckpoints, MemoryCheckpoints, StoreError, Version};
pub use stream::Follow;

use crate::page::{Listing, Paginate};

impl<Q: Paginate> Listing<Q> {
    /// Follows the listing: yields the records that are in it, and then what comes, what changes and what goes, for
    /// ever.
    ///
    /// Nothing is sent until the stream is polled. [`keeping_in_step`](crate::keeping_in_step) is the chapter about it.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{UnleashClient, follow::Change, testing::FakeServer};
    ///
    /// let server = FakeServer::new();
    /// server.unleash().add_sample_events("default", 7, 3);
    /// let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let client = client.build()?;
    ///
    /// let mut follow = client.action_set_events().list(("default", 7)).follow();
    /// let mut seen = 0;
    /// while let Some(batch) = follow.next().await {
    ///     for change in batch?.changes {
    ///         if let Change::New(event) = change {
    ///             println!("{} {}", event.id, event.state);
    ///             seen += 1;
    ///         }
    ///     }
    ///     if seen == 5 {
    ///         break;
    ///     } else if seen == 3 {
    ///         server.unleash().add_sample_events("default", 7, 2);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    ///
    /// It needs a listing that is sorted by when records were created. For any other the stream ends with
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest), before anything is sent, unless
    /// [`growth`](Self::growth) declares at which end new records are added. So it does for settings that limit a scan,
    /// such as `max_items`, `since` or `resume`.
    pub fn follow(self) -> Follow<Q> {
        Follow::new(self.open())
    }
}
