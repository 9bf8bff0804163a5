//! Typed, async clients for action-log APIs.

mod builder;
mod call;
mod check;
mod environment;
mod error;
mod id;
mod integer;
mod json;
mod open_enum;
mod request;
mod time;
mod transport;

pub mod arklow;
pub mod auth;
pub mod integration;
pub mod page;
#[cfg(feature = "testing")]
pub mod testing;
pub mod unleash;

pub use arklow::ArklowClient;
pub use builder::{Client, ClientBuilder};
pub use call::Call;
pub use check::{Check, Checking, Finding};
pub use error::{ApiError, Error, ErrorKind, RequestOutcome, Result};
pub use id::{Id, Identified, Key};
pub use integration::IntegrationClient;
pub use json::Json;
pub use page::{Collected, Cursor, Entry, Items, Listing, Page, Pages, Paginate, Summary, Verdict};
pub use request::{Answer, Repeat, Request};
pub use transport::RetryPolicy;
pub use transport::decode::DecodeError;
pub use transport::exchange::{Body, Exchange, ExchangeError, HttpExchange, Stage};
pub use unleash::UnleashClient;
