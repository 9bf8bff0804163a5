//! What differs from API to API, and a world to keep the promises in.

use std::fmt::Debug;
use std::time::Duration;

use actionlog::page::Paginate;
use actionlog::testing::{Log, Server, World};
use actionlog::{
    ArklowClient, Check, Client, ClientBuilder, ErrorKind, IntegrationClient, Listing, RetryPolicy, UnleashClient,
    arklow, integration, unleash,
};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// What differs from API to API for the promises below.
pub(super) trait Api {
    const NAME: &'static str;
    const LARGEST: u32;
    /// The field of a record's id.
    const ID: &'static str;
    /// The header of the credentials.
    const HEADER: &'static str;
    /// Whether a reading of all can be complete.
    const HAS_TOTAL: bool;
    type Client: Client + Clone + Send + Sync + 'static;
    type Query: Paginate<Item: Debug>;

    fn builder(url: &str) -> ClientBuilder<Self::Client>;
    fn listing(client: &Self::Client) -> Listing<Self::Query>;
    fn log(world: &World) -> Log;
    fn accept(world: &World, key: &str);
    fn clamp(world: &World, largest: u32);
    fn id(record: &<Self::Query as Paginate>::Item) -> String;
    async fn check(client: &Self::Client) -> Check;
    /// The time of the eleventh record, which ten are newer than. `None` if they bear none.
    async fn time_of_tenth(listing: &Listing<Self::Query>) -> Option<DateTime<Utc>> {
        let page = listing.clone().page_size(20).page().await.unwrap();
        Self::Query::time_of(page.records().nth(10)?)
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
    fn log(world: &World) -> Log {
        world.unleash().log("default", 1)
    }
    fn accept(world: &World, key: &str) {
        world.unleash().accept_token(key);
    }
    fn clamp(world: &World, largest: u32) {
        world.unleash().largest_page(largest);
    }
    fn id(record: &unleash::ActionSetEvent) -> String {
        record.id.to_string()
    }
    async fn check(client: &Self::Client) -> Check {
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
    fn log(world: &World) -> Log {
        world.arklow().log("4711")
    }
    fn accept(world: &World, key: &str) {
        world.arklow().accept_key(key);
    }
    fn clamp(world: &World, largest: u32) {
        world.arklow().largest_page(largest);
    }
    fn id(record: &arklow::ActionRecord) -> String {
        record.id.to_string()
    }
    async fn check(client: &Self::Client) -> Check {
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
    fn log(world: &World) -> Log {
        world.integration().log()
    }
    fn accept(world: &World, key: &str) {
        world.integration().accept_authorization(key);
    }
    fn clamp(world: &World, largest: u32) {
        world.integration().largest_page(largest);
    }
    fn id(record: &integration::ActionLog) -> String {
        record.id.to_string()
    }
    async fn check(client: &Self::Client) -> Check {
        client.check().await
    }
}

/// The way into a world.
#[derive(Clone, Copy, Debug)]
pub(super) enum Door {
    Memory,
    Network,
}

/// A world, a door to it, and a client that goes through it; the key `good` is.
pub(super) struct Scene<A: Api> {
    pub(super) world: World,
    pub(super) log: Log,
    pub(super) client: A::Client,
    door: Door,
    /// Kept for as long as the client is used.
    _server: Option<Server>,
}

impl<A: Api> Scene<A> {
    pub(super) async fn new(door: Door, records: usize) -> Self {
        Self::with_key(door, records, "good").await
    }

    pub(super) async fn with_key(door: Door, records: usize, key: &str) -> Self {
        let world = World::new();
        A::accept(&world, "good");
        let log = A::log(&world);
        log.add_samples(records);
        let quick = RetryPolicy::default().base(Duration::from_millis(1));
        let (builder, server) = match door {
            Door::Memory => (A::builder("http://localhost").exchange(world.exchange()), None),
            Door::Network => {
                let server = world.listen().await.unwrap();
                (A::builder(&server.url()), Some(server))
            }
        };
        let client = builder.api_key(key).retry(quick).build().unwrap();
        Self { world, log, client, door, _server: server }
    }

    pub(super) fn listing(&self) -> Listing<A::Query> {
        A::listing(&self.client)
    }

    /// The ids that the log holds, the head first. What has none is left out.
    pub(super) fn held(&self) -> Vec<String> {
        let id = |text: String| match &serde_json::from_str::<Value>(&text).ok()?[A::ID] {
            Value::String(id) => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        };
        self.log.texts().into_iter().filter_map(id).collect()
    }

    pub(super) async fn walk(&self, page_size: u32) -> Walked {
        walk::<A>(self.listing().page_size(page_size)).await
    }

    /// The whole log is read, each record once and in order.
    pub(super) async fn expect_all(&self, page_size: u32) {
        let walked = self.walk(page_size).await;
        assert_eq!(walked.errors, [], "{} by {page_size}, {:?}", A::NAME, self.door);
        assert_eq!(walked.read, self.held(), "{} by {page_size}, {:?}", A::NAME, self.door);
    }
}

/// What came of a walk to its end.
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
