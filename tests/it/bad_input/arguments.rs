//! Arguments of calls: what is encoded, and what is refused before anything is sent.

use actionlog::unleash::EventsQuery;
use actionlog::{Error, ErrorKind, Json, Request, WriteOutcome};

use crate::bad_input::{EMPTY, wire};
use crate::support::{Raw, Then, all_shown, client, event, page_of, promptly, received, serve_json};

/// Requests the events of an action set by any ids, and returns the requested path or the error.
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

#[tokio::test]
async fn ids_stay_one_segment_whatever_their_content() {
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
        // Looks like ".." but isn't.
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
async fn ids_of_ten_thousand_letters_are_sent_unchanged() {
    let long = "x".repeat(10_000);
    assert_eq!(ask_for(&long, "1").await.unwrap(), format!("/api/admin/projects/{long}/actions/1/events"));
    let spaces = " ".repeat(10_000);
    let encoded = "%20".repeat(10_000);
    assert_eq!(ask_for("p", &spaces).await.unwrap(), format!("/api/admin/projects/p/actions/{encoded}/events"));
}

#[tokio::test]
async fn ids_that_would_change_the_path_are_rejected_before_anything_is_sent() {
    let deep = format!("%{}", "25".repeat(10_000));
    for bad in [
        "",
        ".",
        "..",
        // A proxy may decode before it resolves dots, and a server may decode twice.
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
        // Servers differ in what they make of it.
        &deep,
    ] {
        for (project, action_set, place) in [(bad, "1", "projectId"), ("default", bad, "id")] {
            let error = ask_for(project, action_set).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{bad:.20?}");
            assert_eq!((error.attempts(), error.outcome()), (0, WriteOutcome::NotSent));
            assert!(!error.is_transient() && error.to_string().len() < 400);
            assert!(error.to_string().contains(&format!("{{{place}}}")), "the message names the place: {error}");
        }
    }
}

#[tokio::test]
async fn an_id_that_is_too_long_for_a_url_is_rejected_before_anything_is_sent() {
    let error = ask_for(&"x".repeat(100_000), "1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!((error.attempts(), error.outcome()), (0, WriteOutcome::NotSent));
    assert!(error.to_string().contains("too long"), "{error}");
    assert!(all_shown(&error).len() < 4_000, "the id isn't shown");
}

#[tokio::test]
async fn a_page_size_of_zero_is_rejected_before_anything_is_sent() {
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
async fn the_largest_start_offset_is_sent_and_its_response_read() {
    let server = serve_json(page_of(&[event(1).to_string()])).await;
    let list = client(server.uri()).action_set_events().list(("default", 1)).start_offset(u64::MAX);
    let page = promptly(list.clone().page()).await.unwrap();
    assert_eq!(page.window.offset, u64::MAX);
    let first = promptly(list.items().next()).await.unwrap().unwrap();
    assert_eq!(*first.id.get(), 1);
}

#[tokio::test]
async fn custom_requests_with_too_few_or_too_many_segments_are_rejected_before_anything_is_sent() {
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
async fn a_custom_path_that_leaves_the_base_url_is_rejected_in_every_encoding() {
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
