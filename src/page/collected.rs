//! The outcome of a scan that was collected into memory.

use crate::error::{ApiError, Error, ErrorKind, Result};
use crate::page::{Cause, Cursor, InvalidRecord, Paginate, PartRead, Summary, Verdict, WithInvalid};

/// The records of a scan in memory, with its summary: see [`Listing::collect`](crate::page::Listing::collect).
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "this may be incomplete: call `complete` or `complete_or_unverified`, or read `summary`"]
pub struct Collected<T> {
    /// The valid records, in the order of the listing; those that were delivered late come last.
    pub items: Vec<T>,
    /// The invalid records.
    pub invalid: Vec<InvalidRecord>,
    /// Errors that the server sent beside records.
    pub partial: Vec<ApiError>,
    /// The error that ended the scan early, if one did.
    pub error: Option<Error>,
    /// The summary of the scan, with its verdict.
    pub summary: Summary,
    /// Where to resume. `None` if the query is invalid.
    pub cursor: Option<Cursor>,
    /// The outcome of a [part](crate::page::Listing::part) of a listing, for [`merge`](crate::page::merge).
    pub part_read: Option<PartRead>,
}

impl<T> Collected<T> {
    pub(super) async fn of<Q: Paginate<Item = T>>(mut entries: WithInvalid<Q>) -> Self {
        let (mut items, mut invalid, mut partial, mut failure) = (Vec::new(), Vec::new(), Vec::new(), None);
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(Ok(record)) => items.push(record),
                Ok(Err(record)) => invalid.push(record),
                Err(error) if error.kind() == ErrorKind::Partial => partial.extend(error.api().cloned()),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        // A transient error leaves the stream unfinished, but nothing polls it again.
        let mut summary = entries.summary();
        if failure.is_some() && summary.verdict == Verdict::Incomplete(Cause::NotFinished) {
            summary.verdict = Verdict::Incomplete(Cause::Failed);
        }
        let (cursor, part_read) = (entries.cursor(), entries.part_read());
        Self { items, invalid, partial, error: failure, summary, cursor, part_read }
    }

    /// Returns the records if the verdict is [`Complete`](Verdict::Complete) and every record is valid.
    ///
    /// An API without a total never gets this verdict: use [`complete_or_unverified`](Self::complete_or_unverified).
    ///
    /// # Errors
    ///
    /// The [`error`](Self::error) that ended the scan, [`ErrorKind::InvalidRecord`] for an invalid record, or else
    /// [`ErrorKind::Incomplete`] with the verdict.
    pub fn complete(self) -> Result<Vec<T>> {
        if self.summary.verdict.is_complete() { self.readable() } else { Err(self.refuse()) }
    }

    /// Returns the records if none is known to be missing (the verdict is [`Complete`](Verdict::Complete) or
    /// [`Unverified`](Verdict::Unverified)) and every record is valid.
    ///
    /// # Errors
    ///
    /// As [`complete`](Self::complete), but not for an unverified scan.
    pub fn complete_or_unverified(self) -> Result<Vec<T>> {
        if self.summary.verdict.is_incomplete() { Err(self.refuse()) } else { self.readable() }
    }

    fn readable(self) -> Result<Vec<T>> {
        match self.invalid.into_iter().next() {
            Some(record) => Err(Error::from(record).with_cursor(self.cursor)),
            None => Ok(self.items),
        }
    }

    fn refuse(self) -> Error {
        self.error.unwrap_or_else(|| {
            let message = format!("the scan is not known to be complete: {}", self.summary.verdict);
            Error::new(ErrorKind::Incomplete, message).with_cursor(self.cursor)
        })
    }
}
