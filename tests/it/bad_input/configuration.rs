//! Base URLs, credentials, environment variables and proxies: what is refused when the client is built.

use std::process::Command;

use actionlog::auth::{self, Authenticate};
use actionlog::{ErrorKind, UnleashClient, WriteOutcome};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;

use crate::support::{all_shown, builder, client, first_page, listing, serve, unsigned};

#[test]
fn invalid_base_urls_are_rejected_when_the_client_is_built() {
    let cases = [
        ("", "must begin with https://"),
        (" ", "must begin with https://"),
        ("app.example.com", "must begin with https://"),
        ("app.example.com/unleash", "must begin with https://"),
        ("/api", "must begin with https://"),
        ("//app.example.com", "must begin with https://"),
        ("https://", "is invalid"),
        ("https://exa mple.com", "contains whitespace"),
        ("https:///api", "an extra slash"),
        ("https://app.example.com\\@evil.com", "a backslash"),
        ("https://app.exa\nmple.com", "a control character"),
        ("https:app.example.com", "must begin with https://"),
        ("http://any.localhost", "plain http"),
        ("https://app.example.com:99999", "is invalid"),
        ("localhost:4242", "must begin with https://"),
        ("app.example.com:8080", "must begin with https://"),
        ("ftp://app.example.com", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("ws://app.example.com", "must begin with https://"),
        ("mailto:someone@example.com", "must begin with https://"),
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
        assert_eq!((error.attempts(), error.outcome()), (0, WriteOutcome::NotSent));
    }
}

#[cfg(feature = "rustls")]
#[test]
fn https_is_accepted_for_any_host() {
    for url in ["https://app.example.com", "HTTPS://APP.EXAMPLE.COM/unleash/", " https://app.example.com\n"] {
        builder(url).build().unwrap();
    }
}

#[test]
fn plain_http_is_accepted_for_localhost_and_elsewhere_only_by_choice() {
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
fn credentials_in_the_base_url_are_rejected_and_not_shown() {
    let cases = [
        "https://admin:hunter2@app.example.com",
        "https://hunter2@app.example.com",
        "https://:hunter2@app.example.com",
        "http://admin:hunter2@localhost",
        // Not URLs, but as secret: a key in the wrong variable, for example.
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
fn a_client_without_credentials_is_not_built() {
    let error = unsigned("https://app.example.com").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    for way in ["api_key", "bearer", "authenticator", "auth::none()"] {
        assert!(error.to_string().contains(way), "{error}");
    }
}

/// Fails unless building a client with these credentials fails, and nothing that is printed shows `secret`.
fn refuses(auth: impl Authenticate, what: &str, secret: &str) {
    let builder = unsigned("http://localhost").authenticator(auth);
    let before = format!("{builder:?}{builder:#?}");
    let Err(error) = builder.build() else { panic!("a client was built by {what}") };
    assert_eq!(error.kind(), ErrorKind::Configuration, "{what}");
    assert_eq!((error.attempts(), error.outcome(), error.is_transient()), (0, WriteOutcome::NotSent, false));
    let shown = before + &all_shown(&error);
    assert!(secret.is_empty() || !shown.contains(secret), "{what} is shown: {shown}");
    assert!(shown.contains("the key") || shown.contains("the password"), "it says what is wrong: {shown}");
}

#[test]
fn keys_that_no_header_can_hold_are_rejected_when_the_client_is_built_and_not_shown() {
    let keys = [
        ("a line break at the end", "hunter2\n"),
        ("a DOS line break at the end", "hunter2\r\n"),
        ("a line break at the beginning", "\nhunter2"),
        ("a line break inside", "hunter2\nx"),
        ("a custom header", "hunter2\r\nx-admin: 1"),
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
fn non_ascii_keys_are_rejected_when_the_client_is_built_and_not_shown() {
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
fn an_invalid_header_name_is_rejected_when_the_client_is_built() {
    for name in ["", "x key", "x:key", "ключ", "x\nkey"] {
        let client = unsigned("http://localhost").authenticator(auth::header(name, "hunter2"));
        let error = client.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{name:?}");
        assert!(all_shown(&error).contains("the header name is invalid"), "{error:?}");
        assert!(!all_shown(&error).contains("hunter2"), "{error:?}");
    }
}

#[test]
fn the_debug_output_of_a_client_shows_no_key() {
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

/// Runs in a separate process, started by the tests below.
#[test]
#[ignore = "started by other tests, in an environment made for it"]
fn a_process_that_builds_a_client_from_its_environment() {
    match UnleashClient::from_env() {
        Ok(client) => println!("built: {client:?}"),
        Err(error) => println!("failed: {:?}: {}", error.kind(), all_shown(&error)),
    }
}

/// The output of a process that builds a client from this environment only.
fn from_environment(variables: &[(&str, &str)]) -> String {
    let name = "bad_input::configuration::a_process_that_builds_a_client_from_its_environment";
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
fn all_missing_variables_are_named_at_once() {
    let neither = from_environment(&[]);
    assert!(neither.contains("failed: Configuration: environment variables are not set: UNLEASH_URL, UNLEASH_TOKEN"));
    let empty = from_environment(&[("UNLEASH_URL", "http://localhost:4242"), ("UNLEASH_TOKEN", "")]);
    assert!(empty.contains("failed: Configuration: environment variables are not set: UNLEASH_TOKEN\n"), "{empty}");
    let no_url = from_environment(&[("UNLEASH_TOKEN", "hunter2")]);
    assert!(no_url.contains("failed: Configuration: environment variables are not set: UNLEASH_URL\n"), "{no_url}");
    assert!(!no_url.contains("hunter2"), "{no_url}");
}

#[test]
fn invalid_variables_are_errors_and_valid_ones_make_a_client() {
    let good = from_environment(&[("UNLEASH_URL", "http://localhost:4242/x"), ("UNLEASH_TOKEN", "hunter2")]);
    assert!(good.contains("built: ") && good.contains("http://localhost:4242/x"), "{good}");
    let swapped = from_environment(&[("UNLEASH_URL", "user:hunter2"), ("UNLEASH_TOKEN", "http://localhost:4242")]);
    assert!(swapped.contains("failed: Configuration: the base URL"), "{swapped}");
    let from_file = from_environment(&[("UNLEASH_URL", "http://localhost:4242"), ("UNLEASH_TOKEN", "hunter2\n")]);
    assert!(from_file.contains("failed: Configuration: the credentials are invalid"), "{from_file}");
    for said in [good, swapped, from_file] {
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_proxy_that_cannot_be_used_is_rejected_when_the_client_is_built() {
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
    // Requests to localhost use no proxy, so an invalid one doesn't matter.
    let local = [("UNLEASH_URL", "http://localhost:4242"), ("UNLEASH_TOKEN", "hunter2"), ("HTTP_PROXY", "%%")];
    assert!(from_environment(&local).contains("built: "));
}

/// Runs in its own process, started by the test below.
#[tokio::test]
#[ignore = "started by another test, in an environment made for it"]
async fn a_process_that_requests_its_own_server() {
    let server = serve(listing(Vec::new())).await;
    println!("asked: {}", first_page(&client(server.uri())).await.is_ok());
}

#[test]
fn a_server_on_localhost_is_not_requested_through_a_proxy() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "bad_input::configuration::a_process_that_requests_its_own_server",
        "--ignored",
        "--nocapture",
    ]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:9");
    }
    let said = String::from_utf8(command.env_remove("NO_PROXY").output().unwrap().stdout).unwrap();
    assert!(said.contains("asked: true"), "{said}");
}
