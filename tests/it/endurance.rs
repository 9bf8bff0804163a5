//! How long a stream continues after transient errors, and which errors count.

use std::time::Duration;

use actionlog::page::{Cause, Doubt};
use actionlog::{Error, ErrorKind, HttpError, IntegrationClient, RetryPolicy, UnleashClient, Verdict};
use tokio::time::Instant;

use crate::wire::{KEY, Memory, Reply, whole_story};

const MINUTE: Duration = Duration::from_secs(60);

fn unleash(memory: &Memory) -> UnleashClient {
    let builder = UnleashClient::builder("https://unleash.example.com").api_key(KEY);
    builder.retry(RetryPolicy::never()).http_client(memory.clone()).build().unwrap()
}

fn integration(memory: &Memory) -> IntegrationClient {
    let builder = IntegrationClient::builder("https://logs.example.com").api_key(KEY);
    builder.retry(RetryPolicy::never()).http_client(memory.clone()).build().unwrap()
}

const REFUSED: &str = r#"{"id": "1", "name": "UnauthorizedError", "message": "You must log in to use Unleash."}"#;

/// Pages of two events with descending ids.
fn events(request: &http::Request<bytes::Bytes>) -> Reply {
    let offset = request.uri().query().unwrap().split('&').find_map(|it| it.strip_prefix("offset=")).unwrap();
    let offset: u64 = offset.parse().unwrap();
    let event = |id: u64| {
        format!(
            r#"{{"id": {id}, "actionSetId": 1, "signalId": 1, "createdAt": "2026-11-01T00:00:00Z", "state": "success",
            "signal": {{"id": 1, "createdAt": "2026-11-01T00:00:00Z", "source": "signal-endpoint", "sourceId": 1}},
            "actionSet": {{"id": 1, "project": "default", "createdAt": "2026-11-01T00:00:00Z", "createdByUserId": 1,
            "name": "n", "actorId": 1, "actions": [], "match": {{"source": "signal-endpoint", "sourceId": 1, "payload": {{}}}}}}}}"#
        )
    };
    let page: Vec<_> = (offset..8).take(2).map(|it| event(100 - it)).collect();
    Reply::json(200, format!(r#"{{"actionSetEvents": [{}]}}"#, page.join(",")))
}

/// Scans to the end of the stream, and returns the ids, the errors and the verdict.
async fn read(memory: &Memory, change: impl FnOnce(Listing) -> Listing) -> (Vec<i64>, Vec<Error>, Verdict) {
    let listing = unleash(memory).action_set_events().list(("default", 1)).page_size(2).prefetch(1);
    let mut items = change(listing).items();
    let (mut ids, mut errors) = (Vec::new(), Vec::new());
    while let Some(item) = items.next().await {
        match item {
            Ok(event) => ids.push(*event.id.get()),
            Err(error) => errors.push(error),
        }
    }
    (ids, errors, items.summary().verdict)
}

type Listing = actionlog::Listing<actionlog::unleash::EventsQuery>;

#[tokio::test(start_paused = true)]
async fn a_stream_ends_after_as_many_errors_in_a_row_as_are_set() {
    for (set, expected) in [(None, 30), (Some(Some(4)), 4), (Some(Some(1)), 1), (Some(Some(0)), 1)] {
        let memory = Memory::new(|_, _| Reply::NoConnection);
        let (ids, errors, verdict) = read(&memory, |it| match set {
            Some(most) => it.max_consecutive_errors(most),
            None => it,
        })
        .await;
        assert_eq!((ids.len(), errors.len()), (0, expected), "{set:?}");
        assert_eq!(memory.count(), expected);
        let (last, others) = errors.split_last().unwrap();
        assert!(others.iter().all(Error::is_transient));
        assert!(!last.is_transient(), "what ends the stream isn't to be polled past");
        assert!(last.to_string().contains(&format!("error {expected} in a row")), "{last}");
        assert_eq!(last.kind(), ErrorKind::Connect);
        assert!(last.cursor().is_some());
        assert_eq!(verdict, Verdict::Incomplete(Cause::Failed));
    }
}

#[tokio::test(start_paused = true)]
async fn by_default_a_failing_stream_waits_twelve_minutes() {
    let memory = Memory::new(|_, _| Reply::NoConnection);
    let begun = Instant::now();
    read(&memory, |it| it).await;
    assert!((12 * MINUTE..13 * MINUTE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_a_stream_continues_through_any_outage() {
    let memory = Memory::new(|number, request| if number < 500 { Reply::Cut } else { events(request) });
    let (ids, errors, verdict) = read(&memory, |it| it.max_consecutive_errors(None)).await;
    assert_eq!((ids.len(), errors.len()), (8, 500));
    assert_eq!(verdict, Verdict::Unverified(Doubt::NoTotal));
}

#[tokio::test(start_paused = true)]
async fn a_successful_page_resets_the_error_count() {
    let memory = Memory::new(|number, request| if number % 4 == 3 { events(request) } else { Reply::Cut });
    let (ids, errors, _) = read(&memory, |it| it.max_consecutive_errors(4)).await;
    assert_eq!(ids, (93..=100).rev().collect::<Vec<_>>());
    assert!(errors.len() > 4 && errors.iter().all(Error::is_transient));
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_rejected_during_a_scan_may_be_accepted_again() {
    for (status, kind) in [(401, ErrorKind::Unauthorized), (403, ErrorKind::Forbidden)] {
        let memory = Memory::new(move |number, request| match number {
            2..=9 => Reply::json(status, REFUSED),
            _ => events(request),
        });
        let (ids, errors, verdict) = read(&memory, |it| it).await;
        assert_eq!(ids, (93..=100).rev().collect::<Vec<_>>(), "{status}");
        assert_eq!(errors.len(), 8);
        assert!(errors.iter().all(|it| it.kind() == kind && it.is_transient() && it.cursor().is_some()));
        assert_eq!(verdict, Verdict::Unverified(Doubt::NoTotal));
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_stay_rejected_end_the_scan_after_the_grace_period() {
    for (grace, least) in [(None, 10 * MINUTE), (Some(2 * MINUTE), 2 * MINUTE), (Some(Duration::ZERO), Duration::ZERO)]
    {
        let memory =
            Memory::new(|number, request| if number < 1 { events(request) } else { Reply::json(401, REFUSED) });
        let begun = Instant::now();
        let (ids, errors, verdict) = read(&memory, |it| match grace {
            Some(time) => it.auth_grace(time),
            None => it,
        })
        .await;
        assert_eq!(ids, [100, 99]);
        let took = begun.elapsed();
        assert!(took >= least && took < least + MINUTE, "{grace:?}: {took:?}");
        let (last, others) = errors.split_last().unwrap();
        assert!(!last.is_transient() && others.iter().all(Error::is_transient));
        assert_eq!(verdict, Verdict::Incomplete(Cause::Failed));
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_were_never_accepted_are_rejected_at_once() {
    let memory = Memory::new(|_, _| Reply::json(401, REFUSED));
    let (_, errors, _) = read(&memory, |it| it).await;
    assert_eq!((errors.len(), memory.count()), (1, 1));
    assert!(!errors[0].is_transient());
}

#[tokio::test(start_paused = true)]
async fn other_servers_reject_credentials_at_once_unless_a_grace_is_set() {
    let responses = |number, _: &http::Request<bytes::Bytes>| match number {
        0 => Reply::json(
            200,
            r#"{"success": true, "data": [{"_id": "1", "integrationId": "i", "actionType": "sync",
            "entityType": "e", "status": "success"}], "total": 2}"#,
        ),
        1 | 2 => Reply::json(401, r#"{"success": false, "message": "no"}"#),
        _ => Reply::json(200, r#"{"success": true, "data": [], "total": 1}"#),
    };
    for (grace, expected) in [(None, 1), (Some(MINUTE), 2)] {
        let memory = Memory::new(responses);
        let listing = integration(&memory).logs().list(()).prefetch(1);
        let mut items = match grace {
            Some(time) => listing.auth_grace(time),
            None => listing,
        }
        .items();
        let mut errors = 0;
        while let Some(item) = items.next().await {
            errors += usize::from(item.is_err());
        }
        assert_eq!(errors, expected, "{grace:?}");
    }
}

#[tokio::test]
async fn a_rejected_certificate_of_a_custom_tls_stack_is_not_transient() {
    #[derive(Debug)]
    struct Mine;

    #[async_trait::async_trait]
    impl actionlog::HttpClient for Mine {
        async fn send(&self, _: http::Request<bytes::Bytes>) -> Result<http::Response<actionlog::Body>, HttpError> {
            Err(HttpError::certificate("self-signed"))
        }
    }

    let client = UnleashClient::builder("https://unleash.example.com").api_key(KEY).http_client(Mine).build().unwrap();
    let error = client.action_set_events().list(("default", 1)).page().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), error.is_transient()), (ErrorKind::Connect, 1, false));
    assert!(whole_story(&error).contains("certificate isn't trusted: self-signed"), "{error}");
}

#[tokio::test]
async fn the_cause_of_a_connect_error_is_in_its_message() {
    let server = wiremock::MockServer::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap().port();
    drop(listener);
    let mut cases = vec![
        (format!("http://127.0.0.1:{closed}"), "nothing listens on that port", "that the server is up"),
        ("https://no-such-host.invalid".to_owned(), "its host name doesn't resolve", "base URL's host"),
    ];
    if cfg!(feature = "rustls") {
        cases.push((server.uri().replace("http:", "https:"), "doesn't speak TLS", "begin the base URL with http://"));
    }
    for (url, message, hint) in cases {
        let client = UnleashClient::builder(&url).api_key(KEY).retry(RetryPolicy::never()).build().unwrap();
        let error = client.action_set_events().list(("default", 1)).page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{url}");
        assert!(error.is_transient(), "{url}");
        assert!(error.to_string().contains(message) && error.to_string().contains(hint), "{url}: {error}");
        let check = client.check().await.to_string();
        assert!(check.contains(message) && check.contains(hint), "{url}: {check}");
    }
}
