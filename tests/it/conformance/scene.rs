//! The differences between the APIs, and the fake server that the promises are checked on.

use std::fmt::Debug;
use std::time::Duration;

use actionlog::page::Paginate;
use actionlog::testing::{FakeServer, Log, Server};
use actionlog::{
    ArklowClient, CheckReport, Client, ClientBuilder, ErrorKind, IntegrationClient, Listing, RetryPolicy,
    UnleashClient, arklow, integration, unleash,
};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// The differences between the APIs for the promises.
pub(super) trait Api {
    const NAME: &'static str;
    const LARGEST: u32;
    /// The name of the id field.
    const ID: &'static str;
    /// The header with the credentials.
    const HEADER: &'static str;
    /// Whether a scan of all records can be complete.
    const HAS_TOTAL: bool;
    type Client: Client + Clone + Send + Sync + 'static;
    type Query: Paginate<Item: Debug>;

    fn builder(url: &str) -> ClientBuilder<Self::Client>;
    fn listing(client: &Self::Client) -> Listing<Self::Query>;
    fn log(fake: &FakeServer) -> Log;
    fn accept(fake: &FakeServer, key: &str);
    fn clamp(fake: &FakeServer, largest: u32);
    fn id(record: &<Self::Query as Paginate>::Item) -> String;
    async fn check(client: &Self::Client) -> CheckReport;
    /// The timestamp of the eleventh record: ten are newer. `None` if records have no timestamps.
    async fn time_of_tenth(listing: &Listing<Self::Query>) -> Option<DateTime<Utc>> {
        let page = listing.clone().page_size(20).page().await.unwrap();
        Self::Query::timestamp(page.records().nth(10)?)
    }
}

pub(super) struct Unleash;
pub(super) struct Arklow;
pub(super) struct Integration;

impl Api for Unleash {
    const NAME: &'static str = "unleash";
    const LARGEST: u32 = 100;
    const ID: &'static str = "id";
    const HEADER: &'static str = "authorization";
    const HAS_TOTAL: bool = false;
    type Client = UnleashClient;
    type Query = unleash::EventsQuery;

    fn builder(url: &str) -> ClientBuilder<Self::Client> {
        UnleashClient::builder(url)
    }
    fn listing(client: &Self::Client) -> Listing<Self::Query> {
        client.action_set_events().list(("default", 1))
    }
    fn log(fake: &FakeServer) -> Log {
        fake.unleash().log("default", 1)
    }
    fn accept(fake: &FakeServer, key: &str) {
        fake.unleash().accept_token(key);
    }
    fn clamp(fake: &FakeServer, largest: u32) {
        fake.unleash().largest_page(largest);
    }
    fn id(record: &unleash::ActionSetEvent) -> String {
        record.id.to_string()
    }
    async fn check(client: &Self::Client) -> CheckReport {
        client.check().await
    }
}

impl Api for Arklow {
    const NAME: &'static str = "arklow";
    const LARGEST: u32 = 50;
    const ID: &'static str = "id";
    const HEADER: &'static str = "x-arklow-auth";
    const HAS_TOTAL: bool = true;
    type Client = ArklowClient;
    type Query = arklow::RecordListing;

    fn builder(url: &str) -> ClientBuilder<Self::Client> {
        ArklowClient::builder("4711").base_url(url)
    }
    fn listing(client: &Self::Client) -> Listing<Self::Query> {
        client.records().list(())
    }
    fn log(fake: &FakeServer) -> Log {
        fake.arklow().log("4711")
    }
    fn accept(fake: &FakeServer, key: &str) {
        fake.arklow().accept_key(key);
    }
    fn clamp(fake: &FakeServer, largest: u32) {
        fake.arklow().largest_page(largest);
    }
    fn id(record: &arklow::ActionRecord) -> String {
        record.id.to_string()
    }
    async fn check(client: &Self::Client) -> CheckReport {
        client.check().await
    }
}

impl Api for Integration {
    const NAME: &'static str = "integration";
    const LARGEST: u32 = 100;
    const ID: &'static str = "_id";
    const HEADER: &'static str = "authorization";
    const HAS_TOTAL: bool = true;
    type Client = IntegrationClient;
    type Query = integration::LogListing;

    fn builder(url: &str) -> ClientBuilder<Self::Client> {
        IntegrationClient::builder(url)
    }
    fn listing(client: &Self::Client) -> Listing<Self::Query> {
        client.logs().list(())
    }
    fn log(fake: &FakeServer) -> Log {
        fake.integration().log()
    }
    fn accept(fake: &FakeServer, key: &str) {
        fake.integration().accept_authorization(key);
    }
    fn clamp(fake: &FakeServer, largest: u32) {
        fake.integration().largest_page(largest);
    }
    fn id(record: &integration::ActionLog) -> String {
        record.id.to_string()
    }
    async fn check(client: &Self::Client) -> CheckReport {
        client.check().await
    }
}

/// How the client connects to the fake server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Door {
    Memory,
    Network,
}

/// A fake server, a connection to it, and a client that uses it. The fake accepts the key `good`.
pub(super) struct Scene<A: Api> {
    pub(super) fake: FakeServer,
    pub(super) log: Log,
    pub(super) client: A::Client,
    door: Door,
    /// Kept alive while the client is used.
    _server: Option<Server>,
}

impl<A: Api> Scene<A> {
    pub(super) async fn new(door: Door, records: usize) -> Self {
        Self::with_key(door, records, "good").await
    }

    pub(super) async fn with_key(door: Door, records: usize, key: &str) -> Self {
        let fake = FakeServer::new();
        A::accept(&fake, "good");
        let log = A::log(&fake);
        log.add_samples(records);
        let quick = RetryPolicy::default().initial_backoff(Duration::from_millis(1));
        let (builder, server) = match door {
            Door::Memory => (A::builder("http://localhost").http_client(fake.http_client()), None),
            Door::Network => {
                let server = fake.listen().await.unwrap();
                (A::builder(&server.url()), Some(server))
            }
        };
        let client = builder.api_key(key).retry(quick).build().unwrap();
        Self { fake, log, client, door, _server: server }
    }

    pub(super) fn listing(&self) -> Listing<A::Query> {
        A::listing(&self.client)
    }

    /// The ids of the records in the log, from the head. Records without an id are left out.
    pub(super) fn held(&self) -> Vec<String> {
        let id = |text: String| match &serde_json::from_str::<Value>(&text).ok()?[A::ID] {
            Value::String(id) => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        };
        self.log.raw_records().into_iter().filter_map(id).collect()
    }

    pub(super) async fn walk(&self, page_size: u32) -> Walked {
        walk::<A>(self.listing().page_size(page_size)).await
    }

    /// Checks that a scan yields each record of the log once and in order.
    pub(super) async fn expect_all(&self, page_size: u32) {
        let walked = self.walk(page_size).await;
        assert_eq!(walked.errors, [], "{} by {page_size}, {:?}", A::NAME, self.door);
        assert_eq!(walked.read, self.held(), "{} by {page_size}, {:?}", A::NAME, self.door);
    }
}

/// The result of a scan to its end.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) read: Vec<String>,
    pub(super) errors: Vec<ErrorKind>,
}

pub(super) async fn walk<A: Api>(listing: Listing<A::Query>) -> Walked {
    let mut items = listing.items();
    let mut walked = Walked::default();
    while let Some(item) = items.next().await {
        match item {
            Ok(record) => walked.read.push(A::id(&record)),
            Err(error) => walked.errors.push(error.kind()),
        }
    }
    walked
}
