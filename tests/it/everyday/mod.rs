//! Code that a user of reqwest, object_store, kube, octocrab or an AWS SDK writes first: it compiles, and does what it
//! promises.

// The lines are written as a user would write them.
#![allow(clippy::nonminimal_bool, clippy::cmp_owned)]

mod calls;
mod scans;
mod values;

use actionlog::testing::FakeServer;
use actionlog::{ArklowClient, IntegrationClient, RetryPolicy, UnleashClient};

struct Clients {
    server: FakeServer,
    unleash: UnleashClient,
    arklow: ArklowClient,
    integration: IntegrationClient,
}

/// Clients of a fake server with 12 records of each kind.
fn clients() -> Clients {
    let server = FakeServer::new();
    server.unleash().add_sample_events("default", 7, 12);
    server.arklow().add_sample_records("4711", 12);
    server.integration().add_sample_logs(12);
    Clients {
        unleash: UnleashClient::builder("http://localhost")
            .api_key("any")
            .http_client(server.http_client())
            .build()
            .unwrap(),
        arklow: ArklowClient::builder("4711").api_key("any").http_client(server.http_client()).build().unwrap(),
        integration: IntegrationClient::builder("http://localhost/")
            .bearer("any")
            .http_client(server.http_client())
            .retry(RetryPolicy::never())
            .build()
            .unwrap(),
        server,
    }
}
