//! Typed, async clients for three action-log APIs: [Arklow](arklow) action records, [integration action
//! logs](integration) and [Unleash](unleash) action set events.
//!
//! *The client reports whether you got every record, resumes a scan from a stored cursor, and ships a fake server to
//! test against.*
//!
//! All three APIs page a log by offset and limit, and offsets shift while you read. A loop that adds the page size to
//! the offset until a page is short [loses records](guide::from_an_offset_loop), without an error. This crate scans a
//! listing by other rules, and ends every scan with a verdict on whether it got every record: see [`guarantees`].
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
//! # Which chapter?
//!
//! | I want to | chapter |
//! |---|---|
//! | read my first records | [Getting started](guide::getting_started) |
//! | export a log, go on after a stop, keep up with what is new | [Backfill, then follow](guide::backfill_then_follow) |
//! | know whether I got every record, and what to alarm on | [Was that all?](guide::was_that_all) |
//! | write logs | [Writing logs that survive](guide::writing_logs) |
//! | test my program | [Testing your code](guide::testing_your_code) |
//! | know what went wrong, and whether it is retried | [Errors and retries](guide::errors_and_retries) |
//! | send keys, tokens that expire, signatures, certificates | [Authentication](guide::authentication) |
//! | set timeouts, limits, metrics, proxies | [Running it](guide::running_it) |
//! | read with several machines, or ask in SQL | [Many machines](guide::many_machines) |
//! | replace a loop of `skip += take` | [From an offset loop](guide::from_an_offset_loop) |
//! | look something up | [Questions](guide::questions) |
//!
//! The reference: [`guarantees`] is what a scan promises, [`verdicts`] what each verdict means, [`keeping_in_step`]
//! what a follower delivers, [`faults`] what each fault leads to, and [`strictness`] which JSON is accepted.
//!
//! # The three clients
//!
//! | client | methods | what it reads or writes |
//! |---|---|---|
//! | [`ArklowClient`] | [`records().list`](arklow::Records::list), [`records().count`](arklow::Records::count) | an organisation's action records |
//! | [`IntegrationClient`] | [`logs().list`](integration::Logs::list), [`create`](integration::Logs::create), [`get`](integration::Logs::get), [`update`](integration::Logs::update), [`delete`](integration::Logs::delete), [`start`](integration::Logs::start), [`logged`](integration::Logs::logged) | the actions of integrations |
//! | [`UnleashClient`] | [`action_set_events().list`](unleash::ActionSetEvents::list) | the events of an action set (Unleash Enterprise, beta) |
//!
//! Build a client with a [`ClientBuilder`] or with `from_env`. It is cheap to clone. Each also has `check`, which
//! reports whether the URL and the credentials are right, `listing` for a custom [`Paginate`], and `send` for a custom
//! [`Request`].
//!
//! A method returns a [`Call`] or a [`Listing`]. Both are lazy: nothing is sent until you await the call or poll the
//! stream. A listing is read as one [`page`](Listing::page), as a stream of [`items`](Listing::items) or
//! [`pages`](Listing::pages), or at once by [`collect`](Listing::collect). Every model is a [`LogRecord`], whichever
//! log it is of, and a [`Timeline`] merges several logs by time into one stream: see [`record`].
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
//! It doesn't throttle requests, except by the limit on requests in flight and by `Retry-After`; and a scan prefetches
//! less from a server that slows down. It doesn't promise that each record comes exactly once. It needs tokio, and
//! there is no wasm.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod any_record;
mod atomic_file;
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
pub mod guide;
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
