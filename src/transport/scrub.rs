use bytes::Bytes;
use zeroize::Zeroizing;

use crate::auth::{Secret, Signature};
use crate::error::Error;

/// What must not be shown of one attempt: a server may send it back.
pub(super) struct Secrets {
    texts: Vec<Secret>,
}

/// A server's sentence longer than this is cut.
const LONGEST: usize = 2_000;

/// A secret shorter than this is taken out where it stands as a word alone: its letters stand in others by chance.
const SHORT: usize = 5;

impl Secrets {
    /// Every header that signing added or changed, and what the signature names beyond. Marks those headers, so that
    /// nothing below prints them either.
    pub(super) fn of(
        unsigned: &http::Request<Bytes>,
        signed: &mut http::Request<Bytes>,
        signature: &Signature,
    ) -> Self {
        let mut texts = signature.hidden().to_vec();
        for (name, value) in signed.headers_mut() {
            if unsigned.headers().get(name) == Some(value) {
                continue;
            }
            value.set_sensitive(true);
            texts.push(Secret::from(String::from_utf8_lossy(value.as_bytes()).into_owned()));
        }
        texts.retain(|it| !it.expose().is_empty());
        // The longest first: what is left of "Bearer abc" once "abc" is gone would be no match.
        texts.sort_by_key(|it| std::cmp::Reverse(it.expose().len()));
        Self { texts }
    }

    /// The error without any of them in the server's words, which are cut to a bearable length besides.
    pub(super) fn scrub(&self, error: Error) -> Error {
        error.map_text(|text| {
            let mut text = self.texts.iter().fold(Zeroizing::new(text), |text, secret| match secret.expose() {
                secret if !text.contains(secret) => text,
                secret if secret.len() < SHORT => Zeroizing::new(replace_words(&text, secret)),
                secret => Zeroizing::new(text.replace(secret, "[redacted]")),
            });
            if text.contains(is_odd) {
                text = Zeroizing::new(text.replace(is_odd, " "));
            }
            if let Some((cut, _)) = text.char_indices().nth(LONGEST) {
                text.truncate(cut);
                text.push('…');
            }
            std::mem::take(&mut *text)
        })
    }
}

fn replace_words(text: &str, word: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = 0;
    for (at, _) in text.match_indices(word) {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        if [before, after].into_iter().flatten().any(char::is_alphanumeric) {
            continue;
        }
        out.push_str(&text[rest..at]);
        out.push_str("[redacted]");
        rest = at + word.len();
    }
    out.push_str(&text[rest..]);
    out
}

/// Characters that do something to a terminal or to the order of a text, and show nothing.
fn is_odd(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
