//! Random secrets, in all encodings and in part, in every place where a server sends text.

use actionlog::auth::{self, Credentials};
use actionlog::observe::Event;
use actionlog::{ArklowClient, Client, ClientBuilder, Error, RetryPolicy, UnleashClient};
use http::HeaderValue;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::{Says, builder, forms, probe};
use crate::recorder::Recorder;
use crate::support::all_shown;

/// Where the secret is in the request.
const WAYS: usize = 9;

/// Where the server echoes it.
const PLACES: usize = 8;

#[derive(Clone, Debug)]
struct Case {
    way: usize,
    secret: String,
    form: usize,
    from: usize,
    length: usize,
    place: usize,
    cut: Option<usize>,
}

fn cases() -> impl Strategy<Value = Case> {
    let secret = prop_oneof![
        "[0-9a-f]{16,64}",
        "[0-9A-Za-z]{8,40}",
        "[0-9A-Za-z+/]{24,44}",
        "[0-9A-Za-z_-]{20,60}",
        "[!#-:<-\\[\\]-~]{16,40}",
        "[a-z]{5,9}-[a-z]{4,8}[0-9]{2,4}",
    ];
    let part = (0..forms().len(), any::<usize>(), any::<usize>());
    (0..WAYS, secret, part, 0..PLACES, proptest::option::of(any::<usize>())).prop_map(
        |(way, secret, (form, from, length), place, cut)| Case { way, secret, form, from, length, place, cut },
    )
}

fn letters(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_alphanumeric).count()
}

impl Case {
    /// How many letters and digits in a row are withheld, according to the docs.
    fn least(&self) -> usize {
        (letters(&self.secret) / 2 + 1).clamp(5, 8)
    }

    /// The part of the secret that the server echoes: the shortest that is withheld, or a longer one.
    fn part(&self) -> Option<&str> {
        let (all, least) = (letters(&self.secret), self.least());
        let from = self.from % self.secret.len();
        let rest = &self.secret[from..];
        let long_enough = (1..=rest.len()).filter(|it| letters(&rest[..*it]) >= least).collect::<Vec<_>>();
        let to = *long_enough.get(self.length % long_enough.len().max(1))?;
        let part = &rest[..to];
        // One or two repeated characters reveal nothing.
        let varied = |it: &str| {
            let letters = it.bytes().filter(u8::is_ascii_alphanumeric).map(|it| it.to_ascii_lowercase());
            letters.collect::<std::collections::BTreeSet<_>>().len() > 3
        };
        // Commas and the like would begin another parameter of the scheme.
        let fits = self.way != 4 || !self.secret.contains([',', ';']);
        (all >= 8 && varied(part) && fits).then_some(part)
    }

    fn sign<C: Client>(&self, builder: ClientBuilder<C>) -> ClientBuilder<C> {
        let secret = self.secret.clone();
        match self.way {
            0 => builder.api_key(secret),
            1 => builder.bearer(secret),
            2 => builder.authenticator(auth::basic("ann", secret)),
            3 => {
                use base64::Engine as _;
                let coded = base64::prelude::BASE64_STANDARD.encode(format!("ann:{secret}"));
                builder.authenticator(auth::raw(format!("Basic {coded}")))
            }
            4 => builder.authenticator(auth::raw(format!("Token token={secret}"))),
            5 => builder.api_key(format!("web-shop:production.{secret}")),
            6 => builder.authenticator(auth::none()).header("x-session", &*secret),
            7 => builder.authenticator(auth::sign_with(move |request| {
                let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
                let sign = if request.uri().query().is_some() { '&' } else { '?' };
                *request.uri_mut() = format!("{}{sign}k={encoded}", request.uri()).parse().unwrap();
                Ok(Credentials::new())
            })),
            _ => builder.authenticator(auth::sign_with(move |request| {
                request.headers_mut().insert("x-mine", HeaderValue::from_str(&secret).unwrap());
                Ok(Credentials::new())
            })),
        }
    }

    fn says(&self, written: &str) -> Says {
        let said = format!("sorry, no '{written}' in here");
        let json = |it: serde_json::Value| it.to_string();
        let mut says = match self.place {
            0 => Says::new(400, json(serde_json::json!({ "message": said }))),
            1 => Says::new(401, json(serde_json::json!({ "id": written, "name": written, "message": "no" }))),
            2 => Says::new(403, json(serde_json::json!({ "message": "no", "details": ["a", said], "errors": [said] }))),
            3 => Says::new(502, said),
            4 => Says::new(200, json(serde_json::json!({ "success": false, "error": { "message": said } }))),
            5 => Says::new(200, format!("{{\"data\": {}}}", json(serde_json::json!(said)))),
            6 => {
                let mut says = Says::new(404, "");
                says.headers = vec![("x-request-id", written.into())];
                says
            }
            _ => {
                let mut says = Says::new(302, "");
                // The string ends where the path ends.
                let path = written.replace('#', "%23").replace('?', "%3F").replace('\\', "%5C");
                says.headers = vec![("location", format!("/a/{path}/b").into())];
                says
            }
        };
        // Eight characters of an encoding may stand for few of the secret.
        if let Some(cut) = self.cut.filter(|_| self.place == 3 && self.form < 2) {
            // Anywhere behind its eighth character.
            let end = "sorry, no '".len() + 8.min(written.len()) + cut % written.len();
            says.body.truncate(end.min(says.body.len()));
            says.breaks_off = true;
        }
        says
    }
}

/// A run of this number of letters and digits of the secret, if it is shown.
fn leak<'a>(written: &'a str, shown: &str, least: usize) -> Option<&'a str> {
    let shown = shown.to_lowercase();
    let starts = (0..written.len()).filter(|it| written.is_char_boundary(*it));
    let runs = starts.filter_map(|at| {
        let ends = (at..=written.len()).filter(|it| written.is_char_boundary(*it));
        ends.map(|end| &written[at..end]).find(|it| letters(it) >= least)
    });
    runs.into_iter().find(|it| shown.contains(&it.to_lowercase()))
}

async fn fails<C: Client>(
    client: ClientBuilder<C>,
    case: &Case,
    written: &str,
    send: impl AsyncFn(C) -> Error,
) -> String {
    let observed = std::sync::Arc::<std::sync::Mutex<String>>::default();
    let noted = std::sync::Arc::clone(&observed);
    let client = case.sign(client).http_client(case.says(written)).retry(RetryPolicy::never());
    let client = client.observer(move |event: &Event<'_>| noted.lock().unwrap().push_str(&format!("{event:?}")));
    let shown = format!("{client:?}");
    let error = send(client.build().unwrap()).await;
    let observed = observed.lock().unwrap().clone();
    format!("{shown} {} {observed}", all_shown(&error))
}

async fn check(case: &Case) -> Result<(), TestCaseError> {
    let Some(part) = case.part() else { return Err(TestCaseError::reject("too short")) };
    let form = &forms()[case.form];
    let written = form.write(part);
    let recorder = Recorder::default();
    let guard = recorder.listen();
    let failed = || probe().read(|_| Err::<(), _>(actionlog::DecodeError::empty()));
    let mut shown = fails(builder(), case, &written, async |it| it.logs().list(()).page().await.unwrap_err()).await;
    let arklow = ArklowClient::builder("4711").base_url("https://arklow.example.com");
    shown += &fails(arklow, case, &written, async |it| it.send(failed()).await.unwrap_err()).await;
    let unleash = UnleashClient::builder("https://unleash.example.com");
    shown += &fails(unleash, case, &written, async |it| it.send(failed()).await.unwrap_err()).await;
    drop(guard);
    shown += &recorder.text();
    match leak(&written, &shown, case.least()) {
        None => Ok(()),
        Some(leak) => Err(TestCaseError::fail(format!("{leak:?} of {written:?} is shown ({})", form.name))),
    }
}

#[test]
fn no_part_of_any_secret_is_shown_in_any_encoding_anywhere() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let cases_to_try = std::env::var("SECRET_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(400);
    let config =
        Config { cases: cases_to_try, failure_persistence: None, max_global_rejects: 1_000_000, ..Config::default() };
    let mut runner = TestRunner::new(config);
    runner.run(&cases(), |case| runtime.block_on(check(&case))).unwrap();
}

/// The counter-check: what the test would find if nothing were withheld.
#[test]
fn a_secret_that_is_shown_is_found() {
    assert_eq!(leak("0c4e5+a6b7c", "no 0C4E5+A6B7C", 8), Some("0c4e5+a6b"));
    assert_eq!(leak("0c4e5+a6b7c", "no 0c4e5+a6-b7c", 8), None);
}
