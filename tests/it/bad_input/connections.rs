//! Connections that break, and servers that do not respond in time.

use std::time::{Duration, Instant};

use actionlog::{ErrorKind, WriteOutcome};
#[cfg(feature = "rustls")]
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::bad_input::{EMPTY, wire};
#[cfg(feature = "gzip")]
use crate::bad_input::{gzip, made_of};
use crate::support::{
    KEY, Raw, Then, all_shown, builder, client, first_error, first_page, json as json_response, promptly, serve,
    serve_json,
};
#[cfg(feature = "gzip")]
use crate::support::{event, page_of};

#[tokio::test]
async fn a_broken_connection_is_a_transient_error_with_an_unknown_outcome() {
    let json = "content-type: application/json\r\n";
    let whole = wire("200 OK", json, EMPTY.as_bytes());
    let longer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{EMPTY}", EMPTY.len() + 1);
    let cases: [(&str, Then); 11] = [
        ("no response", Then::Close),
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
        assert_eq!(error.outcome(), WriteOutcome::Unknown, "{what}");
        assert_eq!(error.status(), None, "{what}");
        assert!(std::error::Error::source(&error).is_some(), "{what}");
        assert!(!server.heads().is_empty(), "{what}");
        let shown = all_shown(&error);
        assert!(!shown.contains("limit=50") && !shown.contains(KEY), "{what}: {shown}");
    }
}

#[tokio::test]
async fn a_content_length_that_is_too_short_is_detected() {
    let short = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{EMPTY}", EMPTY.len() - 1);
    let server = Raw::start(Then::Send(short.into_bytes())).await;
    assert_eq!(first_error(&client(server.url())).await.kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn an_error_whose_body_breaks_off_keeps_its_status() {
    let response = b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 1000\r\n\r\nover capac".to_vec();
    let server = Raw::start(Then::Send(response)).await;
    let error = first_error(&client(server.url())).await;
    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(error.status().map(|it| it.as_u16()), Some(503));
    assert_eq!(error.retry_after(), Some(Duration::ZERO));
}

#[cfg(feature = "gzip")]
#[tokio::test]
async fn broken_compression_is_a_broken_connection() {
    let good = gzip(page_of(&[event(1).to_string()]).as_bytes());
    let mut flipped = good.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 0xff;
    for broken in [&good[..good.len() / 2], &flipped, EMPTY.as_bytes()] {
        let error = made_of(json_response(broken).insert_header("content-encoding", "gzip")).await;
        assert_eq!(error.kind(), ErrorKind::Transport, "{error:?}");
    }
}

#[tokio::test]
async fn a_closed_port_is_a_connect_error_and_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = first_error(&client(url)).await;
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    assert_eq!(error.outcome(), WriteOutcome::NotSent);
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
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Connect, WriteOutcome::NotSent), "{error:?}");
}

#[tokio::test]
async fn a_silent_server_is_abandoned_at_the_attempt_timeout() {
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
        assert_eq!(error.outcome(), WriteOutcome::Unknown);
        assert!(error.attempts() > 0 && !server.heads().is_empty());
    }
}

#[tokio::test]
async fn an_error_whose_body_never_arrives_keeps_its_status() {
    let server = Raw::start(Then::SendAndHang(b"HTTP/1.1 403 No\r\ncontent-length: 99\r\n\r\nnot you".to_vec())).await;
    // Each of the two limits is once longer and once shorter than the body takes.
    for (limit, least, most) in [(30_000, 1_900, 10_000), (200, 200, 1_900)] {
        let client = builder(server.url()).attempt_timeout(Duration::from_millis(limit)).build().unwrap();
        let begun = Instant::now();
        let error = first_error(&client).await;
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Forbidden, WriteOutcome::NotApplied), "{error:?}");
        assert_eq!(error.api().and_then(|it| it.message()), Some("not you"));
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(least) && took < Duration::from_millis(most), "{took:?}");
    }
}

#[tokio::test]
async fn the_operation_timeout_ends_a_call() {
    let server = Raw::start(Then::SendAndHang(Vec::new())).await;
    let client = builder(server.url()).attempt_timeout(None).operation_timeout(Duration::from_millis(200)).build();
    let error = first_error(&client.unwrap()).await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, WriteOutcome::Unknown));
    assert!(error.to_string().contains("operation"), "{error}");
}

#[tokio::test]
async fn a_call_and_a_listing_may_set_other_limits_than_the_client() {
    let server = serve(json_response(EMPTY).set_delay(Duration::from_millis(400))).await;
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
async fn no_timeouts_and_the_longest_timeouts_are_accepted() {
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
