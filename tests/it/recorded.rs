//! Recorded responses of a real server, replayed: see `fixtures/unleash/README.md`.
//!
//! The expected results are derived here from the recording, by the documentation of the error kinds.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::time::Duration;

use actionlog::page::{Envelope, ListPage, PageSizes, Paginate, RecordKey};
use actionlog::unleash::ActionSetEvent;
use actionlog::{
    DecodeError, Error, ErrorKind, Json, Page, Request, ReqwestClient, Result, UnleashClient, WriteOutcome,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use flate2::read::GzDecoder;
use serde_json::Value;
use wiremock::{MockServer, ResponseTemplate};

use crate::support::{Raw, Then, builder, first_page, fixture, promptly, serve};

/// A server's sentence longer than this is cut.
const LONGEST: usize = 2_000;

/// The number of recorded 200s with JSON that the client can read, and how many of these are compressed by gzip.
const GOOD: usize = 108;
const GZIPPED: usize = 5;

/// The headers that the connection writes itself when a response is replayed.
const BY_HOP: [&str; 4] = ["connection", "keep-alive", "transfer-encoding", "content-length"];

/// One recorded response.
struct Case {
    name: String,
    status_line: String,
    status: u16,
    headers: Vec<(String, String)>,
    framing: String,
    chunk_sizes: Vec<usize>,
    /// The body with its content coding.
    body: Vec<u8>,
}

impl Case {
    fn read(name: String, file: &Value) -> Self {
        let response = &file["response"];
        let text = |name: &str| response[name].as_str().expect("a text").to_owned();
        let body = match response["body_encoding"].as_str().expect("a text") {
            "utf-8" => text("body").into_bytes(),
            "base64" => BASE64.decode(text("body")).expect("base64"),
            other => panic!("{name}: the body is written in {other}"),
        };
        assert_eq!(response["body_len"], body.len(), "{name}: the body isn't as it was recorded");
        let headers = response["headers"].as_array().expect("a list").iter().map(|pair| {
            let part = |index: usize| pair[index].as_str().expect("a text").to_owned();
            (part(0), part(1))
        });
        let sizes = response["chunk_sizes"].as_array().into_iter().flatten();
        Self {
            status_line: text("status_line"),
            status: u16::try_from(response["status"].as_u64().expect("a number")).expect("a status"),
            headers: headers.collect(),
            framing: text("framing"),
            chunk_sizes: sizes.map(|it| usize::try_from(it.as_u64().unwrap()).unwrap()).collect(),
            body,
            name,
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    fn is_json(&self) -> bool {
        self.header("content-type").is_some_and(|it| it.starts_with("application/json"))
    }

    fn is_web_page(&self) -> bool {
        self.header("content-type").is_some_and(|it| it.starts_with("text/html")) && self.body.starts_with(b"<")
    }

    /// The body without its coding; `None` if the client can't have it without.
    fn plain(&self) -> Option<Vec<u8>> {
        match self.header("content-encoding") {
            None => Some(self.body.clone()),
            Some("gzip") if cfg!(feature = "gzip") => {
                let mut out = Vec::new();
                GzDecoder::new(&*self.body).read_to_end(&mut out).expect("it was recorded whole");
                Some(out)
            }
            Some(_) => None,
        }
    }

    fn plain_json(&self) -> Option<Value> {
        self.is_json().then(|| serde_json::from_slice(&self.plain()?).ok()).flatten()
    }

    /// Whether the client can read the body as JSON, and should.
    fn is_good_json(&self) -> bool {
        self.status == 200 && self.plain_json().is_some()
    }

    fn template(&self) -> ResponseTemplate {
        let kept = self.headers.iter().filter(|(name, _)| !BY_HOP.contains(&&*name.to_ascii_lowercase()));
        kept.fold(ResponseTemplate::new(self.status), |out, (name, value)| out.append_header(&**name, &**value))
            .set_body_bytes(self.body.clone())
    }

    /// The response as it was on the wire, down to its chunks.
    fn wire(&self) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.status_line).into_bytes();
        for (name, value) in &self.headers {
            out.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        out.extend(b"\r\n");
        match &*self.framing {
            "content-length" | "until-close" => out.extend(&self.body),
            "no-body" => assert!(self.body.is_empty()),
            "chunked" => {
                assert_eq!(self.chunk_sizes.iter().sum::<usize>(), self.body.len(), "{}", self.name);
                let mut rest = &*self.body;
                for size in self.chunk_sizes.iter().filter(|size| **size > 0) {
                    let (chunk, behind) = rest.split_at(*size);
                    out.extend(format!("{size:x}\r\n").into_bytes());
                    out.extend(chunk);
                    out.extend(b"\r\n");
                    rest = behind;
                }
                out.extend(b"0\r\n\r\n");
            }
            other => panic!("{}: framed by {other}", self.name),
        }
        out
    }
}

/// The folders, with the number of files and of `GET`s in each, by the fixtures' own README.
fn folders() -> Vec<(String, usize, usize)> {
    let readme = fs::read_to_string(fixture("unleash/README.md")).unwrap();
    let rows = readme.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        Some((name.to_owned(), cells.next()?.parse().ok()?, cells.next()?.parse().ok()?))
    });
    rows.collect()
}

/// The recorded `GET`s of a folder, and the number of all its files.
fn read_folder(folder: &str) -> (Vec<Case>, usize) {
    let mut paths: Vec<_> =
        fs::read_dir(fixture("unleash").join(folder)).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in &paths {
        let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        if file["request"]["method"] == "GET" {
            let name = format!("{folder}/{}", path.file_stem().unwrap().to_str().unwrap());
            cases.push(Case::read(name, &file));
        }
    }
    (cases, paths.len())
}

/// All recorded `GET`s. Fails if one is missing.
fn cases() -> Vec<Case> {
    let folders = folders();
    assert_eq!(folders.len(), 10, "the README names ten folders");
    let mut all = Vec::new();
    for (folder, files, gets) in folders {
        let (cases, found) = read_folder(&folder);
        assert_eq!((found, cases.len()), (files, gets), "files and GETs of {folder}");
        all.extend(cases);
    }
    all
}

/// A client whose connections are shared by all cases of a test.
fn client(url: &str, http_client: &ReqwestClient) -> UnleashClient {
    builder(url).http_client(http_client.clone()).build().unwrap()
}

fn http_client() -> ReqwestClient {
    ReqwestClient::new(Duration::from_secs(5).into()).unwrap()
}

/// Gathers all differences, so that one run shows all of them.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, case: &Case, what: &str, got: T, expected: T) {
        if got != expected {
            self.0.push(format!("{}: {what} is {got:?} where {expected:?} was expected", case.name));
        }
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{} differences:\n{}", self.0.len(), self.0.join("\n"));
    }
}

fn expected_kind(case: &Case) -> ErrorKind {
    match case.status {
        200 if case.is_web_page() || case.plain().is_none() => ErrorKind::NotJson,
        200 => ErrorKind::Decode,
        301 => ErrorKind::Redirect,
        304 => ErrorKind::UnexpectedStatus,
        400 | 431 => ErrorKind::BadRequest,
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        429 => ErrorKind::RateLimited,
        500 => ErrorKind::Server,
        other => panic!("{}: what is to be made of {other}?", case.name),
    }
}

/// A part of the expected hint, or `None` if there should be none.
fn expected_hint(case: &Case) -> Option<&'static str> {
    let body = case.plain_json().unwrap_or_default();
    match case.status {
        200 if case.is_web_page() => Some("base URL looks wrong"),
        301 => Some("redirects aren't followed"),
        304 => Some("carried no condition"),
        401 if body["message"].as_str().is_some_and(|it| it.contains("no authorization header")) => {
            Some("whether a proxy strips the header")
        }
        401 => Some("mistyped, expired or deleted"),
        403 if body["name"].is_null() => Some("tokens of this kind"),
        403 => Some("lacks the permission"),
        404 if body["message"].as_str().is_some_and(|it| it.contains("is not available")) => Some("Unleash Enterprise"),
        404 if case.is_web_page() => Some("a web page"),
        404 => Some("check the id"),
        400 => Some("the server rejected the request"),
        431 => Some("exceed the limit of the server"),
        429 => Some("send fewer requests"),
        500.. => Some("try again later"),
        _ => None,
    }
}

/// The message, name, id and details.
type Said = (Option<String>, Option<String>, Option<String>, Vec<String>);

/// The server's error, from the body alone.
fn expected_said(case: &Case) -> Option<Said> {
    if case.status < 400 {
        return None;
    }
    let text = String::from_utf8(case.plain()?).ok()?;
    if text.is_empty() || case.is_web_page() {
        return None;
    }
    if !case.is_json() {
        return Some((Some(text.trim().to_owned()), None, None, Vec::new()));
    }
    let body = case.plain_json().expect("every recorded error that says it's JSON is");
    let member = |value: &Value, name: &str| value[name].as_str().map(cut);
    let details = body["details"].as_array().into_iter().flatten();
    let details = details.filter_map(|it| member(it, "message").or_else(|| member(it, "description"))).collect();
    Some((member(&body, "message"), member(&body, "name"), member(&body, "id"), details))
}

/// Long sentences, of a server that repeats a long path, are cut.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn said(error: &Error) -> Option<Said> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    error.api().map(|api| (owned(api.message()), owned(api.name()), owned(api.id()), api.details().to_vec()))
}

fn compare(case: &Case, result: Result<Page<ActionSetEvent>>, differences: &mut Differences) {
    let error = match result {
        Err(error) => error,
        Ok(page) => {
            return differences.0.push(format!("{}: read as a page of {} events", case.name, page.entries.len()));
        }
    };
    let kind = expected_kind(case);
    let expected = expected_said(case);
    let wait = case.header("retry-after").map(|it| Duration::from_secs(it.parse().expect("whole seconds")));
    let transient = matches!(case.status, 429 | 500);
    let outcome = match case.status {
        200 | 500 => WriteOutcome::Unknown,
        _ => WriteOutcome::NotApplied,
    };
    differences.compare(case, "the kind", error.kind(), kind);
    differences.compare(case, "the status", error.status().map(|it| it.as_u16()), Some(case.status));
    differences.compare(case, "the server's message", said(&error), expected.clone());
    differences.compare(case, "the wait", error.retry_after(), wait);
    differences.compare(case, "the request's id", error.request_id(), expected.as_ref().and_then(|it| it.2.as_deref()));
    differences.compare(case, "whether it is transient", error.is_transient(), transient);
    differences.compare(case, "the outcome", error.outcome(), outcome);
    differences.compare(case, "whether it was sent", error.attempts() > 0, true);
    match expected_hint(case) {
        Some(words) if error.hint().is_some_and(|it| it.contains(words)) => {}
        expected => differences.compare(case, "the hint", error.hint(), expected),
    }
    let shown = error.to_string();
    let mut shows =
        |text: &str| differences.compare(case, &format!("{text:?} in {shown:?}"), shown.contains(text), true);
    shows("unleash: GET /api/admin/projects/{projectId}/actions/{id}/events: ");
    match (kind, case.header("content-encoding")) {
        (ErrorKind::Decode, _) => shows("actionSetEvents"),
        (ErrorKind::NotJson, Some(coding)) => shows(coding),
        (ErrorKind::Redirect, _) => shows(case.header("location").expect("a redirect has one")),
        _ => {}
    }
    if let Some((Some(message), ..)) = &expected {
        shows(message);
    }
}

#[test]
fn every_recording_is_used_and_covers_its_purpose() {
    let mut kinds = BTreeMap::new();
    for case in cases() {
        *kinds.entry(expected_kind(&case).to_string()).or_insert(0) += 1;
    }
    // Counted when they were recorded. Without the feature, five responses have a coding that wasn't requested.
    let coded = if cfg!(feature = "gzip") { 0 } else { GZIPPED };
    let expected = [
        ("forbidden", 15),
        ("not JSON", 7 + coded),
        ("not found", 71),
        ("rate limited", 9),
        ("redirected", 1),
        ("bad request", 13),
        ("server error", 1),
        ("unauthorized", 37),
        ("unexpected JSON", GOOD - coded),
        ("unexpected status", 4),
    ];
    assert_eq!(kinds, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
}

#[tokio::test]
async fn every_recorded_response_becomes_its_error_and_never_a_page() {
    let http_client = http_client();
    let mut differences = Differences::default();
    for case in cases() {
        let server = serve(case.template()).await;
        let result = first_page(&client(&server.uri(), &http_client)).await;
        compare(&case, result, &mut differences);
    }
    differences.none();
}

#[tokio::test]
async fn every_recorded_response_becomes_the_same_error_with_its_recorded_framing() {
    let http_client = http_client();
    let mut differences = Differences::default();
    for case in cases() {
        let server = Raw::start(Then::Send(case.wire())).await;
        let result = first_page(&client(&server.url(), &http_client)).await;
        compare(&case, result, &mut differences);
    }
    differences.none();
}

#[tokio::test]
async fn every_recorded_json_body_is_returned_byte_for_byte() {
    let http_client = http_client();
    let mut differences = Differences::default();
    let mut gzipped = 0;
    let good: Vec<_> = cases().into_iter().filter(Case::is_good_json).collect();
    let coded = if cfg!(feature = "gzip") { GZIPPED } else { 0 };
    assert_eq!(good.len(), GOOD - GZIPPED + coded);
    for case in &good {
        let server = serve(case.template()).await;
        let request = Request::get("any/path", [] as [&str; 0]).json::<Json>();
        let json = promptly(client(&server.uri(), &http_client).send(request)).await;
        let text = json.map(|it| it.as_str().to_owned()).map_err(|it| it.to_string());
        differences.compare(case, "the text", text, Ok(String::from_utf8(case.plain().unwrap()).unwrap()));
        gzipped += usize::from(case.header("content-encoding").is_some());
    }
    assert_eq!(gzipped, coded, "some of them are to come compressed");
    differences.none();
}

/// The events of one integration: a custom listing.
#[derive(Clone, Debug)]
struct IntegrationEvents;

#[derive(Debug, serde::Deserialize)]
struct IntegrationEvent {
    id: String,
    state: String,
}

struct ListEnvelope;

#[derive(serde::Deserialize)]
struct Body<R> {
    #[serde(rename = "integrationEvents")]
    events: Vec<R>,
}

impl Envelope for ListEnvelope {
    type Of<R: serde::de::DeserializeOwned> = Body<R>;

    fn open<R: serde::de::DeserializeOwned>(body: Body<R>) -> Result<ListPage<R>, DecodeError> {
        Ok(ListPage::new(body.events))
    }
}

impl Paginate for IntegrationEvents {
    type Item = IntegrationEvent;
    type Envelope = ListEnvelope;

    fn request(&self) -> Request<()> {
        Request::get("api/admin/addons/{id}/events", [1])
    }

    fn record_key(event: &IntegrationEvent) -> RecordKey {
        RecordKey::from(event.id.as_str())
    }

    fn page_sizes(&self) -> PageSizes {
        PageSizes::up_to(100)
    }
}

/// Ids and states, by the recorded body.
fn integration_events(case: &Case) -> Vec<(String, String)> {
    let body = case.plain_json().expect("a 200 of this folder is JSON");
    let text = |event: &Value, name: &str| event[name].as_str().expect("a text").to_owned();
    let events = body["integrationEvents"].as_array().expect("a list");
    events.iter().map(|it| (text(it, "id"), text(it, "state"))).collect()
}

#[tokio::test]
async fn a_custom_listing_reads_the_recorded_pages_of_another_path() {
    let http_client = http_client();
    let mut differences = Differences::default();
    let mut sizes = BTreeMap::new();
    let (cases, _) = read_folder("addon-events-paging");
    for case in cases.iter().filter(|it| it.status == 200) {
        let server = serve(case.template()).await;
        let page = promptly(client(&server.uri(), &http_client).listing(IntegrationEvents).page()).await.unwrap();
        let got: Vec<_> = page.records().map(|it| (it.id.clone(), it.state.clone())).collect();
        *sizes.entry(got.len()).or_insert(0) += 1;
        differences.compare(case, "the number of entries", page.entries.len(), got.len());
        differences.compare(case, "the list", got, integration_events(case));
    }
    differences.none();
    assert_eq!(sizes.values().sum::<i32>(), 26, "pages by their length: {sizes:?}");
    assert!(sizes.len() > 3, "pages of several lengths, an empty one among them: {sizes:?}");
    assert!(sizes.contains_key(&0), "{sizes:?}");
}

/// Replays the largest recorded page as the server would, cut to the requested windows.
async fn integration_server(case: &Case) -> MockServer {
    let body = case.plain_json().unwrap();
    let records = body["integrationEvents"].as_array().unwrap().clone();
    serve(move |request: &wiremock::Request| {
        let number = |name: &str| -> usize {
            request.url.query_pairs().find(|(key, _)| key == name).unwrap().1.parse().unwrap()
        };
        let from = number("offset").min(records.len());
        let to = (from + number("limit")).min(records.len());
        ResponseTemplate::new(200).set_body_json(serde_json::json!({ "integrationEvents": records[from..to] }))
    })
    .await
}

#[tokio::test]
async fn a_scan_of_recorded_records_yields_each_of_them_once_and_in_order() {
    let (cases, _) = read_folder("addon-events-paging");
    let case = cases.iter().find(|it| it.name.ends_with("16-limit-100")).expect("the largest page");
    let expected = integration_events(case);
    assert_eq!(expected.len(), 100);
    let server = integration_server(case).await;
    for size in [1, 2, 7, 50, 99, 100] {
        let mut items = client(&server.uri(), &http_client()).listing(IntegrationEvents).page_size(size).items();
        let mut got = Vec::new();
        while let Some(item) = promptly(items.next()).await {
            let item = item.unwrap();
            got.push((item.id, item.state));
        }
        assert_eq!(got, expected, "by pages of {size}");
    }
}
