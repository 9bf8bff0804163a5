//! What shouldn't be, from either side: arguments that can't be sent, and answers that can't be meant.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use actionlog::auth::{self, Authenticate};
use actionlog::page::Entry;
use actionlog::unleash::EventsQuery;
use actionlog::{Error, ErrorKind, IntegrationClient, Json, Request, RequestOutcome, UnleashClient};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
#[cfg(feature = "rustls")]
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use wiremock::{MockServer, Respond, ResponseTemplate};

use crate::support::{
    KEY, Raw, Then, all_shown, builder, client, event, first_error, first_page, json as json_answer, listing, page_of,
    promptly, received, serve, serve_json, unsigned,
};
use crate::wire::{Memory, Reply};

const EMPTY: &str = r#"{"actionSetEvents":[]}"#;

/// An answer as bytes: a status, headers, and a body that is announced by its length.
fn wire(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    out.extend(body);
    out
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(plain).unwrap();
    out.finish().unwrap()
}

/// The events of an action set by ids of any text, and the error or the path that was asked for.
async fn ask_for(project: &str, action_set: &str) -> Result<String, Error> {
    let server = Raw::start(Then::Send(wire("200 OK", "content-type: application/json\r\n", EMPTY.as_bytes()))).await;
    let query = EventsQuery::with_text_id(project, action_set);
    let result = promptly(client(server.url()).action_set_events().list(query).page()).await;
    let heads = server.heads();
    match result {
        Ok(_) => {
            assert_eq!(heads.len(), 1);
            let path = heads[0].strip_prefix("GET ").and_then(|it| it.split_once('?')).expect("a GET with a query");
            Ok(path.0.to_owned())
        }
        Err(error) => {
            assert!(heads.is_empty(), "something was sent: {heads:?}");
            Err(error)
        }
    }
}

// Arguments.

#[tokio::test]
async fn ids_stay_one_segment_whatever_they_hold() {
    let cases = [
        ("/", "%2F"),
        ("a/b", "a%2Fb"),
        ("%", "%25"),
        ("%2F", "%252F"),
        ("\t", "%09"),
        ("a\nb", "a%0Ab"),
        ("a\r\nHost: evil.example", "a%0D%0AHost%3A%20evil.example"),
        ("\0", "%00"),
        ("\u{7f}", "%7F"),
        (" ", "%20"),
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("\\", "%5C"),
        ("?", "%3F"),
        ("a?limit=1", "a%3Flimit%3D1"),
        ("#", "%23"),
        (";", "%3B"),
        ("...", "..."),
        ("a/..b", "a%2F..b"),
        ("%2e%2e%2e", "%252e%252e%252e"),
        ("%25", "%2525"),
        ("{id}", "%7Bid%7D"),
        ("*", "%2A"),
        ("a-b_c.d~e", "a-b_c.d~e"),
        ("prøjekt", "pr%C3%B8jekt"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ("😀", "%F0%9F%98%80"),
        ("\u{202e}x", "%E2%80%AEx"),
        // Looks like "..", and isn't.
        ("\u{2024}\u{2024}", "%E2%80%A4%E2%80%A4"),
    ];
    for (id, encoded) in cases {
        let path = ask_for(id, "1").await.unwrap();
        assert_eq!(path, format!("/api/admin/projects/{encoded}/actions/1/events"), "the project {id:?}");
        let path = ask_for("default", id).await.unwrap();
        assert_eq!(path, format!("/api/admin/projects/default/actions/{encoded}/events"), "the action set {id:?}");
    }
}

#[tokio::test]
async fn ids_of_ten_thousand_letters_are_sent_as_they_are() {
    let long = "x".repeat(10_000);
    assert_eq!(ask_for(&long, "1").await.unwrap(), format!("/api/admin/projects/{long}/actions/1/events"));
    let spaces = " ".repeat(10_000);
    let encoded = "%20".repeat(10_000);
    assert_eq!(ask_for("p", &spaces).await.unwrap(), format!("/api/admin/projects/p/actions/{encoded}/events"));
}

#[tokio::test]
async fn ids_that_would_ask_for_another_path_are_refused_before_anything_is_sent() {
    let deep = format!("%{}", "25".repeat(10_000));
    for bad in [
        "",
        ".",
        "..",
        // Behind a proxy that decodes before it resolves dots, or a server that decodes once more.
        "../admin",
        "..\\..",
        "a/../../b",
        "a/.",
        "..;",
        "..;x/admin",
        "..?x",
        "../..#x",
        "..%3fx",
        ". ",
        "..\0",
        "%2e%2e",
        "%2E",
        "%2e%2e%2fadmin",
        "..%2fadmin",
        "..%255cadmin",
        "%%32%65.",
        // Nobody knows what it comes to.
        &deep,
    ] {
        for (project, action_set, place) in [(bad, "1", "projectId"), ("default", bad, "id")] {
            let error = ask_for(project, action_set).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{bad:.20?}");
            assert_eq!((error.attempts(), error.outcome()), (0, RequestOutcome::NotSent));
            assert!(!error.is_transient() && error.to_string().len() < 400);
            assert!(error.to_string().contains(&format!("{{{place}}}")), "the message names the place: {error}");
        }
    }
}

#[tokio::test]
async fn an_id_that_no_url_has_room_for_is_refused_before_anything_is_sent() {
    let error = ask_for(&"x".repeat(100_000), "1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!((error.attempts(), error.outcome()), (0, RequestOutcome::NotSent));
    assert!(error.to_string().contains("too long"), "{error}");
    assert!(all_shown(&error).len() < 4_000, "the id isn't shown");
}

#[tokio::test]
async fn a_page_size_of_nothing_is_refused_before_anything_is_sent() {
    let server = serve_json(EMPTY).await;
    let client = client(server.uri());
    let list = || client.action_set_events().list(("default", 1)).page_size(0);
    let error = promptly(list().page()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("page size"), "{error}");
    let mut items = list().items();
    assert_eq!(promptly(items.next()).await.unwrap().unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert!(promptly(items.next()).await.is_none(), "the stream has ended");
    assert_eq!(received(&server).await.len(), 0);
}

#[tokio::test]
async fn the_largest_start_offset_is_sent_and_its_answer_read() {
    let server = serve_json(page_of(&[event(1).to_string()])).await;
    let list = client(server.uri()).action_set_events().list(("default", 1)).start_offset(u64::MAX);
    let page = promptly(list.clone().page()).await.unwrap();
    assert_eq!(page.window.offset, u64::MAX);
    let first = promptly(list.items().next()).await.unwrap().unwrap();
    assert_eq!(*first.id.get(), 1);
}

#[tokio::test]
async fn requests_of_ones_own_with_too_few_or_too_many_segments_are_refused_before_anything_is_sent() {
    let server = serve_json(EMPTY).await;
    let client = client(server.uri());
    let requests = [
        Request::get("api/{a}/{b}", ["1"]).json::<Json>(),
        Request::get("api/{a}", ["1", "2"]).json(),
        Request::get("api", [""]).json(),
        Request::get("..", [] as [&str; 0]).json(),
        Request::get("api/with a blank", [] as [&str; 0]).json(),
        Request::get("api", [] as [&str; 0]).body(std::collections::HashMap::from([((), 1)])).json(),
        Request::get("api", [] as [&str; 0]).invalid("not like this").json(),
    ];
    for request in requests {
        let shown = format!("{request:?}");
        let error = promptly(client.send(request)).await.expect_err(&shown);
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::InvalidRequest, 0), "{shown}");
    }
    assert_eq!(received(&server).await.len(), 0);
}

#[tokio::test]
async fn a_path_of_ones_own_that_leads_out_of_the_base_is_refused_in_whatever_way_it_is_written() {
    let server = serve_json(EMPTY).await;
    let client = client(format!("{}/base", server.uri()));
    let nothing = [] as [&str; 0];
    for dots in [
        ".",
        "..",
        "%2e",
        "%2E",
        "%2e%2e",
        "%2E%2e",
        ".%2e",
        "%2E.",
        "%252e%252e",
        "%25252E.",
        "..;",
        "..;a=b",
        "..%2fb",
        "b%2f..",
        "%2e%2e%5cb",
        "..%00",
        "%2e%2E;x",
        "..%3b",
    ] {
        for template in [dots.to_owned(), format!("{dots}/secrets"), format!("a/{dots}/{dots}"), format!("a/{dots}")] {
            let request = Request::get(template.clone(), nothing).json::<Json>();
            assert!(request.path().is_err(), "{template}");
            let error = promptly(client.send(request)).await.expect_err(&template);
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::InvalidRequest, 0), "{template}");
        }
    }
    assert_eq!(received(&server).await.len(), 0);
    for fine in ["...", "a..b", "..a", "a%2eb", "%2e%2e%2e", ".well-known", "%2ea"] {
        let _ = promptly(client.send(Request::get(fine, nothing).json::<Json>())).await;
    }
    for request in received(&server).await {
        assert!(request.url.path().starts_with("/base/"), "{}", request.url);
    }
}

// Where to, and as whom.

#[test]
fn base_urls_that_can_not_be_meant_are_told_when_the_client_is_built() {
    let cases = [
        ("", "doesn't begin with https://"),
        (" ", "doesn't begin with https://"),
        ("app.example.com", "doesn't begin with https://"),
        ("app.example.com/unleash", "doesn't begin with https://"),
        ("/api", "doesn't begin with https://"),
        ("//app.example.com", "doesn't begin with https://"),
        ("https://", "isn't one"),
        ("https://exa mple.com", "holds a blank"),
        ("https:///api", "too many slashes"),
        ("https://app.example.com\\@evil.com", "a backslash"),
        ("https://app.exa\nmple.com", "a control character"),
        ("https:app.example.com", "doesn't begin with https://"),
        ("http://any.localhost", "plain http"),
        ("https://app.example.com:99999", "isn't one"),
        ("localhost:4242", "doesn't begin with https://"),
        ("app.example.com:8080", "doesn't begin with https://"),
        ("ftp://app.example.com", "doesn't begin with https://"),
        ("file:///etc/passwd", "doesn't begin with https://"),
        ("ws://app.example.com", "doesn't begin with https://"),
        ("mailto:someone@example.com", "doesn't begin with https://"),
        ("https://app.example.com?x=1", "a query or a fragment"),
        ("https://app.example.com/?", "a query or a fragment"),
        ("https://app.example.com/#top", "a query or a fragment"),
        ("http://app.example.com", "plain http"),
        ("HTTP://app.example.com", "plain http"),
        ("http://10.0.0.1:4242", "plain http"),
        ("http://192.168.1.1", "plain http"),
        ("http://0.0.0.0", "plain http"),
        ("http://[::]", "plain http"),
        ("http://[fe80::1]", "plain http"),
        ("http://localhost.evil.com", "plain http"),
        ("http://127.0.0.1.evil.com", "plain http"),
        ("http://evil-localhost", "plain http"),
        ("http://localhostx", "plain http"),
        ("http://128.0.0.1", "plain http"),
    ];
    for (url, words) in cases {
        let Err(error) = builder(url).build() else { panic!("a client was built on {url:?}") };
        assert_eq!(error.kind(), ErrorKind::Configuration, "{url:?}");
        assert!(error.to_string().contains(words), "{url:?}: {error}");
        assert_eq!((error.attempts(), error.outcome()), (0, RequestOutcome::NotSent));
    }
}

#[cfg(feature = "rustls")]
#[test]
fn https_is_taken_anywhere() {
    for url in ["https://app.example.com", "HTTPS://APP.EXAMPLE.COM/unleash/", " https://app.example.com\n"] {
        builder(url).build().unwrap();
    }
}

#[test]
fn plain_http_is_taken_to_this_machine_and_elsewhere_only_if_that_is_said() {
    let here = [
        "http://localhost",
        "http://LOCALHOST:4242/unleash",
        "http://localhost.",
        "http://127.0.0.1:4242",
        "http://127.0.0.2",
        "http://127.255.255.254",
        "http://[::1]",
        "http://[::1]:4242",
        "http://[::ffff:127.0.0.1]",
    ];
    for url in here {
        builder(url).build().unwrap_or_else(|error| panic!("{url}: {error}"));
    }
    for url in ["http://app.example.com", "http://10.0.0.1:4242", "http://localhost.evil.com"] {
        assert!(builder(url).build().is_err(), "{url}");
        builder(url).allow_http().build().unwrap_or_else(|error| panic!("{url}: {error}"));
    }
    let error = builder("ftp://app.example.com").allow_http().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[test]
fn credentials_in_the_base_url_are_refused_and_not_shown() {
    let cases = [
        "https://admin:hunter2@app.example.com",
        "https://hunter2@app.example.com",
        "https://:hunter2@app.example.com",
        "http://admin:hunter2@localhost",
        // Not URLs, and just as secret: a key in the wrong variable, say.
        "user:hunter2",
        "hunter2",
        "ftp://hunter2@app.example.com",
        "https://app.example.com?token=hunter2",
    ];
    for url in cases {
        let builder = builder(url);
        assert!(!format!("{builder:?}").contains("hunter2"), "{builder:?}");
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
        let shown = all_shown(&error);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_client_without_a_word_on_credentials_is_not_built() {
    let error = unsigned("https://app.example.com").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    for way in ["api_key", "bearer", "authenticator", "auth::none()"] {
        assert!(error.to_string().contains(way), "{error}");
    }
}

/// Fails unless a client isn't built by these credentials, and nothing that is printed shows `secret`.
fn refuses(auth: impl Authenticate, what: &str, secret: &str) {
    let builder = unsigned("http://localhost").authenticator(auth);
    let before = format!("{builder:?}{builder:#?}");
    let Err(error) = builder.build() else { panic!("a client was built by {what}") };
    assert_eq!(error.kind(), ErrorKind::Configuration, "{what}");
    assert_eq!((error.attempts(), error.outcome(), error.is_transient()), (0, RequestOutcome::NotSent, false));
    let shown = before + &all_shown(&error);
    assert!(secret.is_empty() || !shown.contains(secret), "{what} is shown: {shown}");
    assert!(shown.contains("the key") || shown.contains("the password"), "it says what is wrong: {shown}");
}

#[test]
fn keys_that_no_header_can_hold_are_told_when_the_client_is_built_and_not_shown() {
    let keys = [
        ("a line break at the end", "hunter2\n"),
        ("a DOS line break at the end", "hunter2\r\n"),
        ("a line break at the beginning", "\nhunter2"),
        ("a line break inside", "hunter2\nx"),
        ("a header of its own", "hunter2\r\nx-admin: 1"),
        ("a NUL", "hunter2\0"),
        ("a DEL", "hunter2\u{7f}x"),
        ("an escape", "\u{1b}[1mhunter2"),
        ("a blank behind", "hunter2 "),
        ("a blank before", " hunter2"),
        ("a tab behind", "hunter2\t"),
        ("a no-break space behind", "hunter2\u{a0}"),
        ("nothing", ""),
        ("a blank", " "),
        ("a line break", "\n"),
    ];
    for (what, key) in keys {
        let secret = if key.contains("hunter2") { "hunter2" } else { "" };
        refuses(auth::raw(key), what, secret);
        refuses(auth::bearer(key), what, secret);
        refuses(auth::header("x-key", key), what, secret);
    }
    for (what, password) in [("a line break in a password", "hunter2\n"), ("a NUL in a password", "hunt\0hunter2")] {
        refuses(auth::basic("admin", password), what, "hunter2");
        refuses(auth::basic(password, "hunter3"), what, "hunter3");
    }
}

#[test]
fn keys_beyond_ascii_are_told_when_the_client_is_built_and_not_shown() {
    let keys = [
        ("letters of another script", "hunter2ключ"),
        ("a letter of Latin-1", "hunter2é"),
        ("a byte order mark", "\u{feff}hunter2"),
        ("a blank of no width", "hunter2\u{200b}"),
    ];
    for (what, key) in keys {
        refuses(auth::raw(key), what, "hunter2");
        refuses(auth::bearer(key), what, "hunter2");
        refuses(auth::header("x-key", key), what, "hunter2");
    }
}

#[test]
fn a_header_name_that_can_not_be_one_is_told_when_the_client_is_built() {
    for name in ["", "x key", "x:key", "ключ", "x\nkey"] {
        let client = unsigned("http://localhost").authenticator(auth::header(name, "hunter2"));
        let error = client.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{name:?}");
        assert!(all_shown(&error).contains("header's name"), "{error:?}");
        assert!(!all_shown(&error).contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_client_shows_no_key_when_it_is_printed() {
    let clients = [
        builder("http://localhost").api_key("hunter2").build().unwrap(),
        builder("http://localhost").bearer("hunter2").build().unwrap(),
        builder("http://localhost").authenticator(auth::basic("admin", "hunter2")).build().unwrap(),
        builder("http://localhost").authenticator(auth::header("x-key", "hunter2")).build().unwrap(),
    ];
    let coded = BASE64.encode("admin:hunter2");
    for client in clients {
        let list = client.action_set_events().list(("default", 1));
        let shown = format!("{client:?} {client:#?} {list:?} {:?} {:?}", list.clone().page(), list.clone().items());
        assert!(shown.contains("localhost"), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains(&coded), "{shown}");
    }
}

/// Runs as a process of its own, started by the tests below.
#[test]
#[ignore = "started by other tests, in an environment made for it"]
fn a_process_that_builds_a_client_from_its_environment() {
    match UnleashClient::from_env() {
        Ok(client) => println!("built: {client:?}"),
        Err(error) => println!("failed: {:?}: {}", error.kind(), all_shown(&error)),
    }
}

/// What a process says that builds a client from this environment and no other.
fn from_environment(variables: &[(&str, &str)]) -> String {
    let name = "bad_input::a_process_that_builds_a_client_from_its_environment";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]);
    command.env_remove("UNLEASH_URL").env_remove("UNLEASH_TOKEN");
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(proxy).env_remove(proxy.to_lowercase());
    }
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    said
}

#[test]
fn variables_that_are_missing_are_named_all_at_once() {
    let neither = from_environment(&[]);
    assert!(neither.contains("failed: Configuration: environment variables are not set: UNLEASH_URL, UNLEASH_TOKEN"));
    let empty = from_environment(&[("UNLEASH_URL", "http://localhost:4242"), ("UNLEASH_TOKEN", "")]);
    assert!(empty.contains("failed: Configuration: environment variables are not set: UNLEASH_TOKEN\n"), "{empty}");
    let no_url = from_environment(&[("UNLEASH_TOKEN", "hunter2")]);
    assert!(no_url.contains("failed: Configuration: environment variables are not set: UNLEASH_URL\n"), "{no_url}");
    assert!(!no_url.contains("hunter2"), "{no_url}");
}

#[test]
fn variables_that_are_wrong_are_told_and_ones_that_are_right_make_a_client() {
    let good = from_environment(&[("UNLEASH_URL", "http://localhost:4242/x"), ("UNLEASH_TOKEN", "hunter2")]);
    assert!(good.contains("built: ") && good.contains("http://localhost:4242/x"), "{good}");
    let swapped = from_environment(&[("UNLEASH_URL", "user:hunter2"), ("UNLEASH_TOKEN", "http://localhost:4242")]);
    assert!(swapped.contains("failed: Configuration: the base URL"), "{swapped}");
    let from_file = from_environment(&[("UNLEASH_URL", "http://localhost:4242"), ("UNLEASH_TOKEN", "hunter2\n")]);
    assert!(from_file.contains("failed: Configuration: the credentials can't be used"), "{from_file}");
    for said in [good, swapped, from_file] {
        assert!(!said.contains("hunter2"), "{said}");
    }
}

// Answers that are no page.

/// What is made of an answer of success.
async fn made_of(answer: impl Respond + 'static) -> Error {
    let server = serve(answer).await;
    let error = first_error(&client(server.uri())).await;
    assert!(error.attempts() > 0);
    assert!(!received(&server).await.is_empty());
    error
}

#[tokio::test]
async fn a_web_page_in_place_of_a_page_of_events_says_that_the_base_url_looks_wrong() {
    let page = "\n<!doctype html><title>Unleash</title>";
    let answers = [
        ResponseTemplate::new(200).set_body_raw(page, "text/html"),
        ResponseTemplate::new(200).set_body_raw(page, "Text/HTML; charset=utf-8"),
        ResponseTemplate::new(200).set_body_raw(page, "application/xhtml+xml"),
        ResponseTemplate::new(200).set_body_raw("", "text/html"),
        // JSON that is called a web page isn't trusted either.
        ResponseTemplate::new(200).set_body_raw(EMPTY, "text/html"),
        // Without a word on what it is.
        ResponseTemplate::new(200).set_body_bytes(page),
        ResponseTemplate::new(203).set_body_bytes(page),
    ];
    for answer in answers {
        let status = if format!("{answer:?}").contains("203") { 203 } else { 200 };
        let error = made_of(answer).await;
        assert_eq!(error.kind(), ErrorKind::NotJson, "{error:?}");
        assert_eq!(error.status().map(|it| it.as_u16()), Some(status));
        assert!(error.hint().is_some_and(|it| it.contains("base URL")), "{error:?}");
        assert!(error.to_string().contains("base URL"), "the hint is printed: {error}");
        assert!(!error.is_transient());
        assert_eq!(error.outcome(), RequestOutcome::Unknown, "it was taken in, whatever became of it");
    }
}

#[tokio::test]
async fn nothing_in_place_of_a_page_is_an_error_and_no_empty_page() {
    let answers = [
        ResponseTemplate::new(204),
        ResponseTemplate::new(200),
        ResponseTemplate::new(205),
        ResponseTemplate::new(200).set_body_raw("", "application/json"),
        ResponseTemplate::new(200).set_body_raw(" \r\n\t ", "application/json"),
        ResponseTemplate::new(200).set_body_raw("\u{feff}", "application/json"),
    ];
    for answer in answers {
        let shown = format!("{answer:?}");
        let error = made_of(answer).await;
        assert_eq!(error.kind(), ErrorKind::NotJson, "{shown}");
        assert!(error.to_string().contains("empty"), "{shown}: {error}");
    }
}

#[tokio::test]
async fn json_that_is_no_page_is_an_error_that_says_where_and_not_what() {
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
        let error = made_of(json_answer(body)).await;
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
async fn a_bare_list_is_no_page_of_events() {
    for body in ["[]", "[[]]", r#"[{"id":1}]"#, "[[[]]]"] {
        let error = made_of(json_answer(body)).await;
        assert_eq!(error.kind(), ErrorKind::Decode, "{body}");
    }
}

#[tokio::test]
async fn a_text_that_is_not_even_the_beginning_of_json_is_not_json() {
    for (body, kind) in [("OK", "text/plain"), ("It works!", "text/plain; charset=utf-8"), ("<a/>", "application/xml")]
    {
        let error = made_of(ResponseTemplate::new(200).set_body_raw(body, kind)).await;
        assert_eq!(error.kind(), ErrorKind::NotJson, "{body:?}: {error}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_blanks_and_an_odd_content_type_are_let_pass() {
    let good = page_of(&[event(5).to_string()]);
    let answers = [
        ResponseTemplate::new(200).set_body_raw(format!("\u{feff}{good}"), "application/json"),
        ResponseTemplate::new(200).set_body_raw(format!("\r\n {good} \n"), "application/json"),
        ResponseTemplate::new(200).set_body_bytes(good.clone()),
        ResponseTemplate::new(200).set_body_raw(good.clone(), "text/plain"),
        ResponseTemplate::new(200).set_body_raw(good.clone(), "application/vnd.api+json"),
        ResponseTemplate::new(201).set_body_raw(good.clone(), "application/json"),
        json_answer(good.clone()).insert_header("content-encoding", "identity"),
    ];
    for answer in answers {
        let shown = format!("{answer:?}");
        let server = serve(answer).await;
        let page = first_page(&client(server.uri())).await.unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(*page.into_records().unwrap()[0].id.get(), 5);
    }
}

// Redirects.

#[tokio::test]
async fn a_redirect_to_another_host_is_an_error_and_credentials_do_not_travel() {
    let other = serve_json(EMPTY).await;
    // Another host to whoever compares names, and one that would be reached.
    let place = other.uri().replace("127.0.0.1", "localhost");
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{place}/login?next=hunter2#hunter2");
        let server = serve(ResponseTemplate::new(status).insert_header("location", &*location)).await;
        let signers: [Box<dyn FnOnce() -> UnleashClient>; 2] = [
            Box::new(|| client(server.uri())),
            Box::new(|| builder(server.uri()).authenticator(auth::header("x-key", KEY)).build().unwrap()),
        ];
        for client in signers {
            let error = first_error(&client()).await;
            assert_eq!(error.kind(), ErrorKind::Redirect, "{status}");
            assert_eq!(error.status().map(|it| it.as_u16()), Some(status));
            assert_eq!(error.outcome(), RequestOutcome::Refused);
            assert!(!error.is_transient());
            assert!(error.to_string().contains(&format!("{place}/login")), "{error}");
            assert!(error.hint().is_some_and(|it| it.contains("not followed")), "{error:?}");
            let shown = all_shown(&error);
            assert!(!shown.contains("hunter2") && !shown.contains("next"), "{shown}");
        }
        assert_eq!(received(&server).await.len(), 2, "asked once by each client");
    }
    assert_eq!(received(&other).await.len(), 0, "nothing was to go to the other host");
}

#[tokio::test]
async fn a_redirect_to_the_same_host_is_not_followed_either() {
    for location in ["/login?next=hunter2", "login#hunter2", "?hunter2"] {
        let server = serve(ResponseTemplate::new(302).insert_header("location", location)).await;
        let error = first_error(&client(server.uri())).await;
        assert_eq!(error.kind(), ErrorKind::Redirect, "{location}");
        assert!(!all_shown(&error).contains("hunter2"), "{location}: {error:?}");
        assert_eq!(received(&server).await.len(), 1, "{location}");
    }
}

#[tokio::test]
async fn credentials_in_the_place_that_a_redirect_names_are_not_shown() {
    for location in ["https://admin:hunter2@sso.example.com/login", "//admin:hunter2@sso.example.com/login"] {
        let error = made_of(ResponseTemplate::new(302).insert_header("location", location)).await;
        assert_eq!(error.kind(), ErrorKind::Redirect, "{location}");
        assert!(error.to_string().contains("sso.example.com/login"), "{error}");
        assert!(!all_shown(&error).contains("hunter2"), "{location}: {error:?}");
    }
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_an_unexpected_status() {
    for status in [300, 301, 302, 303, 304, 307, 308] {
        let error = made_of(ResponseTemplate::new(status)).await;
        assert_eq!(error.kind(), ErrorKind::UnexpectedStatus, "{status}");
        assert_eq!(error.status().map(|it| it.as_u16()), Some(status));
    }
    for location in ["https://", "data:text/html,hunter2", "mailto:hunter2@example.com"] {
        let error = made_of(ResponseTemplate::new(302).insert_header("location", location)).await;
        assert_eq!(error.kind(), ErrorKind::Redirect, "{location}");
        assert!(error.to_string().contains("302"), "{location}: {error}");
    }
    let odd = b"location: /\xff\xfe\r\n";
    let mut answer = b"HTTP/1.1 302 Found\r\n".to_vec();
    answer.extend(odd);
    answer.extend(b"content-length: 0\r\n\r\n");
    let server = Raw::start(Then::Send(answer)).await;
    assert_eq!(first_error(&client(server.url())).await.kind(), ErrorKind::Redirect);
}

// Statuses.

#[tokio::test]
async fn every_status_has_the_kind_that_is_documented_for_it() {
    let cases = [
        (400, ErrorKind::Rejected),
        (401, ErrorKind::Unauthorized),
        (402, ErrorKind::UnexpectedStatus),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (405, ErrorKind::UnexpectedStatus),
        (408, ErrorKind::UnexpectedStatus),
        (409, ErrorKind::Conflict),
        (410, ErrorKind::NotFound),
        (412, ErrorKind::PreconditionFailed),
        (413, ErrorKind::Rejected),
        (414, ErrorKind::Rejected),
        (415, ErrorKind::Rejected),
        (418, ErrorKind::UnexpectedStatus),
        (422, ErrorKind::Rejected),
        (425, ErrorKind::UnexpectedStatus),
        (429, ErrorKind::RateLimited),
        (431, ErrorKind::Rejected),
        (451, ErrorKind::UnexpectedStatus),
        (500, ErrorKind::Server),
        (501, ErrorKind::Server),
        (502, ErrorKind::Server),
        (503, ErrorKind::Server),
        (504, ErrorKind::Server),
        (505, ErrorKind::Server),
        (529, ErrorKind::Server),
        (599, ErrorKind::Server),
        (999, ErrorKind::Server),
    ];
    for (status, kind) in cases {
        let error = made_of(ResponseTemplate::new(status)).await;
        assert_eq!((error.kind(), error.status().map(|it| it.as_u16())), (kind, Some(status)));
        assert!(error.api().is_none(), "{status}: {error:?}");
        let transient = matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504);
        assert_eq!(error.is_transient(), transient, "{status}");
        let unknown = status == 408 || status >= 500;
        let outcome = if unknown { RequestOutcome::Unknown } else { RequestOutcome::Refused };
        assert_eq!(error.outcome(), outcome, "{status}");
    }
}

#[tokio::test]
async fn error_bodies_of_every_shape_leave_the_status_standing() {
    let bodies: [(&[u8], Option<&str>); 15] = [
        (b"", None),
        (b"  \n ", None),
        (b"plain words", Some("plain words")),
        (b"\r\n  first line \r\nsecond line", Some("first line")),
        (b"<html><h1>502 Bad Gateway</h1></html>", None),
        (b"{", None),
        (br#"{"message":"cut sho"#, None),
        (br#"{"message":"good"}"#, Some("good")),
        (br#"{"message":""}"#, None),
        (br#"{"message":null,"name":null,"id":null,"details":null}"#, None),
        (br#"{"message":"good","details":[]}"#, Some("good")),
        (br#"{"message":"good","details":[{}]}"#, Some("good")),
        (b"[]", None),
        (b"\xff\xfe\x00", None),
        (b"\x1b[2Jhidden", None),
    ];
    for (body, message) in bodies {
        let error = made_of(ResponseTemplate::new(503).set_body_raw(body, "application/json")).await;
        assert_eq!(error.kind(), ErrorKind::Server);
        assert_eq!(error.api().and_then(|it| it.message()), message, "{}", String::from_utf8_lossy(body));
    }
}

#[tokio::test]
async fn the_message_of_an_error_is_read_whatever_stands_beside_it() {
    let bodies = [
        r#"{"message":"good","details":["in plain words"]}"#,
        r#"{"message":"good","details":"in plain words"}"#,
        r#"{"message":"good","details":{"field":"name"}}"#,
        r#"{"message":"good","id":17}"#,
        r#"{"message":"good","name":{}}"#,
    ];
    for body in bodies {
        let error = made_of(ResponseTemplate::new(400).set_body_raw(body, "application/json")).await;
        assert_eq!(error.api().and_then(|it| it.message()), Some("good"), "{body}");
    }
}

// Sizes.

#[tokio::test]
async fn a_body_up_to_the_cap_is_taken_and_one_byte_more_is_not() {
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
    let mut answers = vec![wire("200 OK", "", body.as_bytes()), chunked, until_close];
    if cfg!(feature = "gzip") {
        answers.push(wire("200 OK", "content-encoding: gzip\r\n", &gzip(body.as_bytes())));
    }
    for answer in answers {
        let server = Raw::start(Then::Send(answer)).await;
        let with_cap = |cap: usize| builder(server.url()).max_body_bytes(cap).build().unwrap();
        first_page(&with_cap(size)).await.unwrap();
        let error = first_error(&with_cap(size - 1)).await;
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains(&(size - 1).to_string()), "{error}");
        assert!(!error.is_transient());
        assert_eq!(error.outcome(), RequestOutcome::Unknown);
    }
}

#[cfg(feature = "gzip")]
#[tokio::test]
async fn a_body_that_swells_over_the_cap_when_decompressed_is_not_taken() {
    let swollen = format!(r#"{{"actionSetEvents":[]{}}}"#, " ".repeat(33 << 20));
    let small = gzip(swollen.as_bytes());
    assert!(small.len() < 1_000_000, "{} bytes on the wire", small.len());
    let answer = json_answer(small.clone()).insert_header("content-encoding", "gzip");
    let server = serve(answer).await;
    let client = builder(server.uri()).max_body_bytes(1 << 20).build().unwrap();
    assert_eq!(first_error(&client).await.kind(), ErrorKind::TooLarge);
    assert_eq!(first_error(&crate::support::client(server.uri())).await.kind(), ErrorKind::TooLarge);
    let server = Raw::start(Then::Send(wire("500 Oops", "content-encoding: gzip\r\n", &small))).await;
    assert_eq!(first_error(&crate::support::client(server.url())).await.kind(), ErrorKind::Server);
}

#[tokio::test]
async fn sixteen_mib_of_a_body_are_taken_unless_told_otherwise_and_the_error_says_what_to_do() {
    let body = |size: usize| {
        let begin = r#"{"success":true,"data":[]"#;
        format!("{begin}{}}}", " ".repeat(size - begin.len() - 1))
    };
    let ask = |body: String| {
        let memory = Memory::new(move |_, _| Reply::json(200, body.clone()));
        IntegrationClient::builder("http://localhost").api_key("any").exchange(memory).build().unwrap()
    };
    ask(body(16 << 20)).logs().list(()).page().await.unwrap();
    let client = ask(body((16 << 20) + 1));
    let page = client.logs().list(()).page().await.unwrap_err();
    let one = client.logs().get("1").await.unwrap_err();
    for (error, is_page) in [(page, true), (one, false)] {
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        let text = error.to_string();
        assert!(text.contains("16777216") && text.contains("max_body_bytes"), "{text}");
        // There is no smaller page of one record.
        assert_eq!(text.contains("page_size"), is_page, "{text}");
    }
}

#[tokio::test]
async fn an_announced_size_over_the_cap_is_refused_before_the_body_comes() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{".to_vec();
    let server = Raw::start(Then::SendAndHang(head)).await;
    assert_eq!(first_error(&client(server.url())).await.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn a_huge_error_page_gives_its_status_at_once() {
    let huge = vec![b'x'; 20 << 20];
    let server = serve(ResponseTemplate::new(404).set_body_raw(huge, "text/html")).await;
    let begun = Instant::now();
    let error = first_error(&client(server.uri())).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(all_shown(&error).len() < 50_000, "{} letters", all_shown(&error).len());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_error_page_without_an_end_gives_its_status_too() {
    let head = b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\n\r\n".to_vec();
    let server = Raw::start(Then::SendWithoutEnd(head, vec![b'x'; 4096])).await;
    assert_eq!(first_error(&client(server.url())).await.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_page_without_an_end_is_left_at_the_cap() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"actionSetEvents\":[".to_vec();
    let server = Raw::start(Then::SendWithoutEnd(head, vec![b' '; 4096])).await;
    let client = builder(server.url()).max_body_bytes(1 << 20).build().unwrap();
    assert_eq!(first_error(&client).await.kind(), ErrorKind::TooLarge);
}

// Connections that break.

#[tokio::test]
async fn a_connection_that_breaks_is_an_error_that_may_pass_and_leaves_the_outcome_open() {
    let json = "content-type: application/json\r\n";
    let whole = wire("200 OK", json, EMPTY.as_bytes());
    let longer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{EMPTY}", EMPTY.len() + 1);
    let cases: [(&str, Then); 11] = [
        ("no answer", Then::Close),
        ("inside the status line", Then::Send(whole[..7].to_vec())),
        ("inside the head", Then::Send(whole[..20].to_vec())),
        ("before the body", Then::Send(whole[..whole.len() - EMPTY.len()].to_vec())),
        ("inside the body", Then::Send(whole[..whole.len() - 3].to_vec())),
        ("a length that is too long by one", Then::Send(longer.into_bytes())),
        (
            "inside a chunk",
            Then::Send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{\"actionSet".to_vec()),
        ),
        (
            "no last chunk",
            Then::Send(
                format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{EMPTY}\r\n", EMPTY.len())
                    .into_bytes(),
            ),
        ),
        (
            "a chunk's size that is none",
            Then::Send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n{}\r\n".to_vec()),
        ),
        ("no HTTP", Then::Send(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec())),
        ("a length that is none", Then::Send(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}".to_vec())),
    ];
    for (what, then) in cases {
        let server = Raw::start(then).await;
        let error = first_error(&client(server.url())).await;
        assert_eq!(error.kind(), ErrorKind::Transport, "{what}: {error:?}");
        assert!(error.is_transient(), "{what}");
        assert_eq!(error.outcome(), RequestOutcome::Unknown, "{what}");
        assert_eq!(error.status(), None, "{what}");
        assert!(std::error::Error::source(&error).is_some(), "{what}");
        assert!(!server.heads().is_empty(), "{what}");
        let shown = all_shown(&error);
        assert!(!shown.contains("limit=50") && !shown.contains(KEY), "{what}: {shown}");
    }
}

#[tokio::test]
async fn a_length_that_is_too_short_cuts_the_json_and_that_is_seen() {
    let short = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{EMPTY}", EMPTY.len() - 1);
    let server = Raw::start(Then::Send(short.into_bytes())).await;
    assert_eq!(first_error(&client(server.url())).await.kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn an_error_whose_body_breaks_off_keeps_its_status() {
    let answer = b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 1000\r\n\r\nover capac".to_vec();
    let server = Raw::start(Then::Send(answer)).await;
    let error = first_error(&client(server.url())).await;
    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(error.status().map(|it| it.as_u16()), Some(503));
    assert_eq!(error.retry_after(), Some(Duration::ZERO));
}

#[cfg(feature = "gzip")]
#[tokio::test]
async fn a_compression_that_is_broken_is_a_broken_connection() {
    let good = gzip(page_of(&[event(1).to_string()]).as_bytes());
    let mut flipped = good.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 0xff;
    for broken in [&good[..good.len() / 2], &flipped, EMPTY.as_bytes()] {
        let error = made_of(json_answer(broken).insert_header("content-encoding", "gzip")).await;
        assert_eq!(error.kind(), ErrorKind::Transport, "{error:?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_no_connection_and_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = first_error(&client(url)).await;
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    assert_eq!(error.outcome(), RequestOutcome::NotSent);
    assert!(error.is_transient());
    assert!(error.attempts() > 0);
    assert!(std::error::Error::source(&error).is_some(), "the source says which way");
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn tls_to_a_server_without_it_is_no_connection_and_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        }
    });
    let error = first_error(&client(url)).await;
    task.abort();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Connect, RequestOutcome::NotSent), "{error:?}");
}

// Time.

#[tokio::test]
async fn a_server_that_keeps_silent_is_left_when_the_attempts_time_is_over() {
    let begun = wire("200 OK", "", EMPTY.as_bytes());
    for then in [
        Then::SendAndHang(Vec::new()),
        Then::SendAndHang(begun[..20].to_vec()),
        Then::SendAndHang(begun[..begun.len() - 3].to_vec()),
    ] {
        let server = Raw::start(then.clone()).await;
        let limit = Duration::from_millis(200);
        let client = builder(server.url()).attempt_timeout(limit).build().unwrap();
        let begun = Instant::now();
        let error = first_error(&client).await;
        assert_eq!(error.kind(), ErrorKind::Timeout, "{then:?}: {error:?}");
        assert!(begun.elapsed() >= limit, "{:?}", begun.elapsed());
        assert!(error.to_string().contains("200ms"), "{error}");
        assert!(error.is_transient());
        assert_eq!(error.outcome(), RequestOutcome::Unknown);
        assert!(error.attempts() > 0 && !server.heads().is_empty());
    }
}

#[tokio::test]
async fn an_error_whose_body_does_not_come_stands_by_its_status() {
    let server = Raw::start(Then::SendAndHang(b"HTTP/1.1 403 No\r\ncontent-length: 99\r\n\r\nnot you".to_vec())).await;
    // Both limits are longer than the body is waited for, and shorter.
    for (limit, least, most) in [(30_000, 1_900, 10_000), (200, 200, 1_900)] {
        let client = builder(server.url()).attempt_timeout(Duration::from_millis(limit)).build().unwrap();
        let begun = Instant::now();
        let error = first_error(&client).await;
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Forbidden, RequestOutcome::Refused), "{error:?}");
        assert_eq!(error.api().and_then(|it| it.message()), Some("not you"));
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(least) && took < Duration::from_millis(most), "{took:?}");
    }
}

#[tokio::test]
async fn the_operations_time_ends_a_call_as_well() {
    let server = Raw::start(Then::SendAndHang(Vec::new())).await;
    let client = builder(server.url()).attempt_timeout(None).operation_timeout(Duration::from_millis(200)).build();
    let error = first_error(&client.unwrap()).await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, RequestOutcome::Unknown));
    assert!(error.to_string().contains("operation"), "{error}");
}

#[tokio::test]
async fn a_call_and_a_listing_may_set_other_limits_than_the_client() {
    let server = serve(json_answer(EMPTY).set_delay(Duration::from_millis(400))).await;
    let short = Duration::from_millis(100);
    let client = builder(server.uri()).attempt_timeout(short).build().unwrap();
    assert_eq!(first_error(&client).await.kind(), ErrorKind::Timeout);
    let list = || client.action_set_events().list(("default", 1));
    promptly(list().attempt_timeout(None).page()).await.unwrap();
    promptly(list().page().attempt_timeout(None)).await.unwrap();
    promptly(list().page().attempt_timeout(Duration::from_secs(20)).operation_timeout(None)).await.unwrap();
    let error = promptly(list().attempt_timeout(None).operation_timeout(short).page()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let mut items = list().attempt_timeout(None).items();
    assert!(promptly(items.next()).await.is_none(), "an empty log, read within no limit");
}

#[tokio::test]
async fn no_limits_and_the_longest_limits_are_taken() {
    let server = serve_json(EMPTY).await;
    let unlimited = builder(server.uri()).connect_timeout(None).attempt_timeout(None).operation_timeout(None);
    first_page(&unlimited.build().unwrap()).await.unwrap();
    let longest = Duration::MAX;
    let long = builder(server.uri()).connect_timeout(longest).attempt_timeout(longest).operation_timeout(longest);
    first_page(&long.build().unwrap()).await.unwrap();
    let silent = Raw::start(Then::SendAndHang(Vec::new())).await;
    let none = builder(silent.url()).attempt_timeout(Duration::ZERO).build().unwrap();
    assert_eq!(first_error(&none).await.kind(), ErrorKind::Timeout);
}

// Servers that send back what must not be shown.

/// What of a request's credentials a server could send back: the header, what stands behind its scheme, and what that is
/// in base64.
fn echoes(request: &wiremock::Request) -> Vec<String> {
    let header = ["authorization", "x-key"].into_iter().find_map(|name| request.headers.get(name));
    let whole = header.expect("each request is signed").to_str().unwrap().to_owned();
    let mut out = vec![whole.clone()];
    if let Some((scheme, token)) = whole.split_once(' ') {
        out.push(token.to_owned());
        if scheme == "Basic" {
            let pair = String::from_utf8(BASE64.decode(token).unwrap()).unwrap();
            out.push(pair.split_once(':').unwrap().1.to_owned());
            out.push(pair);
        }
    }
    out
}

/// Answers that hold all that is echoed, in every place that an error is made of.
fn echoing_answers(echo: &str) -> Vec<ResponseTemplate> {
    let said = json!({
        "id": format!("id {echo}"),
        "name": format!("{echo} Error"),
        "message": format!("the token {echo} (or {echo}{echo}) is not known"),
        "details": [{ "message": format!("no {echo}") }, { "description": echo }],
    });
    vec![
        ResponseTemplate::new(401).set_body_json(&said),
        ResponseTemplate::new(500).set_body_json(&said),
        ResponseTemplate::new(403).set_body_json(json!({ "message": echo })),
        ResponseTemplate::new(401).set_body_string(format!("{echo} is not known")),
        ResponseTemplate::new(429).set_body_raw(echo, "text/html"),
        ResponseTemplate::new(404).insert_header("x-request-id", echo),
        ResponseTemplate::new(404).insert_header("x-correlation-id", format!("a {echo} b")),
        ResponseTemplate::new(302).insert_header("location", format!("/login/{echo}/x")),
        ResponseTemplate::new(302).insert_header("location", format!("https://sso.example.com/{echo}?t={echo}")),
        ResponseTemplate::new(200).insert_header("content-encoding", echo),
        ResponseTemplate::new(200)
            .insert_header("x-request-id", echo)
            .set_body_json(json!({ "actionSetEvents": echo })),
        json_answer(json!({ "actionSetEvents": { echo: 1 } }).to_string()),
        json_answer(json!({ echo: [echo] }).to_string()),
        json_answer(format!("{{{echo}")),
        ResponseTemplate::new(200).set_body_raw(format!("<p>{echo}</p>"), "text/html"),
    ]
}

#[tokio::test]
async fn credentials_that_a_server_sends_back_are_shown_nowhere() {
    type Signer = fn() -> Box<dyn FnOnce(String) -> UnleashClient>;
    let signers: [(&str, Signer); 5] = [
        ("raw", || Box::new(|url| unsigned(url).api_key("*:*.hunter2").build().unwrap())),
        ("bearer", || Box::new(|url| unsigned(url).bearer("user:hunter2").build().unwrap())),
        ("basic", || Box::new(|url| unsigned(url).authenticator(auth::basic("admin", "hunter2")).build().unwrap())),
        ("header", || Box::new(|url| unsigned(url).authenticator(auth::header("x-key", "hunter2")).build().unwrap())),
        ("a signer of one's own", || {
            Box::new(|url| {
                let signer = auth::sign_with(|request| {
                    request.headers_mut().insert("x-key", "hunter2".parse().unwrap());
                    Ok(auth::Signature::new())
                });
                unsigned(url).authenticator(signer).build().unwrap()
            })
        }),
    ];
    let mut leaks = Vec::new();
    for (name, signer) in signers {
        // What can be echoed is learned from a first request.
        let server = serve(ResponseTemplate::new(404)).await;
        let mut shown = all_shown(&first_error(&signer()(server.uri())).await);
        let request = &received(&server).await[0];
        let echoes = echoes(request);
        assert!(echoes.iter().any(|it| it.contains("hunter2")), "{echoes:?}");
        for echo in &echoes {
            for answer in echoing_answers(echo) {
                let what = format!("{answer:?}");
                let server = serve(answer).await;
                let error = first_error(&signer()(server.uri())).await;
                shown = all_shown(&error);
                let coded = BASE64.encode("admin:hunter2");
                if shown.contains("hunter2") || shown.contains(&coded) {
                    leaks.push(format!("{name}, sent back as {echo:?} by {what}: {error}"));
                }
            }
        }
        assert!(!shown.is_empty());
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}

#[tokio::test]
async fn what_is_said_beside_a_message_with_credentials_is_still_readable() {
    let echo = |request: &wiremock::Request| {
        let token = request.headers["authorization"].to_str().unwrap().to_owned();
        ResponseTemplate::new(401).set_body_json(json!({ "name": "NoSuchToken", "message": format!("no such token: {token}, sorry"), "details": ["see the docs"] }))
    };
    let server = serve(echo).await;
    let error = first_error(&client(server.uri())).await;
    let api = error.api().unwrap();
    assert_eq!((api.name(), api.message()), (Some("NoSuchToken"), Some("[withheld: contains part of a credential]")));
    assert_eq!(api.details(), ["see the docs"]);
}

#[tokio::test]
async fn a_token_that_is_cut_by_the_cap_on_bodies_is_not_shown_in_part() {
    let token = "user:0123456789abcdef0123456789abcdef";
    let server = serve(ResponseTemplate::new(401).set_body_string(format!("{token} is not known"))).await;
    for cap in [10, 20, 36] {
        let client = unsigned(server.uri()).api_key(token).max_body_bytes(cap).build().unwrap();
        let shown = all_shown(&first_error(&client).await);
        assert!(!shown.contains("user:01234"), "with a cap of {cap}: {shown}");
    }
}

#[tokio::test]
async fn a_token_with_odd_letters_is_not_shown_in_the_place_that_a_redirect_names() {
    let token = r#"user:"secret|{part}^"#;
    for location in [format!("https://sso.example.com/{token}"), format!("/login/{token}")] {
        let server = serve(ResponseTemplate::new(302).insert_header("location", &*location)).await;
        let client = unsigned(server.uri()).api_key(token).build().unwrap();
        let shown = all_shown(&first_error(&client).await);
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[tokio::test]
async fn a_token_that_comes_back_in_small_letters_as_a_coding_is_not_shown() {
    let token = "user:SECRET-PART";
    let server = serve(json_answer(EMPTY).insert_header("content-encoding", token)).await;
    let client = unsigned(server.uri()).api_key(token).build().unwrap();
    let shown = all_shown(&first_error(&client).await);
    assert!(!shown.to_lowercase().contains("secret-part"), "{shown}");
}

#[tokio::test]
async fn a_header_beyond_ascii_of_a_signer_of_ones_own_is_not_shown_either() {
    let token = "hunter2-\u{e9}";
    let server = serve(ResponseTemplate::new(401).set_body_json(json!({ "message": token }))).await;
    let signer = auth::sign_with(move |request| {
        let value = http::HeaderValue::from_bytes(token.as_bytes()).map_err(auth::AuthError::new)?;
        request.headers_mut().insert("x-key", value);
        Ok(auth::Signature::new())
    });
    let client = unsigned(server.uri()).authenticator(signer).build().unwrap();
    let shown = all_shown(&first_error(&client).await);
    assert!(!shown.contains("hunter2"), "{shown}");
}

// Records that can't be read.

/// Ways to spoil an event, each with something secret in it where that fits.
fn spoilt(id: i64) -> Vec<(&'static str, String)> {
    let with = |path: &str, value: Value| {
        let mut event = event(id);
        *event.pointer_mut(path).unwrap() = value;
        event.to_string()
    };
    vec![
        ("a text for an id", with("/id", json!("hunter2"))),
        (
            "a number too large for an id",
            event(id).to_string().replacen(&format!(r#""id":{id},"#), r#""id":40010400104001040010,"#, 1),
        ),
        ("a fraction for an id", with("/id", json!(40010.5))),
        ("a text for an object", with("/signal", json!("hunter2 `hunter2` \"hunter2\" \\"))),
        ("a list for a text", with("/actionSet/project", json!(["hunter2"]))),
        ("a number for a text", with("/actionSet/project", json!(40010))),
        ("a truth for a list", with("/actionSet/actions", json!(true))),
        ("an object for a state", with("/state", json!({ "hunter2": "hunter2" }))),
        ("no time", with("/createdAt", json!("hunter2"))),
        ("half a letter", with("/actionSet/project", json!("@")).replace('@', r"hunter2\ud800")),
        ("null", "null".to_owned()),
        ("a text", r#""hunter2""#.to_owned()),
        ("a number", "40010".to_owned()),
        ("an empty object", "{}".to_owned()),
        ("an object of secrets", r#"{"hunter2":"hunter2"}"#.to_owned()),
    ]
}

#[tokio::test]
async fn one_record_that_can_not_be_read_is_an_error_in_its_place_and_all_others_come() {
    const SIZE: u32 = 3;
    const COUNT: usize = 7;
    for (what, bad) in spoilt(500) {
        for place in 0..COUNT {
            let mut records: Vec<_> = (0..COUNT as i64).map(|it| event(900 - it).to_string()).collect();
            records[place].clone_from(&bad);
            let server = serve(listing(records)).await;
            let mut items = client(server.uri()).action_set_events().list(("default", 1)).page_size(SIZE).items();
            let mut got = Vec::new();
            while let Some(item) = promptly(items.next()).await {
                got.push(item);
            }
            assert_eq!(got.len(), COUNT, "{what} at {place}: {got:?}");
            for (index, item) in got.into_iter().enumerate() {
                match item {
                    Ok(event) => {
                        assert_ne!(index, place, "{what} at {place} was read");
                        assert_eq!(*event.id.get(), 900 - index as i64, "{what} at {place}");
                    }
                    Err(error) => {
                        assert_eq!(index, place, "{what}: {error:?}");
                        assert!(error.is_record(), "{what}: {error:?}");
                        assert_eq!(error.kind(), ErrorKind::Record);
                        assert_eq!(error.record().unwrap().raw().as_str(), bad, "{what}");
                        let shown = all_shown(&error);
                        assert!(!shown.contains("hunter2") && !shown.contains("40010"), "{what}: {shown}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_record_that_can_not_be_read_names_its_place_in_the_page_and_in_itself() {
    let mut bad = event(2);
    bad["actionSet"]["actions"] = json!([{ "id": 1 }, { "id": "hunter2" }]);
    let server = serve_json(page_of(&[event(3).to_string(), bad.to_string(), event(1).to_string()])).await;
    let page = first_page(&client(server.uri())).await.unwrap();
    let ids: Vec<_> = page.records().map(|it| *it.id.get()).collect();
    assert_eq!(ids, [3, 1]);
    let Entry::Unreadable(record) = &page.entries[1] else { panic!("{:?}", page.entries) };
    assert_eq!((record.index(), record.path()), (1, "actionSet.actions[0]"));
    assert_eq!(record.raw().as_str(), bad.to_string());
    let error = page.into_records().unwrap_err();
    assert!(error.is_record());
    assert!(error.to_string().contains("record 1 of its answer"), "{error}");
    assert!(error.to_string().contains("actionSet.actions[0]"), "{error}");
}

#[tokio::test]
async fn a_page_of_nothing_but_unreadable_records_is_not_the_end() {
    let bad = |id: i64| json!({ "id": id.to_string() }).to_string();
    let records: Vec<_> = (0..5).map(bad).chain([event(1).to_string()]).collect();
    let server: MockServer = serve(listing(records)).await;
    let mut items = client(server.uri()).action_set_events().list(("default", 1)).page_size(2).items();
    let mut got = Vec::new();
    while let Some(item) = promptly(items.next()).await {
        got.push(item.map(|it| *it.id.get()).map_err(|it| it.record().unwrap().raw().as_str().to_owned()));
    }
    let expected: Vec<_> = (0..5).map(|it| Err(bad(it))).chain([Ok(1)]).collect();
    assert_eq!(got, expected);
}

#[tokio::test]
async fn a_token_is_not_shown_either_if_its_scheme_came_with_it_or_it_comes_back_in_other_letters() {
    let bodies = ["pl4nted-t0ken+x", "PL4NTED-T0KEN+X", "pl4nted%2Dt0ken%2Bx"];
    for said in bodies {
        let server =
            serve(ResponseTemplate::new(401).set_body_raw(json!({"message": said}).to_string(), "application/json"))
                .await;
        let error = unsigned(server.uri()).api_key("Bearer pl4nted-t0ken+x").build().unwrap();
        let error = first_page(&error).await.unwrap_err();
        let shown = all_shown(&error).to_lowercase();
        assert!(!shown.contains("pl4nted"), "{said}: {shown}");
    }
}

#[test]
fn a_proxy_that_can_not_be_asked_is_told_when_the_client_is_built_and_never_passed_by() {
    let client = [("UNLEASH_URL", "https://unleash.example.com"), ("UNLEASH_TOKEN", "hunter2")];
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let proxy = |value| from_environment(&[client[0], client[1], (name, value)]);
        for bad in ["htp://hunter2:3128", "http://user:hunter2@", "http://hunter2:70000"] {
            let said = proxy(bad);
            assert!(said.contains(&format!("failed: Configuration: the environment's {name} ")), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
        let good = proxy("http://user:pass@proxy.example.com:3128");
        assert!(good.contains("built: "), "{good}");
    }
    // To this machine no proxy is asked: what it's set to makes no difference.
    let local = [("UNLEASH_URL", "http://localhost:4242"), ("UNLEASH_TOKEN", "hunter2"), ("HTTP_PROXY", "%%")];
    assert!(from_environment(&local).contains("built: "));
}

/// Runs as a process of its own, started by the test below.
#[tokio::test]
#[ignore = "started by another test, in an environment made for it"]
async fn a_process_that_asks_a_server_of_its_own() {
    let server = serve(listing(Vec::new())).await;
    println!("asked: {}", first_page(&client(server.uri())).await.is_ok());
}

#[test]
fn a_server_on_this_machine_is_not_asked_by_way_of_a_proxy() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "bad_input::a_process_that_asks_a_server_of_its_own", "--ignored", "--nocapture"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:9");
    }
    let said = String::from_utf8(command.env_remove("NO_PROXY").output().unwrap().stdout).unwrap();
    assert!(said.contains("asked: true"), "{said}");
}

#[tokio::test]
async fn a_length_that_is_announced_is_not_believed_before_it_comes() {
    let exchange = Announcing;
    let client =
        unsigned("http://localhost").api_key("any").exchange(exchange).max_body_bytes(usize::MAX).build().unwrap();
    assert!(first_page(&client).await.is_ok());
}

/// Announces more than there is memory, and gives a page in pieces.
#[derive(Debug)]
struct Announcing;

#[async_trait::async_trait]
impl actionlog::Exchange for Announcing {
    async fn exchange(
        &self,
        _: http::Request<bytes::Bytes>,
    ) -> std::result::Result<http::Response<actionlog::Body>, actionlog::ExchangeError> {
        let pieces = [r#"{"actionSet"#, r#"Events":"#, "[]}"].map(|it| Ok(bytes::Bytes::from(it)));
        let body = actionlog::Body::new(futures_util::stream::iter(pieces));
        Ok(http::Response::builder().header("content-length", "4611686018427387904").body(body).unwrap())
    }
}
