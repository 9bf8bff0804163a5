//! What isn't written to a recording, and what it is replaced by.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use url::form_urlencoded;

use crate::testing::recording::json::{self, Place, Secrecy};
use crate::testing::recording::{Exchange, SCRUBBED};
use crate::transport::headers::is_telling;
use crate::transport::redact::CredentialSearch;

/// The headers of responses that are written.
const HEADERS: [&str; 11] = [
    "content-type",
    "date",
    "etag",
    "last-modified",
    "retry-after",
    "ratelimit",
    "ratelimit-limit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-remaining",
];

/// A field whose name has one of these words usually holds a secret.
const WORDS: [&str; 29] = [
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "csrf",
    "hmac",
    "jwt",
    "otp",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "pat",
    "pin",
    "pwd",
    "saml",
    "secret",
    "secrets",
    "session",
    "sessionid",
    "sid",
    "sig",
    "signature",
    "token",
    "tokens",
];

/// Also a number in such a field is a secret.
const NUMBERS: [&str; 6] = ["otp", "passphrase", "passwd", "password", "pin", "pwd"];

type Change = Arc<dyn Fn(&mut Exchange) + Send + Sync>;

/// The user's rules, and those that always apply.
#[derive(Clone, Default)]
pub(super) struct Rules {
    headers: BTreeSet<String>,
    fields: BTreeSet<String>,
    kept: BTreeSet<String>,
    changes: Vec<Change>,
}

impl Rules {
    pub(super) fn keep_header(&mut self, name: &str) {
        self.headers.insert(name.to_ascii_lowercase());
    }

    pub(super) fn scrub_field(&mut self, name: &str) {
        self.fields.insert(name.to_lowercase());
    }

    pub(super) fn keep_field(&mut self, name: &str) {
        self.kept.insert(name.to_lowercase());
    }

    pub(super) fn scrub_with(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// The headers of a response that may be written.
    pub(super) fn kept(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let is_kept = |name: &str| {
            let is_cookie = name.contains("cookie");
            !is_cookie && (HEADERS.contains(&name) || self.headers.contains(name))
        };
        let kept = headers.iter().filter(|(name, _)| is_kept(name.as_str()));
        kept.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect()
    }

    /// Whether what would be written contains a part of a credential.
    pub(super) fn shows_credential(exchange: &Exchange, search: &CredentialSearch) -> bool {
        let shows = |text: &str| text != SCRUBBED && search.finds_in(text);
        let bodies = [&exchange.request_body, &exchange.body];
        exchange.target.split(['/', '?', '&', '=']).any(shows)
            || exchange.headers.iter().any(|(name, value)| shows(name) || shows(value))
            || bodies.into_iter().any(|it| json::any(it, &shows))
    }

    /// What the name of a field says about the values in it and beneath it.
    fn secrecy(&self, name: &str) -> Secrecy {
        let lower = name.to_lowercase();
        if self.fields.contains(&lower) {
            return Secrecy::Named;
        }
        if self.kept.contains(&lower) {
            return Secrecy::None;
        }
        let words = words(name);
        let has = |list: &[&str]| words.iter().any(|it| list.contains(&it.as_str()));
        // A field `key` alone is half of a pair, as often as not.
        let is_key = words.len() > 1 && words.last().is_some_and(|it| it == "key" || it == "keys");
        match () {
            () if words.iter().any(|it| it.starts_with("idempot")) => Secrecy::None,
            () if has(&NUMBERS) => Secrecy::Named,
            () if has(&WORDS) || is_key => Secrecy::Text,
            () => Secrecy::None,
        }
    }
}

/// The words of a name, in lower case: those of `apiKey`, `api_key` and `x-api-key`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for it in name.chars() {
        let starts = it.is_uppercase() && !before.is_uppercase();
        if let Some(last) = words.last_mut().filter(|_| it.is_alphanumeric() && !starts) {
            last.extend(it.to_lowercase());
        } else {
            words.push(it.to_lowercase().filter(|it| it.is_alphanumeric()).collect());
        }
        before = it;
    }
    words.retain(|it| !it.is_empty());
    words
}

/// Whether a value has the form of a secret, whatever its field: a header's value, a JSON Web Token, a private key.
fn looks_secret(value: &str) -> bool {
    let scheme = value.split_once(' ').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest.trim()));
    let is_scheme = scheme.is_some_and(|(scheme, rest)| {
        matches!(scheme.as_str(), "bearer" | "basic") && rest.len() >= 6 && !rest.contains(' ')
    });
    let is_token = value.starts_with("eyJ") && value.split('.').count() >= 3 && !value.contains(' ');
    is_scheme || is_token || value.contains("PRIVATE KEY-----")
}

/// Replaces what mustn't be written, and counts it.
pub(super) struct Scrubber<'a> {
    rules: &'a Rules,
    search: &'a CredentialSearch,
    scrubbed: usize,
}

impl<'a> Scrubber<'a> {
    pub(super) fn new(rules: &'a Rules, search: &'a CredentialSearch) -> Self {
        Self { rules, search, scrubbed: 0 }
    }

    pub(super) fn scrubbed(&self) -> usize {
        self.scrubbed
    }

    pub(super) fn scrub(&mut self, mut exchange: Exchange) -> Exchange {
        exchange.target = self.target(&exchange.target);
        exchange.request_body = self.body(&exchange.request_body, true);
        exchange.body = self.body(&exchange.body, false);
        let before = exchange.headers.len();
        exchange.headers.retain(|(_, value)| !self.search.finds_in(value) && !looks_secret(value));
        self.scrubbed += before - exchange.headers.len();
        for change in &self.rules.changes {
            change(&mut exchange);
        }
        exchange
    }

    fn target(&mut self, target: &str) -> String {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let segments: Vec<_> = path.split('/').map(|it| self.text(it)).collect();
        let mut cleaned = segments.join("/");
        if let Some(query) = query {
            let pairs: Vec<_> = query.split('&').map(|it| self.parameter(it)).collect();
            cleaned.push('?');
            cleaned.push_str(&pairs.join("&"));
        }
        cleaned
    }

    /// A part of a URL.
    fn text(&mut self, encoded: &str) -> String {
        if encoded.is_empty() || !self.search.finds_in(encoded) {
            return encoded.to_owned();
        }
        self.scrubbed += 1;
        SCRUBBED.to_owned()
    }

    fn parameter(&mut self, pair: &str) -> String {
        let Some((name, value)) = pair.split_once('=') else { return self.text(pair) };
        let decoded = form_urlencoded::parse(pair.as_bytes()).next();
        let (plain, held) = decoded.map(|(name, value)| (name.to_lowercase(), value.into_owned())).unwrap_or_default();
        let is_secret = is_telling(&plain) || self.rules.fields.contains(&plain) || looks_secret(&held);
        if is_secret && !value.is_empty() && !self.rules.kept.contains(&plain) {
            self.scrubbed += 1;
            return format!("{}={SCRUBBED}", self.text(name));
        }
        format!("{}={}", self.text(name), self.text(value))
    }

    fn body(&mut self, body: &Bytes, in_request: bool) -> Bytes {
        let Ok(text) = std::str::from_utf8(body) else { return body.clone() };
        let (rules, search) = (self.rules, self.search);
        let cleaned = json::rewrite(
            text,
            |place| match place {
                Place::Name(name) => search.finds_in(name).then(|| json::string(SCRUBBED)),
                Place::Text { value, secrecy } => {
                    let is_time = chrono::DateTime::parse_from_rfc3339(value).is_ok();
                    let by_name = match secrecy {
                        Secrecy::None => false,
                        Secrecy::Text => !is_time,
                        Secrecy::Named => true,
                    };
                    let is_secret = !value.is_empty() && (by_name || looks_secret(value) || search.finds_in(value));
                    is_secret.then(|| json::string(SCRUBBED))
                }
                Place::Number { value, secrecy } => {
                    // A client has to decode a response, so a number stays one.
                    let replaced = || if in_request { json::string(SCRUBBED) } else { "0".to_owned() };
                    (secrecy == Secrecy::Named || search.finds_in(value)).then(replaced)
                }
            },
            |name| rules.secrecy(name),
        );
        match cleaned {
            Some((text, replaced)) => {
                self.scrubbed += replaced;
                Bytes::from(text)
            }
            None if search.finds_in(text) || looks_secret(text) => {
                self.scrubbed += 1;
                Bytes::from_static(SCRUBBED.as_bytes())
            }
            None => body.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_others_by_their_words() {
        let rules = Rules::default();
        let of = |name: &str| rules.secrecy(name);
        for name in
            ["token", "accessToken", "access_token", "x-api-key", "apiKey", "X-Arklow-Auth", "Set-Cookie", "sessionId"]
        {
            assert_eq!(of(name), Secrecy::Text, "{name}");
        }
        for name in ["password", "PIN", "userPassword", "pass_phrase_otp"] {
            assert_eq!(of(name), Secrecy::Named, "{name}");
        }
        for name in ["author", "key", "keyword", "monkey", "idempotencyKey", "spin", "status", "", "compass", "path"] {
            assert_eq!(of(name), Secrecy::None, "{name}");
        }
    }
}
