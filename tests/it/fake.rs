//! The fake server: its samples match the APIs' references, and it rejects what real servers reject.

use std::io::Read;
use std::time::Duration;

use actionlog::Error;
use actionlog::arklow::{ActionRecord, ActionStatus};
use actionlog::integration::{ActionLog, LogStatus};
use actionlog::page::{Proof, Stability};
use actionlog::testing::{FakeServer, Fault, models, sample};
use actionlog::unleash::{ActionEventState, ActionSetEvent, ActionSetEventState};
use actionlog::{ArklowClient, ErrorKind, IntegrationClient, RetryPolicy, UnleashClient, Verdict, WriteOutcome};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{draft, promptly};

const EVENTS: &str = "/api/admin/projects/default/actions/1/events";
const LOGS: &str = "/integration-action-logs";
const RECORDS: &str = "/v1/orgs/4711/actions/records";

/// What a reference says of a value.
enum Kind {
    Text,
    Digits,
    Integer,
    Number,
    Bool,
    Time,
    /// One of these, and no other.
    OneOf(&'static [&'static str]),
    /// An object of any fields.
    Map,
    Any,
    List(&'static Self),
    /// An object of these fields, and no other.
    Fields(&'static [Field]),
    /// Null, or such a value.
    Nullable(&'static Self),
}

/// A field, and whether it's required.
type Field = (&'static str, bool, Kind);

use Kind::{Any, Bool, Digits, Fields, Integer, List, Map, Nullable, Number, OneOf, Text, Time};

/// The reference page "Integration action logs": List. Its `ActionLogInput`'s required fields, and `_id`, `createdAt`
/// and `updatedAt`, which its examples have.
const LOG: Kind = Fields(&[
    ("_id", true, Text),
    ("integrationId", true, Text),
    ("actionType", true, OneOf(&["create", "update", "delete", "sync", "webhook"])),
    ("entityType", true, Text),
    ("entityId", false, Text),
    ("status", true, OneOf(&["pending", "success", "failed", "retrying"])),
    ("payload", false, Map),
    ("response", false, Map),
    ("errorMessage", false, Text),
    ("retryCount", false, Integer),
    ("executionTime", false, Number),
    ("metadata", false, Map),
    ("createdAt", true, Time),
    ("updatedAt", true, Time),
]);

const LOGS_PAGE: Kind = Fields(&[("success", true, Bool), ("data", true, List(&LOG)), ("total", true, Integer)]);
const ONE_LOG: Kind = Fields(&[("success", true, Bool), ("data", true, LOG)]);

/// Arklow's reference page "List action records": it requires `data` and `errors`, and nothing in them.
const RECORDS_PAGE: Kind = Fields(&[
    ("data", true, Fields(&[("items", false, List(&RECORD)), ("count", false, Integer)])),
    ("errors", true, Nullable(&List(&Fields(&[("code", false, Text), ("message", false, Text)])))),
]);

const RECORD: Kind = Fields(&[
    ("id", false, Text),
    ("org_id", false, Digits),
    ("action_definition_id", false, Text),
    ("input", false, Any),
    ("timeout", false, Integer),
    ("tags", false, Map),
    (
        "state",
        false,
        Nullable(&Fields(&[
            ("status", false, Text),
            ("attempt", false, Integer),
            ("updated_at", false, Time),
            ("available_at", false, Nullable(&Time)),
            ("timeout_at", false, Nullable(&Time)),
            ("started_at", false, Nullable(&Time)),
            ("completed_at", false, Nullable(&Time)),
            ("error_message", false, Nullable(&Text)),
        ])),
    ),
    (
        "definition",
        false,
        Nullable(&Fields(&[
            ("id", false, Text),
            ("org_id", false, Text),
            ("variant", false, Text),
            ("version", false, Integer),
            ("alias", false, List(&Text)),
            ("schema", false, Any),
            ("deleted_at", false, Nullable(&Time)),
            ("destinations", false, List(&LINK)),
        ])),
    ),
    (
        "events",
        false,
        List(&Fields(&[
            ("id", false, Text),
            ("action_record_id", false, Text),
            ("org_id", false, Text),
            ("kind", false, Text),
            ("status", false, Text),
            ("attempt", false, Integer),
            ("available_at", false, Nullable(&Time)),
            ("timeout_at", false, Nullable(&Time)),
            ("message", false, Nullable(&Text)),
            ("data", false, Any),
        ])),
    ),
]);

const LINK: Kind = Fields(&[
    ("id", false, Text),
    ("action_definition_id", false, Text),
    ("destination_id", false, Text),
    ("org_id", false, Text),
    ("is_default", false, Bool),
    (
        "destination",
        false,
        Nullable(&Fields(&[
            ("id", false, Text),
            ("org_id", false, Text),
            ("updated_at", false, Time),
            ("label", false, Text),
            ("type", false, Text),
            (
                "config",
                false,
                Fields(&[
                    ("url", false, Text),
                    ("headers", false, Map),
                    ("signaling", false, Fields(&[("enabled", false, Bool), ("default", false, Text)])),
                    ("response_time_sla_ms", false, Integer),
                ]),
            ),
            ("deleted_at", false, Nullable(&Time)),
            ("tags", false, Map),
            ("credential_id", false, Nullable(&Text)),
        ])),
    ),
]);

/// Unleash's reference page "Get action events for a specific action set".
const EVENTS_PAGE: Kind = Fields(&[("actionSetEvents", true, List(&EVENT))]);

const EVENT: Kind = Fields(&[
    ("id", true, Integer),
    ("actionSetId", true, Integer),
    ("signalId", true, Integer),
    ("createdAt", true, Time),
    ("state", true, OneOf(&["started", "success", "failed"])),
    (
        "signal",
        true,
        Fields(&[
            ("id", true, Integer),
            ("payload", false, Map),
            ("createdAt", true, Time),
            ("source", true, OneOf(&["signal-endpoint"])),
            ("sourceId", true, Integer),
            ("createdBySourceTokenId", false, Nullable(&Integer)),
        ]),
    ),
    (
        "actionSet",
        true,
        Fields(&[
            ("id", true, Integer),
            ("project", true, Text),
            ("createdAt", true, Time),
            ("createdByUserId", true, Integer),
            ("name", true, Text),
            ("description", false, Nullable(&Text)),
            ("actorId", true, Integer),
            ("enabled", false, Bool),
            ("actions", true, List(&ACTION)),
            (
                "match",
                true,
                Fields(&[
                    ("source", true, OneOf(&["signal-endpoint"])),
                    ("sourceId", true, Number),
                    ("payload", true, Map),
                ]),
            ),
        ]),
    ),
]);

const ACTION: Kind = Fields(&[
    ("id", true, Integer),
    ("createdAt", true, Time),
    ("createdByUserId", true, Integer),
    ("action", true, Text),
    ("sortOrder", true, Integer),
    ("executionParams", false, Map),
    ("state", true, OneOf(&["not started", "started", "success", "failed"])),
    ("details", false, Nullable(&Text)),
]);

/// What of a value isn't as it should be, with where it stands.
fn misfits(value: &Value, kind: &Kind, at: &str) -> Vec<String> {
    let fits = match kind {
        Any => true,
        Text => value.is_string(),
        Digits => value.as_str().is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit())),
        Integer => value.is_i64() || value.is_u64(),
        Number => value.is_number(),
        Bool => value.is_boolean(),
        Time => value.as_str().is_some_and(|it| chrono::DateTime::parse_from_rfc3339(it).is_ok()),
        OneOf(texts) => value.as_str().is_some_and(|it| texts.contains(&it)),
        Map => value.is_object(),
        Nullable(kind) => return if value.is_null() { Vec::new() } else { misfits(value, kind, at) },
        List(kind) => match value {
            Value::Array(list) => {
                let each = list.iter().enumerate();
                return each.flat_map(|(index, it)| misfits(it, kind, &format!("{at}/{index}"))).collect();
            }
            _ => false,
        },
        Fields(fields) => match value {
            Value::Object(object) => {
                let unknown = object.keys().filter(|name| fields.iter().all(|it| it.0 != *name));
                let unknown = unknown.map(|name| format!("{at}/{name} isn't in the reference"));
                let known = fields.iter().flat_map(|(name, required, kind)| match object.get(*name) {
                    Some(value) => misfits(value, kind, &format!("{at}/{name}")),
                    None if *required => Vec::from([format!("{at}/{name} is missing")]),
                    None => Vec::new(),
                });
                return unknown.chain(known).collect();
            }
            _ => false,
        },
    };
    if fits { Vec::new() } else { Vec::from([format!("{at} is {value}")]) }
}

fn send(
    fake: &FakeServer,
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, HeaderMap, Bytes) {
    let mut request = http::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, body) = fake.respond(&request.body(body.to_owned().into()).unwrap()).into_parts();
    (head.status.as_u16(), head.headers, body)
}

fn get(fake: &FakeServer, target: &str) -> (u16, Value) {
    let (status, _, body) = send(fake, Method::GET, target, &[], "");
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[test]
fn every_page_of_samples_is_valid_by_the_reference() {
    let fake = FakeServer::new();
    fake.unleash().largest_page(200).add_sample_events("default", 1, 400);
    fake.arklow().add_sample_records("4711", 400);
    fake.integration().add_sample_logs(400);
    let mut pages = 0;
    for (path, view, size, kind) in [
        (EVENTS, "", ("limit", "offset", 50), &EVENTS_PAGE),
        (RECORDS, "", ("take", "skip", 50), &RECORDS_PAGE),
        (RECORDS, "include_state=true&include_definition=true", ("take", "skip", 50), &RECORDS_PAGE),
        (LOGS, "", ("limit", "offset", 100), &LOGS_PAGE),
        (LOGS, "order=asc&sort=updatedAt", ("limit", "offset", 25), &LOGS_PAGE),
    ] {
        let (limit, skip, size) = size;
        for offset in (0..=400).step_by(size) {
            let (status, page) = get(&fake, &format!("{path}?{view}&{limit}={size}&{skip}={offset}"));
            assert_eq!((status, misfits(&page, kind, path)), (200, Vec::new()));
            pages += 1;
        }
    }
    assert_eq!(pages, 9 + 9 + 9 + 5 + 17);
    let (_, count) = get(&fake, &format!("{RECORDS}?count_only=true"));
    assert_eq!(misfits(&count, &RECORDS_PAGE, ""), [""; 0]);
    fake.arklow().trouble("shard_down", "one of 3 shards didn't answer");
    assert_eq!(misfits(&get(&fake, RECORDS).1, &RECORDS_PAGE, ""), [""; 0]);
    for size in [0, 1] {
        let fake = FakeServer::new();
        fake.integration().add_sample_logs(size);
        assert_eq!(misfits(&get(&fake, LOGS).1, &LOGS_PAGE, ""), [""; 0]);
    }
}

#[test]
fn writes_are_stored_as_documented() {
    let fake = FakeServer::new();
    let least = json!({"integrationId": "i", "actionType": "sync", "entityType": "product", "status": "pending"});
    let mut most = least.clone();
    most.as_object_mut().unwrap().extend(
        json!({"entityId": "5", "payload": {}, "response": {"a": 1}, "errorMessage": "no", "retryCount": 2,
            "executionTime": 1.5, "metadata": {}})
        .as_object()
        .unwrap()
        .clone(),
    );
    let mut nulls = least.clone();
    for field in ["entityId", "payload", "errorMessage", "retryCount", "executionTime"] {
        nulls[field] = Value::Null;
    }
    for body in [least, most, nulls] {
        let (status, _, stored) = send(&fake, Method::POST, LOGS, &[], &body.to_string());
        let stored: Value = serde_json::from_slice(&stored).unwrap();
        assert_eq!((status, misfits(&stored, &ONE_LOG, "")), (201, Vec::new()), "{body}");
        let one = format!("{LOGS}/{}", stored["data"]["_id"].as_str().unwrap());
        let (status, _, stored) = send(&fake, Method::PUT, &one, &[], &body.to_string());
        assert_eq!((status, misfits(&serde_json::from_slice(&stored).unwrap(), &ONE_LOG, "")), (200, Vec::new()));
        assert_eq!(misfits(&get(&fake, &one).1, &ONE_LOG, ""), [""; 0]);
    }
}

#[test]
fn sparse_and_odd_samples_are_valid_records() {
    fn check<T: DeserializeOwned>(odd: &[Value], usual: &[Value], kind: &Kind, odd_one: impl Fn(&T) -> bool) {
        assert_eq!(odd.len(), usual.len());
        assert!(usual.iter().all(|it| misfits(it, kind, "").is_empty()));
        let read: Vec<T> = odd.iter().map(|it| serde_json::from_value(it.clone()).unwrap()).collect();
        assert!(read.iter().filter(|it| odd_one(it)).count() >= odd.len() / 10);
        let differ = odd.iter().zip(usual).filter(|(odd, usual)| odd != usual).count();
        assert!(differ > odd.len() / 2 && differ < odd.len(), "{differ}");
    }
    let events = (sample::odd_action_set_events(120), sample::action_set_events(120));
    check(&events.0, &events.1, &EVENT, |it: &ActionSetEvent| it.state == "throttled");
    assert!(events.0.iter().any(|it| !misfits(it, &EVENT, "").is_empty()));
    let records = (sample::odd_action_records(120), sample::action_records(120));
    check(&records.0, &records.1, &RECORD, |it: &ActionRecord| {
        it.state.as_ref().and_then(|it| it.status.as_ref()).is_none_or(|it| it.is_final().is_none())
    });
    let logs = (sample::odd_action_logs(120), sample::action_logs(120));
    check(&logs.0, &logs.1, &LOG, |it: &ActionLog| it.updated_at.is_none());
    assert!(logs.0.iter().any(|it| !misfits(it, &LOG, "").is_empty()));

    let fake = FakeServer::new();
    let log = fake.integration().log();
    log.add_samples(3).add_odd_samples(3).add_samples(3);
    assert_eq!(log.records::<Value>().unwrap()[3..6], sample::odd_action_logs(6)[..3]);
    fake.arklow().log("4711").add_odd_samples(12);
    fake.unleash().log("default", 1).add_odd_samples(12);
    assert_eq!(fake.arklow().log("4711").records::<ActionRecord>().unwrap().len(), 12);
    assert_eq!(fake.unleash().log("default", 1).records::<ActionSetEvent>().unwrap().len(), 12);
}

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
        let mut answer = Vec::new();
        promptly(stream.read_to_end(&mut answer)).await.unwrap();
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
        let body = answer.split_off(end);
        (String::from_utf8(answer).unwrap().to_lowercase(), body)
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
    // gzip's header is a chunk of its own.
    assert!(body.starts_with(b"A\r\n\x1f\x8b") && body.ends_with(b"\r\n0\r\n\r\n"));
    let rest = body[15..].windows(2).position(|it| it == b"\r\n").unwrap() + 17;
    assert_eq!(unpacked(&[&body[3..13], &body[rest..body.len() - 7]].concat()), plain);
    // Who doesn't know chunks gets it to the connection's end, and HEAD says how long the uncompressed one is.
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
        let answer = ask(token, EVENTS);
        assert_eq!((answer.0, answer.1), (status, [""; 4].map(str::to_owned)), "{token}");
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
    // And the client makes of it what it should: it waits, and comes through.
    let client =
        UnleashClient::builder("http://localhost").api_key("user:good").http_client(fake.http_client()).build();
    let client = client.unwrap();
    let page = client.action_set_events().list(("default", 1)).page().with_response().await.unwrap();
    assert_eq!((page.attempts, page.rate_limit.and_then(|it| it.remaining)), (2, Some(2)));
}

#[tokio::test]
async fn the_port_can_be_chosen_and_compression_works_over_it() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let fake = FakeServer::new();
    fake.unleash().add_sample_events("default", 1, 20);
    let server = fake.listen_on(free).await.unwrap();
    assert_eq!((server.address(), server.url()), (free, format!("http://{free}")));
    assert_eq!(fake.listen_on(free).await.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    let client = UnleashClient::builder(server.url()).api_key("user:any").build().unwrap();
    let page = promptly(client.action_set_events().list(("default", 1)).page().with_response()).await.unwrap();
    assert_eq!(page.value.len(), 20);
    assert!(page.headers.contains_key("etag"));
    assert_eq!(fake.requests()[0].has_header("accept-encoding"), cfg!(feature = "gzip"));
    server.stop().await;
}

#[tokio::test]
async fn faults_apply_to_the_requests_of_their_path() {
    let fake = FakeServer::new();
    fake.integration().add_sample_logs(3);
    fake.arklow().add_sample_records("4711", 3);
    let logs = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
    let logs = logs.retry(RetryPolicy::never()).build().unwrap();
    let records =
        ArklowClient::builder("4711").api_key("any").http_client(fake.http_client()).retry(RetryPolicy::never());
    let records = records.build().unwrap();
    fake.fail_next_at("/v1/", Fault::Status(503))
        .fail_next_at("/integration-action-logs/", Fault::Status(403))
        .fail_next_at("/v1/", Fault::EmptyOnce)
        .fail_next(Fault::Status(429));
    // The one for any path is met by the first that no earlier one is for.
    assert_eq!(logs.logs().list(()).page().await.unwrap_err().kind(), ErrorKind::RateLimited);
    assert_eq!(logs.logs().list(()).page().await.unwrap().len(), 3);
    assert_eq!(records.records().list(()).page().await.unwrap_err().kind(), ErrorKind::Server);
    assert_eq!(records.records().list(()).page().await.unwrap().len(), 0);
    assert_eq!(records.records().list(()).page().await.unwrap().len(), 3);
    assert!(logs.logs().get("any").await.unwrap_err().is_forbidden());
    assert!(logs.logs().get("any").await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn a_hang_and_a_reset_work_in_memory() {
    let fake = FakeServer::new();
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
    let client = client.build().unwrap();
    fake.fail_next(Fault::Hang);
    let began = tokio::time::Instant::now();
    let error = client.logs().create(draft()).await.unwrap_err();
    assert!(error.is_timeout() && began.elapsed() == Duration::from_secs(30), "{error}");
    assert_eq!((error.outcome(), error.attempts()), (WriteOutcome::Unknown, 1));
    fake.fail_next(Fault::Reset);
    let error = client.logs().create(draft()).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Transport, WriteOutcome::Unknown));
    fake.fail_next(Fault::Hang).fail_next(Fault::Reset);
    assert_eq!(client.logs().list(()).page().await.unwrap().len(), 0, "what reads is asked again");
    fake.fail_next(Fault::Hang);
    assert_eq!(get(&fake, LOGS).0, 504, "a function can't hang");
}

#[tokio::test]
async fn a_hang_and_a_reset_work_over_the_network() {
    let fake = FakeServer::new();
    let server = fake.listen().await.unwrap();
    let client = IntegrationClient::builder(server.url()).api_key("any").retry(RetryPolicy::never()).build().unwrap();
    client.logs().list(()).page().await.unwrap();
    fake.fail_next(Fault::Reset);
    let error = promptly(client.logs().create(draft())).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Transport, WriteOutcome::Unknown));
    assert!(format!("{error:?}").contains("ConnectionReset"), "{error:?}");
    fake.fail_next(Fault::Hang);
    let error = promptly(client.logs().list(()).page().attempt_timeout(Duration::from_millis(50))).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    promptly(client.logs().create(draft())).await.unwrap();
    fake.fail_next(Fault::Hang);
    let hanging = tokio::spawn(client.logs().list(()).page());
    tokio::time::sleep(Duration::from_millis(20)).await;
    promptly(server.stop()).await;
    assert!(promptly(hanging).await.unwrap().is_err());
}

#[tokio::test]
async fn records_and_received_bodies_are_deserialised() {
    let fake = FakeServer::new();
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
    let log = client.build().unwrap().logs().create(draft().entity_id("5")).await.unwrap();
    let held: Vec<ActionLog> = fake.integration().log().records().unwrap();
    assert_eq!(held, [log]);
    let sent: Value = fake.requests()[0].json().unwrap();
    assert_eq!(sent["entityId"], "5");
    assert!(fake.requests()[0].json::<u8>().is_err());
    fake.integration().add_raw("{}");
    assert!(fake.integration().log().records::<ActionLog>().is_err());
}

#[tokio::test]
async fn models_are_made_without_json_and_held_by_the_fake() {
    let mut log = models::action_log("60f7b1b3e4b0e8b3f8b3f8b3");
    (log.status, log.error_message) = (LogStatus::Failed, Some("no".to_owned()));
    let mut record = models::action_record("17");
    record.state = Some(models::action_state("failed"));
    let mut definition = models::action_definition("5001");
    definition.destinations = Some(Vec::from([models::destination_link(models::destination("701"))]));
    (record.definition, record.events) = (Some(definition), Some(Vec::from([models::action_event("171")])));
    let mut event = models::action_set_event(9);
    let failed = models::action_of_set("TOGGLE_FEATURE_OFF", ActionEventState::Failed);
    (event.state, event.action_set) = (ActionSetEventState::Failed, models::action_set(1, [failed]));
    assert_eq!(event.failed_action().unwrap().action, "TOGGLE_FEATURE_OFF");

    for (value, kind) in [
        (serde_json::to_value(&log).unwrap(), &LOG),
        (serde_json::to_value(&record).unwrap(), &RECORD),
        (serde_json::to_value(&event).unwrap(), &EVENT),
        (serde_json::to_value(models::action_log("1")).unwrap(), &LOG),
        (serde_json::to_value(models::action_record("1")).unwrap(), &RECORD),
        (serde_json::to_value(models::action_set_event(1)).unwrap(), &EVENT),
    ] {
        assert_eq!(misfits(&value, kind, ""), [""; 0]);
    }
    let fake = FakeServer::new();
    fake.integration().log().add(&log).unwrap();
    fake.arklow().log("4711").add(&record).unwrap();
    fake.unleash().log("default", 1).add(&event).unwrap();
    let unleash =
        UnleashClient::builder("http://localhost").api_key("any").http_client(fake.http_client()).build().unwrap();
    assert_eq!(unleash.action_set_events().list(("default", 1)).collect().await.items, [event]);
    let logs =
        IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client()).build().unwrap();
    let read = logs.logs().list(()).stability(Stability::Stable).collect().await;
    assert_eq!(read.items, [log]);
    assert_eq!(fake.arklow().log("4711").records::<ActionRecord>().unwrap(), [record.clone()]);
    assert_eq!(record.state.unwrap().status, Some(ActionStatus::Failed));
}

#[test]
fn results_are_made_without_a_server() {
    let page = models::page([models::action_log("1"), models::action_log("2")]);
    assert_eq!((page.len(), page.total, page.more), (2, Some(2), actionlog::page::More::No));
    let all = models::collected([5, 6], Verdict::Complete(Proof::Total));
    assert_eq!(all.summary.delivered, 2);
    assert_eq!(all.complete().unwrap(), [5, 6]);
    let cut = models::collected([5], Verdict::Incomplete(actionlog::page::Cause::MaxItems));
    assert_eq!(cut.complete().unwrap_err().kind(), ErrorKind::Incomplete);
    assert!(models::error(ErrorKind::Timeout).is_timeout());
    assert_eq!(models::deleted("gone".to_owned()).message.as_deref(), Some("gone"));
    let said = actionlog::ApiError::new().with_message(Some("not here".to_owned()));
    let error = models::error_of_status(404, said);
    assert!(error.is_not_found() && error.to_string().contains("not here") && !error.is_transient());
    let busy: Error = models::error_of_status(503, None);
    assert!(busy.is_transient() && busy.kind() == ErrorKind::Server);
}
