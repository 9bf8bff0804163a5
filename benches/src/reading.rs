//! Whole listings, read from a server in another process: in a plain loop, and by this crate.

use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use actionlog::integration::LogsQuery;
use actionlog::page::{Listing, Paginate, Stability, TotalScope, Verdict};
use actionlog::unleash::EventsQuery;
use actionlog::{ArklowClient, IntegrationClient, UnleashClient};
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};

use crate::plain;

/// The server, as a child of this process.
pub struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// `program`: of `src/bin/server.rs`.
    pub fn start(program: &str, records: u64, latency: Duration) -> Self {
        let mut child = Command::new(program)
            .args([records.to_string(), latency.as_millis().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server can be started");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut port).expect("its port");
        Self { child, url: format!("http://127.0.0.1:{}", port.trim()) }
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The runtime of all scans: one thread, as the time of a process is that of the client then.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Arklow,
    Integration,
    Unleash,
}

impl Api {
    pub const ALL: [Self; 3] = [Self::Arklow, Self::Integration, Self::Unleash];

    pub fn name(self) -> &'static str {
        match self {
            Self::Arklow => "arklow",
            Self::Integration => "integration",
            Self::Unleash => "unleash",
        }
    }

    pub fn of(name: &str) -> Self {
        Self::ALL.into_iter().find(|it| it.name() == name).expect("an API")
    }
}

/// How a listing is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As most people would write it.
    Plain,
    /// By this crate, with so many requests in flight; as many as it likes without a number.
    Ours(Option<usize>),
    /// So, by one who knows that the order is fixed, and said it.
    InFixedOrder(usize),
}

/// Somebody who reads a listing, over connections that are kept.
pub struct Reader {
    url: String,
    api: Api,
    client: Client,
    way: Way,
}

enum Client {
    Plain(reqwest::Client),
    Arklow(ArklowClient),
    Integration(IntegrationClient),
    Unleash(UnleashClient),
}

impl Reader {
    pub fn new(api: Api, way: Way, url: &str) -> Self {
        let client = match (way, api) {
            (Way::Plain, _) => Client::Plain(reqwest::Client::builder().no_proxy().build().unwrap()),
            (_, Api::Arklow) => {
                let builder = ArklowClient::builder("4711").base_url(url).api_key("key");
                Client::Arklow(builder.count_scope(TotalScope::Listing).build().unwrap())
            }
            (_, Api::Integration) => {
                let builder = IntegrationClient::builder(url).api_key("key");
                Client::Integration(builder.total_scope(TotalScope::Listing).build().unwrap())
            }
            (_, Api::Unleash) => Client::Unleash(UnleashClient::builder(url).api_key("key").build().unwrap()),
        };
        Self { url: url.to_owned(), api, client, way }
    }

    /// Reads all of it, record by record, and keeps none. Returns how many there were.
    pub async fn read(&self) -> u64 {
        match &self.client {
            Client::Plain(client) => self.loop_over(client).await,
            Client::Arklow(client) => self.items(client.records().list(())).await,
            Client::Integration(client) => self.items(client.logs().list(LogsQuery::new())).await,
            Client::Unleash(client) => {
                self.items(client.action_set_events().list(EventsQuery::new("default", 1))).await
            }
        }
    }

    async fn items<Q: Paginate>(&self, listing: Listing<Q>) -> u64 {
        let listing = match self.way {
            Way::Plain | Way::Ours(None) => listing,
            Way::Ours(Some(most)) => listing.prefetch(most),
            Way::InFixedOrder(most) => listing.prefetch(most).stability(Stability::Stable),
        };
        let mut items = listing.items();
        let mut records = 0;
        while let Some(record) = items.next().await {
            black_box(record.unwrap());
            records += 1;
        }
        assert!(!matches!(items.summary().verdict, Verdict::Incomplete(_)), "{}", items.summary().verdict);
        records
    }

    async fn loop_over(&self, client: &reqwest::Client) -> u64 {
        let url = &self.url;
        match self.api {
            Api::Arklow => {
                let url = format!("{url}/v1/orgs/4711/actions/records");
                plain_loop::<plain::Arklow>(client, 50, |offset| format!("{url}?take=50&skip={offset}")).await
            }
            Api::Integration => {
                let url = format!("{url}/integration-action-logs");
                plain_loop::<plain::Integration>(client, 100, |offset| format!("{url}?limit=100&offset={offset}")).await
            }
            Api::Unleash => {
                let url = format!("{url}/api/admin/projects/default/actions/1/events");
                plain_loop::<plain::Unleash>(client, 50, |offset| format!("{url}?limit=50&offset={offset}")).await
            }
        }
    }
}

/// One page after the other until one is short.
async fn plain_loop<T: DeserializeOwned + plain::Page>(
    client: &reqwest::Client,
    size: usize,
    url: impl Fn(u64) -> String,
) -> u64 {
    let mut offset = 0;
    loop {
        let response = client.get(url(offset)).header("authorization", "key").send().await.unwrap();
        let page: T = response.error_for_status().unwrap().json().await.unwrap();
        let received = black_box(page).records();
        offset += received as u64;
        if received < size {
            return offset;
        }
    }
}
