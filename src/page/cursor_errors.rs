//! The operations on a cursor that may fail. The cursor itself is below the crate's error type, which may carry one.

use std::str::FromStr;

use crate::cursor::{Cursor, Fingerprint};
use crate::error::{Error, ErrorKind, Result};
use crate::request::Request;
use crate::transport::base_url::Base;

impl Fingerprint {
    pub(super) fn of<T>(origin: String, request: &Request<T>) -> Result<Self> {
        Ok(Self::new(origin, request.path()?.to_owned(), request.selects()))
    }
}

impl Cursor {
    /// Moves the cursor to another base URL: a host was renamed, or another host serves the same log.
    ///
    /// A cursor belongs to the base URL of the client that made it, and any other client rejects it. Use this method if
    /// you know that the listing is the same. The path of the listing, and the parameters that select its records, must
    /// still be the same.
    ///
    /// The method can't check whether the other server holds the same records under the same ids. If it holds others, a
    /// scan that resumes there doesn't find the position, and scans the listing from its start.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) if a client builder would reject `base_url`, except for plain
    /// `http`, which each client allows or rejects itself.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{UnleashClient, testing::FakeServer};
    ///
    /// let server = FakeServer::new();
    /// server.unleash().add_sample_events("default", 7, 120);
    /// let at = |url| UnleashClient::builder(url).api_key("any").http_client(server.http_client()).build();
    ///
    /// let old = at("https://unleash.old.example")?;
    /// let first = old.action_set_events().list(("default", 7)).max_items(70).collect().await;
    /// let Some(cursor) = first.cursor else { return Ok(()) };
    ///
    /// let moved = cursor.rebase("https://unleash.new.example")?;
    /// let new = at("https://unleash.new.example")?;
    /// let rest = new.action_set_events().list(("default", 7)).resume(moved).collect().await;
    /// assert_eq!(first.items.len() + rest.items.len(), 120);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub fn rebase(mut self, base_url: &str) -> Result<Self> {
        self.set_origin(Base::parse(base_url, true)?.origin());
        Ok(self)
    }

    /// Checks that the cursor belongs to this listing and is consistent.
    pub(super) fn check(&self, listing: &Fingerprint) -> Result<()> {
        let problem = self.problem(listing).map(|problem| Error::new(ErrorKind::InvalidRequest, problem));
        problem.map_or(Ok(()), Err)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] for anything that isn't a cursor's JSON.
    fn from_str(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|error| Error::new(ErrorKind::InvalidRequest, "the string isn't a cursor").with_source(error))
    }
}
