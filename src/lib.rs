//! Typed, async clients for three action-log APIs: [Arklow](arklow) action records,
//! [integration action logs](integration) and [Unleash](unleash) action set events.
//!
//! *The client that tells you whether you got every record, lets you continue exactly where it stopped, and hands you a
//! fake server to prove it.*
//!
//! All three give a log in pages, by an offset and a limit, and offsets shift while one reads. A loop that adds the
//! page size to the offset until a page comes short loses records, without an error. This crate reads by other rules,
//! and says in the end whether it was all: see [`guarantees`].
//!
//! # A first look
//!
//! This runs as it stands, against the fake server of the feature `testing`:
//!
//! ```
//! use actionlog::UnleashClient;
//! use actionlog::testing::World;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> actionlog::Result<()> {
//! let world = World::new();
//! world.unleash().add_sample_events("default", 7, 120);
//! let client = UnleashClient::builder("http://localhost").api_key("any").exchange(world.exchange()).build()?;
//!
//! let mut events = client.action_set_events().list(("default", 7)).items();
//! let mut failed = 0;
//! while let Some(event) = events.next().await {
//!     failed += u32::from(event?.failed_action().is_some());
//! }
//! println!("{failed} failed; {}", events.summary().verdict);
//! assert_eq!(events.summary().seen, 120);
//! # Ok(())
//! # }
//! ```
//!
//! For a real server, leave out `exchange`, and give its URL and a token.
//!
//! # The three clients
//!
//! | | | |
//! |---|---|---|
//! | [`ArklowClient`] | [`records().list`](arklow::Records::list), [`records().count`](arklow::Records::count) | an organisation's action records |
//! | [`IntegrationClient`] | [`logs().list`](integration::Logs::list), [`create`](integration::Logs::create), [`get`](integration::Logs::get), [`update`](integration::Logs::update), [`delete`](integration::Logs::delete), [`begin`](integration::Logs::begin) | what integrations did |
//! | [`UnleashClient`] | [`action_set_events().list`](unleash::ActionSetEvents::list) | what an action set did (Unleash Enterprise, beta) |
//!
//! Each is made by a [`ClientBuilder`] or `from_env`, is cheap to clone, and has a `check` that tells whether the URL
//! and the credentials are right, a `listing` for a [`Paginate`] of your own, and a `send` for a [`Request`] of your
//! own. What a method gives is a [`Call`] or a [`Listing`]: nothing is sent until it is awaited or polled.
//!
//! # Reading a listing
//!
//! A [`Listing`] is read
//!
//! - as one page, by [`page`](Listing::page): it says whether there is [more](page::More), where the answer tells;
//! - record by record, by [`items`](Listing::items), or page by page, by [`pages`](Listing::pages): streams with a
//!   `next` of their own;
//! - at once, by [`collect`](Listing::collect): the records, and whatever else came of it.
//!
//! It can be limited ([`max_items`](Listing::max_items), [`max_pages`](Listing::max_pages), [`since`](Listing::since)),
//! and every stream says how it went in its [`Summary`], with the [`Verdict`]: complete, all as far as is known, or
//! truncated. A [`Cursor`] is a place to go on from, by [`resume`](Listing::resume); it is a small serde value, in
//! every error of a stream, and beside each record by [`with_cursor`](Items::with_cursor). Records may be given again
//! behind a cursor, and none is skipped.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> actionlog::Result<()> {
//! # let world = actionlog::testing::World::new();
//! # world.integration().add_sample_logs(120);
//! # let client = actionlog::IntegrationClient::builder("http://localhost")
//! #     .api_key("any").exchange(world.exchange()).build()?;
//! let first = client.logs().list(()).max_items(70).collect().await;
//! assert!(first.summary.verdict.is_truncated());
//!
//! if let Some(cursor) = first.cursor {
//!     // Known of this server: the order is that of creation, so nothing moves.
//!     let rest = client.logs().list(()).order(actionlog::page::Order::Fixed).resume(cursor).collect().await;
//!     assert!(rest.summary.verdict.is_complete());
//!     assert_eq!(rest.complete()?.len(), 50);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A record that can't be read is an error that [says so](Error::is_record), and the next record comes after it;
//! [`or_raw`](Items::or_raw) gives it as a value. A record of which only a field doesn't fit comes without that, with what
//! was left out beside it (`omitted`): see [`strictness`].
//!
//! What came to the head since a reading began is given by [`newer_than`](Listing::newer_than) its cursor, the oldest
//! first.
//!
//! Pages are read [ahead](Listing::prefetch), a few at a time, and a long listing can be
//! [split](Listing::split) into parts that are read apart from each other, by jobs on several machines, say;
//! [`merge`](page::merge) says whether they are all, and what has to be read again.
//!
//! # Errors
//!
//! There is one [`Error`]. Its [`kind`](Error::kind) says what it was, and [`ErrorKind`] what usually causes it and
//! what to do; [`api`](Error::api) what the server said; [`is_transient`](Error::is_transient) whether it may pass;
//! [`outcome`](Error::outcome) whether a write may have been done. Failed attempts are repeated by a [`RetryPolicy`]
//! where that is safe: 4 attempts, 200 ms doubling up to 10 s, with jitter, and `Retry-After` up to 60 s. A call may
//! take 120 s, an attempt 30 s, connecting 5 s. All of these can be set, for a client and mostly for a call. What each
//! kind of fault leads to is the table in [`faults`].
//!
//! # Under load
//!
//! [`max_in_flight`](ClientBuilder::max_in_flight) limits how many requests a client and its clones have under way. When
//! a server turns a request away and says when to come again, all clones wait for that. What it says of its limits is in
//! [`RateLimit`].
//!
//! A server's answer has bounds: [bytes](ClientBuilder::max_body_bytes), [records](ClientBuilder::max_page_records), and
//! for [`collect`](Listing::collect) [records in all](ClientBuilder::max_collected). What is over is an error, not memory.
//!
//! What happens on the way is told to a `tracing` subscriber and to an
//! [`observer`](ClientBuilder::observer): see [`observe`]. A call takes headers of its own, and gives the answer's
//! [status, headers and request id](Call::with_answer) beside its value.
//!
//! # Runtimes
//!
//! Calls are made in a Tokio runtime, of one thread or of many. One client may be used from several at once, as long as each
//! is driven. A connection is driven by the runtime that opened it: behind a runtime of one thread that has left its
//! `block_on`, requests of others may get a connection that nobody carries on, and end with the attempt's time limit. (A
//! token that is [fetched](auth::Cached) there is fetched again elsewhere.) So a facade that blocks builds a client for each
//! runtime, or keeps one runtime that is always driven.
//!
//! # Credentials
//!
//! [`api_key`](ClientBuilder::api_key) puts a key where the API takes it, and [`bearer`](ClientBuilder::bearer) a token
//! behind `Bearer`. Others are in [`auth`]: a token that is fetched and renewed, Basic, a header of any name, a
//! signature of your own. They aren't shown in `Debug` or errors, and what a
//! server says is [withheld](auth#what-is-shown-of-credentials) where it contains a part of them; plain `http` to other
//! machines is refused unless [allowed](ClientBuilder::allow_http), and redirects aren't followed.
//!
//! # Testing
//!
//! With the feature `testing`, `testing::World` is a fake server of all three APIs, in memory or on a port. Its
//! records can be changed between two requests, and its answers go wrong on demand.
//!
//! ```
//! use actionlog::testing::{Fault, World};
//! use actionlog::{ArklowClient, ErrorKind};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> actionlog::Result<()> {
//! let world = World::new();
//! let client = ArklowClient::builder("4711").api_key("any").exchange(world.exchange()).build()?;
//! world.fail_next(Fault::Status(403));
//! let error = client.records().count(()).await.unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::Forbidden);
//! assert_eq!(world.requests().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
#![cfg_attr(feature = "testing", doc = "See [`testing`].")]
//!
//! # Features
//!
//! - `rustls`, `http2`, `gzip`, `system-proxy`, on by default: TLS, HTTP/2, gzip, and the proxy settings of macOS and
//!   Windows. (Proxies of the environment are used with or without it.)
//! - `testing`: the fake server.
//!
//! # What it doesn't do
//!
//! It doesn't wait for new records, limit how often it asks (but for the requests under way and
//! `Retry-After`), or promise that each record comes exactly once. It needs tokio; there is no blocking interface, and no
//! wasm.

mod answered;
mod builder;
mod call;
mod check;
mod environment;
mod error;
mod headers;
mod id;
mod integer;
mod json;
mod logged;
mod omitted;
mod open_enum;
mod request;
mod time;
mod transport;

pub mod arklow;
pub mod auth;
pub mod integration;
pub mod observe;
pub mod page;
#[cfg(feature = "testing")]
pub mod testing;
pub mod unleash;

pub use answered::Answered;
pub use arklow::ArklowClient;
pub use builder::{Client, ClientBuilder};
pub use call::Call;
pub use check::{Check, Checking, Finding};
pub use error::{ApiError, Error, ErrorKind, RequestOutcome, Result};
pub use id::{Id, Identified, Key};
pub use integration::IntegrationClient;
pub use json::Json;
pub use omitted::OmittedField;
pub use page::{Collected, Cursor, Entry, Items, Listing, Page, Pages, Paginate, Summary, Verdict};
pub use request::{Answer, Repeat, Request};
pub use transport::decode::DecodeError;
pub use transport::exchange::{Body, Exchange, ExchangeError, HttpExchange, Stage};
pub use transport::{RateLimit, RetryPolicy};
pub use unleash::UnleashClient;

// The crates whose types stand in this one's.
#[doc(no_inline)]
pub use {async_trait, bytes, chrono, futures_core, http, reqwest, serde, serde_json};

#[doc = include_str!("guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("faults.md")]
pub mod faults {}

#[doc = include_str!("strictness.md")]
pub mod strictness {}

/// The README's code is compiled and run with the other examples of the docs.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
