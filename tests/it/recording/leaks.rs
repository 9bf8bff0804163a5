//! No token, cookie or key is ever in the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actionlog::auth::{self, AuthError, Credentials, Secret, Token, TokenCache, TokenSource};
use actionlog::testing::recording::{Playback, Recorder, RecordingError};
use actionlog::{Body, ClientBuilder, HttpClient, HttpError, IntegrationClient, Request, RetryPolicy};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::Bytes;
use http::HeaderValue;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::File;
use crate::leaks::forms;

/// Sends the body, with headers.
#[derive(Clone, Debug)]
struct Echo {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Echo {
    fn body(body: impl Into<String>) -> Self {
        Self { status: 200, headers: vec![("content-type", "application/json".into())], body: body.into() }
    }
}

#[async_trait::async_trait]
impl HttpClient for Echo {
    async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let mut response = http::Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        Ok(response.body(Bytes::from(self.body.clone()).into()).unwrap())
    }
}

fn builder() -> ClientBuilder<IntegrationClient> {
    IntegrationClient::builder("https://logs.example.com/api").retry(RetryPolicy::never())
}

fn probe() -> Request<()> {
    Request::get("probe", [""; 0])
}

/// The file after this request. The call may fail: what matters is what is written.
async fn written(
    recorder: Recorder,
    file: &File,
    builder: ClientBuilder<IntegrationClient>,
    request: Request<()>,
) -> String {
    let _ = builder.http_client(recorder.clone()).build().unwrap().send(request).await;
    recorder.save().unwrap();
    file.text()
}

const SECRET: &str = "98b5af0c4e5a6b7c8d9e";

/// The ways to send a credential.
fn ways(secret: &str) -> Vec<(&'static str, ClientBuilder<IntegrationClient>)> {
    let (in_query, in_path, hidden) = (secret.to_owned(), secret.to_owned(), secret.to_owned());
    vec![
        ("api_key", builder().api_key(secret)),
        ("bearer", builder().bearer(secret)),
        ("basic", builder().authenticator(auth::basic("ann", secret))),
        ("header", builder().authenticator(auth::header("x-own", secret))),
        ("custom header", builder().api_key("any-key-at-all").header("x-gateway-token", secret)),
        ("named", builder().api_key("any-key-at-all").redact(secret)),
        (
            "query",
            builder().authenticator(auth::sign_with(move |request| {
                let mark = if request.uri().query().is_some() { '&' } else { '?' };
                *request.uri_mut() = format!("{}{mark}k={in_query}", request.uri()).parse().map_err(AuthError::new)?;
                Ok(Credentials::new())
            })),
        ),
        (
            "path",
            builder().authenticator(auth::sign_with(move |request| {
                let uri = request.uri().to_string().replacen("probe", &format!("probe/{in_path}"), 1);
                *request.uri_mut() = uri.parse().map_err(AuthError::new)?;
                Ok(Credentials::new())
            })),
        ),
        (
            "hidden",
            builder().authenticator(auth::sign_with(move |request| {
                request.headers_mut().insert("x-signature", HeaderValue::from_static("1f2e3d4c5b6a"));
                Ok(Credentials::new().hiding(Secret::from(hidden.clone())))
            })),
        ),
    ]
}

/// Bodies of a response with a string in them.
fn bodies(said: &str) -> Vec<String> {
    let json = serde_json::Value::from(said).to_string();
    vec![
        format!(r#"{{"message":{json}}}"#),
        format!(r#"{{"data":[{{"_id":"1","payload":{{"deep":[[{json}]]}}}}],"total":1}}"#),
        format!(r#"{{{json}:1}}"#),
        format!("<html><body>{said}</body></html>"),
        said.to_owned(),
    ]
}

#[tokio::test]
async fn the_credentials_of_a_client_are_in_no_file_however_they_are_sent_and_sent_back() {
    let mut checked = 0;
    for form in forms() {
        let said = form.write(SECRET);
        for body in bodies(&said) {
            for (name, builder) in ways(SECRET) {
                let file = File::new();
                let mut echo = Echo::body(&*body);
                for header in ["etag", "set-cookie", "x-request-id", "www-authenticate", "retry-after", "x-kept"] {
                    if let Ok(value) = HeaderValue::from_str(&said) {
                        echo.headers.push((header, value.to_str().unwrap_or_default().to_owned()));
                    }
                }
                let recorder = Recorder::new(echo, &file.0).keep_header("X-Kept").keep_header("Set-Cookie");
                let request = probe().query("search", &said).query("other", "harmless");
                let text = written(recorder, &file, builder, request).await;
                let shown = text.to_lowercase();
                for part in [&*said.to_lowercase(), SECRET, &SECRET[..8], &SECRET[4..12], "ann:"] {
                    assert!(!shown.contains(part), "{name}, {}: {part} is in {text}", form.name);
                }
                assert!(!shown.contains(&BASE64.encode(SECRET).to_lowercase()[..20]), "{name}: {text}");
                assert!(shown.contains("other=harmless"), "{text}");
                checked += 1;
            }
        }
    }
    assert!(checked > 500, "{checked}");
}

/// A source whose tokens differ.
#[derive(Debug, Default)]
struct Rotating(AtomicU32);

#[async_trait::async_trait]
impl TokenSource for Rotating {
    async fn fetch(&self) -> Result<Token, AuthError> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Token::new(["first-0c4e5a6b7c", "second-5f6a7b8c9d"][number.min(1) as usize]))
    }
}

#[tokio::test]
async fn a_token_that_is_sent_later_is_in_no_earlier_exchange_either() {
    let file = File::new();
    // Both tokens are in both responses.
    let mut echo = Echo::body(r#"{"message":"not 0c4e5a6b7c, but 5f6a7b8c9d"}"#);
    echo.status = 401;
    let recorder = Recorder::new(echo, &file.0);
    let text = written(recorder, &file, builder().authenticator(TokenCache::new(Rotating::default())), probe()).await;
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains("0c4e") && !text.contains("5f6a"), "{text}");
}

/// An HTTP client that makes each request again, as one does that adds a header; what the client attached is lost.
#[derive(Debug)]
struct Again(Arc<Recorder>);

#[async_trait::async_trait]
impl HttpClient for Again {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let (head, body) = request.into_parts();
        let mut request = http::Request::builder().method(head.method).uri(head.uri);
        for (name, value) in &head.headers {
            request = request.header(name, value.as_bytes());
        }
        self.0.send(request.body(body).unwrap()).await
    }
}

#[tokio::test]
async fn a_request_that_another_http_client_made_again_shows_no_credential_either() {
    for (name, builder) in
        ways(SECRET).into_iter().filter(|it| !["named", "query", "path", "hidden", "header"].contains(&it.0))
    {
        let file = File::new();
        let recorder = Recorder::new(Echo::body(format!(r#"{{"message":"no {SECRET}"}}"#)), &file.0);
        let client = builder.http_client(Again(Arc::new(recorder.clone()))).build().unwrap();
        let _ = client.send(probe().query("api_key", SECRET)).await;
        recorder.save().unwrap();
        assert!(!file.text().contains("98b5"), "{name}: {}", file.text());
    }
    // Where nothing shows that it is a secret, it has to be named.
    let file = File::new();
    let recorder = Recorder::new(Echo::body(format!(r#"{{"message":"no {SECRET}"}}"#)), &file.0).secret(SECRET);
    let client = builder().authenticator(auth::header("x-own", SECRET));
    let client = client.http_client(Again(Arc::new(recorder.clone()))).build().unwrap();
    let _ = client.send(probe().query("k", SECRET)).await;
    recorder.save().unwrap();
    assert!(!file.text().contains("98b5"), "{}", file.text());
}

#[tokio::test]
async fn secrets_of_others_are_scrubbed_by_the_name_and_the_form_of_a_value() {
    let file = File::new();
    let body = r#"{"data":[{"_id":"1","config":{"headers":{"Authorization":"abc","x-tenant":"t"},"webhookSecret":"w"},
        "password":"p","pin":1234,"sessionStart":"2025-03-04T01:10:00Z","sessionCount":3,"tokens":["a",{"b":"c"}],
        "note":"Bearer abcdef123456","jwt":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln","author":"ann","key":"theme",
        "email":"ann@acme.example","primaryKey":"pk"}]}"#
        .replace("\n        ", "");
    let recorder = Recorder::new(Echo::body(body), &file.0)
        .scrub_field("EMAIL")
        .keep_field("primarykey")
        .scrub_with(|it| it.target = it.target.replace("acme", "customer"));
    let request = probe().query("session", "s-1").query("email", "ann@acme.example").query("for", "acme");
    let text = written(recorder, &file, builder().bearer(SECRET), request).await;
    let line = text.lines().nth(1).unwrap();
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(value["request"]["target"], "/api/probe?session=[scrubbed]&email=[scrubbed]&for=customer");
    let it = &value["response"]["json"]["data"][0];
    let scrubbed = "[scrubbed]";
    for (field, expected) in [
        (&it["config"]["headers"]["Authorization"], serde_json::json!(scrubbed)),
        (&it["config"]["headers"]["x-tenant"], "t".into()),
        (&it["config"]["webhookSecret"], scrubbed.into()),
        (&it["password"], scrubbed.into()),
        (&it["pin"], 0.into()),
        (&it["sessionStart"], "2025-03-04T01:10:00Z".into()),
        (&it["sessionCount"], 3.into()),
        (&it["tokens"], serde_json::json!([scrubbed, { "b": scrubbed }])),
        (&it["note"], scrubbed.into()),
        (&it["jwt"], scrubbed.into()),
        (&it["author"], "ann".into()),
        (&it["key"], "theme".into()),
        (&it["email"], scrubbed.into()),
        (&it["primaryKey"], "pk".into()),
    ] {
        assert_eq!(field, &expected, "{line}");
    }
    // What is scrubbed matches any value at playback.
    let client = builder().bearer("any").http_client(Playback::open(&file.0).unwrap()).build().unwrap();
    let request = probe().query("session", "s-2").query("email", "bob").query("for", "customer");
    client.send(request.read(|_| Ok(()))).await.unwrap();
}

#[tokio::test]
async fn a_credential_that_is_left_fails_the_save_and_leaves_the_file_as_it_was() {
    let file = File::new();
    std::fs::write(&file.0, "before").unwrap();
    let recorder = Recorder::new(Echo::body("{}"), &file.0)
        .scrub_with(|it| it.body = format!(r#"{{"message":"{SECRET}"}}"#).into());
    let _ = builder().bearer(SECRET).http_client(recorder.clone()).build().unwrap().send(probe()).await;
    let error = recorder.save().unwrap_err();
    assert!(matches!(error, RecordingError::Credential { exchange: 1, .. }), "{error:?}");
    assert!(error.to_string().contains("exchange 1") && !error.to_string().contains("98b5"), "{error}");
    assert_eq!(file.text(), "before");
    assert!(!format!("{recorder:?}").contains("98b5"));
}

#[test]
fn a_secret_in_a_query_is_recognized_with_its_plus_signs() {
    // Taken for blanks, they would leave nothing but words that are too short to tell.
    let secret = "0aAA0+aa+a+0+A0+aAa+a+Aa";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for way in 0..9 {
        for form in forms() {
            let said = form.write(secret);
            let file = File::new();
            let recorder = Recorder::new(Echo::body(bodies(&said).swap_remove(0)), &file.0);
            let builder = ways(secret).swap_remove(way).1;
            let text = runtime.block_on(written(recorder, &file, builder, probe().query("search", &said)));
            assert!(!text.contains(secret) && !text.contains(&said), "{way}, {said}: {text}");
        }
    }
}

#[test]
fn no_random_secret_is_in_a_file_whatever_its_form_and_place() {
    let secret = prop_oneof!["[0-9a-f]{16,64}", "[0-9A-Za-z]{10,40}", "[0-9A-Za-z+/]{24,44}", "[0-9A-Za-z_-]{20,60}"];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let cases = std::env::var("MODEL_CASES").map_or(200, |it| it.parse().unwrap());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(secret, 0..forms().len(), 0..5_usize, 0..9_usize), |(secret, form, body, way)| {
            let said = forms()[form].write(&secret);
            let file = File::new();
            let recorder = Recorder::new(Echo::body(bodies(&said).swap_remove(body)), &file.0);
            let builder = ways(&secret).swap_remove(way).1;
            let text = runtime.block_on(written(recorder, &file, builder, probe().query("search", &said)));
            prop_assert!(!text.contains(&secret) && !text.contains(&said), "{}", text);
            Ok::<_, TestCaseError>(())
        })
        .unwrap();
}
