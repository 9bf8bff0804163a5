//! Removes credentials from server messages, by the rule in the docs of [`auth`](crate::auth).

mod decoded;
mod derive;
mod needles;
pub(super) mod proxy;
#[cfg(feature = "testing")]
mod seen;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, DATE, HOST, PROXY_AUTHORIZATION};
use http::{HeaderName, Uri};
use url::form_urlencoded;

pub(super) use decoded::lenient;
use needles::Needles;
#[cfg(feature = "testing")]
pub(crate) use seen::{CredentialSearch, SeenCredentials};

use crate::auth::{Credentials, Secret};
use crate::decode::HttpResponse;
use crate::error::Error;
use crate::transport::body::BrokenOff;
use crate::transport::headers;

/// A longer server message is cut.
const LONGEST: usize = 2_000;

/// How many recent credentials a client remembers: a token source's message may contain the token that was rejected
/// before.
const RECENT: usize = 32;

/// Replaces a withheld message.
const WITHHELD: &str = "[withheld: contains part of a credential]";

/// The credentials of a request, in its headers, its URL, or elsewhere.
#[derive(Clone, Debug, Default)]
pub(super) struct SentCredentials {
    list: Vec<Credential>,
}

#[derive(Clone, Debug)]
struct Credential {
    text: Secret,
    /// Whether this is the value of `Authorization` or `Proxy-Authorization`, which begins with a scheme.
    in_authorization: bool,
}

impl Credential {
    fn new(text: impl Into<Secret>) -> Self {
        Self { text: text.into(), in_authorization: false }
    }

    fn is(&self, other: &Self) -> bool {
        self.text.expose() == other.text.expose() && self.in_authorization == other.in_authorization
    }
}

impl SentCredentials {
    /// Collects every header and URL part that authentication added or changed, every other one that is marked as
    /// sensitive or has a secret's name, and the secrets that the authenticator names. Marks these headers as
    /// sensitive, so that the HTTP stack doesn't print them either.
    pub(super) fn of(
        unsigned: &http::Request<Bytes>,
        signed: &mut http::Request<Bytes>,
        credentials: &Credentials,
    ) -> Self {
        let mut list: Vec<_> = credentials.hidden().iter().cloned().map(Credential::new).collect();
        let in_url = in_url(unsigned.uri(), signed.uri());
        list.extend(in_url.into_iter().map(Credential::new));
        for (name, value) in signed.headers_mut() {
            let same = unsigned.headers().get_all(name).iter().any(|it| it == value);
            if !value.is_sensitive() && (same || is_public(name)) {
                continue;
            }
            value.set_sensitive(true);
            let in_authorization = *name == AUTHORIZATION || *name == PROXY_AUTHORIZATION;
            list.push(Credential { text: Secret::from(lenient(value.as_bytes())), in_authorization });
        }
        list.retain(|it| !it.text.expose().trim().is_empty());
        Self { list }
    }

    /// Whether the request is sent without credentials.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether any credential has this prefix, either directly or after its scheme.
    pub(super) fn begin_with(&self, start: &str) -> bool {
        self.list.iter().map(|it| it.text.expose()).any(|it| {
            it.starts_with(start) || it.split_once(' ').is_some_and(|(_, token)| token.trim().starts_with(start))
        })
    }

    /// Adds the credentials of another attempt.
    pub(super) fn add(&mut self, others: Self) {
        for new in others.list {
            if !self.list.iter().any(|it| it.is(&new)) {
                self.list.push(new);
            }
        }
    }
}

/// Whether a header holds a public input of a signature, such as its time. Messages may mention these.
fn is_public(name: &HeaderName) -> bool {
    let last = name.as_str().rsplit('-').next().unwrap_or_default();
    [DATE, HOST].contains(name) || matches!(last, "date" | "time" | "timestamp" | "algorithm")
}

/// Query values and path segments that the unauthenticated URL doesn't have, and query values with a secret's name.
fn in_url(unsigned: &Uri, signed: &Uri) -> Vec<String> {
    // `+` is a blank in a form, and itself to a server that parses queries otherwise: a message may have either.
    let query = |uri: &Uri| -> Vec<_> {
        let text = uri.query().unwrap_or_default();
        let mut pairs: Vec<_> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        if text.contains('+') {
            pairs.extend(form_urlencoded::parse(text.replace('+', "%2B").as_bytes()).into_owned());
        }
        pairs
    };
    if unsigned.query().is_none() && unsigned == signed {
        return Vec::new();
    }
    let before = query(unsigned);
    let secret = |it: &(String, String)| headers::is_telling(&it.0.to_ascii_lowercase()) || !before.contains(it);
    let mut found: Vec<_> = query(signed).into_iter().filter(secret).map(|it| it.1).collect();
    let before: Vec<_> = unsigned.path().split('/').collect();
    found.extend(signed.path().split('/').filter(|it| !before.contains(it)).map(str::to_owned));
    // Shorter values are versions, flags or numbers beside the secret.
    found.retain(|it| it.chars().count() >= 4);
    found
}

/// The credentials that a client knows. Its clones share them.
pub(super) struct Redactor {
    /// Secrets that appear in no request: the passwords of the environment's proxies, and those that the builder names.
    fixed: Vec<Credential>,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    /// Ordered by last use; the most recent one is last.
    list: Vec<Credential>,
    filter: Option<Arc<Filter>>,
}

impl Redactor {
    pub(super) fn new(secrets: &[Secret]) -> Self {
        let fixed = secrets.iter().cloned().chain(proxy::of_environment()).map(Credential::new).collect();
        Self { fixed, recent: Mutex::default() }
    }

    /// Remembers the credentials of an attempt.
    pub(super) fn remember(&self, credentials: &SentCredentials) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        for new in &credentials.list {
            match recent.list.iter().position(|it| it.is(new)) {
                Some(at) => recent.list[at..].rotate_left(1),
                None => {
                    recent.filter = None;
                    if recent.list.len() == RECENT {
                        recent.list.remove(0);
                    }
                    recent.list.push(new.clone());
                }
            }
        }
    }

    /// A filter for these credentials, the recent ones, and the fixed ones.
    pub(super) fn look_for(self: &Arc<Self>, credentials: &Arc<SentCredentials>) -> Secrets {
        Secrets { redactor: Arc::clone(self), credentials: Arc::clone(credentials), filter: OnceLock::new() }
    }

    fn filter(&self, credentials: &SentCredentials) -> Arc<Filter> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut forgotten: Vec<_> = credentials.list.iter().collect();
        forgotten.retain(|own| !recent.list.iter().any(|it| it.is(own)));
        if !forgotten.is_empty() {
            let all = self.fixed.iter().chain(&recent.list).chain(forgotten);
            return Arc::new(Filter::of(all));
        }
        let Recent { list, filter } = &mut *recent;
        Arc::clone(filter.get_or_insert_with(|| Arc::new(Filter::of(self.fixed.iter().chain(list.iter())))))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(..)")
    }
}

/// Secrets prepared for searching.
struct Filter {
    needles: Needles,
}

impl Filter {
    fn of<'a>(credentials: impl Iterator<Item = &'a Credential>) -> Self {
        let parts: Vec<_> = credentials.flat_map(|it| derive::parts(it.text.expose(), it.in_authorization)).collect();
        Self { needles: Needles::of(&parts) }
    }
}

/// Passes or withholds server messages. Prepared lazily, at the first message.
#[derive(Clone)]
pub(super) struct Secrets {
    redactor: Arc<Redactor>,
    credentials: Arc<SentCredentials>,
    filter: OnceLock<Arc<Filter>>,
}

impl Secrets {
    fn needles(&self) -> &Needles {
        &self.filter.get_or_init(|| self.redactor.filter(&self.credentials)).needles
    }

    /// The message, cut to the maximum length and without control characters; or [`WITHHELD`] if it contains a part of
    /// a credential.
    pub(super) fn clean(&self, mut text: String) -> String {
        if let Some((cut, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(cut);
            text.push('…');
        }
        if self.needles().show_in(&text) {
            return WITHHELD.to_owned();
        }
        if text.contains(is_odd) { text.replace(is_odd, " ") } else { text }
    }

    /// Removes the credentials from the error's server messages and from its sources.
    pub(super) fn redact(&self, error: Error) -> Error {
        let error = error.map_text(|text| self.clean(text));
        let mut beneath = String::new();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            beneath.push_str(&format!("{error} {error:?} "));
            source = error.source();
        }
        // Which part of the source contains the credential is unknown, so the whole source is replaced.
        if self.needles().show_in(&beneath) {
            return error.with_source("the cause is withheld: it contains part of a credential");
        }
        error
    }

    /// Removes the start of a credential from the end of an incomplete error body: without the rest, the filter can't
    /// recognize it. A body that ends inside a UTF-8 character counts as incomplete too.
    pub(super) fn complete(&self, mut response: HttpResponse) -> HttpResponse {
        if response.status().is_success() {
            return response;
        }
        let body = response.body();
        let broken = std::str::from_utf8(body).is_err_and(|it| it.error_len().is_none());
        if !broken && response.extensions().get::<BrokenOff>().is_none() {
            return response;
        }
        let from = body.iter().rposition(u8::is_ascii_whitespace).map_or(0, |it| it + 1);
        if self.needles().begin_with(&lenient(&body[from..])) {
            let kept = body.slice(..from);
            *response.body_mut() = kept;
        }
        response
    }
}

/// Characters that control a terminal or the text direction, without being visible.
fn is_odd(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(secrets: &[String]) -> Arc<SentCredentials> {
        Arc::new(SentCredentials { list: secrets.iter().map(|it| Credential::new(it.clone())).collect() })
    }

    fn token(number: usize) -> String {
        format!("q7x2m9k4-{number:04}-w8z3v6b5")
    }

    fn is_shown(redactor: &Arc<Redactor>, sent: &Arc<SentCredentials>, secret: &str) -> bool {
        redactor.look_for(sent).clean(format!("rejected: {secret}")) != WITHHELD
    }

    #[test]
    fn the_last_32_credentials_are_withheld_whatever_was_sent_now() {
        let redactor = Arc::new(Redactor { fixed: Vec::new(), recent: Mutex::default() });
        let other = sent(&["other-secret-1".to_owned()]);
        assert!(is_shown(&redactor, &other, &token(0)));
        redactor.remember(&sent(&[token(0)]));
        assert!(!is_shown(&redactor, &other, &token(0)));
        // The same credentials count once, however often they are sent.
        (0..100).for_each(|_| redactor.remember(&sent(&["same-secret-2".to_owned()])));
        assert!(!is_shown(&redactor, &other, &token(0)));
        // Those that were used last stay.
        (1..=RECENT).for_each(|number| redactor.remember(&sent(&[token(number), token(0)])));
        let list = &redactor.recent.lock().unwrap().list;
        assert_eq!(list.len(), RECENT);
        assert!(
            list.iter().any(|it| *it.text.expose() == token(0)) && !list.iter().any(|it| *it.text.expose() == token(1))
        );
    }

    #[test]
    fn the_credentials_of_a_request_are_withheld_although_others_have_pushed_them_out() {
        let redactor = Arc::new(Redactor { fixed: Vec::new(), recent: Mutex::default() });
        (0..40).for_each(|number| redactor.remember(&sent(&[format!("{number}-other-secret")])));
        let own = sent(&["abcd-ef01-gh23".to_owned()]);
        assert!(!is_shown(&redactor, &own, "abcd-ef01-gh23") && is_shown(&redactor, &sent(&[]), "abcd-ef01-gh23"));
    }

    #[test]
    fn only_the_values_of_authorization_headers_begin_with_a_scheme() {
        let unsigned = http::Request::new(Bytes::new());
        for (name, in_authorization) in
            [("authorization", true), ("proxy-authorization", true), ("x-api-key", false), ("cookie", false)]
        {
            let mut signed = http::Request::builder().header(name, "Custom abc").body(Bytes::new()).unwrap();
            let sent = SentCredentials::of(&unsigned, &mut signed, &Credentials::new());
            let [credential] = &sent.list[..] else { panic!("{name}: {sent:?}") };
            assert_eq!(credential.in_authorization, in_authorization, "{name}");
            assert!(signed.headers()[name].is_sensitive());
        }
    }

    #[test]
    fn added_values_and_segments_of_four_characters_and_more_are_secret() {
        let added = |unsigned: &str, signed: &str| in_url(&unsigned.parse().unwrap(), &signed.parse().unwrap());
        assert_eq!(added("/a/bcde?x=1234", "/a/bcde?x=1234&k=ab12&v=ab1"), ["ab12"]);
        assert_eq!(added("/a", "/a/s3cr/abc"), ["s3cr"]);
        assert_eq!(added("/a?x=1234", "/a?x=1234"), [""; 0]);
        // By its name it is one, whoever set it.
        assert_eq!(added("/a?token=1234", "/a?token=1234"), ["1234"]);
        assert_eq!(added("/a", "/a?k=ab+12"), ["ab 12", "ab+12"]);
    }

    #[test]
    fn characters_that_control_a_terminal_are_replaced() {
        let redactor = Arc::new(Redactor { fixed: Vec::new(), recent: Mutex::default() });
        let clean = |text: &str| redactor.look_for(&sent(&[])).clean(text.to_owned());
        assert_eq!(clean("a\u{1b}[2Jb\u{202e}c\u{feff}d\u{2066}é"), "a [2Jb c d é");
        assert_eq!(clean(&"é".repeat(LONGEST)), "é".repeat(LONGEST));
        assert_eq!(clean(&"é".repeat(LONGEST + 1)), format!("{}…", "é".repeat(LONGEST)));
    }
}
