//! Derives the parts of a credential that reveal it, including those it contains in another encoding.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::transport::redact::decoded::lenient;

/// Base64 in either alphabet, with padding or without.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Authentication schemes that precede credentials. In `Authorization`, any other word may too.
const SCHEMES: [&str; 14] = [
    "apikey",
    "api-key",
    "basic",
    "bearer",
    "digest",
    "dpop",
    "hmac",
    "jwt",
    "key",
    "negotiate",
    "oauth",
    "signature",
    "token",
    "aws4-hmac-sha256",
];

/// The longest word of a name. A longer run of lower-case letters may be random.
const LONGEST_WORD: usize = 20;

/// The most separators, at either end of a credential, after which the rest counts as a secret by itself. Each such
/// rest may be nearly as long as the credential.
const AT_ENDS: usize = 16;

/// A string that must not be shown, nor a long run of its characters.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) text: Zeroizing<String>,
    /// The length in bytes of the name at its start: `default:production.` in an Unleash token.
    pub(super) name: usize,
}

/// The parts of a credential from a header, a query, or elsewhere.
pub(super) fn parts(credential: &str, in_authorization: bool) -> Vec<Part> {
    let credential = credential.trim();
    let (scheme, rest) = scheme(credential, in_authorization);
    if scheme.is_some_and(|it| it.eq_ignore_ascii_case("basic"))
        && let Some(pair) = base64(rest)
    {
        let (user, password) = pair.split_once(':').unwrap_or(("", &pair));
        // Some services expect a key as the user name, and no password.
        let secret = if password.is_empty() { user } else { password };
        return [vec![whole(rest)], token(secret)].concat();
    }
    let values = if scheme.is_some() { values(rest) } else { Vec::new() };
    if values.is_empty() { token(rest) } else { values.into_iter().flat_map(token).collect() }
}

fn scheme(credential: &str, in_authorization: bool) -> (Option<&str>, &str) {
    let word = |it: &str| it.starts_with(|it: char| it.is_ascii_alphabetic()) && it.bytes().all(is_of_word);
    match credential.split_once(' ') {
        Some((scheme, rest))
            if SCHEMES.iter().any(|it| it.eq_ignore_ascii_case(scheme)) || (in_authorization && word(scheme)) =>
        {
            (Some(scheme), rest.trim_start())
        }
        _ => (None, credential),
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The values of `token=abc, nonce="def"`. If there are long values, the short ones are attributes and don't count.
fn values(text: &str) -> Vec<&str> {
    let value = |it: &str| -> Option<usize> {
        let (name, value) = it.split_once('=')?;
        let named = !name.is_empty() && name.bytes().all(is_of_word) && !value.trim_matches('=').is_empty();
        named.then(|| it.len() - value.len())
    };
    let pieces: Vec<_> = text.split([',', ';', ' ']).filter(|it| !it.is_empty()).collect();
    if pieces.is_empty() || !pieces.iter().all(|it| value(it).is_some()) {
        return Vec::new();
    }
    let mut values: Vec<_> = pieces.iter().filter_map(|it| Some(it[value(it)?..].trim_matches('"'))).collect();
    if values.iter().any(|it| letters(it) >= 8) {
        values.retain(|it| letters(it) >= 8);
    }
    values
}

/// A token, a key or a password, and each of its parts that is a secret by itself.
fn token(text: &str) -> Vec<Part> {
    let pieces: Vec<_> = text.split([':', '.', '=', ',', ';', '|', ' ']).collect();
    let digits = |it: &str| it.bytes().any(|it| it.is_ascii_digit());
    let strong = |it: &str| letters(it) >= 8 && digits(it) && it.bytes().any(|it| it.is_ascii_alphabetic());
    let word = |it: &str| it.len() <= LONGEST_WORD && it.bytes().all(|it| it.is_ascii_lowercase() || it == b'*');
    let name = |it: &str| it.split(['-', '_']).all(word);
    let mut out = vec![whole(text)];
    if pieces.len() < 2 {
        return [out, coded(text)].concat();
    }
    let long = pieces.iter().any(|it| strong(it));
    // A prefix of the secret that consists of words is a name.
    let before = |names: usize| pieces.iter().take(names).map(|it| it.len() + 1).sum::<usize>();
    let names = pieces.iter().take(pieces.len() - 1).take_while(|it| name(it)).count();
    let names = if strong(&text[before(names)..]) { names } else { 0 };
    out[0].name = before(names);
    // A secret may itself contain the characters that separate parts elsewhere.
    let named = before(names);
    let behind: Vec<_> = text.match_indices([':', '.']).map(|(at, _)| at + 1).filter(|at| *at >= named).collect();
    // The first rests may follow a name, and the last ones may be short; a run of any in between is also a run of the
    // whole.
    let (first, rest) = behind.split_at(behind.len().min(AT_ENDS));
    let last = &rest[rest.len().saturating_sub(AT_ENDS)..];
    out.extend(first.iter().chain(last).map(|at| &text[*at..]).filter(|it| letters(it) >= 8).map(whole));
    for piece in &pieces[names..] {
        let count = piece.chars().count();
        if letters(piece) >= 8 || if long { count >= 4 && digits(piece) } else { count >= 3 } {
            out.push(whole(piece));
            out.extend(coded(piece));
        }
    }
    [out, coded(text)].concat()
}

/// The decoded form of base64, if it is text.
fn coded(text: &str) -> Vec<Part> {
    if letters(text) < 8 {
        return Vec::new();
    }
    match base64(text) {
        // The JSON inside a JSON web token identifies its owner and grants no access.
        Some(held) if is_text(&held) && !held.starts_with('{') => {
            let password = held.split_once(':').map(|it| whole(it.1));
            [vec![whole(&held)], password.into_iter().collect()].concat()
        }
        _ => Vec::new(),
    }
}

/// Whether decoded bytes look like text. Non-ASCII letters are rare in secrets, and result from decoding something that
/// isn't base64.
fn is_text(held: &str) -> bool {
    !held.chars().any(char::is_control) && 4 * held.chars().filter(|it| !it.is_ascii()).count() <= held.len()
}

/// The number of ASCII letters and digits.
pub(super) fn letters(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_alphanumeric).count()
}

fn whole(text: &str) -> Part {
    Part { text: Zeroizing::new(text.to_owned()), name: 0 }
}

fn base64(text: &str) -> Option<Zeroizing<String>> {
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let bytes = Zeroizing::new(GeneralPurpose::new(alphabet, LENIENT).decode(text.trim()).ok()?);
    Some(Zeroizing::new(lenient(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(credential: &str) -> Vec<String> {
        texts_of(credential, true)
    }

    fn texts_of(credential: &str, in_authorization: bool) -> Vec<String> {
        let parts = parts(credential, in_authorization);
        let mut texts: Vec<_> = parts.into_iter().map(|it| it.text[it.name..].to_owned()).collect();
        texts.sort();
        texts.dedup();
        texts
    }

    #[test]
    fn the_password_of_a_pair_and_the_value_after_a_scheme_are_secret() {
        assert_eq!(texts("Basic dXNlcjpzM2NyM3QtcGFzcw=="), ["dXNlcjpzM2NyM3QtcGFzcw==", "s3cr3t-pass"]);
        assert_eq!(texts("basic dXNlcjo="), ["dXNlcjo=", "user"]);
        assert_eq!(texts("Basic dXNlcjpw5HNzd29ydA=="), ["dXNlcjpw5HNzd29ydA==", "pässwort"]);
        assert_eq!(texts("Bearer abc-4711-xyz"), ["abc-4711-xyz"]);
        assert_eq!(texts("Token token=abc-47110, nonce=\"def12345\", v=1"), ["abc-47110", "def12345"]);
        assert_eq!(texts("correct horse"), ["horse"]);
        // Neither is a name: all of it is the secret.
        for value in ["=pw1", "a/b1=abcdefgh1", "abcdefgh12=="] {
            assert!(texts(&format!("Digest {value}")).contains(&value.to_owned()), "{value}");
        }
        assert!(texts("Digest token=abcdefgh1 elsewhere").contains(&"abcdefgh1 elsewhere".to_owned()));
    }

    #[test]
    fn beside_a_strong_part_only_long_ones_and_short_ones_with_digits_are_secret() {
        let all = "98b5af0c4e|abcdefgh|ab12|a12|abcd";
        assert_eq!(texts(all), ["98b5af0c4e", all, "ab12", "abcdefgh"]);
        assert_eq!(texts("ab|a12|abcdefg"), ["a12", "a12|abcdefg", "abcdefg"]);
    }

    #[test]
    fn what_a_part_of_eight_letters_encodes_is_secret_as_well() {
        assert_eq!(texts("Bearer cGFzc3dk"), ["cGFzc3dk", "passwd"]);
        assert_eq!(texts("Bearer cGFzc3d"), ["cGFzc3d"]);
        // With more than a quarter of other letters it is hardly text, but something that isn't base64.
        assert!(texts("Bearer YWJjZMOpw6k=").contains(&"abcdéé".to_owned()));
        assert_eq!(texts("Bearer YWJjw6nDqcOp"), ["YWJjw6nDqcOp"]);
    }

    #[test]
    fn short_values_are_secret_where_there_are_no_long_ones() {
        assert_eq!(texts("Digest pin=123, code=4567"), ["123", "4567"]);
        assert_eq!(texts("Digest pin=123, code=abcdefgh, more=abcdefg"), ["abcdefgh"]);
    }

    #[test]
    fn only_a_word_in_authorization_or_a_known_scheme_is_no_part_of_the_secret() {
        let all = ["correct", "correct horse", "horse"];
        assert_eq!(texts_of("correct horse", true), ["horse"]);
        assert_eq!(texts_of("correct horse", false), all);
        assert_eq!(texts_of("bearer horse", false), ["horse"]);
        for no_word in ["cor:rect horse", "corréct horse", "1correct horse"] {
            assert!(texts_of(no_word, true).contains(&no_word.to_owned()), "{no_word}");
        }
    }

    #[test]
    fn names_before_a_secret_are_not_secret() {
        assert_eq!(texts("*:*.98b5af0c4e"), ["98b5af0c4e"]);
        assert_eq!(texts("web-shop:production.98b5af0c4e"), ["98b5af0c4e"]);
        assert_eq!(texts("user:98b5af0c4e"), ["98b5af0c4e"]);
        assert_eq!(texts("user:98b5af0c"), ["98b5af0c"]);
        assert_eq!(texts("user:98b5af0"), ["98b5af0", "user", "user:98b5af0"]);
        assert_eq!(texts("id-20417:correct"), ["correct", "id-20417", "id-20417:correct"]);
        assert_eq!(texts("id:pw1"), ["id:pw1", "pw1"]);
        assert_eq!(texts("user:ab|cd|ef|gh"), ["ab|cd|ef|gh", "user", "user:ab|cd|ef|gh"]);
        assert_eq!(texts("internationalisation:98b5af0c4e"), ["98b5af0c4e"]);
        assert_eq!(texts("qzjxkvbwplqzjxkvbwplq:98b5af0c4e").len(), 3);
    }

    #[test]
    fn the_parts_of_a_credential_with_thousands_of_separators_stay_proportional_to_its_length() {
        for piece in ["k1ab.", "k1abcdef0:", ".", "k:"] {
            let text = format!("{}s3cr3t|0f|it", piece.repeat(3_000));
            let parts = parts(&text, true);
            let size: usize = parts.iter().map(|it| it.text.len()).sum();
            assert!(size < 40 * text.len(), "{piece}: {size} of {}", text.len());
            // The secret at the end, which contains separators, is still one of the parts.
            assert!(parts.iter().any(|it| *it.text == "s3cr3t|0f|it"), "{piece}");
        }
    }
}
