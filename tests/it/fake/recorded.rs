//! The fake server behaves like recorded real servers.

use std::io::Read;
use std::time::Duration;

use actionlog::UnleashClient;
use actionlog::testing::{FakeServer, models};
use flate2::read::GzDecoder;
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fake::{EVENTS, LOGS, RECORDS, get, send};
use crate::support::promptly;

#[test]
fn an_integration_server_rejects_fields_of_other_types() {
    let fake = FakeServer::new();
    let good = json!({"integrationId": "1", "actionType": "sync", "entityType": "product", "status": "failed"});
    for (field, value, expected) in [
        ("entityId", json!(5), 422),
        ("errorMessage", json!({}), 422),
        ("executionTime", json!("12"), 422),
        ("executionTime", json!(true), 422),
        ("metadata", json!("x"), 422),
        ("response", json!([]), 422),
        ("retryCount", json!(1.5), 422),
        ("retryCount", json!("1"), 422),
        ("integrationId", json!(1), 422),
        ("entityId", json!("5"), 201),
        ("executionTime", json!(12.5), 201),
        ("retryCount", json!(1.0), 201),
    ] {
        let mut body = good.clone();
        body[field] = value;
        assert_eq!(send(&fake, Method::POST, LOGS, &[], &body.to_string()).0, expected, "{body}");
    }
    fake.integration().log().add(models::action_log("a/b c")).unwrap();
    for path in ["a%2Fb%20c", "%61%2fb%20c"] {
        assert_eq!(get(&fake, &format!("{LOGS}/{path}")).0, 200, "{path}");
    }
}

#[test]
fn the_fake_arklow_accepts_any_integer_for_a_version() {
    let fake = FakeServer::new();
    fake.arklow().add_sample_records("4711", 3);
    for (version, expected, count) in [("1", 200, 3), ("-1", 200, 0), ("0", 200, 0), ("x", 400, 0), ("1.5", 400, 0)] {
        let (status, body) = get(&fake, &format!("{RECORDS}?version={version}"));
        let items = body["data"]["items"].as_array().map_or(0, Vec::len);
        assert_eq!((status, items), (expected, count), "{version}");
    }
}

#[test]
fn the_fake_unleash_rejects_offsets_and_ids_as_recorded() {
    let fake = FakeServer::new();
    fake.unleash().add_sample_events("default", 1, 3);
    for (offset, expected) in [
        ("9223372036854774784", 200),
        ("9223372036854775808", 500),
        ("99999999999999999999", 500),
        ("1e30", 500),
        ("Infinity", 200),
    ] {
        let (status, body) = get(&fake, &format!("{EVENTS}?offset={offset}"));
        assert_eq!(status, expected, "{offset}");
        if expected == 500 {
            assert!(body["message"].as_str().unwrap().ends_with("is out of range for type bigint"), "{body}");
        }
    }
    let (_, body) = get(&fake, &format!("{EVENTS}?offset=99999999999999999999"));
    assert!(body["message"].as_str().unwrap().contains(r#"value "100000000000000000000" is"#), "{body}");
    for (id, expected, events) in [
        ("1", 200, 3),
        ("01", 200, 3),
        ("0", 200, 0),
        ("-1", 200, 0),
        ("2147483647", 200, 0),
        ("2147483648", 500, 0),
        ("1.5", 500, 0),
        ("0x1", 500, 0),
        ("1e0", 500, 0),
        ("%20", 500, 0),
        ("abc", 400, 0),
        ("NaN", 400, 0),
        ("%C3%A9", 400, 0),
        ("1%2F2", 400, 0),
    ] {
        let (status, body) = get(&fake, &format!("/api/admin/projects/default/actions/{id}/events"));
        let found = body["actionSetEvents"].as_array().map_or(0, Vec::len);
        assert_eq!((status, found), (expected, events), "{id}: {body}");
        if expected != 200 {
            assert!(body["name"].is_string() && body["message"].is_string(), "{body}");
        }
    }
}

#[test]
fn the_fake_unleash_sends_etags_and_compresses_as_recorded() {
    let fake = FakeServer::new();
    fake.unleash().add_sample_events("default", 1, 20).accept_token("user:good");
    let ask = |method: Method, headers: &[(&str, &str)]| {
        let mut all = Vec::from([("authorization", "user:good")]);
        all.extend_from_slice(headers);
        send(&fake, method, EVENTS, &all, "")
    };
    let (_, plain, body) = ask(Method::GET, &[]);
    let tag = plain["etag"].to_str().unwrap().to_owned();
    // W/"5ab3-1TLZDCiKpSDc1wUVdS9nfd0D7xY", as recorded.
    let (length, hash) = tag.strip_prefix("W/\"").unwrap().strip_suffix('"').unwrap().split_once('-').unwrap();
    assert_eq!((usize::from_str_radix(length, 16).unwrap(), hash.len()), (body.len(), 27));
    assert_eq!(plain.get("content-encoding"), None);

    for taken in ["gzip", "gzip, br", "deflate, gzip;q=0.5", "*"] {
        let (_, headers, coded) = ask(Method::GET, &[("accept-encoding", taken)]);
        assert_eq!((&headers["content-encoding"], &headers["etag"]), (&"gzip".parse().unwrap(), &plain["etag"]));
        assert_eq!(headers.get("content-length"), None, "it goes out in chunks");
        let mut read = Vec::new();
        GzDecoder::new(&coded[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, body);
    }
    for not_taken in ["identity", "zstd", "gzip;q=0, identity"] {
        assert_eq!(ask(Method::GET, &[("accept-encoding", not_taken)]).1.get("content-encoding"), None, "{not_taken}");
    }
    let (_, head, none) = ask(Method::HEAD, &[("accept-encoding", "gzip")]);
    assert_eq!(
        (head.get("content-encoding"), &head["content-length"], none.len()),
        (None, &plain["content-length"], 0)
    );

    let strong = tag.trim_start_matches("W/").to_owned();
    for known in [&*tag, &strong, "*", &format!("W/\"0-x\", {tag}")] {
        let (status, headers, body) = ask(Method::GET, &[("if-none-match", known), ("accept-encoding", "gzip")]);
        assert_eq!((status, body.len(), &headers["etag"]), (304, 0, &plain["etag"]), "{known}");
        assert!(["content-type", "vary", "content-length"].iter().all(|it| !headers.contains_key(*it)));
    }
    assert_eq!(ask(Method::GET, &[("if-none-match", "W/\"0-x\"")]).0, 200);
    assert_eq!(ask(Method::GET, &[("if-none-match", &tag), ("cache-control", "no-cache")]).0, 200);
    let (status, headers, _) = send(&fake, Method::GET, EVENTS, &[("if-none-match", "*")], "");
    assert!(status == 401 && headers.contains_key("etag"), "never for an error");
}

#[test]
fn the_fake_unleash_sends_the_recorded_etags() {
    let fake = FakeServer::new();
    fake.unleash().accept_token_of_wrong_kind("backend").rate_limit(0);
    for (token, status, body, tag) in [
        (
            "backend",
            403,
            r#"{"message":"invalid token: expected a different token type for this endpoint"}"#,
            "W/\"4e-jt5pdNmry+4oIyoRuLQ0uCE+BA8\"",
        ),
        ("user:x", 429, "Too many requests, please try again later.", "W/\"2a-UpTsLJ74nYuiLgNgEwlQMxGqwrE\""),
    ] {
        let (is, headers, was) = send(&fake, Method::GET, EVENTS, &[("authorization", token)], "");
        assert_eq!((is, &was[..], headers["etag"].to_str().unwrap()), (status, body.as_bytes(), tag));
    }
}

#[tokio::test]
async fn the_fake_unleash_sends_compressed_bodies_in_chunks_as_recorded() {
    let fake = FakeServer::new();
    fake.unleash().add_sample_events("default", 1, 20);
    let plain = send(&fake, Method::GET, EVENTS, &[], "").2;
    let server = fake.listen().await.unwrap();
    let ask = async |method: &str, version: &str, headers: &str| {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let request = format!("{method} {EVENTS} {version}\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        promptly(stream.read_to_end(&mut response)).await.unwrap();
        let end = response.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
        let body = response.split_off(end);
        (String::from_utf8(response).unwrap().to_lowercase(), body)
    };
    let unpacked = |coded: &[u8]| {
        let mut read = Vec::new();
        GzDecoder::new(coded).read_to_end(&mut read).unwrap();
        read
    };
    let length = format!("content-length: {}\r\n", plain.len());
    let gzip = "accept-encoding: gzip\r\n";

    let (head, body) = ask("GET", "HTTP/1.1", "").await;
    assert!(head.contains(&length) && !head.contains("chunked") && body == plain, "{head}");
    let (head, body) = ask("GET", "HTTP/1.1", gzip).await;
    assert!(head.contains("transfer-encoding: chunked") && !head.contains("content-length"), "{head}");
    // The gzip header is a separate chunk.
    assert!(body.starts_with(b"A\r\n\x1f\x8b") && body.ends_with(b"\r\n0\r\n\r\n"));
    let rest = body[15..].windows(2).position(|it| it == b"\r\n").unwrap() + 17;
    assert_eq!(unpacked(&[&body[3..13], &body[rest..body.len() - 7]].concat()), plain);
    // An HTTP/1.0 client gets the body up to the end of the connection, and HEAD returns the uncompressed length.
    let (head, body) = ask("GET", "HTTP/1.0", gzip).await;
    assert!(!head.contains("chunked") && !head.contains("content-length") && unpacked(&body) == plain, "{head}");
    let (head, body) = ask("HEAD", "HTTP/1.1", gzip).await;
    assert!(head.contains(&length) && !head.contains("chunked") && body.is_empty(), "{head}");
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_fake_unleash_limits_personal_tokens_as_recorded() {
    let fake = FakeServer::new();
    fake.unleash().accept_token("user:good").accept_token("*:*.admin").accept_token_of_wrong_kind("user:odd");
    let ask = |token: &str, path: &str| {
        let (status, headers, body) = send(&fake, Method::GET, path, &[("authorization", token)], "");
        let said = ["policy", "limit", "remaining", "reset"]
            .map(|it| headers.get(format!("ratelimit-{it}")).map(|it| it.to_str().unwrap().to_owned()));
        (status, said.map(Option::unwrap_or_default), headers, body)
    };
    assert_eq!(ask("user:good", EVENTS).1, ["20000;w=60", "20000", "19999", "60"]);
    assert_eq!(ask("Bearer user:good", "/api/none").1, ["20000;w=60", "20000", "19998", "60"], "whatever its status");
    for (token, status) in [("*:*.admin", 200), ("user:bad", 401)] {
        let response = ask(token, EVENTS);
        assert_eq!((response.0, response.1), (status, [""; 4].map(str::to_owned)), "{token}");
    }
    fake.unleash().rate_limit(3);
    tokio::time::sleep(Duration::from_millis(18_500)).await;
    assert_eq!(ask("user:good", EVENTS).1, ["3;w=60", "3", "0", "42"]);
    let (status, said, headers, body) = ask("user:good", EVENTS);
    assert_eq!((status, said[2].as_str(), &headers["retry-after"]), (429, "0", &"42".parse().unwrap()));
    assert_eq!(
        (&headers["content-type"], &body[..]),
        (&"text/html; charset=utf-8".parse().unwrap(), &b"Too many requests, please try again later."[..],)
    );
    // The client waits as requested, and succeeds.
    let client =
        UnleashClient::builder("http://localhost").api_key("user:good").http_client(fake.http_client()).build();
    let client = client.unwrap();
    let page = client.action_set_events().list(("default", 1)).page().with_response().await.unwrap();
    assert_eq!((page.attempts, page.rate_limit.and_then(|it| it.remaining)), (2, Some(2)));
}
