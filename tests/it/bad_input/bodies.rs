//! Response bodies that are no page of events, or larger than the limit.

use std::time::{Duration, Instant};

use actionlog::{ErrorKind, IntegrationClient, WriteOutcome};
use wiremock::ResponseTemplate;

use crate::bad_input::{EMPTY, gzip, made_of, wire};
use crate::support::{
    Raw, Then, all_shown, builder, client, event, first_error, first_page, json as json_response, page_of, serve,
    unsigned,
};
use crate::wire::{Memory, Reply};

#[tokio::test]
async fn a_web_page_has_the_hint_that_the_base_url_looks_wrong() {
    let page = "\n<!doctype html><title>Unleash</title>";
    let responses = [
        ResponseTemplate::new(200).set_body_raw(page, "text/html"),
        ResponseTemplate::new(200).set_body_raw(page, "Text/HTML; charset=utf-8"),
        ResponseTemplate::new(200).set_body_raw(page, "application/xhtml+xml"),
        ResponseTemplate::new(200).set_body_raw("", "text/html"),
        // JSON labelled as a web page isn't accepted either.
        ResponseTemplate::new(200).set_body_raw(EMPTY, "text/html"),
        // Without a content type.
        ResponseTemplate::new(200).set_body_bytes(page),
        ResponseTemplate::new(203).set_body_bytes(page),
    ];
    for response in responses {
        let status = if format!("{response:?}").contains("203") { 203 } else { 200 };
        let error = made_of(response).await;
        assert_eq!(error.kind(), ErrorKind::NotJson, "{error:?}");
        assert_eq!(error.status().map(|it| it.as_u16()), Some(status));
        assert!(error.hint().is_some_and(|it| it.contains("base URL")), "{error:?}");
        assert!(error.to_string().contains("base URL"), "the hint is printed: {error}");
        assert!(!error.is_transient());
        assert_eq!(error.outcome(), WriteOutcome::Unknown, "it was taken in, whatever became of it");
    }
}

#[tokio::test]
async fn an_empty_body_is_an_error_and_no_empty_page() {
    let responses = [
        ResponseTemplate::new(204),
        ResponseTemplate::new(200),
        ResponseTemplate::new(205),
        ResponseTemplate::new(200).set_body_raw("", "application/json"),
        ResponseTemplate::new(200).set_body_raw(" \r\n\t ", "application/json"),
        ResponseTemplate::new(200).set_body_raw("\u{feff}", "application/json"),
    ];
    for response in responses {
        let shown = format!("{response:?}");
        let error = made_of(response).await;
        assert_eq!(error.kind(), ErrorKind::NotJson, "{shown}");
        assert!(error.to_string().contains("empty"), "{shown}: {error}");
    }
}

#[tokio::test]
async fn json_that_is_no_page_is_an_error_with_a_path_and_no_values() {
    let cases: [(&[u8], &str); 22] = [
        (br#"{"actionSetEvents":["#, "EOF"),
        (br#"{"actionSetEvents":[]"#, "EOF"),
        (br#"{"actionSetEvents":[{"id":1"#, "EOF"),
        (br#"{"actionSetEvents":[]}}"#, "trailing"),
        (br#"{"actionSetEvents":[]}{"actionSetEvents":[]}"#, "trailing"),
        (b"{\"actionSetEvents\":[],\"x\":\"\xff\"}", "UTF-8"),
        (b"{\0\"\0a\0", "key must be"),
        (br"{}", "missing field `actionSetEvents`"),
        (br#"{"actionsetevents":[]}"#, "missing field `actionSetEvents`"),
        (br#"{"events":[{"id":"hunter2"}]}"#, "missing field `actionSetEvents`"),
        (br#"{"data":{"actionSetEvents":[]}}"#, "missing field `actionSetEvents`"),
        (br#"{"actionSetEvents":null}"#, "at actionSetEvents: invalid type: null"),
        (br#"{"actionSetEvents":{}}"#, "at actionSetEvents: invalid type: map"),
        (br#"{"actionSetEvents":{"0":{"id":"hunter2"}}}"#, "at actionSetEvents: invalid type: map"),
        (br#"{"actionSetEvents":"hunter2"}"#, "at actionSetEvents: invalid type: string"),
        (br#"{"actionSetEvents":0}"#, "at actionSetEvents: invalid type: integer"),
        (br#"{"actionSetEvents":false}"#, "at actionSetEvents: invalid type: boolean"),
        (br#"{"actionSetEvents":[],"actionSetEvents":[]}"#, "duplicate field `actionSetEvents`"),
        (b"null", "invalid type: null"),
        (b"true", "invalid type: boolean"),
        (b"\"hunter2\"", "invalid type: string"),
        (b"40010", "invalid type: integer"),
    ];
    for (body, words) in cases {
        let error = made_of(json_response(body)).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!(error.kind(), ErrorKind::Decode, "{shown}: {error}");
        assert!(error.to_string().contains(words), "{shown}: {error}");
        assert_eq!(error.status().map(|it| it.as_u16()), Some(200));
        assert!(!error.is_transient());
        let all = all_shown(&error);
        assert!(!all.contains("hunter2") && !all.contains("40010"), "{shown}: {all}");
    }
}

#[tokio::test]
async fn a_bare_list_is_not_a_page_of_events() {
    for body in ["[]", "[[]]", r#"[{"id":1}]"#, "[[[]]]"] {
        let error = made_of(json_response(body)).await;
        assert_eq!(error.kind(), ErrorKind::Decode, "{body}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_not_json() {
    for (body, kind) in [("OK", "text/plain"), ("It works!", "text/plain; charset=utf-8"), ("<a/>", "application/xml")]
    {
        let error = made_of(ResponseTemplate::new(200).set_body_raw(body, kind)).await;
        assert_eq!(error.kind(), ErrorKind::NotJson, "{body:?}: {error}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_blanks_and_an_odd_content_type_are_accepted() {
    let good = page_of(&[event(5).to_string()]);
    let responses = [
        ResponseTemplate::new(200).set_body_raw(format!("\u{feff}{good}"), "application/json"),
        ResponseTemplate::new(200).set_body_raw(format!("\r\n {good} \n"), "application/json"),
        ResponseTemplate::new(200).set_body_bytes(good.clone()),
        ResponseTemplate::new(200).set_body_raw(good.clone(), "text/plain"),
        ResponseTemplate::new(200).set_body_raw(good.clone(), "application/vnd.api+json"),
        ResponseTemplate::new(201).set_body_raw(good.clone(), "application/json"),
        json_response(good.clone()).insert_header("content-encoding", "identity"),
    ];
    for response in responses {
        let shown = format!("{response:?}");
        let server = serve(response).await;
        let page = first_page(&client(server.uri())).await.unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(*page.into_records().unwrap()[0].id.get(), 5);
    }
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_accepted_and_one_byte_more_is_not() {
    let body = page_of(&[event(1).to_string()]);
    let size = body.len();
    let mut chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for piece in body.as_bytes().chunks(100) {
        chunked.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        chunked.extend(piece);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    let mut until_close = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    until_close.extend(body.as_bytes());
    let mut responses = vec![wire("200 OK", "", body.as_bytes()), chunked, until_close];
    if cfg!(feature = "gzip") {
        responses.push(wire("200 OK", "content-encoding: gzip\r\n", &gzip(body.as_bytes())));
    }
    for response in responses {
        let server = Raw::start(Then::Send(response)).await;
        let with_cap = |cap: usize| builder(server.url()).max_body_bytes(cap).build().unwrap();
        first_page(&with_cap(size)).await.unwrap();
        let error = first_error(&with_cap(size - 1)).await;
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains(&(size - 1).to_string()), "{error}");
        assert!(!error.is_transient());
        assert_eq!(error.outcome(), WriteOutcome::Unknown);
    }
}

#[cfg(feature = "gzip")]
#[tokio::test]
async fn a_body_that_exceeds_the_limit_when_decompressed_is_rejected() {
    let swollen = format!(r#"{{"actionSetEvents":[]{}}}"#, " ".repeat(33 << 20));
    let small = gzip(swollen.as_bytes());
    assert!(small.len() < 1_000_000, "{} bytes on the wire", small.len());
    let response = json_response(small.clone()).insert_header("content-encoding", "gzip");
    let server = serve(response).await;
    let client = builder(server.uri()).max_body_bytes(1 << 20).build().unwrap();
    assert_eq!(first_error(&client).await.kind(), ErrorKind::TooLarge);
    assert_eq!(first_error(&crate::support::client(server.uri())).await.kind(), ErrorKind::TooLarge);
    let server = Raw::start(Then::Send(wire("500 Oops", "content-encoding: gzip\r\n", &small))).await;
    assert_eq!(first_error(&crate::support::client(server.url())).await.kind(), ErrorKind::Server);
}

#[tokio::test]
async fn the_default_body_limit_is_16_mib_and_the_error_says_what_to_do() {
    let body = |size: usize| {
        let begin = r#"{"success":true,"data":[]"#;
        format!("{begin}{}}}", " ".repeat(size - begin.len() - 1))
    };
    let ask = |body: String| {
        let memory = Memory::new(move |_, _| Reply::json(200, body.clone()));
        IntegrationClient::builder("http://localhost").api_key("any").http_client(memory).build().unwrap()
    };
    ask(body(16 << 20)).logs().list(()).page().await.unwrap();
    let client = ask(body((16 << 20) + 1));
    let page = client.logs().list(()).page().await.unwrap_err();
    let one = client.logs().get("1").await.unwrap_err();
    for (error, is_page) in [(page, true), (one, false)] {
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        let text = error.to_string();
        assert!(text.contains("16777216") && text.contains("max_body_bytes"), "{text}");
        // A page of one record can't be smaller.
        assert_eq!(text.contains("page_size"), is_page, "{text}");
    }
}

#[tokio::test]
async fn an_announced_size_over_the_limit_is_rejected_before_the_body_arrives() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{".to_vec();
    let server = Raw::start(Then::SendAndHang(head)).await;
    assert_eq!(first_error(&client(server.url())).await.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn a_huge_error_page_reports_its_status_at_once() {
    let huge = vec![b'x'; 20 << 20];
    let server = serve(ResponseTemplate::new(404).set_body_raw(huge, "text/html")).await;
    let begun = Instant::now();
    let error = first_error(&client(server.uri())).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(all_shown(&error).len() < 50_000, "{} letters", all_shown(&error).len());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_endless_error_page_reports_its_status() {
    let head = b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\n\r\n".to_vec();
    let server = Raw::start(Then::SendWithoutEnd(head, vec![b'x'; 4096])).await;
    assert_eq!(first_error(&client(server.url())).await.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn an_endless_page_is_aborted_at_the_limit() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"actionSetEvents\":[".to_vec();
    let server = Raw::start(Then::SendWithoutEnd(head, vec![b' '; 4096])).await;
    let client = builder(server.url()).max_body_bytes(1 << 20).build().unwrap();
    assert_eq!(first_error(&client).await.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn no_memory_is_reserved_for_an_announced_length() {
    let http_client = Announcing;
    let client = unsigned("http://localhost")
        .api_key("any")
        .http_client(http_client)
        .max_body_bytes(usize::MAX)
        .build()
        .unwrap();
    assert!(first_page(&client).await.is_ok());
}

/// Announces a body larger than the memory, and sends a page in pieces.
#[derive(Debug)]
struct Announcing;

#[async_trait::async_trait]
impl actionlog::HttpClient for Announcing {
    async fn send(
        &self,
        _: http::Request<bytes::Bytes>,
    ) -> std::result::Result<http::Response<actionlog::Body>, actionlog::HttpError> {
        let pieces = [r#"{"actionSet"#, r#"Events":"#, "[]}"].map(|it| Ok(bytes::Bytes::from(it)));
        let body = actionlog::Body::new(futures_util::stream::iter(pieces));
        Ok(http::Response::builder().header("content-length", "4611686018427387904").body(body).unwrap())
    }
}
