//! Typed, async clients for three action-log APIs: [Arklow](arklow) action records, [integration action
//! logs](integration) and [Unleash](unleash) action set events.
//!
//! *The client reports whether you got every record, resumes a scan from a stored cursor, and ships a fake server to
//! test against.*
//!
//! All three APIs page a log by offset and limit, and offsets shift while you read. A loop that adds the page size to
//! the offset until a page is short loses records, without an error. This crate scans a listing by other rules, and
//! ends every scan with a verdict on whether it got every record: see [`guarantees`].
//!
//! # A first look
//!
//! This example runs as it stands, against the fake server of the feature `testing`:
//!
//! ```
//! use actionlog::UnleashClient;
//! use actionlog::testing::FakeServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> actionlog::Result<()> {
//! let server = FakeServer::new();
//! server.unleash().add_sample_events("default", 7, 120);
//! let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client()).build()?;
//!
//! let mut events = client.action_set_events().list(("default", 7)).items();
//! let mut failed = 0;
//! while let Some(event) = events.next().await {
//!     failed += u32::from(event?.failed_action().is_some());
//! }
//! println!("{failed} failed; {}", events.summary().verdict);
//! assert_eq!(events.summary().delivered, 120);
//! # Ok(())
//! # }
//! ```
//!
//! For a real server, leave out `http_client`, and pass the server's URL and a token.
//!
//! # The three clients
//!
//! | client | methods | what it reads or writes |
//! |---|---|---|
//! | [`ArklowClient`] | [`records().list`](arklow::Records::list), [`records().count`](arklow::Records::count) | an organisation's action records |
//! | [`IntegrationClient`] | [`logs().list`](integration::Logs::list), [`create`](integration::Logs::create), [`get`](integration::Logs::get), [`update`](integration::Logs::update), [`delete`](integration::Logs::delete), [`start`](integration::Logs::start) | the actions of integrations |
//! | [`UnleashClient`] | [`action_set_events().list`](unleash::ActionSetEvents::list) | the events of an action set (Unleash Enterprise, beta) |
//!
//! Build a client with a [`ClientBuilder`] or with `from_env`. It is cheap to clone. Each client also has:
//!
//! - `check`, which reports whether the URL and the credentials are right;
//! - `listing`, for a custom [`Paginate`];
//! - `send`, for a custom [`Request`].
//!
//! A method returns a [`Call`] or a [`Listing`]. Both are lazy: nothing is sent until you await the call or poll the
//! stream.
//!
//! # Scanning a listing
//!
//! Read a [`Listing`]
//!
//! - as one page, with [`page`](Listing::page): it says whether there are [more](page::More) records, where the
//!   response tells;
//! - record by record with [`items`](Listing::items), or page by page with [`pages`](Listing::pages): streams that
//!   also have an inherent `next`;
//! - all at once, with [`collect`](Listing::collect): the records, the summary and any error.
//!
//! Limit a scan with [`max_items`](Listing::max_items), [`max_pages`](Listing::max_pages) or
//! [`since`](Listing::since). Every stream has a [`Summary`] with the [`Verdict`]: complete, unverified or incomplete.
//!
//! A [`Cursor`] is the position behind a record that was yielded. Pass it to [`resume`](Listing::resume) to continue
//! there. It is a small serde value. Every error of a stream carries one (unless the query itself is invalid), and
//! [`with_cursor`](Items::with_cursor) yields one beside each record. A scan that resumes may yield records again, and
//! skips none that [`guarantees`] promises.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> actionlog::Result<()> {
//! # let server = actionlog::testing::FakeServer::new();
//! # server.integration().add_sample_logs(120);
//! # let client = actionlog::IntegrationClient::builder("http://localhost")
//! #     .api_key("any").http_client(server.http_client()).build()?;
//! let first = client.logs().list(()).max_items(70).collect().await;
//! assert!(first.summary.verdict.is_incomplete());
//!
//! if let Some(cursor) = first.cursor {
//!     // This server sorts by creation time, so records never move.
//!     let rest = client.logs().list(()).stability(actionlog::page::Stability::Stable).resume(cursor).collect().await;
//!     assert!(rest.summary.verdict.is_complete());
//!     assert_eq!(rest.complete()?.len(), 50);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A record that doesn't fit its model is an *invalid record*: an error for which [`is_record`](Error::is_record) is
//! true, and the stream continues with the next record. [`with_invalid`](Items::with_invalid) yields it as a value
//! instead. If only an optional field doesn't fit, the record comes without that field, and `omitted` lists what was
//! left out: see [`strictness`].
//!
//! [`follow`](Listing::follow) keeps a copy in step: it yields what is in the listing, and then what comes, what
//! changes and what goes, for ever, with a checkpoint beside each batch. See [`keeping_in_step`].
//!
//! [`newer_than`](Listing::newer_than) a cursor yields the records that came to the head since that scan began, oldest
//! first.
//!
//! Pages are [prefetched](Listing::prefetch), a few at a time. A long listing can be [split](Listing::split) into
//! parts that separate jobs scan, for example on several machines. [`merge`](page::merge) reports whether the parts
//! cover the listing, and which of them to scan again.
//!
//! # Several logs
//!
//! Every model is a [`LogRecord`]: its source, key, time, actor, action, target, outcome, error and duration, whichever
//! log it is of. [`record`] has the table of where each value comes from, and mappings to other formats. A [`Timeline`]
//! merges several logs by time into one stream, and [`AnyRecord`] is a record of any of the three.
//!
//! # Errors
//!
//! There is one [`Error`] type:
//!
//! - [`kind`](Error::kind) says what failed; [`ErrorKind`] documents the usual causes and what to do;
//! - [`api`](Error::api) is what the server reported;
//! - [`is_transient`](Error::is_transient) says whether a retry may succeed;
//! - [`outcome`](Error::outcome) says whether a write may have been applied.
//!
//! A [`RetryPolicy`] retries failed attempts where that is safe: up to 4 attempts, 200 ms doubling up to 10 s, with
//! jitter, and `Retry-After` up to 60 s. The time limits are 120 s for a call, 30 s for an attempt and 5 s for
//! connecting. All of these can be set for a client, and most of them for a single call. The tables in [`faults`] list
//! what each fault leads to.
//!
//! # Under load
//!
//! [`max_in_flight`](ClientBuilder::max_in_flight) limits how many requests a client and its clones have in flight.
//! When a server turns a request away and says when to retry, all clones wait for that long, at most a
//! minute at a time. [`RateLimit`] has the
//! limits that the server reports.
//!
//! A response is bounded in [bytes](ClientBuilder::max_body_bytes) and [records](ClientBuilder::max_page_records), and
//! [`collect`](Listing::collect) in [total records](ClientBuilder::max_collected). A larger response is an error, and a
//! `collect` that reaches its bound is incomplete. So a server can't exhaust the memory.
//!
//! Attempts, waits and pages are reported to a `tracing` subscriber and to an [`observer`](ClientBuilder::observer):
//! see [`observe`]. A call takes extra headers, and [`with_response`](Call::with_response) returns the response's
//! status, headers and request id beside its value.
//!
//! # Runtimes
//!
//! Calls need a tokio runtime, single-threaded or multi-threaded. Several runtimes may share one client, as long as
//! each runtime is driven: the runtime that opened a connection drives it. Once a single-threaded runtime has left its
//! `block_on`, nothing drives its connections; a request from another runtime that reuses one ends with the attempt's
//! time limit. (A token that is [being fetched](auth::TokenCache) there is fetched again elsewhere.) A custom blocking
//! facade therefore builds a client for each runtime, or keeps one runtime that is always driven, as the feature
//! `blocking` does.
//!
//! With the feature `blocking`, calls and streams also work without a runtime: `call.blocking()?`, and
//! `listing.items().blocking()`, an iterator.
#![cfg_attr(feature = "blocking", doc = "See [`blocking`].")]
//!
//! # Credentials
//!
//! [`api_key`](ClientBuilder::api_key) sends a key where the API expects it, and [`bearer`](ClientBuilder::bearer)
//! sends a token behind `Bearer`. [`auth`] has the others: a token that is fetched and renewed, Basic, a header of any
//! name, a custom signature. `Debug` and errors never show credentials, and a server's message that contains part of
//! one is [withheld](auth#what-is-shown-of-credentials). Plain `http` to other machines is refused unless
//! [allowed](ClientBuilder::allow_http), and redirects aren't followed.
//!
//! # Testing
//!
//! With the feature `testing`, `testing::FakeServer` is a fake server of all three APIs, in memory or on a port. Tests
//! can change its records between two requests, and inject faults.
//!
//! ```
//! use actionlog::testing::{FakeServer, Fault};
//! use actionlog::{ArklowClient, ErrorKind};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> actionlog::Result<()> {
//! let server = FakeServer::new();
//! let client = ArklowClient::builder("4711").api_key("any").http_client(server.http_client()).build()?;
//! server.fail_next(Fault::Status(403));
//! let error = client.records().count(()).await.unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::Forbidden);
//! assert_eq!(server.requests().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
#![cfg_attr(feature = "testing", doc = "See [`testing`].")]
//!
//! # Features
//!
//! - `rustls`, `http2`, `gzip`, `system-proxy`, on by default: TLS, HTTP/2, gzip, and the proxy settings of macOS and
//!   Windows. (Proxies set by environment variables apply with or without `system-proxy`.)
//! - `blocking`: blocking calls and iterators, for programs without an async runtime.
//! - `schemars`: JSON Schemas of the models, of [`AnyRecord`] and of all types in them: each implements `JsonSchema` of
//!   `schemars` 1. The schemas describe the documented JSON, where an optional field may also be null. The models read
//!   [other forms](strictness) too, such as ids that are numbers.
//! - `testing`: the fake server.
//!
//! # What it doesn't do
//!
//! It doesn't throttle requests, except by the limit on requests in flight and by
//! `Retry-After`. It doesn't promise that each record comes exactly once. It needs tokio, and there is no
//! wasm.

mod any_record;
#[cfg(feature = "blocking")]
pub mod blocking;
mod client;
mod cursor;
mod decode;
mod error;
mod request;
mod transport;
mod values;

pub mod arklow;
pub mod auth;
pub mod follow;
pub mod integration;
pub mod observe;
pub mod page;
pub mod record;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timeline;
pub mod unleash;

pub use any_record::AnyRecord;
pub use arklow::ArklowClient;
pub use client::builder::{Client, ClientBuilder};
pub use client::call::Call;
pub use decode::DecodeError;
pub use decode::HttpResponse;
pub use decode::omitted::OmittedField;
pub use error::rate_limit::RateLimit;
pub use error::{ApiError, Error, ErrorKind, InvalidRecord, Result, WriteOutcome};
pub use integration::IntegrationClient;
pub use page::check::{CheckCall, CheckReport, CheckStatus};
pub use page::{Collected, Cursor, Items, Listing, Page, Pages, Paginate, Summary, Verdict};
pub use record::LogRecord;
pub use request::{Idempotency, Request};
pub use timeline::Timeline;
pub use transport::RetryPolicy;
pub use transport::http_client::{Body, HttpClient, HttpError, HttpErrorKind, ReqwestClient};
pub use transport::response::Response;
pub use unleash::UnleashClient;
pub use values::id::{Id, IdRepr, Resource};
pub use values::json::Json;

// Re-exported because their types appear in this crate's public API.
#[doc(no_inline)]
pub use {async_trait, bytes, chrono, futures_core, http, reqwest, serde, serde_json};

#[doc = include_str!("guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("verdicts.md")]
pub mod verdicts {}

#[doc = include_str!("keeping_in_step.md")]
pub mod keeping_in_step {}

#[doc = include_str!("faults.md")]
pub mod faults {}

#[doc = include_str!("strictness.md")]
pub mod strictness {}

/// The README's code is compiled and run with the other examples of the docs.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
