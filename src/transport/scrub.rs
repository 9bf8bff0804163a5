use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::read::BrokenOff;
use crate::auth::{Secret, Signature};
use crate::error::Error;
use crate::request::Answer;

/// What must not be shown of a call: a server may send it back.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    texts: Vec<Secret>,
}

/// What JavaScript's `encodeURIComponent` leaves as it is.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Fewer bytes than these tell nothing of a secret that begins with them.
const BEGUN: usize = 4;

/// A server's sentence longer than this is cut.
const LONGEST: usize = 2_000;

/// A secret shorter than this is taken out where it stands as a word alone: its letters stand in others by chance.
const SHORT: usize = 5;

impl Secrets {
    /// Every header that signing added or changed, every other one that is marked as a secret, and what the signature
    /// names beyond. Marks those headers, so that nothing below prints them either.
    pub(super) fn of(
        unsigned: &http::Request<Bytes>,
        signed: &mut http::Request<Bytes>,
        signature: &Signature,
    ) -> Self {
        let mut texts = signature.hidden().to_vec();
        for (name, value) in signed.headers_mut() {
            if unsigned.headers().get(name) == Some(value) && !value.is_sensitive() {
                continue;
            }
            value.set_sensitive(true);
            let text = Secret::from(String::from_utf8_lossy(value.as_bytes()).into_owned());
            // What stands behind a scheme is the secret, whoever wrote the scheme.
            if let Some((_, token)) = text.expose().split_once(' ') {
                texts.push(Secret::from(token.trim()));
            }
            texts.push(text);
        }
        texts.retain(|it| !it.expose().is_empty());
        Self { texts }
    }

    /// What the requests were signed with; empty if with nothing.
    pub(super) fn sent(&self) -> &[Secret] {
        &self.texts
    }

    /// Those of another attempt as well.
    pub(super) fn add(&mut self, others: Self) {
        let new = others.texts.into_iter().filter(|new| self.texts.iter().all(|it| it.expose() != new.expose()));
        let new: Vec<_> = new.collect();
        self.texts.extend(new);
    }

    /// Each of them in every form in which a server may send it back, the longest first: what is left of "Bearer abc" once
    /// "abc" is gone would be no match. Without those that are longer than `longest`, which no form of them is shorter than.
    fn forms(&self, longest: usize) -> Vec<Secret> {
        let mut forms: Vec<Secret> = Vec::new();
        for text in self.texts.iter().map(Secret::expose).filter(|it| it.len() <= longest) {
            let written = |text: &str| {
                let quoted = serde_json::to_string(text).unwrap_or_default();
                Zeroizing::new(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned())
            };
            let (once, html) = (written(text), html(text));
            let others = [
                utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
                utf8_percent_encode(text, COMPONENT).to_string(),
                form_urlencoded::byte_serialize(text.as_bytes()).collect(),
                html.replace('\'', "&#39;"),
                html.replace('\'', "&#x27;"),
                written(&once).to_string(),
                once.replace('/', "\\/"),
                once.to_string(),
                text.to_owned(),
            ];
            for other in others.map(Secret::from) {
                if forms.iter().all(|it| it.expose() != other.expose()) {
                    forms.push(other);
                }
            }
        }
        forms.sort_by_key(|it| std::cmp::Reverse(it.expose().len()));
        forms
    }

    /// The answer, without the beginning of one of them at the end of a body that breaks off: the rest would be needed to
    /// tell it.
    pub(super) fn complete(&self, mut answer: Answer) -> Answer {
        if answer.extensions().get::<BrokenOff>().is_none() {
            return answer;
        }
        let body = answer.body();
        let begun = |secret: &str| {
            let longest = secret.len().min(body.len());
            (BEGUN..=longest)
                .rev()
                .find(|length| body[body.len() - length..].eq_ignore_ascii_case(&secret.as_bytes()[..*length]))
        };
        let cut = self.forms(usize::MAX).iter().filter_map(|it| begun(it.expose())).max().unwrap_or_default();
        let kept = answer.body().slice(..answer.body().len() - cut);
        *answer.body_mut() = kept;
        answer
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
        if self.forms(beneath.len()).iter().any(|secret| replace(&beneath, secret.expose()).is_some()) {
            return error.with_source("the cause isn't shown, as it holds credentials");
        }
        error
    }

    /// A server's words without any of them, and cut to a bearable length.
    pub(super) fn clean(&self, text: String) -> String {
        let forms = self.forms(text.len());
        let mut text = forms.iter().fold(Zeroizing::new(text), |text, secret| {
            Zeroizing::new(replace(&text, secret.expose()).unwrap_or_else(|| text.to_string()))
        });
        if text.contains(is_odd) {
            text = Zeroizing::new(text.replace(is_odd, " "));
        }
        if let Some((cut, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(cut);
            text.push('…');
        }
        std::mem::take(&mut *text)
    }
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The text with `[redacted]` where the secret stands in it, in letters of either case. `None` if it doesn't.
fn replace(text: &str, secret: &str) -> Option<String> {
    let (lower, word) = (text.to_ascii_lowercase(), secret.to_ascii_lowercase());
    let mut out = None;
    let mut rest = 0;
    for (at, _) in lower.match_indices(&word) {
        let neighbours = [text[..at].chars().next_back(), text[at + word.len()..].chars().next()];
        if secret.len() < SHORT && neighbours.into_iter().flatten().any(char::is_alphanumeric) {
            continue;
        }
        let out: &mut String = out.get_or_insert_default();
        out.push_str(&text[rest..at]);
        out.push_str("[redacted]");
        rest = at + word.len();
    }
    let mut out = out?;
    out.push_str(&text[rest..]);
    Some(out)
}

/// Characters that do something to a terminal or to the order of a text, and show nothing.
fn is_odd(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
