//! Servers that echo the credentials of the request: no error shows them.

use actionlog::UnleashClient;
use actionlog::auth;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::bad_input::EMPTY;
use crate::support::{all_shown, client, first_error, first_page, json as json_response, received, serve, unsigned};

/// What a server could echo of a request's credentials: the header, the part behind its scheme, and that part decoded
/// from base64.
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

/// Responses that echo everything, in each part that an error shows.
fn echoing_responses(echo: &str) -> Vec<ResponseTemplate> {
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
        json_response(json!({ "actionSetEvents": { echo: 1 } }).to_string()),
        json_response(json!({ echo: [echo] }).to_string()),
        json_response(format!("{{{echo}")),
        ResponseTemplate::new(200).set_body_raw(format!("<p>{echo}</p>"), "text/html"),
    ]
}

#[tokio::test]
async fn credentials_that_a_server_echoes_are_shown_nowhere() {
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
                    Ok(auth::Credentials::new())
                });
                unsigned(url).authenticator(signer).build().unwrap()
            })
        }),
    ];
    let mut leaks = Vec::new();
    for (name, signer) in signers {
        // A first request shows what can be echoed.
        let server = serve(ResponseTemplate::new(404)).await;
        let mut shown = all_shown(&first_error(&signer()(server.uri())).await);
        let request = &received(&server).await[0];
        let echoes = echoes(request);
        assert!(echoes.iter().any(|it| it.contains("hunter2")), "{echoes:?}");
        for echo in &echoes {
            for response in echoing_responses(echo) {
                let what = format!("{response:?}");
                let server = serve(response).await;
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
async fn the_rest_of_an_error_body_with_credentials_is_still_shown() {
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
async fn a_token_that_is_cut_by_the_body_limit_is_not_shown_in_part() {
    let token = "user:0123456789abcdef0123456789abcdef";
    let server = serve(ResponseTemplate::new(401).set_body_string(format!("{token} is not known"))).await;
    for cap in [10, 20, 36] {
        let client = unsigned(server.uri()).api_key(token).max_body_bytes(cap).build().unwrap();
        let shown = all_shown(&first_error(&client).await);
        assert!(!shown.contains("user:01234"), "with a cap of {cap}: {shown}");
    }
}

#[tokio::test]
async fn a_token_with_unusual_characters_is_not_shown_in_the_target_of_a_redirect() {
    let token = r#"user:"secret|{part}^"#;
    for location in [format!("https://sso.example.com/{token}"), format!("/login/{token}")] {
        let server = serve(ResponseTemplate::new(302).insert_header("location", &*location)).await;
        let client = unsigned(server.uri()).api_key(token).build().unwrap();
        let shown = all_shown(&first_error(&client).await);
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[tokio::test]
async fn a_token_in_a_lower_case_encoding_is_not_shown() {
    let token = "user:SECRET-PART";
    let server = serve(json_response(EMPTY).insert_header("content-encoding", token)).await;
    let client = unsigned(server.uri()).api_key(token).build().unwrap();
    let shown = all_shown(&first_error(&client).await);
    assert!(!shown.to_lowercase().contains("secret-part"), "{shown}");
}

#[tokio::test]
async fn a_non_ascii_header_of_a_custom_authenticator_is_not_shown() {
    let token = "hunter2-\u{e9}";
    let server = serve(ResponseTemplate::new(401).set_body_json(json!({ "message": token }))).await;
    let signer = auth::sign_with(move |request| {
        let value = http::HeaderValue::from_bytes(token.as_bytes()).map_err(auth::AuthError::new)?;
        request.headers_mut().insert("x-key", value);
        Ok(auth::Credentials::new())
    });
    let client = unsigned(server.uri()).authenticator(signer).build().unwrap();
    let shown = all_shown(&first_error(&client).await);
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_token_with_its_scheme_or_in_another_letter_case_is_not_shown() {
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
