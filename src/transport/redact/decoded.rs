//! Decodes the usual encodings of a string, repeatedly.

use zeroize::Zeroizing;

/// The most rounds of decoding. A string that is encoded more often counts as suspicious.
const ROUNDS: usize = 8;

/// A string, and its form after each round of decoding.
pub(super) struct Decoded {
    pub(super) views: Vec<Zeroizing<String>>,
    /// Whether the string decodes further after the last round.
    pub(super) unfinished: bool,
}

impl Decoded {
    pub(super) fn of(text: &str) -> Self {
        let mut views = vec![Zeroizing::new(text.to_owned())];
        for _ in 0..ROUNDS {
            let Some(next) = views.last().and_then(|it| decode(it)) else { return Self { views, unfinished: false } };
            views.push(next);
        }
        let unfinished = views.last().is_some_and(|it| decode(it).is_some());
        Self { views, unfinished }
    }
}

/// Bytes as a string, whatever their charset: UTF-8 where they are valid, and ISO 8859-1 where they aren't.
pub(in crate::transport) fn lenient(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        // Bytes that ISO 8859-1 leaves undefined are often quotation marks of another charset.
        out.extend(chunk.invalid().iter().map(|it| if *it < 0xa0 { '?' } else { char::from(*it) }));
    }
    out
}

/// One round: percent-encoding, HTML's character references, and the escapes of JSON and of most languages. `None` if
/// the string contains none of these.
fn decode(text: &str) -> Option<Zeroizing<String>> {
    if !text.contains(['%', '&', '\\']) {
        return None;
    }
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let (mut rest, mut changed) = (text, false);
    while let Some(at) = rest.find(['%', '&', '\\']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match rest.as_bytes()[0] {
            b'%' => percent(rest, &mut out),
            b'&' => reference(rest, &mut out),
            _ => escape(rest, &mut out),
        };
        changed |= taken.is_some();
        let taken = taken.unwrap_or_else(|| {
            out.push_str(&rest[..1]);
            1
        });
        rest = &rest[taken..];
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// Decodes a sequence of `%2F`, or one `%u002F`. Returns the number of bytes consumed.
fn percent(text: &str, out: &mut String) -> Option<usize> {
    if let Some(code) = text.strip_prefix("%u").and_then(|it| number(it, 16, 4)) {
        out.extend(char::from_u32(code));
        return Some(6);
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let mut rest = text;
    while let Some(byte) = rest.strip_prefix('%').and_then(|it| number(it, 16, 2)) {
        bytes.extend(u8::try_from(byte));
        rest = &rest[3..];
    }
    out.push_str(&lenient(&bytes));
    (!bytes.is_empty()).then_some(text.len() - rest.len())
}

/// Decodes `&#47;`, `&#x2f;` or `&sol;`.
fn reference(text: &str, out: &mut String) -> Option<usize> {
    let end = |length: usize| length + usize::from(text[length..].starts_with(';'));
    if let Some(code) = text.strip_prefix("&#") {
        let (code, base, before) = match code.strip_prefix(['x', 'X']) {
            Some(code) => (code, 16, 3),
            None => (code, 10, 2),
        };
        let digits = code.bytes().take(8).take_while(|it| char::from(*it).is_digit(base)).count();
        out.extend(char::from_u32(number(code, base, digits)?));
        return Some(end(before + digits));
    }
    let name = text[1..].bytes().take(12).take_while(u8::is_ascii_alphanumeric).count();
    if name == 0 || !text[1 + name..].starts_with(';') {
        return None;
    }
    // Any other name denotes punctuation or a non-ASCII letter, which the search ignores.
    let known = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\'')];
    out.extend(known.iter().find(|it| it.0 == &text[1..=name]).map(|it| it.1));
    Some(name + 2)
}

/// Decodes `\u002f`, `\u{2f}`, `\x2f`, `\n`, `\/`.
fn escape(text: &str, out: &mut String) -> Option<usize> {
    let behind = &text[1..];
    let next = behind.chars().next()?;
    let (code, taken) = match next {
        'u' if behind[1..].starts_with('{') => {
            let digits = behind[2..].bytes().take(8).take_while(u8::is_ascii_hexdigit).count();
            (number(&behind[2..], 16, digits), 3 + digits + usize::from(behind[2 + digits..].starts_with('}')))
        }
        'u' => (number(&behind[1..], 16, 4), 6),
        'x' => (number(&behind[1..], 16, 2), 4),
        'n' | 'r' | 't' | 'b' | 'f' | 'v' | '0' => (Some(u32::from(' ')), 2),
        other => (Some(other.into()), 1 + other.len_utf8()),
    };
    let (code, taken) = code.map_or((u32::from(next), 1 + next.len_utf8()), |code| (code, taken));
    // Halves of a surrogate pair denote non-ASCII letters, and are dropped.
    out.extend(char::from_u32(code));
    Some(taken)
}

/// Parses the first `digits` characters as a number.
fn number(text: &str, base: u32, digits: usize) -> Option<u32> {
    let digits = text.get(..digits).filter(|it| !it.is_empty() && it.chars().all(|it| it.is_digit(base)))?;
    u32::from_str_radix(digits, base).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_is_decoded_also_if_nested() {
        for (text, last) in [
            ("a%2Fb%c3%a9c%E9d", "a/bécéd"),
            ("a%252Fb", "a/b"),
            ("a%u002fb", "a/b"),
            ("&#34;&#x22;&quot;&amp;quot;&#47", "\"\"\"\"/"),
            (r#"a\u0026b\/c\"d\\u002fe\x41\u{42}\nf"#, "a&b/c\"d/eAB f"),
            ("%26%2334%3B", "\""),
            ("100% of & \\", "100% of & \\"),
            ("%%41%", "%A%"),
            // No digits, although a number may begin with a sign.
            ("a%+fb%u+041&#x+f;", "a%+fb%u+041&#x+f;"),
            ("a&copy;b", "ab"),
            ("%é&é\\é&#é\\ué\\x", "%é&éé&#éuéx"),
        ] {
            let decoded = Decoded::of(text);
            assert_eq!((decoded.views.last().unwrap().as_str(), decoded.unfinished), (last, false), "{text}");
        }
    }

    #[test]
    fn a_string_that_decodes_further_is_reported_as_unfinished() {
        let nested = |times| (0..times).fold("%41".to_owned(), |it, _| it.replace('%', "%25"));
        assert!(!Decoded::of(&nested(7)).unfinished);
        assert!(Decoded::of(&nested(8)).unfinished);
        assert_eq!(Decoded::of(&nested(5_000)).views.len(), 9);
    }

    #[test]
    fn bytes_of_either_charset_decode() {
        assert_eq!(lenient(b"p\xe4ss p\xc3\xa4ss \x92"), "päss päss ?");
        assert_eq!(lenient(b"\x9f\xa0\xa1"), "?\u{a0}¡");
    }
}
