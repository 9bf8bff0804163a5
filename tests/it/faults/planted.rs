//! Credentials in each form in which servers have been seen to echo them, in every fault.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::auth::{self, AuthError, Credentials, Token, TokenCache, TokenSource};
use actionlog::{Error, RetryPolicy};
use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use futures_util::StreamExt as _;

use super::row::{Calls, Row};
use super::{Builder, SECRET, drive, table};
use crate::support::all_shown;

/// A placeholder for a letter that is one byte in Latin-1. The credential follows it.
const NARROW: &str = "p\u{7f}sswort-20417";

tokio::task_local! {
    static SAID: String;
}

/// What a server sends wherever it can send text.
pub(super) fn said() -> String {
    SAID.try_with(Clone::clone).unwrap_or_else(|_| SECRET.to_owned())
}

/// The same for the call in a separate task.
pub(super) fn kept<F: Future>(future: F) -> impl Future<Output = F::Output> {
    SAID.scope(said(), future)
}

/// Encodes in Latin-1 what is to be in Latin-1.
pub(super) fn narrow(mut bytes: Vec<u8>) -> Vec<u8> {
    if said().contains('\u{7f}') {
        let places: Vec<_> = bytes.windows(2).enumerate().filter(|it| it.1 == b"p\x7f").map(|it| it.0 + 1).collect();
        places.into_iter().for_each(|at| bytes[at] = 0xe4);
        bytes.iter_mut().filter(|it| **it == 0x7f).for_each(|it| *it = 0xff);
    }
    bytes
}

/// A credential, and the form in which servers echo it.
struct Plant {
    name: &'static str,
    configure: fn(Builder) -> Builder,
    said: String,
    /// Nothing of this is shown, nor of its upper-case form.
    mark: &'static str,
}

fn plants() -> Vec<Plant> {
    let plant = |name, configure, said: &str, mark| Plant { name, configure, said: said.to_owned(), mark };
    let key: fn(Builder) -> Builder = |it| it.api_key("K3y+20417&se/cret.part");
    vec![
        plant("the password of Basic", basic, "s3cr3t-pass-20417", "s3cr3t-pass"),
        plant("half of the password of Basic", basic, "s3cr3t-pa", "s3cr3t"),
        plant(
            "the token of `Token token=`",
            |it| it.authenticator(auth::raw("Token token=\"tk-20417-abcdef\"")),
            "tk-20417-abcdef",
            "20417-abc",
        ),
        plant("half of id:secret", |it| it.api_key("id-20417:s3cr3t-0f-it"), "s3cr3t-0f-it", "s3cr3t-0f"),
        plant("half of a token of Unleash", unleash, "98b5af0c4e5a6b7c8d9e", "98b5af0c4e"),
        plant("a part of a token of Unleash", unleash, "0c4e5a6b", "0c4e5a6b"),
        plant("a token cut at a byte that is no text", unleash, "98b5af0c4e5a\u{7f}", "98b5af0c"),
        plant("a key in base64", key, &BASE64.encode("K3y+20417&se/cret.part"), "zIwNDE3JnN"),
        plant("a key in base64, behind a name", key, &BASE64.encode("a:K3y+20417&se/cret.part"), "krMjA0MTcmc2"),
        plant("a key in hexadecimal digits", key, "4b33792b3230343137267365", "4b33792b"),
        plant("a doubly percent-encoded key", key, "K3y%252B20417%2526se%252Fcret.part", "20417%2526"),
        plant("a key with `&#34;` and the like", key, "K3y&#43;20417&#38;se&#x2F;cret.part", "20417&#38;"),
        plant("a key with `\\u0026`", key, r"K3y\u002b20417\u0026se\u002fcret.part", "20417"),
        plant("a key with `\\u0026`, as JSON within JSON", key, r"K3y\\u002b20417\\u0026se\\u002fcret.part", "20417"),
        plant("a password in Latin-1", latin1, NARROW, "sswort-20417"),
        plant("a key in the query", in_query, "qk-20417-abcdef", "20417-abc"),
        plant("the proxy's password", |it| it.redact("p0xy-passw0rd"), "p0xy-passw0rd", "p0xy-pass"),
        plant("x-session", |it| it.header("x-session", "v4lue-20417"), "v4lue-20417", "v4lue"),
        plant("x-jwt", |it| it.header("x-jwt", "v4lue-20417"), "v4lue-20417", "v4lue"),
        plant("x-pwd", |it| it.header("x-pwd", "v4lue-20417"), "v4lue-20417", "v4lue"),
        plant("x-api-pass", |it| it.header("x-api-pass", "v4lue-20417"), "v4lue-20417", "v4lue"),
        plant("x-access", |it| it.header("x-access", "v4lue-20417"), "v4lue-20417", "v4lue"),
        plant(
            "the token refused before",
            |it| it.authenticator(TokenCache::new(Talkative::default())),
            "no",
            "tk-20417",
        ),
    ]
}

fn basic(builder: Builder) -> Builder {
    builder.authenticator(auth::raw(format!("Basic {}", BASE64.encode("ann:s3cr3t-pass-20417"))))
}

fn latin1(builder: Builder) -> Builder {
    builder.authenticator(auth::raw(format!("Basic {}", BASE64.encode(b"ann:p\xe4sswort-20417"))))
}

fn unleash(builder: Builder) -> Builder {
    builder.api_key("web-shop:production.98b5af0c4e5a6b7c8d9e")
}

fn in_query(builder: Builder) -> Builder {
    builder.authenticator(auth::sign_with(|request| {
        let sign = if request.uri().query().is_some() { '&' } else { '?' };
        let uri = format!("{}{sign}k=qk-20417-abcdef", request.uri());
        *request.uri_mut() = uri.parse().map_err(AuthError::new)?;
        Ok(Credentials::new())
    }))
}

/// Returns a token once, and later errors that contain it.
#[derive(Debug, Default)]
struct Talkative(Mutex<bool>);

#[async_trait]
impl TokenSource for Talkative {
    async fn fetch(&self) -> Result<Token, AuthError> {
        if std::mem::replace(&mut *self.0.lock().unwrap(), true) {
            return Err(AuthError::transient("tk-20417-abcdef is spent: dGstMjA0MTctYWJjZGVm"));
        }
        Ok(Token::new("tk-20417-abcdef"))
    }
}

/// Runs every row with planted credentials. Returns where they show, and the number of errors.
async fn leaks(number: usize, Plant { name, configure, said, mark }: Plant) -> (Vec<String>, usize) {
    let rows = table::all().into_iter().flat_map(|it| it.rows).collect();
    // Each row runs once with each form, by turns with each call.
    let calls = move |row: usize| vec![[Calls::List, Calls::Stream, Calls::Create][(row + number) % 3]];
    let prepare = move |it: Builder| {
        let it = it.retry(RetryPolicy::never()).attempt_timeout(Duration::from_millis(500));
        configure(it.connect_timeout(Duration::from_millis(500)))
    };
    let seen = Arc::<Mutex<(Vec<String>, usize)>>::default();
    let kept = Arc::clone(&seen);
    let on_error = move |row: &Row, calls: Calls, error: &Error| {
        let mut kept = kept.lock().unwrap();
        kept.1 += 1;
        if all_shown(error).to_lowercase().contains(&mark.to_lowercase()) {
            kept.0.push(format!("{name}, {}, {calls:?}: {error}", row.name));
        }
    };
    SAID.scope(said, drive(rows, calls, prepare, on_error)).await;
    std::mem::take(&mut *seen.lock().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_credential_is_shown_in_any_form_in_any_fault() {
    let runs = plants().into_iter().enumerate().map(|(number, plant)| leaks(number, plant));
    let runs: Vec<_> = futures_util::stream::iter(runs).buffer_unordered(24).collect().await;
    let errors: usize = runs.iter().map(|it| it.1).sum();
    let leaks: Vec<_> = runs.into_iter().flat_map(|it| it.0).collect();
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    assert!(errors > 23 * 80, "{errors} errors were looked at");
}
