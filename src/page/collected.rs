use super::{Cursor, Cut, Entries, Entry, Paginate, PartRead, Summary, UnreadableRecord, Verdict};
use crate::error::{ApiError, Error, ErrorKind, Result};

/// All that was read of a listing: see [`Listing::collect`](super::Listing::collect).
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "whether it is all is in it"]
pub struct Collected<T> {
    /// The records, in the listing's order; those that were given late at the end.
    pub items: Vec<T>,
    /// What came in a record's place.
    pub unreadable: Vec<UnreadableRecord>,
    /// Errors that the server gave beside records.
    pub partial: Vec<ApiError>,
    /// What ended the reading before its end, if something did.
    pub error: Option<Error>,
    /// How the reading went, and whether this is all.
    pub summary: Summary,
    /// Where to go on. `None` if the query can't be asked for.
    pub cursor: Option<Cursor>,
    /// For a [part](super::Listing::part) of a listing: what its reading came to, for [`merge`](super::merge).
    pub part_read: Option<PartRead>,
}

impl<T> Collected<T> {
    pub(super) async fn of<Q: Paginate<Item = T>>(mut entries: Entries<Q>) -> Self {
        let (mut items, mut unreadable, mut partial, mut failure) = (Vec::new(), Vec::new(), Vec::new(), None);
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(Entry::Record(record)) => items.push(record),
                Ok(Entry::Unreadable(record)) => unreadable.push(record),
                Err(error) if error.kind() == ErrorKind::Partial => partial.extend(error.api().cloned()),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let mut summary = entries.summary();
        if failure.is_some() && summary.verdict == Verdict::Truncated(Cut::NotFinished) {
            summary.verdict = Verdict::Truncated(Cut::Failed);
        }
        let (cursor, part_read) = (entries.cursor(), entries.part_read());
        Self { items, unreadable, partial, error: failure, summary, cursor, part_read }
    }

    /// The records, if they are all of the listing for certain, and each could be read.
    ///
    /// For an API without a total nothing is certain: see [`as_far_as_known`](Self::as_far_as_known).
    ///
    /// # Errors
    ///
    /// The [`error`](Self::error) that ended the reading, [`ErrorKind::Record`] for an unreadable record, or else
    /// [`ErrorKind::Truncated`] with the verdict.
    pub fn complete(self) -> Result<Vec<T>> {
        if self.summary.verdict.is_complete() { self.readable() } else { Err(self.refuse()) }
    }

    /// The records, if nothing is known to be missing, and each could be read.
    ///
    /// # Errors
    ///
    /// As [`complete`](Self::complete), but not for a doubt.
    pub fn as_far_as_known(self) -> Result<Vec<T>> {
        if self.summary.verdict.is_truncated() { Err(self.refuse()) } else { self.readable() }
    }

    fn readable(self) -> Result<Vec<T>> {
        match self.unreadable.into_iter().next() {
            Some(record) => Err(record.into_error().with_cursor(self.cursor)),
            None => Ok(self.items),
        }
    }

    fn refuse(self) -> Error {
        self.error.unwrap_or_else(|| {
            let message = format!("the listing was read, but not for certain to its end: {}", self.summary.verdict);
            Error::new(ErrorKind::Truncated, message).with_cursor(self.cursor)
        })
    }
}
