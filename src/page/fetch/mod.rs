//! The requests of a scan: one for each page that it wants, and those that it prefetches.

mod pace;
pub(crate) mod prefetch;
pub(crate) mod requester;
