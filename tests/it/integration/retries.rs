//! Which calls are retried after which failures.

use std::time::Duration;

use actionlog::{ErrorKind, IntegrationClient, WriteOutcome};
use wiremock::ResponseTemplate;

use crate::integration::{CREATE, GET, ID, in_memory, minimal};
use crate::wire::{KEY, Memory, Reply, integration, json, quick, requests, server};

#[tokio::test]
async fn a_create_whose_response_is_lost_is_not_retried() {
    let lost: [(fn() -> Reply, ErrorKind); 4] = [
        (|| Reply::Cut, ErrorKind::Transport),
        (|| Reply::Never, ErrorKind::Timeout),
        (|| Reply::json(500, ""), ErrorKind::Server),
        (|| Reply::json(502, ""), ErrorKind::Server),
    ];
    for (reply, kind) in lost {
        let memory = Memory::new(move |_, _| reply());
        let call = in_memory(&memory).logs().create(minimal());
        let error = call.attempt_timeout(Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(error.outcome(), WriteOutcome::Unknown, "{kind}");
        assert!(error.is_transient(), "{kind}");
        assert_eq!(error.attempts(), 1);
        assert_eq!(memory.seen().len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_create_whose_connection_is_cut_is_not_retried() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = tokio::spawn(async move {
        let mut connections = 0;
        while let Ok(Ok((stream, _))) = tokio::time::timeout(Duration::from_millis(500), listener.accept()).await {
            connections += 1;
            // Reads the request, and closes the connection without a response.
            stream.readable().await.unwrap();
            let _ = stream.try_read(&mut [0; 4096]);
        }
        connections
    });
    let client = IntegrationClient::builder(url).bearer(KEY).retry(quick()).build().unwrap();
    let error = client.logs().create(minimal()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(error.outcome(), WriteOutcome::Unknown);
    assert_eq!(connections.await.unwrap(), 1);
}

#[tokio::test]
async fn a_create_that_provably_had_no_effect_is_retried() {
    let memory = Memory::new(|number, _| if number < 2 { Reply::NoConnection } else { Reply::json(201, CREATE) });
    in_memory(&memory).logs().create(minimal()).await.unwrap();
    let bodies: Vec<_> = memory.seen().iter().map(|it| it.body().clone()).collect();
    assert_eq!(bodies.len(), 3);
    assert!(bodies.iter().all(|it| *it == bodies[0] && !it.is_empty()));
}

/// Stores the request, and responds that it is too busy.
#[tokio::test]
async fn a_server_that_stores_and_then_responds_503_stores_once() {
    for status in [429, 503] {
        let server = server([json(status, "{}").insert_header("retry-after", "0")]).await;
        let error = integration(&server).logs().create(minimal()).await.unwrap_err();
        assert_eq!((error.attempts(), error.outcome()), (1, WriteOutcome::Unknown));
        assert_eq!(requests(&server).await.len(), 1);
    }
}

#[tokio::test]
async fn idempotent_requests_are_retried_until_they_succeed() {
    let failures: [fn() -> Reply; 5] = [
        || Reply::Cut,
        || Reply::NoConnection,
        || Reply::json(500, ""),
        || Reply::json(503, ""),
        || Reply::Response(429, vec![("retry-after", "0")], String::new()),
    ];
    for reply in failures {
        let memory = Memory::new(move |number, _| if number % 2 == 0 { reply() } else { Reply::json(200, GET) });
        let logs = in_memory(&memory).logs().clone();
        logs.get(ID).await.unwrap();
        logs.update(ID, minimal()).await.unwrap();
        logs.delete(ID).await.unwrap();
        let methods: Vec<_> = memory.seen().iter().map(|it| it.method().to_string()).collect();
        assert_eq!(methods, ["GET", "GET", "PUT", "PUT", "DELETE", "DELETE"]);
    }
}

#[tokio::test]
async fn a_deletion_whose_response_was_lost_and_that_then_finds_nothing_succeeded() {
    let gone = || json(404, r#"{"success": false, "message": "not found"}"#);
    // Also for a 503, which doesn't show whether the request was applied.
    let busy = |status| json(status, "").insert_header("retry-after", "0");
    for responses in [
        vec![json(500, ""), gone()],
        vec![json(502, ""), json(503, ""), ResponseTemplate::new(410)],
        vec![busy(503), gone()],
    ] {
        let server = server(responses).await;
        assert_eq!(integration(&server).logs().delete(ID).await.unwrap().message, None);
    }
    // A 429 is retried for idempotent requests.
    for responses in [vec![gone()], vec![busy(429), gone()]] {
        let server = server(responses).await;
        let error = integration(&server).logs().delete(ID).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::NotFound, WriteOutcome::NotApplied));
    }
}

#[tokio::test]
async fn a_get_or_an_update_that_finds_nothing_is_not_found_also_when_retried() {
    for update in [false, true] {
        let server = server([json(500, ""), json(404, r#"{"message": "not found"}"#)]).await;
        let logs = integration(&server).logs().clone();
        let call = if update { logs.update(ID, minimal()) } else { logs.get(ID) };
        assert_eq!(call.await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(requests(&server).await.len(), 2);
    }
}

#[tokio::test]
async fn a_deletion_with_a_rejected_token_that_then_finds_nothing_is_not_found() {
    let memory = Memory::new(|number, _| Reply::json(if number == 0 { 401 } else { 404 }, r#"{"message": "no"}"#));
    let client = IntegrationClient::builder("https://logs.example.com")
        .authenticator(actionlog::auth::TokenCache::new(crate::auth::Numbered::default()))
        .http_client(memory.clone())
        .build()
        .unwrap();
    let error = client.logs().delete(ID).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(memory.headers("authorization"), ["Bearer token-1", "Bearer token-2"]);
}
