//! What is authenticated, and what is shown of credentials.

use std::sync::{Arc, Mutex};

use actionlog::auth::{self, AuthError, Authenticate, Credentials, Token, TokenCache};
use actionlog::{ErrorKind, IntegrationClient, UnleashClient};
use bytes::Bytes;
use serde_json::json;

use crate::auth::{HOUR, Signed, Source, call, client, now, probe};
use crate::support::pending_input;
use crate::wire::{Memory, Reply, quick, whole_story};

#[tokio::test(start_paused = true)]
async fn credentials_are_never_shown() {
    const SECRET: &str = "top-secret-4711";
    let echo = || {
        Memory::new(|_, request| {
            let sent = request.headers()["authorization"].to_str().unwrap();
            let response = json!({"name": sent, "id": sent, "message": format!("no such token: {sent}"),
            "details": [{"message": format!("you sent {sent}")}]});
            Reply::Response(401, vec![("x-request-id", "top-secret-4711")], response.to_string())
        })
    };
    let source = || TokenCache::new(Source::new(|_| now(Ok(Token::new(SECRET).expires_in(HOUR)))));
    let memory = echo();
    let building = || UnleashClient::builder("https://unleash.example.com").http_client(memory.clone());
    for builder in [
        building().api_key(SECRET),
        building().bearer(SECRET),
        building().authenticator(auth::basic("user", SECRET)),
        building().authenticator(auth::header("authorization", SECRET)),
        building().authenticator(source()),
        building().authenticator(auth::sign_with(|it| {
            it.headers_mut().insert("authorization", http::HeaderValue::from_static(SECRET));
            Ok(Credentials::new())
        })),
    ] {
        let mut shown = format!("{builder:?}");
        let client = builder.build().unwrap();
        let error = call(&client).await.unwrap_err();
        shown += &format!("{client:?} {error:?} {error:#?} {} {:?}", whole_story(&error), error.api());
        shown += error.request_id().unwrap_or_default();
        let coded = memory.headers("authorization").pop().unwrap();
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(!shown.contains(coded.trim_start_matches("Basic ")), "{shown}");
        assert!(shown.contains("[withheld: "), "{shown}");
    }
    let cached = source();
    let mut request = http::Request::new(Bytes::new());
    let signature = cached.authenticate(&mut request).await.unwrap();
    let shown =
        format!("{cached:?} {signature:?} {:?} {:?} {:?}", request.headers(), Token::new(SECRET), auth::raw(SECRET));
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn keys_that_no_header_can_hold_are_rejected_when_the_client_is_built_and_not_shown() {
    for key in ["", "ke-y-x\n", " ke-y-x", "ke-y-x ", "ke-y\u{7f}-x", "ke\ny-x"] {
        let error = UnleashClient::builder("https://unleash.example.com").api_key(key).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{key:?}");
        assert!(!format!("{error:?} {}", whole_story(&error)).contains("y-x"), "{error:?}");
    }
    let error = UnleashClient::builder("https://unleash.example.com").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("no credentials"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_authenticated_as_it_is_sent() {
    let memory = Memory::new(|number, _| match number {
        0 => Reply::NoConnection,
        1 => Reply::NoConnection,
        _ => Reply::json(201, include_str!("../fixtures/integration/create.json")),
    });
    let seen: Arc<Mutex<Vec<Signed>>> = Arc::default();
    let seeing = Arc::clone(&seen);
    let signer = auth::sign_with(move |request| {
        let mut seen = seeing.lock().unwrap();
        assert!(request.headers().get("x-signature").is_none(), "each attempt begins unsigned");
        seen.push((request.method().to_string(), request.uri().to_string(), request.body().clone()));
        let signature = format!("{}:{}", seen.len(), request.body().len());
        request.headers_mut().insert("x-signature", signature.parse().map_err(AuthError::new)?);
        Ok(Credentials::new())
    });
    let client = IntegrationClient::builder("https://logs.example.com/api")
        .authenticator(signer)
        .retry(quick())
        .http_client(memory.clone())
        .build()
        .unwrap();
    client.logs().create(pending_input()).await.unwrap();

    let seen = seen.lock().unwrap();
    let body = r#"{"integrationId":"i1","actionType":"sync","entityType":"product","status":"pending"}"#;
    let uri = "https://logs.example.com/api/integration-action-logs";
    assert_eq!(*seen, vec![("POST".to_owned(), uri.to_owned(), Bytes::from(body)); 3]);
    let sent: Vec<_> = memory.seen().iter().map(|it| (it.uri().to_string(), it.body().clone())).collect();
    assert_eq!(sent, vec![(uri.to_owned(), Bytes::from(body)); 3]);
    let length = body.len();
    assert_eq!(memory.headers("x-signature"), [1, 2, 3].map(|it| format!("{it}:{length}")));
}

#[tokio::test(start_paused = true)]
async fn an_authenticator_sees_the_query_as_it_is_sent() {
    let memory = Memory::new(|_, _| Reply::json(200, "{}"));
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let seeing = Arc::clone(&seen);
    let signer = auth::sign_with(move |request| {
        seeing.lock().unwrap().push(request.uri().to_string());
        Ok(Credentials::new())
    });
    let request = probe().query("a b", "c&d");
    client(signer, &memory).send(request).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["https://unleash.example.com/probe?a+b=c%26d"]);
    assert_eq!(memory.seen()[0].uri().to_string(), "https://unleash.example.com/probe?a+b=c%26d");
}
