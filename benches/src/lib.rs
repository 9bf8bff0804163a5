//! Pages as the three APIs send them, and ways to read them: one page, and whole listings.

pub mod pages;
mod plain;
pub mod reading;

use actionlog::arklow::RecordsQuery;
use actionlog::integration::LogsQuery;
use actionlog::page::{Listing, Paginate};
use actionlog::unleash::EventsQuery;
use actionlog::{HttpResponse, ArklowClient, IntegrationClient, UnleashClient};
use bytes::Bytes;
use serde::de::DeserializeOwned;

/// One way to read a body. Returns how many records it held.
pub type Read = Box<dyn Fn(&Bytes) -> usize>;

/// An API's page, and the ways to read it.
pub struct Case {
    pub api: &'static str,
    pub body: Bytes,
    pub ways: [(&'static str, Read); 3],
}

/// One for each API.
pub fn cases() -> [Case; 3] {
    const URL: &str = "http://localhost";
    let arklow = ArklowClient::builder("4711").base_url(URL).api_key("key").build().unwrap();
    let integration = IntegrationClient::builder(URL).api_key("key").build().unwrap();
    let unleash = UnleashClient::builder(URL).api_key("key").build().unwrap();
    [
        case("arklow", pages::arklow(), &arklow.records().list(RecordsQuery::new()), plain::<plain::Arklow>),
        case(
            "integration",
            pages::integration(),
            &integration.logs().list(LogsQuery::new()),
            plain::<plain::Integration>,
        ),
        case(
            "unleash",
            pages::unleash(),
            &unleash.action_set_events().list(EventsQuery::new("default", 1)),
            plain::<plain::Unleash>,
        ),
    ]
}

fn case<Q: Paginate>(api: &'static str, body: Bytes, listing: &Listing<Q>, plain: fn(&Bytes) -> usize) -> Case {
    let request = listing.query().request().page_of::<Q>();
    // Shared by reference count, not copied.
    let ours = move |body: &Bytes| request.decode(&HttpResponse::new(body.clone())).unwrap().records().len();
    Case { api, body, ways: [("plain", Box::new(plain)), ("value", Box::new(value)), ("ours", Box::new(ours))] }
}

/// Reads as most people would.
fn plain<T: DeserializeOwned + plain::Page>(body: &Bytes) -> usize {
    serde_json::from_slice::<T>(body).unwrap().records()
}

/// Reads without any types.
fn value(body: &Bytes) -> usize {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap();
    let list = ["/data/items", "/data", "/actionSetEvents"].into_iter().find_map(|it| value.pointer(it)?.as_array());
    list.unwrap().len()
}
