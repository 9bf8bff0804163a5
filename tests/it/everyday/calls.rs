//! Clients, calls, writes and errors.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actionlog::integration::{ActionLog, ActionLogFields, ActionLogInput};
use actionlog::testing::Fault;
use actionlog::{ArklowClient, IntegrationClient, Json, RetryPolicy, UnleashClient};
use futures_util::future::{join_all, try_join_all};
use serde::Serialize;
use serde_json::json;

use crate::everyday::{Clients, clients};
use crate::support::pending_input;

#[tokio::test]
async fn an_error_reports_what_happened() {
    let Clients { server, integration: client, .. } = clients();
    for (status, is) in [
        (404, actionlog::Error::is_not_found as fn(&actionlog::Error) -> bool),
        (401, actionlog::Error::is_unauthorized),
        (403, actionlog::Error::is_forbidden),
        (429, actionlog::Error::is_rate_limited),
    ] {
        server.fail_next(Fault::Status(status));
        let error = client.logs().list(()).page().await.unwrap_err();
        assert!(is(&error) && error.status().is_some_and(|it| it == status), "{error}");
        assert!(!error.is_timeout() && !error.is_connect());
    }
    let slow = server.http_client().latency(Duration::from_millis(50));
    let slow = IntegrationClient::builder("http://localhost").bearer("any").http_client(slow).build().unwrap();
    let error = slow.logs().get("1").attempt_timeout(Duration::from_millis(1)).retry(RetryPolicy::never()).await;
    assert!(error.as_ref().is_err_and(|it| it.is_timeout() && !it.is_connect()));
    // The errors convert into any error type that wraps errors.
    let boxed: Box<dyn std::error::Error + Send + Sync> = error.unwrap_err().into();
    assert!(std::io::Error::other(boxed).to_string().contains("attempt"));
}

#[tokio::test]
async fn a_failed_connection_and_a_connect_timeout_are_different_kinds() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = UnleashClient::builder(format!("http://{free}")).api_key("any").retry(RetryPolicy::never()).build();
    let refused = client.unwrap().action_set_events().list(("default", 1)).page().await.unwrap_err();
    assert!(refused.is_connect() && !refused.is_timeout(), "{refused}");
    // An address that nobody has: packets to it get no reply.
    let client = UnleashClient::builder("http://192.0.2.1")
        .allow_http()
        .api_key("any")
        .connect_timeout(Duration::from_millis(1))
        .retry(RetryPolicy::never())
        .build();
    let slow = client.unwrap().action_set_events().list(("default", 1)).page().await.unwrap_err();
    assert!(slow.is_connect(), "{slow}");
}

#[test]
fn a_connect_error_with_a_time_limit_in_its_sources_is_a_timeout() {
    #[derive(Debug)]
    struct Slow;
    #[async_trait::async_trait]
    impl actionlog::HttpClient for Slow {
        async fn send(
            &self,
            _: http::Request<bytes::Bytes>,
        ) -> Result<http::Response<actionlog::Body>, actionlog::HttpError> {
            Err(actionlog::HttpError::connect(std::io::Error::from(std::io::ErrorKind::TimedOut)))
        }
    }
    let client =
        UnleashClient::builder("http://localhost").api_key("any").http_client(Slow).retry(RetryPolicy::never());
    let client = client.build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let error = runtime.block_on(client.action_set_events().list(("default", 1)).page()).unwrap_err();
    assert!(error.is_connect() && error.is_timeout());
}

#[tokio::test]
async fn a_call_is_a_future_that_owns_what_it_needs() {
    let Clients { server, integration, arklow, unleash } = clients();
    let log = tokio::spawn(integration.logs().create(pending_input())).await.unwrap().unwrap();
    let count = tokio::spawn(arklow.records().count(()));
    let page = tokio::spawn(unleash.action_set_events().list(("default", 7)).page());
    assert_eq!((count.await.unwrap().unwrap(), page.await.unwrap().unwrap().len()), (12, 12));
    let all = tokio::spawn(integration.logs().list_all().collect());
    assert_eq!(all.await.unwrap().items.len(), 13);

    let calls = (0..3).map(|_| integration.logs().get(&log.id));
    assert!(try_join_all(calls).await.unwrap().iter().all(|it| *it == log));
    let gone = join_all(["x", "y"].map(|it| integration.logs().get(it))).await;
    assert!(gone.iter().all(|it| it.as_ref().is_err_and(actionlog::Error::is_not_found)));
    let got = tokio::time::timeout(Duration::from_secs(5), integration.logs().get(&log.id)).await.unwrap();
    assert_eq!(got.unwrap(), log);
    let mut call = integration.logs().get(&log.id);
    let before = server.requests().len();
    tokio::select! {
        biased;
        () = std::future::ready(()) => {}
        _ = &mut call => unreachable!("the other is ready"),
    }
    assert_eq!(server.requests().len(), before, "nothing is sent before it is polled");
    assert_eq!((&mut call).await.unwrap(), log);
    assert_eq!(call.request().path().unwrap(), format!("integration-action-logs/{}", log.id));
    assert_eq!(server.requests().len(), before + 1);
}

#[tokio::test]
async fn clients_are_shared_by_clones_statics_and_arcs() {
    static CLIENT: OnceLock<IntegrationClient> = OnceLock::new();
    let Clients { integration, unleash, .. } = clients();
    assert_eq!(integration.base_url(), "http://localhost");
    assert_eq!(CLIENT.get_or_init(|| integration.clone()).base_url(), integration.base_url());
    let shared = Arc::new(unleash);
    let tasks = (0..4).map(|_| {
        let client = Arc::clone(&shared);
        tokio::spawn(async move { client.action_set_events().list(("default", 7)).collect().await.items.len() })
    });
    assert!(join_all(tasks).await.into_iter().all(|it| it.unwrap() == 12));
    let arklow = ArklowClient::builder("4711").api_key("key").build().unwrap();
    assert_eq!(arklow.base_url(), "https://api.arklow.io");
    let below = UnleashClient::builder("https://host.example/unleash/".to_owned()).api_key("key".to_owned());
    assert_eq!(below.build().unwrap().base_url(), "https://host.example/unleash");
}

#[tokio::test]
async fn a_log_is_created_from_fields_inputs_and_records() {
    let Clients { integration: client, .. } = clients();
    let fields = ActionLogFields {
        integration_id: "i1".into(),
        action_type: "sync".into(),
        entity_type: "product".into(),
        status: "success".into(),
    };
    let log = client.logs().create(fields.clone()).await.unwrap();
    let template: ActionLogInput = fields.into();
    for entity in ["1", "2"] {
        let input = template.clone().entity_id(entity).payload(json!({"price": 12.5})).metadata(json!({}));
        assert_eq!(client.logs().create(&input).await.unwrap().entity_id.as_deref(), Some(entity));
    }
    #[derive(Serialize)]
    struct HttpResponse {
        etag: &'static str,
    }
    let input = ActionLogInput::from(log.clone()).response(HttpResponse { etag: "7" });
    let log = client.logs().update(log.id, input).await.unwrap();
    assert_eq!(log.response.as_ref().and_then(|it| it.get("etag")).unwrap(), json!("7"));
    let price = |it: &ActionLog| it.payload.as_ref()?.get("price")?.parse::<f64>().ok();
    let priced = client.logs().list(()).collect().await.items;
    assert_eq!(priced.iter().filter_map(price).collect::<Vec<_>>(), [12.5, 12.5]);
}

#[test]
fn the_crates_whose_types_are_in_the_api_are_re_exported() {
    #[derive(Debug)]
    struct Mine;
    #[actionlog::async_trait::async_trait]
    impl actionlog::HttpClient for Mine {
        async fn send(
            &self,
            _: actionlog::http::Request<actionlog::bytes::Bytes>,
        ) -> Result<actionlog::http::Response<actionlog::Body>, actionlog::HttpError> {
            Ok(actionlog::http::Response::new(actionlog::bytes::Bytes::new().into()))
        }
    }
    fn reads(stream: &impl actionlog::futures_core::Stream<Item = actionlog::Result<ActionLog>>) -> usize {
        stream.size_hint().0
    }
    let client = IntegrationClient::builder("http://localhost").api_key("key").http_client(Mine).build().unwrap();
    let since = actionlog::chrono::Utc::now();
    assert_eq!(reads(&client.logs().list_all().since(since).items()), 0);
    let value: actionlog::serde_json::Value = Json::default().to_value().unwrap();
    assert!(actionlog::serde::Deserialize::deserialize(value).is_ok_and(|it: Option<u8>| it.is_none()));
    assert_eq!(actionlog::reqwest::StatusCode::OK, actionlog::http::StatusCode::OK);
}
