//! Redirects and error statuses: which `ErrorKind` each becomes.

use actionlog::auth;
use actionlog::{ErrorKind, UnleashClient, WriteOutcome};
use wiremock::ResponseTemplate;

use crate::bad_input::{EMPTY, made_of};
use crate::support::{KEY, Raw, Then, all_shown, builder, client, first_error, received, serve, serve_json};

#[tokio::test]
async fn a_redirect_to_another_host_is_an_error_and_credentials_do_not_travel() {
    let other = serve_json(EMPTY).await;
    // Another host by name, which would be reached.
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
            assert_eq!(error.outcome(), WriteOutcome::NotApplied);
            assert!(!error.is_transient());
            assert!(error.to_string().contains(&format!("{place}/login")), "{error}");
            assert!(error.hint().is_some_and(|it| it.contains("aren't followed")), "{error:?}");
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
async fn credentials_in_the_target_of_a_redirect_are_not_shown() {
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
    let mut response = b"HTTP/1.1 302 Found\r\n".to_vec();
    response.extend(odd);
    response.extend(b"content-length: 0\r\n\r\n");
    let server = Raw::start(Then::Send(response)).await;
    assert_eq!(first_error(&client(server.url())).await.kind(), ErrorKind::Redirect);
}

#[tokio::test]
async fn every_status_has_the_kind_that_is_documented_for_it() {
    let cases = [
        (400, ErrorKind::BadRequest),
        (401, ErrorKind::Unauthorized),
        (402, ErrorKind::UnexpectedStatus),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (405, ErrorKind::UnexpectedStatus),
        (408, ErrorKind::UnexpectedStatus),
        (409, ErrorKind::Conflict),
        (410, ErrorKind::NotFound),
        (412, ErrorKind::PreconditionFailed),
        (413, ErrorKind::BadRequest),
        (414, ErrorKind::BadRequest),
        (415, ErrorKind::BadRequest),
        (418, ErrorKind::UnexpectedStatus),
        (422, ErrorKind::BadRequest),
        (425, ErrorKind::UnexpectedStatus),
        (429, ErrorKind::RateLimited),
        (431, ErrorKind::BadRequest),
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
        let outcome = if unknown { WriteOutcome::Unknown } else { WriteOutcome::NotApplied };
        assert_eq!(error.outcome(), outcome, "{status}");
    }
}

#[tokio::test]
async fn error_bodies_of_every_format_keep_the_kind_of_their_status() {
    let bodies: [(&[u8], Option<&str>); 18] = [
        (b"", None),
        (br#""the tenant is gone""#, Some("the tenant is gone")),
        (b"42", None),
        // Cut off inside a character.
        (b"closed: al fin\xc3", Some("closed: al fin")),
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
async fn the_message_of_an_error_is_read_whatever_the_other_fields() {
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
