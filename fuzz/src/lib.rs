//! What each fuzz target does with its bytes. The crate's own tests include this file to replay the corpora.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::Debug;

use actionlog::arklow::{RecordsQuery, SearchEncoding};
use actionlog::auth::none;
use actionlog::integration::LogsQuery;
use actionlog::page::{InvalidRecord, ListPage, Listing, Paginate, Raw};
use actionlog::unleash::EventsQuery;
use actionlog::{
    ArklowClient, Body, DecodeError, HttpClient, HttpError, HttpResponse, IntegrationClient, Json, RetryPolicy,
    UnleashClient,
};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};

/// A function that takes any bytes, and panics if something doesn't hold of what they are read as.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("arklow", arklow),
    ("integration", integration),
    ("unleash", unleash),
    ("error_bodies", error_bodies),
    ("json", json),
    ("queries", queries),
];

/// A page of Arklow records.
pub fn arklow(body: &[u8]) {
    with_clients(|clients| page(&clients.arklow.records().list(RecordsQuery::new()), body));
}

/// A page of integration logs, and one log.
pub fn integration(body: &[u8]) {
    with_clients(|clients| page(&clients.integration.logs().list(LogsQuery::new()), body));
    let _ = with_response(200, body, |clients| clients.block_on(clients.integration.logs().get("1")));
}

/// A page of Unleash events.
pub fn unleash(body: &[u8]) {
    with_clients(|clients| page(&clients.unleash.action_set_events().list(EventsQuery::new("default", 1)), body));
}

/// The first byte chooses a status; the rest is the response's body, for each client.
pub fn error_bodies(bytes: &[u8]) {
    const STATUSES: [u16; 8] = [400, 401, 403, 404, 409, 429, 500, 503];
    let Some((&first, body)) = bytes.split_first() else { return };
    let status = STATUSES[usize::from(first) % STATUSES.len()];
    for ask in [
        (|it| it.block_on(it.arklow.records().list(()).page()).map(drop)) as fn(&Clients) -> actionlog::Result<()>,
        |it| it.block_on(it.integration.logs().list(()).page()).map(drop),
        |it| it.block_on(it.unleash.action_set_events().list(("default", 1)).page()).map(drop),
    ] {
        let Err(error) = with_response(status, body, ask) else { panic!("{status} was taken for a success") };
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

/// The first byte chooses a listing and its page size; the rest is a text that selects records in it: a search term, a
/// filter, a project.
pub fn queries(bytes: &[u8]) {
    let Some((&first, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let size = [1, 2, 20, 50][usize::from(first >> 4) % 4];
    // A nested value is the same listing with blanks around it; any other text isn't.
    let nested =
        text.trim().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text.trim()).is_ok();
    let other = if nested { format!(" {text} ") } else { text.to_owned() };
    with_clients(|clients| match first % 8 {
        0 => {
            let by = |text: &str| clients.integration.logs().list(LogsQuery::new().search(text)).page_size(size);
            selected(clients, &by(text), &by(&other), Some(("search", text)));
        }
        1 => {
            let Ok(json) = Json::from_text(text) else { return };
            let list = || clients.integration.logs().list(LogsQuery::new().filter(&json)).page_size(size);
            selected(clients, &list(), &list(), Some(("filter", json.as_str())));
        }
        2 => {
            let list = || clients.integration.logs().list(LogsQuery::new().sort(text).search(text)).page_size(size);
            selected(clients, &list(), &list(), Some(("sort", text)));
        }
        encoding @ 3..=5 => {
            let client = &clients.searching[usize::from(encoding - 3)];
            let list = || client.records().list(RecordsQuery::new().search(text, text)).page_size(size);
            selected(clients, &list(), &list(), None);
        }
        6 => {
            let by = |text: &str| clients.arklow.records().list(RecordsQuery::new().variant(text)).page_size(size);
            selected(clients, &by(text), &by(&other), Some(("variant", text)));
        }
        _ => {
            let list = || clients.unleash.action_set_events().list(EventsQuery::with_text_id(text, text));
            selected(clients, &list(), &list(), None);
        }
    });
}

/// What is asked for is what was said, or it's refused before it's sent; and a cursor is one of its listing.
fn selected<Q: Paginate>(clients: &Clients, listing: &Listing<Q>, same: &Listing<Q>, sent: Option<(&str, &str)>) {
    const EMPTY: &[u8] = br#"{"success":true,"data":[],"actionSetEvents":[]}"#;
    const NO_RECORDS: &[u8] = br#"{"data":{"items":[]}}"#;
    let request = listing.query().request();
    if let Some((name, value)) = sent {
        let query = request.query_string();
        let pair = format!("{name}={}", value.bytes().map(encoded).collect::<String>());
        assert!(query.split('&').any(|it| it == pair), "{query} {pair}");
    }
    let arklow = request.template().contains("records");
    let body = if arklow { NO_RECORDS } else { EMPTY };
    let read = |listing: Listing<Q>| with_response(200, body, |_| clients.block_on(listing.collect()));
    let all = read(listing.clone());
    let Some(cursor) = all.cursor else {
        let error = all.error.expect("there is a cursor unless something is wrong");
        assert_eq!(error.kind(), actionlog::ErrorKind::InvalidRequest, "{error}");
        return shown(&error);
    };
    if let Some(error) = all.error {
        assert_eq!(error.kind(), actionlog::ErrorKind::InvalidRequest, "{error}");
        return shown(&error);
    }
    let stored = serde_json::to_string(&cursor).unwrap();
    assert_eq!(serde_json::from_str::<actionlog::Cursor>(&stored).unwrap(), cursor);
    let rest = read(same.clone().resume(cursor.clone()));
    assert!(rest.error.is_none(), "{:?}", rest.error);
    assert_eq!(serde_json::to_string(&rest.cursor).unwrap(), stored);
    let text: String = request.query_string().chars().take(64).collect();
    let error = with_response(200, body, |clients| {
        let another = clients.integration.logs().list(LogsQuery::new().sort("another").search(text)).resume(cursor);
        clients.block_on(another.collect()).error
    });
    assert_eq!(error.map(|it| it.kind()), Some(actionlog::ErrorKind::InvalidRequest));
}

/// A byte as queries have it.
fn encoded(byte: u8) -> String {
    match byte {
        b' ' => "+".to_owned(),
        b'*' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    }
}

trait Record: Serialize + DeserializeOwned + Clone + PartialEq + Debug {}

impl<R: Serialize + DeserializeOwned + Clone + PartialEq + Debug> Record for R {}

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
            (Ok(plain), Ok(raw)) => record(plain, raw, text),
            (Err(plain), Err(raw)) => {
                assert_eq!((plain.index(), raw.index()), (index, index));
                assert_eq!(plain.raw(), raw.raw());
                assert!(text.contains(plain.raw().as_str()));
                assert!(!plain.reason().is_empty());
                // serde would read a list as a struct; a record is an object.
                assert!(plain.raw().parse::<Q::Item>().is_err() || plain.raw().as_str().starts_with('['));
                shown(&actionlog::Error::from(plain));
            }
            (plain, raw) => panic!("a record can be read or not: {plain:?} {raw:?}"),
        }
    }
}

fn record<R: Record>(plain: R, raw: Raw<R>, body: &str) {
    assert_eq!(*raw, plain);
    assert_eq!(serde_json::to_string(&raw).unwrap(), raw.raw().as_str());
    assert!(body.contains(raw.raw().as_str()));
    let written = serde_json::to_string(&plain).unwrap();
    let again: R = serde_json::from_str(&written).unwrap();
    assert_eq!(again, plain, "{written}");
}

fn read<Q: Paginate>(
    listing: &Listing<Q>,
    body: &[u8],
) -> Result<ListPage<Result<Q::Item, InvalidRecord>>, DecodeError> {
    let request = listing.query().request();
    request.page_of::<Q>().decode(&HttpResponse::new(Bytes::copy_from_slice(body)))
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
    /// One for each way to write a search.
    searching: [ArklowClient; 3],
    integration: IntegrationClient,
    unleash: UnleashClient,
}

impl Clients {
    fn new() -> Self {
        const URL: &str = "http://localhost";
        let once = RetryPolicy::never();
        let arklow = |encoding| {
            let builder = ArklowClient::builder("1").base_url(URL).authenticator(none()).retry(once.clone());
            builder.search_encoding(encoding).http_client(Responder).build().unwrap()
        };
        Self {
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
            arklow: arklow(SearchEncoding::default()),
            searching: [SearchEncoding::DeepObject, SearchEncoding::Plain, SearchEncoding::Json].map(arklow),
            integration: IntegrationClient::builder(URL)
                .authenticator(none())
                .retry(once.clone())
                .http_client(Responder)
                .build()
                .unwrap(),
            unleash: UnleashClient::builder(URL)
                .authenticator(none())
                .retry(once)
                .http_client(Responder)
                .build()
                .unwrap(),
        }
    }

    fn block_on<F: IntoFuture>(&self, future: F) -> F::Output {
        self.runtime.block_on(future.into_future())
    }
}

thread_local! {
    static CLIENTS: Clients = Clients::new();
    static RESPONSE: RefCell<(u16, Bytes)> = const { RefCell::new((200, Bytes::new())) };
}

fn with_clients<T>(act: impl FnOnce(&Clients) -> T) -> T {
    CLIENTS.with(act)
}

/// Runs `act` with this as the response to every request.
fn with_response<T>(status: u16, body: &[u8], act: impl FnOnce(&Clients) -> T) -> T {
    RESPONSE.set((status, Bytes::copy_from_slice(body)));
    with_clients(act)
}

/// Returns the response that this thread has set.
#[derive(Debug)]
struct Responder;

#[async_trait::async_trait]
impl HttpClient for Responder {
    async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let (status, body) = RESPONSE.with_borrow(Clone::clone);
        http::Response::builder().status(status).body(body.into()).map_err(HttpError::connect)
    }
}
