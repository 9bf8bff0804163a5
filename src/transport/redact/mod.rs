//! Credentials out of what a server says: the rule is in the docs of [`auth`](crate::auth).

mod decoded;
mod derive;
mod needles;
pub(super) mod proxy;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, DATE, HOST, PROXY_AUTHORIZATION};
use http::{HeaderName, Uri};
use url::form_urlencoded;

pub(super) use decoded::lenient;
use needles::Needles;

use super::read::BrokenOff;
use crate::auth::{Secret, Signature};
use crate::error::Error;
use crate::headers;
use crate::request::Answer;

/// A server's sentence longer than this is cut.
const LONGEST: usize = 2_000;

/// How many of the credentials used last a client remembers: a token source may name the one that was refused before.
const RECENT: usize = 32;

/// Stands where a server's message can't.
pub(crate) const WITHHELD: &str = "[withheld: contains part of a credential]";

/// What a request is signed with, wherever in it that stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    list: Vec<Credential>,
}

#[derive(Clone, Debug)]
struct Credential {
    text: Secret,
    /// Whether it's the value of `Authorization`, which begins with a scheme.
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

impl Credentials {
    /// Every header and every part of the URL that signing added or changed, every other one that is marked as secret or
    /// is by its name, and what the signature names beyond. Marks those headers, so that nothing below prints them either.
    pub(super) fn of(
        unsigned: &http::Request<Bytes>,
        signed: &mut http::Request<Bytes>,
        signature: &Signature,
    ) -> Self {
        let mut list: Vec<_> = signature.hidden().iter().cloned().map(Credential::new).collect();
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

    /// Whether requests go out unsigned.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether any of them begins like this, or what follows its scheme does.
    pub(super) fn begin_with(&self, start: &str) -> bool {
        self.list.iter().map(|it| it.text.expose()).any(|it| {
            it.starts_with(start) || it.split_once(' ').is_some_and(|(_, token)| token.trim().starts_with(start))
        })
    }

    /// Those of another attempt as well.
    pub(super) fn add(&mut self, others: Self) {
        for new in others.list {
            if !self.list.iter().any(|it| it.is(&new)) {
                self.list.push(new);
            }
        }
    }
}

/// What a signature is made of beside the secret: times, mostly, which stand in messages too.
fn is_public(name: &HeaderName) -> bool {
    let last = name.as_str().rsplit('-').next().unwrap_or_default();
    [DATE, HOST].contains(name) || matches!(last, "date" | "time" | "timestamp" | "algorithm")
}

/// Values of a query, and segments of a path, that aren't in the unsigned URL or are secret by their name.
fn in_url(unsigned: &Uri, signed: &Uri) -> Vec<String> {
    let query = |uri: &Uri| -> Vec<_> {
        form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
    };
    if unsigned.query().is_none() && unsigned == signed {
        return Vec::new();
    }
    let before = query(unsigned);
    let secret = |it: &(String, String)| headers::is_telling(&it.0.to_ascii_lowercase()) || !before.contains(it);
    let mut found: Vec<_> = query(signed).into_iter().filter(secret).map(|it| it.1).collect();
    let before: Vec<_> = unsigned.path().split('/').collect();
    found.extend(signed.path().split('/').filter(|it| !before.contains(it)).map(str::to_owned));
    // A version, a switch or a number beside the secret.
    found.retain(|it| it.chars().count() >= 4);
    found
}

/// What a client knows of its credentials. All its clones share it.
pub(super) struct Redactor {
    /// What no request shows: the passwords of the environment's proxies, and what the client is built with.
    fixed: Vec<Credential>,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    /// The one used last is the last.
    list: Vec<Credential>,
    filter: Option<Arc<Filter>>,
}

impl Redactor {
    pub(super) fn new(secrets: &[Secret]) -> Self {
        let fixed = secrets.iter().cloned().chain(proxy::of_environment()).map(Credential::new).collect();
        Self { fixed, recent: Mutex::default() }
    }

    /// Remembers what an attempt is signed with.
    pub(super) fn remember(&self, credentials: &Credentials) {
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

    /// What looks for these, for those that were used last, and for what is known beside.
    pub(super) fn look_for(self: &Arc<Self>, credentials: &Arc<Credentials>) -> Secrets {
        Secrets { redactor: Arc::clone(self), credentials: Arc::clone(credentials), filter: OnceLock::new() }
    }

    fn filter(&self, credentials: &Credentials) -> Arc<Filter> {
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

/// Secrets made ready to be looked for.
struct Filter {
    needles: Needles,
}

impl Filter {
    fn of<'a>(credentials: impl Iterator<Item = &'a Credential>) -> Self {
        let parts: Vec<_> = credentials.flat_map(|it| derive::parts(it.text.expose(), it.in_authorization)).collect();
        Self { needles: Needles::of(&parts) }
    }
}

/// Lets a server's words pass, or withholds them. Made ready when there are any.
#[derive(Clone)]
pub(super) struct Secrets {
    redactor: Arc<Redactor>,
    credentials: Arc<Credentials>,
    filter: OnceLock<Arc<Filter>>,
}

impl Secrets {
    fn needles(&self) -> &Needles {
        &self.filter.get_or_init(|| self.redactor.filter(&self.credentials)).needles
    }

    /// A server's words if no credential shows in them, cut to a bearable length and without what only a terminal sees.
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

    /// The error without any of them in the server's words, and in those of whatever is beneath.
    pub(super) fn scrub(&self, error: Error) -> Error {
        let error = error.map_text(|text| self.clean(text));
        let mut beneath = String::new();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            beneath.push_str(&format!("{error} {error:?} "));
            source = error.source();
        }
        // What it's of isn't known: all of it goes.
        if self.needles().show_in(&beneath) {
            return error.with_source("the cause is withheld: it contains part of a credential");
        }
        error
    }

    /// The response, without the beginning of a credential at the end of a body that breaks off: the rest would be needed
    /// to tell it. What stands behind bytes that are no text is cut off for some, too.
    pub(super) fn complete(&self, mut answer: Answer) -> Answer {
        if answer.status().is_success() {
            return answer;
        }
        let body = answer.body();
        let broken = std::str::from_utf8(body).is_err_and(|it| it.error_len().is_none());
        if !broken && answer.extensions().get::<BrokenOff>().is_none() {
            return answer;
        }
        let from = body.iter().rposition(u8::is_ascii_whitespace).map_or(0, |it| it + 1);
        if self.needles().begin_with(&lenient(&body[from..])) {
            let kept = body.slice(..from);
            *answer.body_mut() = kept;
        }
        answer
    }
}

/// Characters that do something to a terminal or to the order of a text, and show nothing.
fn is_odd(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
