//! What each fuzz target does with its bytes. The crate's own tests include this file to replay the corpora.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::Debug;

use actionlog::arklow::{ActionRecord, RecordsQuery};
use actionlog::auth::none;
use actionlog::integration::{ActionLog, LogsQuery};
use actionlog::page::{Entry, Listed, Listing, Paginate, Raw};
use actionlog::unleash::{ActionSetEvent, EventsQuery};
use actionlog::{
    Answer, ArklowClient, Body, DecodeError, Exchange, ExchangeError, IntegrationClient, Json, RetryPolicy,
    UnleashClient,
};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};

/// A function that takes any bytes, and panics if something doesn't hold of what they are read as.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 5] = [
    ("arklow", arklow),
    ("integration", integration),
    ("unleash", unleash),
    ("error_bodies", error_bodies),
    ("json", json),
];

/// A page of Arklow records.
pub fn arklow(body: &[u8]) {
    with_clients(|clients| page(&clients.arklow.records().list(RecordsQuery::new()), body));
}

/// A page of integration logs, and one log.
pub fn integration(body: &[u8]) {
    with_clients(|clients| page(&clients.integration.logs().list(LogsQuery::new()), body));
    let _ = answered(200, body, |clients| clients.block_on(clients.integration.logs().get("1")));
}

/// A page of Unleash events.
pub fn unleash(body: &[u8]) {
    with_clients(|clients| page(&clients.unleash.action_set_events().list(EventsQuery::new("default", 1)), body));
}

/// The first byte chooses a status; the rest is the answer's body, for each client.
pub fn error_bodies(bytes: &[u8]) {
    const STATUSES: [u16; 8] = [400, 401, 403, 404, 409, 429, 500, 503];
    let Some((&first, body)) = bytes.split_first() else { return };
    let status = STATUSES[usize::from(first) % STATUSES.len()];
    for ask in [
        (|it| it.block_on(it.arklow.records().list(()).page()).map(drop)) as fn(&Clients) -> actionlog::Result<()>,
        |it| it.block_on(it.integration.logs().list(()).page()).map(drop),
        |it| it.block_on(it.unleash.action_set_events().list(("default", 1)).page()).map(drop),
    ] {
        let Err(error) = answered(status, body, ask) else { panic!("{status} was taken for a success") };
        assert_eq!(error.status().map(|it| it.as_u16()), Some(status));
        shown(&error);
    }
}

/// Free-form JSON.
pub fn json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert!(serde_json::from_slice::<Json>(bytes).is_err());
        return;
    };
    let Ok(json) = Json::from_text(text) else {
        assert!(serde_json::from_str::<Json>(text).is_err());
        // Whatever serde_json reads as a value is free-form JSON.
        assert!(serde_json::from_str::<serde_json::Value>(text).is_err());
        return;
    };
    assert_eq!(json.as_str(), text.trim_ascii());
    assert_eq!(serde_json::to_string(&json).unwrap(), json.as_str());
    assert_eq!(serde_json::from_str::<Json>(text).unwrap(), json);
    // Inside of something else it is the same.
    let around = format!("[{json}, {{\"inside\": {json}}}]");
    assert_eq!(serde_json::to_string(&serde_json::from_str::<Json>(&around).unwrap()).unwrap(), around);
    let [first, _]: [Json; 2] = serde_json::from_str(&around).unwrap();
    assert_eq!(first, json);
    // Asked for as something it may fail, and no more.
    let _ = json.to_value();
    let _ = json.parse::<String>();
    let _ = json.parse::<f64>();
    let _ = json.parse::<Vec<Json>>();
    assert_eq!(json.is_null(), json.parse::<()>().is_ok());
}

/// A record, and what of it can't be compared.
trait Record: Serialize + DeserializeOwned + Clone + PartialEq + Debug {
    /// Removes what isn't the same after it was written and read again.
    fn settle(&mut self) {}
}

impl Record for ActionRecord {}

impl Record for ActionSetEvent {}

impl Record for ActionLog {
    /// serde_json may miss a float by its last bit.
    fn settle(&mut self) {
        self.execution_time = None;
    }
}

fn page<Q: Paginate<Item: Record>>(listing: &Listing<Q>, body: &[u8]) {
    let (plain, raw) = (read(listing, body), read(&listing.clone().with_raw(), body));
    let (plain, raw) = match (plain, raw) {
        (Ok(plain), Ok(raw)) => (plain, raw),
        (Err(plain), Err(raw)) => {
            assert_eq!(plain, raw);
            return shown(&plain);
        }
        (plain, raw) => panic!("a page can be read or not: {plain:?} {raw:?}"),
    };
    assert_eq!(plain.total(), raw.total());
    assert_eq!(plain.errors(), raw.errors());
    assert_eq!(plain.records().len(), raw.records().len());
    let text = std::str::from_utf8(body).unwrap();
    for (index, (plain, raw)) in plain.into_records().into_iter().zip(raw.into_records()).enumerate() {
        match (plain, raw) {
            (Entry::Record(plain), Entry::Record(raw)) => record(plain, raw, text),
            (Entry::Unreadable(plain), Entry::Unreadable(raw)) => {
                assert_eq!((plain.index(), raw.index()), (index, index));
                assert_eq!(plain.raw(), raw.raw());
                assert!(text.contains(plain.raw().as_str()));
                assert!(!plain.reason().is_empty());
                // serde would read a list as a struct; a record is an object.
                assert!(plain.raw().parse::<Q::Item>().is_err() || plain.raw().as_str().starts_with('['));
                shown(&Entry::<()>::Unreadable(plain).into_result().unwrap_err());
            }
            (plain, raw) => panic!("a record can be read or not: {plain:?} {raw:?}"),
        }
    }
}

fn record<R: Record>(mut plain: R, raw: Raw<R>, body: &str) {
    assert_eq!(*raw, plain);
    assert_eq!(serde_json::to_string(&raw).unwrap(), raw.raw().as_str());
    assert!(body.contains(raw.raw().as_str()));
    plain.settle();
    let written = serde_json::to_string(&plain).unwrap();
    let mut again: R = serde_json::from_str(&written).unwrap();
    again.settle();
    assert_eq!(again, plain, "{written}");
}

fn read<Q: Paginate>(listing: &Listing<Q>, body: &[u8]) -> Result<Listed<Entry<Q::Item>>, DecodeError> {
    let request = listing.query().request();
    request.page::<Q::Envelope, Q::Item>().decode(&Answer::new(Bytes::copy_from_slice(body)))
}

/// An error can be shown, with all that it comes from.
fn shown(error: &dyn Error) {
    let mut next = Some(error);
    while let Some(error) = next {
        assert!(!error.to_string().is_empty());
        assert!(!format!("{error:?}").is_empty());
        next = error.source();
    }
}

struct Clients {
    runtime: Runtime,
    arklow: ArklowClient,
    integration: IntegrationClient,
    unleash: UnleashClient,
}

impl Clients {
    fn new() -> Self {
        const URL: &str = "http://localhost";
        let once = RetryPolicy::off();
        Self {
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
            arklow: ArklowClient::builder("1")
                .base_url(URL)
                .authenticator(none())
                .retry(once)
                .exchange(Given)
                .build()
                .unwrap(),
            integration: IntegrationClient::builder(URL)
                .authenticator(none())
                .retry(once)
                .exchange(Given)
                .build()
                .unwrap(),
            unleash: UnleashClient::builder(URL).authenticator(none()).retry(once).exchange(Given).build().unwrap(),
        }
    }

    fn block_on<F: IntoFuture>(&self, future: F) -> F::Output {
        self.runtime.block_on(future.into_future())
    }
}

thread_local! {
    static CLIENTS: Clients = Clients::new();
    static ANSWER: RefCell<(u16, Bytes)> = const { RefCell::new((200, Bytes::new())) };
}

fn with_clients<T>(act: impl FnOnce(&Clients) -> T) -> T {
    CLIENTS.with(act)
}

/// With this for an answer to whatever is asked.
fn answered<T>(status: u16, body: &[u8], act: impl FnOnce(&Clients) -> T) -> T {
    ANSWER.set((status, Bytes::copy_from_slice(body)));
    with_clients(act)
}

/// Answers what this thread was told to.
#[derive(Debug)]
struct Given;

#[async_trait::async_trait]
impl Exchange for Given {
    async fn exchange(&self, _: http::Request<Bytes>) -> Result<http::Response<Body>, ExchangeError> {
        let (status, body) = ANSWER.with_borrow(Clone::clone);
        http::Response::builder().status(status).body(body.into()).map_err(ExchangeError::connect)
    }
}
